//! Sums of tensors that are 0 but for a range of an axis: what slices send back to what they are of.

use super::{Graph, Op, Value};

/// A range of an axis, and what stands there.
type Range = (usize, usize, Value);

impl Graph {
    /// a + b, of cotangents.
    pub(super) fn add_cotangents(&mut self, a: Value, b: Value) -> Value {
        self.side_by_side(a, b).unwrap_or_else(|| self.plus(a, b))
    }

    /// a + b where each is 0 but for ranges of one axis that do not meet those of the other: one concatenation.
    fn side_by_side(&mut self, a: Value, b: Value) -> Option<Value> {
        let (axis, mut ranges) = self.ranges(a)?;
        let (other, more) = self.ranges(b)?;
        ranges.extend(more);
        ranges.sort_unstable_by_key(|(start, ..)| *start);
        let apart = ranges.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0);
        if axis != other || !apart {
            return None;
        }
        let shape = self.shape(a).clone();
        let length = shape.dims()[axis].at(0);
        let mut parts = Vec::new();
        let mut end = 0;
        for (start, length, value) in ranges {
            if start > end {
                parts.push(self.full(0.0, shape.with_axis(axis, (start - end).into())));
            }
            parts.push(value);
            end = start + length;
        }
        if end < length {
            parts.push(self.full(0.0, shape.with_axis(axis, (length - end).into())));
        }
        Some(self.concat(&parts, axis))
    }

    /// The axis and the ranges of a concatenation that are not 0; `None` if it is none, or nothing of it is 0.
    fn ranges(&self, value: Value) -> Option<(usize, Vec<Range>)> {
        let entry = self.node(value);
        let Op::Concat { axis } = entry.op else { return None };
        let mut start = 0;
        let mut ranges = Vec::new();
        for part in &entry.inputs {
            let length = self.shape(*part).dims()[axis].at(0);
            if !self.is_zero(*part) {
                ranges.push((start, length, *part));
            }
            start += length;
        }
        (ranges.len() < entry.inputs.len()).then_some((axis, ranges))
    }

    fn is_zero(&self, value: Value) -> bool {
        let Op::Pointwise { tape } = &self.node(value).op else { return false };
        tape.to_exprs()[value.output].as_constant() == Some(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Expr, Shape};

    #[test]
    fn what_three_slices_send_back_is_one_concatenation() {
        let mut graph = Graph::new();
        let x = graph.input("x", Shape::batch(&[9]));
        let parts = [(6, 3), (0, 2), (2, 1)].map(|(start, length)| graph.slice(x, 1, start, length));
        let sums = parts.map(|part| {
            let square = graph.map(&[part], &Expr::input(0).square());
            graph.sum_all(square)
        });
        let sum = graph.plus(sums[0], sums[1]);
        let sum = graph.plus(sum, sums[2]);
        let dx = graph.gradient(sum, &[x])[0];
        let Op::Concat { axis: 1 } = graph.node(dx).op else { panic!("{:?}", graph.node(dx).op) };
        let lengths: Vec<usize> =
            graph.node(dx).inputs.iter().map(|part| graph.shape(*part).fixed_elements()).collect();
        assert_eq!(lengths, [2, 1, 3, 3]);
    }
}
