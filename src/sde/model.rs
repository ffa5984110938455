//! What losses and samplers see of a score: something that predicts.

use super::conversion::{Coefficients, Quantity};
use super::preconditioning::{Parameterisation, input_scale, noise_input};
use super::{NoiseLevel, Sde};
use crate::graph::{Expr, Graph, Value};

/// Predicts score, epsilon, velocity or denoised.
pub trait Model {
    /// `quantity` at `x` (`[Batch, D]`) and a noise level, of shape `[Batch, D]`. May be called several times on the
    /// same graph; parameters are shared.
    fn predict(&self, graph: &mut Graph, x: Value, level: &NoiseLevel, quantity: Quantity) -> Value;
}

/// A network with parameters, made a model by a process and a parameterisation.
///
/// `network` builds on (graph, scaled x `[Batch, D]`, noise level `[Batch, 1]` or `[1, 1]`) the output `[Batch, D]`.
pub struct Network<'a, N> {
    /// The forward process, which says what velocity is.
    pub sde: &'a dyn Sde,
    /// What the network's output means.
    pub parameterisation: Parameterisation,
    /// Root mean square of the data's coordinates.
    pub sigma_data: f64,
    /// The network.
    pub network: N,
}

impl<N: Fn(&mut Graph, Value, Value) -> Value> Model for Network<'_, N> {
    fn predict(&self, graph: &mut Graph, x: Value, level: &NoiseLevel, quantity: Quantity) -> Value {
        let [alpha, sigma, log_snr] = [0, 1, 2].map(Expr::input);
        let [scale, conditioning] =
            level.functions(graph, [input_scale(&alpha, &sigma, self.sigma_data), noise_input(&log_snr)]);
        let scaled = graph.times(x, scale);
        let f = (self.network)(graph, scaled, conditioning);
        let [f_, x_, alpha_, sigma_, p_, q_] = [0, 1, 2, 3, 4, 5].map(Expr::input);
        let mut at = Coefficients::new(&alpha_, &sigma_);
        let mut inputs = vec![f, x, level.alpha, level.sigma];
        if Quantity::Velocity == quantity || self.parameterisation.output() == Some(Quantity::Velocity) {
            inputs.extend(level.velocity(graph, self.sde));
            at.velocity = [p_, q_];
        }
        let expr = self.parameterisation.quantity(quantity, &f_, &x_, &at, self.sigma_data);
        graph.map(&inputs, &expr)
    }
}

/// A law whose noised versions are known, made a model by a process.
///
/// Both functions build on (graph, x `[Batch, D]`, alpha and sigma `[Batch, 1]` or `[1, 1]`) a value `[Batch, D]`.
pub struct Exact<'a, S, D> {
    /// The forward process, which says what velocity is.
    pub sde: &'a dyn Sde,
    /// Gives the score.
    pub score: S,
    /// Gives the mean of x_0 given x.
    pub denoised: D,
}

impl<S, D> Model for Exact<'_, S, D>
where
    S: Fn(&mut Graph, Value, Value, Value) -> Value,
    D: Fn(&mut Graph, Value, Value, Value) -> Value,
{
    fn predict(&self, graph: &mut Graph, x: Value, level: &NoiseLevel, quantity: Quantity) -> Value {
        let NoiseLevel { alpha, sigma, .. } = *level;
        match quantity {
            Quantity::Denoised => (self.denoised)(graph, x, alpha, sigma),
            Quantity::Score => (self.score)(graph, x, alpha, sigma),
            Quantity::Epsilon => {
                let score = (self.score)(graph, x, alpha, sigma);
                graph.map(&[score, sigma], &-(Expr::input(1) * Expr::input(0)))
            }
            Quantity::Velocity => {
                // By its definition, which no end of time spoils.
                let [denoised, epsilon] =
                    [Quantity::Denoised, Quantity::Epsilon].map(|quantity| self.predict(graph, x, level, quantity));
                let [p, q] = level.velocity(graph, self.sde);
                let [denoised_, epsilon_, p_, q_] = [0, 1, 2, 3].map(Expr::input);
                graph.map(&[denoised, epsilon, p, q], &(p_ * denoised_ + q_ * epsilon_))
            }
        }
    }
}
