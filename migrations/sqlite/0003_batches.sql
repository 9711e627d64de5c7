-- The tables and columns of ../postgres/0003_batches.sql, which explains them.

CREATE TABLE audit_batch (
    tenant_id                BLOB    NOT NULL,
    batch_id                 BLOB    NOT NULL,
    request_id               TEXT,
    content_digest           BLOB,
    source                   TEXT    NOT NULL,
    received_at              INTEGER NOT NULL,
    received                 INTEGER NOT NULL,
    kept                     INTEGER NOT NULL,
    repeated                 INTEGER NOT NULL,
    ignored                  INTEGER NOT NULL,
    quarantined              INTEGER NOT NULL,
    quarantined_without_copy INTEGER NOT NULL,
    changed_messages         INTEGER NOT NULL,
    revision                 INTEGER NOT NULL,
    details                  TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, batch_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_batch_by_time ON audit_batch (tenant_id, received_at, batch_id);

ALTER TABLE quarantine ADD COLUMN size INTEGER GENERATED ALWAYS AS (length(bytes)) VIRTUAL;

CREATE INDEX quarantine_by_time ON quarantine (tenant_id, received_at, digest, size);
