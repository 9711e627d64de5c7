-- What others than sentby read: the metrics merger, people, BI. docs/merger.md tells how these views may change.
-- security_barrier: no function of a caller sees a row that the view leaves out.

CREATE VIEW attribution_v1 WITH (security_barrier) AS
SELECT tenant_id, message_key, message_id, sent_at, verdict, basis, agent, agent_object_id, mailbox,
       string_to_array(candidates, ' ') AS candidates, confirmed, contradicted, revision
FROM attribution WHERE listed;

COMMENT ON VIEW attribution_v1 IS 'Who sent which message: one row for each message, but for private mail and what only failed';
COMMENT ON COLUMN attribution_v1.tenant_id IS 'Entra tenant GUID';
COMMENT ON COLUMN attribution_v1.message_key IS 'Names the message inside the tenant, also where it has no message id';
COMMENT ON COLUMN attribution_v1.message_id IS 'Internet message id, without white space and angle brackets, case kept; NULL where the record has none';
COMMENT ON COLUMN attribution_v1.sent_at IS 'When it was sent: the earliest event of it';
COMMENT ON COLUMN attribution_v1.verdict IS 'ATTRIBUTED, CONFLICT (the evidence names two people), NOT_A_PERSON (a system, an application, the mailbox itself), UNRESOLVED (nobody is known by what the evidence names) or ERASED';
COMMENT ON COLUMN attribution_v1.basis IS 'The strongest evidence: MAILBOX_SEND_AS, AGENT_SEND_AS, MAILBOX_SEND_ON_BEHALF, AGENT_SEND_ON_BEHALF, SEND';
COMMENT ON COLUMN attribution_v1.agent IS 'Lower-case address of the person who sent it; of ATTRIBUTED only';
COMMENT ON COLUMN attribution_v1.agent_object_id IS 'Entra object id of that person, where it is known; it outlives a change of name';
COMMENT ON COLUMN attribution_v1.mailbox IS 'Lower-case address of the mailbox it was sent from; NULL where no record tells';
COMMENT ON COLUMN attribution_v1.candidates IS 'The people that the evidence names, sorted; of CONFLICT only, else NULL';
COMMENT ON COLUMN attribution_v1.confirmed IS 'Both sides of the log are in and name the same person';
COMMENT ON COLUMN attribution_v1.contradicted IS 'A plain Send names somebody else than the agent';
COMMENT ON COLUMN attribution_v1.revision IS 'The revision of the tenant that last changed this row';

CREATE VIEW tenant_v1 WITH (security_barrier) AS
SELECT tenant_id, display_name, consented_at, revoked_at, revision, generation,
       reattribute_after IS NOT NULL OR taught AS settling
FROM tenant;

COMMENT ON VIEW tenant_v1 IS 'The organisations that are registered: one row for each';
COMMENT ON COLUMN tenant_v1.tenant_id IS 'Entra tenant GUID';
COMMENT ON COLUMN tenant_v1.display_name IS 'Its name, for people';
COMMENT ON COLUMN tenant_v1.consented_at IS 'When it consented (last)';
COMMENT ON COLUMN tenant_v1.revoked_at IS 'Since when the consent is withdrawn; NULL while it holds';
COMMENT ON COLUMN tenant_v1.revision IS 'Number of committed changes: +1 for each, without gaps';
COMMENT ON COLUMN tenant_v1.generation IS 'Random; another one means that revisions have begun anew and all rows of the tenant must be read again';
COMMENT ON COLUMN tenant_v1.settling IS 'Rows are still being changed to what the directory of mailboxes and people says by now';
