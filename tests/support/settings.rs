//! Numbers that the environment may set.

use std::{env, str::FromStr};
use uuid::Uuid;

pub fn set<T: FromStr>(name: &str) -> Option<T> {
    let set = env::var(name).ok()?;
    let number = set.parse().ok();
    Some(number.unwrap_or_else(|| panic!("{name} is a number")))
}

/// What the randomness of a case begins with; it is printed with the outcome.
pub fn seed() -> u64 {
    let random = || Uuid::new_v4().as_u64_pair().0 >> 32;
    set("SENTBY_TEST_SEED").unwrap_or_else(random)
}
