//! Every statement that both engines run, and what serves it.
//!
//! Both take `$n`, `ON CONFLICT` and `RETURNING`. Where one clause differs, the statement is
//! a macro that takes the clause, so that the rest is written once.

mod audit_settings;
mod feed;
mod ledger;
mod privacy;

pub(super) use {audit_settings::*, feed::*, ledger::*, privacy::*};

/// The columns of `attribution` without the evidence, in the order of the table.
macro_rules! answer_columns {
    () => {
        "tenant_id, message_key, message_id, sent_at, revision, verdict, basis, agent, \
         agent_object_id, mailbox, candidates, confirmed, contradicted, listed"
    };
}

macro_rules! tenant_columns {
    () => {
        "tenant_id, display_name, consented_at, revoked_at, registered_at, generation, revision, \
         directory_version, reattribute_after, taught, mailbox_side_first, mailbox_side_last, \
         agent_side_first, agent_side_last, deleted_at, delete_after, retention_days"
    };
}

/// One tenant by id; `$lock` locks its row for the writer.
macro_rules! tenant {
    ($lock:literal) => {
        concat!(
            "SELECT ",
            $crate::store::queries::tenant_columns!(),
            " FROM tenant WHERE tenant_id = $1",
            $lock
        )
    };
}

/// Stored answers by key, with the tenant's revision of the same snapshot; one row without a
/// message where nothing is stored, none where there is no such tenant (or it is deleted). By
/// primary key.
macro_rules! answers {
    ($from:literal, $in_keys:literal) => {
        concat!(
            "SELECT a.*, t.tenant_id AS of_tenant, t.generation, t.revision \
             FROM tenant t LEFT JOIN (",
            $from,
            "SELECT ",
            $crate::store::queries::answer_columns!(),
            " FROM attribution WHERE tenant_id = $1 AND message_key ",
            $in_keys,
            ") a ON true WHERE t.tenant_id = $1 AND t.deleted_at IS NULL"
        )
    };
}

/// Stored messages by key. By primary key.
macro_rules! messages {
    ($in_keys:literal) => {
        concat!(
            "SELECT ",
            $crate::store::queries::answer_columns!(),
            ", evidence FROM attribution WHERE tenant_id = $1 AND message_key ",
            $in_keys
        )
    };
}

/// What messages wait for and is known by now. By `waiting_by_message`.
macro_rules! remove_taught {
    ($in_keys:literal) => {
        concat!(
            "DELETE FROM waiting WHERE tenant_id = $1 AND message_key ",
            $in_keys,
            " AND EXISTS (SELECT 1 FROM lesson l \
              WHERE l.tenant_id = waiting.tenant_id AND l.identity = waiting.identity)"
        )
    };
}

/// Goes before the rows of new changes of administrators; [`if_new`] goes behind them.
macro_rules! insert_admin_changes {
    () => {
        "INSERT INTO admin_change (tenant_id, record_id, digest, happened_at, operation, actor, \
         target, failed, parameters) "
    };
}

/// Goes before the rows of new quarantined records; [`if_new`] goes behind them.
macro_rules! insert_quarantined {
    () => {
        "INSERT INTO quarantine (tenant_id, digest, reason, detail, received_at, bytes) "
    };
}

/// Goes before the rows of lessons; [`keep_both_ends`] goes behind them.
macro_rules! insert_lessons {
    () => {
        "INSERT INTO lesson (tenant_id, identity, address, named_by, first_seen, last_seen) "
    };
}

macro_rules! keep_both_ends {
    () => {
        " ON CONFLICT (tenant_id, identity, address, named_by) \
         DO UPDATE SET first_seen = CASE WHEN excluded.first_seen < lesson.first_seen \
         THEN excluded.first_seen ELSE lesson.first_seen END, \
         last_seen = CASE WHEN excluded.last_seen > lesson.last_seen \
         THEN excluded.last_seen ELSE lesson.last_seen END"
    };
}

/// Goes before the rows of waiting messages; [`if_new`] goes behind them.
macro_rules! insert_waiting {
    () => {
        "INSERT INTO waiting (tenant_id, identity, message_key) "
    };
}

macro_rules! if_new {
    () => {
        " ON CONFLICT DO NOTHING"
    };
}

/// Goes behind [`if_new`]: which changes were new.
macro_rules! returning_changes {
    () => {
        " RETURNING tenant_id, record_id, digest"
    };
}

/// Something of the quarantined records with these digests. By primary key.
macro_rules! quarantined {
    ($what:literal, $in_keys:literal) => {
        concat!(
            "SELECT tenant_id, digest, ",
            $what,
            " FROM quarantine WHERE tenant_id = $1 AND digest ",
            $in_keys
        )
    };
}

macro_rules! remove_quarantined {
    ($in_keys:literal) => {
        concat!(
            "DELETE FROM quarantine WHERE tenant_id = $1 AND digest ",
            $in_keys
        )
    };
}

/// Deletes at most `$3` rows that were received before `$2`. By the index of their times: one
/// of all tenants' times would tempt the planner to read a page of one tenant by it.
macro_rules! expire {
    ($table:literal, $id:literal, $skip_locked:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE tenant_id = $1 AND ",
            $id,
            " IN (SELECT ",
            $id,
            " FROM ",
            $table,
            " WHERE tenant_id = $1 AND received_at < $2 ORDER BY received_at LIMIT $3",
            $skip_locked,
            ")"
        )
    };
}

/// Stored batches by id. By primary key.
macro_rules! audit_batches {
    ($in_keys:literal) => {
        concat!(
            "SELECT ",
            $crate::store::queries::audit_batch_columns!(),
            " FROM audit_batch WHERE tenant_id = $1 AND batch_id ",
            $in_keys
        )
    };
}

/// Counts of a range by slot, mailbox, agent, verdict and basis. `$4` and `$5` filter where they
/// are not NULL; `$slot` is the beginning of the slot of `$7` microseconds, one of which begins
/// at `$6`. By `attribution_by_time`.
macro_rules! tallies {
    ($slot:literal) => {
        concat!(
            "SELECT tenant_id, ",
            $slot,
            " AS slot, mailbox, agent, verdict, basis, count(*) AS messages, \
             count(*) FILTER (WHERE confirmed) AS confirmed, \
             count(*) FILTER (WHERE contradicted) AS contradicted, \
             count(*) FILTER (WHERE confirmed AND contradicted) AS confirmed_contradicted, \
             count(*) - count(message_id) AS without_message_id, \
             min(sent_at) AS first_sent_at, max(sent_at) AS last_sent_at \
             FROM attribution WHERE tenant_id = $1 AND listed \
             AND sent_at >= $2 AND sent_at < $3 \
             AND ($4 IS NULL OR mailbox = $4) AND ($5 IS NULL OR agent = $5) \
             GROUP BY tenant_id, slot, mailbox, agent, verdict, basis"
        )
    };
}

macro_rules! audit_batch_columns {
    () => {
        "tenant_id, batch_id, request_id, content_digest, source, received_at, received, kept, \
         repeated, ignored, quarantined, quarantined_without_copy, changed_messages, revision, \
         details"
    };
}

/// Goes before the rows of new receipts.
macro_rules! insert_audit_batches {
    () => {
        concat!(
            "INSERT INTO audit_batch (",
            $crate::store::queries::audit_batch_columns!(),
            ") "
        )
    };
}

pub(super) use {
    answer_columns, answers, audit_batch_columns, audit_batches, expire, if_new,
    insert_admin_changes, insert_audit_batches, insert_lessons, insert_quarantined, insert_waiting,
    keep_both_ends, messages, quarantined, remove_quarantined, remove_taught, returning_changes,
    tallies, tenant, tenant_columns,
};

pub(super) const SCHEMA_VERSION: &str = "SELECT max(version) FROM _sqlx_migrations WHERE success";

pub(super) const TENANT: &str = tenant!("");

/// At most `$2` tenants behind `$1`. By primary key.
pub(super) const TENANTS: &str = concat!(
    "SELECT ",
    tenant_columns!(),
    " FROM tenant WHERE tenant_id > $1 ORDER BY tenant_id LIMIT $2"
);

/// The first page of [`TENANTS`].
pub(super) const FIRST_TENANTS: &str = concat!(
    "SELECT ",
    tenant_columns!(),
    " FROM tenant ORDER BY tenant_id LIMIT $1"
);

/// Reads the whole table, which is small, now and then.
pub(super) const TENANTS_TO_REATTRIBUTE: &str = "SELECT tenant_id FROM tenant WHERE (reattribute_after IS NOT NULL OR taught) \
     AND deleted_at IS NULL";

/// Answers the id if it was not there.
pub(super) const CREATE_TENANT: &str = concat!(
    "INSERT INTO tenant (",
    tenant_columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) \
     ON CONFLICT (tenant_id) DO NOTHING RETURNING tenant_id"
);

pub(super) const PUT_TENANT: &str = "UPDATE tenant SET display_name = $2, consented_at = $3, \
     revoked_at = $4, registered_at = $5, generation = $6, revision = $7, \
     directory_version = $8, reattribute_after = $9, taught = $10, mailbox_side_first = $11, \
     mailbox_side_last = $12, agent_side_first = $13, agent_side_last = $14, \
     deleted_at = $15, delete_after = $16, retention_days = $17 \
     WHERE tenant_id = $1";

/// At most `$3` entries of the register behind `$2`. By primary key.
pub(super) const MAILBOXES: &str = "SELECT tenant_id, address, kind, aliases, display_name, mailbox_guid, object_id \
     FROM mailbox WHERE tenant_id = $1 AND address > $2 ORDER BY address LIMIT $3";

pub(super) const PUT_MAILBOX: &str = "INSERT INTO mailbox \
     (tenant_id, address, kind, aliases, display_name, mailbox_guid, object_id) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) \
     ON CONFLICT (tenant_id, address) DO UPDATE SET kind = excluded.kind, \
     aliases = excluded.aliases, display_name = excluded.display_name, \
     mailbox_guid = excluded.mailbox_guid, object_id = excluded.object_id";

pub(super) const REMOVE_MAILBOX: &str = "DELETE FROM mailbox WHERE tenant_id = $1 AND address = $2";

/// All lessons. By primary key.
pub(super) const LESSONS: &str = "SELECT tenant_id, identity, address, named_by, first_seen, last_seen \
     FROM lesson WHERE tenant_id = $1";

/// Goes before a list of identities in brackets. By primary key.
pub(super) const IS_WAITED_FOR: &str =
    "SELECT tenant_id, message_key AS value FROM waiting WHERE tenant_id = ";

/// At most `$2` messages that wait for what is known by now. Both sides by primary key;
/// few messages wait.
pub(super) const MESSAGES_TAUGHT: &str = "SELECT DISTINCT tenant_id, message_key AS value FROM waiting w \
     WHERE tenant_id = $1 AND EXISTS (SELECT 1 FROM lesson l \
     WHERE l.tenant_id = w.tenant_id AND l.identity = w.identity) \
     ORDER BY message_key LIMIT $2";

/// One message with the tenant's revision of the same snapshot. By primary key.
pub(super) const MESSAGE: &str = concat!(
    "SELECT a.*, t.tenant_id AS of_tenant, t.generation, t.revision \
     FROM tenant t LEFT JOIN (SELECT ",
    answer_columns!(),
    ", evidence FROM attribution WHERE tenant_id = $1 AND message_key = $2) a ON true \
     WHERE t.tenant_id = $1 AND t.deleted_at IS NULL"
);

/// At most `$3` messages behind `$2`. By primary key.
pub(super) const MESSAGES_AFTER: &str = concat!(
    "SELECT ",
    answer_columns!(),
    ", evidence FROM attribution WHERE tenant_id = $1 AND message_key > $2 \
     ORDER BY message_key LIMIT $3"
);

/// A page of a range behind the position ($2, $3), which is where the index is entered. `$5` to
/// `$7` filter where they are not NULL. By `attribution_by_time`, which has the order: nothing
/// is joined here, so that nothing is sorted.
pub(super) const RANGE: &str = concat!(
    "SELECT ",
    answer_columns!(),
    " FROM attribution WHERE tenant_id = $1 AND listed \
     AND (sent_at, message_key) > ($2, $3) AND sent_at < $4 \
     AND ($5 IS NULL OR mailbox = $5) \
     AND ($6 IS NULL OR agent = $6) \
     AND ($7 IS NULL OR verdict = $7) \
     ORDER BY sent_at, message_key LIMIT $8"
);

/// Send times of the first listed message of a range (0), of the one behind `$4` more (1), and of
/// the last (2). By `attribution_by_time` alone, but for pages of the table that were just written.
pub(super) const EXTENT: &str = "SELECT tenant_id, CAST(0 AS bigint) AS place, sent_at FROM \
     (SELECT tenant_id, sent_at FROM attribution WHERE tenant_id = $1 AND listed \
      AND sent_at >= $2 AND sent_at < $3 ORDER BY sent_at, message_key LIMIT 1) a \
     UNION ALL SELECT tenant_id, 1, sent_at FROM \
     (SELECT tenant_id, sent_at FROM attribution WHERE tenant_id = $1 AND listed \
      AND sent_at >= $2 AND sent_at < $3 ORDER BY sent_at, message_key LIMIT 1 OFFSET $4) b \
     UNION ALL SELECT tenant_id, 2, sent_at FROM \
     (SELECT tenant_id, sent_at FROM attribution WHERE tenant_id = $1 AND listed \
      AND sent_at >= $2 AND sent_at < $3 ORDER BY sent_at DESC, message_key DESC LIMIT 1) c";

pub(super) const PUT_DEPLOYMENT_KEY: &str = "INSERT INTO deployment_key (key_id, secret, created_at) VALUES (1, $1, $2) \
     ON CONFLICT (key_id) DO NOTHING";

pub(super) const DEPLOYMENT_KEY: &str = "SELECT secret FROM deployment_key WHERE key_id = 1";

/// One batch. By primary key.
pub(super) const AUDIT_BATCH: &str = audit_batches!("= $2");

/// A page of batches from new to old, behind the position ($4, $5); `$6` filters where it is
/// not NULL. By `audit_batch_by_time`.
pub(super) const AUDIT_BATCHES: &str = concat!(
    "SELECT ",
    audit_batch_columns!(),
    " FROM audit_batch WHERE tenant_id = $1 AND received_at >= $2 AND received_at < $3 \
     AND (received_at, batch_id) < ($4, $5) AND ($6 IS NULL OR source = $6) \
     ORDER BY received_at DESC, batch_id DESC LIMIT $7"
);

/// A page of quarantined records from new to old, behind the position ($2, $3); `$4` filters
/// where it is not NULL. By `quarantine_by_time`.
pub(super) const QUARANTINED: &str = "SELECT tenant_id, digest, reason, detail, received_at, size \
     FROM quarantine WHERE tenant_id = $1 AND (received_at, digest) < ($2, $3) \
     AND ($4 IS NULL OR reason = $4) ORDER BY received_at DESC, digest DESC LIMIT $5";

/// Reads all of the tenant's entries of `quarantine_by_time`, and nothing but that index:
/// their number is bounded. `$2` is the end of all time: without it SQLite reads the table.
pub(super) const QUARANTINE_USAGE: &str = "SELECT tenant_id, count(size) AS copies, \
     CAST(coalesce(sum(size), 0) AS bigint) AS bytes, count(*) - count(size) AS without_copy \
     FROM quarantine WHERE tenant_id = $1 AND received_at < $2 GROUP BY tenant_id";

pub(super) const CHANGE_QUARANTINED: &str =
    "UPDATE quarantine SET reason = $3, detail = $4 WHERE tenant_id = $1 AND digest = $2";
