//! What revisions changed: read behind any of them and within any limit, and forgotten from the
//! beginning only.

use super::support::{OTHER_TENANT, TENANT, TestDb, register, time};
use crate::on_both_engines;
use futures_util::future::join_all;
use sentby::{
    app::{
        App,
        watch_attributions::{Asked, Place, Start, Watch},
    },
    config::DatabaseUrl,
    domain::{ChangeKind, Commit, Generation, MessageKey, Revision, Tenant, TenantId, Timestamp},
    store::{CommitLimit, Expiring, Tx},
};
use sqlx::{Connection as _, PgConnection, Row as _};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

const DAY: i64 = 86_400_000_000;
const WITHOUT: CommitLimit = CommitLimit {
    revisions: u32::MAX,
    bytes: usize::MAX,
};

fn day(n: i64) -> Timestamp {
    Timestamp::from_micros(time("2026-03-01T00:00:00.000007Z").micros() + n * DAY)
}

fn commit(revision: u64, committed_at: Timestamp, changes: u64) -> Commit {
    let change = |n| {
        let kind = ChangeKind::ALL[n as usize % ChangeKind::ALL.len()];
        (MessageKey(Uuid::from_u64_pair(revision, n)), kind)
    };
    Commit {
        revision: Revision(revision),
        committed_at,
        messages: (0..changes).map(change).collect(),
    }
}

async fn begin(app: &App, tenant: TenantId) -> Box<dyn Tx> {
    let begun = app.store().begin(tenant).await.expect("begun");
    begun.expect("a tenant")
}

/// The next revision with so many changes, up to the commit.
async fn append(tx: &mut dyn Tx, committed_at: Timestamp, changes: u64) -> Commit {
    let revision = tx.tenant().revision.next();
    let commit = commit(revision.0, committed_at, changes);
    let appended = tx
        .append_change(revision, committed_at, &commit.messages)
        .await;
    appended.expect("appended");
    let tenant = Tenant {
        revision,
        ..tx.tenant().clone()
    };
    tx.put_tenant(&tenant).await.expect("put");
    commit
}

/// A revision for each pair of a time and a number of changes.
async fn append_all(app: &App, tenant: TenantId, revisions: &[(Timestamp, u64)]) -> Vec<Commit> {
    let mut commits = Vec::new();
    for &(at, changes) in revisions {
        let mut tx = begin(app, tenant).await;
        commits.push(append(&mut *tx, at, changes).await);
        tx.commit().await.expect("committed");
    }
    commits
}

async fn read(app: &App, tenant: TenantId, after: u64, limit: CommitLimit) -> Vec<Commit> {
    let read = app.store().commits(tenant, Revision(after), limit).await;
    read.expect("read").expect("a tenant").value
}

/// What the limits leave, said in other words than the statement's.
fn expected(all: &[Commit], after: u64, limit: CommitLimit) -> Vec<Commit> {
    let (mut left, mut bytes) = (Vec::new(), 0);
    for commit in all.iter().filter(|commit| commit.revision.0 > after) {
        if left.len() == limit.revisions as usize || bytes >= limit.bytes {
            break;
        }
        bytes += 17 * commit.messages.len();
        left.push(commit.clone());
    }
    left
}

async fn expire(app: &App, before: Timestamp, limit: u32) -> u64 {
    let expired = app.store().expire(TENANT, Expiring::Changes, before, limit);
    expired.await.expect("deleted")
}

/// The revisions of a tenant of which there is a row.
async fn kept(app: &App, tenant: TenantId) -> Vec<u64> {
    let read = read(app, tenant, 0, WITHOUT).await;
    read.iter().map(|commit| commit.revision.0).collect()
}

on_both_engines! {
    /// Behind every revision and within every limit: what was appended, in its order.
    async fn what_was_appended_comes_back_within_limits(db: TestDb) {
        let app = db.app_with_tenant().await;
        register(&app, OTHER_TENANT).await;
        let sizes = [3, 0, 1, 0, 0, 700, 2, 0];
        let mut all = Vec::new();
        let mut others = Vec::new();
        // a tenant's revisions lie between the other's
        for (n, size) in (0..).zip(sizes) {
            all.extend(append_all(&app, TENANT, &[(day(n), size)]).await);
            others.extend(append_all(&app, OTHER_TENANT, &[(day(n), 1), (day(n), 5)]).await);
        }
        for after in 0..=9 {
            for revisions in [1, 2, 3, 8, 500] {
                for bytes in [1, 17, 50, 51, 52, 68, 69, 11_967, 11_968, 11_969, usize::MAX] {
                    let limit = CommitLimit { revisions, bytes };
                    let found = read(&app, TENANT, after, limit).await;
                    assert_eq!(found, expected(&all, after, limit), "{after} {limit:?}");
                }
            }
        }
        assert_eq!(read(&app, OTHER_TENANT, 0, WITHOUT).await, others);
        let behind = app.store().commits(TENANT, Revision(5), WITHOUT).await.expect("read").expect("a tenant");
        let tenant = app.store().tenant(TENANT).await.expect("read").expect("a tenant");
        assert_eq!((behind.as_of, behind.generation), (Revision(8), tenant.generation));
        let at_its_end = app.store().commits(TENANT, Revision(8), WITHOUT).await.expect("read").expect("a tenant");
        assert_eq!((at_its_end.as_of, at_its_end.value), (Revision(8), vec![]));
        let unknown = TenantId(Uuid::from_u128(9));
        assert!(app.store().commits(unknown, Revision(0), WITHOUT).await.expect("read").is_none());
    }

    async fn revisions_are_told_of_those_who_are_there(db: TestDb) {
        let app = db.app_with_tenant().await;
        register(&app, OTHER_TENANT).await;
        append_all(&app, OTHER_TENANT, &[(day(0), 1), (day(0), 0)]).await;
        let unknown = TenantId(Uuid::from_u128(9));
        let mut found = app.store().revisions(&[OTHER_TENANT, unknown, TENANT]).await.expect("read");
        found.sort_by_key(|found| found.tenant);
        let told: Vec<_> = found.iter().map(|found| (found.tenant, found.revision)).collect();
        assert_eq!(told, [(TENANT, Revision(0)), (OTHER_TENANT, Revision(2))]);
        let generation = |tenant| {
            let store = app.store();
            async move { store.tenant(tenant).await.expect("read").expect("a tenant").generation }
        };
        let generations: Vec<Generation> = join_all([TENANT, OTHER_TENANT].map(generation)).await;
        assert_eq!(found.iter().map(|found| found.generation).collect::<Vec<_>>(), generations);
        assert_eq!(app.store().revisions(&[]).await.expect("read"), []);
        assert_eq!(app.store().revisions(&[unknown]).await.expect("read"), []);
    }

    /// Clocks differ: a revision may be older by its time than the one before it.
    async fn only_a_beginning_is_forgotten(db: TestDb) {
        let app = db.app_with_tenant().await;
        register(&app, OTHER_TENANT).await;
        let days = [1, 3, 2, 9, 1, 2, 7, 8];
        let revisions = days.map(|n| (day(n), 1));
        append_all(&app, TENANT, &revisions).await;
        append_all(&app, OTHER_TENANT, &revisions).await;
        assert_eq!(expire(&app, day(1), 100).await, 0);
        // the fifth and the sixth are old enough, and behind one that is not
        assert_eq!(expire(&app, day(4), 100).await, 3);
        assert_eq!(kept(&app, TENANT).await, [4, 5, 6, 7, 8]);
        assert_eq!(expire(&app, day(9), 100).await, 0);
        // what was committed at the time itself stays
        assert_eq!(expire(&app, Timestamp::from_micros(day(9).micros() + 1), 2).await, 2);
        assert_eq!(kept(&app, TENANT).await, [6, 7, 8]);
        assert_eq!(expire(&app, day(8), 100).await, 2);
        assert_eq!(kept(&app, TENANT).await, [8]);
        assert_eq!(kept(&app, OTHER_TENANT).await, [1, 2, 3, 4, 5, 6, 7, 8]);
        // the tenant is where it was, and goes on there
        append_all(&app, TENANT, &[(day(9), 1)]).await;
        assert_eq!(kept(&app, TENANT).await, [8, 9]);
    }

    /// A bounded number at a time until there is none, by several processes at once.
    async fn the_forgetting_of_changes_is_bounded(db: TestDb) {
        let (app, other) = (db.app_with_tenant().await, db.app().await);
        append_all(&app, TENANT, &[(day(0), 1); 60]).await;
        assert_eq!(expire(&app, day(1), 20).await, 20);
        assert_eq!(kept(&app, TENANT).await, (21..=60).collect::<Vec<_>>());
        let (one, two) = tokio::join!(expire(&app, day(1), 15), expire(&other, day(1), 15));
        // both may have chosen the same ones
        assert!((15..=30).contains(&(one + two)), "{one} {two}");
        let left = 40 - one - two;
        assert_eq!(kept(&app, TENANT).await, (61 - left..=60).collect::<Vec<_>>());
        let mut deleted = 0;
        loop {
            match expire(&app, day(1), 7).await {
                0 => break,
                n => deleted += n,
            }
        }
        assert_eq!(deleted, left);
        assert_eq!(kept(&app, TENANT).await, [0; 0]);
        assert_eq!(expire(&app, day(1), 7).await, 0);
        let empty = app.store().commits(TENANT, Revision(60), WITHOUT).await.expect("read").expect("a tenant");
        assert_eq!(empty.as_of, Revision(60));
    }
}

async fn connect(db: &TestDb) -> PgConnection {
    let DatabaseUrl::Postgres(url) = &db.config.database else {
        unreachable!("a case of Postgres")
    };
    PgConnection::connect(url).await.expect("Postgres")
}

/// What a reader of a sequence finds behind its cursor.
async fn poll(reader: &mut PgConnection, cursor: &mut i64) -> Vec<String> {
    let found = sqlx::query("SELECT id, what FROM scratch WHERE id > $1 ORDER BY id")
        .bind(*cursor)
        .fetch_all(reader)
        .await
        .expect("read");
    *cursor = found.last().map_or(*cursor, |row| row.get("id"));
    found.iter().map(|row| row.get("what")).collect()
}

/// The order of things that loses a row where the cursor is a sequence: the first to take a
/// number is the last to commit. Without this test the next one would prove nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_over_a_sequence_loses_rows() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let (mut first, mut second, mut reader) =
        (connect(&db).await, connect(&db).await, connect(&db).await);
    let run = async |connection: &mut PgConnection, sql: &'static str| {
        sqlx::query(sql).execute(connection).await.expect("done");
    };
    run(
        &mut reader,
        "CREATE TABLE scratch (id bigserial PRIMARY KEY, what text NOT NULL)",
    )
    .await;
    let mut cursor = 0;
    run(&mut first, "BEGIN").await;
    run(&mut first, "INSERT INTO scratch (what) VALUES ('first')").await;
    run(&mut second, "BEGIN").await;
    run(&mut second, "INSERT INTO scratch (what) VALUES ('second')").await;
    run(&mut second, "COMMIT").await;
    let mut seen = poll(&mut reader, &mut cursor).await;
    run(&mut first, "COMMIT").await;
    seen.extend(poll(&mut reader, &mut cursor).await);
    assert_eq!(seen, ["second"], "the anomaly shows");
    assert_eq!(
        poll(&mut reader, &mut 0).await,
        ["first", "second"],
        "though both are there"
    );
}

/// A reader that polls behind its cursor, and one that follows the feed.
struct Reader {
    app: Arc<App>,
    tenant: TenantId,
    cursor: u64,
}

impl Reader {
    async fn poll(&mut self) -> Vec<u64> {
        let found = read(&self.app, self.tenant, self.cursor, WITHOUT).await;
        let found: Vec<u64> = found.iter().map(|commit| commit.revision.0).collect();
        self.cursor = found.last().copied().unwrap_or(self.cursor);
        found
    }
}

/// Each revision of which the watch told, once, until the last one.
async fn told(mut watch: Watch, last: u64) -> Vec<u64> {
    let all = async {
        let mut told: Vec<u64> = Vec::new();
        while told.last() != Some(&last) {
            let chunk = watch.next().await.expect("told").expect("it follows");
            told.extend(chunk.changes.iter().map(|told| told.change.revision.0));
        }
        told
    };
    let all = timeout(Duration::from_secs(20), all).await;
    all.expect("the feed goes on")
}

async fn follow(app: &Arc<App>, tenant: TenantId) -> Watch {
    let asked = Asked {
        places: vec![Place {
            tenant,
            start: Start::Beginning,
            at_least: Revision(0),
        }],
        follow: true,
        checkpoint: Duration::from_secs(30),
    };
    let watch = Arc::clone(app).watch_attributions(asked).await;
    watch.expect("opened")
}

on_both_engines! {
    /// The same order of things, two writers of one tenant: the second one cannot take a number
    /// before the first one is done with its own.
    async fn overlapping_writers_of_a_tenant_lose_nothing(db: TestDb) {
        let (one, two) = (db.app_with_tenant().await, db.app().await);
        let watch = follow(&one, TENANT).await;
        let mut reader = Reader { app: db.app().await, tenant: TENANT, cursor: 0 };
        let mut first = begin(&one, TENANT).await;
        append(&mut *first, day(0), 1).await;
        let second = tokio::spawn({
            let two = Arc::clone(&two);
            async move {
                let mut second = begin(&two, TENANT).await;
                let commit = append(&mut *second, day(0), 1).await;
                second.commit().await.expect("committed");
                commit.revision.0
            }
        });
        sleep(Duration::from_millis(300)).await;
        assert!(!second.is_finished(), "it waits for its turn");
        assert_eq!(reader.poll().await, [0; 0]);
        first.commit().await.expect("committed");
        assert_eq!(second.await.expect("committed"), 2);
        assert_eq!(reader.poll().await, [1, 2]);

        // one that is given up while the next one waits: its number is the next one's
        let mut lost = begin(&one, TENANT).await;
        assert_eq!(append(&mut *lost, day(0), 9).await.revision.0, 3);
        let next = tokio::spawn({
            let two = Arc::clone(&two);
            async move { append_all(&two, TENANT, &[(day(0), 1)]).await }
        });
        sleep(Duration::from_millis(300)).await;
        assert!(!next.is_finished(), "it waits for its turn");
        drop(lost);
        let next = next.await.expect("committed");
        assert_eq!(next, [commit(3, day(0), 1)], "nothing is left of the other");
        assert_eq!(reader.poll().await, [3]);
        assert_eq!(told(watch, 3).await, [1, 2, 3]);
        db.assert_gapless(TENANT).await;
    }
}

/// And of two tenants: each has numbers of its own, so it does not matter who is first.
/// (SQLite has one writer at a time.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlapping_writers_of_two_tenants_lose_nothing() {
    let Some(db) = TestDb::postgres().await else {
        return;
    };
    let (one, two) = (db.app_with_tenant().await, db.app().await);
    register(&one, OTHER_TENANT).await;
    let watches = [follow(&two, TENANT).await, follow(&one, OTHER_TENANT).await];
    let reader = |tenant| Reader {
        app: Arc::clone(&one),
        tenant,
        cursor: 0,
    };
    let (mut mine, mut others) = (reader(TENANT), reader(OTHER_TENANT));
    let mut first = begin(&one, TENANT).await;
    append(&mut *first, day(0), 1).await;
    let mut second = begin(&two, OTHER_TENANT).await;
    append(&mut *second, day(0), 1).await;
    second.commit().await.expect("committed");
    assert_eq!((mine.poll().await, others.poll().await), (vec![], vec![1]));
    let mut lost = begin(&two, OTHER_TENANT).await;
    append(&mut *lost, day(0), 1).await;
    first.commit().await.expect("committed");
    assert_eq!((mine.poll().await, others.poll().await), (vec![1], vec![]));
    drop(lost);
    append_all(&two, OTHER_TENANT, &[(day(0), 1)]).await;
    append_all(&two, TENANT, &[(day(0), 1)]).await;
    assert_eq!((mine.poll().await, others.poll().await), (vec![2], vec![2]));
    for watch in watches {
        assert_eq!(told(watch, 2).await, [1, 2]);
    }
}
