//! The objectives of score matching on the GPU against the CPU executor, and through a U-Net.

mod common {
    pub mod both;
    pub mod gpu;
}

use common::both::{Case, numbers};
use tweedie::cpu::{Program, Store};
use tweedie::graph::{Graph, Shape, Value};
use tweedie::loss::{
    Explicit, Implicit, Loss, Noise, Objective, Projection, Projections, ScoreMatching, SlicedFd, SlicedVr,
};
use tweedie::nn::unet::{Family, Features, Told, UNet, UNetShape};
use tweedie::nn::{Mixture, Mlp, MlpShape};
use tweedie::plan::lower::{Driver, Limits, Options, Source, lower};
use tweedie::sde::{Model, Network, Parameterisation, Vp};

const SDE: Vp = Vp { beta_min: 0.1, beta_max: 20.0, t_min: 1e-3 };
const CLOCK: [u32; 4] = [3, 5, 7, 9];

fn projections(law: Projection, count: usize) -> Projections {
    Projections { law, count }
}

/// The loss of data `[Batch, dims]`, drawn by the clock.
fn loss(graph: &mut Graph, model: &dyn Model, dims: usize, objective: &ScoreMatching) -> Loss {
    let x0 = graph.input("x0", Shape::batch(&[dims]));
    let clock = graph.clock("clock");
    objective.loss(graph, &SDE, model, x0, clock)
}

/// The gradient of a scalar in all weights becomes the output `gradient`.
fn differentiate(graph: &mut Graph, scalar: Value) {
    let weights = graph.parameter_values();
    let gradients = graph.gradient(scalar, &weights);
    let gradient = graph.pack(&gradients);
    graph.output("gradient", gradient);
}

#[test]
fn objectives_and_their_gradients_for_a_perceptron() {
    let explicit = ScoreMatching::new(Explicit { density: Mixture { components: 2, dims: 2 } });
    let explicit = ScoreMatching { noise: Noise::None, ..explicit };
    let fd = SlicedFd { projections: projections(Projection::Rademacher, 1), step: 0.1 };
    let objectives = [
        ("implicit", ScoreMatching::new(Implicit)),
        ("sliced-vr", ScoreMatching::new(SlicedVr { projections: projections(Projection::Sphere, 2) })),
        ("sliced-fd", ScoreMatching::new(fd)),
        ("explicit without noise", explicit),
    ];
    let mut graph = Graph::new();
    let mlp = Mlp::new(&mut graph, MlpShape { dims: 2, width: 6, depth: 1, embedding: 4 });
    let network = |graph: &mut Graph, x, level| mlp.forward(graph, x, level);
    let model = Network { sde: &SDE, parameterisation: Parameterisation::Score, sigma_data: 1.0, network };
    let mut sum: Option<Value> = None;
    for (name, objective) in &objectives {
        let loss = loss(&mut graph, &model, 2, objective);
        graph.output(*name, loss.per_sample);
        sum = Some(sum.map_or(loss.mean, |sum| graph.plus(sum, loss.mean)));
    }
    differentiate(&mut graph, sum.unwrap());
    let (weights, means, widths) = ([0.25, 0.75], [-1.0, 0.5, 1.0, 0.0], [0.5, 0.75, 0.25, 0.5]);
    let mut case = Case::new("perceptron", &graph, 7).words("clock", CLOCK.to_vec());
    for (name, values) in Mixture::states(&weights, &means, &widths) {
        case = case.floats(name, values.iter().map(|value| *value as f32).collect());
    }
    case.tolerance = 1e-4;
    case.filled().check_once();
}

#[test]
fn sliced_matching_of_a_unet_lowers_and_has_the_gradient_of_differences() {
    // Second derivatives through convolution, normalisation, attention, resampling and dropout.
    let shape = UNetShape {
        family: Family::Ddpm,
        image: [4, 4, 1],
        channels: 8,
        multipliers: vec![1, 2],
        blocks: 1,
        attention: vec![2],
        heads: 2,
        groups: 4,
        group_eps: 1e-5,
        dropout: 0.25,
        classes: 0,
        augment_dim: 0,
        features: Features::Sinusoidal,
    };
    let mut graph = Graph::new();
    let unet = UNet::new(&mut graph, &shape);
    let clock = graph.clock("clock");
    let told = Told { clock: Some(clock), ..Told::default() };
    let network = move |graph: &mut Graph, x, level| unet.forward(graph, x, level, told);
    let model = Network { sde: &SDE, parameterisation: Parameterisation::Preconditioned, sigma_data: 0.5, network };
    let vr = ScoreMatching::new(SlicedVr { projections: projections(Projection::Rademacher, 2) });
    let mean = loss(&mut graph, &model, 16, &vr).mean;
    graph.output("loss", mean);
    let plain = graph.clone();
    differentiate(&mut graph, mean);
    let options = Options { max_batch: 4, limits: Limits::BASELINE, driver: Driver::Hardware };
    let plan = lower(&[Source { name: "step", graph: &graph, parameters_from: "params" }], &options).unwrap();
    assert!(plan.programs[0].dispatches.len() > 1000, "both derivatives are there");

    let elements = graph.arena_elements();
    let double = |values: Vec<f32>| -> Vec<f64> { values.into_iter().map(f64::from).collect() };
    let (weights, along) = (double(numbers(elements, 5)), double(numbers(elements, 6)));
    let x0 = double(numbers(48, 7));
    let run = |graph: &Graph, step: f64, output: &str| -> Vec<f64> {
        let moved: Vec<f64> = weights.iter().zip(&along).map(|(weight, along)| weight + step * along).collect();
        let mut store = Store::<f64>::new();
        store.upload("params", &moved);
        store.upload_words("clock", &CLOCK);
        let mut program = Program::<f64>::new(graph, "params");
        program.run(&mut store, &[("x0", &x0)], 3).unwrap();
        program.output(output).to_vec()
    };
    let slope: f64 = run(&graph, 0.0, "gradient").iter().zip(&along).map(|(gradient, along)| gradient * along).sum();
    let h = 1e-5;
    let numeric = (run(&plain, h, "loss")[0] - run(&plain, -h, "loss")[0]) / (2.0 * h);
    assert!((slope - numeric).abs() < 1e-6 * (1.0 + numeric.abs()), "{slope} instead of {numeric}");
    assert!(numeric.abs() > 1e-2, "the gradient is not trivial: {numeric}");
}
