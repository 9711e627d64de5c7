-- All keys start with tenant_id and nothing refers across tenants, so the schema shards by
-- tenant. Times are event or server times in UTC; the same columns in SQLite are integers.

-- One Microsoft 365 organisation. Its row is the lock of every write of that tenant.
CREATE TABLE tenant (
    tenant_id          uuid        NOT NULL PRIMARY KEY, -- Entra tenant GUID
    display_name       text        NOT NULL,
    consented_at       timestamptz NOT NULL,
    revoked_at         timestamptz,                      -- set while the consent is withdrawn
    registered_at      timestamptz NOT NULL,
    generation         bigint      NOT NULL,             -- random; tells an old life of the tenant from the new one
    revision           bigint      NOT NULL CHECK (revision >= 0), -- number of committed changes, gapless
    directory_version  bigint      NOT NULL,             -- +1 for each change of the register of mailboxes
    reattribute_after  uuid,                             -- a changed register has reached the messages up to this key
    mailbox_side_first timestamptz,                      -- first and last send event of each side
    mailbox_side_last  timestamptz,
    agent_side_first   timestamptz,
    agent_side_last    timestamptz
) WITH (fillfactor = 50); -- updated by every write: keeps the updates on its page

-- The register that callers put.
CREATE TABLE mailbox (
    tenant_id    uuid NOT NULL,
    address      text COLLATE "C" NOT NULL, -- primary address, lower case; in the order of bytes everywhere
    kind         text NOT NULL CHECK (kind IN ('SHARED', 'USER', 'GROUP', 'RESOURCE')),
    aliases      text NOT NULL, -- separated by spaces, sorted
    display_name text NOT NULL,
    mailbox_guid uuid,          -- ExchangeGuid
    object_id    uuid,          -- Entra object id of the account
    PRIMARY KEY (tenant_id, address)
);

-- One row per message: the answer and the evidence it is made of.
CREATE TABLE attribution (
    tenant_id       uuid        NOT NULL,
    message_key     uuid        NOT NULL, -- hash of message_id (of the record id where there is none)
    message_id      text,                 -- normalised
    sent_at         timestamptz NOT NULL,
    revision        bigint      NOT NULL, -- the tenant's revision that last changed the answer
    verdict         text        NOT NULL CHECK (verdict IN ('ATTRIBUTED', 'CONFLICT', 'NOT_A_PERSON', 'UNRESOLVED', 'ERASED', 'PENDING')),
    basis           text                 CHECK (basis IN ('MAILBOX_SEND_AS', 'AGENT_SEND_AS', 'MAILBOX_SEND_ON_BEHALF', 'AGENT_SEND_ON_BEHALF', 'SEND')),
    agent           text,                 -- lower-case address; ATTRIBUTED only
    agent_object_id uuid,
    mailbox         text,                 -- lower-case address; NULL where no record tells
    candidates      text,                 -- CONFLICT only: separated by spaces, sorted
    confirmed       boolean     NOT NULL,
    contradicted    boolean     NOT NULL,
    listed          boolean     NOT NULL, -- false: private mail or failed attempts, in no range and no feed
    evidence        bytea       NOT NULL, -- send events, as src/store/evidence.rs writes them
    PRIMARY KEY (tenant_id, message_key)
) WITH (fillfactor = 80); -- room for the second side on the same page

CREATE INDEX attribution_by_time ON attribution (tenant_id, sent_at, message_key) WHERE listed;

-- Append-only: what each revision changed. The feed is these rows in order, joined to attribution.
CREATE TABLE change (
    tenant_id    uuid        NOT NULL,
    revision     bigint      NOT NULL,
    committed_at timestamptz NOT NULL,
    messages     bytea       NOT NULL, -- packed: kind (1 byte), message_key (16 bytes)
    PRIMARY KEY (tenant_id, revision)
);

-- Administrators' changes of what is audited and of who may send.
CREATE TABLE admin_change (
    tenant_id   uuid        NOT NULL,
    record_id   uuid        NOT NULL,
    digest      uuid        NOT NULL, -- of the rest: one record id with two contents is kept twice
    happened_at timestamptz NOT NULL,
    operation   text        NOT NULL,
    actor       text        NOT NULL,
    target      text        NOT NULL,
    failed      boolean     NOT NULL,
    parameters  text        NOT NULL, -- JSON object, name to value
    PRIMARY KEY (tenant_id, record_id, digest)
);

-- Records that could not be taken in. Of another tenant's record there are no bytes.
CREATE TABLE quarantine (
    tenant_id   uuid        NOT NULL,
    digest      uuid        NOT NULL, -- keyed, of the original bytes
    reason      text        NOT NULL,
    detail      text        NOT NULL,
    received_at timestamptz NOT NULL,
    bytes       bytea,
    PRIMARY KEY (tenant_id, digest)
);

-- Seals page tokens and keys digests. Made once.
CREATE TABLE deployment_key (
    key_id     bigint      NOT NULL PRIMARY KEY,
    secret     bytea       NOT NULL,
    created_at timestamptz NOT NULL
);
