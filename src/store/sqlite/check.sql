-- Keys that do not begin with the tenant: what, how it is repaired, and that nothing may be served till then.
SELECT 'the table ' || t.name || ' has no primary key that begins with tenant_id' AS what,
       'put it back as migrations/ makes it, or restore the file' AS repair, true AS is_fatal
FROM sqlite_master t WHERE t.type = 'table'
AND EXISTS (SELECT 1 FROM pragma_table_xinfo(t.name) WHERE name = 'tenant_id')
AND NOT EXISTS (SELECT 1 FROM pragma_table_xinfo(t.name) WHERE name = 'tenant_id' AND pk = 1)
UNION ALL
SELECT 'the unique index ' || i.name || ' of the table ' || t.name
       || ' does not begin with tenant_id, so one tenant can be in the way of another',
       'DROP INDEX ' || i.name || ', or begin it with tenant_id', true
FROM sqlite_master t, pragma_index_list(t.name) i WHERE t.type = 'table' AND i."unique" AND i.origin <> 'pk'
AND EXISTS (SELECT 1 FROM pragma_table_xinfo(t.name) WHERE name = 'tenant_id')
AND NOT EXISTS (SELECT 1 FROM pragma_index_info(i.name) WHERE seqno = 0 AND name = 'tenant_id')
