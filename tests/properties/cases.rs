//! Where the cases come from.

use std::env;

/// The seed of a run that names none.
const SEED: u64 = 13;

fn number(name: &str, default: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text}: must be a whole number")),
        Err(_) => default,
    }
}

/// The cases of a run, each with random numbers of its own: the first has the run's seed. `least` of them without
/// `TWEEDIE_PROPERTY_CASES`.
pub fn cases(least: u64) -> impl Iterator<Item = Case> {
    let seed = number("TWEEDIE_PROPERTY_SEED", SEED);
    (0..number("TWEEDIE_PROPERTY_CASES", least))
        .map(move |i| Case::new(if i == 0 { seed } else { mixed(seed, i) >> 32 }))
}

fn mixed(seed: u64, i: u64) -> u64 {
    let mut source = Source(seed ^ (i << 40));
    source.word()
}

/// A case says what its seed is when it fails.
pub struct Case {
    pub seed: u64,
    pub random: Source,
}

impl Case {
    fn new(seed: u64) -> Self {
        Self { seed, random: Source(seed) }
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to repeat this case alone: TWEEDIE_PROPERTY_SEED={} TWEEDIE_PROPERTY_CASES=1", self.seed);
        }
    }
}

/// Random numbers (SplitMix64: Steele, Lea and Flood 2014).
pub struct Source(u64);

impl Source {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between the two, evenly.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * ((self.word() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Between the two, evenly in the logarithm.
    pub fn size(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    /// A whole number below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        (self.between(0.0, count as f64) as usize).min(count - 1)
    }

    /// Standard normal (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.between(0.0, 1.0).ln()).sqrt();
        radius * self.between(0.0, std::f64::consts::TAU).cos()
    }

    /// So many of them, as an array of floats has them.
    pub fn normals(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.normal() as f32).collect()
    }
}
