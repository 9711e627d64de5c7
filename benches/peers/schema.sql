-- The table of the peers: the same keys, the same two indexes, the evidence as the records' ids only.
CREATE TABLE attribution (
    tenant_id    uuid        NOT NULL,
    message_key  uuid        NOT NULL,
    message_id   text        NOT NULL,
    sent_at      timestamptz NOT NULL,
    rank         smallint    NOT NULL, -- 1: mailbox-side SendAs, 2: agent-side SendAs, 5: Send
    agent        text        NOT NULL,
    mailbox      text,
    mailbox_side boolean     NOT NULL,
    agent_side   boolean     NOT NULL,
    records      uuid[]      NOT NULL,
    PRIMARY KEY (tenant_id, message_key)
) WITH (fillfactor = 80);
CREATE INDEX ON attribution (tenant_id, sent_at, message_key);
