-- The tables and columns of ../postgres/0001_initial.sql, which explains them. UUIDs are
-- 16-byte blobs, times are microseconds since 1970-01-01 UTC, booleans are 0 and 1.

CREATE TABLE tenant (
    tenant_id          BLOB    NOT NULL PRIMARY KEY,
    display_name       TEXT    NOT NULL,
    consented_at       INTEGER NOT NULL,
    revoked_at         INTEGER,
    registered_at      INTEGER NOT NULL,
    generation         INTEGER NOT NULL,
    revision           INTEGER NOT NULL CHECK (revision >= 0),
    directory_version  INTEGER NOT NULL,
    reattribute_after  BLOB,
    mailbox_side_first INTEGER,
    mailbox_side_last  INTEGER,
    agent_side_first   INTEGER,
    agent_side_last    INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE mailbox (
    tenant_id    BLOB NOT NULL,
    address      TEXT NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('SHARED', 'USER', 'GROUP', 'RESOURCE')),
    aliases      TEXT NOT NULL,
    display_name TEXT NOT NULL,
    mailbox_guid BLOB,
    object_id    BLOB,
    PRIMARY KEY (tenant_id, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE attribution (
    tenant_id       BLOB    NOT NULL,
    message_key     BLOB    NOT NULL,
    message_id      TEXT,
    sent_at         INTEGER NOT NULL,
    revision        INTEGER NOT NULL,
    verdict         TEXT    NOT NULL CHECK (verdict IN ('ATTRIBUTED', 'CONFLICT', 'NOT_A_PERSON', 'UNRESOLVED', 'ERASED', 'PENDING')),
    basis           TEXT             CHECK (basis IN ('MAILBOX_SEND_AS', 'AGENT_SEND_AS', 'MAILBOX_SEND_ON_BEHALF', 'AGENT_SEND_ON_BEHALF', 'SEND')),
    agent           TEXT,
    agent_object_id BLOB,
    mailbox         TEXT,
    candidates      TEXT,
    confirmed       INTEGER NOT NULL CHECK (confirmed IN (0, 1)),
    contradicted    INTEGER NOT NULL CHECK (contradicted IN (0, 1)),
    listed          INTEGER NOT NULL CHECK (listed IN (0, 1)),
    evidence        BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, message_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX attribution_by_time ON attribution (tenant_id, sent_at, message_key) WHERE listed;

CREATE TABLE change (
    tenant_id    BLOB    NOT NULL,
    revision     INTEGER NOT NULL,
    committed_at INTEGER NOT NULL,
    messages     BLOB    NOT NULL,
    PRIMARY KEY (tenant_id, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE admin_change (
    tenant_id   BLOB    NOT NULL,
    record_id   BLOB    NOT NULL,
    digest      BLOB    NOT NULL,
    happened_at INTEGER NOT NULL,
    operation   TEXT    NOT NULL,
    actor       TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    failed      INTEGER NOT NULL CHECK (failed IN (0, 1)),
    parameters  TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, record_id, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
    tenant_id   BLOB    NOT NULL,
    digest      BLOB    NOT NULL,
    reason      TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    bytes       BLOB,
    PRIMARY KEY (tenant_id, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE deployment_key (
    key_id     INTEGER NOT NULL PRIMARY KEY,
    secret     BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
