-- The tables and columns of ../postgres/0006_audit_settings.sql, which explains them.

CREATE TABLE audit_setting (
    tenant_id   BLOB    NOT NULL,
    kind        TEXT    NOT NULL CHECK (kind IN ('MAILBOX', 'ORGANIZATION', 'BYPASS', 'PERMISSION')),
    subject     TEXT    NOT NULL,
    shape       BLOB    NOT NULL,
    captured_at INTEGER NOT NULL,
    content     TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, kind, subject, shape)
) STRICT, WITHOUT ROWID;

CREATE INDEX attribution_of_nobody ON attribution (tenant_id, sent_at, message_key) WHERE listed AND verdict = 'NOT_A_PERSON';
