//! Statements of the ledger. Both engines run all of them.

/// Covered periods with the tenant's revision of the same snapshot; one row without a period
/// where nothing is covered, none where there is no such tenant.
pub(in crate::store) const COVERED: &str = "SELECT c.*, t.tenant_id AS of_tenant, t.generation, t.revision \
     FROM tenant t LEFT JOIN (SELECT tenant_id, source, clock, settled_days, start_at, end_at, \
     advanced_at FROM coverage_window WHERE tenant_id = $1) c ON true WHERE t.tenant_id = $1 \
     AND t.deleted_at IS NULL";

/// The periods of one line that touch [$5, $6]. By primary key.
pub(in crate::store) const COVERED_NEAR: &str = "SELECT tenant_id, source, clock, \
     settled_days, start_at, end_at, advanced_at FROM coverage_window WHERE tenant_id = $1 \
     AND source = $2 AND clock = $3 AND settled_days = $4 AND start_at <= $6 AND end_at >= $5 \
     ORDER BY start_at";

/// By primary key.
pub(in crate::store) const UNCOVER_NEAR: &str = "DELETE FROM coverage_window \
     WHERE tenant_id = $1 AND source = $2 AND clock = $3 AND settled_days = $4 \
     AND start_at <= $6 AND end_at >= $5";

pub(in crate::store) const COVER: &str = "INSERT INTO coverage_window \
     (tenant_id, source, clock, settled_days, start_at, end_at, advanced_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// Reads all of the tenant's periods, whose number is bounded; asked only where a line begins
/// or has a hole.
pub(in crate::store) const COVERING_SOURCES: &str = "SELECT DISTINCT tenant_id, source AS value \
     FROM coverage_window WHERE tenant_id = $1 ORDER BY source LIMIT $2";

/// Keeps the `$2` periods that end last. With fewer there is nothing to compare with.
pub(in crate::store) const TRIM_COVERED: &str = "DELETE FROM coverage_window \
     WHERE tenant_id = $1 AND end_at <= (SELECT end_at FROM coverage_window \
     WHERE tenant_id = $1 ORDER BY end_at DESC LIMIT 1 OFFSET $2)";

/// Answers where one is there: it came again.
pub(in crate::store) const PUT_FAILURE: &str = "INSERT INTO coverage_failure \
     (tenant_id, failure_id, source, clock, start_at, end_at, outcome, code, received_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
     ON CONFLICT (tenant_id, failure_id) DO UPDATE SET received_at = excluded.received_at";

/// The last one of each source and clock.
pub(in crate::store) const LAST_FAILURES: &str = "SELECT tenant_id, source, clock, start_at, \
     end_at, outcome, code, received_at FROM (SELECT f.*, row_number() OVER \
     (PARTITION BY source, clock ORDER BY received_at DESC, failure_id) AS place \
     FROM coverage_failure f WHERE tenant_id = $1) ranked WHERE place = 1 LIMIT $2";

/// By primary key.
pub(in crate::store) const LAG: &str = "SELECT tenant_id, events FROM lag WHERE tenant_id = $1";

pub(in crate::store) const PUT_LAG: &str = "INSERT INTO lag (tenant_id, events) \
     VALUES ($1, $2) ON CONFLICT (tenant_id) DO UPDATE SET events = excluded.events";

/// By primary key.
pub(in crate::store) const SIDES_SEEN: &str = "SELECT tenant_id, mailbox, agent, side, \
     first_at, last_at FROM side_seen WHERE tenant_id = $1 \
     ORDER BY mailbox, agent, side LIMIT $2";

/// Goes before the rows; [`SPAN_BOTH_TIMES`] goes behind them.
pub(in crate::store) const INSERT_SIDES_SEEN: &str = "INSERT INTO side_seen \
     (tenant_id, mailbox, agent, side, first_at, last_at) ";

pub(in crate::store) const SPAN_BOTH_TIMES: &str = " ON CONFLICT (tenant_id, mailbox, agent, side) \
     DO UPDATE SET first_at = CASE WHEN excluded.first_at < side_seen.first_at \
     THEN excluded.first_at ELSE side_seen.first_at END, \
     last_at = CASE WHEN excluded.last_at > side_seen.last_at \
     THEN excluded.last_at ELSE side_seen.last_at END";
