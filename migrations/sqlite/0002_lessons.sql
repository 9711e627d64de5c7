-- The tables and columns of ../postgres/0002_lessons.sql, which explains them.

CREATE TABLE lesson (
    tenant_id  BLOB    NOT NULL,
    identity   TEXT    NOT NULL,
    address    TEXT    NOT NULL,
    named_by   TEXT    NOT NULL CHECK (named_by IN ('USER_ID', 'OWNER', 'SENT_AS')),
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, identity, address, named_by)
) STRICT, WITHOUT ROWID;

CREATE TABLE waiting (
    tenant_id   BLOB NOT NULL,
    identity    TEXT NOT NULL,
    message_key BLOB NOT NULL,
    PRIMARY KEY (tenant_id, identity, message_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX waiting_by_message ON waiting (tenant_id, message_key);

ALTER TABLE tenant ADD COLUMN taught INTEGER NOT NULL DEFAULT 0 CHECK (taught IN (0, 1));

UPDATE tenant SET reattribute_after = x'00000000000000000000000000000000';
