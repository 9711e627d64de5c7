//! Rows ⇄ domain. The same structs are read from both engines.

mod admin_change;
mod attribution;
mod audit_batch;
mod audit_setting;
mod change;
mod ledger;
mod owned;
mod privacy;
mod quarantine;
mod tally;

pub(super) use admin_change::{AdminChangeIdRow, AdminChangeReadRow, AdminChangeRow};
pub(super) use attribution::AttributionRow;
pub(super) use audit_batch::AuditBatchRow;
pub(super) use audit_setting::{SettingKeyRow, SettingRow, content as setting_content};
pub(super) use change::{CommitRow, TenantRevisionRow, pack};
pub(super) use ledger::{CoveredRow, FailureRow, LagRow, SideSeenRow, side};
pub(super) use owned::{Owned, TenantIdRow};
pub(super) use privacy::{CopyRow, ErasureRow, TombstoneRow};
pub(super) use quarantine::{
    QuarantineColumn, QuarantineEntryRow, QuarantineRow, QuarantineUsageRow,
};
pub(super) use tally::{ExtentRow, TallyRow, extent};

use super::{Result, StoreError, evidence};
use crate::domain::{
    Answer, Attribution, Basis, Deletion, Generation, Identity, Lesson, Mailbox, MailboxKind,
    Message, MessageId, MessageKey, Readiness, Revision, Tenant, TenantId, Timestamp, Verdict,
    lesson::{NamedBy, Seen},
};
use crate::telemetry::meters;
use sqlx::{
    ColumnIndex, Decode, Encode, FromRow, Postgres, Row, Sqlite, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef},
    sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef},
};
use std::fmt;
use uuid::Uuid;

/// A time as a column: `timestamptz` in Postgres, an integer in SQLite; exact in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Micros(pub(super) i64);

/// 2000-01-01, from which Postgres counts, in microseconds since 1970.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

impl From<Timestamp> for Micros {
    fn from(time: Timestamp) -> Self {
        Self(time.micros())
    }
}

impl From<Micros> for Timestamp {
    fn from(Micros(micros): Micros) -> Self {
        Self::from_micros(micros)
    }
}

impl Type<Postgres> for Micros {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("timestamptz")
    }
}

impl PgHasArrayType for Micros {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("_timestamptz")
    }
}

impl Encode<'_, Postgres> for Micros {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let since = self
            .0
            .checked_sub(POSTGRES_EPOCH)
            .ok_or("a time before all time")?;
        <i64 as Encode<Postgres>>::encode(since, buffer)
    }
}

impl Decode<'_, Postgres> for Micros {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        if value.format() != PgValueFormat::Binary {
            return Err("times are read in binary form only".into());
        }
        let since = <i64 as Decode<Postgres>>::decode(value)?;
        Ok(Self(
            since
                .checked_add(POSTGRES_EPOCH)
                .ok_or("a time after all time")?,
        ))
    }
}

impl Type<Sqlite> for Micros {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }

    fn compatible(ty: &SqliteTypeInfo) -> bool {
        <i64 as Type<Sqlite>>::compatible(ty)
    }
}

impl Encode<'_, Sqlite> for Micros {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<Sqlite>>::encode(self.0, buffer)
    }
}

impl Decode<'_, Sqlite> for Micros {
    fn decode(value: SqliteValueRef<'_>) -> Result<Self, BoxDynError> {
        <i64 as Decode<Sqlite>>::decode(value).map(Self)
    }
}

/// Refuses and reports a row of another tenant.
pub(super) fn check_tenant(asked: TenantId, found: Uuid, table: &str) -> Result<()> {
    if asked.0 == found {
        return Ok(());
    }
    Err(foreign(&asked, found, table))
}

/// Reports a row of a tenant that was not asked for.
fn foreign(asked: &dyn fmt::Display, found: Uuid, table: &str) -> StoreError {
    meters().store.wall.increment(1);
    tracing::error!(table, %asked, %found, "TENANT WALL: a row of another tenant was refused");
    StoreError::Corrupt(format!("{table}: a row of another tenant"))
}

fn corrupt(table: &str, column: &str) -> StoreError {
    StoreError::Corrupt(format!(
        "{table}.{column} has a value that this version does not know"
    ))
}

fn unsigned(number: i64, table: &str) -> Result<u64> {
    u64::try_from(number).map_err(|_| corrupt(table, "revision"))
}

/// Revisions as columns. They count single commits, so they never reach the sign bit.
pub(super) fn signed(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

#[derive(Debug, FromRow)]
pub(super) struct TenantRow {
    pub(super) tenant_id: Uuid,
    pub(super) display_name: String,
    pub(super) consented_at: Micros,
    pub(super) revoked_at: Option<Micros>,
    pub(super) registered_at: Micros,
    pub(super) generation: i64,
    pub(super) revision: i64,
    pub(super) directory_version: i64,
    pub(super) reattribute_after: Option<Uuid>,
    pub(super) taught: bool,
    pub(super) mailbox_side_first: Option<Micros>,
    pub(super) mailbox_side_last: Option<Micros>,
    pub(super) agent_side_first: Option<Micros>,
    pub(super) agent_side_last: Option<Micros>,
    pub(super) deleted_at: Option<Micros>,
    pub(super) delete_after: Option<Micros>,
    pub(super) retention_days: i64,
}

impl TenantRow {
    /// `asked`: the tenant that the statement named, if it named one.
    pub(super) fn into_tenant(self, asked: Option<TenantId>) -> Result<Tenant> {
        if let Some(asked) = asked {
            check_tenant(asked, self.tenant_id, "tenant")?;
        }
        let span = |first: Option<Micros>, last: Option<Micros>| {
            Some((Timestamp::from(first?), Timestamp::from(last?)))
        };
        Ok(Tenant {
            id: TenantId(self.tenant_id),
            display_name: self.display_name,
            consented_at: self.consented_at.into(),
            revoked_at: self.revoked_at.map(Timestamp::from),
            registered_at: self.registered_at.into(),
            revision: Revision(unsigned(self.revision, "tenant")?),
            generation: Generation(self.generation),
            directory_version: self.directory_version,
            reattribute_after: self.reattribute_after,
            taught: self.taught,
            readiness: Readiness {
                mailbox_side: span(self.mailbox_side_first, self.mailbox_side_last),
                agent_side: span(self.agent_side_first, self.agent_side_last),
            },
            deletion: span(self.deleted_at, self.delete_after).map(|(deleted_at, delete_after)| {
                Deletion {
                    deleted_at,
                    delete_after,
                }
            }),
            retention_days: u32::try_from(self.retention_days)
                .map_err(|_| corrupt("tenant", "retention_days"))?,
        })
    }
}

#[derive(Debug, FromRow)]
pub(super) struct MailboxRow {
    pub(super) tenant_id: Uuid,
    pub(super) address: String,
    pub(super) kind: String,
    pub(super) aliases: String,
    pub(super) display_name: String,
    pub(super) mailbox_guid: Option<Uuid>,
    pub(super) object_id: Option<Uuid>,
}

const MAILBOX_KINDS: [(MailboxKind, &str); 4] = [
    (MailboxKind::Shared, "SHARED"),
    (MailboxKind::User, "USER"),
    (MailboxKind::Group, "GROUP"),
    (MailboxKind::Resource, "RESOURCE"),
];

pub(super) fn mailbox_kind(kind: MailboxKind) -> &'static str {
    let known = MAILBOX_KINDS.iter().find(|(known, _)| *known == kind);
    known.map_or("", |(_, name)| name)
}

impl MailboxRow {
    pub(super) fn into_mailbox(self, asked: TenantId) -> Result<Mailbox> {
        check_tenant(asked, self.tenant_id, "mailbox")?;
        let kind = MAILBOX_KINDS.iter().find(|(_, name)| *name == self.kind);
        Ok(Mailbox {
            kind: kind.ok_or_else(|| corrupt("mailbox", "kind"))?.0,
            address: self.address,
            aliases: self.aliases.split_whitespace().map(Into::into).collect(),
            display_name: self.display_name,
            guid: self.mailbox_guid,
            object_id: self.object_id,
        })
    }
}

#[derive(Debug, FromRow)]
pub(super) struct LessonRow {
    pub(super) tenant_id: Uuid,
    pub(super) identity: String,
    pub(super) address: String,
    pub(super) named_by: String,
    pub(super) first_seen: Micros,
    pub(super) last_seen: Micros,
}

impl LessonRow {
    pub(super) fn into_lesson(self, asked: TenantId) -> Result<Lesson> {
        const TABLE: &str = "lesson";
        check_tenant(asked, self.tenant_id, TABLE)?;
        let identity = Identity::parse(&self.identity).map(Identity::into_owned);
        let named_by = NamedBy::ALL
            .into_iter()
            .find(|by| by.name() == self.named_by);
        Ok(Lesson {
            identity: identity.ok_or_else(|| corrupt(TABLE, "identity"))?,
            address: self.address,
            named_by: named_by.ok_or_else(|| corrupt(TABLE, "named_by"))?,
            seen: Seen {
                first: self.first_seen.into(),
                last: self.last_seen.into(),
            },
        })
    }
}

/// A row of `attribution` without its evidence.
#[derive(Debug)]
pub(super) struct AnswerRow {
    tenant_id: Uuid,
    message_key: Uuid,
    message_id: Option<String>,
    sent_at: Micros,
    revision: i64,
    verdict: Verdict,
    basis: Option<Basis>,
    agent: Option<String>,
    agent_object_id: Option<Uuid>,
    mailbox: Option<String>,
    candidates: Option<String>,
    confirmed: bool,
    contradicted: bool,
    listed: bool,
}

/// By position, in the order of `answer_columns`, and without asking of each value whether its
/// column has the type that the schema gives it: ranges read a million of these, and both
/// together cost as much as all the rest.
impl<'r, R> FromRow<'r, R> for AnswerRow
where
    R: Row,
    usize: ColumnIndex<R>,
    Uuid: Decode<'r, R::Database>,
    &'r str: Decode<'r, R::Database>,
    String: Decode<'r, R::Database>,
    Micros: Decode<'r, R::Database>,
    i64: Decode<'r, R::Database>,
    bool: Decode<'r, R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        let verdict = one_of(Verdict::ALL, Verdict::name, row.try_get_unchecked(5)?);
        let basis: Option<&str> = row.try_get_unchecked(6)?;
        Ok(Self {
            tenant_id: row.try_get_unchecked(0)?,
            message_key: row.try_get_unchecked(1)?,
            message_id: row.try_get_unchecked(2)?,
            sent_at: row.try_get_unchecked(3)?,
            revision: row.try_get_unchecked(4)?,
            verdict: verdict?,
            basis: basis
                .map(|basis| one_of(Basis::ALL, Basis::name, basis))
                .transpose()?,
            agent: row.try_get_unchecked(7)?,
            agent_object_id: row.try_get_unchecked(8)?,
            mailbox: row.try_get_unchecked(9)?,
            candidates: row.try_get_unchecked(10)?,
            confirmed: row.try_get_unchecked(11)?,
            contradicted: row.try_get_unchecked(12)?,
            listed: row.try_get_unchecked(13)?,
        })
    }
}

fn one_of<T: Copy>(
    all: impl IntoIterator<Item = T>,
    name: impl Fn(T) -> &'static str,
    text: &str,
) -> Result<T, sqlx::Error> {
    let known = all.into_iter().find(|one| name(*one) == text);
    known.ok_or_else(|| sqlx::Error::Decode(Box::new(corrupt("attribution", "verdict or basis"))))
}

impl AnswerRow {
    pub(super) fn into_answer(self, asked: TenantId) -> Result<Answer> {
        const TABLE: &str = "attribution";
        check_tenant(asked, self.tenant_id, TABLE)?;
        let id = self.message_id.map(MessageId::from_text).transpose();
        Ok(Answer {
            key: MessageKey(self.message_key),
            id: id.map_err(|_| corrupt(TABLE, "message_id"))?,
            revision: Revision(unsigned(self.revision, TABLE)?),
            attribution: Attribution {
                verdict: self.verdict,
                basis: self.basis,
                agent: self.agent,
                agent_object_id: self.agent_object_id,
                mailbox: self.mailbox,
                confirmed: self.confirmed,
                contradicted: self.contradicted,
                sent_at: self.sent_at.into(),
                candidates: self
                    .candidates
                    .iter()
                    .flat_map(|candidates| candidates.split_whitespace())
                    .map(Into::into)
                    .collect(),
                listed: self.listed,
            },
        })
    }
}

/// A row of `attribution` with its evidence.
#[derive(Debug, FromRow)]
pub(super) struct MessageRow {
    #[sqlx(flatten)]
    pub(super) answer: AnswerRow,
    pub(super) evidence: Vec<u8>,
}

impl MessageRow {
    pub(super) fn into_message(self, asked: TenantId) -> Result<Message> {
        let answer = self.answer.into_answer(asked)?;
        Ok(Message {
            key: answer.key,
            id: answer.id,
            evidence: evidence::decode(&self.evidence)?,
            attribution: answer.attribution,
            revision: answer.revision,
        })
    }
}

/// The tenant, its generation and its revision behind a row that may be absent: one statement, one snapshot.
#[derive(Debug)]
pub(super) struct AsOf<T> {
    pub(super) of_tenant: Uuid,
    pub(super) generation: i64,
    pub(super) as_of: i64,
    pub(super) row: Option<T>,
}

impl<'r, R, T> FromRow<'r, R> for AsOf<T>
where
    R: Row,
    T: FromRow<'r, R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    Uuid: Decode<'r, R::Database> + Type<R::Database>,
    usize: ColumnIndex<R>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        let present: Option<Uuid> = row.try_get(0)?;
        Ok(Self {
            of_tenant: row.try_get(row.len() - 3)?,
            generation: row.try_get(row.len() - 2)?,
            as_of: row.try_get(row.len() - 1)?,
            row: present.map(|_| T::from_row(row)).transpose()?,
        })
    }
}
