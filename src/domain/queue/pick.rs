//! Picks at random, from randomness that is given: the same dice give the same picks.

use std::collections::BTreeSet;

/// SplitMix64.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// From 0 to `bound - 1`. With 64 bits over at most some million the bias is far below one in a billion.
    fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// `count` different indices below `of`, or all of them; each set is as likely as any other (Floyd's way).
    pub(super) fn pick(&mut self, count: usize, of: usize) -> BTreeSet<usize> {
        let mut picked = BTreeSet::new();
        for last in of.saturating_sub(count)..of {
            let index = self.below(last + 1);
            if !picked.insert(index) {
                picked.insert(last);
            }
        }
        picked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_picked_as_were_asked_for_or_all() {
        for (count, of) in [(0, 5), (1, 1), (3, 10), (10, 10), (7, 3), (5, 0)] {
            let picked = Dice::new(7).pick(count, of);
            assert_eq!(picked.len(), count.min(of), "{count} of {of}");
            assert!(picked.iter().all(|&index| index < of));
        }
    }

    #[test]
    fn everybody_is_picked_about_as_often_as_anybody() {
        let mut counts = [0_u32; 10];
        for seed in 0..10_000 {
            for index in Dice::new(seed).pick(3, 10) {
                counts[index] += 1;
            }
        }
        // 3,000 each is expected; five standard deviations are 230.
        assert!(counts.iter().all(|count| (2_770..=3_230).contains(count)), "{counts:?}");
    }
}
