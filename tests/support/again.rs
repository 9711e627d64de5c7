//! A call until it is answered, as its errors say: a store that is busy or away for a moment is
//! documented, and what a test asks for is something else.

use std::{
    error::Error as _,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// The caller may ask again, and is told so.
pub fn may_ask_again(status: &Status) -> bool {
    let is_for_later = [Code::Unavailable, Code::ResourceExhausted].contains(&status.code());
    is_for_later && status.get_details_retry_info().is_some()
}

/// The first answer that is none of these; the last one of them when that takes too long.
pub async fn again<T, F>(call: impl FnMut() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    again_for(PATIENCE, call).await
}

pub async fn again_for<T, F>(patience: Duration, mut call: impl FnMut() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    let until = Instant::now() + patience;
    loop {
        match call().await {
            Err(status) if may_ask_again(&status) && Instant::now() < until => sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

/// The client gave up by its own clock, which tonic sets by `grpc-timeout` too. An answer is on its
/// way 20 ms before that; on a busy machine that may be too late.
pub fn is_own_clock(status: &Status) -> bool {
    status.code() == Code::Cancelled && status.source().is_some()
}

/// What the server says of a call that cannot be done in its time.
pub async fn told_in_time<T, F>(mut call: impl FnMut() -> F) -> Status
where
    T: std::fmt::Debug,
    F: Future<Output = Result<T, Status>>,
{
    for _ in 0..10 {
        let status = call().await.expect_err("too little time");
        if !is_own_clock(&status) {
            return status;
        }
    }
    panic!("the client's clock always rings before the server says a word");
}
