//! Statements of the change feed.

/// Where tenants are by now. By primary key.
macro_rules! revisions {
    ($in_keys:literal) => {
        concat!(
            "SELECT tenant_id, generation, revision FROM tenant WHERE tenant_id ",
            $in_keys
        )
    };
}

pub(in crate::store) use revisions;

pub(in crate::store) const APPEND_CHANGE: &str =
    "INSERT INTO change (tenant_id, revision, committed_at, messages) VALUES ($1, $2, $3, $4)";

/// What at most `$3` revisions behind `$2` changed, and no more of them than `$4` bytes hold, but
/// one at least; with the tenant's revision of the same snapshot. By primary key, which has the
/// order.
pub(in crate::store) const COMMITS: &str = "SELECT c.*, t.tenant_id AS of_tenant, t.generation, t.revision AS as_of \
     FROM tenant t LEFT JOIN (SELECT tenant_id, revision, committed_at, messages \
     FROM (SELECT tenant_id, revision, committed_at, messages, \
     sum(length(messages)) OVER (ORDER BY revision) - length(messages) AS bytes_before \
     FROM change WHERE tenant_id = $1 AND revision > $2 ORDER BY revision LIMIT $3) counted \
     WHERE bytes_before < $4) c ON true WHERE t.tenant_id = $1 \
     AND t.deleted_at IS NULL ORDER BY c.revision";

/// Of the oldest `$3` changes those before the first that was committed at `$2` or later: the feed
/// loses its beginning and never a piece of its middle, whatever the clocks said. By primary
/// key.
pub(in crate::store) const EXPIRE_CHANGES: &str = "DELETE FROM change WHERE tenant_id = $1 AND revision < \
     (SELECT coalesce(min(CASE WHEN committed_at >= $2 THEN revision END), max(revision) + 1) \
     FROM (SELECT revision, committed_at FROM change WHERE tenant_id = $1 \
     ORDER BY revision LIMIT $3) oldest)";
