//! Matrix products: `c[i, j] = Σ_p a[i, p] · b[p, j]`, with `a` or `b` stored transposed in two of the three layouts.
//!
//! The rows of the result are cut into blocks whose height depends on the shape alone, one task each.

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

/// Products of fewer multiplications than this stay in one piece.
const SMALL: usize = 1 << 17;
/// A result this small whose sums are long is cut along the sum.
const DEEP: usize = 4096;

/// Writes the product of `a` and `b` to `c`.
pub fn matmul<T: Real>(layout: Layout, lengths: Lengths, a: &[T], b: &[T], c: &mut [T]) {
    let Lengths { rows, depth, columns } = lengths;
    assert_eq!(
        (a.len(), b.len(), c.len()),
        (rows * depth, depth * columns, rows * columns),
        "operands fit the lengths"
    );
    if layout == Layout::Tn && depth > 2 * DEEP && rows * columns <= 64 * 64 {
        return deep_tn(lengths, a, b, c);
    }
    let work = rows * depth * columns;
    // About 8 tasks for a large product, of at least 32 rows each.
    let height = if work < SMALL { rows } else { rows.div_ceil(8).next_multiple_of(16).max(32) };
    c.par_chunks_mut(height.max(1) * columns.max(1)).enumerate().for_each(|(block, c)| {
        rows_of_product(layout, lengths, block * height, a, b, c);
    });
}

/// The rows of the product from `first` on, as many as `c` holds.
fn rows_of_product<T: Real>(layout: Layout, lengths: Lengths, first: usize, a: &[T], b: &[T], c: &mut [T]) {
    let Lengths { rows, depth, columns } = lengths;
    let height = c.len() / columns;
    // Strides from row to row and from column to column.
    let (a, a_row, a_column) = match layout {
        Layout::Nn | Layout::Nt => (&a[first * depth..], depth, 1),
        Layout::Tn => (&a[first..], 1, rows),
    };
    let (b_row, b_column) = if layout == Layout::Nt { (1, depth) } else { (columns, 1) };
    // SAFETY: `matmul` has checked that the slices hold what lengths and strides reach: `height` rows of the product
    // from `first` on are within `rows`, and `c` is exactly that block, dense. The previous contents of `c` are not read.
    unsafe {
        gemm::gemm(
            height,
            columns,
            depth,
            c.as_mut_ptr(),
            1,
            columns as isize,
            false,
            a.as_ptr(),
            a_column as isize,
            a_row as isize,
            b.as_ptr(),
            b_column as isize,
            b_row as isize,
            T::default(),
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
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
            rows_of_product(Layout::Tn, lengths, 0, a, b, &mut piece);
            piece
        })
        .collect();
    c.copy_from_slice(&pieces[0]);
    for piece in &pieces[1..] {
        for (c, piece) in c.iter_mut().zip(piece) {
            *c = *c + *piece;
        }
    }
}
