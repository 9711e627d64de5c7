//! What happens to a Redis, or on the way to it.

use crate::support::{
    proxy::{Mode, Proxy},
    redis::Redis,
};

#[derive(Clone, Copy)]
pub enum Fault {
    Frozen,
    Killed,
    Flushed,
    ReadOnly,
    OutOfMemory,
    Answers(Mode),
}

impl Fault {
    /// `of`: which proxies.
    pub async fn strike(self, redis: &mut Redis, proxies: &[Proxy], of: &[usize]) {
        match self {
            Self::Frozen => redis.freeze(),
            Self::Killed => redis.kill(),
            Self::Flushed => drop(redis.command("FLUSHALL").await),
            Self::ReadOnly => redis.read_only().await,
            Self::OutOfMemory => drop(redis.command("CONFIG SET maxmemory 1").await),
            Self::Answers(mode) => of.iter().for_each(|&at| proxies[at].set(mode)),
        }
    }

    pub async fn heal(self, redis: &mut Redis, proxies: &[Proxy], of: &[usize]) {
        match self {
            Self::Frozen => redis.thaw(),
            Self::Killed => redis.restart().await,
            Self::Flushed => {}
            Self::ReadOnly => redis.read_write().await,
            Self::OutOfMemory => drop(redis.command("CONFIG SET maxmemory 0").await),
            Self::Answers(_) => of.iter().for_each(|&at| proxies[at].set(Mode::Pass)),
        }
    }
}

#[cfg(test)]
#[path = "fault_tests.rs"]
mod tests;
