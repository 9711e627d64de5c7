-- The tables and columns of ../postgres/0007_privacy_and_walls.sql, which explains them.

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

DROP VIEW tenant_v1;
CREATE VIEW tenant_v1 AS
SELECT lower(substr(hex(tenant_id), 1, 8) || '-' || substr(hex(tenant_id), 9, 4) || '-' || substr(hex(tenant_id), 13, 4) || '-' || substr(hex(tenant_id), 17, 4) || '-' || substr(hex(tenant_id), 21)) AS tenant_id,
       display_name,
       strftime('%Y-%m-%dT%H:%M:%S', consented_at / 1000000, 'unixepoch') || CASE WHEN consented_at % 1000000 = 0 THEN 'Z' ELSE printf('.%06dZ', consented_at % 1000000) END AS consented_at,
       strftime('%Y-%m-%dT%H:%M:%S', revoked_at / 1000000, 'unixepoch') || CASE WHEN revoked_at % 1000000 = 0 THEN 'Z' ELSE printf('.%06dZ', revoked_at % 1000000) END AS revoked_at,
       revision, generation,
       reattribute_after IS NOT NULL OR taught AS settling,
       strftime('%Y-%m-%dT%H:%M:%S', deleted_at / 1000000, 'unixepoch') || CASE WHEN deleted_at % 1000000 = 0 THEN 'Z' ELSE printf('.%06dZ', deleted_at % 1000000) END AS deleted_at
FROM tenant;

-- SQLite has no roles and no row security: who reads
-- the file reads it all, and the table stays empty.

CREATE TABLE reader (
    role    TEXT NOT NULL PRIMARY KEY,
    tenants TEXT
) STRICT, WITHOUT ROWID;
