-- What of the walls between tenants does not stand: what, how it is repaired, and whether nothing may be served till then.
WITH walled AS (
    SELECT c.oid, c.relname, c.relrowsecurity,
           EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped) AS of_tenants
    FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
    AND (c.relname IN ('reader', 'deployment_key') OR EXISTS (SELECT FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped))
), policy AS (
    SELECT w.oid, w.relname, p.polname, p.polroles,
           (SELECT array_agg(one ORDER BY one) FROM unnest(p.polroles) one) AS roles,
           p.polname = 'program' AND p.polcmd = '*' AND p.polpermissive
           AND pg_get_expr(p.polqual, w.oid) IS NOT DISTINCT FROM 'true'
           AND pg_get_expr(p.polwithcheck, w.oid) IS NOT DISTINCT FROM 'true'
           AND w.relname <> 'reader' AND 0 <> ALL (p.polroles) AS is_ours
    FROM walled w JOIN pg_policy p ON p.polrelid = w.oid
), program AS (
    SELECT roles FROM policy WHERE relname = 'tenant' AND is_ours
), granted AS (
    SELECT c.relname, c.relkind, c.relowner, a.grantee, a.privilege_type
    FROM pg_class c, aclexplode(c.relacl) a
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    UNION ALL
    SELECT c.relname, c.relkind, c.relowner, a.grantee, a.privilege_type
    FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
)
SELECT format('the table %s has no row security, so whoever is granted it reads all tenants', relname) AS what,
       'run `sentby migrate`' AS repair, true AS is_fatal
FROM walled WHERE NOT relrowsecurity
UNION ALL
SELECT format('the policy %s of the table %s is not one of sentby, or lets others in than those of the table tenant', polname, relname),
       'run `sentby migrate`, as the role that serves has it with `--app-role ROLE`', true
FROM policy WHERE NOT is_ours OR roles IS DISTINCT FROM (SELECT roles FROM program)
UNION ALL
SELECT format('the table %s lacks the policy that lets the program in', w.relname),
       'run `sentby migrate --app-role ROLE` with the role that serves', true
FROM walled w WHERE w.relname <> 'reader' AND EXISTS (SELECT FROM program)
    AND NOT EXISTS (SELECT FROM policy p WHERE p.oid = w.oid AND p.polname = 'program')
UNION ALL
SELECT format('the role %s, which the program runs as, may not read and write all of the table %s', current_user, w.relname),
       format('run `sentby migrate --app-role ROLE` with %s, or a role that it is a member of', current_user), true
FROM walled w WHERE w.relname <> 'reader' AND (
    (row_security_active(w.oid) AND NOT EXISTS (SELECT FROM policy p, unnest(p.polroles) one
        WHERE p.oid = w.oid AND p.is_ours AND pg_has_role(one, 'USAGE')))
    OR NOT (has_table_privilege(w.oid, 'SELECT') AND has_table_privilege(w.oid, 'INSERT'))
    OR (w.of_tenants AND NOT (has_table_privilege(w.oid, 'UPDATE') AND has_table_privilege(w.oid, 'DELETE'))))
UNION ALL
SELECT format('the table %s has no primary key', w.relname),
       'put it back as migrations/ makes it: ALTER TABLE … ADD PRIMARY KEY (tenant_id, …)', true
FROM walled w WHERE w.of_tenants AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = w.oid AND i.indisprimary)
UNION ALL
SELECT format('the unique index %s of the table %s does not begin with tenant_id, so one tenant can be in the way of another',
              i.indexrelid::regclass, w.relname),
       format('DROP INDEX %s, or begin it with tenant_id', i.indexrelid::regclass), true
FROM walled w JOIN pg_index i ON i.indrelid = w.oid AND i.indisunique
WHERE w.of_tenants AND pg_get_indexdef(i.indexrelid, 1, true) <> 'tenant_id'
UNION ALL
SELECT format('the program runs as %s, which is %s and need not be', r.rolname,
              CASE WHEN r.rolsuper THEN 'a superuser' ELSE 'exempt from row security' END),
       'serve as a role that `sentby migrate --app-role ROLE` has made', false
FROM pg_roles r WHERE r.rolname = current_user AND (r.rolsuper OR r.rolbypassrls)
UNION ALL
SELECT format('%s may %s %s, and sentby lets nobody do more than read the views',
              CASE WHEN g.grantee = 0 THEN 'everybody' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
              string_agg(DISTINCT g.privilege_type, ', ' ORDER BY g.privilege_type), g.relname),
       format('REVOKE ALL ON %I FROM %s', g.relname,
              CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END), false
FROM granted g WHERE g.grantee <> g.relowner
    AND NOT (g.relkind = 'v' AND g.relname IN ('attribution_v1', 'tenant_v1') AND g.privilege_type = 'SELECT')
    AND g.grantee <> ALL (coalesce((SELECT roles FROM program), '{}'))
    AND (g.grantee <> 0 OR EXISTS (SELECT FROM walled w WHERE w.relname = g.relname))
GROUP BY g.grantee, g.relname
ORDER BY 3 DESC, 1
