//! What collectors say that they have covered, and what answers make of it.

use super::server::{TestServer, counts, reason};
use crate::{
    on_both_engines,
    support::{
        OTHER_TENANT, TENANT, TestDb, assert_same_rows,
        feed::Random,
        records::{Record, SUPPORT, blob},
        register,
    },
};
use sentby::pb::{
    self, IngestAuditBatchRequest as Batch, IngestAuditBatchResponse as Answer, MissReason,
    Verdict, WindowClock as Clock, WindowOutcome as Outcome,
};
use std::time::SystemTime;
use tonic::{Code, Status};

const ANNA: &str = "anna@contoso.com";
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// The hours of a test are counted from a whole one of this many hours ago.
#[derive(Clone, Copy)]
struct Hours(i64);

impl Hours {
    fn ago(hours: i64) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = i64::try_from(now.expect("after 1970").as_secs()).expect("seconds");
        Self(now - now % HOUR - hours * HOUR)
    }

    fn at(self, hour: i64) -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp {
            seconds: self.0 + hour * HOUR,
            nanos: 0,
        })
    }

    /// As a record writes it.
    fn text(self, hour: i64) -> String {
        let time = self.at(hour).expect("a time").to_string();
        time.trim_end_matches('Z').to_owned()
    }

    fn window(self, from: i64, to: i64) -> Batch {
        Batch {
            tenant_id: TENANT.to_string(),
            source: "collector".into(),
            window: Some(pb::Window {
                start: self.at(from),
                end: self.at(to),
                clock: Clock::ContentCreated.into(),
                outcome: Outcome::Complete.into(),
                code: String::new(),
            }),
            ..Default::default()
        }
    }

    /// Of one that was not complete.
    fn failed(self, from: i64, to: i64, outcome: Outcome, code: &str) -> Batch {
        with(self.window(from, to), |window| {
            window.outcome = outcome.into();
            window.code = code.into();
        })
    }

    fn searched(self, from: i64, to: i64) -> Batch {
        with(self.window(from, to), |window| {
            window.clock = Clock::EventTime.into()
        })
    }

    fn hour_of(self, time: Option<prost_types::Timestamp>) -> Option<i64> {
        let seconds = time?.seconds - self.0;
        assert_eq!(seconds % HOUR, 0, "a whole hour");
        Some(seconds / HOUR)
    }

    /// By hours: start, end, sent_start, sent_end, served_until.
    fn gaps(self, gaps: &[pb::CoverageGap]) -> Vec<[Option<i64>; 5]> {
        let gap = |gap: &pb::CoverageGap| {
            [
                gap.start,
                gap.end,
                gap.sent_start,
                gap.sent_end,
                gap.served_until,
            ]
            .map(|time| self.hour_of(time))
        };
        gaps.iter().map(gap).collect()
    }

    /// complete_since and complete_through.
    fn complete(self, coverage: &pb::GetCoverageResponse) -> Option<(i64, i64)> {
        self.hour_of(coverage.complete_since)
            .zip(self.hour_of(coverage.complete_through))
    }
}

fn with(mut batch: Batch, change: impl FnOnce(&mut pb::Window)) -> Batch {
    change(batch.window.as_mut().expect("a window"));
    batch
}

async fn send(server: &TestServer, batch: Batch) -> Result<Answer, Status> {
    Ok(server
        .ingest()
        .ingest_audit_batch(batch)
        .await?
        .into_inner())
}

async fn coverage(server: &TestServer) -> pb::GetCoverageResponse {
    let request = pb::GetCoverageRequest {
        tenant_id: TENANT.to_string(),
        ..Default::default()
    };
    server
        .coverage()
        .get_coverage(request)
        .await
        .expect("covered")
        .into_inner()
}

/// Verdict and miss reason of a message that was sent then.
async fn lookup(
    server: &TestServer,
    id: &str,
    sent_at: Option<prost_types::Timestamp>,
) -> (Verdict, MissReason) {
    let request = pb::LookupAttributionsRequest {
        tenant_id: TENANT.to_string(),
        queries: vec![pb::lookup_attributions_request::Query {
            message_id: id.into(),
            sent_at,
        }],
        ..Default::default()
    };
    let answer = server.attributions().lookup_attributions(request).await;
    let answer = answer
        .expect("answered")
        .into_inner()
        .attributions
        .remove(0);
    (answer.verdict(), answer.miss_reason())
}

async fn get(server: &TestServer, id: &str, sent_at: Option<prost_types::Timestamp>) -> String {
    let request = pb::GetAttributionRequest {
        tenant_id: TENANT.to_string(),
        message_id: id.into(),
        sent_at,
        ..Default::default()
    };
    match server.attributions().get_attribution(request).await {
        Ok(_) => String::new(),
        Err(refused) => {
            assert_eq!(refused.code(), Code::NotFound);
            reason(&refused).1
        }
    }
}

on_both_engines! {
    /// A feed of hourly windows; without any one of its hours, or with a failure there, that gap
    /// is named exactly, and closed by sending it.
    async fn a_missing_hour_is_named_and_closes(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let hours = Hours::ago(100);
        let mut random = Random(7);
        for missing in [1, 40, 98] {
            db.execute("DELETE FROM coverage_window").await;
            let mut all: Vec<i64> = (0..100).filter(|hour| *hour != missing).collect();
            random.shuffle(&mut all);
            for hour in all {
                send(&server, hours.window(hour, hour + 1)).await.expect("sent");
            }
            let failed = hours.failed(missing, missing + 1, Outcome::Failed, "AF20022");
            let before = coverage(&server).await;
            let answer = send(&server, failed).await.expect("sent");
            assert_eq!(answer.revision, before.revision, "nothing is covered");

            let gapped = coverage(&server).await;
            let gap = [missing, missing + 1, missing - 24, missing + 1, missing + 7 * 24].map(Some);
            assert_eq!(hours.gaps(&gapped.gaps), [gap]);
            let source = &gapped.sources[0];
            assert_eq!((source.source.as_str(), source.clock()), ("collector", Clock::ContentCreated));
            assert_eq!(source.periods.len(), 2);
            let failure = source.last_failure.as_ref().expect("noted");
            assert_eq!((failure.outcome(), failure.code.as_str()), (Outcome::Failed, "AF20022"));
            assert_eq!(hours.hour_of(failure.start), Some(missing));
            // an hour at the beginning comes before all that is complete
            let complete = match missing {
                1 => (2, 76),
                missing => (0, (missing - 24).min(76)),
            };
            assert_eq!(hours.complete(&gapped), Some(complete), "{missing}");

            send(&server, hours.window(missing, missing + 1)).await.expect("sent");
            let closed = coverage(&server).await;
            assert_eq!(hours.gaps(&closed.gaps), [] as [[Option<i64>; 5]; 0]);
            assert_eq!(hours.complete(&closed), Some((0, 76)));
            assert_eq!(closed.sources[0].periods.len(), 1);
            assert_eq!(closed.revision, gapped.revision + 1);
        }
        db.assert_gapless(TENANT).await;
    }

    /// One ledger for any order, repeats, overlaps, sources, joined batches and two servers.
    async fn the_ledger_is_the_same_in_any_order(db: TestDb) {
        let hours = Hours::ago(24 * 50); // all long before now
        let mut random = Random(11);
        let mut windows: Vec<Batch> = Vec::new();
        for n in 0..120i64 {
            let from = (n * 7_919) % 900;
            let window = match n % 4 {
                0 => hours.searched(from, from + 1 + n % 30),
                1 => hours.failed(from, from + 5, Outcome::Partial, "AF50000"),
                _ => hours.window(from, from + 1 + n % 9),
            };
            let source = ["one", "two", ""][n as usize % 3];
            windows.push(Batch { source: source.into(), ..window });
        }
        let sqlite = TestDb::sqlite().await;
        let server = TestServer::with_tenant(&sqlite).await;
        for window in &windows {
            send(&server, window.clone()).await.expect("sent");
        }
        let expected = sqlite.ledger(TENANT).await;
        assert!(expected.len() > 100, "{}", expected.len());

        let servers = [TestServer::with_tenant(&db).await, TestServer::start(&db).await];
        let mut shuffled: Vec<Batch> = windows.iter().chain(&windows[..60]).cloned().collect();
        random.shuffle(&mut shuffled);
        // at once: what waits is stored together
        let mut sent = Vec::new();
        for (n, window) in shuffled.into_iter().enumerate() {
            let mut client = servers[n % 2].ingest();
            sent.push(tokio::spawn(async move { client.ingest_audit_batch(window).await }));
        }
        for sent in sent {
            sent.await.expect("no panic").expect("sent");
        }
        assert_same_rows(&db.ledger(TENANT).await, &expected);
        let revision = db.assert_gapless(TENANT).await;
        assert!(revision < 120, "joined, or nothing new");

        // all of it again changes nothing, not even the revision
        random.shuffle(&mut windows);
        for window in windows {
            let answer = send(&servers[0], window).await.expect("sent");
            assert_eq!(answer.revision, revision as u64);
        }
        assert_same_rows(&db.ledger(TENANT).await, &expected);
        assert_eq!(db.assert_gapless(TENANT).await, revision);
    }

    /// Sources close each other's gaps; of another tenant they do not.
    async fn sources_are_united(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        register(&server.app, OTHER_TENANT).await;
        let hours = Hours::ago(60);
        let of = |source: &str, batch: Batch| Batch { source: source.into(), ..batch };
        send(&server, of("one", hours.window(0, 20))).await.expect("sent");
        send(&server, of("one", hours.window(30, 60))).await.expect("sent");
        let theirs = Batch { tenant_id: OTHER_TENANT.to_string(), ..hours.window(20, 30) };
        send(&server, theirs).await.expect("sent");
        let apart = coverage(&server).await;
        assert_eq!(hours.gaps(&apart.gaps).len(), 1);
        send(&server, of("two", hours.window(19, 31))).await.expect("sent");
        let united = coverage(&server).await;
        assert_eq!(united.gaps, []);
        assert_eq!(hours.complete(&united), Some((0, 36)));
        let periods: Vec<_> = united.sources.iter().map(|s| (s.source.as_str(), s.periods.len())).collect();
        assert_eq!(periods, [("one", 2), ("two", 1)]);
        assert!(united.sources[0].last_success.is_some());
    }

    /// Covered, not covered yet, lost, unknown; and evidence goes before all of that.
    async fn absence_has_a_reason(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let hours = Hours::ago(20 * 24);
        let open = (Verdict::Pending, MissReason::NoEvidenceYet);
        let nothing_known = [None, hours.at(100)];
        for sent_at in nothing_known {
            assert_eq!(lookup(&server, "x@x", sent_at).await, open);
            assert_eq!(get(&server, "x@x", sent_at).await, "NO_EVIDENCE_YET");
        }
        let end = 20 * 24;
        send(&server, hours.window(0, 200)).await.expect("sent");
        let record = Record::mailbox_side(1, ANNA, "<M@x>", &hours.text(150));
        let last = Batch { content: blob(&[record]).into(), ..hours.window(201, end) };
        send(&server, last).await.expect("sent");
        for (sent_at, verdict, why, error) in [
            (hours.at(100), Verdict::NoEvidence, MissReason::CompletelyCovered, "NO_EVIDENCE"),
            (hours.at(175), Verdict::NoEvidence, MissReason::CompletelyCovered, "NO_EVIDENCE"),
            (hours.at(176), Verdict::Pending, MissReason::InLostGap, "IN_LOST_GAP"),
            (hours.at(200), Verdict::Pending, MissReason::InLostGap, "IN_LOST_GAP"),
            (hours.at(201), Verdict::NoEvidence, MissReason::CompletelyCovered, "NO_EVIDENCE"),
            (hours.at(end - 24), Verdict::Pending, MissReason::NoEvidenceYet, "NO_EVIDENCE_YET"),
            (hours.at(-1), Verdict::Pending, MissReason::InLostGap, "IN_LOST_GAP"),
            (None, Verdict::Pending, MissReason::SendTimeUnknown, "SEND_TIME_UNKNOWN"),
        ] {
            assert_eq!(lookup(&server, "x@x", sent_at).await, (verdict, why), "{sent_at:?}");
            assert_eq!(get(&server, "x@x", sent_at).await, error, "{sent_at:?}");
            assert_eq!(lookup(&server, "M@x", sent_at).await.0, Verdict::Attributed);
        }
        // ids without a time, among them one that cannot be an id
        let plain = server.lookup(&["x@x", "", "M@x"]).await;
        let told: Vec<_> = plain.iter().map(|a| (a.verdict(), a.miss_reason())).collect();
        assert_eq!(told, [
            (Verdict::Pending, MissReason::SendTimeUnknown),
            (Verdict::NoEvidence, MissReason::InvalidMessageId),
            (Verdict::Attributed, MissReason::Unspecified),
        ]);
        // times belong to their ids, also behind one that cannot be an id
        let query = |id: &str, sent_at| pb::lookup_attributions_request::Query { message_id: id.into(), sent_at };
        let queries = vec![query("", hours.at(1)), query("a@x", hours.at(end)), query("M@x", None), query("b@x", hours.at(1))];
        let request = pb::LookupAttributionsRequest { tenant_id: TENANT.to_string(), queries, ..Default::default() };
        let found = server.attributions().lookup_attributions(request).await.expect("answered").into_inner();
        let told: Vec<_> = found.attributions.iter().map(pb::Attribution::miss_reason).collect();
        assert_eq!(told, [
            MissReason::InvalidMessageId,
            MissReason::NoEvidenceYet,
            MissReason::Unspecified,
            MissReason::CompletelyCovered,
        ]);
    }

    /// Another server sends the window with the message: nobody says NO_EVIDENCE of it, also
    /// where "nothing stored" is still cached.
    async fn absence_is_as_new_as_what_is_covered(db: TestDb) {
        let servers = [TestServer::with_tenant(&db).await, TestServer::start(&db).await];
        for n in 0..8i64 {
            let hours = Hours::ago(1_000 - 50 * n);
            let id = format!("late-{n}@x");
            let first = lookup(&servers[1], &id, hours.at(1)).await;
            assert_ne!(first.0, Verdict::Attributed);
            let record = Record::mailbox_side(1 + n as u128, ANNA, &id, &hours.text(1));
            let batch = Batch { content: blob(&[record]).into(), ..hours.window(0, 30) };
            let revision = send(&servers[0], batch).await.expect("sent").revision;
            let (verdict, _) = lookup(&servers[1], &id, hours.at(1)).await;
            assert_ne!(verdict, Verdict::NoEvidence);
            // and never older than asked
            let query = pb::lookup_attributions_request::Query { message_id: "no@x".into(), sent_at: hours.at(1) };
            let request = pb::LookupAttributionsRequest {
                tenant_id: TENANT.to_string(),
                queries: vec![query],
                at_least_revision: revision,
                ..Default::default()
            };
            let fresh = servers[1].attributions().lookup_attributions(request).await;
            let fresh = fresh.expect("answered").into_inner();
            assert_eq!(fresh.attributions[0].verdict(), Verdict::NoEvidence, "{n}");
        }
    }

    /// The first page of a range, and the tenant, tell what may be missing.
    async fn ranges_tell_their_gaps(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let hours = Hours::ago(150);
        let records: Vec<Record> = (0..5u128)
            .map(|n| Record::mailbox_side(n + 1, ANNA, &format!("<{n}@x>"), &hours.text(10 * n as i64)))
            .collect();
        let batch = Batch { content: blob(&records).into(), ..hours.window(0, 60) };
        send(&server, batch).await.expect("sent");
        send(&server, hours.window(61, 150)).await.expect("sent");
        let list = |from, to| pb::ListAttributionsRequest {
            tenant_id: TENANT.to_string(),
            start: hours.at(from),
            end: hours.at(to),
            page_size: 2,
            ..Default::default()
        };
        let gap = [60, 61, 36, 61, 60 + 7 * 24].map(Some);
        for (from, to, expected) in [(0, 100, 1), (0, 36, 0), (0, 37, 1), (61, 100, 0), (60, 61, 1)] {
            let page = server.attributions().list_attributions(list(from, to)).await;
            let page = page.expect("listed").into_inner();
            assert_eq!(hours.gaps(&page.gaps), vec![gap; expected], "{from} {to}");
            assert_eq!(hours.hour_of(page.complete_through), Some(36));
            assert_eq!(hours.hour_of(page.complete_since), Some(0));
            assert_eq!(page.gaps_omitted, 0);
        }
        let first = server.attributions().list_attributions(list(0, 100)).await.expect("listed").into_inner();
        let next = pb::ListAttributionsRequest { page_token: first.next_page_token, ..list(0, 100) };
        let next = server.attributions().list_attributions(next).await.expect("listed").into_inner();
        assert!(next.complete_through.is_none() && next.gaps.is_empty());

        let stream = pb::StreamAttributionsRequest {
            tenant_id: TENANT.to_string(),
            start: hours.at(0),
            end: hours.at(100),
            chunk_size: 2,
            ..Default::default()
        };
        let mut stream = server.attributions().stream_attributions(stream).await.expect("read").into_inner();
        let mut told = Vec::new();
        while let Some(chunk) = stream.message().await.expect("read") {
            told.push((hours.hour_of(chunk.complete_through), chunk.gaps.len()));
        }
        assert_eq!(told, [(Some(36), 1), (None, 0), (None, 0)]);

        let tenant = pb::GetTenantRequest { tenant_id: TENANT.to_string(), ..Default::default() };
        let tenant = server.tenants().get_tenant(tenant).await.expect("there").into_inner().tenant;
        let readiness = tenant.and_then(|tenant| tenant.readiness).expect("readiness");
        assert_eq!(hours.hour_of(readiness.complete_since), Some(0));
        assert_eq!(hours.hour_of(readiness.complete_through), Some(36));
    }

    /// How late events came is measured by the window that brought them, once each.
    async fn lag_is_of_new_events_in_telling_windows(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let hours = Hours::ago(100);
        let mut next = 0u128;
        let mut batch = |hour: i64, events: u128, window: Batch| {
            let records: Vec<Record> = (0..events).map(|_| {
                next += 1;
                Record::mailbox_side(next, ANNA, &format!("<L{next}@x>"), &hours.text(hour))
            }).collect();
            Batch { content: blob(&records).into(), ..window }
        };
        let told = [
            batch(50, 990, hours.window(50, 52)), // two hours
            batch(22, 10, hours.window(51, 52)),  // 30 hours
        ];
        let silent = [
            batch(0, 5, hours.window(50, 57)),                // too long
            batch(-200, 5, hours.window(-201, -200)),         // a back-fill
            batch(0, 5, hours.searched(50, 51)),
            batch(0, 5, Batch { window: None, ..hours.window(0, 1) }),
        ];
        for _ in 0..2 {
            for batch in told.iter().chain(&silent) {
                send(&server, batch.clone()).await.expect("sent");
            }
            let covered = coverage(&server).await;
            let lag = covered.lag.expect("lag");
            assert_eq!(lag.events, 1_000);
            let hours = |duration: Option<prost_types::Duration>| duration.expect("a lag").seconds / HOUR;
            assert_eq!([hours(lag.p50), hours(lag.p90), hours(lag.p99), hours(lag.p999)], [2, 2, 2, 36]);
            assert_eq!(hours(covered.allowance), 36);
        }
    }

    /// A request id belongs to a content and its window; `validate_only` keeps nothing.
    async fn a_window_is_part_of_its_batch(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let hours = Hours::ago(50);
        let named = |batch: Batch| Batch { request_id: "list-1".into(), ..batch };
        let dry = Batch { validate_only: true, ..hours.window(0, 50) };
        send(&server, dry).await.expect("checked");
        assert_eq!(coverage(&server).await.sources, []);

        let first = send(&server, named(hours.window(0, 10))).await.expect("sent");
        assert_eq!((counts(&first), first.revision), ([0; 5], 1));
        let again = send(&server, named(hours.window(0, 10))).await.expect("answered");
        assert!(again.replayed);
        let failed = hours.failed(0, 10, Outcome::Failed, "");
        for other in [hours.window(0, 11), failed, hours.searched(0, 10), Batch { window: None, ..hours.window(0, 1) }] {
            let refused = send(&server, named(other)).await.expect_err("another window");
            assert_eq!(reason(&refused), (Code::AlreadyExists, "REQUEST_ID_REUSED".into()));
        }
        assert_eq!(coverage(&server).await.revision, 1);
    }

    async fn wrong_windows_are_refused(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let hours = Hours::ago(50);
        let window = || hours.window(0, 1);
        for (batch, field) in [
            (with(window(), |w| w.start = None), "window.start"),
            (with(window(), |w| w.end = None), "window.end"),
            (with(window(), |w| w.end = w.start), "window.end"),
            (hours.window(10, 52), "window.end"),
            (with(window(), |w| w.end = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: -1 })), "window.end"),
            (with(window(), |w| w.clock = 0), "window.clock"),
            (with(window(), |w| w.clock = 9), "window.clock"),
            (with(window(), |w| w.outcome = 0), "window.outcome"),
            (with(window(), |w| w.code = "AF1".into()), "window.code"),
            (hours.failed(0, 1, Outcome::Failed, "a\nb"), "window.code"),
            (hours.failed(0, 1, Outcome::Failed, &"x".repeat(101)), "window.code"),
        ] {
            let refused = send(&server, batch).await.expect_err(field);
            assert_eq!(reason(&refused), (Code::InvalidArgument, "INVALID_FIELD".into()));
            assert!(refused.message().contains(field), "{}", refused.message());
        }
        // a clock that is a little ahead
        let ahead = with(window(), |w| w.end = Hours::ago(0).at(0).map(|mut now| { now.seconds += 60; now }));
        send(&server, ahead).await.expect("taken");
        let query = |sent_at| pb::lookup_attributions_request::Query { message_id: "x".into(), sent_at };
        let bad_time = Some(prost_types::Timestamp { seconds: -DAY, nanos: 0 });
        for (request, field) in [
            (pb::LookupAttributionsRequest { message_ids: vec!["x".into()], queries: vec![query(None)], ..Default::default() }, "queries"),
            (pb::LookupAttributionsRequest { queries: vec![query(None); 1_001], ..Default::default() }, "queries"),
            (pb::LookupAttributionsRequest { queries: vec![query(None), query(bad_time)], ..Default::default() }, "queries[1].sent_at"),
        ] {
            let request = pb::LookupAttributionsRequest { tenant_id: TENANT.to_string(), ..request };
            let refused = server.attributions().lookup_attributions(request).await.expect_err(field);
            assert_eq!(reason(&refused), (Code::InvalidArgument, "INVALID_FIELD".into()));
            assert!(refused.message().contains(field), "{}", refused.message());
        }
        let request = pb::GetCoverageRequest { tenant_id: TENANT.to_string(), at_least_revision: 99, ..Default::default() };
        let refused = server.coverage().get_coverage(request).await.expect_err("not there yet");
        assert_eq!(reason(&refused), (Code::Unavailable, "REVISION_NOT_REACHED".into()));
    }

    /// A hundred sources have lines of their own; what further ones cover counts all the same.
    async fn sources_are_bounded(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let hours = Hours::ago(130);
        for n in 0..110 {
            let batch = Batch { source: format!("source {n}"), ..hours.window(n, n + 1) };
            send(&server, batch).await.expect("sent");
        }
        let covered = coverage(&server).await;
        assert_eq!(covered.sources.len(), 101);
        assert_eq!(hours.complete(&covered), Some((0, 86)));
        // and each may go on with its own
        let more = Batch { source: "source 7".into(), ..hours.window(120, 130) };
        send(&server, more).await.expect("sent");
        let covered = coverage(&server).await;
        let seventh = covered.sources.iter().find(|one| one.source == "source 7").expect("there");
        assert_eq!(seventh.periods.len(), 2);
        let page = pb::GetCoverageRequest { tenant_id: TENANT.to_string(), start: hours.at(100), ..Default::default() };
        let page = server.coverage().get_coverage(page).await.expect("covered").into_inner();
        assert_eq!(page.sources.iter().map(|one| one.periods.len()).sum::<usize>(), 2);
    }
}

/// Which side wrote is told for each mailbox and agent.
mod sides {
    use super::*;

    on_both_engines! {
        async fn each_side_is_told_by_mailbox_and_agent(db: TestDb) {
            let server = TestServer::with_tenant(&db).await;
            let hours = Hours::ago(100);
            let bob = "bob@contoso.com";
            let batch = |records: &[Record]| Batch {
                tenant_id: TENANT.to_string(),
                content: blob(records).into(),
                ..Default::default()
            };
            let early = [
                Record::mailbox_side(1, ANNA, "<1@x>", &hours.text(10)),
                Record::agent_side(2, ANNA, "<1@x>", &hours.text(11)),
                Record::mailbox_side(3, bob, "<2@x>", &hours.text(12)),
                Record::plain(4, "carol@contoso.com", "<3@x>", &hours.text(13)), // private
            ];
            let late = [
                Record::mailbox_side(5, ANNA, "<4@x>", &hours.text(5)),
                Record::mailbox_side(6, ANNA, "<5@x>", &hours.text(50)),
            ];
            for records in [&late[..], &early[..], &late[..]] {
                send(&server, batch(records)).await.expect("sent");
            }
            let sides = coverage(&server).await.sides;
            let told: Vec<_> = sides
                .iter()
                .map(|one| {
                    assert_eq!(one.mailbox, SUPPORT);
                    let times = (hours.hour_of(one.first_event), hours.hour_of(one.last_event));
                    (one.agent.as_str(), one.side(), times)
                })
                .collect();
            assert_eq!(told, [
                (ANNA, pb::Side::Agent, (Some(11), Some(11))),
                (ANNA, pb::Side::Mailbox, (Some(5), Some(50))),
                (bob, pb::Side::Mailbox, (Some(12), Some(12))),
            ]);
        }
    }
}
