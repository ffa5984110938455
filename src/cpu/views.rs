//! Slices, concatenations and packing: copies of contiguous runs. Reshapes, and slices along the first axis that is
//! longer than 1, are no work at all: they name a range of what they view.

use rayon::prelude::*;

use super::Real;

/// Copies shorter than this stay on one thread.
const PARALLEL: usize = 1 << 17;

/// `out[o, i] = x[o, start + i]` for runs: `stride` elements apart in `x`, `run` long, from element `start` on.
pub fn slice<T: Real>(x: &[T], stride: usize, start: usize, run: usize, out: &mut [T]) {
    let copy = |(out, x): (&mut [T], &[T])| out.copy_from_slice(&x[start..start + run]);
    if out.len() < PARALLEL {
        out.chunks_mut(run).zip(x.chunks(stride)).for_each(copy);
    } else {
        out.par_chunks_mut(run).zip(x.par_chunks(stride)).with_min_len(PARALLEL.div_ceil(4 * run)).for_each(copy);
    }
}

/// Runs of each input in turn: `inputs` are `(elements, run)`.
pub fn concat<T: Real>(inputs: &[(&[T], usize)], out: &mut [T]) {
    let stride = inputs.iter().map(|(_, run)| run).sum::<usize>();
    let copy = |(outer, out): (usize, &mut [T])| {
        let mut start = 0;
        for (x, run) in inputs {
            out[start..start + run].copy_from_slice(&x[outer * run..(outer + 1) * run]);
            start += run;
        }
    };
    if out.len() < PARALLEL {
        out.chunks_mut(stride).enumerate().for_each(copy);
    } else {
        out.par_chunks_mut(stride).enumerate().with_min_len(PARALLEL.div_ceil(4 * stride)).for_each(copy);
    }
}

/// Inputs of `length` elements at `offset`, which ascend; `None` is there already. 0 elsewhere.
pub fn pack<'a, T: Real>(inputs: impl Iterator<Item = (usize, usize, Option<&'a [T]>)>, out: &mut [T]) {
    let mut end = 0;
    for (offset, length, x) in inputs {
        out[end..offset].fill(T::default());
        end = offset + length;
        if let Some(x) = x {
            out[offset..end].copy_from_slice(x);
        }
    }
    out[end..].fill(T::default());
}
