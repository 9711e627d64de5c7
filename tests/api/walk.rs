//! StreamAttributions: the walk of ListAttributions in chunks, however it is cut off.

use super::server::{TestServer, reason, timestamp};
use crate::{
    on_both_engines,
    support::{
        OTHER_TENANT, TENANT, TestDb, process,
        records::{Record, SUPPORT, blob},
    },
};
use sentby::{
    app::stream_attributions::MAX_STREAMS,
    config::DatabaseUrl,
    pb::{
        self, Attribution, StreamAttributionsRequest as Asked, StreamAttributionsResponse as Chunk,
        attribution_service_client::AttributionServiceClient as Client,
    },
};
use std::time::Duration;
use tonic::{Code, Status, Streaming, transport::Channel};
use tonic_types::StatusExt as _;

/// A tenant that is alone has half of what there may be.
const OF_ONE_TENANT: usize = MAX_STREAMS / 2;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn march() -> Asked {
    Asked {
        tenant_id: TENANT.to_string(),
        start: timestamp("2026-03-01T00:00:00Z"),
        end: timestamp("2026-04-01T00:00:00Z"),
        ..Default::default()
    }
}

async fn open(server: &TestServer, asked: Asked) -> Result<Streaming<Chunk>, Status> {
    let opened = server.attributions().stream_attributions(asked).await?;
    Ok(opened.into_inner())
}

async fn next(stream: &mut Streaming<Chunk>) -> Result<Option<Chunk>, Status> {
    let chunk = tokio::time::timeout(PATIENCE, stream.message()).await;
    chunk.expect("it does not hang")
}

/// All chunks until the end, and how it ended.
async fn rest(mut stream: Streaming<Chunk>) -> (Vec<Chunk>, Option<Status>) {
    let mut chunks = Vec::new();
    loop {
        match next(&mut stream).await {
            Ok(Some(chunk)) => chunks.push(chunk),
            Ok(None) => return (chunks, None),
            Err(status) => return (chunks, Some(status)),
        }
    }
}

/// The chunks of a walk that comes to its end.
async fn all(server: &TestServer, asked: Asked) -> Vec<Chunk> {
    let (chunks, end) = rest(open(server, asked).await.expect("opened")).await;
    assert!(end.is_none(), "{end:?}");
    let (last, others) = chunks.split_last().expect("one at least");
    assert!(last.resume_token.is_empty());
    assert!(others.iter().all(|chunk| !chunk.resume_token.is_empty()));
    chunks
}

fn joined(chunks: Vec<Chunk>) -> Vec<Attribution> {
    chunks
        .into_iter()
        .flat_map(|chunk| chunk.attributions)
        .collect()
}

async fn refused(server: &TestServer, asked: Asked) -> (Code, String) {
    reason(&open(server, asked).await.expect_err("refused"))
}

fn by_pages(asked: &Asked, page_token: &str) -> pb::ListAttributionsRequest {
    let asked = asked.clone();
    pb::ListAttributionsRequest {
        tenant_id: asked.tenant_id,
        start: asked.start,
        end: asked.end,
        mailbox: asked.mailbox,
        agent: asked.agent,
        verdict: asked.verdict,
        page_size: 9,
        page_token: page_token.into(),
        at_least_revision: asked.at_least_revision,
    }
}

/// The same walk by ListAttributions.
async fn listed(server: &TestServer, asked: &Asked, token: &str) -> Vec<Attribution> {
    let (mut found, mut token) = (Vec::new(), token.to_owned());
    loop {
        let page = by_pages(asked, &token);
        let page = server.attributions().list_attributions(page).await;
        let page = page.expect("a page").into_inner();
        found.extend(page.attributions);
        token = page.next_page_token;
        if token.is_empty() {
            return found;
        }
    }
}

/// 40 messages, three a minute, a fourth of them Bob's, one of them a conflict; and private mail.
async fn fill(server: &TestServer) {
    let (anna, bob) = ("anna@contoso.com", "bob@contoso.com");
    let mut records: Vec<Record> = (0..40)
        .map(|n| {
            let at = format!("2026-03-01T09:{:02}:00", n / 3);
            let agent = if n % 4 == 0 { bob } else { anna };
            Record::mailbox_side(n + 1, agent, &format!("M{n:02}@x"), &at)
        })
        .collect();
    let at = "2026-03-01T09:00:00";
    records.push(Record::agent_side(100, anna, "M00@x", at));
    records.push(Record::plain(101, anna, "private@x", at));
    server.post(blob(&records)).await.expect("ingested");
}

/// So many messages that no buffer on the way holds them all.
const MANY: usize = 100_000;

async fn fill_with_many(db: &TestDb, server: &TestServer) {
    let first = Record::mailbox_side(1, "anna@contoso.com", "M@x", "2026-03-02T00:00:00");
    server.post(blob(&[first])).await.expect("ingested");
    let copies = match &db.config.database {
        DatabaseUrl::Postgres(_) => {
            "INSERT INTO attribution SELECT tenant_id, md5('k' || n)::uuid, 'W' || n || '@x', \
             sent_at + n * interval '1 second', revision, verdict, basis, agent, \
             agent_object_id, mailbox, candidates, confirmed, contradicted, listed, evidence \
             FROM attribution, generate_series(2, 100000) n"
        }
        DatabaseUrl::Sqlite(_) => {
            "WITH RECURSIVE series(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM series \
             WHERE n < 100000) \
             INSERT INTO attribution SELECT tenant_id, randomblob(16), 'W' || n || '@x', \
             sent_at + n * 1000000, revision, verdict, basis, agent, agent_object_id, mailbox, \
             candidates, confirmed, contradicted, listed, evidence FROM attribution, series"
        }
    };
    db.execute(copies).await;
}

on_both_engines! {
    /// Whatever is asked and however it is cut, a stream is the walk by pages.
    async fn a_stream_is_the_walk_by_pages(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        fill(&server).await;
        let cases: [(usize, Asked); 8] = [
            (40, march()),
            (3, Asked {
                start: timestamp("2026-03-01T09:01:00Z"),
                end: timestamp("2026-03-01T09:02:00Z"),
                ..march()
            }),
            (9, Asked { agent: "BOB@contoso.com".into(), ..march() }),
            (0, Asked { agent: "nobody@contoso.com".into(), ..march() }),
            (40, Asked { mailbox: SUPPORT.into(), ..march() }),
            (1, Asked { verdict: pb::Verdict::Conflict.into(), ..march() }),
            (0, Asked { end: march().start, ..march() }),
            (40, Asked { at_least_revision: 1, ..march() }),
        ];
        for (count, asked) in cases {
            let pages = listed(&server, &asked, "").await;
            assert_eq!(pages.len(), count, "{asked:?}");
            for chunk_size in [0, 1, 7, 5_000] {
                let chunks = all(&server, Asked { chunk_size, ..asked.clone() }).await;
                assert!(chunks.iter().all(|chunk| chunk.revision == 1));
                let most = if chunk_size == 0 { 1_000 } else { chunk_size as usize };
                assert_eq!(chunks.len(), count.div_ceil(most).max(1), "{asked:?}");
                assert_eq!(joined(chunks), pages, "{asked:?}");
            }
        }
    }

    /// Behind every chunk a new stream goes on, or ListAttributions; and the other way round.
    async fn it_resumes_behind_every_chunk(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        fill(&server).await;
        let replica = TestServer::start(&db).await;
        let asked = Asked { chunk_size: 7, ..march() };
        let whole = joined(all(&server, march()).await);
        let mut seen = 0;
        for chunk in all(&server, asked.clone()).await {
            seen += chunk.attributions.len();
            if chunk.resume_token.is_empty() {
                break;
            }
            let behind = &whole[seen..];
            let token = chunk.resume_token;
            let resumed = Asked { resume_token: token.clone(), chunk_size: 3, ..march() };
            assert_eq!(joined(all(&replica, resumed).await), behind);
            assert_eq!(listed(&server, &asked, &token).await, behind);
        }
        assert_eq!(seen, whole.len());
        let page = server.attributions().list_attributions(by_pages(&asked, "")).await;
        let token = page.expect("a page").into_inner().next_page_token;
        let resumed = Asked { resume_token: token, ..asked };
        assert_eq!(joined(all(&server, resumed).await), &whole[9..]);
    }

    /// A walk keeps the revision of its first page, from which the changes complete it.
    async fn a_walk_keeps_its_revision_while_messages_arrive(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        fill(&server).await;
        let mut stream = open(&server, Asked { chunk_size: 5, ..march() }).await.expect("opened");
        let first = next(&mut stream).await.expect("answered").expect("a chunk");
        drop(stream);
        let late = |n, id: &str, at: &str| Record::mailbox_side(n, "anna@contoso.com", id, at);
        let records = [
            late(200, "before@x", "2026-03-01T08:00:00"),
            late(201, "behind@x", "2026-03-01T09:30:00"),
        ];
        server.post(blob(&records)).await.expect("ingested");
        let resumed = Asked { resume_token: first.resume_token, ..march() };
        let chunks = all(&server, resumed).await;
        assert!(chunks.iter().all(|chunk| chunk.revision == 1));
        let found = joined(chunks);
        assert_eq!(found.len(), 36, "40 less 5, and the one behind");
        assert!(found.iter().any(|one| one.message_id == "behind@x" && one.revision == 2));
        assert_eq!(all(&server, march()).await[0].revision, 2);
    }

    /// What is wrong with a call is told before a stream begins.
    async fn what_is_wrong_is_told_at_once(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        fill(&server).await;
        crate::support::register(&server.app, OTHER_TENANT).await;
        let token = all(&server, Asked { chunk_size: 7, ..march() }).await.remove(0).resume_token;
        let with = |token: &str| Asked { resume_token: token.into(), ..march() };
        let other = || with(&token);
        let mismatch = (Code::InvalidArgument, "PAGE_TOKEN_MISMATCH");
        let invalid = (Code::InvalidArgument, "PAGE_TOKEN_INVALID");
        let field = (Code::InvalidArgument, "INVALID_FIELD");
        let of_tenants = pb::ListTenantsRequest { page_size: 1, ..Default::default() };
        let of_tenants = server.tenants().list_tenants(of_tenants).await.expect("listed");
        let cases: [(Asked, (Code, &str)); 14] = [
            (Asked { agent: "bob@contoso.com".into(), ..other() }, mismatch),
            (Asked { mailbox: SUPPORT.into(), ..other() }, mismatch),
            (Asked { verdict: pb::Verdict::Attributed.into(), ..other() }, mismatch),
            (Asked { end: timestamp("2026-04-02T00:00:00Z"), ..other() }, mismatch),
            (Asked { tenant_id: OTHER_TENANT.to_string(), ..other() }, mismatch),
            (with(&of_tenants.into_inner().next_page_token), mismatch),
            (with("x"), invalid),
            (with("%%%"), invalid),
            (with(&token[1..]), invalid),
            (Asked { chunk_size: -1, ..march() }, field),
            (Asked { start: None, ..march() }, field),
            (Asked { verdict: pb::Verdict::Pending.into(), ..march() }, field),
            (
                Asked { tenant_id: "33333333-3333-4333-8333-333333333333".into(), ..march() },
                (Code::NotFound, "TENANT_NOT_FOUND"),
            ),
            (
                Asked { at_least_revision: 2, ..march() },
                (Code::Unavailable, "REVISION_NOT_REACHED"),
            ),
        ];
        for (asked, (code, name)) in cases {
            assert_eq!(refused(&server, asked.clone()).await, (code, name.into()), "{asked:?}");
        }
        let wrong = Asked { start: None, end: None, chunk_size: -1, ..march() };
        let status = open(&server, wrong).await.expect_err("refused");
        let told = status.get_details_bad_request().expect("a BadRequest").field_violations;
        assert_eq!(told.len(), 3, "{told:?}");

        // a revoke stops writes; reads go on
        let revoke = pb::RevokeConsentRequest { tenant_id: TENANT.to_string(), revoked_at: None };
        server.tenants().revoke_consent(revoke).await.expect("revoked");
        assert_eq!(joined(all(&server, other()).await).len(), 33);
    }

    /// A server that stops ends its streams, and another one goes on where they were.
    async fn a_stopped_server_leaves_a_place_to_go_on(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        fill_with_many(&db, &server).await;
        let mut stream = open(&server, march()).await.expect("opened");
        let mut chunks = vec![next(&mut stream).await.expect("answered").expect("a chunk")];
        let stopped = tokio::spawn(server.stop());
        let (more, end) = rest(stream).await;
        chunks.extend(more);
        let end = end.expect("it does not come to its end");
        assert_eq!(reason(&end), (Code::Unavailable, "SERVER_STOPPING".into()));
        tokio::time::timeout(PATIENCE, stopped).await.expect("in time").expect("stopped");
        let resume_token = chunks.last().expect("a chunk").resume_token.clone();
        assert!(!resume_token.is_empty());

        let replica = TestServer::start(&db).await;
        let whole = joined(all(&replica, march()).await);
        assert_eq!(whole.len(), MANY);
        chunks.extend(all(&replica, Asked { resume_token, ..march() }).await);
        assert_eq!(joined(chunks), whole);
    }

    /// A tenant that goes away, or comes back in a new life, ends the walks over the old one.
    async fn a_walk_ends_with_its_tenant(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        fill_with_many(&db, &server).await;
        for (change, expected) in [
            (
                "UPDATE tenant SET generation = generation + 1",
                (Code::InvalidArgument, "PAGE_TOKEN_MISMATCH"),
            ),
            ("DELETE FROM tenant", (Code::NotFound, "TENANT_NOT_FOUND")),
        ] {
            let mut stream = open(&server, march()).await.expect("opened");
            next(&mut stream).await.expect("answered").expect("a chunk");
            db.execute(change).await;
            let (chunks, end) = rest(stream).await;
            assert!(joined(chunks).len() < MANY - 1);
            assert_eq!(reason(&end.expect("told")), (expected.0, expected.1.into()));
        }
    }

    /// Readers that do not read cost little memory and nothing of the store; there may be
    /// only so many of them.
    async fn slow_readers_are_bounded(db: TestDb) {
        let server = TestServer::with_tenant(&db).await;
        fill_with_many(&db, &server).await;
        let program = process::Server::start(&process::database(&db.config.database));
        let mut streams = Vec::new();
        for n in 0..50 {
            let mut client = client(&program.url).await;
            match client.stream_attributions(march()).await {
                Ok(stream) => {
                    let mut stream = stream.into_inner();
                    next(&mut stream).await.expect("answered").expect("a chunk");
                    streams.push(stream);
                }
                Err(status) => {
                    assert!(n >= OF_ONE_TENANT, "{n}: {status}");
                    assert_eq!(reason(&status), (Code::ResourceExhausted, "TOO_MANY_STREAMS".into()));
                    assert!(status.get_details_retry_info().is_some());
                }
            }
        }
        assert_eq!(streams.len(), OF_ONE_TENANT);
        // another tenant has a place: this is no matter of who came first
        let mut other = client(&program.url).await;
        let asked = Asked { tenant_id: OTHER_TENANT.to_string(), ..march() };
        let refused = other.stream_attributions(asked).await.expect_err("not registered");
        assert_eq!(reason(&refused), (Code::NotFound, "TENANT_NOT_FOUND".into()));
        assert_nothing_is_held(&db).await;

        // a reader that leaves makes room, and one that comes back to it reads to the end
        let slow = streams.pop().expect("a stream");
        drop(streams);
        let (chunks, end) = rest(slow).await;
        assert!(end.is_none(), "{end:?}");
        assert_eq!(joined(chunks).len(), MANY - 1_000);
        let again = tokio::time::timeout(PATIENCE, async {
            while client(&program.url).await.stream_attributions(march()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        again.await.expect("there is room");
        let most = program.most_memory();
        assert!(most <= 128 << 20, "{most} bytes");
    }
}

async fn client(url: &str) -> Client<Channel> {
    let endpoint = Channel::from_shared(url.to_owned()).expect("a URI");
    Client::new(endpoint.connect().await.expect("connected"))
}

/// An open transaction or cursor would keep its lock on what it has read.
async fn assert_nothing_is_held(db: &TestDb) {
    if !matches!(db.config.database, DatabaseUrl::Postgres(_)) {
        return;
    }
    let held = "SELECT count(*) FROM pg_locks WHERE relation = 'attribution'::regclass \
                AND $1::uuid IS NOT NULL";
    // each stream still reads what it reads ahead, on a busy machine a page now and then
    let free = tokio::time::timeout(PATIENCE, async {
        let mut quiet = 0;
        while quiet < 20 {
            let is_free = db.number(held, TENANT).await == 0;
            quiet = if is_free { quiet + 1 } else { 0 };
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    free.await
        .expect("pages that are being read come to their end, and no others follow");
}
