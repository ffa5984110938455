//! Matrix products: `c[i, j] = Σ_p a[i, p] · b[p, j]`, with `a` or `b` stored transposed in two of the three layouts.
//!
//! The result is cut into blocks whose size depends on the shape alone, one task each: so are the bits.

use rayon::prelude::*;

use super::Real;
use crate::graph::Layout;

/// The lengths of a product: the result is `rows × columns`, each element a sum of `depth` terms.
#[derive(Clone, Copy, Debug)]
pub struct Lengths {
    /// Rows of the result.
    pub rows: usize,
    /// Terms of each sum.
    pub depth: usize,
    /// Columns of the result.
    pub columns: usize,
}

/// Multiplications that are worth a task.
const TASK: usize = 1 << 21;
/// More tasks than this gain nothing.
const MOST_TASKS: usize = 32;
/// Blocks are multiples of the columns that `gemm` computes at once with the widest vectors, and at least twice that.
const COLUMNS: usize = 64;
/// A factor of this many elements is transposed once, before the product.
const SLOW: usize = 1 << 12;
/// Side of the tiles that are transposed at once: their rows and columns stay in the first cache.
const TILE: usize = 16;
/// A result this small whose sums are long is cut along the sum.
const DEEP: usize = 4096;

/// Writes the product of `a` and `b` to `c`; `scratch` is for a transposed factor.
pub fn matmul<T: Real>(layout: Layout, lengths: Lengths, a: &[T], b: &[T], c: &mut [T], scratch: &mut Vec<T>) {
    let Lengths { rows, depth, columns } = lengths;
    assert_eq!(
        (a.len(), b.len(), c.len()),
        (rows * depth, depth * columns, rows * columns),
        "operands fit the lengths"
    );
    if layout == Layout::Tn && depth > 2 * DEEP && rows * columns <= 64 * 64 {
        return deep_tn(lengths, a, b, c);
    }
    let (height, width) = block(lengths);
    let (layout, b) = if layout == Layout::Nt && rows >= 16 && depth * columns >= SLOW {
        // `gemm` would do it once for each block, and slowly.
        scratch.resize(depth * columns, T::ZERO);
        transpose(b, depth, scratch);
        (Layout::Nn, &scratch[..])
    } else {
        (layout, b)
    };
    let (down, across) = (rows.div_ceil(height.max(1)), columns.div_ceil(width.max(1)));
    let target = Target(c.as_mut_ptr());
    let run = |task: usize| {
        let (i, j) = (task / across * height, task % across * width);
        let (m, n) = (height.min(rows - i), width.min(columns - j));
        // SAFETY: the lengths of the slices were checked above, and no two tasks have an element in common.
        unsafe { block_of_product(layout, lengths, [i, j], [m, n], a, b, &target) };
    };
    match down * across {
        1 => run(0),
        tasks => (0..tasks).into_par_iter().with_max_len(1).for_each(run),
    }
}

/// A product for each of so many matrices, which lie one after the other: large ones in turn, small ones side by side.
pub fn batch_matmul<T: Real>(
    layout: Layout,
    matrices: usize,
    lengths: Lengths,
    a: &[T],
    b: &[T],
    c: &mut [T],
    scratch: &mut Vec<T>,
) {
    let Lengths { rows, depth, columns } = lengths;
    let sizes = [rows * depth, depth * columns, rows * columns];
    assert_eq!([a.len(), b.len(), c.len()], sizes.map(|size| matrices * size), "operands fit the lengths");
    let factors = a.chunks_exact(sizes[0]).zip(b.chunks_exact(sizes[1]));
    if matrices < MOST_TASKS && rows * depth * columns >= 4 * TASK {
        for ((a, b), c) in factors.zip(c.chunks_exact_mut(sizes[2])) {
            matmul(layout, lengths, a, b, c, scratch);
        }
        return;
    }
    let run = |((a, b), c): ((&[T], &[T]), &mut [T])| {
        let target = Target(c.as_mut_ptr());
        let mut turned = Vec::new();
        let (layout, b) = if layout == Layout::Nt && rows >= 16 && b.len() >= SLOW {
            turned.resize(b.len(), T::ZERO);
            transpose(b, depth, &mut turned);
            (Layout::Nn, &turned[..])
        } else {
            (layout, b)
        };
        // SAFETY: the slices are one matrix each of the lengths, and `c` is this task's alone.
        unsafe { block_of_product(layout, lengths, [0, 0], [rows, columns], a, b, &target) };
    };
    let least = (TASK / (rows * depth * columns)).max(1);
    let products = a.par_chunks_exact(sizes[0]).zip(b.par_chunks_exact(sizes[1])).zip(c.par_chunks_exact_mut(sizes[2]));
    products.with_min_len(least).for_each(run);
}

/// Rows and columns of a task: nearly square, for each row and column of it is read from memory once.
fn block(Lengths { rows, depth, columns }: Lengths) -> (usize, usize) {
    let tasks = (rows * depth * columns / TASK).clamp(1, MOST_TASKS);
    if tasks == 1 {
        return (rows, columns);
    }
    let area = rows * columns / tasks;
    let side = area.isqrt().max(area / rows).max(2 * COLUMNS);
    let across = columns.div_ceil(side.next_multiple_of(COLUMNS));
    let width = columns.div_ceil(across).next_multiple_of(COLUMNS);
    let height = rows.div_ceil(tasks.div_ceil(across));
    // `gemm` computes six rows at once.
    (if height < 48 { height } else { height.next_multiple_of(6) }, width)
}

/// `out[j, i] = x[i, j]` for rows of `x` that are `width` long.
pub(super) fn transpose<T: Real>(x: &[T], width: usize, out: &mut [T]) {
    let height = x.len() / width;
    // At least a quarter of SLOW elements to a task.
    let least = (SLOW / 4).div_ceil(TILE * height);
    out.par_chunks_mut(TILE * height).with_min_len(least).enumerate().for_each(|(strip, out)| {
        let first = strip * TILE;
        let columns = out.len() / height;
        for i in (0..height).step_by(TILE) {
            let rows = TILE.min(height - i);
            if rows == TILE && columns == TILE {
                let mut tile = [[T::ZERO; TILE]; TILE];
                for (row, tile) in tile.iter_mut().enumerate() {
                    tile.copy_from_slice(&x[(i + row) * width + first..][..TILE]);
                }
                for column in 0..TILE {
                    let out: &mut [T] = &mut out[column * height + i..][..TILE];
                    for (out, tile) in out.iter_mut().zip(tile) {
                        *out = tile[column];
                    }
                }
            } else {
                for row in i..i + rows {
                    (0..columns).for_each(|column| out[column * height + row] = x[row * width + first + column]);
                }
            }
        }
    });
}

/// The result, of which every task writes a block of its own.
struct Target<T>(*mut T);

// SAFETY: tasks write disjoint blocks, and nothing reads until all have ended.
unsafe impl<T: Send> Sync for Target<T> {}

/// The block of the product that begins at row and column `first`, of `size` rows and columns.
///
/// # Safety
/// The slices and the target hold what the lengths say, the block is within the product, and no one else touches it.
unsafe fn block_of_product<T: Real>(
    layout: Layout,
    lengths: Lengths,
    first: [usize; 2],
    size: [usize; 2],
    a: &[T],
    b: &[T],
    c: &Target<T>,
) {
    let Lengths { rows, depth, columns } = lengths;
    // Strides from row to row and from column to column.
    let (a_row, a_column) = if layout == Layout::Tn { (1, rows) } else { (depth, 1) };
    let (b_row, b_column) = if layout == Layout::Nt { (1, depth) } else { (columns, 1) };
    // SAFETY: as the caller promises; with the strides of the layout everything read lies within `a` and `b`. The
    // previous contents of the block are not read.
    unsafe {
        strided(
            [size[0], size[1], depth],
            (c.0.add(first[0] * columns + first[1]), columns),
            false,
            (a.as_ptr().wrapping_add(first[0] * a_row), a_row, a_column),
            (b.as_ptr().wrapping_add(first[1] * b_column), b_row, b_column),
        );
    }
}

/// `c = a · b`, or `c += a · b` if `add`, on one thread: `a` is `m × k`, `b` is `k × n`, and each is a first element with
/// its strides from row to row and from column to column (1 in `c`).
///
/// # Safety
/// All that the sizes and strides reach can be read, and in `c` written; no one else touches `c`.
pub(super) unsafe fn strided<T: Real>(
    [m, n, k]: [usize; 3],
    (c, c_row): (*mut T, usize),
    add: bool,
    (a, a_row, a_column): (*const T, usize, usize),
    (b, b_row, b_column): (*const T, usize, usize),
) {
    // SAFETY: as the caller promises. Without `add`, the previous contents of `c` are not read.
    unsafe {
        // The kernels want columns of `c` to be contiguous: they get the transposed product, cᵀ = bᵀ · aᵀ.
        T::gemm()(
            n,
            m,
            k,
            c,
            c_row as isize,
            1,
            add,
            b,
            b_row as isize,
            b_column as isize,
            a,
            a_row as isize,
            a_column as isize,
            if add { T::ONE } else { T::ZERO },
            T::ONE,
            false,
            false,
            false,
            gemm_common::Parallelism::None,
        );
    }
}

/// A `Tn` product of few elements over many rows: pieces of [`DEEP`] rows each, added in order.
fn deep_tn<T: Real>(lengths: Lengths, a: &[T], b: &[T], c: &mut [T]) {
    let Lengths { rows, columns, .. } = lengths;
    let pieces: Vec<Vec<T>> = a
        .par_chunks(DEEP * rows)
        .zip(b.par_chunks(DEEP * columns))
        .map(|(a, b)| {
            let mut piece = vec![T::default(); rows * columns];
            let lengths = Lengths { depth: a.len() / rows, ..lengths };
            let target = Target(piece.as_mut_ptr());
            // SAFETY: `a`, `b` and `piece` hold `depth` rows of each factor and the whole product, which is ours alone.
            unsafe { block_of_product(Layout::Tn, lengths, [0, 0], [rows, columns], a, b, &target) };
            piece
        })
        .collect();
    c.copy_from_slice(&pieces[0]);
    for piece in &pieces[1..] {
        for (c, &piece) in c.iter_mut().zip(piece) {
            *c = *c + piece;
        }
    }
}
