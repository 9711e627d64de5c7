//! Two replicas, their Postgres, their Redis, and what stands between them: all of it real.

use super::schedule::Fault;
use crate::{
    fault::Fault as OfRedis,
    stage::{Client, Replica},
    support::{
        TestDb,
        postgres::{Alone, Postgres},
        redis::Redis,
        trip::Trip,
        wire::{Flow, Wire},
    },
};
use sentby::server;
use sqlx::postgres::PgConnectOptions;
use std::{str::FromStr as _, time::Duration};
use tokio::task::spawn_blocking;

/// For two replicas and for those who look.
const POSTGRES: [&str; 2] = ["-c", "max_connections=200"];

pub struct World {
    /// The same store without anything in between.
    pub db: TestDb,
    database: Database,
    redis: Redis,
    pub replicas: [Option<Replica>; 2],
    pub places: [Place; 2],
    /// What is wrong in the logs of those that have gone.
    wrong: Vec<String>,
}

enum Database {
    /// On the server that all share, which nobody strikes.
    Shared(Alone),
    Own(Postgres),
}

/// What stands between a replica and all others.
pub struct Place {
    pub store: Wire,
    cache: Wire,
    pub callers: Wire,
    /// The store by way of the wire.
    database: String,
}

impl World {
    /// `own`: with a Postgres that may be struck.
    pub async fn start(own: bool) -> Option<Self> {
        let redis = Redis::start().await?;
        let of = TestDb::postgres().await?;
        let database = if own {
            let mut postgres = Postgres::prepare().await?;
            postgres.start_with(&POSTGRES).await;
            Database::Own(postgres)
        } else {
            Database::Shared(Alone::start().await?)
        };
        let url = match &database {
            Database::Shared(alone) => alone.url.clone(),
            Database::Own(postgres) => postgres.url(),
        };
        let db = TestDb::other(&of, url.clone());
        server::migrate(&db.config).await.expect("migrated");
        let places = [
            Place::new(&url, redis.port).await,
            Place::new(&url, redis.port).await,
        ];
        let mut world = Self {
            db,
            database,
            redis,
            replicas: [None, None],
            places,
            wrong: Vec::new(),
        };
        world.start_replica(0).await;
        world.start_replica(1).await;
        Some(world)
    }

    async fn start_replica(&mut self, at: usize) {
        let place = &self.places[at];
        let (database, cache) = (place.database.clone(), place.cache_url());
        // it is waited for, and callers go on meanwhile
        let start = move || Replica::start_on(&database, &cache);
        let replica = spawn_blocking(start).await.expect("started");
        let (_, port) = replica.server.address.rsplit_once(':').expect("a port");
        place.callers.lead_to(port.parse().expect("a number"));
        self.replicas[at] = Some(replica);
    }

    fn take(&mut self, at: usize) -> Replica {
        let replica = self.replicas[at].take().expect("it runs");
        self.wrong.extend(wrong(&replica));
        replica
    }

    fn replica(&self, at: usize) -> &Replica {
        self.replicas[at].as_ref().expect("it runs")
    }

    /// A connection of its own to each, past everything in between.
    pub async fn clients(&self) -> [Client; 2] {
        [
            self.replica(0).client().await,
            self.replica(1).client().await,
        ]
    }

    fn postgres(&mut self) -> &mut Postgres {
        match &mut self.database {
            Database::Own(postgres) => postgres,
            Database::Shared(_) => panic!("others are on this Postgres too"),
        }
    }

    /// `at`: to or at which replica.
    pub async fn strike(&mut self, fault: Fault, at: usize) {
        let slow = Flow::Slow(Duration::from_millis(40));
        match fault {
            Fault::ServiceKilled => drop(self.take(at)),
            Fault::ServiceRestarted => {
                let replica = self.take(at);
                let stopped = spawn_blocking(move || replica.stop()).await;
                stopped.expect("it ends in order");
            }
            Fault::ServiceFrozen => self.replica(at).server.freeze(),
            Fault::SessionKilled => self.postgres().crash_session().await,
            Fault::PostgresKilled => self.postgres().crash(),
            Fault::PostgresRestarted => self.postgres().stop(),
            Fault::PostgresFrozen => self.postgres().freeze(),
            Fault::RedisKilled => OfRedis::Killed.strike(&mut self.redis, &[], &[]).await,
            Fault::RedisFlushed => OfRedis::Flushed.strike(&mut self.redis, &[], &[]).await,
            Fault::RedisFrozen => OfRedis::Frozen.strike(&mut self.redis, &[], &[]).await,
            Fault::StoreCut => self.places[at].store.set(Flow::Cut),
            Fault::StoreHeld => self.places[at].store.set(Flow::Stall),
            Fault::StoreSlow => self.places[at].store.set(slow),
            Fault::StoreUnanswered => self.places[at].store.set(Flow::Unanswered),
            Fault::CommitsUnanswered => self.places[at].store.trip(Some(Trip::Commits)),
            Fault::CacheCut => self.places[at].cache.set(Flow::Cut),
            Fault::CacheHeld => self.places[at].cache.set(Flow::Stall),
            Fault::CacheUnanswered => self.places[at].cache.set(Flow::Unanswered),
            Fault::CallersCut => self.places[at].callers.set(Flow::Cut),
            Fault::CallersHeld => self.places[at].callers.set(Flow::Stall),
            Fault::CallersSlow => self.places[at].callers.set(slow),
            Fault::CallersUnanswered => self.places[at].callers.set(Flow::Unanswered),
        }
    }

    pub async fn heal(&mut self, fault: Fault, at: usize) {
        match fault {
            Fault::ServiceKilled | Fault::ServiceRestarted => self.start_replica(at).await,
            Fault::ServiceFrozen => self.replica(at).server.thaw(),
            Fault::SessionKilled => drop(self.postgres().answers().await),
            Fault::PostgresKilled | Fault::PostgresRestarted => {
                self.postgres().start_with(&POSTGRES).await;
            }
            Fault::PostgresFrozen => self.postgres().thaw(),
            Fault::RedisKilled => OfRedis::Killed.heal(&mut self.redis, &[], &[]).await,
            Fault::RedisFlushed => OfRedis::Flushed.heal(&mut self.redis, &[], &[]).await,
            Fault::RedisFrozen => OfRedis::Frozen.heal(&mut self.redis, &[], &[]).await,
            Fault::StoreCut | Fault::StoreHeld | Fault::StoreSlow | Fault::StoreUnanswered => {
                self.places[at].store.set(Flow::Pass);
            }
            Fault::CommitsUnanswered => self.places[at].store.trip(None),
            Fault::CacheCut | Fault::CacheHeld | Fault::CacheUnanswered => {
                self.places[at].cache.set(Flow::Pass);
            }
            Fault::CallersCut
            | Fault::CallersHeld
            | Fault::CallersSlow
            | Fault::CallersUnanswered => self.places[at].callers.set(Flow::Pass),
        }
    }

    /// Ends all, in order, and tells what the logs say that they must not.
    pub async fn stop(mut self) -> Vec<String> {
        for at in 0..2 {
            let replica = self.take(at);
            let stopped = spawn_blocking(move || replica.stop()).await;
            stopped.expect("it ends in order");
        }
        if let Database::Shared(alone) = self.database {
            alone.stop().await;
        }
        self.wrong
    }
}

impl Place {
    async fn new(url: &str, redis: u16) -> Self {
        let port = PgConnectOptions::from_str(url).expect("a URL").get_port();
        let store = Wire::to_postgres(port).await;
        let database = url.replacen(&format!(":{port}/"), &format!(":{}/", store.port), 1);
        Self {
            store,
            cache: Wire::to(redis).await,
            callers: Wire::to(0).await, // nobody is there yet
            database,
        }
    }

    fn cache_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.cache.port)
    }
}

/// Lines of a log that there must not be.
fn wrong(replica: &Replica) -> Vec<String> {
    let wrong = ["panicked", "\"BUG\"", "a row that cannot be right"];
    let lines = replica.server.log_lines().into_iter();
    lines
        .filter(|line| wrong.iter().any(|words| line.contains(words)))
        .collect()
}
