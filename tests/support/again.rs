//! A call until it is answered, as its errors say: a store that is busy or away for a moment is
//! documented, and what a test asks for is something else.

use std::time::{Duration, Instant};
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
