//! Statements of the audit set-up. Both engines run all of them.

/// By primary key.
pub(in crate::store) const SETTINGS: &str = "SELECT tenant_id, kind, subject, captured_at, content \
     FROM audit_setting WHERE tenant_id = $1 ORDER BY kind, subject, captured_at, content";

/// By primary key.
pub(in crate::store) const MAILBOX_SETTINGS: &str = "SELECT tenant_id, kind, subject, \
     captured_at, content FROM audit_setting WHERE tenant_id = $1 AND kind = 'MAILBOX' \
     AND subject >= $2 AND subject <= $3 ORDER BY subject, captured_at, content LIMIT $4";

pub(in crate::store) const COUNT_SETTINGS: &str = "SELECT tenant_id, count(*) AS value FROM audit_setting WHERE tenant_id = $1 GROUP BY tenant_id";

/// By primary key.
pub(in crate::store) const SETTING_KEYS: &str =
    "SELECT tenant_id, kind, subject, shape FROM audit_setting WHERE tenant_id = $1";

/// Goes before the rows; [`KEEP_THE_NEWEST`] goes behind them.
pub(in crate::store) const INSERT_SETTINGS: &str = "INSERT INTO audit_setting \
     (tenant_id, kind, subject, shape, captured_at, content) ";

/// By content where the times are equal, never by arrival.
pub(in crate::store) const KEEP_THE_NEWEST: &str = " ON CONFLICT (tenant_id, kind, subject, shape) \
     DO UPDATE SET captured_at = excluded.captured_at, content = excluded.content \
     WHERE (excluded.captured_at, excluded.content) > \
     (audit_setting.captured_at, audit_setting.content)";

/// The `$2` newest changes that took effect, and the newest of each operation and target; `$3`
/// together. Reads all of the tenant's changes, which are few: people make them.
pub(in crate::store) const ADMIN_CHANGES: &str = "SELECT tenant_id, record_id, happened_at, \
     operation, actor, target, failed, parameters FROM (SELECT c.*, \
     row_number() OVER (ORDER BY happened_at DESC, record_id, digest) AS place, \
     row_number() OVER (PARTITION BY operation, target \
     ORDER BY happened_at DESC, record_id, digest) AS nth \
     FROM admin_change c WHERE tenant_id = $1 AND NOT failed) ranked \
     WHERE place <= $2 OR nth = 1 ORDER BY place LIMIT $3";

/// By `attribution_of_nobody`.
pub(in crate::store) const MESSAGES_OF_NOBODY: &str = concat!(
    "SELECT ",
    crate::store::queries::answer_columns!(),
    ", evidence FROM attribution WHERE tenant_id = $1 AND listed \
     AND verdict = 'NOT_A_PERSON' AND sent_at >= $2 \
     ORDER BY sent_at DESC, message_key DESC LIMIT $3"
);
