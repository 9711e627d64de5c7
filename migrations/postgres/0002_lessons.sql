-- What kept records teach: the addresses that an account or a mailbox has had.
CREATE TABLE lesson (
    tenant_id  uuid        NOT NULL,
    identity   text        COLLATE "C" NOT NULL, -- sid:…, object:…, puid:… of an account; mailbox:… (ExchangeGuid)
    address    text        COLLATE "C" NOT NULL, -- lower case
    named_by   text        NOT NULL CHECK (named_by IN ('USER_ID', 'OWNER', 'SENT_AS')),
    first_seen timestamptz NOT NULL,             -- the first event that says so
    last_seen  timestamptz NOT NULL,             -- the last one, to the hour; the newest name counts
    PRIMARY KEY (tenant_id, identity, address, named_by)
);

-- Messages with an event that names somebody by an identity that no lesson speaks of yet.
CREATE TABLE waiting (
    tenant_id   uuid NOT NULL,
    identity    text COLLATE "C" NOT NULL,
    message_key uuid NOT NULL,
    PRIMARY KEY (tenant_id, identity, message_key)
);

CREATE INDEX waiting_by_message ON waiting (tenant_id, message_key);

-- Messages wait for an identity that a lesson speaks of by now.
ALTER TABLE tenant ADD COLUMN taught boolean NOT NULL DEFAULT false;

-- What is stored already teaches too: judging it anew, from the first message on, learns from it.
UPDATE tenant SET reattribute_after = '00000000-0000-0000-0000-000000000000';
