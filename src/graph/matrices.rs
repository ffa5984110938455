//! Products of many matrices at once, and the exchange of axes that brings tensors into their shape.

use super::{Dim, Graph, Layout, Op, Shape, TensorType, Value};

/// # Panics
/// If the shapes do not fit, with both in the message.
impl Graph {
    /// A product for each index of the leading axes, which both operands have alike:
    /// `[…, m, k] · […, k, n]` (Nn), `[…, m, k] · […, n, k]ᵀ` (Nt) or `[…, k, m]ᵀ · […, k, n]` (Tn) → `[…, m, n]`.
    /// The last two axes are fixed; the batch may stand among the others.
    pub fn batch_matmul(&mut self, layout: Layout, a: Value, b: Value) -> Value {
        let (left, right) = (self.shape(a).clone(), self.shape(b).clone());
        let complaint = || format!("{layout:?} products of {left} and {right}");
        assert!(left.rank() >= 2 && left.rank() == right.rank(), "{}", complaint());
        let (lead, [a_rows, a_columns]) = split_matrix(&left);
        let (other, [b_rows, b_columns]) = split_matrix(&right);
        assert_eq!(lead, other, "{}", complaint());
        let (rows, terms, other_terms, columns) = match layout {
            Layout::Nn => (a_rows, a_columns, b_rows, b_columns),
            Layout::Nt => (a_rows, a_columns, b_columns, b_rows),
            Layout::Tn => (a_columns, a_rows, b_rows, b_columns),
        };
        assert_eq!(terms, other_terms, "{}", complaint());
        let fixed = [rows, terms, columns].iter().all(|dim| matches!(dim, Dim::Fixed(_)));
        assert!(fixed, "{}: the batch is among the leading axes", complaint());
        let shape = Shape::new(lead.iter().copied().chain([rows, columns]));
        self.add(Op::BatchMatMul { layout }, vec![a, b], vec![TensorType::f32(shape)])
    }

    /// The axes in another order: axis `i` of the result is axis `axes[i]` of `a`.
    pub fn permute(&mut self, a: Value, axes: &[usize]) -> Value {
        let shape = self.shape(a).clone();
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..shape.rank()), "{axes:?} are not the axes of {shape}");
        if axes.is_sorted() {
            return a;
        }
        let shape = Shape::new(axes.iter().map(|axis| shape.dims()[*axis]));
        self.add(Op::Permute { axes: axes.to_vec() }, vec![a], vec![TensorType::f32(shape)])
    }

    /// What the cotangent `u` of a batch of products gives to its operands.
    pub(super) fn batch_matmul_vjp(&mut self, layout: Layout, a: Value, b: Value, u: Value) -> Vec<(Value, Value)> {
        let (da, db) = match layout {
            Layout::Nn => (self.batch_matmul(Layout::Nt, u, b), self.batch_matmul(Layout::Tn, a, u)),
            Layout::Nt => (self.batch_matmul(Layout::Nn, u, b), self.batch_matmul(Layout::Tn, u, a)),
            Layout::Tn => (self.batch_matmul(Layout::Nt, b, u), self.batch_matmul(Layout::Nn, a, u)),
        };
        vec![(a, da), (b, db)]
    }

    /// The tangents of a batch of products: the leading axis of tangents joins the others, and the operand that has
    /// none is repeated along it.
    pub(super) fn batch_matmul_jvp(
        &mut self,
        layout: Layout,
        inputs: &[Value],
        tangents: &[Option<Value>],
        count: usize,
    ) -> Option<Value> {
        let mut sum = None;
        for (side, tangent) in tangents.iter().enumerate() {
            let Some(tangent) = *tangent else { continue };
            let other = inputs[1 - side];
            let shape = self.shape(other).with_leading(1);
            let other = self.reshape(other, shape);
            let other = self.repeat_leading(other, count);
            let (a, b) = if side == 0 { (tangent, other) } else { (other, tangent) };
            let part = self.batch_matmul(layout, a, b);
            sum = Some(sum.map_or(part, |sum| self.plus(sum, part)));
        }
        sum
    }

    /// `[1, …]` as `[count, …]`.
    fn repeat_leading(&mut self, a: Value, count: usize) -> Value {
        if count == 1 {
            return a;
        }
        let shape = self.shape(a).with_axis(0, count.into());
        self.map_to(&[a], &super::Expr::input(0), &shape)
    }
}

/// The axes that put those of `axes` back in order.
pub(super) fn inverse(axes: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; axes.len()];
    axes.iter().enumerate().for_each(|(place, axis)| inverse[*axis] = place);
    inverse
}

fn split_matrix(shape: &Shape) -> (&[Dim], [Dim; 2]) {
    let (lead, matrix) = shape.dims().split_at(shape.rank() - 2);
    (lead, [matrix[0], matrix[1]])
}
