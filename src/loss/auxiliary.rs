//! What training learns beside a model.

use super::scheduled_time::ScheduledTime;
use crate::graph::{Graph, Value};
use crate::sde::Model;

/// What is learned with a model, and is no part of what it predicts.
pub trait Auxiliary {
    /// The logarithm of the loss that is to be expected at times `t` (`[Batch, 1]`), if that is learned: `[Batch, 1]`.
    fn uncertainty(&self, _graph: &mut Graph, _t: Value) -> Option<Value> {
        None
    }

    /// Where a learned schedule takes even times `t` (`[Batch, 1]`). Data `x0` (`[Batch, D]`) and `clock` are for what
    /// its ends are learned by.
    fn scheduled(&self, _graph: &mut Graph, _t: Value, _x0: Value, _clock: Value) -> Option<ScheduledTime> {
        None
    }
}

/// Nothing.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Auxiliary for Nothing {}

/// What a training step trains.
pub struct Trainee<'a> {
    /// The model.
    pub model: Box<dyn Model + 'a>,
    /// What is learned beside it.
    pub auxiliary: Box<dyn Auxiliary + 'a>,
}

impl<'a> From<Box<dyn Model + 'a>> for Trainee<'a> {
    fn from(model: Box<dyn Model + 'a>) -> Self {
        Self { model, auxiliary: Box::new(Nothing) }
    }
}
