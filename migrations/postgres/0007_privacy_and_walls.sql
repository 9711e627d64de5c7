-- People who were erased, tenants that are deleted, how long messages are kept; and who may read which tenants through the
-- views (docs/privacy.md, docs/tenants.md).

-- Private mail, which is kept for a time only. The others cost nothing by it.
CREATE INDEX attribution_private ON attribution (tenant_id, sent_at, message_key) WHERE NOT listed AND basis = 'SEND';

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

-- Roles that read the views, as `sentby migrate --reader` has written them. A role that is not here reads no row.
CREATE TABLE reader (
    role    text COLLATE "C" NOT NULL PRIMARY KEY, -- its name; whoever is a member of it reads what it reads
    tenants uuid[]                                 -- NULL: all, also those that are still to come
);

-- Who was let read the views before reads all tenants, as before.
INSERT INTO reader (role)
SELECT DISTINCT r.rolname FROM pg_class v, aclexplode(v.relacl) a, pg_roles r
WHERE v.oid IN ('attribution_v1'::regclass, 'tenant_v1'::regclass)
  AND a.privilege_type = 'SELECT' AND r.oid = a.grantee AND a.grantee <> v.relowner;

-- As they were, of the tenants of those who ask: also in an open session, and whatever role it has taken. In a view
-- current_user is who asks. Whoever has the owner's rights could read the tables, and so reads all.
CREATE OR REPLACE VIEW attribution_v1 WITH (security_barrier) AS
SELECT tenant_id, message_key, message_id, sent_at, verdict, basis, agent, agent_object_id, mailbox,
       string_to_array(candidates, ' ') AS candidates, confirmed, contradicted, revision
FROM attribution WHERE listed AND (
    (SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class c WHERE c.oid = 'attribution'::regclass)
    OR EXISTS (SELECT FROM reader r JOIN pg_catalog.pg_roles p ON p.rolname = r.role
               WHERE r.tenants IS NULL AND pg_has_role(p.oid, 'USAGE'))
    OR tenant_id = ANY (ARRAY(SELECT unnest(r.tenants) FROM reader r JOIN pg_catalog.pg_roles p ON p.rolname = r.role
                              WHERE pg_has_role(p.oid, 'USAGE'))));

CREATE OR REPLACE VIEW tenant_v1 WITH (security_barrier) AS
SELECT tenant_id, display_name, consented_at, revoked_at, revision, generation,
       reattribute_after IS NOT NULL OR taught AS settling, deleted_at
FROM tenant WHERE
    (SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class c WHERE c.oid = 'tenant'::regclass)
    OR EXISTS (SELECT FROM reader r JOIN pg_catalog.pg_roles p ON p.rolname = r.role
               WHERE r.tenants IS NULL AND pg_has_role(p.oid, 'USAGE'))
    OR tenant_id = ANY (ARRAY(SELECT unnest(r.tenants) FROM reader r JOIN pg_catalog.pg_roles p ON p.rolname = r.role
                              WHERE pg_has_role(p.oid, 'USAGE')));

COMMENT ON COLUMN tenant_v1.deleted_at IS 'Set where the tenant is deleted and its rows are about to be removed: pass it over';
COMMENT ON COLUMN attribution_v1.candidates IS 'The people that the evidence names, sorted, one who was erased as a pseudonym (erased:…); of CONFLICT only, else NULL';

-- Nobody but the owner reads or writes a row of a table, whatever is granted; `sentby migrate` does the same to tables
-- that come later, and makes an exception for the role that the program runs as (src/store/postgres/walls.sql).
DO $$
DECLARE
    found name;
BEGIN
    FOR found IN SELECT c.relname FROM pg_class c
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
        AND (c.relname IN ('reader', 'deployment_key') OR EXISTS (SELECT FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped))
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', found);
    END LOOP;
END
$$;
