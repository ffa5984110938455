//! Attention with several heads (Vaswani et al. 2017), as a composite that devices know by its type.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{Composite, Expr, Graph, Layout, Reduction, Shape, Value};

/// The numbers of an attention. Two are equal if their numbers are, bit by bit.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// Heads: each is a run of channels.
    pub heads: usize,
    /// The factor of the products of queries and keys before the softmax.
    pub scale: f64,
}

impl PartialEq for Attention {
    fn eq(&self, other: &Self) -> bool {
        (self.heads, self.scale.to_bits()) == (other.heads, other.scale.to_bits())
    }
}

impl Eq for Attention {}

impl Hash for Attention {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.heads, self.scale.to_bits()).hash(state);
    }
}

/// What a composite is known to compute, whatever its name: a device may have kernels for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KnownComposite {
    /// [`Graph::attention`]: inputs are queries, keys and values.
    Attention(Attention),
    /// The cotangents of queries, keys and values: inputs are these and the cotangent of the result.
    AttentionGradient(Attention),
}

impl Graph {
    /// softmax(scale · q kᵀ) v for each head: queries, keys and values `[Batch, positions…, C]` → the same shape as
    /// `q`, where a head is C / `heads` neighbouring channels. `k` and `v` may have other positions than `q`.
    ///
    /// The largest score of a row is subtracted before exponentials are taken, as a constant: a softmax does not depend
    /// on it. Rows are divided by their sums after the product with `v`, which is the smaller tensor.
    ///
    /// # Panics
    /// If shapes do not fit, or `heads` does not divide the channels.
    pub fn attention(&mut self, [q, k, v]: [Value; 3], attention: Attention) -> Value {
        let Attention { heads, scale } = attention;
        let shape = self.shape(q).clone();
        let channels = shape.dims().last().map_or(0, |dim| dim.at(1));
        let whole = heads > 0 && channels.is_multiple_of(heads);
        assert!(shape.batch_axis() == Some(0) && whole, "{heads} heads of {shape}: it takes [batch, …, channels]");
        let width = channels / heads;
        let body = |graph: &mut Self, inputs: &[Value]| {
            let input = Expr::input;
            let q = graph.scale(inputs[0], scale);
            let [q, k, v] = [q, inputs[1], inputs[2]].map(|x| split_heads(graph, x, heads, width));
            let scores = graph.batch_matmul(Layout::Nt, q, k);
            let largest = graph.reduce(Reduction::Max, scores, &[3]);
            let powers = graph.map(&[scores, largest], &(input(0) - input(1).detached()).exp());
            let sums = graph.sum(powers, &[3]);
            let mixed = graph.batch_matmul(Layout::Nn, powers, v);
            let mixed = graph.map(&[mixed, sums], &(input(0) / input(1)));
            let joined = if heads == 1 { mixed } else { graph.permute(mixed, &[0, 2, 1, 3]) };
            vec![graph.reshape(joined, shape.clone())]
        };
        self.known_composite("attention", Some(KnownComposite::Attention(attention)), &[q, k, v], body)[0]
    }

    /// The cotangents of the inputs of `composite`, which is `attention`, by a composite whose body takes them from
    /// that of attention. Who opens both computes nothing twice, for equal nodes are one.
    pub(super) fn attention_vjp(
        &mut self,
        composite: &Arc<Composite>,
        attention: Attention,
        inputs: &[Value],
        u: Value,
    ) -> Vec<Value> {
        let count = inputs.len();
        let all: Vec<Value> = inputs.iter().copied().chain([u]).collect();
        let known = Some(KnownComposite::AttentionGradient(attention));
        self.known_composite("attention_gradient", known, &all, |graph, inner| {
            let outputs = graph.inline(composite, &inner[..count]);
            graph.vjp(&outputs, &inner[count..], &inner[..count])
        })
    }
}

impl Composite {
    /// The shape of one of its inputs.
    pub fn input_shape(&self, input: usize) -> &Shape {
        // A body begins with its inputs.
        self.body.shape(Value { node: input, output: 0 })
    }
}

/// `[Batch, positions…, heads · width]` → `[Batch, heads, positions, width]`.
fn split_heads(graph: &mut Graph, x: Value, heads: usize, width: usize) -> Value {
    let shape = graph.shape(x);
    let positions = shape.fixed_elements() / (heads * width);
    assert_eq!(shape.fixed_elements(), positions * heads * width, "{shape} has no {heads} heads of {width} channels");
    if heads == 1 {
        return graph.reshape(x, Shape::batch(&[1, positions, width]));
    }
    let apart = graph.reshape(x, Shape::batch(&[positions, heads, width]));
    graph.permute(apart, &[0, 2, 1, 3])
}
