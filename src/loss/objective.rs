//! What the training and evaluation steps ask of whatever is minimised.

use std::fmt::Debug;

use super::auxiliary::{Auxiliary, Nothing};
use super::{Denoising, Loss};
use crate::graph::{Graph, Value};
use crate::sde::{Model, Sde};

/// What a loss is computed of.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// The forward process.
    pub sde: &'a dyn Sde,
    /// What learns the score.
    pub model: &'a dyn Model,
    /// What is learned beside it.
    pub auxiliary: &'a dyn Auxiliary,
    /// The samples, `[Batch, D]`.
    pub x0: Value,
    /// By which everything random is drawn.
    pub clock: Value,
}

impl<'a> Batch<'a> {
    /// A batch for a model beside which nothing is learned.
    pub fn new(sde: &'a dyn Sde, model: &'a dyn Model, x0: Value, clock: Value) -> Self {
        Self { sde, model, auxiliary: &Nothing, x0, clock }
    }
}

/// Something to minimise: a loss of each sample whose mean over data, noise levels and draws is least where the model's
/// score is that of the noisy data.
pub trait Objective: Debug {
    /// The loss at noise levels and with noise that the batch's clock draws.
    fn loss(&self, graph: &mut Graph, batch: &Batch) -> Loss;

    /// The loss at given times `t` (`[Batch, 1]`) and with given `noise` (`[Batch, D]`); the clock draws whatever else is
    /// random.
    fn loss_at(&self, graph: &mut Graph, batch: &Batch, t: Value, noise: Value) -> Loss;
}

impl Objective for Denoising {
    fn loss(&self, graph: &mut Graph, batch: &Batch) -> Loss {
        self.loss(graph, batch)
    }

    fn loss_at(&self, graph: &mut Graph, batch: &Batch, t: Value, noise: Value) -> Loss {
        let Batch { sde, model, x0, .. } = *batch;
        self.loss_at(graph, sde, model, x0, t, noise)
    }
}
