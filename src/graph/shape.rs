//! Shapes whose batch axis is known only at run time.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Dim {
    /// A length fixed when the graph is built.
    Fixed(usize),
    /// The batch: the one length given at run time.
    Batch,
}

impl Dim {
    /// The length for `batch` samples.
    pub const fn at(self, batch: usize) -> usize {
        match self {
            Self::Fixed(length) => length,
            Self::Batch => batch,
        }
    }
}

impl From<usize> for Dim {
    fn from(length: usize) -> Self {
        Self::Fixed(length)
    }
}

/// The axes of a value, slowest first, stored densely in row-major order. At most one is the batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Shape(Vec<Dim>);

impl Shape {
    /// A shape with these axes.
    ///
    /// # Panics
    /// If the batch appears twice.
    pub fn new(dims: impl IntoIterator<Item = Dim>) -> Self {
        let dims: Vec<Dim> = dims.into_iter().collect();
        assert!(dims.iter().filter(|dim| **dim == Dim::Batch).count() <= 1, "a shape has at most one batch axis");
        Self(dims)
    }

    /// A shape without a batch.
    pub fn fixed(lengths: &[usize]) -> Self {
        Self::new(lengths.iter().copied().map(Dim::Fixed))
    }

    /// `[Batch, lengths…]`.
    pub fn batch(lengths: &[usize]) -> Self {
        Self::new(std::iter::once(Dim::Batch).chain(lengths.iter().copied().map(Dim::Fixed)))
    }

    /// The axes.
    pub fn dims(&self) -> &[Dim] {
        &self.0
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Where the batch stands, if there is one.
    pub fn batch_axis(&self) -> Option<usize> {
        self.0.iter().position(|dim| *dim == Dim::Batch)
    }

    /// Product of the fixed axes: elements of one sample, or of all if there is no batch.
    pub fn fixed_elements(&self) -> usize {
        product(&self.0)
    }

    /// Number of elements for `batch` samples.
    pub fn elements(&self, batch: usize) -> usize {
        self.0.iter().map(|dim| dim.at(batch)).product()
    }

    /// Product of the fixed axes after the batch (after the start, if there is none).
    pub fn inner_elements(&self) -> usize {
        product(&self.0[self.batch_axis().map_or(0, |axis| axis + 1)..])
    }

    /// Product of the fixed axes before the batch.
    pub fn outer_elements(&self) -> usize {
        self.batch_axis().map_or(1, |axis| product(&self.0[..axis]))
    }

    /// The same elements in the same order under other axes: the batch has to keep its place in memory.
    pub fn same_layout(&self, other: &Self) -> bool {
        self.batch_axis().is_some() == other.batch_axis().is_some()
            && self.outer_elements() == other.outer_elements()
            && self.inner_elements() == other.inner_elements()
    }

    /// What `self` and `other` broadcast to (axes aligned at the end, lengths equal or 1), if anything.
    pub fn broadcast(&self, other: &Self) -> Option<Self> {
        let rank = self.rank().max(other.rank());
        let axis =
            |shape: &Self, i: usize| (i + shape.rank()).checked_sub(rank).map_or(Dim::Fixed(1), |axis| shape.0[axis]);
        let dims = (0..rank).map(|i| match (axis(self, i), axis(other, i)) {
            (a, b) if a == b => Some(a),
            (Dim::Fixed(1), b) => Some(b),
            (a, Dim::Fixed(1)) => Some(a),
            _ => None,
        });
        let dims: Option<Vec<Dim>> = dims.collect();
        dims.filter(|dims| dims.iter().filter(|dim| **dim == Dim::Batch).count() <= 1).map(Self)
    }

    /// Whether a value of this shape can be read as one of shape `to`.
    pub fn broadcasts_to(&self, to: &Self) -> bool {
        self.broadcast(to).as_ref() == Some(to)
    }

    /// A shape with `length` put before the other axes.
    pub fn with_leading(&self, length: usize) -> Self {
        Self(std::iter::once(Dim::Fixed(length)).chain(self.0.iter().copied()).collect())
    }

    /// This shape with leading axes of length 1 up to `rank`.
    pub fn padded_to(&self, rank: usize) -> Self {
        let missing = rank.saturating_sub(self.rank());
        Self(std::iter::repeat_n(Dim::Fixed(1), missing).chain(self.0.iter().copied()).collect())
    }

    /// This shape with the length of `axis` replaced.
    pub fn with_axis(&self, axis: usize, dim: Dim) -> Self {
        let mut dims = self.0.clone();
        dims[axis] = dim;
        Self::new(dims)
    }
}

fn product(dims: &[Dim]) -> usize {
    dims.iter().map(|dim| dim.at(1)).product()
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self
            .0
            .iter()
            .map(|dim| match dim {
                Dim::Fixed(length) => length.to_string(),
                Dim::Batch => "batch".to_owned(),
            })
            .collect();
        write!(f, "[{}]", dims.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_aligns_at_the_end() {
        let time = Shape::batch(&[1]);
        let image = Shape::batch(&[64]);
        assert_eq!(time.broadcast(&image), Some(image.clone()));
        assert_eq!(Shape::fixed(&[64]).broadcast(&image), Some(image.clone()));
        assert_eq!(Shape::fixed(&[3]).broadcast(&image), None);
        assert_eq!(image.with_leading(4).broadcast(&image), Some(image.with_leading(4)));
    }

    #[test]
    fn reshaping_may_not_move_the_batch() {
        assert!(Shape::batch(&[8, 8, 1]).same_layout(&Shape::batch(&[64])));
        let leading = Shape::batch(&[4]).with_leading(2);
        assert!(!leading.same_layout(&Shape::batch(&[8])));
    }
}
