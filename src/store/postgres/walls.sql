-- What every migration ends with: row security on each table that holds what is a tenant's or the deployment's, and the
-- exception for the roles that the program runs as. The setting sentby.program names one more of these, or is empty.
-- Changes nothing where all is in place.
DO $$
DECLARE
    program  text := nullif(current_setting('sentby.program', true), '');
    programs name[];
    they     text;
    walled   record;
    found    name;
BEGIN
    -- two at once would change the same rows of the catalogue
    PERFORM pg_advisory_xact_lock(hashtext('sentby.walls'));

    IF program IS NOT NULL THEN
        -- a longer name would be cut, and another role found
        IF octet_length(program) > 63 THEN
            RAISE EXCEPTION 'a role has a name of 1 to 63 bytes';
        END IF;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = program) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', program);
            EXCEPTION WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'the role % is not there, and % may not make it: have somebody run CREATE ROLE % NOLOGIN, then do this again',
                    quote_ident(program), quote_ident(current_user), quote_ident(program);
            END;
        END IF;
        IF EXISTS (SELECT FROM pg_roles r WHERE r.rolname = program AND (r.rolsuper OR r.rolbypassrls OR EXISTS
            (SELECT FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND pg_has_role(program, c.relowner, 'MEMBER'))))
        THEN
            RAISE EXCEPTION 'the role % is a superuser, exempt from row security, or has the rights of the owner, so it could do more than serve; nothing was changed, name another role',
                quote_ident(program);
        END IF;
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM %I', current_schema(), program);
        EXECUTE format('REVOKE ALL ON SCHEMA %I FROM %I', current_schema(), program);
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), program);
        EXECUTE format('GRANT SELECT ON _sqlx_migrations TO %I', program);
        IF has_schema_privilege(program, current_schema(), 'CREATE') THEN
            RAISE EXCEPTION 'the role % could make tables of its own in the schema, because everybody may: REVOKE CREATE ON SCHEMA % FROM PUBLIC, then do this again',
                quote_ident(program), quote_ident(current_schema());
        END IF;
    END IF;

    -- those that the table of tenants lets in
    SELECT array_agg(DISTINCT r.rolname ORDER BY r.rolname) INTO programs FROM pg_roles r
        WHERE r.rolname = program OR EXISTS (SELECT FROM pg_policy p
            WHERE p.polrelid = 'tenant'::regclass AND p.polname = 'program' AND r.oid = ANY (p.polroles));
    SELECT string_agg(quote_ident(one), ', ') INTO they FROM unnest(programs) one;

    FOR walled IN SELECT c.oid, c.relname, c.relrowsecurity FROM pg_class c
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
        AND (c.relname IN ('reader', 'deployment_key') OR EXISTS (SELECT FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped))
        ORDER BY c.relname
    LOOP
        IF NOT walled.relrowsecurity THEN
            EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', walled.relname);
        END IF;
        -- whatever else lets rows out, and what lets others in
        FOR found IN SELECT p.polname FROM pg_policy p WHERE p.polrelid = walled.oid AND (p.polname <> 'program'
            OR walled.relname = 'reader' OR p.polcmd <> '*' OR NOT p.polpermissive
            OR (SELECT array_agg(r.rolname ORDER BY r.rolname) FROM pg_roles r WHERE r.oid = ANY (p.polroles)) IS DISTINCT FROM programs
            OR pg_get_expr(p.polqual, walled.oid) IS DISTINCT FROM 'true'
            OR pg_get_expr(p.polwithcheck, walled.oid) IS DISTINCT FROM 'true')
        LOOP
            EXECUTE format('DROP POLICY %I ON %I', found, walled.relname);
        END LOOP;
        -- who reads the views is no business of the program
        CONTINUE WHEN they IS NULL OR walled.relname = 'reader';
        IF NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = walled.oid AND polname = 'program') THEN
            EXECUTE format('CREATE POLICY program ON %I TO %s USING (true) WITH CHECK (true)', walled.relname, they);
        END IF;
        IF walled.relname = 'deployment_key' THEN
            EXECUTE format('GRANT SELECT, INSERT ON %I TO %s', walled.relname, they);
        ELSE
            EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO %s', walled.relname, they);
        END IF;
    END LOOP;
END
$$;
