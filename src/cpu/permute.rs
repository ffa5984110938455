//! The axes of a tensor in another order: `out[i_0, i_1, …] = x[j]` where axis `d` of the result is axis `axes[d]` of `x`.
//!
//! Where the last axis stays the last, rows are copied whole; else they are gathered element by element.

use rayon::prelude::*;

use super::Real;

/// Copies shorter than this stay on one thread.
const PARALLEL: usize = 1 << 16;

/// `lengths` are those of `x`.
pub fn permute<T: Real>(lengths: &[usize], axes: &[usize], x: &[T], out: &mut [T]) {
    let (sizes, strides) = walk(lengths, axes);
    let (Some((run, outer)), Some((step, strides))) = (sizes.split_last(), strides.split_last()) else {
        out.copy_from_slice(x);
        return;
    };
    let rows = |(first, out): (usize, &mut [T])| {
        for (row, out) in out.chunks_mut(*run).enumerate() {
            let mut rest = first + row;
            let mut start = 0;
            for (size, stride) in outer.iter().zip(strides).rev() {
                start += rest % size * stride;
                rest /= size;
            }
            if *step == 1 {
                out.copy_from_slice(&x[start..start + run]);
            } else {
                let x = &x[start..];
                for (out, &x) in out.iter_mut().zip(x.iter().step_by(*step)) {
                    *out = x;
                }
            }
        }
    };
    if out.len() < PARALLEL {
        rows((0, out));
        return;
    }
    let per_task = (PARALLEL / 4).div_ceil(*run);
    out.par_chunks_mut(per_task * run).enumerate().for_each(|(task, out)| rows((task * per_task, out)));
}

/// The lengths of the result and the strides of `x` along them; axes that stay side by side are one.
fn walk(lengths: &[usize], axes: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let mut strides = vec![1; lengths.len()];
    for axis in (1..lengths.len()).rev() {
        strides[axis - 1] = strides[axis] * lengths[axis];
    }
    let (mut sizes, mut steps): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    for axis in axes.iter().copied().filter(|axis| lengths[*axis] != 1) {
        match (sizes.last_mut(), steps.last_mut()) {
            (Some(size), Some(step)) if *step == strides[axis] * lengths[axis] => {
                *size *= lengths[axis];
                *step = strides[axis];
            }
            _ => {
                sizes.push(lengths[axis]);
                steps.push(strides[axis]);
            }
        }
    }
    (sizes, steps)
}
