-- Settings of mailbox auditing as they were captured: the newest of each kind, subject and shape.
CREATE TABLE audit_setting (
    tenant_id   uuid        NOT NULL,
    kind        text        NOT NULL CHECK (kind IN ('MAILBOX', 'ORGANIZATION', 'BYPASS', 'PERMISSION')),
    subject     text        COLLATE "C" NOT NULL, -- a name in lower case; of a permission the mailbox, a line end and who has it; empty: the organisation
    shape       uuid        NOT NULL,             -- hash of which properties are told: src/domain/setting.rs
    captured_at timestamptz NOT NULL,             -- when the command ran
    content     text        COLLATE "C" NOT NULL, -- JSON, as src/store/rows/audit_setting.rs writes it
    PRIMARY KEY (tenant_id, kind, subject, shape)
);

-- Few messages are nobody's: who sent them is told by their evidence.
CREATE INDEX attribution_of_nobody ON attribution (tenant_id, sent_at, message_key) WHERE listed AND verdict = 'NOT_A_PERSON';
