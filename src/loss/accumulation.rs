//! A step of training in micro-batches, for batches that do not fit at once.
//!
//! [`accumulation_step`] runs once for each micro-batch and adds its share to what is in the store; [`update_step`]
//! then does what is done with a gradient. Together they draw, and up to rounding compute, what one [`training_step`]
//! over the whole batch does.
//!
//! [`training_step`]: super::training_step

use super::step::{bad_time, close_step};
use super::{Batch, Trainee, TrainingStep, training_states};
use crate::graph::{Expr, Graph, Shape, TensorType, Tick, Value};

/// Names of the states that hold what the micro-batches of a step have given so far.
pub mod accumulation_states {
    /// `[arena_elements]`: the gradient.
    pub const GRADIENT: &str = "accumulated.gradient";
    /// `[1]`: the loss.
    pub const LOSS: &str = "accumulated.loss";
    /// `[1]`: the largest time of a sample whose loss is not finite, or −1.
    pub const BAD_TIME: &str = "accumulated.bad_time";
    /// `[1]`: how many micro-batches are done; 0 before the first, when the others say nothing.
    pub const MICRO_BATCHES: &str = "accumulated.parts";
}

/// The sums so far.
struct Sums {
    gradient: Value,
    loss: Value,
    bad_time: Value,
    micro_batches: Value,
}

impl Sums {
    fn of(graph: &mut Graph) -> Self {
        let one = || TensorType::f32(Shape::fixed(&[1]));
        let arena = TensorType::f32(Shape::fixed(&[graph.arena_elements()]));
        Self {
            gradient: graph.state(accumulation_states::GRADIENT, arena),
            loss: graph.state(accumulation_states::LOSS, one()),
            bad_time: graph.state(accumulation_states::BAD_TIME, one()),
            micro_batches: graph.state(accumulation_states::MICRO_BATCHES, one()),
        }
    }
}

/// The graph of one of so many micro-batches: its loss and gradient, a share of 1 / `micro_batches` of which is added
/// to the sums; then the clock moves on by the batch. `build` adds the network's parameters and gives the model, or a
/// [`Trainee`].
pub fn accumulation_step<'m, T: Into<Trainee<'m>>>(
    spec: &TrainingStep,
    micro_batches: usize,
    build: impl FnOnce(&mut Graph) -> T,
) -> Graph {
    let mut graph = Graph::new();
    let Trainee { model, auxiliary } = build(&mut graph).into();
    let clock = graph.clock(training_states::CLOCK);
    let status = graph.state(training_states::STATUS, TensorType::f32(Shape::fixed(&[1])));
    let x0 = spec.micro_batch(&mut graph, clock, micro_batches);
    let batch = Batch { sde: spec.sde, model: model.as_ref(), auxiliary: auxiliary.as_ref(), x0, clock };
    let loss = graph.scoped("loss", |graph| spec.loss.loss(graph, &batch));
    let share = graph.scale(loss.mean, 1.0 / micro_batches as f64);
    let gradients = loss.gradients(&mut graph, share, 1.0 / micro_batches as f64);
    let gradient = graph.pack(&gradients);
    let bad_time = bad_time(&mut graph, &loss);

    let sums = Sums::of(&mut graph);
    let [old, new, done] = [0, 1, 2].map(Expr::input);
    let first = done.less(0.5);
    let added = first.select(&new, &old + &new);
    let later = first.select(&new, old.max(&new));
    for (name, old, new, expr) in [
        (accumulation_states::GRADIENT, sums.gradient, gradient, &added),
        (accumulation_states::LOSS, sums.loss, share, &added),
        (accumulation_states::BAD_TIME, sums.bad_time, bad_time, &later),
    ] {
        let sum = graph.map(&[old, new, sums.micro_batches], expr);
        graph.assign(name, sum);
    }
    let done = graph.map(&[sums.micro_batches], &(Expr::input(0) + 1.0));
    graph.assign(accumulation_states::MICRO_BATCHES, done);
    let ticked = graph.tick_by(Tick::MicroBatch, clock, status);
    graph.assign(training_states::CLOCK, ticked);
    graph
}

/// The graph that ends a step: clip, Adam and EMA with the sums, ring, clock. `build` is as for [`accumulation_step`].
pub fn update_step<'m, T: Into<Trainee<'m>>>(spec: &TrainingStep, build: impl FnOnce(&mut Graph) -> T) -> Graph {
    let mut graph = Graph::new();
    drop(build(&mut graph));
    let clock = graph.clock(training_states::CLOCK);
    let status = graph.state(training_states::STATUS, TensorType::f32(Shape::fixed(&[1])));
    let sums = Sums::of(&mut graph);
    let update =
        graph.scoped("optimizer", |graph| spec.optimizer.update(graph, sums.gradient, sums.loss, status, clock));
    let none = graph.full(0.0, Shape::fixed(&[1]));
    graph.assign(accumulation_states::MICRO_BATCHES, none);
    close_step(&mut graph, spec.ring_rows, Tick::Last, &update, sums.loss, sums.bad_time);
    graph
}
