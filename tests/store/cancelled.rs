//! Calls of the store that are dropped half-way, at any point: nothing of them is left on a
//! connection that goes on to somebody else.

use super::support::{OTHER_TENANT, TENANT, TestDb, postgres::Alone, register, time};
use sentby::{
    app::App,
    config::{CacheKind, Config, DatabaseUrl},
    domain::{ChangeKind, MessageKey, TenantId, TimeRange},
    server,
    store::{PageLimit, RangeFilter, Store, StoreError},
};
use sqlx::{Connection as _, PgConnection, Row as _};
use std::{
    future::poll_fn,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// No call here is polled as often.
const MOST: usize = 200;

/// Drops it after so many polls. `true`: it ended before.
async fn dropped_after<F: Future>(polls: usize, future: F) -> bool {
    let mut future = Box::pin(future);
    let mut polled = 0;
    poll_fn(|context| {
        polled += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if polled >= polls => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn write(store: Arc<dyn Store>) -> Result<(), StoreError> {
    let mut tx = store.begin(TENANT).await?.expect("a tenant");
    let key = MessageKey(Uuid::from_u128(1));
    tx.messages(&[key]).await?;
    tx.mailboxes().await?;
    let mut tenant = tx.tenant().clone();
    tenant.revision = tenant.revision.next();
    let at = time("2026-03-01T09:00:00Z");
    tx.append_change(tenant.revision, at, &[(key, ChangeKind::Created)])
        .await?;
    tx.put_tenant(&tenant).await?;
    tx.commit().await
}

async fn no_tenant(store: Arc<dyn Store>) -> Result<(), StoreError> {
    let tenant = TenantId(Uuid::from_u128(99));
    assert!(store.begin(tenant).await?.is_none());
    Ok(())
}

async fn read(store: Arc<dyn Store>) -> Result<(), StoreError> {
    let filter = RangeFilter {
        range: TimeRange {
            start: time("2026-01-01T00:00:00Z"),
            end: time("2027-01-01T00:00:00Z"),
        },
        mailbox: None,
        agent: None,
        verdict: None,
    };
    let limit = PageLimit {
        rows: 100,
        bytes: 1 << 20,
    };
    store.range(TENANT, &filter, None, limit).await?;
    let keys = [MessageKey(Uuid::from_u128(1))];
    store.answers(TENANT, &keys).await?;
    store.hint(&[TENANT]).await
}

async fn opened(url: &str) -> Arc<App> {
    let template = TestDb::sqlite().await;
    let config = Config {
        database: DatabaseUrl::Postgres(url.to_owned()),
        cache: CacheKind::None,
        ..template.config.clone()
    };
    server::migrate(&config).await.expect("migrated");
    server::open(&config).await.expect("opened")
}

/// sqlx 0.9 forgets a `BEGIN` whose caller left before it was answered. What the next borrower of
/// the connection writes then looks committed, and is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_connection_is_left_inside_of_a_transaction() {
    let Some(mut alone) = Alone::start().await else {
        return;
    };
    let app = opened(&alone.url).await;
    register(&app, TENANT).await;
    let store = || app.shared_store();
    let mut ends = 0;
    for polls in 1..=MOST {
        let ended = [
            dropped_after(polls, write(store())).await,
            dropped_after(polls, no_tenant(store())).await,
            dropped_after(polls, read(store())).await,
        ];
        ends += usize::from(ended == [true; 3]);
        let until = Instant::now() + PATIENCE;
        while alone.sessions("state LIKE 'idle in transaction%'").await > 0 {
            assert!(Instant::now() < until, "left open after {polls} polls");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if ends == 3 {
            break;
        }
    }
    assert_eq!(ends, 3, "the calls were dropped at every point");
    // so what is acknowledged on any of these connections is there for everybody
    register(&app, OTHER_TENANT).await;
    let mut other = PgConnection::connect(&alone.url).await.expect("Postgres");
    for _ in 0..24 {
        let before = app.store().tenant(TENANT).await.expect("read");
        write(store()).await.expect("written");
        let seen = sqlx::query("SELECT revision FROM tenant WHERE tenant_id = $1").bind(TENANT.0);
        let seen: i64 = seen.fetch_one(&mut other).await.expect("a row").get(0);
        assert_eq!(seen as u64, before.expect("a tenant").revision.0 + 1);
    }
    drop(app);
    alone.stop().await;
}
