//! One noise level for each sample, or one for all, as values of a graph.

use super::{Marginal, Sde};
use crate::graph::{Expr, Graph, Shape, Value};

/// A noise level: what a model is asked at. Each value is `[Batch, 1]`, or `[1, 1]` for all samples.
///
/// A level is not a time. Near the noisy end of a process whose alpha reaches 0, an f32 time does not say alpha to more
/// than three digits; alpha itself does.
#[derive(Clone, Copy, Debug)]
pub struct NoiseLevel {
    /// Factor of x_0 in x_t.
    pub alpha: Value,
    /// Standard deviation of x_t given x_0.
    pub sigma: Value,
    /// ln(alpha² / sigma²), finite also where alpha is 0 ([`Sde::log_snr`]).
    pub log_snr: Value,
}

impl NoiseLevel {
    /// The levels of a process at times `t` (`[Batch, 1]`, `[1]` or `[1, 1]`), computed on the device.
    pub fn at(graph: &mut Graph, sde: &dyn Sde, t: Value) -> Self {
        let [alpha, sigma, log_snr] = functions_of_time(graph, t, Self::of_time(sde));
        Self { alpha, sigma, log_snr }
    }

    /// alpha, sigma and ln SNR of a process as expressions of time (input 0).
    pub fn of_time(sde: &dyn Sde) -> [Expr; 3] {
        let time = Expr::input(0);
        [sde.alpha(&time), sde.sigma(&time), sde.log_snr(&time)]
    }

    /// A level that is known when the graph is built, the same for all samples.
    pub fn constant(graph: &mut Graph, at: &Marginal) -> Self {
        let [alpha, sigma, log_snr] = at.level().map(|number| graph.full(number, Shape::fixed(&[1, 1])));
        Self { alpha, sigma, log_snr }
    }

    /// Expressions of alpha, sigma and ln SNR (inputs 0, 1 and 2), of the shape of a level's values.
    pub fn functions<const N: usize>(&self, graph: &mut Graph, exprs: [Expr; N]) -> [Value; N] {
        functions_of_columns(graph, &[self.alpha, self.sigma, self.log_snr], exprs)
    }

    /// The factors of x_0 and of epsilon in velocity.
    pub fn velocity(&self, graph: &mut Graph, sde: &dyn Sde) -> [Value; 2] {
        self.functions(graph, sde.velocity(&Expr::input(0), &Expr::input(1)))
    }
}

/// Expressions of time (input 0) at `t` (`[Batch, 1]`, `[1]` or `[1, 1]`), of shape `[Batch, 1]` or `[1, 1]`.
///
/// They are computed on an axis of their own and viewed back, which keeps fusion from writing them into every element
/// of what uses them: one exponential a sample rather than one a coordinate.
pub fn functions_of_time<const N: usize>(graph: &mut Graph, t: Value, exprs: [Expr; N]) -> [Value; N] {
    functions_of_columns(graph, &[t], exprs)
}

/// The same of several values of such a shape, the inputs 0, 1, … of the expressions.
fn functions_of_columns<const N: usize>(graph: &mut Graph, columns: &[Value], exprs: [Expr; N]) -> [Value; N] {
    let (flat, column) = match graph.shape(columns[0]).batch_axis() {
        Some(_) => (Shape::batch(&[]), Shape::batch(&[1])),
        None => (Shape::fixed(&[1]), Shape::fixed(&[1, 1])),
    };
    let inputs: Vec<Value> = columns.iter().map(|value| graph.reshape(*value, flat.clone())).collect();
    let values = graph.pointwise(&inputs, &exprs, Some(flat));
    std::array::from_fn(|i| graph.reshape(values[i], column.clone()))
}

/// alpha x_0 + sigma epsilon for x_0 and epsilon `[Batch, D]` at a noise level.
pub fn perturbed(graph: &mut Graph, x0: Value, level: &NoiseLevel, epsilon: Value) -> Value {
    let [x0_, alpha_, sigma_, epsilon_] = [0, 1, 2, 3].map(Expr::input);
    graph.map(&[x0, level.alpha, level.sigma, epsilon], &(alpha_ * x0_ + sigma_ * epsilon_))
}
