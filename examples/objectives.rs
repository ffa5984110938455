//! The objectives of score matching on the same data: what a step costs, how far the score is from the exact one, and how
//! noisy the gradient is. `docs/objectives.md` has what it prints, `assets/pictures/objectives.png` what it draws:
//!
//! ```sh
//! cargo run --release --example objectives
//! ```

use std::path::Path;
use std::time::Instant;

use tweedie::cpu::{Program, Store};
use tweedie::data::{Mixture as Density, Width};
use tweedie::graph::{Graph, Storage};
use tweedie::loss::{
    Batch, Denoising, EvaluationSpec, Explicit, Implicit, Objective, Projections, Reduce, ScoreMatching, Sliced,
    SlicedFd, SlicedVr, StoredDataset, TrainingStep, evaluation_states, evaluation_step, training_states,
    training_step,
};
use tweedie::nn::{Conditioning, ExactMixture, LearningRate, Mlp, MlpShape, Optimizer, initial_parameters};
use tweedie::picture::{Curves, write_curves};
use tweedie::sde::{Model, Network, Parameterisation, Sde, Vp};

/// Rows of a data set.
const ROWS: usize = 8192;
/// Samples of a step.
const BATCH: usize = 64;
/// Dimensions at which a step is timed.
const DIMENSIONS: [usize; 6] = [2, 4, 8, 16, 32, 64];
/// Rounds of timing.
const ROUNDS: usize = 60;
/// Dimensions in which networks are trained.
const TRAINED: usize = 8;
/// Steps of training, and between two points of a curve.
const STEPS: usize = 2000;
const EVERY: usize = 100;
/// Batches whose gradients are compared.
const DRAWS: usize = 400;
/// Noise levels of an evaluation.
const LEVELS: [f32; 8] = [0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8];

const SDE: Vp = Vp { beta_min: 0.1, beta_max: 20.0, zero_terminal_snr: false, log_snr_shift: 0.0, t_min: 1e-3 };

/// Two modes.
fn density(dims: usize) -> Density {
    let centre = |sign: f64| (0..dims).map(|axis| if axis % 2 == 0 { 0.8 * sign } else { -0.4 * sign }).collect();
    Density::new(&[0.6, 0.4], &[centre(1.0), centre(-1.0)], &[Width::Isotropic(0.6), Width::Isotropic(0.4)])
        .expect("a mixture")
}

fn mixture(dims: usize) -> ExactMixture {
    ExactMixture { components: 2, dims }
}

fn objectives(dims: usize) -> Vec<(&'static str, Box<dyn Objective>)> {
    let projections = Projections::default();
    vec![
        ("denoising", Box::new(Denoising::default())),
        ("explicit", Box::new(ScoreMatching::new(Explicit { density: mixture(dims) }))),
        ("implicit", Box::new(ScoreMatching::new(Implicit))),
        ("sliced", Box::new(ScoreMatching::new(Sliced { projections }))),
        ("sliced-vr", Box::new(ScoreMatching::new(SlicedVr { projections }))),
        ("sliced-fd", Box::new(ScoreMatching::new(SlicedFd { projections, step: 0.05 }))),
    ]
}

fn network(graph: &mut Graph, dims: usize) -> Box<dyn Model> {
    let mlp = Mlp::new(graph, MlpShape { dims, width: 64, depth: 2, embedding: 16, classes: 0 });
    let network = move |graph: &mut Graph, x, level| mlp.forward(graph, x, level, Conditioning::default());
    Box::new(Network { sde: &SDE, parameterisation: Parameterisation::Preconditioned, sigma_data: 1.0, network })
}

fn source(dims: usize) -> StoredDataset {
    StoredDataset { rows: ROWS, dims, storage: Storage::F32 }
}

/// A store with first weights and data.
fn store(graph: &Graph, dims: usize) -> Store<f32> {
    let mut store = Store::new();
    let density = density(dims);
    for (name, values) in ExactMixture::states(density.weights(), density.means(), density.widths()) {
        store.upload(name, &values.iter().map(|value| *value as f32).collect::<Vec<f32>>());
    }
    let first = initial_parameters(graph, 1);
    store.upload("params", &first);
    store.upload("ema", &first);
    store.upload(training_states::DATASET, &density.sample(ROWS, 1).0);
    store.upload(evaluation_states::DATASET, &density.sample(ROWS, 2).0);
    store.upload(evaluation_states::TIMES, &LEVELS);
    store.upload_words(training_states::CLOCK, &[0, 0, 1, 0]);
    store
}

/// A step of training by an objective, with its store.
fn training(objective: &dyn Objective, dims: usize) -> (Program<f32>, Store<f32>) {
    let optimizer = Optimizer {
        learning_rate: LearningRate { peak: 2e-3, warmup_steps: 0, cosine_steps: Some(STEPS as u64) },
        ema_decay: 0.99,
        ..Optimizer::default()
    };
    let data = source(dims);
    let spec = TrainingStep {
        sde: &SDE as &dyn Sde,
        loss: objective,
        optimizer: &optimizer,
        data,
        flip: None,
        dequantise: None,
        ring_rows: 8,
    };
    let graph = training_step(&spec, |graph| network(graph, dims));
    (Program::new(&graph, "params"), store(&graph, dims))
}

/// Milliseconds of a step of each objective: the least of many short rounds in turn, since other work on the machine comes
/// and goes.
fn costs(dims: usize) -> Vec<f64> {
    let mut steps: Vec<_> = objectives(dims).iter().map(|(_, objective)| training(objective.as_ref(), dims)).collect();
    let mut least = vec![f64::MAX; steps.len()];
    for _ in 0..ROUNDS {
        for ((program, store), least) in steps.iter_mut().zip(&mut least) {
            let started = Instant::now();
            (0..5).for_each(|_| program.run(store, &[], BATCH).expect("a step"));
            *least = least.min(1e3 * started.elapsed().as_secs_f64() / 5.0);
        }
    }
    least
}

/// The explicit loss (½, sum over dimensions, times sigma²) of the averaged weights, over the levels.
struct Judge(Program<f32>);

impl Judge {
    fn new(dims: usize) -> Self {
        let judge = ScoreMatching { reduce: Reduce::Sum, ..ScoreMatching::new(Explicit { density: mixture(dims) }) };
        let spec = EvaluationSpec {
            sde: &SDE,
            loss: &judge,
            data: source(dims),
            exact: None,
            dequantise: None,
            times: LEVELS.len(),
        };
        Self(Program::new(&evaluation_step(&spec, |graph| network(graph, dims)), "ema"))
    }

    fn loss(&mut self, store: &mut Store<f32>) -> f64 {
        store.upload_words(evaluation_states::CLOCK, &[0, 0, 1, 1]);
        self.0.run(store, &[], ROWS).expect("an evaluation");
        f64::from(self.0.output("loss")[0])
    }
}

/// tr Cov of the gradient of one batch relative to the square of its mean, at the weights in the store.
fn spread(objective: &dyn Objective, dims: usize, store: &mut Store<f32>) -> [f64; 2] {
    let mut graph = Graph::new();
    let model = network(&mut graph, dims);
    let clock = graph.clock(training_states::CLOCK);
    let x0 = source(dims).batch(&mut graph, training_states::DATASET, clock, tweedie::graph::Order::Shuffled);
    let loss = objective.loss(&mut graph, &Batch::new(&SDE, model.as_ref(), x0, clock));
    let weights = graph.parameter_values();
    let gradients = graph.gradient(loss.mean, &weights);
    let gradient = graph.pack(&gradients);
    graph.output("gradient", gradient);
    graph.output("per_sample", loss.per_sample);
    let mut program = Program::<f32>::new(&graph, "params");
    let (mut sum, mut squares) = (vec![0.0; graph.arena_elements()], 0.0);
    let mut losses: Vec<f64> = Vec::new();
    for step in 0..DRAWS {
        store.upload_words(training_states::CLOCK, &[step as u32, 0, 9, 9]);
        program.run(store, &[], BATCH).expect("a gradient");
        for (sum, x) in sum.iter_mut().zip(program.output("gradient")) {
            *sum += f64::from(*x);
            squares += f64::from(*x).powi(2);
        }
        losses.extend(program.output("per_sample").iter().map(|loss| f64::from(*loss)));
    }
    let n = DRAWS as f64;
    let of_mean: f64 = sum.iter().map(|sum| (sum / n).powi(2)).sum();
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    let variance = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / losses.len() as f64;
    [squares / n - of_mean, variance]
}

fn main() {
    let mut costs_of: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    println!(
        "Milliseconds of a step, by dimensions:\n\n| objective | {} |",
        DIMENSIONS.map(|d| d.to_string()).join(" | ")
    );
    println!("|---|{}", "---|".repeat(DIMENSIONS.len()));
    let by_dimensions = DIMENSIONS.map(costs);
    for (index, (name, _)) in objectives(2).into_iter().enumerate() {
        let points: Vec<(f64, f64)> =
            DIMENSIONS.iter().zip(&by_dimensions).map(|(dims, costs)| (*dims as f64, costs[index])).collect();
        let cells: Vec<String> = points.iter().map(|(_, cost)| format!("{cost:.2}")).collect();
        println!("| `{name}` | {} |", cells.join(" | "));
        costs_of.push((name.to_string(), points));
    }

    println!("\n{TRAINED} dimensions, {STEPS} steps of {BATCH}:\n");
    println!(
        "| objective | explicit loss after | variance of a sample's loss | of a batch's gradient |\n|---|---|---|---|"
    );
    let mut judge = Judge::new(TRAINED);
    let mut errors: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    // The weights at which gradients are compared: half-way, by the exact target.
    let mut reference: Option<Store<f32>> = None;
    let mut rows: Vec<(&str, f64)> = Vec::new();
    for (name, objective) in objectives(TRAINED) {
        let (mut program, mut store) = training(objective.as_ref(), TRAINED);
        let mut points = Vec::new();
        for step in 1..=STEPS {
            program.run(&mut store, &[], BATCH).expect("a step");
            if step % EVERY == 0 {
                points.push((step as f64, judge.loss(&mut store)));
            }
            if name == "explicit" && step == STEPS / 2 {
                let mut half = self::store(&graph_of(TRAINED), TRAINED);
                half.upload("params", store.get("params").expect("weights"));
                reference = Some(half);
            }
        }
        rows.push((name, points.last().map_or(f64::NAN, |point| point.1)));
        errors.push((name.to_string(), points));
    }
    let mut reference = reference.expect("explicit is among the objectives");
    for ((name, objective), (_, error)) in objectives(TRAINED).into_iter().zip(rows) {
        let [gradient, loss] = spread(objective.as_ref(), TRAINED, &mut reference);
        println!("| `{name}` | {error:.4} | {loss:.3} | {gradient:.4} |");
    }

    let charts = [
        Curves { title: "a training step", axes: ["dimensions", "milliseconds"], log: [true, true], curves: &costs_of },
        Curves {
            title: "distance to the exact score",
            axes: ["step", "explicit loss"],
            log: [false, true],
            curves: &errors,
        },
    ];
    write_curves(Path::new("assets/pictures/objectives.png"), &charts).expect("a picture");
}

/// The network alone, for its first weights.
fn graph_of(dims: usize) -> Graph {
    let mut graph = Graph::new();
    drop(network(&mut graph, dims));
    graph
}
