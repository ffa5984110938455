//! How a pointwise kernel walks its output: rows and columns, and where each operand's element lies.

use crate::graph::{Dim, Shape};
use crate::plan::Size;

/// Where the element for (row, column) of an operand lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Indexing {
    /// `row * columns + column`
    Dense,
    /// `column`
    Columns,
    /// `row`
    Rows,
    /// `0`
    Scalar,
    /// The index of every lead group times its stride, plus the column if `columns`.
    General { strides: Vec<Size>, columns: bool },
}

impl Indexing {
    /// Whether neighbouring columns hold different elements.
    pub fn along_columns(&self) -> bool {
        matches!(self, Self::Dense | Self::Columns | Self::General { columns: true, .. })
    }
}

/// A shape seen as rows (the product of the lead groups) times columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Iteration {
    /// Lengths of the groups that make up a row's number, slowest first.
    pub lead: Vec<Size>,
    /// Which lead group is the batch axis, where it was kept apart.
    pub batch_group: Option<usize>,
    /// Length of a row.
    pub columns: Size,
    /// One entry for each operand.
    pub operands: Vec<Indexing>,
}

/// Neighbouring axes along which the same operands vary.
struct Group {
    length: Size,
    /// Which operands vary along it.
    varies: Vec<bool>,
    /// Whether it is the batch axis, kept apart.
    batch: bool,
}

impl Group {
    /// A group of length 1, which separates what stands on both sides.
    fn boundary(operands: usize) -> Self {
        Self { length: Size::fixed(1), varies: vec![false; operands], batch: false }
    }
}

/// Which axes have to form the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    /// As many trailing axes as go together.
    Free,
    /// As many as go together after the batch, which stays a group of its own (random draws need the sample's number).
    AfterBatch,
    /// Exactly the axes from this one on.
    At(usize),
    /// The same, with the batch, if it stands before them, a group of its own.
    AtAndBatch(usize),
}

impl Iteration {
    /// The view of `shape` for operands of shapes that broadcast to it; `None` if `split` cannot be had.
    pub fn new(shape: &Shape, operands: &[&Shape], split: Split) -> Option<Self> {
        let padded: Vec<Shape> = operands.iter().map(|operand| operand.padded_to(shape.rank())).collect();
        let (batch_axis, keeps_batch) = match split {
            Split::AtAndBatch(first) => (shape.batch_axis().filter(|batch| *batch < first), true),
            _ => (shape.batch_axis(), split == Split::AfterBatch),
        };
        let mut groups: Vec<Group> = Vec::new();
        let mut columns_start = None;
        for (axis, dim) in shape.dims().iter().enumerate() {
            let starts_columns = matches!(split, Split::At(first) | Split::AtAndBatch(first) if axis == first);
            let beside_batch = keeps_batch && batch_axis.is_some_and(|batch| axis == batch || axis == batch + 1);
            let boundary = starts_columns || beside_batch;
            if starts_columns {
                columns_start = Some(groups.len());
            }
            let is_batch = keeps_batch && batch_axis == Some(axis);
            if *dim == Dim::Fixed(1) && !boundary {
                continue;
            }
            if *dim == Dim::Fixed(1) {
                groups.push(Group::boundary(padded.len()));
                continue;
            }
            let varies: Vec<bool> = padded.iter().map(|operand| operand.dims()[axis] == *dim).collect();
            let length = size_of(*dim);
            match groups.last_mut().filter(|last| !boundary && !last.batch && !is_batch) {
                Some(last) if last.length == Size::fixed(1) => (last.length, last.varies) = (length, varies),
                Some(last) if last.varies == varies => last.length = times(last.length, length),
                _ => groups.push(Group { length, varies, batch: is_batch }),
            }
        }
        match split {
            // All columns have to be one group.
            Split::At(first) | Split::AtAndBatch(first)
                if first < shape.rank() && groups.len() > columns_start? + 1 =>
            {
                return None;
            }
            Split::At(first) | Split::AtAndBatch(first) if first >= shape.rank() => {
                groups.push(Group::boundary(padded.len()))
            }
            _ => {}
        }
        let last_is_batch = groups.last().is_some_and(|last| last.batch);
        // A row's length may depend on the batch only if there is but one row.
        let last_grows = groups.len() > 1 && groups.last().is_some_and(|last| last.length.per_sample > 0);
        if last_grows && split == Split::Free {
            return Self::new(shape, operands, Split::AfterBatch);
        }
        if groups.is_empty() || last_is_batch {
            groups.push(Group::boundary(padded.len()));
        }
        let Group { length: columns, varies: along_columns, .. } = groups.pop()?;
        let lead: Vec<Size> = groups.iter().map(|group| group.length).collect();
        let batch_group = groups.iter().position(|group| group.batch);
        let single_column = columns == Size::fixed(1);
        let operands = (0..padded.len())
            .map(|operand| {
                let along = along_columns[operand] || single_column;
                let mut stride = if along_columns[operand] { columns } else { Size::fixed(1) };
                let mut strides = vec![Size::fixed(0); groups.len()];
                for (group, place) in groups.iter().zip(&mut strides).rev() {
                    if group.varies[operand] {
                        *place = stride;
                        stride = times(stride, group.length);
                    }
                }
                let all = groups.iter().all(|group| group.varies[operand] || group.length == Size::fixed(1));
                let none = groups.iter().all(|group| !group.varies[operand]);
                match (all, none, along) {
                    (true, _, true) => Indexing::Dense,
                    (_, true, true) if !single_column => Indexing::Columns,
                    (_, true, _) => Indexing::Scalar,
                    (true, _, false) => Indexing::Rows,
                    (false, false, _) => Indexing::General { strides, columns: along_columns[operand] },
                }
            })
            .collect();
        Some(Self { lead, batch_group, columns, operands })
    }

    /// Number of rows.
    pub fn rows(&self) -> Size {
        self.lead.iter().fold(Size::fixed(1), |rows, length| times(rows, *length))
    }

    /// Whether rows are whole quads, so that four columns can be loaded at once.
    pub fn aligned(&self) -> bool {
        self.columns.fixed.is_multiple_of(4) && self.columns.per_sample.is_multiple_of(4)
    }
}

/// Number of elements of a shape.
pub(super) fn elements(shape: &Shape) -> Size {
    shape.dims().iter().fold(Size::fixed(1), |product, dim| times(product, size_of(*dim)))
}

/// The length of the last axis; of a single number, 1.
pub(super) fn channels(shape: &Shape) -> u64 {
    shape.dims().last().map_or(1, |dim| dim.at(1)) as u64
}

pub(super) fn size_of(dim: Dim) -> Size {
    match dim {
        Dim::Fixed(length) => Size::fixed(length as u64),
        Dim::Batch => Size::per_sample(1),
    }
}

/// The product of two sizes of which at most one depends on the batch.
pub(super) fn times(a: Size, b: Size) -> Size {
    debug_assert!(a.per_sample == 0 || b.per_sample == 0, "a size is at most linear in the batch");
    if b.per_sample == 0 { a * b.fixed } else { b * a.fixed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexings(shape: &Shape, operands: &[&Shape], split: Split) -> Option<(Vec<Size>, Size, Vec<Indexing>)> {
        Iteration::new(shape, operands, split).map(|view| (view.lead, view.columns, view.operands))
    }

    #[test]
    fn equal_shapes_are_one_long_row() {
        let shape = Shape::batch(&[8, 3]);
        let (lead, columns, operands) = indexings(&shape, &[&shape, &Shape::fixed(&[1])], Split::Free).unwrap();
        assert_eq!((lead, columns), (vec![], Size::per_sample(24)));
        assert_eq!(operands, [Indexing::Dense, Indexing::Scalar]);
    }

    #[test]
    fn a_bias_and_a_time_separate_rows_from_columns() {
        let (shape, bias, time) = (Shape::batch(&[6]), Shape::fixed(&[6]), Shape::batch(&[1]));
        let (lead, columns, operands) = indexings(&shape, &[&shape, &bias, &time], Split::Free).unwrap();
        assert_eq!((lead, columns), (vec![Size::per_sample(1)], Size::fixed(6)));
        assert_eq!(operands, [Indexing::Dense, Indexing::Columns, Indexing::Rows]);
    }

    #[test]
    fn tangents_broadcast_their_primal_over_the_leading_axis() {
        let primal = Shape::batch(&[5]);
        let shape = primal.with_leading(3);
        let (lead, columns, operands) = indexings(&shape, &[&shape, &primal], Split::Free).unwrap();
        assert_eq!((lead, columns), (vec![Size::fixed(3), Size::per_sample(1)], Size::fixed(5)));
        assert_eq!(operands[0], Indexing::Dense);
        let strides = vec![Size::fixed(0), Size::fixed(5)];
        assert_eq!(operands[1], Indexing::General { strides, columns: true });
    }

    #[test]
    fn random_draws_keep_the_batch_apart() {
        let shape = Shape::batch(&[1]);
        let view = Iteration::new(&shape, &[&shape], Split::AfterBatch).unwrap();
        assert_eq!((view.rows(), view.columns, view.batch_group), (Size::per_sample(1), Size::fixed(1), Some(0)));
        let shape = Shape::batch(&[8, 8, 1]).with_leading(2);
        let view = Iteration::new(&shape, &[&shape], Split::AfterBatch).unwrap();
        assert_eq!((view.lead.clone(), view.columns), (vec![Size::fixed(2), Size::per_sample(1)], Size::fixed(64)));
    }

    #[test]
    fn a_split_that_an_operand_crosses_is_refused() {
        let (shape, inner) = (Shape::batch(&[4, 6]), Shape::fixed(&[6]));
        assert!(Iteration::new(&shape, &[&shape, &inner], Split::At(1)).is_none());
        assert!(Iteration::new(&shape, &[&shape, &inner], Split::At(2)).is_some());
    }
}
