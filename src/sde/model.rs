//! What losses and samplers see of a score: something that predicts.

use super::Sde;
use super::conversion::{Coefficients, Quantity};
use super::preconditioning::{Parameterisation, input_scale, noise_level};
use crate::graph::{Expr, Graph, Shape, Value};

/// Predicts score, epsilon, velocity or denoised.
pub trait Model {
    /// `quantity` at `x` (`[Batch, D]`) and time `t` (`[Batch, 1]`, or one for all: `[1]` or `[1, 1]`), of shape
    /// `[Batch, D]`. May be called several times on the same graph; parameters are shared.
    fn predict(&self, graph: &mut Graph, x: Value, t: Value, quantity: Quantity) -> Value;

    /// The logarithm of the loss that is to be expected at times `t` (`[Batch, 1]`), if the model learns it: `[Batch, 1]`.
    fn uncertainty(&self, _graph: &mut Graph, _t: Value) -> Option<Value> {
        None
    }

    /// Where a schedule that is learned with the model takes even times `t` (`[Batch, 1]`). Data `x0` (`[Batch, D]`) and
    /// `clock` are for what its ends are learned by.
    fn scheduled(&self, _graph: &mut Graph, _t: Value, _x0: Value, _clock: Value) -> Option<ScheduledTime> {
        None
    }
}

/// A time of a learned schedule, and what it is learned by.
#[derive(Clone, Copy, Debug)]
pub struct ScheduledTime {
    /// `[Batch, 1]`
    pub t: Value,
    /// Its derivative in the even time, `[Batch, 1]`.
    pub slope: Value,
    /// The parameter of the way between the ends.
    pub parameter: Value,
    /// What the ends are learned by, where they are.
    pub ends: Option<ScheduledEnds>,
}

/// The ends of a learned schedule.
#[derive(Clone, Copy, Debug)]
pub struct ScheduledEnds {
    /// The parameters of the first and the last time.
    pub parameters: [Value; 2],
    /// What the variational bound has besides the integral between them, in nats: the mean over the batch, `[1]`.
    pub rest: Value,
}

/// A network with parameters, made a model by a process and a parameterisation.
///
/// `network` builds on (graph, scaled x `[Batch, D]`, noise level `[Batch, 1]` or `[1, 1]`) the output `[Batch, D]`.
pub struct Network<'a, N> {
    /// The forward process.
    pub sde: &'a dyn Sde,
    /// What the network's output means.
    pub parameterisation: Parameterisation,
    /// Root mean square of the data's coordinates.
    pub sigma_data: f64,
    /// The network.
    pub network: N,
}

impl<N: Fn(&mut Graph, Value, Value) -> Value> Model for Network<'_, N> {
    fn predict(&self, graph: &mut Graph, x: Value, t: Value, quantity: Quantity) -> Value {
        let time = Expr::input(0);
        let (alpha, sigma) = (self.sde.alpha(&time), self.sde.sigma(&time));
        let scale = input_scale(&alpha, &sigma, self.sigma_data);
        let level = noise_level(&self.sde.log_snr(&time));
        let [alpha, sigma, scale, level] = functions_of_time(graph, t, [alpha, sigma, scale, level]);
        let scaled = graph.times(x, scale);
        let f = (self.network)(graph, scaled, level);
        let [f_, x_, alpha_, sigma_, p_, q_] = [0, 1, 2, 3, 4, 5].map(Expr::input);
        let mut at = Coefficients::new(&alpha_, &sigma_);
        let mut inputs = vec![f, x, alpha, sigma];
        if Quantity::Velocity == quantity || self.parameterisation.output() == Some(Quantity::Velocity) {
            inputs.extend(functions_of_time(graph, t, self.sde.velocity(&time)));
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
    /// The forward process.
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
    fn predict(&self, graph: &mut Graph, x: Value, t: Value, quantity: Quantity) -> Value {
        let time = Expr::input(0);
        let [alpha, sigma] = functions_of_time(graph, t, [self.sde.alpha(&time), self.sde.sigma(&time)]);
        match quantity {
            Quantity::Denoised => (self.denoised)(graph, x, alpha, sigma),
            Quantity::Score => (self.score)(graph, x, alpha, sigma),
            Quantity::Epsilon => {
                let score = (self.score)(graph, x, alpha, sigma);
                graph.map(&[score, sigma], &-(Expr::input(1) * Expr::input(0)))
            }
            Quantity::Velocity => {
                // By its definition, which no end of time spoils.
                let [denoised, epsilon] = [Quantity::Denoised, Quantity::Epsilon].map(|q| self.predict(graph, x, t, q));
                let [p, q] = functions_of_time(graph, t, self.sde.velocity(&time));
                let [denoised_, epsilon_, p_, q_] = [0, 1, 2, 3].map(Expr::input);
                graph.map(&[denoised, epsilon, p, q], &(p_ * denoised_ + q_ * epsilon_))
            }
        }
    }
}

/// Expressions of time (input 0) at `t` (`[Batch, 1]`, `[1]` or `[1, 1]`), of shape `[Batch, 1]` or `[1, 1]`.
///
/// They are computed on an axis of their own and viewed back, which keeps fusion from writing them into every element
/// of what uses them: one exponential a sample rather than one a coordinate.
pub fn functions_of_time<const N: usize>(graph: &mut Graph, t: Value, exprs: [Expr; N]) -> [Value; N] {
    let (flat, column) = match graph.shape(t).batch_axis() {
        Some(_) => (Shape::batch(&[]), Shape::batch(&[1])),
        None => (Shape::fixed(&[1]), Shape::fixed(&[1, 1])),
    };
    let flat_t = graph.reshape(t, flat.clone());
    let values = graph.pointwise(&[flat_t], &exprs, Some(flat));
    std::array::from_fn(|i| graph.reshape(values[i], column.clone()))
}

/// alpha x_0 + sigma epsilon for x_0 and epsilon `[Batch, D]` at times `t` as for [`functions_of_time`], with alpha and sigma.
pub fn perturbed(graph: &mut Graph, sde: &dyn Sde, x0: Value, t: Value, epsilon: Value) -> (Value, [Value; 2]) {
    let time = Expr::input(0);
    let [alpha, sigma] = functions_of_time(graph, t, [sde.alpha(&time), sde.sigma(&time)]);
    let [x0_, alpha_, sigma_, epsilon_] = [0, 1, 2, 3].map(Expr::input);
    let x = graph.map(&[x0, alpha, sigma, epsilon], &(alpha_ * x0_ + sigma_ * epsilon_));
    (x, [alpha, sigma])
}
