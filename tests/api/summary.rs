//! SummarizeAgents: what it counts, its pages and tokens, what it refuses.

use super::server::{TestServer, reason, timestamp};
use crate::{
    on_both_engines,
    support::{
        OTHER_TENANT, TENANT, feed,
        records::{Record, SUPPORT, blob},
    },
};
use prost_types::Timestamp;
use sentby::pb::{
    self, AgentSummary, Attribution, Basis, Bucket, SummarizeAgentsRequest as Asked,
    SummarizeAgentsResponse as Page, Verdict,
};
use std::collections::BTreeMap;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

const ANNA: &str = "anna@contoso.com";

fn march(bucket: Bucket) -> Asked {
    Asked {
        tenant_id: TENANT.to_string(),
        start: timestamp("2026-03-01T00:00:00Z"),
        end: timestamp("2026-04-01T00:00:00Z"),
        bucket: bucket.into(),
        ..Default::default()
    }
}

async fn page(server: &TestServer, asked: Asked) -> Result<Page, Status> {
    let page = server.attributions().summarize_agents(asked).await?;
    Ok(page.into_inner())
}

/// The rows of all pages.
async fn all(server: &TestServer, mut asked: Asked) -> Vec<AgentSummary> {
    let mut rows = Vec::new();
    loop {
        let page = page(server, asked.clone()).await.expect("a page");
        let most = match asked.page_size {
            0 => 1_000,
            most => most as usize,
        };
        let is_last = page.next_page_token.is_empty();
        assert!(page.rows.len() <= most && (is_last || page.rows.len() == most));
        assert_eq!(page.complete_through, None, "nobody knows it yet");
        rows.extend(page.rows);
        asked.page_token = page.next_page_token;
        if is_last {
            return rows;
        }
    }
}

async fn listed(server: &TestServer, asked: &Asked) -> Vec<Attribution> {
    let mut request = pb::ListAttributionsRequest {
        tenant_id: asked.tenant_id.clone(),
        start: asked.start,
        end: asked.end,
        mailbox: asked.mailbox.clone(),
        agent: asked.agent.clone(),
        page_size: 1_000,
        ..Default::default()
    };
    let mut found = Vec::new();
    loop {
        let page = server
            .attributions()
            .list_attributions(request.clone())
            .await;
        let page = page.expect("a page").into_inner();
        found.extend(page.attributions);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return found;
        }
    }
}

fn seconds(time: Option<Timestamp>) -> i64 {
    time.expect("a time").seconds
}

/// Buckets of a zone that is always so many seconds from UTC, cut to the range, counted one
/// message after the other.
fn naive(messages: &[Attribution], asked: &Asked, offset: i64, length: i64) -> Vec<AgentSummary> {
    let (start, end) = (seconds(asked.start), seconds(asked.end));
    let mut rows: BTreeMap<(i64, String, String), AgentSummary> = BTreeMap::new();
    for one in messages {
        let at = seconds(one.sent_at);
        let bucket = (at + offset).div_euclid(length) * length - offset;
        let key = (bucket.max(start), one.mailbox.clone(), one.agent.clone());
        let row = rows.entry(key).or_insert_with(|| AgentSummary {
            bucket_start: Some(Timestamp {
                seconds: bucket.max(start),
                nanos: 0,
            }),
            bucket_end: Some(Timestamp {
                seconds: (bucket + length).min(end),
                nanos: 0,
            }),
            mailbox: one.mailbox.clone(),
            agent: one.agent.clone(),
            first_sent_at: one.sent_at,
            verdicts: Some(pb::VerdictCounts::default()),
            bases: Some(pb::BasisCounts::default()),
            certainty: Some(pb::CertaintyCounts::default()),
            sides: Some(pb::SideCounts::default()),
            ..Default::default()
        });
        row.messages += 1;
        row.confirmed += u64::from(one.confirmed);
        row.contradicted += u64::from(one.contradicted);
        let certainty = row.certainty.as_mut().expect("set");
        match (one.verdict(), one.contradicted, one.confirmed) {
            (Verdict::Attributed, true, _) => certainty.contradicted += 1,
            (Verdict::Attributed, false, true) => certainty.both_sides += 1,
            (Verdict::Attributed, false, false) => certainty.one_side += 1,
            _ => {}
        }
        let (is_mailbox, is_agent) = match one.basis() {
            Basis::MailboxSendAs | Basis::MailboxSendOnBehalf => (true, false),
            Basis::AgentSendAs | Basis::AgentSendOnBehalf => (false, true),
            Basis::Send | Basis::Unspecified => (false, false),
        };
        let sides = row.sides.as_mut().expect("set");
        sides.mailbox += u64::from(is_mailbox || one.confirmed);
        sides.agent += u64::from(is_agent || one.confirmed);
        row.without_message_id += u64::from(one.message_id.is_empty());
        row.last_sent_at = one.sent_at; // in the order of time
        let verdicts = row.verdicts.as_mut().expect("set");
        *match one.verdict() {
            Verdict::Attributed => &mut verdicts.attributed,
            Verdict::Conflict => &mut verdicts.conflict,
            Verdict::NotAPerson => &mut verdicts.not_a_person,
            Verdict::Unresolved => &mut verdicts.unresolved,
            Verdict::Erased => &mut verdicts.erased,
            other => panic!("{other:?} in a range"),
        } += 1;
        let bases = row.bases.as_mut().expect("set");
        *match one.basis() {
            Basis::MailboxSendAs => &mut bases.mailbox_send_as,
            Basis::AgentSendAs => &mut bases.agent_send_as,
            Basis::MailboxSendOnBehalf => &mut bases.mailbox_send_on_behalf,
            Basis::AgentSendOnBehalf => &mut bases.agent_send_on_behalf,
            Basis::Send => &mut bases.send,
            Basis::Unspecified => panic!("no basis in a range"),
        } += 1;
    }
    rows.into_values().collect()
}

async fn fill(server: &TestServer, messages: usize) {
    for content in feed::batches(&mut feed::Random(3), &feed::records(3, messages), 500) {
        server.post(content).await.expect("ingested");
    }
}

on_both_engines! {
    /// The counts are those of the messages that ListAttributions has, in every bucket.
    async fn it_counts_what_is_listed(db: TestDb) {
        const DAY: i64 = 86_400;
        let server = TestServer::with_tenant(&db).await;
        fill(&server, 1_600).await;
        let of = |zone: &str, bucket| Asked { time_zone: zone.into(), ..march(bucket) };
        let cases = [
            (of("", Bucket::Hour), 0, 3_600),
            (of("UTC", Bucket::Day), 0, DAY),
            (of("Asia/Kathmandu", Bucket::Day), 20_700, DAY),
            (of("Asia/Kathmandu", Bucket::Hour), 20_700, 3_600),
            // the first Monday of 1970 was the 5th
            (of("Asia/Tokyo", Bucket::Week), 32_400 + 3 * DAY, 7 * DAY),
            (
                Asked {
                    start: timestamp("2026-03-01T09:07:07Z"),
                    end: timestamp("2026-03-02T01:59:09Z"),
                    ..of("", Bucket::Day)
                },
                0,
                DAY,
            ),
            (Asked { agent: "ANNA@contoso.com".into(), ..of("", Bucket::Day) }, 0, DAY),
            (Asked { mailbox: SUPPORT.into(), ..of("", Bucket::Day) }, 0, DAY),
            (Asked { agent: "nobody@contoso.com".into(), ..of("", Bucket::Day) }, 0, DAY),
        ];
        for (asked, offset, length) in cases {
            let messages = listed(&server, &asked).await;
            let expected = naive(&messages, &asked, offset, length);
            assert_eq!(messages.is_empty(), asked.agent.starts_with("nobody"));
            assert_eq!(all(&server, asked.clone()).await, expected, "{asked:?}");
        }
        let asked = march(Bucket::Total);
        let messages = listed(&server, &asked).await;
        let mut expected = naive(&messages, &asked, 0, 365 * 200 * DAY);
        for row in &mut expected {
            (row.bucket_start, row.bucket_end) = (asked.start, asked.end);
        }
        let found = all(&server, asked).await;
        assert_eq!(found, expected);
        assert!(found.iter().any(|row| row.agent.is_empty() && row.messages > 0));
        assert!(found.iter().any(|row| row.without_message_id > 0 && row.contradicted > 0));
        let sum: u64 = found.iter().map(|row| row.messages).sum();
        assert_eq!(sum, messages.len() as u64);
    }

    /// However it is cut into pages, the rows are the same; and their order is that of bytes.
    async fn pages_of_every_size_have_the_same_rows(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        fill(&server, 400).await;
        for bucket in [Bucket::Hour, Bucket::Day, Bucket::Total] {
            let whole = all(&server, march(bucket)).await;
            assert!(whole.len() > 3, "{bucket:?}");
            let key = |row: &AgentSummary| {
                (seconds(row.bucket_start), row.mailbox.clone(), row.agent.clone())
            };
            assert!(whole.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])));
            let most = whole.len().min(25) as i32 + 1;
            for page_size in (1..=most).chain([5_000]) {
                let asked = Asked { page_size: page_size.min(1_000), ..march(bucket) };
                assert_eq!(all(&server, asked).await, whole, "{bucket:?} by {page_size}");
            }
        }
    }

    /// A day on which clocks change is one day, an hour that occurs twice is two.
    async fn buckets_go_by_the_clock_of_the_zone(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let times = [
            "2026-10-24T21:59:59", // the 24th in Berlin
            "2026-10-24T22:00:00",
            "2026-10-25T00:30:00", // half past two
            "2026-10-25T01:30:00", // half past two again
            "2026-10-25T22:59:59",
            "2026-10-25T23:00:00", // the 26th, a Monday
        ];
        let records: Vec<Record> = times
            .iter()
            .zip(1..)
            .map(|(at, n)| Record::mailbox_side(n, ANNA, &format!("M{n}@x"), at))
            .collect();
        server.post(blob(&records)).await.expect("ingested");
        let berlin = |bucket| Asked {
            start: timestamp("2026-10-01T00:00:00Z"),
            end: timestamp("2026-11-01T00:00:00Z"),
            time_zone: "Europe/Berlin".into(),
            ..march(bucket)
        };
        let counted = |rows: Vec<AgentSummary>| -> Vec<(String, String, u64)> {
            let text = |time: Option<Timestamp>| time.expect("a time").to_string();
            let one = |row: AgentSummary| (text(row.bucket_start), text(row.bucket_end), row.messages);
            rows.into_iter().map(one).collect()
        };
        let row = |start: &str, end: &str, messages| (start.into(), end.into(), messages);
        assert_eq!(counted(all(&server, berlin(Bucket::Day)).await), [
            row("2026-10-23T22:00:00Z", "2026-10-24T22:00:00Z", 1),
            row("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", 4),
            row("2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z", 1),
        ]);
        assert_eq!(counted(all(&server, berlin(Bucket::Week)).await), [
            row("2026-10-18T22:00:00Z", "2026-10-25T23:00:00Z", 5),
            row("2026-10-25T23:00:00Z", "2026-11-01T00:00:00Z", 1),
        ]);
        let hours = counted(all(&server, berlin(Bucket::Hour)).await);
        assert_eq!(hours.len(), 6);
        assert_eq!(hours[2], row("2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", 1));
        assert_eq!(hours[3], row("2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z", 1));
    }

    /// Of a whole century only what is there costs anything; private mail is not there.
    async fn private_mail_is_not_counted(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let century = |bucket| Asked {
            start: timestamp("2000-01-01T00:00:00Z"),
            end: timestamp("2099-12-31T23:59:59Z"),
            ..march(bucket)
        };
        assert_eq!(all(&server, century(Bucket::Hour)).await, []);
        let at = "2026-03-01T09:00:00";
        let records = [
            Record::plain(1, ANNA, "private@x", at),
            Record::mailbox_side(2, ANNA, "failed@x", at).set("ResultStatus", "Failed"),
            Record::mailbox_side(3, ANNA, "M@x", at),
            Record::mailbox_side(4, ANNA, "old@x", "2016-03-01T09:00:00"),
        ];
        server.post(blob(&records)).await.expect("ingested");
        for (bucket, rows) in [(Bucket::Hour, 2), (Bucket::Week, 2), (Bucket::Total, 1)] {
            let found = all(&server, century(bucket)).await;
            assert_eq!(found.len(), rows, "{bucket:?}");
            assert_eq!(found.iter().map(|row| row.messages).sum::<u64>(), 2);
        }
        // what is not private any more
        let shared = Record::agent_side(5, ANNA, "private@x", at);
        server.post(blob(&[shared])).await.expect("ingested");
        assert_eq!(all(&server, march(Bucket::Total)).await[0].messages, 2);
    }

    /// An alias of the register will do, as in ListAttributions.
    async fn aliases_are_resolved(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let mailbox = pb::Mailbox {
            address: SUPPORT.into(),
            kind: pb::MailboxKind::Shared.into(),
            aliases: vec!["help@contoso.com".into()],
            ..Default::default()
        };
        let put = pb::PutMailboxesRequest {
            tenant_id: TENANT.to_string(),
            mailboxes: vec![mailbox],
            ..Default::default()
        };
        server.tenants().put_mailboxes(put).await.expect("put");
        let record = Record::mailbox_side(1, ANNA, "M@x", "2026-03-01T09:00:00");
        server.post(blob(&[record])).await.expect("ingested");
        let by_alias = Asked { mailbox: "Help@contoso.com".into(), ..march(Bucket::Total) };
        let found = all(&server, by_alias).await;
        assert_eq!((found.len(), found[0].mailbox.as_str()), (1, SUPPORT));
    }

    /// A walk keeps the revision of its first page, and a token is good for its query only.
    async fn a_token_is_bound_to_its_query(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        fill(&server, 200).await;
        crate::support::register(&server.app, OTHER_TENANT).await;
        let first = Asked { page_size: 1, ..march(Bucket::Day) };
        let first = page(&server, first).await.expect("a page");
        let late = Record::mailbox_side(1 << 90, ANNA, "late@x", "2026-03-01T08:00:00");
        server.post(blob(&[late])).await.expect("ingested");
        let with = |token: &str| Asked { page_token: token.into(), ..march(Bucket::Day) };
        let token = first.next_page_token.as_str();
        let second = page(&server, with(token)).await.expect("a page");
        assert_eq!(second.revision, first.revision);
        let anew = page(&server, march(Bucket::Day)).await.expect("a page");
        assert_eq!(anew.revision, first.revision + 1);
        let replica = TestServer::start(&db).await;
        assert_eq!(page(&replica, with(token)).await.expect("a page"), second);
        let list = pb::ListAttributionsRequest {
            tenant_id: TENANT.to_string(),
            start: march(Bucket::Day).start,
            end: march(Bucket::Day).end,
            page_size: 1,
            ..Default::default()
        };
        let of_a_list = server.attributions().list_attributions(list).await.expect("a page");
        let of_a_list = of_a_list.into_inner().next_page_token;
        let mismatch = (Code::InvalidArgument, "PAGE_TOKEN_MISMATCH");
        let invalid = (Code::InvalidArgument, "PAGE_TOKEN_INVALID");
        for (asked, (code, name)) in [
            (Asked { bucket: Bucket::Hour.into(), ..with(token) }, mismatch),
            (Asked { time_zone: "Europe/Berlin".into(), ..with(token) }, mismatch),
            (Asked { mailbox: SUPPORT.into(), ..with(token) }, mismatch),
            (Asked { agent: ANNA.into(), ..with(token) }, mismatch),
            (Asked { end: timestamp("2026-04-02T00:00:00Z"), ..with(token) }, mismatch),
            (Asked { tenant_id: OTHER_TENANT.to_string(), ..with(token) }, mismatch),
            (with(&of_a_list), mismatch),
            (with("x"), invalid),
            (with(&token[1..]), invalid),
        ] {
            let status = page(&server, asked.clone()).await.expect_err("refused");
            assert_eq!(reason(&status), (code, name.into()), "{asked:?}");
        }
    }

    /// What is wrong with a call is told, all of it at once.
    async fn what_is_wrong_is_told(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let field = (Code::InvalidArgument, "INVALID_FIELD");
        let day = || march(Bucket::Day);
        for (asked, (code, name)) in [
            (march(Bucket::Unspecified), field),
            (Asked { bucket: 99, ..day() }, field),
            (Asked { time_zone: "Europe/Atlantis".into(), ..day() }, field),
            (Asked { time_zone: "+01:00".into(), ..day() }, field),
            (Asked { start: None, ..day() }, field),
            (Asked { end: timestamp("2026-02-01T00:00:00Z"), ..day() }, field),
            (Asked { page_size: -1, ..day() }, field),
            (Asked { mailbox: "nobody".into(), ..day() }, field),
            (
                Asked { tenant_id: OTHER_TENANT.to_string(), ..day() },
                (Code::NotFound, "TENANT_NOT_FOUND"),
            ),
            (
                Asked { at_least_revision: 1, ..day() },
                (Code::Unavailable, "REVISION_NOT_REACHED"),
            ),
        ] {
            let status = page(&server, asked.clone()).await.expect_err("refused");
            assert_eq!(reason(&status), (code, name.into()), "{asked:?}");
        }
        let wrong = Asked {
            tenant_id: "contoso".into(),
            time_zone: "x".into(),
            start: None,
            bucket: 0,
            page_size: -1,
            ..day()
        };
        let status = page(&server, wrong).await.expect_err("refused");
        let told = status.get_details_bad_request().expect("a BadRequest").field_violations;
        let fields: Vec<&str> = told.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["tenant_id", "start", "bucket", "time_zone", "page_size"]);
        let empty = Asked { end: day().start, ..day() };
        assert_eq!(all(&server, empty).await, []);
    }
}
