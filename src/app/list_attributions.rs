//! ListAttributions: a range of send times, a page at a time.

use super::{App, Error, Result, coverage::RangeCoverage, page::MAX_PAGE_BYTES, secret::Query};
use crate::{
    domain::{
        Answer, FeedPosition, MessageKey, Revision, Tenant, TenantId, Timestamp, Verdict,
        lesson::NamedBy,
    },
    store::{PageLimit, RangeFilter, RangePosition},
};
use uuid::Uuid;

/// What a walk over a range asks for, the same on every page of it.
#[derive(Clone, Debug)]
pub struct Walk {
    pub tenant: TenantId,
    pub filter: RangeFilter,
    /// No page may be older.
    pub at_least: Revision,
}

#[derive(Debug)]
pub struct Page {
    pub answers: Vec<Answer>,
    /// Empty: this was the last page.
    pub next_token: String,
    /// Of the first page: what changed after it may be missing in the walk.
    pub revision: Revision,
    /// The same as a position of the feed.
    pub watch_token: String,
    /// What may be missing: with the first page of a walk.
    pub coverage: Option<RangeCoverage>,
    /// What tokens of this walk are bound to.
    query: Query,
}

impl App {
    pub async fn list_attributions(
        &self,
        walk: &Walk,
        page_size: u32,
        token: &str,
    ) -> Result<Page> {
        let limit = PageLimit {
            rows: page_size,
            bytes: MAX_PAGE_BYTES,
        };
        self.page(walk, limit, token).await
    }

    /// The page behind the one that gave the token.
    pub(super) async fn page(&self, walk: &Walk, limit: PageLimit, token: &str) -> Result<Page> {
        // read before the rows, its revision is never newer than what they show
        let tenant = self.tenant(walk.tenant, walk.at_least).await?;
        let query = query(&tenant, &walk.filter);
        let position = match token {
            "" => None,
            token => {
                let position = self.secret().await?.open(&query, token)?;
                Some(Position::decode(&position).ok_or(Error::PageTokenInvalid)?)
            }
        };
        let coverage = match position {
            Some(_) => None,
            None => {
                let range = walk.filter.range;
                Some(
                    self.coverage_of_range(tenant.id, range, walk.at_least)
                        .await?,
                )
            }
        };
        let filter = self.resolve_aliases(&tenant, &walk.filter).await?;
        let after = position.map(|position| position.after);
        let found = self.store.range(tenant.id, &filter, after, limit).await?;
        let revision = position.map_or(tenant.revision, |position| position.revision);
        let behind = FeedPosition::behind(revision);
        let mut page = Page {
            answers: found.answers,
            next_token: String::new(),
            revision,
            watch_token: self
                .feed_token(tenant.id, tenant.generation, behind)
                .await?,
            coverage,
            query,
        };
        if let (Some(last), true) = (page.answers.last(), found.more) {
            page.next_token = self.token_behind(&page, last).await?;
        }
        Ok(page)
    }

    /// The token of the place in the walk behind this answer.
    pub(super) async fn token_behind(&self, page: &Page, answer: &Answer) -> Result<String> {
        let position = Position {
            after: RangePosition {
                sent_at: answer.attribution.sent_at,
                key: answer.key,
            },
            revision: page.revision,
        };
        self.secret().await?.seal(&page.query, &position.encode())
    }

    /// Answers carry one name of a mailbox or an agent; a caller may know another one.
    pub(super) async fn resolve_aliases(
        &self,
        tenant: &Tenant,
        filter: &RangeFilter,
    ) -> Result<RangeFilter> {
        let mut filter = filter.clone();
        if filter.mailbox.is_some() || filter.agent.is_some() {
            let directory = self.directories.of_tenant(&*self.store, tenant).await?;
            filter.mailbox = filter.mailbox.as_deref().and_then(|mailbox| {
                let name = directory.mailbox_name(Some(mailbox), None, NamedBy::SentAs);
                name.map(str::to_owned)
            });
            let agent = filter.agent.as_deref();
            filter.agent = agent.map(|agent| directory.agent_name(agent).to_owned());
        }
        Ok(filter)
    }
}

/// All that a page token is bound to. A place in a range is one thing, whether it is read by pages
/// or as a stream: their tokens are the same.
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
