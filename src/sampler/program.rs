//! Sampling and scoring as graphs that run by themselves.

use super::{AdaptiveSampler, Noise, Row, Sampler, row_width, states};
use crate::graph::{Expr, Graph, Shape, TensorType};
use crate::sde::{Model, NoiseLevel, Quantity, Sde};

/// The graph of one step: moves the state `sampler.x` on by the row of `sampler.table` that `sampler.clock` points at,
/// and ticks the clock. `build` adds the network's parameters, if any, and gives the model. Noise is drawn.
pub fn sampling_step<'m>(
    sampler: &dyn Sampler,
    dims: usize,
    max_rows: usize,
    build: impl FnOnce(&mut Graph) -> Box<dyn Model + 'm>,
) -> Graph {
    sampling_step_with(sampler, dims, max_rows, Noise::Drawn, build)
}

/// [`sampling_step`] with noise from elsewhere.
pub fn sampling_step_with<'m>(
    sampler: &dyn Sampler,
    dims: usize,
    max_rows: usize,
    noise: Noise,
    build: impl FnOnce(&mut Graph) -> Box<dyn Model + 'm>,
) -> Graph {
    let mut graph = Graph::new();
    let model = build(&mut graph);
    let columns = sampler.columns();
    let clock = graph.clock(states::CLOCK);
    let table = graph.state(states::TABLE, TensorType::f32(Shape::fixed(&[max_rows, row_width(columns)])));
    let x = graph.state(states::X, TensorType::f32(Shape::batch(&[dims])));
    let row = Row::new(&mut graph, table, clock, columns, noise);
    let next = graph.scoped("sampler", |graph| sampler.step(graph, model.as_ref(), x, &row));
    let status = graph.state(states::STATUS, TensorType::f32(Shape::fixed(&[1])));
    let ticked = graph.tick(clock, status);
    graph.assign(states::X, next);
    graph.assign(states::CLOCK, ticked);
    graph
}

/// The graph that puts `sampler.x` at the beginning of an adaptive sampler's path. The clock stays.
pub fn adaptive_begin<'m>(
    sampler: &dyn AdaptiveSampler,
    sde: &dyn Sde,
    dims: usize,
    build: impl FnOnce(&mut Graph) -> Box<dyn Model + 'm>,
) -> Graph {
    let mut graph = Graph::new();
    let model = build(&mut graph);
    let clock = graph.clock(states::CLOCK);
    let x = graph.state(states::X, TensorType::f32(Shape::batch(&[dims])));
    graph.scoped("sampler", |graph| sampler.begin(graph, sde, model.as_ref(), x, clock));
    graph
}

/// The graph of one try of a step by every sample that is still on its way. The clock stays.
pub fn adaptive_step<'m>(
    sampler: &dyn AdaptiveSampler,
    sde: &dyn Sde,
    dims: usize,
    build: impl FnOnce(&mut Graph) -> Box<dyn Model + 'm>,
) -> Graph {
    let mut graph = Graph::new();
    let model = build(&mut graph);
    let clock = graph.clock(states::CLOCK);
    graph.scoped("sampler", |graph| sampler.advance(graph, sde, model.as_ref(), dims, clock));
    graph
}

/// The graph that replaces `sampler.x`, which is at t_min, by its denoised mean.
pub fn denoised_end<'m>(sde: &dyn Sde, dims: usize, build: impl FnOnce(&mut Graph) -> Box<dyn Model + 'm>) -> Graph {
    let mut graph = Graph::new();
    let model = build(&mut graph);
    let x = graph.state(states::X, TensorType::f32(Shape::batch(&[dims])));
    let level = NoiseLevel::constant(&mut graph, &sde.at(sde.t_min()));
    let denoised = model.predict(&mut graph, x, &level, Quantity::Denoised);
    graph.assign(states::X, denoised);
    graph
}

/// The graph of the prior draw: `sampler.x` becomes prior_sigma times standard normal numbers of the clock's seed, step
/// and samples, drawn as `sampler.prior`. The clock stays.
pub fn prior_draw(sde: &dyn Sde, dims: usize) -> Graph {
    let mut graph = Graph::new();
    let clock = graph.clock(states::CLOCK);
    let z = graph.normal(clock, "sampler.prior", Shape::batch(&[dims]));
    let x = graph.scale(z, sde.prior_sigma());
    graph.assign(states::X, x);
    graph
}

/// The graph of `tweedie score`: from the inputs `x` (`[Batch, D]`) and `level` (`[3, 1]`: [`Marginal::level`]) the
/// outputs `score`, `epsilon`, `velocity` and `denoised`, each `[Batch, D]`.
///
/// [`Marginal::level`]: crate::sde::Marginal::level
pub fn score_graph<'m>(dims: usize, build: impl FnOnce(&mut Graph) -> Box<dyn Model + 'm>) -> Graph {
    let mut graph = Graph::new();
    let model = build(&mut graph);
    let x = graph.input("x", Shape::batch(&[dims]));
    let level = graph.input("level", Shape::fixed(&[3, 1]));
    let [alpha, sigma, log_snr] = [0, 1, 2].map(|i| graph.slice(level, 0, i, 1));
    let level = NoiseLevel { alpha, sigma, log_snr };
    for quantity in Quantity::ALL {
        let value = model.predict(&mut graph, x, &level, quantity);
        // An output of its own, even where two quantities are one value.
        let value = graph.map(&[value], &Expr::input(0));
        graph.output(quantity.name(), value);
    }
    graph
}
