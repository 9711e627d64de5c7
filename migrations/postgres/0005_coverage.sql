-- What collectors have covered: periods that neither overlap nor touch, of one source and clock.
CREATE TABLE coverage_window (
    tenant_id    uuid        NOT NULL,
    source       text        COLLATE "C" NOT NULL, -- who sent the windows; may be empty
    clock        text        NOT NULL CHECK (clock IN ('CONTENT_CREATED', 'EVENT_TIME')),
    settled_days bigint      NOT NULL CHECK (settled_days BETWEEN 0 AND 5), -- EVENT_TIME: covers what was that old when it was searched
    start_at     timestamptz NOT NULL,             -- half-open
    end_at       timestamptz NOT NULL,
    advanced_at  timestamptz NOT NULL,             -- when a window last added to it
    PRIMARY KEY (tenant_id, source, clock, settled_days, start_at),
    CHECK (start_at < end_at)
) WITH (fillfactor = 80);

-- Windows that were not complete. Kept for a month.
CREATE TABLE coverage_failure (
    tenant_id   uuid        NOT NULL,
    failure_id  uuid        NOT NULL, -- hash of the rest: the same one again is the same row
    source      text        COLLATE "C" NOT NULL,
    clock       text        NOT NULL CHECK (clock IN ('CONTENT_CREATED', 'EVENT_TIME')),
    start_at    timestamptz NOT NULL,
    end_at      timestamptz NOT NULL,
    outcome     text        NOT NULL CHECK (outcome IN ('PARTIAL', 'FAILED')),
    code        text        NOT NULL, -- why, as the collector says; may be empty
    received_at timestamptz NOT NULL, -- last
    PRIMARY KEY (tenant_id, failure_id)
);

CREATE INDEX coverage_failure_by_time ON coverage_failure (tenant_id, received_at);

-- How long events took until they could be fetched.
CREATE TABLE lag (
    tenant_id uuid  NOT NULL PRIMARY KEY,
    events    bytea NOT NULL -- a count for each step of the scale in src/domain/lag.rs: 8 bytes each, little-endian
);

-- Which side wrote about what an agent sent from a mailbox.
CREATE TABLE side_seen (
    tenant_id uuid        NOT NULL,
    mailbox   text        COLLATE "C" NOT NULL, -- lower-case address
    agent     text        COLLATE "C" NOT NULL, -- lower-case address
    side      text        NOT NULL CHECK (side IN ('MAILBOX', 'AGENT')),
    first_at  timestamptz NOT NULL, -- of the first and the last event, cut to the hour
    last_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, mailbox, agent, side)
);
