//! What writers could not set.

use crate::{
    cache::Scope,
    domain::{MessageKey, Revision},
};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Keys that are remembered.
const MOST: usize = 100_000;

/// Keys, and the revision that each was to be set to.
pub(super) type Keys = Vec<(MessageKey, Revision)>;

/// Keys whose value may be older than what was acknowledged. If they become too many, none is
/// remembered: then every value there counts as such, as long as one can live.
#[derive(Debug, Default)]
pub(super) struct Owed {
    keys: HashMap<Arc<Scope>, HashMap<MessageKey, Revision>>,
    count: usize,
    /// When the last of too many was added.
    too_many: Option<Instant>,
}

impl Owed {
    pub(super) fn add(&mut self, scope: &Arc<Scope>, key: MessageKey, as_of: Revision) {
        if self.too_many.is_some() || self.count >= MOST {
            *self = Self {
                too_many: Some(Instant::now()),
                ..Self::default()
            };
            return;
        }
        let keys = self.keys.entry(Arc::clone(scope)).or_default();
        match keys.entry(key) {
            std::collections::hash_map::Entry::Occupied(mut known) => {
                let newest = as_of.max(*known.get());
                known.insert(newest);
            }
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert(as_of);
                self.count += 1;
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        match self.too_many {
            Some(_) => MOST,
            None => self.count,
        }
    }

    /// Some of them, of one tenant.
    pub(super) fn some(&self, most: usize) -> Option<(Arc<Scope>, Keys)> {
        let (scope, keys) = self.keys.iter().next()?;
        let some = keys.iter().take(most).map(|(key, as_of)| (*key, *as_of));
        Some((Arc::clone(scope), some.collect()))
    }

    /// They are void now. What was owed again meanwhile stays.
    pub(super) fn settled(&mut self, scope: &Arc<Scope>, settled: &[(MessageKey, Revision)]) {
        let Some(keys) = self.keys.get_mut(scope) else {
            return;
        };
        for (key, as_of) in settled {
            if keys.get(key).is_some_and(|owed| owed <= as_of) {
                keys.remove(key);
                self.count -= 1;
            }
        }
        if keys.is_empty() {
            self.keys.remove(scope);
        }
    }

    /// How long values must not be read yet; `lasts`: how long one can live. `None`: nothing
    /// is owed.
    pub(super) fn wait(&mut self, lasts: Duration) -> Option<Duration> {
        if let Some(since) = self.too_many {
            let left = lasts.saturating_sub(since.elapsed());
            if !left.is_zero() {
                return Some(left);
            }
            self.too_many = None;
        }
        (!self.keys.is_empty()).then_some(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cache::sealed::tests::key,
        domain::{Generation, TenantId},
    };
    use uuid::Uuid;

    const LASTS: Duration = Duration::from_secs(3_600);

    fn scope(tenant: u128) -> Arc<Scope> {
        let tenant = TenantId(Uuid::from_u128(tenant));
        Arc::new(Scope::new(tenant, Generation(1), None))
    }

    #[test]
    fn what_is_owed_again_stays_owed() {
        let mut owed = Owed::default();
        assert_eq!(owed.wait(LASTS), None);
        let scope = scope(1);
        for as_of in [5, 7, 6] {
            owed.add(&scope, key(1), Revision(as_of));
        }
        owed.add(&scope, key(2), Revision(1));
        let (_, mut some) = owed.some(10).expect("two keys");
        some.sort_unstable();
        assert_eq!(some, [(key(1), Revision(7)), (key(2), Revision(1))]);
        owed.add(&scope, key(1), Revision(8));
        owed.settled(&scope, &some);
        assert_eq!(owed.some(10).expect("one").1, [(key(1), Revision(8))]);
        assert_eq!(owed.wait(LASTS), Some(Duration::ZERO));
        owed.settled(&scope, &[(key(1), Revision(8))]);
        assert_eq!(owed.wait(LASTS), None);
        assert_eq!(owed.count, 0);
    }

    #[test]
    fn too_many_are_waited_for_as_long_as_a_value_lasts() {
        let mut owed = Owed::default();
        for n in 0..=MOST as u128 {
            owed.add(&scope(n % 3), key(n), Revision(1));
        }
        assert!(owed.some(1).is_none(), "none is remembered");
        assert!(owed.wait(LASTS).is_some_and(|left| left > Duration::ZERO));
        assert_eq!(owed.wait(Duration::ZERO), None);
        owed.add(&scope(1), key(1), Revision(1));
        assert!(owed.some(1).is_some(), "and then it starts over");
    }
}
