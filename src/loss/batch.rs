//! Where a batch comes from, and what a loss is computed of.

use super::auxiliary::{Auxiliary, Nothing};
use crate::graph::{DType, Graph, Order, Shape, Storage, TensorType, Value};
use crate::sde::{Model, Sde};

/// A data set in the store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StoredDataset {
    /// Number of samples.
    pub rows: usize,
    /// Coordinates D of a sample.
    pub dims: usize,
    /// How they are stored.
    pub storage: Storage,
}

impl StoredDataset {
    /// The batch that `clock` points at out of the state `name`: `[Batch, D]`.
    pub fn batch(&self, graph: &mut Graph, name: &str, clock: Value, order: Order) -> Value {
        self.micro_batch(graph, name, clock, order, 1)
    }

    /// The same where a step consists of so many micro-batches.
    pub fn micro_batch(
        &self,
        graph: &mut Graph,
        name: &str,
        clock: Value,
        order: Order,
        micro_batches: usize,
    ) -> Value {
        let dtype = match self.storage {
            Storage::F32 => DType::F32,
            Storage::U8 { .. } => DType::U8,
        };
        let data = graph.state(name, TensorType { shape: Shape::fixed(&[self.rows, self.dims]), dtype });
        graph.gather_micro_batch(data, clock, self.storage, order, micro_batches)
    }
}

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
