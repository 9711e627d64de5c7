//! Readers of the change feed that are cut off at random moments, go on at their last token on
//! whichever replica, and see for themselves that nothing is missing.

use crate::{feed::Scene, stage::Client, support::copy::Copy};
use sentby::{
    domain::TenantId,
    pb::{
        WatchAttributionsRequest, WatchAttributionsResponse as Response, WatchPosition,
        watch_position::Start,
    },
    simulate::Random,
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};
use tonic::{Status, Streaming};
use tonic_types::StatusExt as _;

/// How often a reader looks up from its stream.
const TICK: Duration = Duration::from_millis(20);

/// How far the play is. Goals are revisions by tenant.
#[derive(Clone, Debug)]
pub enum Act {
    /// Everybody is cut off now and then.
    Storm,
    /// Nobody is any more: each goes on with one stream, up to here.
    Calm(Arc<BTreeMap<TenantId, u64>>),
    /// The last words, told to those who wait at their streams.
    End(Arc<BTreeMap<TenantId, u64>>),
}

/// One reader, of one tenant or of several.
pub struct Watcher {
    scene: Arc<Scene>,
    random: Random,
    /// The replica that it is at when nobody dies any more.
    home: usize,
    pub copies: BTreeMap<TenantId, Copy>,
    /// It keeps what a response said, and may lose the token that came with it.
    is_forgetful: bool,
    last: Option<Taken>,
    pub responses: usize,
    pub cuts: usize,
    pub deaths: usize,
    /// Changes that have to come again, because their token was lost.
    pub forgotten: usize,
}

/// The last response, and where its tenant was before it.
struct Taken {
    tenant: TenantId,
    revision: Option<u64>,
    token: String,
    changes: usize,
}

/// How a stream ended.
enum End {
    Cut,
    /// The replica died.
    Died,
    /// All is told.
    Done,
}

impl Watcher {
    pub fn new(
        scene: &Arc<Scene>,
        home: usize,
        tenants: &[TenantId],
        is_forgetful: bool,
        random: Random,
    ) -> Self {
        Self {
            scene: Arc::clone(scene),
            random,
            home,
            copies: tenants
                .iter()
                .map(|&tenant| (tenant, Copy::of_nothing()))
                .collect(),
            is_forgetful,
            last: None,
            responses: 0,
            cuts: 0,
            deaths: 0,
            forgotten: 0,
        }
    }

    /// Watches until all is told.
    pub async fn run(mut self) -> Self {
        loop {
            let act = self.scene.act();
            let replica = match act {
                Act::Storm => self.random.below(2) as usize,
                _ => self.home,
            };
            // a connection of its own: nobody else's cut is felt
            let Ok(client) = Client::connect(self.scene.url(replica)).await else {
                sleep(TICK).await;
                continue;
            };
            let end = match self.open(&client).await {
                Ok(stream) => self.read(stream, matches!(act, Act::Storm)).await,
                Err(status) => died(&status),
            };
            match end {
                End::Cut => self.cuts += 1,
                End::Died => self.deaths += 1,
                End::Done => return self,
            }
            self.forget();
        }
    }

    async fn open(&mut self, client: &Client) -> Result<Streaming<Response>, Status> {
        let position = |(tenant, copy): (&TenantId, &Copy)| WatchPosition {
            tenant_id: tenant.to_string(),
            start: match copy.token.as_str() {
                "" => None,
                token => Some(Start::ResumeToken(token.into())),
            },
            at_least_revision: 0,
        };
        let second = prost_types::Duration {
            seconds: 1,
            nanos: 0,
        };
        let asked = WatchAttributionsRequest {
            positions: self.copies.iter().map(position).collect(),
            follow: true,
            checkpoint_interval: self.random.chance(50).then_some(second),
        };
        Ok(client
            .attributions()
            .watch_attributions(asked)
            .await?
            .into_inner())
    }

    async fn read(&mut self, mut stream: Streaming<Response>, in_storm: bool) -> End {
        let cut_at = Instant::now() + Duration::from_millis(self.random.below(800));
        let mut left = self.random.below(12);
        let mut is_counted = false;
        loop {
            let is_storm = match self.scene.act() {
                Act::Storm => true,
                Act::Calm(goal) => {
                    if !in_storm && !is_counted && self.is_at(&goal) {
                        is_counted = true;
                        self.scene.arrived();
                    }
                    false
                }
                Act::End(goal) if self.is_at(&goal) => return End::Done,
                Act::End(_) => false,
            };
            if in_storm && (!is_storm || left == 0 || Instant::now() >= cut_at) {
                return End::Cut;
            }
            match timeout(TICK, stream.message()).await {
                Err(_) => {}
                Ok(Ok(Some(response))) => {
                    self.take(response);
                    left = left.saturating_sub(1);
                }
                Ok(Ok(None)) => panic!("a watch that follows has no end"),
                Ok(Err(status)) => return died(&status),
            }
        }
    }

    fn take(&mut self, response: Response) {
        let tenant = TenantId::parse(&response.tenant_id).expect("an id");
        let copy = self
            .copies
            .get_mut(&tenant)
            .expect("one that was asked for");
        self.last = Some(Taken {
            tenant,
            revision: copy.revision,
            token: copy.token.clone(),
            changes: response.changes.len(),
        });
        self.responses += 1;
        copy.take(response);
        assert!(
            self.repeats() <= self.forgotten,
            "nothing comes again by itself"
        );
    }

    /// A reader that does not keep the token in one transaction with what came with it.
    fn forget(&mut self) {
        let last = self.last.take();
        let Some(last) = last.filter(|_| self.is_forgetful && self.random.chance(50)) else {
            return;
        };
        let copy = self.copies.get_mut(&last.tenant).expect("one of its own");
        (copy.revision, copy.token) = (last.revision, last.token);
        self.forgotten += last.changes;
    }

    fn is_at(&self, goal: &BTreeMap<TenantId, u64>) -> bool {
        let is_at = |(tenant, copy): (_, &Copy)| copy.revision >= goal.get(tenant).copied();
        self.copies.iter().all(is_at)
    }

    pub fn repeats(&self) -> usize {
        self.copies.values().map(|copy| copy.repeats).sum()
    }
}

/// Whoever is told an error by sentby itself was not cut off by a death.
fn died(status: &Status) -> End {
    assert!(status.get_details_error_info().is_none(), "{status:?}");
    End::Died
}

/// All that a fresh reader is told from the beginning.
pub async fn read_all(client: &Client, tenant: TenantId) -> Copy {
    let asked = WatchAttributionsRequest {
        positions: vec![WatchPosition {
            tenant_id: tenant.to_string(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let watch = client.attributions().watch_attributions(asked).await;
    let mut watch = watch.expect("opened").into_inner();
    let mut copy = Copy::of_nothing();
    while let Some(response) = watch.message().await.expect("no error") {
        copy.take(response);
    }
    copy
}
