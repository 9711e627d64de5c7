//! ListAttributions: a range of send times, a page at a time.

use super::{App, Error, Result, at_least, page::cut, secret::Query};
use crate::{
    domain::{Answer, MessageKey, Revision, Tenant, TenantId, Timestamp, Verdict, lesson::NamedBy},
    store::{RangeFilter, RangePosition},
};
use uuid::Uuid;

#[derive(Debug)]
pub struct Page {
    pub answers: Vec<Answer>,
    /// Empty: this was the last page.
    pub next_token: String,
    /// Of the first page: what changed after it may be missing in the walk.
    pub revision: Revision,
}

impl App {
    pub async fn list_attributions(
        &self,
        id: TenantId,
        mut filter: RangeFilter,
        page_size: u32,
        token: &str,
        revision: Revision,
    ) -> Result<Page> {
        let tenant = self.tenant(id).await?;
        let query = query(&tenant, &filter);
        let position = match token {
            "" => None,
            token => {
                let position = self.secret().await?.open(&query, token)?;
                Some(Position::decode(&position).ok_or(Error::PageTokenInvalid)?)
            }
        };
        self.resolve_aliases(&tenant, &mut filter).await?;

        let after = position.map(|position| position.after);
        let snapshot = self.store.range(id, &filter, after, page_size + 1).await?;
        let snapshot = snapshot.ok_or(Error::TenantNotFound(id))?;
        at_least(revision, snapshot.as_of)?;
        let first_revision = position.map_or(snapshot.as_of, |position| position.revision);
        let (answers, more) = cut(snapshot.value, page_size);
        let next_token = match answers.last() {
            Some(last) if more => {
                let next = Position {
                    after: RangePosition {
                        sent_at: last.attribution.sent_at,
                        key: last.key,
                    },
                    revision: first_revision,
                };
                self.secret().await?.seal(&query, &next.encode())?
            }
            _ => String::new(),
        };
        Ok(Page {
            answers,
            next_token,
            revision: first_revision,
        })
    }

    /// Answers carry one name of a mailbox or an agent; a caller may know another one.
    async fn resolve_aliases(&self, tenant: &Tenant, filter: &mut RangeFilter) -> Result<()> {
        if filter.mailbox.is_some() || filter.agent.is_some() {
            let directory = self.directories.of_tenant(&*self.store, tenant).await?;
            filter.mailbox = filter.mailbox.as_deref().and_then(|mailbox| {
                let name = directory.mailbox_name(Some(mailbox), None, NamedBy::SentAs);
                name.map(str::to_owned)
            });
            let agent = filter.agent.as_deref();
            filter.agent = agent.map(|agent| directory.agent_name(agent).to_owned());
        }
        Ok(())
    }
}

/// All that a page token is bound to.
fn query(tenant: &Tenant, filter: &RangeFilter) -> Query {
    let text = |text: &Option<String>| text.clone().unwrap_or_default().into_bytes();
    Query::new(
        "ListAttributions",
        &[
            tenant.id.0.as_bytes(),
            &tenant.generation.0.to_le_bytes(),
            &filter.range.start.micros().to_le_bytes(),
            &filter.range.end.micros().to_le_bytes(),
            &text(&filter.mailbox),
            &text(&filter.agent),
            filter.verdict.map_or("", Verdict::name).as_bytes(),
        ],
    )
}

/// What a page token holds: 8 bytes send time, 16 bytes key, 8 bytes revision.
#[derive(Clone, Copy)]
struct Position {
    after: RangePosition,
    revision: Revision,
}

impl Position {
    fn encode(self) -> Vec<u8> {
        [
            &self.after.sent_at.micros().to_le_bytes()[..],
            self.after.key.0.as_bytes(),
            &self.revision.0.to_le_bytes(),
        ]
        .concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (sent_at, rest) = bytes.split_first_chunk()?;
        let (key, revision) = rest.split_first_chunk()?;
        Some(Self {
            after: RangePosition {
                sent_at: Timestamp::from_micros(i64::from_le_bytes(*sent_at)),
                key: MessageKey(Uuid::from_bytes(*key)),
            },
            revision: Revision(u64::from_le_bytes(revision.try_into().ok()?)),
        })
    }
}
