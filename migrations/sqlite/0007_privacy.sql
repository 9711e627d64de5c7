-- The tables and columns of ../postgres/0007_privacy.sql, which explains them.

ALTER TABLE tenant ADD COLUMN deleted_at INTEGER;
ALTER TABLE tenant ADD COLUMN delete_after INTEGER;
ALTER TABLE tenant ADD COLUMN retention_days INTEGER NOT NULL DEFAULT 0 CHECK (retention_days >= 0);

CREATE TABLE tombstone (
    tenant_id BLOB    NOT NULL,
    mark      BLOB    NOT NULL,
    pseudonym BLOB    NOT NULL,
    kind      TEXT    NOT NULL CHECK (kind IN ('ADDRESS', 'SID', 'OBJECT', 'PUID', 'MAILBOX')),
    is_sure   INTEGER NOT NULL CHECK (is_sure IN (0, 1)),
    PRIMARY KEY (tenant_id, mark)
) STRICT, WITHOUT ROWID;

CREATE TABLE erasure (
    tenant_id    BLOB    NOT NULL,
    pseudonym    BLOB    NOT NULL,
    requested_at INTEGER NOT NULL,
    finished_at  INTEGER,
    revision     INTEGER,
    is_swept     INTEGER NOT NULL CHECK (is_swept IN (0, 1)),
    counts       TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, pseudonym)
) STRICT, WITHOUT ROWID;

CREATE INDEX attribution_private ON attribution (tenant_id, sent_at, message_key) WHERE NOT listed AND basis = 'SEND';
