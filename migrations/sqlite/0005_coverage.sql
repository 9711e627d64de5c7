-- The tables and columns of ../postgres/0005_coverage.sql, which explains them.

CREATE TABLE coverage_window (
    tenant_id    BLOB    NOT NULL,
    source       TEXT    NOT NULL,
    clock        TEXT    NOT NULL CHECK (clock IN ('CONTENT_CREATED', 'EVENT_TIME')),
    settled_days INTEGER NOT NULL CHECK (settled_days BETWEEN 0 AND 5),
    start_at     INTEGER NOT NULL,
    end_at       INTEGER NOT NULL,
    advanced_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, source, clock, settled_days, start_at),
    CHECK (start_at < end_at)
) STRICT, WITHOUT ROWID;

CREATE TABLE coverage_failure (
    tenant_id   BLOB    NOT NULL,
    failure_id  BLOB    NOT NULL,
    source      TEXT    NOT NULL,
    clock       TEXT    NOT NULL CHECK (clock IN ('CONTENT_CREATED', 'EVENT_TIME')),
    start_at    INTEGER NOT NULL,
    end_at      INTEGER NOT NULL,
    outcome     TEXT    NOT NULL CHECK (outcome IN ('PARTIAL', 'FAILED')),
    code        TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, failure_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX coverage_failure_by_time ON coverage_failure (tenant_id, received_at);

CREATE TABLE lag (
    tenant_id BLOB NOT NULL PRIMARY KEY,
    events    BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE side_seen (
    tenant_id BLOB    NOT NULL,
    mailbox   TEXT    NOT NULL,
    agent     TEXT    NOT NULL,
    side      TEXT    NOT NULL CHECK (side IN ('MAILBOX', 'AGENT')),
    first_at  INTEGER NOT NULL,
    last_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, mailbox, agent, side)
) STRICT, WITHOUT ROWID;
