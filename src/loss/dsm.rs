//! Denoising score matching (Vincent 2011) over a continuum of noise levels (Song et al. 2021).
//!
//! x_t = alpha x_0 + sigma epsilon; the loss of a sample is λ(t) ‖score(x_t, t) + epsilon / sigma‖², computed as
//! (λ / sigma²) ‖epsilon(x_t, t) − epsilon‖², in which nothing is large at small sigma.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Weighting;
use crate::graph::{Expr, Graph, Shape, Value};
use crate::sde::model::functions_of_time;
use crate::sde::{Model, Quantity, Sde};

/// How the squared errors of a sample's D coordinates become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reduce {
    /// Mean over the coordinates.
    #[default]
    Mean,
    /// Half of the sum: the mathematical value.
    Sum,
}

impl Reduce {
    /// The factor of the sum of squares.
    pub fn factor(self, dims: usize) -> f64 {
        match self {
            Self::Mean => 1.0 / dims as f64,
            Self::Sum => 0.5,
        }
    }
}

/// The objective.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Denoising {
    /// Weight of a noise level.
    pub weighting: Weighting,
    /// Over coordinates.
    pub reduce: Reduce,
    /// Times are drawn evenly from [t_min, t_max of the process]; score_sde trains from 1e-5.
    pub t_min: f64,
}

impl Default for Denoising {
    fn default() -> Self {
        Self { weighting: Weighting::default(), reduce: Reduce::default(), t_min: 1e-5 }
    }
}

/// The loss of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// Of each sample, `[Batch, 1]`.
    pub per_sample: Value,
    /// The time of each sample, `[Batch, 1]`.
    pub t: Value,
    /// The mean over the batch, `[1]`.
    pub mean: Value,
}

impl Denoising {
    /// The loss of `x0` (`[Batch, D]`) at times drawn with the name `train.t` and noise drawn as `train.noise`.
    pub fn loss(&self, graph: &mut Graph, sde: &dyn Sde, model: &dyn Model, x0: Value, clock: Value) -> Loss {
        let t = drawn_times(graph, sde, self.t_min, clock);
        let shape = graph.shape(x0).clone();
        let noise = graph.normal(clock, "train.noise", shape);
        self.loss_at(graph, sde, model, x0, t, noise)
    }

    /// The loss of `x0` (`[Batch, D]`) at given times (`[Batch, 1]`) and with given noise (`[Batch, D]`).
    pub fn loss_at(
        &self,
        graph: &mut Graph,
        sde: &dyn Sde,
        model: &dyn Model,
        x0: Value,
        t: Value,
        noise: Value,
    ) -> Loss {
        let (x, _) = perturbed(graph, sde, x0, t, noise);
        let epsilon = model.predict(graph, x, t, Quantity::Epsilon);

        let weight = self.weighting.of_epsilon(sde, &Expr::input(0));
        let dims = graph.shape(x0).inner_elements();
        let factor = self.reduce.factor(dims);
        let outputs = match weight.as_constant() {
            Some(weight) => graph.composite("dsm_loss", &[epsilon, noise], |graph, inputs| {
                let error = (Expr::input(0) - Expr::input(1)).square() * (weight * factor);
                let error = graph.map(inputs, &error);
                over_batch(graph, error)
            }),
            None => {
                let [weight] = functions_of_time(graph, t, [weight]);
                graph.composite("dsm_loss", &[epsilon, noise, weight], |graph, inputs| {
                    let error = (Expr::input(0) - Expr::input(1)).square() * (Expr::input(2) * factor);
                    let error = graph.map(inputs, &error);
                    over_batch(graph, error)
                })
            }
        };
        Loss { per_sample: outputs[0], t, mean: outputs[1] }
    }
}

/// A time for each sample, `[Batch, 1]`, drawn evenly from [t_min, t_max of the process] with the name `train.t`.
pub(super) fn drawn_times(graph: &mut Graph, sde: &dyn Sde, t_min: f64, clock: Value) -> Value {
    let u = graph.uniform(clock, "train.t", Shape::batch(&[]));
    let t = graph.map(&[u], &(Expr::input(0) * (sde.t_max() - t_min) + t_min));
    graph.reshape(t, Shape::batch(&[1]))
}

/// alpha x_0 + sigma epsilon for x_0 and epsilon `[Batch, D]` at times `[Batch, 1]`, with alpha and sigma, `[Batch, 1]`.
pub(super) fn perturbed(graph: &mut Graph, sde: &dyn Sde, x0: Value, t: Value, epsilon: Value) -> (Value, [Value; 2]) {
    let time = Expr::input(0);
    let [alpha, sigma] = functions_of_time(graph, t, [sde.alpha(&time), sde.sigma(&time)]);
    let [x0_, alpha_, sigma_, epsilon_] = [0, 1, 2, 3].map(Expr::input);
    let x = graph.map(&[x0, alpha, sigma, epsilon], &(alpha_ * x0_ + sigma_ * epsilon_));
    (x, [alpha, sigma])
}

/// `[Batch, D]` → the sums of the samples `[Batch, 1]` and their mean `[1]`.
fn over_batch(graph: &mut Graph, error: Value) -> Vec<Value> {
    let per_sample = graph.sum(error, &[1]);
    let mean = mean_over_batch(graph, per_sample);
    vec![per_sample, mean]
}

/// `[Batch, 1]` → its mean, `[1]`.
pub(super) fn mean_over_batch(graph: &mut Graph, per_sample: Value) -> Value {
    let total = graph.sum_all(per_sample);
    graph.map(&[total], &(Expr::input(0) / Expr::batch()))
}
