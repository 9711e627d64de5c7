//! Statements about what has to go. Both engines run all of them.

/// By primary key.
pub(in crate::store) const TOMBSTONES: &str =
    "SELECT tenant_id, mark, pseudonym, kind, is_sure FROM tombstone WHERE tenant_id = $1";

pub(in crate::store) const PUT_TOMBSTONE: &str = "INSERT INTO tombstone \
     (tenant_id, mark, pseudonym, kind, is_sure) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (tenant_id, mark) DO UPDATE SET pseudonym = excluded.pseudonym, \
     is_sure = excluded.is_sure";

/// By primary key.
pub(in crate::store) const ERASURE: &str = "SELECT tenant_id, pseudonym, requested_at, finished_at, \
     revision, is_swept, counts FROM erasure WHERE tenant_id = $1 AND pseudonym = $2";

/// By primary key: people are erased one by one.
pub(in crate::store) const ERASURES: &str = "SELECT tenant_id, pseudonym, requested_at, finished_at, \
     revision, is_swept, counts FROM erasure WHERE tenant_id = $1 ORDER BY pseudonym";

pub(in crate::store) const PUT_ERASURE: &str = "INSERT INTO erasure (tenant_id, pseudonym, \
     requested_at, finished_at, revision, is_swept, counts) VALUES ($1, $2, $3, $4, $5, $6, $7) \
     ON CONFLICT (tenant_id, pseudonym) DO UPDATE SET finished_at = excluded.finished_at, \
     revision = excluded.revision, is_swept = excluded.is_swept, counts = excluded.counts";

/// Reads the whole table, which is small, now and then.
pub(in crate::store) const TENANTS_TO_SWEEP: &str = "SELECT DISTINCT e.tenant_id FROM erasure e JOIN tenant t ON t.tenant_id = e.tenant_id \
     WHERE NOT e.is_swept AND t.deleted_at IS NULL";

/// Reads the whole table, which is small, now and then.
pub(in crate::store) const TENANTS_TO_PURGE: &str =
    "SELECT tenant_id FROM tenant WHERE delete_after <= $1";

/// Each by its primary key, but for the addresses of lessons and the agents of sides: of these the
/// tenant's rows are read.
pub(in crate::store) const FORGET_IDENTITY: [(&str, &str); 2] = [
    (
        "lesson",
        "DELETE FROM lesson WHERE tenant_id = $1 AND identity = $2",
    ),
    (
        "waiting",
        "DELETE FROM waiting WHERE tenant_id = $1 AND identity = $2",
    ),
];
pub(in crate::store) const FORGET_ADDRESS: [(&str, &str); 3] = [
    (
        "lesson",
        "DELETE FROM lesson WHERE tenant_id = $1 AND address = $2",
    ),
    (
        "mailbox",
        "DELETE FROM mailbox WHERE tenant_id = $1 AND address = $2",
    ),
    (
        "side_seen",
        "DELETE FROM side_seen WHERE tenant_id = $1 AND (agent = $2 OR mailbox = $2)",
    ),
];

/// At most `$4` behind ($2, $3). By primary key.
pub(in crate::store) const ADMIN_CHANGES_AFTER: &str = "SELECT tenant_id, record_id, happened_at, \
     operation, actor, target, failed, parameters FROM admin_change WHERE tenant_id = $1 \
     AND (record_id, digest) > ($2, $3) ORDER BY record_id, digest LIMIT $4";

pub(in crate::store) const REMOVE_ADMIN_CHANGE: &str =
    "DELETE FROM admin_change WHERE tenant_id = $1 AND record_id = $2 AND digest = $3";

pub(in crate::store) const REMOVE_SETTING: &str = "DELETE FROM audit_setting WHERE tenant_id = $1 \
     AND kind = $2 AND subject = $3 AND shape = $4 AND captured_at = $5 AND content = $6";

/// By `quarantine_by_time`.
pub(in crate::store) const QUARANTINE_COPIES: &str = "SELECT tenant_id, digest, received_at, bytes \
     FROM quarantine WHERE tenant_id = $1 AND (received_at, digest) < ($2, $3) \
     AND bytes IS NOT NULL ORDER BY received_at DESC, digest DESC LIMIT $4";

pub(in crate::store) const REMOVE_QUARANTINED_COPY: &str =
    "UPDATE quarantine SET bytes = NULL WHERE tenant_id = $1 AND digest = $2";

/// At most `$3` messages `$which` that were sent before `$2`, the oldest first.
macro_rules! outdated {
    ($which:literal) => {
        concat!(
            "SELECT tenant_id, message_key AS value FROM attribution WHERE tenant_id = $1 AND ",
            $which,
            " AND sent_at < $2 ORDER BY sent_at, message_key LIMIT $3"
        )
    };
}

/// By `attribution_private`.
pub(in crate::store) const OUTDATED_PRIVATE: &str = outdated!("NOT listed AND basis = 'SEND'");
/// By `attribution_by_time`.
pub(in crate::store) const OUTDATED_LISTED: &str = outdated!("listed");
/// Reads all of the tenant, for attempts that failed are few; now and then.
pub(in crate::store) const OUTDATED_UNLISTED: &str = outdated!("NOT listed");

/// Messages, and what they wait for. By primary key and by `waiting_by_message`.
macro_rules! remove_messages {
    ($table:literal, $in_keys:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE tenant_id = $1 AND message_key ",
            $in_keys
        )
    };
}

/// For each table with rows of tenants, by the rest of its primary key. Tombstones are last: until
/// then nothing comes back.
macro_rules! purges {
    ($purge:ident) => {
        &[
            $purge!("attribution", "message_key"),
            $purge!("waiting", "identity, message_key"),
            $purge!("change", "revision"),
            $purge!("lesson", "identity, address, named_by"),
            $purge!("mailbox", "address"),
            $purge!("admin_change", "record_id, digest"),
            $purge!("quarantine", "digest"),
            $purge!("audit_batch", "batch_id"),
            $purge!("coverage_window", "source, clock, settled_days, start_at"),
            $purge!("coverage_failure", "failure_id"),
            $purge!("side_seen", "mailbox, agent, side"),
            $purge!("audit_setting", "kind, subject, shape"),
            $purge!("erasure", "pseudonym"),
            $purge!("tombstone", "mark"),
        ]
    };
}

pub(in crate::store) use {purges, remove_messages};

pub(in crate::store) const PURGE_LAG: &str = "DELETE FROM lag WHERE tenant_id = $1";
pub(in crate::store) const PURGE_TENANT: &str = "DELETE FROM tenant WHERE tenant_id = $1";
