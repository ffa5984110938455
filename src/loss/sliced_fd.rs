//! Sliced score matching by finite differences: no derivative of the model in x.

use super::{Field, Matching, Projections};
use crate::graph::{Expr, Graph, Value};

/// E[vᵀ (score₊ − score₋) / 2h + ⅛ (vᵀ (score₊ + score₋))²] with score± at x ± h v and E[v vᵀ] = I (Pang, Xu, Li, Song,
/// Ermon and Zhu 2020): [`Sliced`](super::Sliced) up to terms in h², by two evaluations of the model.
#[derive(Clone, Copy, Debug)]
pub struct SlicedFd {
    /// The directions v.
    pub projections: Projections,
    /// h in units of the noise's standard deviation at noisy data, of the data where there is none; above 0. Smaller
    /// is nearer to the derivative, until rounding shows in the difference.
    pub step: f64,
}

impl Matching for SlicedFd {
    fn value(&self, graph: &mut Graph, field: &Field, clock: Value) -> Value {
        let v = self.projections.draw(graph, clock, field.dims(graph));
        self.along(graph, field, v)
    }
}

impl SlicedFd {
    /// The value with given directions v, `[k, Batch, D]`, averaged over the k: `[Batch, 1]`.
    pub fn along(&self, graph: &mut Graph, field: &Field, v: Value) -> Value {
        let count = graph.shape(v).dims()[0].at(0);
        let shape = graph.shape(field.x).clone();
        let values: Vec<Value> = (0..count)
            .map(|k| {
                let v = graph.slice(v, 0, k, 1);
                let v = graph.reshape(v, shape.clone());
                let [forward, backward] = [self.step, -self.step].map(|step| {
                    let [x, v_, scale] = [0, 1, 2].map(Expr::input);
                    let moved = graph.map(&[field.x, v, field.scale], &(x + scale * step * v_));
                    field.scaled_score(graph, moved)
                });
                self.of_pair(graph, v, forward, backward)
            })
            .collect();
        let sum = values[1..].iter().fold(values[0], |sum, value| graph.plus(sum, *value));
        graph.scale(sum, 1.0 / count as f64)
    }

    /// For one direction: from v and y on either side, all `[Batch, D]`, the value `[Batch, 1]`.
    fn of_pair(&self, graph: &mut Graph, v: Value, forward: Value, backward: Value) -> Value {
        let [v_, forward_, backward_] = [0, 1, 2].map(Expr::input);
        let exprs = [&v_ * (&forward_ - &backward_), v_ * (forward_ + backward_)];
        let [difference, sum] = exprs.map(|expr| {
            let parts = graph.map(&[v, forward, backward], &expr);
            graph.sum(parts, &[1])
        });
        // h is step · c, so that c² (difference of scores / 2h) = difference of y / (2 step).
        let value = Expr::input(0) / (2.0 * self.step) + Expr::input(1).square() * 0.125;
        graph.map(&[difference, sum], &value)
    }
}
