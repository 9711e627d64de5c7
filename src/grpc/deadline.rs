//! Until when the caller waits.

use http::HeaderMap;
use std::time::Duration;
use tokio::time::Instant;

/// No call takes longer, whatever its caller allows, and no batch of a stream.
pub(super) const LONGEST: Duration = Duration::from_secs(60);
/// An answer needs this much of the caller's time to travel; of a short one a quarter. It also
/// comes before tonic's own, which would be CANCELLED.
const TRAVEL: Duration = Duration::from_millis(20);
/// In less than that nothing can be answered.
const LEAST: Duration = Duration::from_millis(10);

/// When the caller must have its answer, or the end of its stream. It goes with the request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(pub(super) Option<Instant>);

impl Deadline {
    /// By `grpc-timeout`. `Err`: it cannot be met.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ()> {
        let timeout = headers
            .get("grpc-timeout")
            .and_then(|value| timeout(value.to_str().ok()?));
        match timeout {
            Some(timeout) if timeout < LEAST => Err(()),
            Some(timeout) => {
                let left = timeout - TRAVEL.min(timeout / 4);
                // one so far away is none
                Ok(Self(Instant::now().checked_add(left)))
            }
            None => Ok(Self(None)),
        }
    }

    pub(super) fn of_request<T>(request: &tonic::Request<T>) -> Self {
        let deadline = request.extensions().get();
        deadline.copied().unwrap_or(Self(None))
    }

    /// Of a call with one answer.
    pub(super) fn of_answer(self) -> Instant {
        let longest = Instant::now() + LONGEST;
        self.0.map_or(longest, |deadline| deadline.min(longest))
    }

    /// Resolves when it has passed.
    pub(super) async fn passed(self) {
        match self.0 {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    }
}

/// At most 8 digits and a unit.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_or_left_out() {
        for (text, expected) in [
            ("500m", Some(Duration::from_millis(500))),
            ("3S", Some(Duration::from_secs(3))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("999999999H", None),
            ("+3S", None),
            ("3", None),
            ("S", None),
            ("", None),
            ("3\u{e9}", None),
        ] {
            assert_eq!(timeout(text), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn an_answer_has_time_to_travel() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().expect("a value"));
            let left = Deadline::of(&headers).map(|deadline| deadline.of_answer());
            left.map(|until| until - Instant::now())
        };
        for (text, expected) in [
            ("1S", Duration::from_millis(980)),
            ("40m", Duration::from_millis(30)),
            ("99999999H", LONGEST),
            ("soon", LONGEST),
        ] {
            let left = of(text).expect("enough");
            assert!(left <= expected, "{text}: {left:?}");
            assert!(left + Duration::from_secs(5) > expected, "{text}: {left:?}");
        }
        assert!(of("9m").is_err(), "nothing is begun that cannot be ended");
        assert!(of("0n").is_err());
    }
}
