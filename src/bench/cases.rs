//! What is measured, as graphs.

use crate::graph::{Expr, Graph, Layout, Order, Shape, Storage, TensorType, Value};
use crate::loss::{Denoising, RING_COLUMNS, StoredDataset, TrainingStep, training_states, training_step};
use crate::nn::optimizer::states::{EMA, PARAMS};
use crate::nn::{self, Conditioning, Linear, Mlp, MlpShape, Optimizer};
use crate::sampler::{self, EulerMaruyama, Grid, Sampler, flatten, sampling_step};
use crate::sde::{Model, Network, Parameterisation, Sde, Vp};

/// A graph and what it reads.
pub struct Case {
    pub name: &'static str,
    pub shape: String,
    pub graph: Graph,
    pub batch: u32,
    pub states: Vec<(&'static str, Content)>,
    pub inputs: Vec<(&'static str, Vec<f32>)>,
}

/// The content of a state.
pub enum Content {
    Floats(Vec<f32>),
    Words(Vec<u32>),
}

/// The layouts of products.
pub const LAYOUTS: [Layout; 3] = [Layout::Nn, Layout::Nt, Layout::Tn];

/// Kernels beside products.
pub const KERNELS: [fn() -> Case; 6] = [sum_rows, sum_columns, silu_chain, normals, gather, adam];

/// Whole steps.
pub const STEPS: [fn() -> Case; 3] = [train_small, train_large, sample_small];

/// Elements of large pointwise cases.
const MILLION: usize = 1 << 20;
/// Samples in the small step's batch.
const BATCH: u32 = 512;

/// `count` numbers between −1 and 1.
pub fn numbers(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(next).collect()
}

fn words() -> (&'static str, Content) {
    (training_states::CLOCK, Content::Words(vec![0, 0, 1, 2]))
}

/// A function of each of `elements` numbers.
fn pointwise(name: &'static str, elements: usize, expr: &Expr) -> Case {
    let mut graph = Graph::new();
    let x = graph.input("x", Shape::fixed(&[elements]));
    let y = graph.map(&[x], expr);
    graph.output("y", y);
    let inputs = vec![("x", numbers(elements))];
    Case { name, shape: format!("{elements}"), graph, batch: 1, states: Vec::new(), inputs }
}

/// 64 MiB read and as much written: past every cache but the largest.
pub fn copy() -> Case {
    pointwise("copy, scaled", 16 * MILLION, &(Expr::input(0) * 1.5))
}

/// 64 multiplications and additions of each number, one after the other.
pub fn multiply_add() -> Case {
    let expr = (0..64).fold(Expr::input(0), |x, _| x * 0.75 + 0.5);
    pointwise("64 multiply-adds", MILLION, &expr)
}

/// The result is `rows` by `columns`.
pub fn product(layout: Layout, rows: usize, depth: usize, columns: usize) -> Case {
    let (name, a_shape, b_shape) = match layout {
        Layout::Nn => ("product nn", [rows, depth], [depth, columns]),
        Layout::Nt => ("product nt", [rows, depth], [columns, depth]),
        Layout::Tn => ("product tn", [depth, rows], [depth, columns]),
    };
    let mut graph = Graph::new();
    let a = graph.input("a", Shape::fixed(&a_shape));
    let b = graph.input("b", Shape::fixed(&b_shape));
    let c = graph.matmul(layout, a, b);
    graph.output("c", c);
    let inputs = vec![("a", numbers(rows * depth)), ("b", numbers(depth * columns))];
    Case { name, shape: format!("{rows} x {depth} x {columns}"), graph, batch: 1, states: Vec::new(), inputs }
}

fn sum(name: &'static str, axis: usize) -> Case {
    let mut graph = Graph::new();
    let x = graph.input("x", Shape::fixed(&[4096, 256]));
    let y = graph.sum(x, &[axis]);
    graph.output("y", y);
    let inputs = vec![("x", numbers(4096 * 256))];
    Case { name, shape: "4096 x 256".to_owned(), graph, batch: 1, states: Vec::new(), inputs }
}

fn sum_rows() -> Case {
    sum("sum of each row", 1)
}

fn sum_columns() -> Case {
    sum("sum of each column", 0)
}

fn silu_chain() -> Case {
    pointwise("silu(1.5 silu(x) + 0.5)", MILLION, &(Expr::input(0).silu() * 1.5 + 0.5).silu())
}

fn normals() -> Case {
    let mut graph = Graph::new();
    let clock = graph.clock(training_states::CLOCK);
    let z = graph.normal(clock, "noise", Shape::fixed(&[MILLION]));
    graph.output("z", z);
    let shape = format!("{MILLION}");
    Case { name: "normal numbers", shape, graph, batch: 1, states: vec![words()], inputs: Vec::new() }
}

fn gather() -> Case {
    let (rows, dims, batch) = (4096, 256, 1024);
    let mut graph = Graph::new();
    let clock = graph.clock(training_states::CLOCK);
    let data = graph.state(training_states::DATASET, TensorType::f32(Shape::fixed(&[rows, dims])));
    let x = graph.gather(data, clock, Storage::F32, Order::Shuffled);
    graph.output("x", x);
    let states = vec![words(), (training_states::DATASET, Content::Floats(numbers(rows * dims)))];
    let shape = format!("{batch} of {rows} x {dims}");
    Case { name: "gather, shuffled", shape, graph, batch, states, inputs: Vec::new() }
}

fn adam() -> Case {
    let mut graph = Graph::new();
    graph.parameter("weight", &[MILLION], crate::graph::Initial::Zeros);
    let gradient = graph.input("gradient", Shape::fixed(&[graph.arena_elements()]));
    let loss = graph.input("loss", Shape::fixed(&[1]));
    let clock = graph.clock(training_states::CLOCK);
    let status = graph.state(training_states::STATUS, TensorType::f32(Shape::fixed(&[1])));
    let update = Optimizer::default().update(&mut graph, gradient, loss, status, clock);
    let ticked = graph.tick(clock, update.status);
    graph.assign(training_states::CLOCK, ticked);
    let inputs = vec![("gradient", numbers(MILLION)), ("loss", vec![1.0])];
    let states = vec![words(), (PARAMS, Content::Floats(vec![0.0; MILLION]))];
    Case { name: "clip, Adam, EMA", shape: format!("{MILLION}"), graph, batch: 1, states, inputs }
}

/// x and the noise level through layers of these sizes, SiLU between them.
fn plain(graph: &mut Graph, sizes: &[usize]) -> impl Fn(&mut Graph, Value, Value) -> Value + use<> {
    let layers: Vec<Linear> = sizes
        .windows(2)
        .enumerate()
        .map(|(i, ends)| Linear::new(graph, &format!("layer{i}"), ends[0], ends[1]))
        .collect();
    move |graph, x, level| {
        let level = graph.map_to(&[level], &Expr::input(0), &Shape::batch(&[1]));
        let mut hidden = graph.concat(&[x, level], 1);
        for (i, layer) in layers.iter().enumerate() {
            if i > 0 {
                hidden = graph.map(&[hidden], &Expr::input(0).silu());
            }
            hidden = layer.forward(graph, hidden);
        }
        hidden
    }
}

fn small_model<'a>(graph: &mut Graph, sde: &'a dyn Sde) -> Box<dyn Model + 'a> {
    let network = plain(graph, &[3, 128, 128, 128, 2]);
    Box::new(Network { sde, parameterisation: Parameterisation::Epsilon, sigma_data: 1.0, network })
}

fn large_model<'a>(graph: &mut Graph, sde: &'a dyn Sde) -> Box<dyn Model + 'a> {
    let mlp = Mlp::new(graph, MlpShape { dims: 64, width: 256, depth: 4, embedding: 64, classes: 0 });
    let network = move |graph: &mut Graph, x, level| mlp.forward(graph, x, level, Conditioning::default());
    Box::new(Network { sde, parameterisation: Parameterisation::Preconditioned, sigma_data: 0.5, network })
}

/// One step of training a network of `dims` coordinates; `build` adds its parameters.
pub fn train(
    network: &str,
    dims: usize,
    batch: u32,
    build: impl for<'a> Fn(&mut Graph, &'a dyn Sde) -> Box<dyn Model + 'a>,
) -> Case {
    let (rows, ring_rows) = ((MILLION / dims).min(4096), 512);
    let sde = Vp::default();
    let spec = TrainingStep {
        sde: &sde,
        loss: &Denoising::default(),
        optimizer: &Optimizer::default(),
        data: StoredDataset { rows, dims, storage: Storage::F32 },
        flip: None,
        dequantise: None,
        ring_rows,
    };
    let graph = training_step(&spec, |graph| build(graph, &sde));
    let states = vec![
        words(),
        (training_states::DATASET, Content::Floats(numbers(rows * dims))),
        (training_states::RING, Content::Floats(vec![0.0; ring_rows * RING_COLUMNS])),
        (PARAMS, Content::Floats(nn::initial_parameters(&graph, 0))),
        (EMA, Content::Floats(nn::initial_parameters(&graph, 0))),
    ];
    let shape = format!("{network}, batch {batch}");
    Case { name: "training step", shape, graph, batch, states, inputs: Vec::new() }
}

/// The step that `benches/peers` measures too.
pub fn train_small() -> Case {
    train("3-128-128-128-2", 2, BATCH, small_model)
}

/// The step of `configs/digits.toml`.
pub fn train_large() -> Case {
    train("digits", 64, 128, large_model)
}

/// One step of sampling with a network of `dims` coordinates.
pub fn sample(
    network: &str,
    dims: usize,
    batch: u32,
    build: impl for<'a> Fn(&mut Graph, &'a dyn Sde) -> Box<dyn Model + 'a>,
) -> Case {
    let sde = Vp::default();
    // More than will be run: past the table the last row would be repeated.
    let steps = 1 << 16;
    let sampler = EulerMaruyama::default();
    let graph = sampling_step(&sampler, dims, steps, |graph| build(graph, &sde));
    let table = sampler.coefficients(&sde, &Grid::linear(steps));
    let states = vec![
        (sampler::states::CLOCK, Content::Words(vec![0, 0, 1, 2])),
        (sampler::states::TABLE, Content::Floats(flatten(sampler.columns(), &table, &sde, steps))),
        (sampler::states::X, Content::Floats(numbers(dims * batch as usize))),
        (PARAMS, Content::Floats(nn::initial_parameters(&graph, 0))),
    ];
    let shape = format!("{network}, batch {batch}");
    Case { name: "euler-maruyama step", shape, graph, batch, states, inputs: Vec::new() }
}

fn sample_small() -> Case {
    sample("3-128-128-128-2", 2, BATCH, small_model)
}
