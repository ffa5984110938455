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
    if rows <= ROWS {
        out.fill(start(reduction));
        for row in x.chunks_exact(inner) {
            wide(Row { reduction, row, out });
        }
        return;
    }
    let mut other = vec![T::default(); inner];
    let (a, b) = x.split_at((rows / 2).next_multiple_of(ROWS) * inner);
    if x.len() >= PARALLEL {
        rayon::join(|| reduce_rows(reduction, a, out), || reduce_rows(reduction, b, &mut other));
    } else {
        reduce_rows(reduction, a, out);
        reduce_rows(reduction, b, &mut other);
    }
    wide(Row { reduction, row: &other, out });
}

/// Combines a short run of elements.
struct Run<'a, T> {
    reduction: Reduction,
    x: &'a [T],
}

impl<T: Real> Wide for Run<'_, T> {
    type Output = T;

    #[inline(always)]
    fn run(self) -> T {
        let Self { reduction, x } = self;
        let mut lanes = [start(reduction); LANES];
        let (whole, rest) = x.as_chunks::<LANES>();
        for chunk in whole {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane = combine(reduction, *lane, *x);
            }
        }
        for (lane, x) in lanes.iter_mut().zip(rest) {
            *lane = combine(reduction, *lane, *x);
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

/// Combines each element of `out` with that of a row.
struct Row<'a, T> {
    reduction: Reduction,
    row: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> Wide for Row<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { reduction, row, out } = self;
        match reduction {
            Reduction::Sum => out.iter_mut().zip(row).for_each(|(out, x)| *out = *out + *x),
            Reduction::Max => out.iter_mut().zip(row).for_each(|(out, x)| *out = out.larger(*x)),
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
