//! The service is killed and started again.

use crate::{
    Bound, Round,
    calls::{Client, End},
    stage::{Stage, lookups, serve},
};
use std::time::{Duration, Instant};

pub async fn round(stage: &Stage, round: &mut Round<'_>) {
    let url = stage.postgres.url();
    drop(serve(&url, "memory"));
    let begin = Instant::now();
    let server = serve(&url, "memory");
    let get = Client::to(&server.address).calls(lookups(&stage.tenants));
    while get(0).await != End::Answered {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    round.is(
        "the service is started again: until the first answer",
        Bound::AtMost(1.0),
        " s",
        begin.elapsed().as_secs_f64(),
        &[],
    );
}
