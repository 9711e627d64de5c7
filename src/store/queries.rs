//! Every statement that both engines run, and what serves it.
//!
//! Both take `$n`, `ON CONFLICT` and `RETURNING`. Where one clause differs, the statement is
//! a macro that takes the clause, so that the rest is written once.

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
         agent_side_first, agent_side_last"
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
/// message where nothing is stored, none where there is no such tenant. By primary key.
macro_rules! answers {
    ($in_keys:literal) => {
        concat!(
            "SELECT t.revision AS as_of, a.* FROM tenant t LEFT JOIN (SELECT ",
            $crate::store::queries::answer_columns!(),
            " FROM attribution WHERE tenant_id = $1 AND message_key ",
            $in_keys,
            ") a ON true WHERE t.tenant_id = $1"
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

pub(super) use {answer_columns, answers, messages, remove_taught, tenant, tenant_columns};

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
pub(super) const TENANTS_TO_REATTRIBUTE: &str =
    "SELECT tenant_id FROM tenant WHERE reattribute_after IS NOT NULL OR taught";

/// Answers the id if it was not there.
pub(super) const CREATE_TENANT: &str = concat!(
    "INSERT INTO tenant (",
    tenant_columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
     ON CONFLICT (tenant_id) DO NOTHING RETURNING tenant_id"
);

pub(super) const PUT_TENANT: &str = "UPDATE tenant SET display_name = $2, consented_at = $3, \
     revoked_at = $4, registered_at = $5, generation = $6, revision = $7, \
     directory_version = $8, reattribute_after = $9, taught = $10, mailbox_side_first = $11, \
     mailbox_side_last = $12, agent_side_first = $13, agent_side_last = $14 \
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
pub(super) const LESSONS: &str = "SELECT tenant_id, identity, address, named_by, first_seen \
     FROM lesson WHERE tenant_id = $1";

/// Goes before the rows; [`KEEP_EARLIER`] behind them.
pub(super) const PUT_LESSONS: &str =
    "INSERT INTO lesson (tenant_id, identity, address, named_by, first_seen) ";

pub(super) const KEEP_EARLIER: &str = " ON CONFLICT (tenant_id, identity, address, named_by) \
     DO UPDATE SET first_seen = excluded.first_seen \
     WHERE excluded.first_seen < lesson.first_seen";

/// Goes before the rows; [`KEEP_WAITING`] behind them.
pub(super) const PUT_WAITING: &str = "INSERT INTO waiting (tenant_id, identity, message_key) ";

pub(super) const KEEP_WAITING: &str = " ON CONFLICT (tenant_id, identity, message_key) DO NOTHING";

/// Goes before a list of identities in brackets. By primary key.
pub(super) const IS_WAITED_FOR: &str = "SELECT message_key FROM waiting WHERE tenant_id = ";

/// At most `$2` messages that wait for what is known by now. Both sides by primary key;
/// few messages wait.
pub(super) const MESSAGES_TAUGHT: &str = "SELECT DISTINCT message_key FROM waiting w \
     WHERE tenant_id = $1 AND EXISTS (SELECT 1 FROM lesson l \
     WHERE l.tenant_id = w.tenant_id AND l.identity = w.identity) \
     ORDER BY message_key LIMIT $2";

/// One message with the tenant's revision of the same snapshot. By primary key.
pub(super) const MESSAGE: &str = concat!(
    "SELECT t.revision AS as_of, a.* FROM tenant t LEFT JOIN (SELECT ",
    answer_columns!(),
    ", evidence FROM attribution WHERE tenant_id = $1 AND message_key = $2) a ON true \
     WHERE t.tenant_id = $1"
);

/// At most `$3` messages behind `$2`. By primary key.
pub(super) const MESSAGES_AFTER: &str = concat!(
    "SELECT ",
    answer_columns!(),
    ", evidence FROM attribution WHERE tenant_id = $1 AND message_key > $2 \
     ORDER BY message_key LIMIT $3"
);

/// A page of a range behind the position ($7, $8), with the tenant's revision of the same
/// snapshot. `$4` to `$6` filter where they are not NULL. By `attribution_by_time`.
pub(super) const RANGE: &str = concat!(
    "SELECT t.revision AS as_of, a.* FROM tenant t LEFT JOIN (SELECT ",
    answer_columns!(),
    " FROM attribution WHERE tenant_id = $1 AND listed \
     AND sent_at >= $2 AND sent_at < $3 \
     AND ($4 IS NULL OR mailbox = $4) \
     AND ($5 IS NULL OR agent = $5) \
     AND ($6 IS NULL OR verdict = $6) \
     AND (sent_at, message_key) > ($7, $8) \
     ORDER BY sent_at, message_key LIMIT $9) a ON true \
     WHERE t.tenant_id = $1 ORDER BY a.sent_at, a.message_key"
);

pub(super) const APPEND_CHANGE: &str =
    "INSERT INTO change (tenant_id, revision, committed_at, messages) VALUES ($1, $2, $3, $4)";

/// Answers the record id if it was not there.
pub(super) const PUT_ADMIN_CHANGE: &str = "INSERT INTO admin_change \
     (tenant_id, record_id, digest, happened_at, operation, actor, target, failed, parameters) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
     ON CONFLICT (tenant_id, record_id, digest) DO NOTHING RETURNING record_id";

pub(super) const PUT_QUARANTINED: &str = "INSERT INTO quarantine \
     (tenant_id, digest, reason, detail, received_at, bytes) VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT (tenant_id, digest) DO NOTHING";

pub(super) const PUT_DEPLOYMENT_KEY: &str = "INSERT INTO deployment_key (key_id, secret, created_at) VALUES (1, $1, $2) \
     ON CONFLICT (key_id) DO NOTHING";

pub(super) const DEPLOYMENT_KEY: &str = "SELECT secret FROM deployment_key WHERE key_id = 1";
