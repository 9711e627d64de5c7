-- People who were erased, tenants that are deleted, and how long messages are kept.

ALTER TABLE tenant ADD COLUMN deleted_at timestamptz;  -- set while it is deleted: it is neither read nor written
ALTER TABLE tenant ADD COLUMN delete_after timestamptz; -- from then on its rows are removed
ALTER TABLE tenant ADD COLUMN retention_days bigint NOT NULL DEFAULT 0 CHECK (retention_days >= 0); -- of messages, by send time; 0: without end

-- Identifiers of erased people, as keyed hashes: what names one is replaced before it is stored.
CREATE TABLE tombstone (
    tenant_id uuid    NOT NULL,
    mark      uuid    NOT NULL, -- keyed by the deployment and the tenant
    pseudonym uuid    NOT NULL, -- what stands in the place of the person
    kind      text    NOT NULL CHECK (kind IN ('ADDRESS', 'SID', 'OBJECT', 'PUID', 'MAILBOX')),
    is_sure   boolean NOT NULL, -- false: an address that records have shown beside the person
    PRIMARY KEY (tenant_id, mark)
);

-- What was done to erase a person: the receipt. Kept as long as the tenant.
CREATE TABLE erasure (
    tenant_id    uuid        NOT NULL,
    pseudonym    uuid        NOT NULL,
    requested_at timestamptz NOT NULL,
    finished_at  timestamptz,          -- first; the counts are frozen from then on
    revision     bigint,               -- of the tenant, when it was finished
    is_swept     boolean     NOT NULL, -- false: some table has still to be gone through
    counts       text        NOT NULL, -- JSON object, table to rows
    PRIMARY KEY (tenant_id, pseudonym)
);

-- Private mail, which is kept for a time only. The others cost nothing by it.
CREATE INDEX attribution_private ON attribution (tenant_id, sent_at, message_key) WHERE NOT listed AND basis = 'SEND';

-- A deleted tenant's rows are in the views until they are removed: who reads these sees that here.
CREATE OR REPLACE VIEW tenant_v1 WITH (security_barrier) AS
SELECT tenant_id, display_name, consented_at, revoked_at, revision, generation,
       reattribute_after IS NOT NULL OR taught AS settling, deleted_at
FROM tenant;

COMMENT ON COLUMN tenant_v1.deleted_at IS 'Set where the tenant is deleted and its rows are about to be removed: pass it over';
COMMENT ON COLUMN attribution_v1.candidates IS 'The people that the evidence names, sorted, one who was erased as a pseudonym (erased:…); of CONFLICT only, else NULL';
