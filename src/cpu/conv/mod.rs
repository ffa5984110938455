//! Convolutions, as their definition in [`crate::graph::ConvLayout`] has them: blocks of the unfolded images that fit
//! the cache, multiplied by the kernel.
//!
//! - Forward: `y = unfold(x) · w`.
//! - Data gradient: `dx = unfold(dy) · w′`, w′ being the kernel with channels exchanged and taps in reverse. With stride s
//!   the pixels of x fall into s² classes, each of which sees its own taps, with stride 1.
//! - Weight gradient: `dw = unfold(x)ᵀ · dy`, in pieces of the pixels that are added in order.
//!
//! The cuts depend on the shapes alone, one task each: so are the bits.

mod unfold;

use std::ops::Range;
use std::sync::Mutex;

use rayon::prelude::*;

use self::unfold::Unfolding;
use super::Real;
use super::matmul::{strided, transpose};
use crate::graph::{ConvLayout, Geometry};

/// Multiplications that are worth a task.
const TASK: usize = 1 << 21;
/// More tasks than this gain nothing.
const MOST_TASKS: usize = 32;
/// Elements of the unfolded images that a task holds at a time: half a core's cache or so.
const BLOCK: usize = 1 << 16;
/// Fewer rows than this at a time would pack the kernel more often than multiply by it.
const LEAST_ROWS: usize = 192;
/// Blocks of columns are multiples of what `gemm` computes at once.
const COLUMNS: usize = 64;
/// A weight gradient of more elements than this is cut by taps first, for each piece of the pixels adds one of them.
const LARGE_GRADIENT: usize = 1 << 15;

/// Writes a convolution of `a`, of these lengths, and `b` to `out`; `scratch` is for the kernel in another order and for
/// unfolded blocks.
pub fn conv<T: Real>(
    layout: ConvLayout,
    geometry: Geometry,
    lengths: &[usize],
    a: &[T],
    b: &[T],
    out: &mut [T],
    scratch: &mut [Vec<T>; 2],
) {
    let (images, channels) = (lengths[..lengths.len() - 3].iter().product::<usize>(), lengths[lengths.len() - 1]);
    match layout {
        ConvLayout::Forward => {
            let unfolding = forward(geometry, channels);
            let columns = b.len() / unfolding.width();
            let target = Target { start: out.as_mut_ptr(), places: None };
            product(&unfolding, images, columns, a, b, &target, &mut scratch[0]);
        }
        ConvLayout::DataGradient => data_gradient(geometry, images, channels, a, b, out, scratch),
        ConvLayout::WeightGradient => weight_gradient(&forward(geometry, channels), images, a, b, out, scratch),
    }
}

fn forward(geometry: Geometry, channels: usize) -> Unfolding {
    let Geometry { input, kernel, stride, padding, upsample } = geometry;
    let taps = |before: usize, kernel: usize| -(before as isize)..kernel as isize - before as isize;
    Unfolding {
        source: input,
        channels,
        grid: output(geometry),
        stride,
        upsample,
        rows: taps(padding.top, kernel[0]),
        columns: taps(padding.left, kernel[1]),
    }
}

fn output(geometry: Geometry) -> [usize; 2] {
    geometry.output().expect("checked when the graph was built")
}

/// Where the rows of a product go.
struct Target<T> {
    start: *mut T,
    /// Rows are pixels that lie apart; else they follow one another.
    places: Option<Apart>,
}

// SAFETY: tasks write disjoint blocks of rows and columns, and nothing reads until all have ended.
unsafe impl<T: Send> Sync for Target<T> {}

impl<T> Target<T> {
    /// # Safety
    /// The element is within the result.
    unsafe fn at(&self, element: usize) -> *mut T {
        // SAFETY: as the caller promises.
        unsafe { self.start.add(element) }
    }
}

/// The pixels of one class in images of `size`: every `stride`-th from `first` on.
struct Apart {
    size: [usize; 2],
    first: [usize; 2],
    stride: usize,
}

/// Blocks of scratch memory, one for each thread.
struct Blocks<'a, T>(Vec<Mutex<&'a mut [T]>>);

impl<'a, T: Real> Blocks<'a, T> {
    fn new(scratch: &'a mut Vec<T>, length: usize) -> Self {
        let threads = rayon::current_num_threads() + 1;
        if scratch.len() < threads * length {
            scratch.resize(threads * length, T::ZERO);
        }
        Self(scratch.chunks_exact_mut(length.max(1)).map(Mutex::new).collect())
    }

    /// Lends this thread's block. Its contents are whatever they are.
    fn with(&self, work: impl FnOnce(&mut [T])) {
        let thread = rayon::current_thread_index().unwrap_or(self.0.len() - 1).min(self.0.len() - 1);
        let mut block = self.0[thread].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        work(&mut block);
    }
}

fn run(tasks: usize, work: impl Fn(usize) + Send + Sync) {
    match tasks {
        1 => work(0),
        _ => (0..tasks).into_par_iter().with_max_len(1).for_each(work),
    }
}

/// `unfold(images) · kernel`, of so many columns.
fn product<T: Real>(
    unfolding: &Unfolding,
    images: usize,
    columns: usize,
    x: &[T],
    kernel: &[T],
    target: &Target<T>,
    scratch: &mut Vec<T>,
) {
    let (rows, depth, strip) = (images * unfolding.places(), unfolding.width(), unfolding.strip());
    if rows * columns == 0 {
        return;
    }
    let tasks = (rows * depth * columns / TASK).clamp(1, MOST_TASKS);
    let height = rows.div_ceil(tasks).max(LEAST_ROWS).min(rows);
    let down = rows.div_ceil(height);
    let across = (tasks / down).clamp(1, columns.div_ceil(COLUMNS));
    let width = columns.div_ceil(across).next_multiple_of(if across > 1 { COLUMNS } else { 1 });
    let across = columns.div_ceil(width);
    // At a time, as many rows of taps as there is room for.
    let at_once = (BLOCK / (LEAST_ROWS * strip)).clamp(1, unfolding.rows.len());
    let block = (BLOCK / (at_once * strip)).max(LEAST_ROWS).min(height);
    let unfolded = block * at_once * strip;
    let apart = if target.places.is_some() { block * width } else { 0 };
    let blocks = Blocks::new(scratch, unfolded + apart);
    run(down * across, |task| {
        let (first, column) = (task / across * height, task % across * width);
        let (last, n) = ((first + height).min(rows), width.min(columns - column));
        blocks.with(|held| {
            let (held, result) = held.split_at_mut(unfolded);
            for start in (first..last).step_by(block) {
                let m = block.min(last - start);
                let c = match &target.places {
                    // SAFETY: row `start` and this column are within the result.
                    None => (unsafe { target.at(start * columns + column) }, columns),
                    Some(_) => (result.as_mut_ptr(), n),
                };
                for tap in (0..unfolding.rows.len()).step_by(at_once) {
                    let taps = tap..(tap + at_once).min(unfolding.rows.len());
                    let k = taps.len() * strip;
                    unfolding.write(x, start..start + m, taps, held);
                    let b = &kernel[tap * strip * columns + column..];
                    // SAFETY: `held` has m rows of k elements; from `b` on, k rows of the kernel follow, of which n
                    // columns are left; `c` has m rows of n elements, which only this task writes.
                    unsafe { strided([m, n, k], c, tap > 0, (held.as_ptr(), k, 1), (b.as_ptr(), columns, 1)) };
                }
                if let Some(apart) = &target.places {
                    for (row, result) in (start..start + m).zip(result.chunks_exact(n)) {
                        let [height, width] = unfolding.grid;
                        let (image, i, j) = (row / (height * width), row / width % height, row % width);
                        let line = image * apart.size[0] + apart.first[0] + i * apart.stride;
                        let pixel = line * apart.size[1] + apart.first[1] + j * apart.stride;
                        // SAFETY: the pixel lies in the images, and only this task writes these columns of it.
                        unsafe { target.at(pixel * columns + column).copy_from_nonoverlapping(result.as_ptr(), n) };
                    }
                }
            }
        });
    });
}

/// Taps of the kernel along one axis that meet the pixels `first`, `first + stride`, …: the numbers of the taps in
/// reverse order, and the offsets of the result's pixels that they bring in, which ascend by 1.
fn taps_of(first: usize, stride: usize, padding: usize, kernel: usize) -> (Vec<usize>, Range<isize>) {
    let taps: Vec<usize> =
        (0..kernel).rev().filter(|tap| (first + padding + kernel * stride - tap).is_multiple_of(stride)).collect();
    let offset = |tap: usize| ((first + padding) as isize - tap as isize).div_euclid(stride as isize);
    let start = taps.first().map_or(0, |tap| offset(*tap));
    let offsets = start..start + taps.len() as isize;
    (taps, offsets)
}

/// One product for each class of pixels, which the stride makes.
fn data_gradient<T: Real>(
    geometry: Geometry,
    images: usize,
    channels: usize,
    dy: &[T],
    w: &[T],
    dx: &mut [T],
    scratch: &mut [Vec<T>; 2],
) {
    let Geometry { input, kernel, stride, padding, upsample } = geometry;
    debug_assert_eq!(upsample, 1, "the graph has no data gradient of an up-sampled convolution");
    let tap_elements = w.len() / (kernel[0] * kernel[1]);
    let columns = tap_elements / channels.max(1);
    let [unfolded, turned] = scratch;
    turned.resize(w.len(), T::ZERO);
    if kernel.iter().any(|kernel| *kernel < stride) {
        // Some pixels meet no tap.
        dx.fill(T::ZERO);
    }
    for row in 0..stride.min(input[0]) {
        for column in 0..stride.min(input[1]) {
            let (vertical, rows) = taps_of(row, stride, padding.top, kernel[0]);
            let (horizontal, across) = taps_of(column, stride, padding.left, kernel[1]);
            let taps = vertical.iter().flat_map(|a| horizontal.iter().map(move |b| a * kernel[1] + b));
            for (tap, out) in taps.zip(turned.chunks_exact_mut(tap_elements)) {
                transpose(&w[tap * tap_elements..][..tap_elements], channels, out);
            }
            let grid = [(input[0] - row).div_ceil(stride), (input[1] - column).div_ceil(stride)];
            let unfolding =
                Unfolding { source: output(geometry), channels, grid, stride: 1, upsample, rows, columns: across };
            let places = (stride > 1).then_some(Apart { size: input, first: [row, column], stride });
            let target = Target { start: dx.as_mut_ptr(), places };
            if unfolding.width() > 0 {
                product(&unfolding, images, columns, dy, turned, &target, unfolded);
            }
        }
    }
}

/// `unfold(x)ᵀ · dy`, each task being a group of taps, a block of columns and a piece of the pixels.
fn weight_gradient<T: Real>(
    unfolding: &Unfolding,
    images: usize,
    x: &[T],
    dy: &[T],
    dw: &mut [T],
    scratch: &mut [Vec<T>; 2],
) {
    let (rows, strip, elements) = (images * unfolding.places(), unfolding.strip(), dw.len());
    let columns = elements / unfolding.width();
    let tasks = (rows * elements / TASK).clamp(1, MOST_TASKS);
    let taps_each = if elements > LARGE_GRADIENT { 1 } else { unfolding.rows.len() };
    let groups = unfolding.rows.len().div_ceil(taps_each);
    // Each piece leaves a gradient of its own.
    let most_pieces = MOST_TASKS * LARGE_GRADIENT / elements + 1;
    let height = rows.div_ceil(tasks.div_ceil(groups).min(most_pieces)).max(2 * LEAST_ROWS);
    let pieces = rows.div_ceil(height);
    let across = (tasks / (groups * pieces)).clamp(1, columns.div_ceil(COLUMNS));
    let width = columns.div_ceil(across).next_multiple_of(if across > 1 { COLUMNS } else { 1 });
    let across = columns.div_ceil(width);
    let block = (BLOCK / (taps_each * strip)).max(LEAST_ROWS).min(height);
    let [unfolded, sums] = scratch;
    let target = if pieces > 1 {
        sums.resize(sums.len().max(pieces * elements), T::ZERO);
        sums.as_mut_ptr()
    } else {
        dw.as_mut_ptr()
    };
    let target = Target { start: target, places: None };
    let blocks = Blocks::new(unfolded, block * taps_each * strip);
    run(pieces * groups * across, |task| {
        let (column, group, piece) = (task % across * width, task / across % groups, task / across / groups);
        let taps = group * taps_each..((group + 1) * taps_each).min(unfolding.rows.len());
        let (k, n) = (taps.len() * strip, width.min(columns - column));
        let start = piece * elements + taps.start * strip * columns + column;
        blocks.with(|held| {
            let (first, last) = (piece * height, ((piece + 1) * height).min(rows));
            for row in (first..last).step_by(block) {
                let m = block.min(last - row);
                unfolding.write(x, row..row + m, taps.clone(), held);
                let b = &dy[row * columns + column..];
                // SAFETY: `held` has m rows of k elements; from `b` on, m rows of dy follow, of which n columns are left;
                // k rows of n elements from `start` on lie in this piece, and only this task writes them.
                unsafe {
                    let c = (target.at(start), columns);
                    strided([k, n, m], c, row > first, (held.as_ptr(), 1, k), (b.as_ptr(), columns, 1));
                }
            }
        });
    });
    if pieces > 1 {
        let sums = &sums[..pieces * elements];
        dw.par_chunks_mut(TASK >> 6).enumerate().for_each(|(chunk, dw)| {
            let start = chunk * (TASK >> 6);
            dw.copy_from_slice(&sums[start..start + dw.len()]);
            for piece in 1..pieces {
                let piece = &sums[piece * elements + start..][..dw.len()];
                for (dw, &piece) in dw.iter_mut().zip(piece) {
                    *dw = *dw + piece;
                }
            }
        });
    }
}
