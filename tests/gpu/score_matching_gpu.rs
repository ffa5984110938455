//! The objectives of score matching on the GPU against the CPU executor, and through a U-Net.

use crate::common::both::{Case, numbers};
use tweedie::cpu::{Program, Store};
use tweedie::data::{Mixture as Density, Width};
use tweedie::graph::{Expr, Graph, Shape, Value};
use tweedie::loss::{
    Batch, Denoising, Explicit, Field, Implicit, Loss, Matching, Noise, Objective, Projection, Projections, Reduce,
    ScoreMatching, Sliced, SlicedFd, SlicedVr,
};
use tweedie::lower::{LowerOptions, ProgramSource, lower};
use tweedie::nn::unet::{Family, Features, UNet, UNetShape};
use tweedie::nn::{Conditioning, ExactMixture, Mlp, MlpShape};
use tweedie::plan::{Driver, Limits};
use tweedie::sde::{Model, Network, Parameterisation, Sde, Vp};

const SDE: Vp = Vp { beta_min: 0.1, beta_max: 20.0, zero_terminal_snr: false, log_snr_shift: 0.0, t_min: 1e-3 };
const CLOCK: [u32; 4] = [3, 5, 7, 9];

fn projections(law: Projection, count: usize) -> Projections {
    Projections { law, count }
}

/// The loss of data `[Batch, dims]`, drawn by the clock.
fn loss(graph: &mut Graph, model: &dyn Model, dims: usize, objective: &ScoreMatching) -> Loss {
    let x0 = graph.input("x0", Shape::batch(&[dims]));
    let clock = graph.clock("clock");
    objective.loss(graph, &Batch::new(&SDE, model, x0, clock))
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
    let explicit = ScoreMatching::new(Explicit { density: ExactMixture { components: 2, dims: 2 } });
    let explicit = ScoreMatching { noise: Noise::None, ..explicit };
    let fd = SlicedFd { projections: projections(Projection::Rademacher, 1), step: 0.1 };
    let objectives = [
        ("implicit", ScoreMatching::new(Implicit)),
        ("sliced-vr", ScoreMatching::new(SlicedVr { projections: projections(Projection::Sphere, 2) })),
        ("sliced-fd", ScoreMatching::new(fd)),
        ("explicit without noise", explicit),
    ];
    let mut graph = Graph::new();
    let mlp = Mlp::new(&mut graph, MlpShape { dims: 2, width: 6, depth: 1, embedding: 4, classes: 0 });
    let network = |graph: &mut Graph, x, level| mlp.forward(graph, x, level, Conditioning::default());
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
    for (name, values) in ExactMixture::states(&weights, &means, &widths) {
        case = case.floats(name, values.iter().map(|value| *value as f32).collect());
    }
    case.tolerance = 1e-4;
    case.filled().check_once();
}

/// Data, noise, and what their cell weighs.
type Point = ([f64; 2], [f64; 2], f64);

#[test]
fn the_identities_between_objectives_hold_on_the_gpu() {
    // Two modes, noise at one level, and a network of any weights, by sums over a lattice of data and noise, which are
    // integrals to eight digits. All are sigma² times the mathematical value.
    let t = 0.2;
    let (alpha, sigma) = (SDE.at(t).alpha, SDE.at(t).sigma);
    let width = 0.6;
    let density = Density::new(
        &[0.6, 0.4],
        &[vec![-0.9, 0.5], vec![0.9, -0.3]],
        &[Width::Isotropic(width), Width::Isotropic(width)],
    )
    .unwrap();
    let axis = |cell: f64| (-7..=7).map(move |i| f64::from(i) * cell);
    let plane = |cell: f64| axis(cell).flat_map(move |x| axis(cell).map(move |y| [x, y]));
    let normal = |x: &[f64]| (-0.5 * (x[0] * x[0] + x[1] * x[1])).exp() / std::f64::consts::TAU;
    let (cell_x0, cell_noise) = (width, 0.75);
    let points: Vec<Point> = plane(cell_x0)
        .flat_map(|x0| plane(cell_noise).map(move |noise| (x0, noise)))
        .map(|(x0, noise)| {
            let cells = (cell_x0 * cell_noise).powi(2);
            (x0, noise, cells * density.log_density(&x0, 1.0, 0.0).exp() * normal(&noise))
        })
        .filter(|(.., weight)| *weight > 1e-11)
        .collect();
    let mean = |values: &[f64]| -> f64 { points.iter().zip(values).map(|((.., weight), value)| weight * value).sum() };
    assert!((mean(&vec![1.0; points.len()]) - 1.0).abs() < 1e-6);

    let mut graph = Graph::new();
    let mlp = Mlp::new(&mut graph, MlpShape { dims: 2, width: 6, depth: 1, embedding: 4, classes: 0 });
    let network = |graph: &mut Graph, x, level| mlp.forward(graph, x, level, Conditioning::default());
    let model = Network { sde: &SDE, parameterisation: Parameterisation::Score, sigma_data: 1.0, network };
    let [x0, noise] = ["x0", "noise"].map(|name| graph.input(name, Shape::batch(&[2])));
    let time = graph.full(t, Shape::batch(&[1]));
    let clock = graph.clock("clock");
    let field = Field::noisy(&mut graph, &SDE, &model, x0, time, noise);
    let explicit = Explicit { density: ExactMixture { components: 2, dims: 2 } };
    let implicit = Implicit.value(&mut graph, &field, clock);
    let explicit = explicit.value(&mut graph, &field, clock);
    // The directions (1, 1) and (1, -1) have the covariance of all.
    let signs = [1.0, -1.0].map(|last| {
        let expr = Expr::column().less(0.5).select(1.0, last);
        graph.map_to(&[], &expr, &Shape::batch(&[2]).with_leading(1))
    });
    let directions = graph.concat(&signs, 0);
    let sliced = Sliced::along(&mut graph, &field, directions);
    let loss = Denoising { reduce: Reduce::Sum, ..Denoising::default() };
    let denoising = loss.loss_at(&mut graph, &Batch::new(&SDE, &model, x0, clock), time, noise).per_sample;
    for (name, value) in [("explicit", explicit), ("implicit", implicit), ("sliced", sliced), ("denoising", denoising)]
    {
        graph.output(name, value);
    }
    let flat = |of: fn(&Point) -> [f64; 2]| -> Vec<f32> { points.iter().flat_map(of).map(|x| x as f32).collect() };
    let mut case = Case::new("identities", &graph, points.len()).words("clock", CLOCK.to_vec());
    for (name, values) in ExactMixture::states(density.weights(), density.means(), density.widths()) {
        case = case.floats(name, values.iter().map(|value| *value as f32).collect());
    }
    let case = case.input("x0", flat(|point| point.0)).input("noise", flat(|point| point.1)).filled();
    let found = case.on_gpu(false);
    let of = |name: &str| -> Vec<f64> { found[&format!("output {name}")].iter().map(|x| f64::from(*x)).collect() };
    let [explicit, implicit, sliced, denoising] = ["explicit", "implicit", "sliced", "denoising"].map(of);

    let mut score = [0.0; 2];
    let squares: Vec<f64> = points
        .iter()
        .map(|(x0, noise, _)| {
            let x = [0, 1].map(|axis| alpha * x0[axis] + sigma * noise[axis]);
            density.score(&x, alpha, sigma, &mut score);
            0.5 * sigma * sigma * (score[0].powi(2) + score[1].powi(2))
        })
        .collect();
    let constant = mean(&squares);
    let near = |what: &str, found: f64, wanted: f64| {
        assert!((found - wanted).abs() < 2e-5, "{what}: {found} instead of {wanted}");
    };
    assert!(mean(&explicit) > 0.05 && constant > 0.05, "neither is nothing: {}, {constant}", mean(&explicit));
    near("explicit - implicit", mean(&explicit) - mean(&implicit), constant);
    near("denoising - explicit", mean(&denoising) - mean(&explicit), 1.0 - constant);
    for (sliced, implicit) in sliced.iter().zip(&implicit) {
        assert!((sliced - implicit).abs() < 2e-5 * (1.0 + implicit.abs()), "{sliced} instead of {implicit}");
    }
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
    let conditioning = Conditioning { clock: Some(clock), ..Conditioning::default() };
    let network = move |graph: &mut Graph, x, level| unet.forward(graph, x, level, conditioning);
    let model = Network { sde: &SDE, parameterisation: Parameterisation::Preconditioned, sigma_data: 0.5, network };
    let vr = ScoreMatching::new(SlicedVr { projections: projections(Projection::Rademacher, 2) });
    let mean = loss(&mut graph, &model, 16, &vr).mean;
    graph.output("loss", mean);
    let plain = graph.clone();
    differentiate(&mut graph, mean);
    let options = LowerOptions { max_batch: 4, limits: Limits::BASELINE, driver: Driver::Hardware };
    let plan = lower(&[ProgramSource { name: "step", graph: &graph, parameters_from: "params" }], &options).unwrap();
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
