//! Denoising score matching (Vincent 2011) over a continuum of noise levels (Song et al. 2021).
//!
//! x_t = alpha x_0 + sigma epsilon; the loss of a sample is λ(t) ‖score(x_t, t) + epsilon / sigma‖², computed as
//! (λ / sigma²) ‖epsilon(x_t, t) − epsilon‖², in which nothing is large at small sigma; or as the same in velocity, in
//! which nothing is large at small alpha either.

use super::loss_value::mean_over_batch;
use super::{Batch, Loss, Objective, Reduce, TimeSampling, Weighting};
use crate::graph::{Expr, Graph, Value};
use crate::sde::{NoiseLevel, Quantity, functions_of_time, perturbed};

/// The objective.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Denoising {
    /// Weight of a noise level.
    pub weighting: Weighting,
    /// Over coordinates.
    pub reduce: Reduce,
    /// How times are drawn from [t_min, t_max of the process].
    pub time: TimeSampling,
    /// The smallest time; score_sde trains from 1e-5.
    pub t_min: f64,
}

impl Default for Denoising {
    fn default() -> Self {
        Self { weighting: Weighting::default(), reduce: Reduce::default(), time: TimeSampling::default(), t_min: 1e-5 }
    }
}

impl Objective for Denoising {
    /// At times drawn with the name `train.t`, with noise drawn as `train.noise`.
    fn loss(&self, graph: &mut Graph, batch: &Batch) -> Loss {
        let Batch { sde, x0, clock, .. } = *batch;
        let drawn = self.time.draw(graph, sde, self.t_min, clock).scheduled(graph, batch, self.reduce);
        let shape = graph.shape(x0).clone();
        let noise = graph.normal(clock, "train.noise", shape);
        let (quantity, weight) = self.time.weight(self.weighting, self.weighting.quantity(sde), sde, self.t_min);
        let loss = self.loss_of(graph, batch, [drawn.t, noise], quantity, &weight);
        self.time.settle(graph, batch, self.t_min, &drawn, loss)
    }

    fn loss_at(&self, graph: &mut Graph, batch: &Batch, t: Value, noise: Value) -> Loss {
        let quantity = self.weighting.quantity(batch.sde);
        let weight = self.weighting.of(quantity, batch.sde, &Expr::input(0));
        self.loss_of(graph, batch, [t, noise], quantity, &weight)
    }
}

impl Denoising {
    /// The squared error of `quantity` times `weight`, an expression of time.
    fn loss_of(
        &self,
        graph: &mut Graph,
        batch: &Batch,
        [t, noise]: [Value; 2],
        quantity: Quantity,
        weight: &Expr,
    ) -> Loss {
        let Batch { sde, model, x0, .. } = *batch;
        let level = NoiseLevel::at(graph, sde, t);
        let x = perturbed(graph, x0, &level, noise);
        let predicted = model.predict(graph, x, &level, quantity);
        let target = if quantity == Quantity::Velocity {
            let [p, q] = level.velocity(graph, sde);
            let [x0_, noise_, p_, q_] = [0, 1, 2, 3].map(Expr::input);
            graph.map(&[x0, noise, p, q], &(p_ * x0_ + q_ * noise_))
        } else {
            noise
        };

        let dims = graph.shape(x0).inner_elements();
        let factor = self.reduce.factor(dims);
        let outputs = match weight.as_constant() {
            Some(weight) => graph.composite("dsm_loss", &[predicted, target], |graph, inputs| {
                let error = (Expr::input(0) - Expr::input(1)).square() * (weight * factor);
                let error = graph.map(inputs, &error);
                over_batch(graph, error)
            }),
            None => {
                let [weight] = functions_of_time(graph, t, [weight.clone()]);
                graph.composite("dsm_loss", &[predicted, target, weight], |graph, inputs| {
                    let error = (Expr::input(0) - Expr::input(1)).square() * (Expr::input(2) * factor);
                    let error = graph.map(inputs, &error);
                    over_batch(graph, error)
                })
            }
        };
        Loss { per_sample: outputs[0], t, mean: outputs[1], along: None }
    }
}

/// `[Batch, D]` → the sums of the samples `[Batch, 1]` and their mean `[1]`.
fn over_batch(graph: &mut Graph, error: Value) -> Vec<Value> {
    let per_sample = graph.sum(error, &[1]);
    vec![per_sample, mean_over_batch(graph, per_sample)]
}
