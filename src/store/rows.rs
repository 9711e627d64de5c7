//! Rows ⇄ domain. The same structs are read from both engines.

mod admin_change;
mod audit_batch;
mod quarantine;

pub(super) use admin_change::AdminChangeRow;
pub(super) use audit_batch::AuditBatchRow;
pub(super) use quarantine::{
    QuarantineColumn, QuarantineEntryRow, QuarantineRow, QuarantineUsageRow,
};

use super::{Result, StoreError, evidence};
use crate::domain::{
    Answer, Attribution, Basis, Generation, Identity, Lesson, Mailbox, MailboxKind, Message,
    MessageId, MessageKey, Readiness, Revision, Tenant, TenantId, Timestamp, Verdict,
    lesson::{NamedBy, Seen},
};
use sqlx::{
    ColumnIndex, Decode, Encode, FromRow, Postgres, Row, Sqlite, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef},
    sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef},
};
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
fn check_tenant(asked: TenantId, found: Uuid, table: &str) -> Result<()> {
    if asked.0 == found {
        return Ok(());
    }
    tracing::error!(table, %asked, %found, "TENANT WALL: a row of another tenant was refused");
    Err(StoreError::Corrupt(format!(
        "{table}: a row of another tenant"
    )))
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
#[derive(Debug, FromRow)]
pub(super) struct AnswerRow {
    pub(super) tenant_id: Uuid,
    pub(super) message_key: Uuid,
    pub(super) message_id: Option<String>,
    pub(super) sent_at: Micros,
    pub(super) revision: i64,
    pub(super) verdict: String,
    pub(super) basis: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) agent_object_id: Option<Uuid>,
    pub(super) mailbox: Option<String>,
    pub(super) candidates: Option<String>,
    pub(super) confirmed: bool,
    pub(super) contradicted: bool,
    pub(super) listed: bool,
}

impl AnswerRow {
    pub(super) fn into_answer(self, asked: TenantId) -> Result<Answer> {
        const TABLE: &str = "attribution";
        check_tenant(asked, self.tenant_id, TABLE)?;
        let verdict = Verdict::ALL.into_iter().find(|v| v.name() == self.verdict);
        let basis = match &self.basis {
            Some(name) => Some(
                Basis::ALL
                    .into_iter()
                    .find(|basis| basis.name() == name)
                    .ok_or_else(|| corrupt(TABLE, "basis"))?,
            ),
            None => None,
        };
        let id = self.message_id.as_deref().map(MessageId::parse).transpose();
        Ok(Answer {
            key: MessageKey(self.message_key),
            id: id.map_err(|_| corrupt(TABLE, "message_id"))?,
            revision: Revision(unsigned(self.revision, TABLE)?),
            attribution: Attribution {
                verdict: verdict.ok_or_else(|| corrupt(TABLE, "verdict"))?,
                basis,
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

    pub(super) fn of(tenant: TenantId, message: &Message) -> Self {
        let attribution = &message.attribution;
        Self {
            answer: AnswerRow {
                tenant_id: tenant.0,
                message_key: message.key.0,
                message_id: message.id.as_ref().map(ToString::to_string),
                sent_at: attribution.sent_at.into(),
                revision: signed(message.revision),
                verdict: attribution.verdict.name().into(),
                basis: attribution.basis.map(|basis| basis.name().into()),
                agent: attribution.agent.clone(),
                agent_object_id: attribution.agent_object_id,
                mailbox: attribution.mailbox.clone(),
                candidates: match attribution.candidates.as_slice() {
                    [] => None,
                    candidates => Some(candidates.join(" ")),
                },
                confirmed: attribution.confirmed,
                contradicted: attribution.contradicted,
                listed: attribution.listed,
            },
            evidence: evidence::encode(&message.evidence),
        }
    }
}

/// The tenant's revision beside a row that may be absent: one statement, one snapshot.
#[derive(Debug)]
pub(super) struct AsOf<T> {
    pub(super) generation: i64,
    pub(super) as_of: i64,
    pub(super) row: Option<T>,
}

impl<'r, R, T> FromRow<'r, R> for AsOf<T>
where
    R: Row,
    T: FromRow<'r, R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    Option<Uuid>: Decode<'r, R::Database> + Type<R::Database>,
    for<'a> &'a str: ColumnIndex<R>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        let present: Option<Uuid> = row.try_get("message_key")?;
        Ok(Self {
            generation: row.try_get("generation")?,
            as_of: row.try_get("as_of")?,
            row: present.map(|_| T::from_row(row)).transpose()?,
        })
    }
}
