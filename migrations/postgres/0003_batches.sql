-- What became of each committed batch: its receipt. Kept for a week.
CREATE TABLE audit_batch (
    tenant_id                uuid        NOT NULL,
    batch_id                 uuid        NOT NULL, -- hash of request_id where there is one, else random
    request_id               text,                 -- the caller's name for the batch
    content_digest           uuid,                 -- keyed; set with request_id, which belongs to one content
    source                   text        NOT NULL, -- who sent it; may be empty
    received_at              timestamptz NOT NULL,
    received                 bigint      NOT NULL, -- = kept + repeated + ignored + quarantined
    kept                     bigint      NOT NULL,
    repeated                 bigint      NOT NULL,
    ignored                  bigint      NOT NULL,
    quarantined              bigint      NOT NULL,
    quarantined_without_copy bigint      NOT NULL,
    changed_messages         bigint      NOT NULL,
    revision                 bigint      NOT NULL, -- of the tenant, that holds the batch
    details                  text        NOT NULL, -- JSON object: ignored_operations, problems, problems_omitted
    PRIMARY KEY (tenant_id, batch_id)
);

CREATE INDEX audit_batch_by_time ON audit_batch (tenant_id, received_at, batch_id);

-- Bytes of the copy; NULL where there is none.
ALTER TABLE quarantine ADD COLUMN size bigint GENERATED ALWAYS AS (octet_length(bytes)) STORED;

CREATE INDEX quarantine_by_time ON quarantine (tenant_id, received_at, digest, size); -- size: how much a tenant has, by the index alone
