//! Reductions: the sum or the largest element along some axes.
//!
//! Sums are pairwise: halves are summed apart and added, down to short runs, in an order that the lengths fix.

use rayon::prelude::*;

use super::Real;
use super::real::{Wide, wide};
use crate::graph::Reduction;

/// Elements along the reduced axis that are combined one after the other, in [`LANES`] sums.
const RUN: usize = 512;
const LANES: usize = 16;
/// Rows that are added one after the other where the reduced axis is not the last.
const ROWS: usize = 16;
/// Runs up to this length are combined one element after the other.
const SHORT: usize = 8;
/// Work of fewer elements than this stays on one thread.
const PARALLEL: usize = 1 << 16;

/// Reduces the middle axis of each `[outer, length, inner]` view of `x`, from the last to the first of `groups`, where
/// a group is `(length before, length reduced, length after)`; `scratch` holds what lies between.
pub fn reduce<T: Real>(reduction: Reduction, groups: &[[usize; 3]], x: &[T], out: &mut [T], scratch: &mut [Vec<T>; 2]) {
    let [last, front @ ..] = groups else {
        out.copy_from_slice(x);
        return;
    };
    if front.is_empty() {
        return reduce_middle(reduction, *last, x, out);
    }
    let [a, b] = scratch;
    a.resize(last[0] * last[2], T::default());
    reduce_middle(reduction, *last, x, a);
    for (i, group) in front.iter().enumerate() {
        if i + 1 == front.len() {
            reduce_middle(reduction, *group, a, out);
        } else {
            b.resize(group[0] * group[2], T::default());
            reduce_middle(reduction, *group, a, b);
            std::mem::swap(a, b);
        }
    }
}

fn reduce_middle<T: Real>(reduction: Reduction, [outer, length, inner]: [usize; 3], x: &[T], out: &mut [T]) {
    debug_assert_eq!((x.len(), out.len()), (outer * length * inner, outer * inner));
    if inner == 1 {
        if length <= SHORT {
            let least = PARALLEL / 4;
            let parts = x.par_chunks(least * length).zip(out.par_chunks_mut(least));
            return parts.for_each(|(x, out)| wide(Short { reduction, length, x, out }));
        }
        let run = |(x, out): (&[T], &mut T)| *out = reduce_slice(reduction, x);
        if x.len() < PARALLEL || outer < 2 {
            x.chunks(length).zip(out).for_each(run);
        } else {
            let least = (PARALLEL / 4 / length).max(1);
            x.par_chunks(length).zip(out).with_min_len(least).for_each(run);
        }
    } else {
        let run = |(x, out): (&[T], &mut [T])| reduce_rows(reduction, x, out);
        if x.len() < PARALLEL || outer < 2 {
            x.chunks(length * inner).zip(out.chunks_mut(inner)).for_each(run);
        } else {
            x.par_chunks(length * inner).zip(out.par_chunks_mut(inner)).for_each(run);
        }
    }
}

#[inline(always)]
fn combine<T: Real>(reduction: Reduction, a: T, b: T) -> T {
    match reduction {
        Reduction::Sum => a + b,
        Reduction::Max => a.larger(b),
    }
}

const fn start<T: Real>(reduction: Reduction) -> T {
    match reduction {
        Reduction::Sum => T::ZERO,
        Reduction::Max => T::LOWEST,
    }
}

fn reduce_slice<T: Real>(reduction: Reduction, x: &[T]) -> T {
    if x.len() <= RUN {
        return wide(Run { reduction, x });
    }
    let (a, b) = x.split_at((x.len() / 2).next_multiple_of(RUN));
    let (a, b) = if x.len() >= PARALLEL {
        rayon::join(|| reduce_slice(reduction, a), || reduce_slice(reduction, b))
    } else {
        (reduce_slice(reduction, a), reduce_slice(reduction, b))
    };
    combine(reduction, a, b)
}

/// Reduces the rows of `x`, each as long as `out`.
fn reduce_rows<T: Real>(reduction: Reduction, x: &[T], out: &mut [T]) {
    let inner = out.len();
    let rows = x.len() / inner;
    if x.len() >= PARALLEL && rows > ROWS {
        let mut other = vec![T::default(); inner];
        let (a, b) = halves(x, inner);
        rayon::join(|| reduce_rows(reduction, a, out), || reduce_rows(reduction, b, &mut other));
        wide(Row { reduction, row: &other, out });
        return;
    }
    // Half of the rows, rounded up to runs, at most that often.
    let levels = rows.div_ceil(ROWS).next_power_of_two().trailing_zeros() as usize;
    reduce_few_rows(reduction, x, out, &mut vec![T::default(); levels * inner]);
}

/// [`reduce_rows`] on one thread; `room` is for the second halves.
fn reduce_few_rows<T: Real>(reduction: Reduction, x: &[T], out: &mut [T], room: &mut [T]) {
    let inner = out.len();
    if x.len() <= ROWS * inner {
        wide(Rows { reduction, x, out });
        return;
    }
    let (a, b) = halves(x, inner);
    let (other, room) = room.split_at_mut(inner);
    reduce_few_rows(reduction, a, out, room);
    reduce_few_rows(reduction, b, other, room);
    wide(Row { reduction, row: other, out });
}

/// The rows of `x`, `inner` long, cut in the middle.
fn halves<T>(x: &[T], inner: usize) -> (&[T], &[T]) {
    x.split_at((x.len() / inner / 2).next_multiple_of(ROWS) * inner)
}

/// Combines a short run of elements.
struct Run<'a, T> {
    reduction: Reduction,
    x: &'a [T],
}

impl<T: Real> Wide for Run<'_, T> {
    type Number = T;
    type Output = T;

    #[inline(always)]
    fn run(self) -> T {
        let Self { reduction, x } = self;
        let mut lanes = [start(reduction); LANES];
        let (whole, rest) = x.as_chunks::<LANES>();
        for chunk in whole {
            for (lanes, &chunk) in lanes.iter_mut().zip(chunk) {
                *lanes = combine(reduction, *lanes, chunk);
            }
        }
        let left = &mut lanes[..rest.len()];
        for (left, &rest) in left.iter_mut().zip(rest) {
            *left = combine(reduction, *left, rest);
        }
        let mut half = LANES / 2;
        while half > 0 {
            for i in 0..half {
                lanes[i] = combine(reduction, lanes[i], lanes[i + half]);
            }
            half /= 2;
        }
        lanes[0]
    }
}

/// Combines each of many short runs.
struct Short<'a, T> {
    reduction: Reduction,
    length: usize,
    x: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> Wide for Short<'_, T> {
    type Number = T;
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { reduction, length, x, out } = self;
        for (i, out) in out.iter_mut().enumerate() {
            let x = &x[i * length..][..length];
            let mut all = x[0];
            for x in &x[1..] {
                all = combine(reduction, all, *x);
            }
            *out = all;
        }
    }
}

/// Combines a few rows, one after the other.
struct Rows<'a, T> {
    reduction: Reduction,
    x: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> Wide for Rows<'_, T> {
    type Number = T;
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { reduction, x, out } = self;
        let inner = out.len();
        let (whole, rest) = out.as_chunks_mut::<LANES>();
        let first_left = whole.len() * LANES;
        for (block, out) in whole.iter_mut().enumerate() {
            let mut lanes = [start(reduction); LANES];
            for row in x.chunks_exact(inner) {
                let row = &row[block * LANES..];
                for (lanes, &row) in lanes.iter_mut().zip(row) {
                    *lanes = combine(reduction, *lanes, row);
                }
            }
            *out = lanes;
        }
        rest.fill(start(reduction));
        for row in x.chunks_exact(inner) {
            let row = &row[first_left..];
            for (rest, &row) in rest.iter_mut().zip(row) {
                *rest = combine(reduction, *rest, row);
            }
        }
    }
}

/// Combines each element of `out` with that of a row.
struct Row<'a, T> {
    reduction: Reduction,
    row: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> Wide for Row<'_, T> {
    type Number = T;
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { reduction, row, out } = self;
        match reduction {
            Reduction::Sum => {
                for (out, &row) in out.iter_mut().zip(row) {
                    *out = *out + row;
                }
            }
            Reduction::Max => {
                for (out, &row) in out.iter_mut().zip(row) {
                    *out = out.larger(row);
                }
            }
        }
    }
}

/// The groups of adjacent reduced axes of a shape, last first, as [`reduce`] takes them.
pub fn groups(lengths: &[usize], axes: &[usize]) -> Vec<[usize; 3]> {
    let mut groups = Vec::new();
    let (mut axis, mut after) = (lengths.len(), 1);
    while axis > 0 {
        axis -= 1;
        if !axes.contains(&axis) {
            after *= lengths[axis];
            continue;
        }
        let mut reduced = lengths[axis];
        while axis > 0 && axes.contains(&(axis - 1)) {
            axis -= 1;
            reduced *= lengths[axis];
        }
        groups.push([lengths[..axis].iter().product(), reduced, after]);
    }
    groups
}
