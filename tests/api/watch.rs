//! WatchAttributions: a copy that is kept by it is what is listed, however it is cut off.

use super::server::{TestServer, reason, timestamp};
use crate::{
    on_both_engines,
    support::{
        OTHER_TENANT, TENANT, TestDb,
        copy::Copy,
        feed::{self, Random},
        process,
        records::{Record, SUPPORT, blob},
        register,
    },
};
use sentby::pb::{
    self, Attribution, ChangeKind, WatchAttributionsRequest as Asked,
    WatchAttributionsResponse as Response, WatchPosition, WatchStart,
    attribution_service_client::AttributionServiceClient as Client, watch_position::Start,
};
use std::time::Duration;
use tonic::{Code, Status, Streaming, transport::Channel};
use tonic_types::StatusExt as _;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const ANNA: &str = "anna@contoso.com";

fn at(start: Option<Start>) -> WatchPosition {
    WatchPosition {
        tenant_id: TENANT.to_string(),
        start,
        at_least_revision: 0,
    }
}

fn behind(token: &str) -> WatchPosition {
    at(Some(Start::ResumeToken(token.into())))
}

fn once(position: WatchPosition) -> Asked {
    Asked {
        positions: vec![position],
        ..Default::default()
    }
}

fn for_ever(position: WatchPosition) -> Asked {
    Asked {
        follow: true,
        ..once(position)
    }
}

async fn client(url: String) -> Client<Channel> {
    let endpoint = Channel::from_shared(url).expect("a URI");
    Client::new(endpoint.connect().await.expect("connected"))
}

async fn open(server: &TestServer, asked: Asked) -> Result<Streaming<Response>, Status> {
    // a stream of its own length: the channel's deadline is for calls
    let mut client = client(format!("http://{}", server.address)).await;
    Ok(client.watch_attributions(asked).await?.into_inner())
}

async fn next(watch: &mut Streaming<Response>) -> Result<Option<Response>, Status> {
    let next = tokio::time::timeout(PATIENCE, watch.message()).await;
    next.expect("it does not hang")
}

/// The next response that has changes.
async fn news(watch: &mut Streaming<Response>) -> Response {
    loop {
        let response = next(watch).await.expect("no error").expect("more");
        if !response.changes.is_empty() {
            return response;
        }
    }
}

/// All of it until the end.
async fn all(server: &TestServer, asked: Asked) -> Result<Vec<Response>, Status> {
    let mut watch = open(server, asked).await?;
    let mut responses = Vec::new();
    while let Some(response) = next(&mut watch).await? {
        responses.push(response);
    }
    Ok(responses)
}

/// Brings the copy up to date.
async fn catch_up(server: &TestServer, copy: &mut Copy) {
    let position = match copy.token.as_str() {
        "" => at(None),
        token => behind(token),
    };
    let responses = all(server, once(position)).await.expect("caught up");
    assert!(responses.last().expect("one at least").caught_up);
    responses.into_iter().for_each(|one| copy.take(one));
}

async fn refused(server: &TestServer, position: WatchPosition) -> Status {
    all(server, once(position)).await.expect_err("refused")
}

/// What is listed, and a position of the feed that completes it.
async fn listed(server: &TestServer) -> (Vec<Attribution>, String) {
    let asked = pb::StreamAttributionsRequest {
        tenant_id: TENANT.to_string(),
        start: timestamp("2000-01-01T00:00:00Z"),
        end: timestamp("2099-01-01T00:00:00Z"),
        ..Default::default()
    };
    let walk = server.attributions().stream_attributions(asked).await;
    let mut walk = walk.expect("opened").into_inner();
    let (mut rows, mut token) = (Vec::new(), String::new());
    while let Some(chunk) = walk.message().await.expect("no error") {
        rows.extend(chunk.attributions);
        assert!(token.is_empty() || !chunk.watch_token.is_empty());
        token = chunk.watch_token;
    }
    (rows, token)
}

fn messages(numbers: std::ops::Range<u32>) -> Vec<u8> {
    let record = |n: u32| {
        let at = format!("2026-03-01T{:02}:{:02}:00", n / 60 % 24, n % 60);
        Record::mailbox_side(u128::from(n) + 1, ANNA, &format!("M{n:05}@x"), &at)
    };
    blob(&numbers.map(record).collect::<Vec<_>>())
}

async fn make_shared(server: &TestServer, kind: pb::MailboxKind) {
    let request = pb::PutMailboxesRequest {
        tenant_id: TENANT.to_string(),
        mailboxes: vec![pb::Mailbox {
            address: SUPPORT.into(),
            kind: kind.into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    server.tenants().put_mailboxes(request).await.expect("put");
}

on_both_engines! {
    /// A reader that comes back now and then, whatever happened meanwhile.
    async fn a_copy_by_the_feed_is_what_is_listed(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let mut random = Random(7);
        let records = feed::records(11, 300);
        let mut copy = Copy::default();
        let (mut from_walk, mut kinds) = (None, Vec::new());
        for (n, batch) in feed::batches(&mut random, &records, 40).into_iter().enumerate() {
            server.post(batch).await.expect("ingested");
            match n % 7 {
                2 => make_shared(&server, pb::MailboxKind::Shared).await,
                3 => {
                    let position = if copy.token.is_empty() { at(None) } else { behind(&copy.token) };
                    for response in all(&server, once(position)).await.expect("told") {
                        kinds.extend(response.changes.iter().map(|change| change.kind()));
                        copy.take(response);
                    }
                    copy.assert_is(listed(&server).await.0);
                }
                5 => make_shared(&server, pb::MailboxKind::User).await,
                6 if from_walk.is_none() => {
                    let (rows, token) = listed(&server).await;
                    from_walk = Some(Copy::of_walk(rows, token));
                }
                _ => {}
            }
        }
        catch_up(&server, &mut copy).await;
        let (now, _) = listed(&server).await;
        assert!(now.len() > 200);
        assert_eq!(copy.repeats, 0);
        assert_eq!(copy.revision, Some(db.assert_gapless(TENANT).await as u64));
        for kind in [ChangeKind::Created, ChangeKind::Confirmed, ChangeKind::Corrected] {
            assert!(kinds.contains(&kind), "{kind:?}");
        }
        copy.assert_is(now.clone());
        // a walk, and from there on the feed
        let mut from_walk = from_walk.expect("a walk");
        catch_up(&server, &mut from_walk).await;
        from_walk.assert_is(now.clone());
        // who was never there before
        let mut late = Copy::default();
        catch_up(&server, &mut late).await;
        late.assert_is(now);
    }

    /// A revision with more changes than a response holds, and a cut behind each response.
    async fn it_goes_on_behind_every_response(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        server.post(messages(0..5)).await.expect("ingested");
        server.post(messages(5..2_600)).await.expect("ingested");
        for n in 0..8 {
            server.post(messages(2_600 + n..2_601 + n)).await.expect("ingested");
        }
        let whole = all(&server, once(at(None))).await.expect("told");
        assert!(whole.len() > 3, "{} responses", whole.len());
        let told = |responses: &[Response]| -> Vec<(u64, String)> {
            let changes = responses.iter().flat_map(|response| &response.changes);
            changes.map(|change| (change.revision, change.message_key.clone())).collect()
        };
        assert_eq!(told(&whole).len(), 2_608);
        for cut in 1..=whole.len() {
            let (before, after) = whole.split_at(cut);
            let token = &before.last().expect("one").resume_token;
            let rest = all(&server, once(behind(token))).await.expect("told");
            assert_eq!(told(&rest), told(after), "behind response {cut}");
            assert_eq!(rest[0].after_revision, before.last().expect("one").revision);
        }
        let mut copy = Copy::default();
        whole.into_iter().for_each(|response| copy.take(response));
        assert_eq!(copy.repeats, 0);
        copy.assert_is(listed(&server).await.0);
    }

    /// Also what another process commits; and where nothing comes, that is told.
    async fn who_follows_is_told_what_comes(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        server.post(messages(0..1)).await.expect("ingested");
        let now = at(Some(Start::From(WatchStart::Now.into())));
        let asked = Asked {
            checkpoint_interval: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
            ..for_ever(now)
        };
        let mut watch = open(&server, asked).await.expect("opened");
        let first = next(&mut watch).await.expect("no error").expect("at once");
        assert_eq!((first.changes.len(), first.revision, first.caught_up), (0, 1, true));
        let mut copy = Copy::default();
        copy.take(first);

        server.post(messages(1..3)).await.expect("ingested");
        let response = news(&mut watch).await;
        assert_eq!((response.changes.len(), response.revision), (2, 2));
        assert!(response.changes.iter().all(|change| change.committed_at.is_some()));
        copy.take(response);

        let replica = TestServer::start(&db).await;
        replica.post(messages(3..4)).await.expect("ingested");
        let response = news(&mut watch).await;
        assert_eq!((response.changes.len(), response.revision), (1, 3));
        copy.take(response);

        // twice, so that the second is one of a feed that is quiet for long
        for _ in 0..2 {
            let checkpoint = next(&mut watch).await.expect("no error").expect("a checkpoint");
            assert_eq!((checkpoint.changes.len(), checkpoint.revision), (0, 3));
            assert!(checkpoint.caught_up);
            copy.take(checkpoint);
        }
        // its token is one like all others
        server.post(messages(4..5)).await.expect("ingested");
        let rest = all(&replica, once(behind(&copy.token))).await.expect("told");
        assert_eq!(rest[0].changes.len(), 1);
    }

    async fn several_tenants_are_watched_at_once(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        register(&server.app, OTHER_TENANT).await;
        let post_other = |n: u32| {
            let record = Record::mailbox_side(7 + u128::from(n), ANNA, &format!("O{n}@x"), "2026-03-01T09:00:00")
                .set("OrganizationId", OTHER_TENANT.to_string());
            pb::IngestAuditBatchRequest {
                tenant_id: OTHER_TENANT.to_string(),
                content: blob(&[record]).into(),
                ..Default::default()
            }
        };
        server.post(messages(0..3)).await.expect("ingested");
        let other = |start| WatchPosition { tenant_id: OTHER_TENANT.to_string(), start, at_least_revision: 0 };
        let asked = Asked { positions: vec![at(None), other(None)], follow: true, ..Default::default() };
        let mut watch = open(&server, asked).await.expect("opened");
        server.ingest().ingest_audit_batch(post_other(1)).await.expect("ingested");
        server.post(messages(3..4)).await.expect("ingested");
        let (mut mine, mut others) = (Copy::default(), Copy::default());
        while mine.changes < 4 || others.changes < 1 {
            let response = next(&mut watch).await.expect("no error").expect("more");
            let is_mine = response.tenant_id == TENANT.to_string();
            for change in &response.changes {
                let id = &change.attribution.as_ref().expect("listed").message_id;
                assert!(id.starts_with(if is_mine { 'M' } else { 'O' }), "{id}");
            }
            if is_mine { &mut mine } else { &mut others }.take(response);
        }
        drop(watch);
        // each goes on by a token of its own
        server.ingest().ingest_audit_batch(post_other(2)).await.expect("ingested");
        let positions = vec![behind(&mine.token), other(Some(Start::ResumeToken(others.token.clone())))];
        let rest = all(&server, Asked { positions, ..Default::default() }).await.expect("told");
        let told: Vec<(usize, bool)> =
            rest.iter().map(|one| (one.changes.len(), one.tenant_id == TENANT.to_string())).collect();
        assert_eq!(told, [(0, true), (1, false)]);
        // and not by the other's
        let crossed = refused(&server, behind(&others.token)).await;
        assert_eq!(reason(&crossed), (Code::InvalidArgument, "FEED_TOKEN_MISMATCH".into()));
    }

    /// Each position that cannot be gone on from, its reason, and the oldest one that can.
    async fn a_position_that_is_no_good_is_refused_with_the_oldest_one(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        for n in 0..4 {
            server.post(messages(n..n + 1)).await.expect("ingested");
        }
        let responses = all(&server, once(at(None))).await.expect("told");
        let token = responses.last().expect("one").resume_token.clone();
        let oldest_of = |status: &Status| {
            let info = status.get_details_error_info().expect("details");
            assert_eq!(info.metadata["tenant_id"], TENANT.to_string());
            (info.metadata["oldest_revision"].clone(), info.metadata["oldest_token"].clone())
        };
        let page = pb::ListAttributionsRequest {
            tenant_id: TENANT.to_string(),
            start: timestamp("2026-01-01T00:00:00Z"),
            end: timestamp("2027-01-01T00:00:00Z"),
            page_size: 1,
            ..Default::default()
        };
        let page = server.attributions().list_attributions(page).await.expect("a page").into_inner();
        let mut damaged = token.clone();
        damaged.replace_range(20..21, if &token[20..21] == "A" { "B" } else { "A" });
        for (token, wanted) in [
            (damaged.as_str(), "FEED_TOKEN_INVALID"),
            ("nonsense", "FEED_TOKEN_INVALID"),
            ("", "FEED_TOKEN_INVALID"),
            (page.next_page_token.as_str(), "FEED_TOKEN_MISMATCH"),
        ] {
            let status = refused(&server, behind(token)).await;
            assert_eq!(reason(&status), (Code::InvalidArgument, wanted.into()), "{token}");
            let (revision, oldest) = oldest_of(&status);
            assert_eq!(revision, "0");
            let from_oldest = all(&server, once(behind(&oldest))).await.expect("told");
            assert_eq!(from_oldest[0].changes.len(), 4);
        }
        assert!(all(&server, once(behind(&page.watch_token))).await.expect("told")[0].caught_up);

        // the beginning is not kept for ever
        db.execute("DELETE FROM change WHERE revision <= 1").await;
        let status = refused(&server, at(None)).await;
        assert_eq!(reason(&status), (Code::OutOfRange, "FEED_POSITION_EXPIRED".into()));
        let (revision, oldest) = oldest_of(&status);
        assert_eq!(revision, "1");
        let from_oldest = all(&server, once(behind(&oldest))).await.expect("told");
        assert_eq!(from_oldest[0].changes.len(), 3);
        assert_eq!((from_oldest[0].after_revision, from_oldest[0].revision), (1, 4));

        // a hole in the middle is no retention
        db.execute("DELETE FROM change WHERE revision = 3").await;
        let status = refused(&server, behind(&oldest)).await;
        assert_eq!(reason(&status), (Code::DataLoss, "STORE_CORRUPT".into()));

        // the store was restored to an older state
        db.execute("UPDATE tenant SET revision = 3").await;
        let status = refused(&server, behind(&token)).await;
        assert_eq!(reason(&status), (Code::FailedPrecondition, "FEED_POSITION_AHEAD".into()));

        db.execute("UPDATE tenant SET generation = generation + 1").await;
        let status = refused(&server, behind(&token)).await;
        assert_eq!(reason(&status), (Code::FailedPrecondition, "FEED_GENERATION_CHANGED".into()));
    }

    /// A new life of the tenant is noticed also by who has watched all the while.
    async fn a_watch_ends_with_the_life_of_its_tenant(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let mut watch = open(&server, for_ever(at(None))).await.expect("opened");
        assert!(next(&mut watch).await.expect("no error").expect("at once").caught_up);
        db.execute("UPDATE tenant SET generation = generation + 1").await;
        let status = next(&mut watch).await.expect_err("ended");
        assert_eq!(reason(&status), (Code::FailedPrecondition, "FEED_GENERATION_CHANGED".into()));
    }

    /// The register says that the mailbox is a person's own: his mail leaves every copy, and comes
    /// back when it was a mistake.
    async fn what_becomes_private_leaves_the_copy(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        make_shared(&server, pb::MailboxKind::Shared).await;
        let own = Record::plain(900, SUPPORT, "own@x", "2026-03-01T08:00:00");
        server.post(blob(&[own])).await.expect("ingested");
        server.post(messages(0..1)).await.expect("ingested");
        let mut copy = Copy::default();
        catch_up(&server, &mut copy).await;
        assert_eq!(copy.rows.len(), 2);
        for (kind, told, left) in [
            (pb::MailboxKind::User, ChangeKind::Erased, 1),
            (pb::MailboxKind::Shared, ChangeKind::Created, 2),
        ] {
            make_shared(&server, kind).await;
            let responses = all(&server, once(behind(&copy.token))).await.expect("told");
            let changes = responses.iter().flat_map(|response| &response.changes);
            assert!(changes.map(|change| change.kind()).any(|kind| kind == told), "{told:?}");
            responses.into_iter().for_each(|response| copy.take(response));
            assert_eq!(copy.rows.len(), left);
            copy.assert_is(listed(&server).await.0);
        }
    }

    /// Private mail is nobody's business; and what is listed no more is told as that, and
    /// nothing else of it.
    async fn only_what_is_listed_is_told(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let private = Record::plain(1, ANNA, "private@x", "2026-03-01T09:00:00");
        server.post(blob(&[private])).await.expect("ingested");
        server.post(messages(0..2)).await.expect("ingested");
        let mut copy = Copy::default();
        catch_up(&server, &mut copy).await;
        assert_eq!((copy.rows.len(), copy.changes), (2, 2));

        db.execute("UPDATE attribution SET listed = false WHERE message_id = 'M00000@x'").await;
        let responses = all(&server, once(at(None))).await.expect("told");
        let told: Vec<(ChangeKind, bool)> = responses
            .iter()
            .flat_map(|response| &response.changes)
            .map(|change| (change.kind(), change.attribution.is_some()))
            .collect();
        assert_eq!(told.len(), 2);
        assert!(told.contains(&(ChangeKind::Erased, false)));
        assert!(told.contains(&(ChangeKind::Created, true)));
    }

    async fn what_is_wrong_with_a_call_is_told_with_its_fields(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        let interval = |seconds| Asked {
            checkpoint_interval: Some(prost_types::Duration { seconds, nanos: 0 }),
            ..for_ever(at(None))
        };
        let nobody = WatchPosition { tenant_id: "contoso".into(), ..at(None) };
        for (asked, field) in [
            (Asked::default(), "positions"),
            (Asked { positions: vec![at(None); 1_001], ..Default::default() }, "positions"),
            (once(nobody), "positions[0].tenant_id"),
            (Asked { positions: vec![at(None), at(None)], ..Default::default() }, "positions[1].tenant_id"),
            (once(at(Some(Start::From(9)))), "positions[0].from"),
            (interval(0), "checkpoint_interval"),
            (interval(601), "checkpoint_interval"),
            (interval(i64::MIN), "checkpoint_interval"),
            (interval(i64::MAX), "checkpoint_interval"),
        ] {
            let status = open(&server, asked).await.expect_err(field);
            assert_eq!(reason(&status), (Code::InvalidArgument, "INVALID_FIELD".into()));
            let violations = status.get_details_bad_request().expect("fields").field_violations;
            assert!(violations.iter().any(|violation| violation.field == field), "{violations:?}");
        }
        let unknown = WatchPosition { tenant_id: OTHER_TENANT.to_string(), ..at(None) };
        let status = open(&server, once(unknown)).await.expect_err("no such tenant");
        assert_eq!(reason(&status), (Code::NotFound, "TENANT_NOT_FOUND".into()));
        let ahead = WatchPosition { at_least_revision: 1, ..at(None) };
        let status = open(&server, once(ahead)).await.expect_err("not there yet");
        assert_eq!(reason(&status), (Code::Unavailable, "REVISION_NOT_REACHED".into()));
    }

    /// A stop ends the stream with what to do, and another process goes on.
    async fn a_stopping_server_says_so(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        server.post(messages(0..2)).await.expect("ingested");
        let mut watch = open(&server, for_ever(at(None))).await.expect("opened");
        let first = next(&mut watch).await.expect("no error").expect("more");
        server.stop().await;
        let status = next(&mut watch).await.expect_err("stopped");
        assert_eq!(reason(&status), (Code::Unavailable, "SERVER_STOPPING".into()));
        let other = TestServer::start(&db).await;
        other.post(messages(2..3)).await.expect("ingested");
        let rest = all(&other, once(behind(&first.resume_token))).await.expect("told");
        assert_eq!(rest[0].changes.len(), 1);
    }
}

/// The real program, killed while it is watched: its successor goes on, and nothing is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_no_change() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let database = process::database(&db.config.database);
    let here = TestServer::with_tenant(&db).await;
    let mut copy = Copy::default();
    for round in 0..4 {
        let program = process::Server::start(&database);
        let mut client = client(program.url.clone()).await;
        let position = if copy.token.is_empty() {
            at(None)
        } else {
            behind(&copy.token)
        };
        let watch = client.watch_attributions(for_ever(position)).await;
        let mut watch = watch.expect("opened").into_inner();
        let wanted = copy.changes + 20;
        for n in 0..20 {
            let n = round * 100 + n;
            here.post(messages(n..n + 1)).await.expect("ingested");
        }
        while copy.changes < wanted {
            copy.take(next(&mut watch).await.expect("no error").expect("more"));
        }
        here.post(messages(round * 100 + 50..round * 100 + 53))
            .await
            .expect("ingested");
        drop(program); // killed
    }
    catch_up(&here, &mut copy).await;
    assert_eq!(copy.repeats, 0);
    copy.assert_is(listed(&here).await.0);
}
