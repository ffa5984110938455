//! Every kernel on a real device against its plain definition, at sizes that fit no tile, on folded grids.

mod copy;
mod gather;
mod matmul;
mod numerics;
mod pointwise;
mod random;
mod reduce;
mod ring;

use tweedie::graph;

/// No folding.
const WIDE: u32 = 65_535;
/// What an output holds before a kernel has written it.
const UNWRITTEN: u32 = 0x7fc0_0bad;

/// Numbers in (-1, 1).
fn noise(count: u64, stream: u32) -> Vec<f32> {
    let words = (0..count.div_ceil(4) as u32).flat_map(|i| graph::random::words([0, 0, 11, 0], 0, i, stream));
    words.take(count as usize).map(|w| 2.0 * graph::random::uniform(w) - 1.0).collect()
}

fn unwritten(count: u64) -> Vec<u32> {
    vec![UNWRITTEN; count as usize]
}

/// Neither wrong by more than rounding nor NaN. `scale` is what errors are relative to.
fn assert_near(actual: f32, expected: f64, scale: f64, tolerance: f64, what: &str) {
    let error = (actual as f64 - expected).abs();
    assert!(error <= tolerance * scale, "{what}: {actual} instead of {expected}");
}
