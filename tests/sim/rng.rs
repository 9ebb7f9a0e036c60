//! Randomness and the trace of one run: both are functions of the seed and nothing else.

/// SplitMix64.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to `end`, without `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// Both ends included.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// What happened, as one number: two runs of a seed must agree in it.
pub struct Trace {
    pub hash: u64,
    pub steps: u64,
    print: bool,
}

impl Trace {
    pub fn new(print: bool) -> Self {
        Self { hash: 0xCBF2_9CE4_8422_2325, steps: 0, print }
    }

    pub fn note(&mut self, now: u64, what: &str, numbers: &[u64]) {
        self.steps += 1;
        self.mix(&now.to_le_bytes());
        self.mix(what.as_bytes());
        for number in numbers {
            self.mix(&number.to_le_bytes());
        }
        if self.print {
            println!("{now:>8} {what} {numbers:?}");
        }
    }

    pub fn say(&self, text: impl FnOnce() -> String) {
        if self.print {
            println!("           . {}", text());
        }
    }

    fn mix(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
    }
}
