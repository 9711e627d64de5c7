//! Extents and tallies: what a summary is made of.

use super::support::{
    OTHER_TENANT, TENANT,
    feed::{batches, records},
    register, time,
};
use crate::on_both_engines;
use sentby::{
    app::App,
    domain::{
        Answer, TenantId, TimeRange, Timestamp,
        summary::{Slots, Tally},
    },
    simulate::Random,
    store::{PageLimit, RangeFilter},
};
use std::{collections::BTreeMap, sync::Arc};

async fn fill(app: &Arc<App>) {
    for content in batches(&mut Random(7), &records(7, 600), 400) {
        let batch = crate::support::batch(TENANT, content);
        app.ingest_audit_batch(batch).await.expect("ingested");
    }
}

fn filter(start: &str, end: &str) -> RangeFilter {
    RangeFilter {
        range: TimeRange {
            start: time(start),
            end: time(end),
        },
        mailbox: None,
        agent: None,
        verdict: None,
    }
}

async fn range(app: &App, filter: &RangeFilter) -> Vec<Answer> {
    let limit = PageLimit {
        rows: 100_000,
        bytes: usize::MAX,
    };
    let page = app.store().range(TENANT, filter, None, limit).await;
    let page = page.expect("a page");
    assert!(!page.more);
    page.answers
}

async fn tallies(app: &App, tenant: TenantId, filter: &RangeFilter, slots: Slots) -> Vec<Tally> {
    let mut found = Vec::new();
    let mut add = |tally| found.push(tally);
    let read = app.store().tallies(tenant, filter, slots, &mut add).await;
    read.expect("read");
    found
}

type Key = (
    i64,
    Option<String>,
    Option<String>,
    &'static str,
    Option<&'static str>,
);
type Sums = (u64, u64, u64, u64, u64, Timestamp, Timestamp);

/// The same counts by going through the answers.
fn naive(answers: &[Answer], slots: Slots) -> BTreeMap<Key, Sums> {
    let mut sums: BTreeMap<Key, Sums> = BTreeMap::new();
    for answer in answers {
        let one = &answer.attribution;
        let behind = one.sent_at.micros() - slots.origin.micros();
        let key = (
            slots.origin.micros() + behind / slots.width * slots.width,
            one.mailbox.clone(),
            one.agent.clone(),
            one.verdict.name(),
            one.basis.map(|basis| basis.name()),
        );
        let sum = sums
            .entry(key)
            .or_insert((0, 0, 0, 0, 0, one.sent_at, one.sent_at));
        sum.0 += 1;
        sum.1 += u64::from(one.confirmed);
        sum.2 += u64::from(one.contradicted);
        sum.3 += u64::from(answer.id.is_none());
        sum.4 += u64::from(one.confirmed && one.contradicted);
        sum.5 = sum.5.min(one.sent_at);
        sum.6 = sum.6.max(one.sent_at);
    }
    sums
}

fn by_key(tallies: Vec<Tally>) -> BTreeMap<Key, Sums> {
    let count = tallies.len();
    let sums: BTreeMap<Key, Sums> = tallies
        .into_iter()
        .map(|tally| {
            let key = (
                tally.slot.micros(),
                tally.mailbox,
                tally.agent,
                tally.verdict.name(),
                tally.basis.map(|basis| basis.name()),
            );
            let sums = (
                tally.messages,
                tally.confirmed,
                tally.contradicted,
                tally.without_message_id,
                tally.confirmed_contradicted,
                tally.first,
                tally.last,
            );
            (key, sums)
        })
        .collect();
    assert_eq!(sums.len(), count, "each once");
    sums
}

on_both_engines! {
    /// Whatever the slots and filters are, tallies are the range counted.
    async fn tallies_are_the_range_counted(db: TestDb) {
        let app = db.app_with_tenant().await;
        register(&app, OTHER_TENANT).await;
        fill(&app).await;
        let all = filter("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        let whole = range(&app, &all).await;
        assert!(whole.len() > 500);
        assert!(whole.iter().any(|one| one.id.is_none()), "without a message id");
        assert!(whole.iter().any(|one| one.attribution.contradicted));
        assert!(whole.iter().any(|one| one.attribution.agent.is_none()));
        let part = filter("2026-03-01T02:07:07Z", "2026-03-01T07:30:07Z");
        let mailbox = RangeFilter { mailbox: Some("support@contoso.com".into()), ..all.clone() };
        let agent = RangeFilter { agent: Some("anna@contoso.com".into()), ..all.clone() };
        let nobody = RangeFilter { agent: Some("nobody@contoso.com".into()), ..all.clone() };
        for filter in [all.clone(), part, mailbox, agent, nobody] {
            let answers = range(&app, &filter).await;
            for (origin, minutes) in [
                ("2026-01-01T00:00:00Z", 60 * 24),
                ("2025-12-31T23:15:00Z", 60),
                ("2025-06-01T00:00:00Z", 15),
                ("2026-01-01T00:00:00Z", 60 * 24 * 366),
            ] {
                let slots = Slots { origin: time(origin), width: minutes * 60_000_000 };
                let found = by_key(tallies(&app, TENANT, &filter, slots).await);
                assert_eq!(found, naive(&answers, slots), "{filter:?} {slots:?}");
            }
        }
        let slots = Slots { origin: all.range.start, width: 1 };
        assert_eq!(tallies(&app, OTHER_TENANT, &all, slots).await, []);
    }

    /// An extent holds as many messages as asked for, and those of its last moment.
    async fn extents_walk_over_a_range(db: TestDb) {
        let app = db.app_with_tenant().await;
        fill(&app).await;
        let all = filter("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        let whole = range(&app, &all).await;
        let last = whole.last().expect("one").attribution.sent_at;
        for messages in [1, 7, 100, 100_000] {
            let (mut rest, mut seen) = (all.range, 0);
            while let Some(extent) = app.store().extent(TENANT, rest, messages).await.expect("read") {
                assert_eq!(extent.start, whole[seen].attribution.sent_at);
                let inside = range(&app, &RangeFilter { range: extent, ..all.clone() }).await;
                assert!(!inside.is_empty());
                let one_moment = extent.end.micros() == extent.start.micros() + 1;
                assert!(one_moment || inside.len() <= messages as usize);
                seen += inside.len();
                rest.start = extent.end;
            }
            assert_eq!(seen, whole.len());
            assert_eq!(rest.start.micros(), last.micros() + 1, "no further than the last one");
        }
        let before = TimeRange { start: Timestamp::EARLIEST, end: whole[0].attribution.sent_at };
        assert_eq!(app.store().extent(TENANT, before, 5).await.expect("read"), None);
        assert_eq!(app.store().extent(OTHER_TENANT, all.range, 5).await.expect("read"), None);
    }
}
