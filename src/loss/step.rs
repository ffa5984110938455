//! One step of training as a graph: batch, loss, gradient, clip, Adam and EMA, ring, clock.

use super::{
    Batch, Loss, Objective, RING_COLUMNS, Record, StoredDataset, Trainee, dequantised, flip_half, training_states,
};
use crate::graph::{Expr, Graph, Order, Reduction, Shape, TensorType, Tick, Value};
use crate::nn::Optimizer;
use crate::nn::optimizer::Update;
use crate::sde::Sde;

/// What a training step is made of.
#[derive(Clone, Copy, Debug)]
pub struct TrainingStep<'a> {
    /// The forward process.
    pub sde: &'a dyn Sde,
    /// The objective.
    pub loss: &'a dyn Objective,
    /// What is done with the gradient.
    pub optimizer: &'a Optimizer,
    /// The training data.
    pub data: StoredDataset,
    /// Height, width and channels of images half of which are to be mirrored; `None` leaves samples as they are.
    pub flip: Option<[usize; 3]>,
    /// The width of the intervals over which values are spread, anew in each step; `None` leaves them as they are.
    pub dequantise: Option<f64>,
    /// How many steps the ring remembers.
    pub ring_rows: usize,
}

impl TrainingStep<'_> {
    /// The micro-batch that `clock` points at, of so many in a step, augmented: `[Batch, D]`.
    pub(super) fn micro_batch(&self, graph: &mut Graph, clock: Value, micro_batches: usize) -> Value {
        let x0 = self.data.micro_batch(graph, training_states::DATASET, clock, Order::Shuffled, micro_batches);
        let x0 = self.flip.map_or(x0, |image| flip_half(graph, x0, clock, image));
        self.dequantise.map_or(x0, |width| dequantised(graph, x0, clock, width))
    }
}

/// The graph of one step. `build` adds the network's parameters and gives the model, or a [`Trainee`].
///
/// Where the loss or the gradient is not finite, weights, moments, EMA and clock keep their bits, the status becomes 1,
/// and the ring's row of that step says what happened; from then on nothing changes, the ring included, until the host
/// has set the status to 0.
pub fn training_step<'m, T: Into<Trainee<'m>>>(spec: &TrainingStep, build: impl FnOnce(&mut Graph) -> T) -> Graph {
    let mut graph = Graph::new();
    let Trainee { model, auxiliary } = build(&mut graph).into();
    let clock = graph.clock(training_states::CLOCK);
    let status = graph.state(training_states::STATUS, TensorType::f32(Shape::fixed(&[1])));
    let x0 = spec.micro_batch(&mut graph, clock, 1);
    let batch = Batch { sde: spec.sde, model: model.as_ref(), auxiliary: auxiliary.as_ref(), x0, clock };
    let loss = graph.scoped("loss", |graph| spec.loss.loss(graph, &batch));

    let gradients = loss.gradients(&mut graph, loss.mean, 1.0);
    let gradient = graph.pack(&gradients);
    let update = graph.scoped("optimizer", |graph| spec.optimizer.update(graph, gradient, loss.mean, status, clock));

    let bad_time = bad_time(&mut graph, &loss);
    close_step(&mut graph, spec.ring_rows, Tick::Step, &update, loss.mean, bad_time);
    graph
}

/// What ends a step: its record, the clock, the status.
pub(super) fn close_step(graph: &mut Graph, ring_rows: usize, by: Tick, update: &Update, loss: Value, bad_time: Value) {
    let clock = graph.clock(training_states::CLOCK);
    let status = graph.state(training_states::STATUS, TensorType::f32(Shape::fixed(&[1])));
    let ring = graph.state(training_states::RING, TensorType::f32(Shape::fixed(&[ring_rows, RING_COLUMNS])));
    let (gradient_norm, learning_rate) = (update.gradient_norm, update.learning_rate);
    let record = Record { loss, gradient_norm, learning_rate, bad_time };
    // The status before this step, so that the step which sets it still leaves its record.
    let ring = graph.ring_push(ring, clock, status, &record.row());
    let ticked = graph.tick_by(by, clock, update.status);
    graph.assign(training_states::RING, ring);
    graph.assign(training_states::CLOCK, ticked);
    graph.assign(training_states::STATUS, update.status);
}

/// The largest time of a sample whose loss is not finite, or −1: `[1]`.
pub(super) fn bad_time(graph: &mut Graph, loss: &Loss) -> Value {
    let time = Expr::input(0).is_finite().select(-1.0, Expr::input(1));
    let times = graph.map(&[loss.per_sample, loss.t], &time);
    let largest = graph.reduce(Reduction::Max, times, &[0, 1]);
    graph.reshape(largest, Shape::fixed(&[1]))
}
