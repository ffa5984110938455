//! Attention with several heads (Vaswani et al., 2017).

use crate::graph::{Expr, Graph, Layout, Reduction, Shape, Value};

/// softmax(q kᵀ / √d) v for each head: queries, keys and values `[Batch, positions…, C]` → the same shape as `q`, where
/// a head is d = C / `heads` neighbouring channels. `k` and `v` may have other positions than `q`.
///
/// The largest score of a row is subtracted before exponentials are taken, as a constant: a softmax does not depend on
/// it. Rows are divided by their sums after the product with `v`, which is the smaller tensor.
///
/// # Panics
/// If shapes do not fit, or `heads` does not divide the channels.
pub fn attention(graph: &mut Graph, [q, k, v]: [Value; 3], heads: usize) -> Value {
    let shape = graph.shape(q).clone();
    let channels = shape.dims().last().map_or(0, |dim| dim.at(1));
    let whole = heads > 0 && channels.is_multiple_of(heads);
    assert!(shape.batch_axis() == Some(0) && whole, "{heads} heads of {shape}: it takes [batch, …, channels]");
    let width = channels / heads;
    let body = |graph: &mut Graph, inputs: &[Value]| {
        let (input, scale) = (Expr::input, (width as f64).powf(-0.5));
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
    graph.composite("attention", &[q, k, v], body)[0]
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
