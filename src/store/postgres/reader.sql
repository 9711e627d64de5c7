-- Lets the role named by the setting sentby.reader read the views of this schema and nothing else in it, and in them the
-- rows of the tenants of the setting sentby.reader_tenants (an array; empty: of all).
DO $$
DECLARE
    who    text := current_setting('sentby.reader');
    theirs text := nullif(current_setting('sentby.reader_tenants'), '');
    shown  text[] := ARRAY['attribution_v1', 'tenant_v1'];
    found  text;
BEGIN
    -- two at once would change the same rows of the catalogue
    PERFORM pg_advisory_xact_lock(hashtext('sentby.reader'));

    -- a longer name would be cut, and another role found
    IF octet_length(who) NOT BETWEEN 1 AND 63 THEN
        RAISE EXCEPTION 'a role has a name of 1 to 63 bytes';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = who) THEN
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', who);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE EXCEPTION 'the role % is not there, and % may not make it: have somebody run CREATE ROLE % NOLOGIN, then do this again',
                quote_ident(who), quote_ident(current_user), quote_ident(who);
        END;
    END IF;

    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM %I', current_schema(), who);
    EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA %I FROM %I', current_schema(), who);
    EXECUTE format('REVOKE ALL ON ALL ROUTINES IN SCHEMA %I FROM %I', current_schema(), who);
    EXECUTE format('REVOKE ALL ON SCHEMA %I FROM %I', current_schema(), who);
    -- of tables that are still to come
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I REVOKE ALL ON TABLES FROM %I', current_schema(), who);

    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), who);
    FOREACH found IN ARRAY shown LOOP
        EXECUTE format('GRANT SELECT ON %I.%I TO %I', current_schema(), found, who);
    END LOOP;

    -- counts at once, also in sessions that are open
    INSERT INTO reader (role, tenants) VALUES (who, theirs::uuid[])
        ON CONFLICT (role) DO UPDATE SET tenants = excluded.tenants;
    DELETE FROM reader r WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r.role);

    -- what it may do as a superuser, as a member of another role, or because everybody may
    SELECT c.relname INTO found FROM pg_class c
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        AND (has_table_privilege(who, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
             OR has_any_column_privilege(who, c.oid, 'INSERT, UPDATE')
             OR (c.relname <> ALL (shown) AND has_any_column_privilege(who, c.oid, 'SELECT')))
        ORDER BY c.relname LIMIT 1;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'the role % could still read or write % in another way: it is a superuser or the owner, is a member of such a role, or everybody may; nothing was changed, name another role',
            quote_ident(who), found;
    END IF;
END
$$;
