//! `sentby coverage` of a feed of hourly windows, as a collector sends it to a real server.

use crate::support::{
    TENANT,
    process::{Server, json_lines, run, run_with_input, succeeded},
    records::{Record, SUPPORT, blob},
    register, time,
};
use crate::{on_both_engines, support::process::database};
use sentby::{
    domain::time::HOUR,
    pb::{
        IngestAuditBatchRequest, Window, WindowClock, WindowOutcome,
        ingest_service_client::IngestServiceClient,
    },
};
use std::time::SystemTime;
use tonic::transport::Channel;

const ANNA: &str = "anna@contoso.com";
const HOURS: i64 = 100;
const MISSING: i64 = 60;

on_both_engines! {
    /// One hour fails: the gap is named with what to do about it, and closes when it is sent.
    async fn a_gap_is_told_until_it_closes(db: TestDb) {
        register(&*db.app().await, TENANT).await;
        let server = Server::start(&database(&db.config.database));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        let first = now.as_secs() as i64 / 3_600 - HOURS;
        let at = |hour: i64| {
            let micros = (first + hour) * HOUR;
            time("1970-01-01T00:00:00Z").plus(micros).to_string()
        };
        let mut client = IngestServiceClient::new(
            Channel::from_shared(server.url.clone()).expect("a URI").connect().await.expect("connected"),
        );
        let mut send = async |hour: i64, outcome: WindowOutcome, code: &str| {
            let id = format!("<C{hour}@x>");
            let sent = at(hour);
            let record = Record::mailbox_side(1 + hour as u128, ANNA, &id, sent.trim_end_matches('Z'));
            let batch = IngestAuditBatchRequest {
                tenant_id: TENANT.to_string(),
                source: "collector".into(),
                content: if outcome == WindowOutcome::Complete { blob(&[record]).into() } else { Default::default() },
                window: Some(Window {
                    start: Some(at(hour).parse().expect("a time")),
                    end: Some(at(hour + 1).parse().expect("a time")),
                    clock: WindowClock::ContentCreated.into(),
                    outcome: outcome.into(),
                    code: code.into(),
                }),
                ..Default::default()
            };
            client.ingest_audit_batch(batch).await.expect("sent");
        };
        let tenant = TENANT.to_string();
        let ask = |more: &[&str]| run(&[&["coverage", "--server", &server.url, "--tenant", &tenant], more].concat());

        let before = succeeded(&ask(&[]));
        assert!(before.starts_with("no collector tells what it has covered"), "{before}");
        for hour in (0..HOURS).filter(|hour| *hour != MISSING) {
            send(hour, WindowOutcome::Complete, "").await;
        }
        send(MISSING, WindowOutcome::Failed, "AF20022").await;

        let told = succeeded(&ask(&[]));
        println!("{told}");
        let complete = format!("complete from {} through {}\n", at(0), at(MISSING - 24));
        assert!(told.starts_with(&complete), "{told}");
        let line = |words: &[&str]| told.lines().any(|line| words.iter().all(|word| line.contains(word)));
        let until = format!("fetch it until {}", at(MISSING + 7 * 24));
        let sent = format!("{} to {}", at(MISSING - 24), at(MISSING + 1));
        assert!(line(&["CONTENT_CREATED", &at(MISSING), &at(MISSING + 1), &sent, &until]), "{told}");
        assert!(line(&["collector", "FAILED", &at(MISSING), "AF20022"]), "{told}");
        assert!(line(&["collector", "CONTENT_CREATED", &at(MISSING + 1), &at(HOURS)]), "{told}");
        assert!(line(&[SUPPORT, ANNA, "MAILBOX", &at(0), &at(HOURS - 1)]), "{told}");
        let verdict = |sent_at: &str| {
            let of = ["lookup", "--server", &server.url, "--tenant", &tenant, "--json"];
            let answers = json_lines(&run(&[&of[..], &["--sent-at", sent_at, "N@x"]].concat()));
            answers[0]["verdict"].clone()
        };
        assert_eq!(verdict(&at(MISSING - 30)), "NO_EVIDENCE");
        assert_eq!(verdict(&at(MISSING - 10)), "PENDING");
        // only what touches the range
        let later = succeeded(&ask(&["--from", &at(MISSING + 1)]));
        assert!(!later.contains("fetch it until"), "{later}");

        send(MISSING, WindowOutcome::Complete, "").await;
        let closed = &json_lines(&ask(&["--json"]))[0];
        assert_eq!(closed["gaps"], serde_json::json!([]));
        assert_eq!(closed["complete_since"], at(0));
        assert_eq!(closed["complete_through"], at(HOURS - 24));
        assert_eq!(closed["sources"][0]["periods"].as_array().map(Vec::len), Some(1));
        assert_eq!(closed["lag"]["events"], HOURS);
    }

    /// What Microsoft no longer serves is covered by an import of all of that time.
    async fn an_import_closes_a_lost_gap(db: TestDb) {
        register(&*db.app().await, TENANT).await;
        let database = database(&db.config.database);
        let tenant = TENANT.to_string();
        let of = ["--database", &database, "--tenant", &tenant];
        let import = |from: &str, to: &str, content: &[u8]| {
            let window = ["import", "--window-start", from, "--window-end", to, "-"];
            run_with_input(&[&window[..], &of].concat(), content)
        };
        let ask = || succeeded(&run(&[&["coverage"], &of[..]].concat()));
        let record = Record::mailbox_side(1, ANNA, "<I@x>", "2026-03-02T09:00:00");
        succeeded(&import("2026-03-01", "2026-03-05", &blob(&[record])));
        succeeded(&import("2026-03-06", "2026-03-10T12:00:00Z", b""));
        let told = ask();
        let complete = "complete from 2026-03-01T00:00:00Z through 2026-03-10T12:00:00Z, but for what is lost\n";
        assert!(told.starts_with(complete), "{told}");
        assert!(told.contains("2026-03-05T00:00:00Z to 2026-03-06T00:00:00Z  lost"), "{told}");
        // what could not be read leaves the time uncovered
        let broken = import("2026-03-05", "2026-03-06", b"{\"error\": {\"code\": \"AF20022\", \"message\": \"x\"}}");
        assert_eq!(broken.status.code(), Some(1));
        assert_eq!(ask(), told);
        succeeded(&import("2026-03-05", "2026-03-06", b""));
        let told = ask();
        assert!(told.starts_with("complete from 2026-03-01T00:00:00Z through 2026-03-10T12:00:00Z\n"), "{told}");
        assert!(!told.contains("lost"), "{told}");
    }
}
