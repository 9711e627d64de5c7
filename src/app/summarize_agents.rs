//! SummarizeAgents: messages by mailbox, agent and bucket, a page at a time.
//!
//! A page is made of statements that count some thousand messages each, so no statement takes
//! long, however many messages there are. Between two of them nothing of the store is held, and
//! a caller that leaves ends the walk there.

use super::{App, Error, Result, now, secret::Query};
use crate::{
    domain::{
        Revision, Tenant, TenantId, TimeRange, Timestamp,
        summary::{Buckets, Fold, RowKey, SummaryRow},
    },
    store::RangeFilter,
};
use std::sync::Arc;

/// Summaries of this process at a time; others wait. The store has few connections for reads.
pub const AT_A_TIME: usize = 2;
/// Messages of one statement at most. The first one of a page counts little more than it has
/// rows, each further one twice as many as the one before.
const MOST: u32 = 128_000;
/// Time of one statement at most, but for a bucket that is longer: its buckets are gone through
/// one by one.
const LONGEST: i64 = 366 * 86_400 * 1_000_000;

/// What a summary is asked for, the same on every page of it.
#[derive(Clone, Debug)]
pub struct SummaryQuery {
    pub tenant: TenantId,
    pub buckets: Buckets,
    pub mailbox: Option<String>,
    pub agent: Option<String>,
    /// No page may be older.
    pub at_least: Revision,
}

#[derive(Debug)]
pub struct SummaryPage {
    pub rows: Vec<SummaryRow>,
    /// Empty: this was the last page.
    pub next_token: String,
    /// Of the first page.
    pub revision: Revision,
    /// Read before the rows, which hold all that it speaks of.
    pub complete_through: Option<Timestamp>,
}

/// What a page begins with.
struct Begun {
    walk: Walk,
    query: Query,
    revision: Revision,
    complete_through: Option<Timestamp>,
}

/// A page that is being made.
struct Walk {
    tenant: TenantId,
    /// Aliases resolved.
    filter: RangeFilter,
    buckets: Buckets,
    fold: Fold,
    /// All that was sent before is counted.
    counted: Timestamp,
    messages: u32,
    is_done: bool,
}

impl App {
    /// Every statement runs in a task that a leaving caller cannot drop, the walk does not.
    pub async fn summarize_agents(
        self: &Arc<Self>,
        asked: SummaryQuery,
        page_size: u32,
        token: String,
    ) -> Result<SummaryPage> {
        let turn = self.summaries.acquire().await;
        let _turn = turn.map_err(|error| Error::bug(&error))?;
        let begun =
            self.detached(move |app| async move { app.begin_walk(asked, page_size, &token).await });
        let Begun {
            mut walk,
            query,
            revision,
            complete_through,
        } = begun.await?;
        while !walk.is_done {
            walk = self
                .detached(move |app| async move { app.count_on(walk).await })
                .await?;
        }
        let mut rows = walk.fold.into_rows();
        let mut next_token = String::new();
        if rows.len() > page_size as usize {
            // it tells where the next page begins
            let next = rows.pop().map(|row| RowKey {
                bucket: row.bucket.start,
                mailbox: row.mailbox,
                agent: row.agent,
            });
            if let Some(next) = next {
                let position = Position { next, revision };
                next_token = self.secret().await?.seal(&query, &position.encode())?;
            }
        }
        Ok(SummaryPage {
            rows,
            next_token,
            revision,
            complete_through,
        })
    }

    async fn begin_walk(&self, asked: SummaryQuery, page_size: u32, token: &str) -> Result<Begun> {
        // read before the rows, its revision is never newer than what they show
        let tenant = self.tenant(asked.tenant, asked.at_least).await?;
        let query = query(&tenant, &asked);
        let (mut from, mut revision) = (None, tenant.revision);
        if !token.is_empty() {
            let position = self.secret().await?.open(&query, token)?;
            let position = Position::decode(&position).ok_or(Error::PageTokenInvalid)?;
            (from, revision) = (Some(position.next), position.revision);
        }
        let coverage = self
            .filed_coverage(tenant.id, asked.at_least)
            .await?
            .coverage;
        let buckets = asked.buckets;
        let counted = from
            .as_ref()
            .map_or(buckets.range.start, |from: &RowKey| from.bucket);
        let filter = RangeFilter {
            range: buckets.range,
            mailbox: asked.mailbox,
            agent: asked.agent,
            verdict: None,
        };
        let walk = Walk {
            tenant: tenant.id,
            filter: self.resolve_aliases(&tenant, &filter).await?,
            fold: Fold::new(buckets.clone(), from, page_size as usize + 1),
            buckets,
            counted,
            messages: page_size.max(100) * 3 / 2,
            is_done: false,
        };
        Ok(Begun {
            walk,
            query,
            revision,
            complete_through: coverage.complete(now()).map(|complete| complete.end),
        })
    }

    /// One more statement.
    async fn count_on(&self, mut walk: Walk) -> Result<Walk> {
        let rest = TimeRange {
            start: walk.counted,
            ..walk.buckets.range
        };
        let found = self.store.extent(walk.tenant, rest, walk.messages).await?;
        let Some(mut span) = found else {
            walk.is_done = true;
            return Ok(walk);
        };
        let bucket = walk.buckets.containing(span.start);
        let longest = Timestamp::from_micros(span.start.micros() + LONGEST);
        span.end = span.end.min(longest.max(bucket.end));
        walk.filter.range = span;
        let (slots, fold) = (walk.buckets.slots(span), &mut walk.fold);
        self.store
            .tallies(walk.tenant, &walk.filter, slots, &mut |tally| {
                fold.add(tally);
            })
            .await?;
        walk.counted = span.end;
        walk.messages = (walk.messages * 2).min(MOST);
        walk.is_done = walk.fold.is_full(walk.counted);
        Ok(walk)
    }
}

/// All that a page token is bound to.
fn query(tenant: &Tenant, asked: &SummaryQuery) -> Query {
    let text = |text: &Option<String>| text.clone().unwrap_or_default().into_bytes();
    let Buckets {
        range,
        bucket,
        zone,
    } = &asked.buckets;
    Query::new(
        "SummarizeAgents",
        &[
            tenant.id.0.as_bytes(),
            &tenant.generation.0.to_le_bytes(),
            &range.start.micros().to_le_bytes(),
            &range.end.micros().to_le_bytes(),
            bucket.name().as_bytes(),
            zone.name().as_bytes(),
            &text(&asked.mailbox),
            &text(&asked.agent),
        ],
    )
}

/// What a page token holds: 8 bytes revision, 8 bytes start of the bucket, 4 bytes length of the
/// mailbox, mailbox and agent of the first row of the page.
struct Position {
    next: RowKey,
    revision: Revision,
}

impl Position {
    fn encode(&self) -> Vec<u8> {
        let length = u32::try_from(self.next.mailbox.len()).unwrap_or(u32::MAX);
        [
            &self.revision.0.to_le_bytes()[..],
            &self.next.bucket.micros().to_le_bytes(),
            &length.to_le_bytes(),
            self.next.mailbox.as_bytes(),
            self.next.agent.as_bytes(),
        ]
        .concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (revision, rest) = bytes.split_first_chunk()?;
        let (bucket, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (mailbox, agent) = rest.split_at_checked(length)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        Some(Self {
            revision: Revision(u64::from_le_bytes(*revision)),
            next: RowKey {
                bucket: Timestamp::from_micros(i64::from_le_bytes(*bucket)),
                mailbox: text(mailbox)?,
                agent: text(agent)?,
            },
        })
    }
}
