//! Randomness that is the same on every machine and in every version.

/// SplitMix64. Its own few lines, not a library: a feed is told by its seed alone, and a
/// library may change its sequence with any major version.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    #[allow(clippy::should_implement_trait)] // it never ends
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `0..n`; `n` is not 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// `from..to`, which is not empty.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        from + (self.next() % to.abs_diff(from)).cast_signed()
    }

    /// True so many times of a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn id(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }

    /// One of them; there is one.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[usize::try_from(self.below(of.len() as u64)).expect("an index")]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            let other = usize::try_from(self.below(at as u64 + 1)).expect("an index");
            items.swap(at, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds, and what is measured on them, depend on it.
    #[test]
    fn the_sequence_never_changes() {
        let mut random = Random(42);
        assert_eq!(random.next(), 13_679_457_532_755_275_413);
        assert_eq!(random.next(), 2_949_826_092_126_892_291);
    }

    #[test]
    fn bounds_are_half_open() {
        let mut random = Random(7);
        let drawn: Vec<i64> = (0..1_000).map(|_| random.between(-2, 3)).collect();
        assert_eq!(drawn.iter().min(), Some(&-2));
        assert_eq!(drawn.iter().max(), Some(&2));
        assert!(!random.chance(0));
        assert!(random.chance(100));
    }
}
