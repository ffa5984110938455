//! What the training and evaluation steps ask of whatever is minimised.

use std::fmt::Debug;

use super::{Batch, Loss};
use crate::graph::{Graph, Value};

/// Something to minimise: a loss of each sample whose mean over data, noise levels and draws is least where the model's
/// score is that of the noisy data.
pub trait Objective: Debug {
    /// The loss at noise levels and with noise that the batch's clock draws.
    fn loss(&self, graph: &mut Graph, batch: &Batch) -> Loss;

    /// The loss at given times `t` (`[Batch, 1]`) and with given `noise` (`[Batch, D]`); the clock draws whatever else
    /// is random.
    fn loss_at(&self, graph: &mut Graph, batch: &Batch, t: Value, noise: Value) -> Loss;
}
