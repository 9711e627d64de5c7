-- Who may read which tenants through the views. docs/tenants.md tells the walls between tenants.

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
       reattribute_after IS NOT NULL OR taught AS settling
FROM tenant WHERE
    (SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class c WHERE c.oid = 'tenant'::regclass)
    OR EXISTS (SELECT FROM reader r JOIN pg_catalog.pg_roles p ON p.rolname = r.role
               WHERE r.tenants IS NULL AND pg_has_role(p.oid, 'USAGE'))
    OR tenant_id = ANY (ARRAY(SELECT unnest(r.tenants) FROM reader r JOIN pg_catalog.pg_roles p ON p.rolname = r.role
                              WHERE pg_has_role(p.oid, 'USAGE')));

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
