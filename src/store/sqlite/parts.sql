-- The parts of the schema, a line for each, as src/store/sqlite/schema.txt lists them.
SELECT 'column ' || t.name || '.' || c.name || ' ' || c.type || CASE WHEN c."notnull" THEN ' not null' ELSE '' END
FROM sqlite_master t, pragma_table_xinfo(t.name) c WHERE t.type IN ('table', 'view') AND t.name NOT LIKE '\_sqlx%' ESCAPE '\'
UNION ALL
SELECT 'primary key of ' || name || ' (' || group_concat(key, ', ') || ')' FROM
    (SELECT t.name, c.name AS key FROM sqlite_master t, pragma_table_xinfo(t.name) c
     WHERE t.type = 'table' AND c.pk > 0 AND t.name NOT LIKE '\_sqlx%' ESCAPE '\' ORDER BY t.name, c.pk)
GROUP BY name
UNION ALL
SELECT type || ' ' || name || ': ' || replace(sql, char(10), ' ') FROM sqlite_master WHERE type IN ('index', 'view') AND sql IS NOT NULL
ORDER BY 1
