//! Covered time: what `LedgerStore` and `LedgerTx` promise.

use super::support::{OTHER_TENANT, TENANT, register, time};
use crate::on_both_engines;
use sentby::{
    app::App,
    domain::{
        Clock, Lag, Side, TenantId, TimeRange, Timestamp, Window,
        coverage::{Covered, Failure, Line, Outcome},
        time::HOUR,
    },
    store::{
        Expiring, Tx,
        ledger::{SidePair, SideSeen},
    },
};

async fn write(app: &App, tenant: TenantId, what: impl AsyncFnOnce(&mut dyn Tx)) {
    let tx = app.store().begin(tenant).await.expect("begun");
    let mut tx = tx.expect("a tenant");
    what(&mut *tx).await;
    tx.commit().await.expect("committed");
}

fn at(hour: i64) -> Timestamp {
    time("2026-03-01T00:00:00Z").plus(hour * HOUR)
}

fn hours(start: i64, end: i64) -> TimeRange {
    TimeRange {
        start: at(start),
        end: at(end),
    }
}

fn line(source: &str, clock: Clock, settled_days: i64) -> Line {
    Line {
        source: source.into(),
        clock,
        settled_days,
    }
}

/// In the order of lines and times.
async fn covered(app: &App, tenant: TenantId) -> Vec<Covered> {
    let snapshot = app
        .store()
        .covered(tenant)
        .await
        .expect("read")
        .expect("a tenant");
    let mut covered = snapshot.value;
    covered.sort_by(|a, b| (&a.line, a.range.start).cmp(&(&b.line, b.range.start)));
    covered
}

on_both_engines! {
    /// A period takes the place of those that it touches, of its own line only.
    async fn a_period_takes_the_place_of_what_it_touches(db: TestDb) {
        let app = db.app_with_tenant().await;
        register(&app, OTHER_TENANT).await;
        assert_eq!(covered(&app, TENANT).await, []);
        let nobody = TenantId(uuid::Uuid::from_u128(9));
        assert!(app.store().covered(nobody).await.expect("read").is_none());

        let one = line("\u{fc} one", Clock::ContentCreated, 0);
        let others = [
            line("", Clock::ContentCreated, 0),
            line("\u{fc} one", Clock::EventTime, 1),
            line("\u{fc} one", Clock::EventTime, 2),
        ];
        for tenant in [TENANT, OTHER_TENANT] {
            write(&app, tenant, async |tx| {
                for other in &others {
                    tx.cover(other, hours(0, 100), at(1)).await.expect("put");
                }
                for start in [0, 10, 20, 30] {
                    tx.cover(&one, hours(start, start + 5), at(start)).await.expect("put");
                }
            }).await;
        }
        write(&app, TENANT, async |tx| {
            for (asked, near) in [
                (hours(6, 9), vec![]),
                (hours(5, 9), vec![hours(0, 5)]),
                (hours(6, 10), vec![hours(10, 15)]),
                (hours(11, 12), vec![hours(10, 15)]),
                (hours(14, 31), vec![hours(10, 15), hours(20, 25), hours(30, 35)]),
            ] {
                assert_eq!(tx.covered_near(&one, asked).await.expect("read"), near);
            }
            tx.cover(&one, hours(10, 25), at(99)).await.expect("put");
            assert_eq!(tx.covering_sources(9).await.expect("read"), ["", "\u{fc} one"]);
            assert_eq!(tx.covering_sources(1).await.expect("read"), [""]);
        }).await;
        let of_one = |covered: Vec<Covered>| -> Vec<(TimeRange, Timestamp)> {
            let of_one = covered.into_iter().filter(|covered| covered.line == one);
            of_one.map(|covered| (covered.range, covered.advanced_at)).collect()
        };
        let mine = covered(&app, TENANT).await;
        assert_eq!(mine.len(), 6);
        let expected = [(hours(0, 5), at(0)), (hours(10, 25), at(99)), (hours(30, 35), at(30))];
        assert_eq!(of_one(mine), expected);
        assert_eq!(covered(&app, OTHER_TENANT).await.len(), 7);
    }

    /// The newest periods are kept.
    async fn periods_are_bounded(db: TestDb) {
        let app = db.app_with_tenant().await;
        register(&app, OTHER_TENANT).await;
        for tenant in [TENANT, OTHER_TENANT] {
            write(&app, tenant, async |tx| {
                for n in 0..10 {
                    let of = line(["a", "b"][n as usize % 2], Clock::ContentCreated, 0);
                    tx.cover(&of, hours(10 * n, 10 * n + 1), at(0)).await.expect("put");
                }
            }).await;
        }
        assert_eq!(app.store().trim_covered(TENANT, 10).await.expect("done"), 0);
        assert_eq!(app.store().trim_covered(TENANT, 4).await.expect("done"), 6);
        let starts: Vec<_> = covered(&app, TENANT).await.iter().map(|one| one.range.start).collect();
        assert_eq!(starts, [at(60), at(80), at(70), at(90)]);
        assert_eq!(covered(&app, OTHER_TENANT).await.len(), 10);
    }

    /// The last failure of each source and clock comes back as it was; the same one again is one.
    async fn failures_are_kept_once_each(db: TestDb) {
        let app = db.app_with_tenant().await;
        register(&app, OTHER_TENANT).await;
        let failure = |source: &str, clock, hour, received| Failure {
            source: source.into(),
            window: Window {
                range: hours(hour, hour + 1),
                clock,
                outcome: [Outcome::Failed, Outcome::Partial][hour as usize % 2],
                code: "AF20022 \u{fc}".into(),
            },
            received_at: at(received),
        };
        let content = Clock::ContentCreated;
        write(&app, TENANT, async |tx| {
            for received in [50, 60] {
                tx.put_failure(&failure("one", content, 1, received)).await.expect("put");
            }
            tx.put_failure(&failure("one", content, 2, 55)).await.expect("put");
            tx.put_failure(&failure("one", Clock::EventTime, 3, 10)).await.expect("put");
            tx.put_failure(&failure("", content, 4, 10)).await.expect("put");
        }).await;
        let rows = "SELECT count(*) FROM coverage_failure WHERE tenant_id = $1";
        assert_eq!(db.number(rows, TENANT).await, 4);
        let mut last = app.store().last_failures(TENANT, 9).await.expect("read");
        last.sort_by_key(|one| (one.source.clone(), one.window.clock));
        assert_eq!(last, [
            failure("", content, 4, 10),
            failure("one", content, 1, 60),
            failure("one", Clock::EventTime, 3, 10),
        ]);
        assert_eq!(app.store().last_failures(TENANT, 2).await.expect("read").len(), 2);
        assert_eq!(app.store().last_failures(OTHER_TENANT, 9).await.expect("read"), []);
        let expired = app.store().expire(TENANT, Expiring::Failures, at(20), 9).await;
        assert_eq!(expired.expect("deleted"), 2);
        assert_eq!(db.number(rows, TENANT).await, 2);
    }

    /// Lags and sides come back as they were; sides span both times.
    async fn lags_and_sides_are_kept(db: TestDb) {
        let app = db.app_with_tenant().await;
        register(&app, OTHER_TENANT).await;
        let mut lag = Lag::default();
        assert_eq!(app.store().lag(TENANT).await.expect("read"), lag);
        let pair = |agent: &str, side| SidePair {
            mailbox: "support@contoso.com".into(),
            agent: agent.into(),
            side,
        };
        let seen = |pair: SidePair, first, last| SideSeen { pair, first: at(first), last: at(last) };
        for (first, last) in [(10, 20), (12, 15), (5, 12), (15, 30)] {
            write(&app, TENANT, async |tx| {
                lag.add(last * HOUR);
                tx.put_lag(&lag).await.expect("put");
                assert_eq!(tx.lag().await.expect("read"), lag);
                tx.put_sides_seen(&[]).await.expect("put");
                let both = [seen(pair("a", Side::Mailbox), first, last), seen(pair("b", Side::Agent), last, last)];
                tx.put_sides_seen(&both).await.expect("put");
            }).await;
        }
        assert_eq!(app.store().lag(TENANT).await.expect("read"), lag);
        assert!(app.store().lag(OTHER_TENANT).await.expect("read").is_empty());
        let sides = app.store().sides_seen(TENANT, 9).await.expect("read");
        let expected = [seen(pair("a", Side::Mailbox), 5, 30), seen(pair("b", Side::Agent), 12, 30)];
        assert_eq!(sides, expected);
        assert_eq!(app.store().sides_seen(TENANT, 1).await.expect("read"), expected[..1]);
        assert_eq!(app.store().sides_seen(OTHER_TENANT, 9).await.expect("read"), []);
        // more than one statement takes
        let many: Vec<SideSeen> = (0..450).map(|n| seen(pair(&format!("{n:03}"), Side::Agent), 0, 1)).collect();
        write(&app, OTHER_TENANT, async |tx| tx.put_sides_seen(&many).await.expect("put")).await;
        assert_eq!(app.store().sides_seen(OTHER_TENANT, 1_000).await.expect("read"), many);
    }
}
