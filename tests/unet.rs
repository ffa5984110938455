//! The U-Net: published sizes, and diffusers' U-Net with the same weights.

use std::collections::HashMap;

use safetensors::{Dtype, SafeTensors};
use tweedie::cpu::{Program, Store};
use tweedie::graph::{Expr, Graph, Shape, TensorType, Value};
use tweedie::loss::names::{CLOCK, STATUS};
use tweedie::nn::unet::{Family, Preset, Told, UNet, UNetShape};
use tweedie::nn::{LearningRate, Optimizer};

fn weights(shape: &UNetShape) -> usize {
    let mut graph = Graph::new();
    UNet::new(&mut graph, shape);
    graph.parameters().iter().map(|parameter| parameter.elements()).sum()
}

#[test]
fn published_networks_have_their_published_sizes() {
    for (preset, published) in [
        (Preset::DdpmCifar10, 35_746_307),
        (Preset::EdmDdpmPlusPlus, 55_732_739),
        (Preset::DdpmPlusPlus, 61_804_419),
        (Preset::DdpmPlusPlusDeep, 106_632_579),
    ] {
        assert_eq!(weights(&preset.shape()), published, "{preset:?}");
    }
    let augmented = UNetShape { augment_dim: 9, ..Preset::EdmDdpmPlusPlus.shape() };
    assert_eq!(weights(&augmented), 55_733_891);
    assert_eq!(weights(&UNetShape { classes: 10, ..augmented }), 55_735_299);
}

/// The network of `tests/fixtures/make_unet.py`.
fn small() -> UNetShape {
    UNetShape {
        family: Family::Ddpm,
        image: [8, 8, 1],
        channels: 8,
        multipliers: vec![1, 2],
        blocks: 1,
        attention: vec![4],
        heads: 2,
        groups: 4,
        group_eps: 1e-5,
        dropout: 0.0,
        classes: 0,
        augment_dim: 0,
    }
}

fn fixture() -> HashMap<String, Vec<f64>> {
    let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/unet.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |name: &str| {
        let tensor = tensors.tensor(name).unwrap();
        let data = tensor.data();
        match tensor.dtype() {
            Dtype::F32 => data.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect(),
            Dtype::F64 => data.chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
            other => panic!("{name}: {other:?}"),
        }
    };
    tensors.names().into_iter().map(|name| (name.to_string(), numbers(name))).collect()
}

/// The mean square of the network's output minus `target`, and all that trains it.
fn graph() -> Graph {
    let mut graph = Graph::new();
    let shape = small();
    let net = UNet::new(&mut graph, &shape);
    let x = graph.input("x", Shape::batch(&[64]));
    let features = graph.input("features", Shape::batch(&[8]));
    let target = graph.input("target", Shape::batch(&[64]));
    let y = net.forward_from(&mut graph, x, features, Told::default());
    graph.output("y", y);
    let square = (Expr::input(0) - Expr::input(1)).square() * (1.0 / (3.0 * 64.0));
    let squares = graph.map(&[y, target], &square);
    let loss = graph.sum_all(squares);
    graph.output("loss", loss);
    let parameters: Vec<Value> = graph.parameter_values();
    let gradients = graph.gradient(loss, &parameters);
    let gradient = graph.pack(&gradients);
    graph.output("gradient", gradient);
    let clock = graph.clock(CLOCK);
    let status = graph.state(STATUS, TensorType::f32(Shape::fixed(&[1])));
    let optimizer = Optimizer { learning_rate: LearningRate::constant(1e-3), clip_norm: None, ..Optimizer::default() };
    let update = optimizer.update(&mut graph, gradient, loss, status, clock);
    let ticked = graph.tick(clock, update.status);
    graph.assign(CLOCK, ticked);
    graph
}

fn largest_difference(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn outputs_gradients_and_ten_steps_are_those_of_diffusers() {
    let (fixture, graph) = (fixture(), graph());
    let mut arena = vec![0.0; graph.arena_elements()];
    for parameter in graph.parameters() {
        let values = &fixture[&format!("weight.{}", parameter.name)];
        arena[parameter.offset..][..parameter.elements()].copy_from_slice(values);
    }
    let named = fixture.keys().filter(|name| name.starts_with("weight.")).count();
    assert_eq!(named, graph.parameters().len(), "every weight of theirs is one of ours");
    let mut store = Store::new();
    store.upload("params", &arena);
    store.upload_words(CLOCK, &[0; 4]);
    let inputs = ["x", "features", "target"].map(|name| (name, fixture[name].as_slice()));
    let mut program = Program::<f64>::new(&graph, "params");
    for (step, loss) in fixture["losses"].iter().enumerate() {
        program.run(&mut store, &inputs, 3).unwrap();
        assert!((program.output("loss")[0] / loss - 1.0).abs() < 1e-9, "step {step}");
        if step > 0 {
            continue;
        }
        let difference = largest_difference(program.output("y"), &fixture["y"]);
        assert!(difference < 1e-11, "outputs differ by {difference}");
        for parameter in graph.parameters() {
            let ours = &program.output("gradient")[parameter.offset..][..parameter.elements()];
            // The fixture's gradients are rounded to f32.
            let theirs = &fixture[&format!("gradient.{}", parameter.name)];
            let largest = theirs.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
            let difference = largest_difference(ours, theirs);
            assert!(difference < 1e-6 * largest + 1e-12, "{}: {difference} of {largest}", parameter.name);
        }
    }
}
