//! What the training and evaluation steps ask of whatever is minimised.

use std::fmt::Debug;

use super::{Denoising, Loss};
use crate::graph::{Graph, Value};
use crate::sde::{Model, Sde};

/// Something to minimise: a loss of each sample whose mean over data, noise levels and draws is least where the model's
/// score is that of the noisy data.
pub trait Objective: Debug {
    /// The loss of `x0` (`[Batch, D]`) at noise levels and with noise that `clock` draws.
    fn loss(&self, graph: &mut Graph, sde: &dyn Sde, model: &dyn Model, x0: Value, clock: Value) -> Loss;

    /// The loss of `x0` (`[Batch, D]`) at given times (`[Batch, 1]`) and with given noise (`[Batch, D]`); `clock` draws
    /// whatever else is random.
    #[allow(clippy::too_many_arguments)] // The same as `loss`, and what that one draws.
    fn loss_at(
        &self,
        graph: &mut Graph,
        sde: &dyn Sde,
        model: &dyn Model,
        x0: Value,
        t: Value,
        noise: Value,
        clock: Value,
    ) -> Loss;
}

impl Objective for Denoising {
    fn loss(&self, graph: &mut Graph, sde: &dyn Sde, model: &dyn Model, x0: Value, clock: Value) -> Loss {
        self.loss(graph, sde, model, x0, clock)
    }

    fn loss_at(
        &self,
        graph: &mut Graph,
        sde: &dyn Sde,
        model: &dyn Model,
        x0: Value,
        t: Value,
        noise: Value,
        _: Value,
    ) -> Loss {
        self.loss_at(graph, sde, model, x0, t, noise)
    }
}
