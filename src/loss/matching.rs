//! Score matching by any of its objectives, at every noise level or at the data as they are.

use std::fmt::Debug;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::loss_value::mean_over_batch;
use super::{Batch, Field, Loss, Objective, Reduce, TimeSampling, Weighting};
use crate::graph::{Expr, Graph, Shape, Value};
use crate::sde::{Quantity, Sde, functions_of_time};

/// One way to say how far a score field is from that of the points it is judged at. Up to a constant that no model
/// changes, all have the mean E[½ ‖score − ∇ log p‖²].
pub trait Matching: Debug {
    /// c² times the mathematical value (½ · sum over dimensions) at each point of `field`: `[Batch, 1]`. `clock` draws
    /// what is random.
    fn value(&self, graph: &mut Graph, field: &Field, clock: Value) -> Value;
}

/// At which noise the score is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Noise {
    /// At every noise level of the process: the score of x_t, with which samples can be drawn.
    #[default]
    All,
    /// At none: the score of the data as they are.
    None,
}

/// An objective of a whole training: score matching at noise levels, weighted and reduced.
#[derive(Debug)]
pub struct ScoreMatching {
    /// How.
    pub matching: Box<dyn Matching>,
    /// Where.
    pub noise: Noise,
    /// Weight of a noise level on the error of epsilon: not one whose [`quantity`](Weighting::quantity) is another
    /// where a process loses all signal. Without noise there is one level, whose weight is 1.
    pub weighting: Weighting,
    /// Over coordinates.
    pub reduce: Reduce,
    /// How times are drawn from [t_min, t_max of the process].
    pub time: TimeSampling,
    /// The smallest time.
    pub t_min: f64,
}

impl ScoreMatching {
    /// At every noise level, with the defaults of [`Denoising`](super::Denoising).
    pub fn new(matching: impl Matching + 'static) -> Self {
        Self {
            matching: Box::new(matching),
            noise: Noise::All,
            weighting: Weighting::default(),
            reduce: Reduce::default(),
            time: TimeSampling::default(),
            t_min: 1e-5,
        }
    }

    /// The time that a network is given where there is no noise.
    pub fn time_without_noise(sde: &dyn Sde) -> f64 {
        sde.t_min()
    }
}

impl ScoreMatching {
    /// `value`, which has the ½ in it, times `weight` (an expression of time) at each sample.
    fn weighted(&self, graph: &mut Graph, value: Value, dims: usize, t: Value, weight: &Expr) -> Loss {
        let factor = 2.0 * self.reduce.factor(dims);
        let per_sample = match weight.as_constant() {
            Some(weight) => graph.scale(value, weight * factor),
            None => {
                let [weight] = functions_of_time(graph, t, [weight * factor]);
                graph.times(value, weight)
            }
        };
        Loss { per_sample, t, mean: mean_over_batch(graph, per_sample), along: None }
    }

    /// At the data themselves.
    fn without_noise(&self, graph: &mut Graph, batch: &Batch) -> Loss {
        let Batch { sde, model, x0, clock, .. } = *batch;
        let time = Self::time_without_noise(sde);
        let field = Field::without_noise(graph, model, x0, &sde.at(time));
        let t = graph.full(time, Shape::batch(&[1]));
        let value = self.matching.value(graph, &field, clock);
        self.weighted(graph, value, field.dims(graph), t, &Expr::constant(1.0))
    }
}

impl Objective for ScoreMatching {
    fn loss(&self, graph: &mut Graph, batch: &Batch) -> Loss {
        if self.noise == Noise::None {
            return self.without_noise(graph, batch);
        }
        let Batch { sde, model, x0, clock, .. } = *batch;
        let drawn = self.time.draw(graph, sde, self.t_min, clock).scheduled(graph, batch, self.reduce);
        let shape = graph.shape(x0).clone();
        let noise = graph.normal(clock, "train.noise", shape);
        let field = Field::noisy(graph, sde, model, x0, drawn.t, noise);
        let value = self.matching.value(graph, &field, clock);
        let (_, weight) = self.time.weight(self.weighting, Quantity::Epsilon, sde, self.t_min);
        let loss = self.weighted(graph, value, field.dims(graph), drawn.t, &weight);
        self.time.settle(graph, batch, self.t_min, &drawn, loss)
    }

    fn loss_at(&self, graph: &mut Graph, batch: &Batch, t: Value, noise: Value) -> Loss {
        if self.noise == Noise::None {
            return self.without_noise(graph, batch);
        }
        let Batch { sde, model, x0, clock, .. } = *batch;
        let field = Field::noisy(graph, sde, model, x0, t, noise);
        let value = self.matching.value(graph, &field, clock);
        let weight = self.weighting.of_epsilon(sde, &Expr::input(0));
        self.weighted(graph, value, field.dims(graph), t, &weight)
    }
}
