//! The objectives of score matching and their gradients on the GPU against the CPU executor.

mod common {
    pub mod both;
    pub mod gpu;
}

use common::both::Case;
use tweedie::graph::{Graph, Shape, Value};
use tweedie::loss::{
    Explicit, Implicit, Noise, Objective, Projection, Projections, ScoreMatching, Sliced, SlicedFd, SlicedVr,
};
use tweedie::nn::unet::{Family, Features, Told, UNet, UNetShape};
use tweedie::nn::{Mixture, Mlp, MlpShape};
use tweedie::sde::{Model, Network, Parameterisation, Vp};

const SDE: Vp = Vp { beta_min: 0.1, beta_max: 20.0, t_min: 1e-3 };

fn projections(law: Projection) -> Projections {
    Projections { law, count: 2 }
}

/// Losses of each sample, and the gradient of the sum of their means, of these objectives for data `[Batch, dims]`.
fn losses(graph: &mut Graph, model: &dyn Model, dims: usize, objectives: &[(&str, ScoreMatching)]) {
    let x0 = graph.input("x0", Shape::batch(&[dims]));
    let clock = graph.clock("clock");
    let mut means: Vec<Value> = Vec::new();
    for (name, objective) in objectives {
        let loss = objective.loss(graph, &SDE, model, x0, clock);
        graph.output(*name, loss.per_sample);
        means.push(loss.mean);
    }
    let sum = means[1..].iter().fold(means[0], |sum, mean| graph.plus(sum, *mean));
    let weights = graph.parameter_values();
    let gradients = graph.gradient(sum, &weights);
    let gradient = graph.pack(&gradients);
    graph.output("gradient", gradient);
}

#[test]
fn every_objective_of_a_perceptron() {
    let mixture = Mixture { components: 2, dims: 2 };
    let (explicit, implicit) = (Explicit { density: mixture }, Implicit);
    let sliced = Sliced { projections: projections(Projection::Gaussian) };
    let vr = SlicedVr { projections: projections(Projection::Sphere) };
    let fd = SlicedFd { projections: projections(Projection::Rademacher), step: 0.1 };
    let plain = |objective: ScoreMatching| ScoreMatching { noise: Noise::None, ..objective };
    let objectives = [
        ("explicit", ScoreMatching::new(explicit)),
        ("implicit", ScoreMatching::new(implicit)),
        ("sliced", ScoreMatching::new(sliced)),
        ("sliced-vr", ScoreMatching::new(vr)),
        ("sliced-fd", ScoreMatching::new(fd)),
        ("explicit without noise", plain(ScoreMatching::new(explicit))),
        ("implicit without noise", plain(ScoreMatching::new(implicit))),
        ("sliced-vr without noise", plain(ScoreMatching::new(vr))),
    ];
    let mut graph = Graph::new();
    let mlp = Mlp::new(&mut graph, MlpShape { dims: 2, width: 6, depth: 1, embedding: 4 });
    let network = |graph: &mut Graph, x, level| mlp.forward(graph, x, level);
    let model = Network { sde: &SDE, parameterisation: Parameterisation::Score, sigma_data: 1.0, network };
    losses(&mut graph, &model, 2, &objectives);
    let (weights, means, widths) = ([0.25, 0.75], [-1.0, 0.5, 1.0, 0.0], [0.5, 0.75, 0.25, 0.5]);
    let mut case = Case::new("perceptron", &graph, 7).words("clock", vec![3, 5, 7, 9]);
    for (name, values) in Mixture::states(&weights, &means, &widths) {
        case = case.floats(name, values.iter().map(|value| *value as f32).collect());
    }
    case.tolerance = 1e-4;
    case.filled().check();
}

#[test]
fn sliced_matching_of_a_unet() {
    // Second derivatives through convolution, normalisation, attention and resampling.
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
    let vr = SlicedVr { projections: projections(Projection::Rademacher) };
    losses(&mut graph, &model, 16, &[("sliced-vr", ScoreMatching::new(vr))]);
    let mut case = Case::new("U-Net", &graph, 3).words("clock", vec![3, 5, 7, 9]);
    case.tolerance = 1e-4;
    case.filled().check();
}
