//! The clock and the ring of records, which stand still while the status is set.

use super::Real;
use crate::graph::Tick;

/// The clock advanced after a batch, unless `halted`.
pub fn tick(by: Tick, clock: &[u32], batch: usize, halted: bool) -> Vec<u32> {
    let mut next = clock.to_vec();
    if halted {
        return next;
    }
    if by != Tick::MicroBatch {
        next[0] = next[0].wrapping_add(1);
    }
    next[1] = match by {
        Tick::Step => next[1],
        Tick::MicroBatch => next[1].wrapping_add(batch as u32),
        Tick::Last => 0,
    };
    next
}

/// Writes `record` to row `step % rows` of the ring, unless `halted`.
pub fn ring_push<T: Real>(ring: &mut [T], step: u32, halted: bool, record: &[T]) {
    let rows = ring.len() / record.len().max(1);
    if halted || rows == 0 {
        return;
    }
    let start = step as usize % rows * record.len();
    ring[start..start + record.len()].copy_from_slice(record);
}
