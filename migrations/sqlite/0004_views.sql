-- The views and columns of ../postgres/0004_views.sql, which explains them, for people with the sqlite3 shell.
-- UUIDs and times (RFC 3339) are text, candidates are separated by spaces. A filter on such a column reads all rows:
-- a large file is asked through the API.

CREATE VIEW attribution_v1 AS
SELECT lower(substr(hex(tenant_id), 1, 8) || '-' || substr(hex(tenant_id), 9, 4) || '-' || substr(hex(tenant_id), 13, 4) || '-' || substr(hex(tenant_id), 17, 4) || '-' || substr(hex(tenant_id), 21)) AS tenant_id,
       lower(substr(hex(message_key), 1, 8) || '-' || substr(hex(message_key), 9, 4) || '-' || substr(hex(message_key), 13, 4) || '-' || substr(hex(message_key), 17, 4) || '-' || substr(hex(message_key), 21)) AS message_key,
       message_id,
       strftime('%Y-%m-%dT%H:%M:%S', sent_at / 1000000, 'unixepoch') || CASE WHEN sent_at % 1000000 = 0 THEN 'Z' ELSE printf('.%06dZ', sent_at % 1000000) END AS sent_at,
       verdict, basis, agent,
       CASE WHEN agent_object_id IS NOT NULL THEN lower(substr(hex(agent_object_id), 1, 8) || '-' || substr(hex(agent_object_id), 9, 4) || '-' || substr(hex(agent_object_id), 13, 4) || '-' || substr(hex(agent_object_id), 17, 4) || '-' || substr(hex(agent_object_id), 21)) END AS agent_object_id,
       mailbox, candidates, confirmed, contradicted, revision
FROM attribution WHERE listed;

CREATE VIEW tenant_v1 AS
SELECT lower(substr(hex(tenant_id), 1, 8) || '-' || substr(hex(tenant_id), 9, 4) || '-' || substr(hex(tenant_id), 13, 4) || '-' || substr(hex(tenant_id), 17, 4) || '-' || substr(hex(tenant_id), 21)) AS tenant_id,
       display_name,
       strftime('%Y-%m-%dT%H:%M:%S', consented_at / 1000000, 'unixepoch') || CASE WHEN consented_at % 1000000 = 0 THEN 'Z' ELSE printf('.%06dZ', consented_at % 1000000) END AS consented_at,
       strftime('%Y-%m-%dT%H:%M:%S', revoked_at / 1000000, 'unixepoch') || CASE WHEN revoked_at % 1000000 = 0 THEN 'Z' ELSE printf('.%06dZ', revoked_at % 1000000) END AS revoked_at,
       revision, generation,
       reattribute_after IS NOT NULL OR taught AS settling
FROM tenant;
