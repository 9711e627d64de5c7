//! The task that knows whether the server is reached: see [`super::super::reach`].

use crate::store::{StoreError, reach::Down};
use sqlx::{
    ConnectOptions as _, PgConnection, Pool, Postgres, postgres::PgConnectOptions, raw_sql,
};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// How often a server that was reached is asked.
const ASK: Duration = Duration::from_millis(500);
/// How often one that was not: seven connections a second at most, however many calls wait.
const AGAIN: Duration = Duration::from_millis(150);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// No pool tries again where there is no socket.
fn nowhere() -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass().socket("/nonexistent/the-database-is-not-reached")
}

/// For ever. `pools`: each with where it connects to while the server is reached.
pub(super) async fn keep(
    down: Arc<Down>,
    own: PgConnectOptions,
    pools: Vec<(Pool<Postgres>, PgConnectOptions)>,
) {
    loop {
        let cause = match timeout(PATIENCE, connect(&own)).await {
            Ok(Ok(connection)) => {
                if down.found() {
                    tracing::info!("the database is reached");
                    for (pool, options) in &pools {
                        pool.set_connect_options(options.clone());
                    }
                }
                while_it_answers(connection).await;
                // maybe this connection alone has ended
                continue;
            }
            Ok(Err(cause)) => StoreError::from(cause),
            Err(_) => StoreError::Unavailable(Arc::new(sqlx::Error::PoolTimedOut)),
        };
        if down.lost(cause) {
            tracing::info!("the database is not reached: calls fail at once until it is");
            for (pool, _) in &pools {
                pool.set_connect_options(nowhere());
            }
        }
        sleep(AGAIN).await;
    }
}

/// One that answers: a pooler takes connections also while there is no server behind it.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut connection = options.connect().await?;
    ask(&mut connection).await?;
    Ok(connection)
}

async fn ask(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    raw_sql("SELECT 1").execute(connection).await?;
    Ok(())
}

async fn while_it_answers(mut connection: PgConnection) {
    loop {
        sleep(ASK).await;
        if !matches!(timeout(PATIENCE, ask(&mut connection)).await, Ok(Ok(()))) {
            return;
        }
    }
}
