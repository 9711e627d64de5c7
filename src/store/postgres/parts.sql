-- The parts of the schema, a line for each, as src/store/postgres/schema.txt lists them.
SELECT format('column %s.%s %s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
              CASE WHEN a.attnotnull THEN ' not null' ELSE '' END) AS line
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v') AND c.relname <> '_sqlx_migrations'
UNION ALL
SELECT format('%s %s on %s (%s)%s',
              CASE WHEN i.indisprimary THEN 'primary key' WHEN i.indisunique THEN 'unique index' ELSE 'index' END,
              x.relname, c.relname,
              (SELECT string_agg(pg_get_indexdef(i.indexrelid, n, true), ', ' ORDER BY n) FROM generate_series(1, i.indnatts) n),
              coalesce(' where ' || pg_get_expr(i.indpred, i.indrelid), ''))
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND c.relname <> '_sqlx_migrations'
  AND i.indisvalid
UNION ALL
SELECT format('view %s (%s): %s', c.relname, array_to_string(c.reloptions, ', '),
              trim(regexp_replace(pg_get_viewdef(c.oid), '\s+', ' ', 'g')))
FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'v'
ORDER BY 1
