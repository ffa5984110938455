//! The loss on data that training does not see, at fixed noise levels.

use super::{Batch, Objective, StoredDataset, dequantised};
use crate::graph::{Expr, Graph, Order, Shape, Storage, TensorType, Tick};
use crate::sde::{Model, Sde};

/// What an evaluation is made of.
#[derive(Clone, Copy)]
pub struct EvaluationSpec<'a> {
    /// The forward process.
    pub sde: &'a dyn Sde,
    /// The objective.
    pub loss: &'a dyn Objective,
    /// The held-out data.
    pub data: StoredDataset,
    /// The exact score of the noised data, where it is known: its loss is the least that there is.
    pub exact: Option<&'a dyn Model>,
    /// The width of the intervals over which values are spread, as in [`TrainingStep`](super::TrainingStep); `None`
    /// leaves them as they are.
    pub dequantise: Option<f64>,
    /// Number of times T in the state `evaluation.times`, `[T, 1]`.
    pub times: usize,
}

/// Names of the states of an evaluation.
pub mod evaluation_states {
    /// u32 `[4]`. Set to step 0, first sample 0 and one seed before each evaluation, every one takes the same samples,
    /// times and noise.
    pub const CLOCK: &str = "evaluation.clock";
    /// `[rows, D]`.
    pub const DATASET: &str = "evaluation.dataset";
    /// `[T, 1]`: the times.
    pub const TIMES: &str = "evaluation.times";
    /// `[1]`: 0, so that the clock ticks.
    pub const STATUS: &str = "evaluation.status";
}

/// The graph of one batch: sample i, counted over all batches, is row i mod rows of the data, at time i mod T.
/// What is drawn for it is addressed by i as well, so that batches of any size give the same. Outputs
/// `per_sample` and `t` of shape `[Batch, 1]`, and their mean `loss`, `[1]`; where the exact score is known also
/// `irreducible`, `[Batch, 1]`, its loss on the same samples; then the clock's first sample moves on by the batch. The
/// parameters may be bound to the raw weights or to their average.
pub fn evaluation_step<'m>(spec: &EvaluationSpec, build: impl FnOnce(&mut Graph) -> Box<dyn Model + 'm>) -> Graph {
    let mut graph = Graph::new();
    let model = build(&mut graph);
    let clock = graph.clock(evaluation_states::CLOCK);
    let status = graph.state(evaluation_states::STATUS, TensorType::f32(Shape::fixed(&[1])));
    let x0 = spec.data.batch(&mut graph, evaluation_states::DATASET, clock, Order::Sequential);
    let x0 = spec.dequantise.map_or(x0, |width| dequantised(&mut graph, x0, clock, width));
    let times = StoredDataset { rows: spec.times, dims: 1, storage: Storage::F32 };
    let t = times.batch(&mut graph, evaluation_states::TIMES, clock, Order::Sequential);
    let noise = graph.normal(clock, "evaluation.noise", Shape::batch(&[spec.data.dims]));
    let loss = spec.loss.loss_at(&mut graph, &Batch::new(spec.sde, model.as_ref(), x0, clock), t, noise);
    graph.output("per_sample", loss.per_sample);
    graph.output("t", loss.t);
    graph.output("loss", loss.mean);
    if let Some(exact) = spec.exact {
        let least = spec.loss.loss_at(&mut graph, &Batch::new(spec.sde, exact, x0, clock), t, noise);
        // An output of its own, even where the model is the exact one.
        let least = graph.map(&[least.per_sample], &Expr::input(0));
        graph.output("irreducible", least);
    }
    // The step stays: it is part of a draw's address, and says how many batches there were.
    let ticked = graph.tick_by(Tick::MicroBatch, clock, status);
    graph.assign(evaluation_states::CLOCK, ticked);
    graph
}
