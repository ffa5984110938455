//! Reading a batch out of a data set: sample b is row `π(position mod n)`, where
//! `position = step · micro_batches · batch + sample_base + b` and π is a bijection keyed by the seed and the epoch
//! `position / n`.

use rayon::prelude::*;

use super::Real;
use crate::graph::{Order, Storage, random};

/// The rows of a data set.
#[derive(Clone, Copy, Debug)]
pub enum Rows<'a, T> {
    /// Floats.
    Real(&'a [T]),
    /// Bytes.
    Bytes(&'a [u8]),
}

/// The length of a piece of work for one thread, in elements.
const PIECE: usize = 1 << 14;

/// Writes a batch of rows of `width` elements to `out`; a step consists of `micro_batches` of them.
pub fn gather<T: Real>(
    storage: Storage,
    order: Order,
    micro_batches: usize,
    data: Rows<'_, T>,
    width: usize,
    clock: [u32; 4],
    out: &mut [T],
) {
    let elements = match data {
        Rows::Real(data) => data.len(),
        Rows::Bytes(data) => data.len(),
    };
    let (batch, rows) = (out.len() / width, elements / width);
    let (scale, shift) = match storage {
        Storage::F32 => (T::ONE, T::default()),
        Storage::U8 { scale, shift } => (T::from_f32(scale), T::from_f32(shift)),
    };
    let origin = u64::from(clock[0]) * (micro_batches * batch) as u64 + u64::from(clock[1]);
    out.par_chunks_mut(width).with_min_len(PIECE.div_ceil(width)).enumerate().for_each(|(sample, out)| {
        let position = origin + sample as u64;
        let row = match order {
            Order::Shuffled => random::row(position, rows as u32, [clock[2], clock[3]]) as usize,
            Order::Sequential => (position % rows as u64) as usize,
        };
        let range = row * width..(row + 1) * width;
        match data {
            Rows::Real(data) => out.copy_from_slice(&data[range]),
            Rows::Bytes(data) => {
                let bytes = &data[range];
                for (out, &bytes) in out.iter_mut().zip(bytes) {
                    *out = scale * T::from_f32(f32::from(bytes)) + shift;
                }
            }
        }
    });
}
