//! Layer normalisation (Ba, Kiros and Hinton, 2016) without learned scale and shift.
//!
//! y = (x − m) / √(v + ε), where m and v are mean and variance along the last axis.
//!
//! Two passes gather the statistics: the mean m₀, then d = Σ (x − m₀) / n, which is the rounding error of m₀, and v = Σ
//! (x − m₀)² / n − d². Both hold for any m₀, so it counts as a constant in derivatives of any order, and what they send
//! back takes two sums along each row. However far from 0 the mean is, v has a relative error of a few 2⁻²⁴ in f32 as
//! long as the deviations are not smaller than the rounding of x.

use crate::graph::{Expr, Graph, Value};

/// Normalises each row of `x`, `[Batch, …, C]`, along the last axis: the same shape. `eps` is added to the variance.
///
/// # Panics
/// If `x` has no last axis of fixed length.
pub fn layer_norm(graph: &mut Graph, x: Value, eps: f64) -> Value {
    let shape = graph.shape(x).clone();
    let last = shape.rank().checked_sub(1).filter(|axis| shape.batch_axis() != Some(*axis));
    let axis = last.unwrap_or_else(|| panic!("rows of {shape}: it takes [batch, …, channels]"));
    let count = shape.dims()[axis].at(1) as f64;
    let body = |graph: &mut Graph, inputs: &[Value]| {
        let input = Expr::input;
        let x = inputs[0];
        let sum = graph.sum(x, &[axis]);
        let near = graph.scale(sum, 1.0 / count);
        let centred = input(0) - input(1).detached();
        let means = [centred.clone(), centred.square()].map(|power| {
            let power = graph.map(&[x, near], &power);
            let sum = graph.sum(power, &[axis]);
            graph.scale(sum, 1.0 / count)
        });
        // |v|, as the rounding of a row that is constant may leave it below 0.
        let variance = (input(1) - input(0).square()).abs();
        let factor = (variance + eps).sqrt();
        let both = graph.pointwise(&means, &[Expr::constant(1.0) / &factor, input(0) / &factor], None);
        vec![graph.map(&[x, near, both[0], both[1]], &(centred * input(2) - input(3)))]
    };
    graph.composite("layer_norm", &[x], body)[0]
}
