//! The U-Net: published sizes, and diffusers' U-Net with the same weights.

use crate::common::tensors;

use tweedie::cpu::{Program, Store};
use tweedie::graph::{Expr, Graph, Shape, TensorType, Value};
use tweedie::loss::training_states::{CLOCK, STATUS};
use tweedie::lower::{LowerOptions, ProgramSource, lower};
use tweedie::nn::unet::{FREQUENCIES, Family, Features, Preset, UNet, UNetShape, fourier_features, frequencies};
use tweedie::nn::{Conditioning, LearningRate, Optimizer};
use tweedie::plan::BufferKind;

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
        features: Features::Sinusoidal,
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

/// The mean square of the network's output minus `target`, and all that trains it.
fn graph(checkpointed: bool) -> Graph {
    let mut graph = Graph::new();
    let net = UNet::new(&mut graph, &small());
    let net = if checkpointed { net.checkpointed() } else { net };
    let x = graph.input("x", Shape::batch(&[64]));
    let features = graph.input("features", Shape::batch(&[8]));
    let target = graph.input("target", Shape::batch(&[64]));
    let y = net.forward_from(&mut graph, x, features, Conditioning::default());
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
    let (fixture, graph) = (tensors::fixture("unet.safetensors"), graph(false));
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

/// A network of 4 x 4 images that knows three classes.
fn conditional(dropout: f64) -> UNetShape {
    UNetShape {
        family: Family::DdpmPlusPlus,
        image: [4, 4, 2],
        channels: 6,
        multipliers: vec![1, 2],
        attention: vec![2],
        groups: 3,
        dropout,
        classes: 3,
        ..small()
    }
}

/// Weights that are nowhere 0, so that every layer counts.
fn noisy(graph: &Graph) -> Vec<f64> {
    (0..graph.arena_elements()).map(|i| 0.4 * (i as f64 * 1.7).sin()).collect()
}

#[test]
fn a_class_is_told_and_the_null_class_is_none() {
    let mut graph = Graph::new();
    let net = UNet::new(&mut graph, &conditional(0.0));
    let x = graph.input("x", Shape::batch(&[32]));
    let level = graph.input("level", Shape::batch(&[1]));
    let class = graph.input("class", Shape::batch(&[1]));
    let conditional = net.forward(&mut graph, x, level, Conditioning { class: Some(class), ..Conditioning::default() });
    let unconditional = net.forward(&mut graph, x, level, Conditioning::default());
    graph.output("conditional", conditional);
    graph.output("unconditional", unconditional);
    let mut store = Store::new();
    store.upload("params", &noisy(&graph));
    let mut program = Program::<f64>::new(&graph, "params");
    let image: Vec<f64> = (0..32).map(|i| (i as f64).cos()).collect();
    let x = image.repeat(4);
    let inputs = [("x", x.as_slice()), ("level", &[0.3; 4]), ("class", &[0.0, 1.0, 2.0, 3.0])];
    program.run(&mut store, &inputs, 4).unwrap();
    let conditional: Vec<&[f64]> = program.output("conditional").chunks(32).collect();
    for (a, b) in [(0, 1), (0, 2), (1, 2), (2, 3)] {
        assert!(largest_difference(conditional[a], conditional[b]) > 1e-3, "classes {a} and {b} differ");
    }
    assert!(
        largest_difference(conditional[3], &program.output("unconditional")[96..]) < 1e-12,
        "the null class is no class"
    );
}

#[test]
fn a_gradient_sees_the_mask_of_its_own_forward_pass() {
    let mut graph = Graph::new();
    let net = UNet::new(&mut graph, &conditional(0.4));
    let x = graph.input("x", Shape::batch(&[32]));
    let level = graph.input("level", Shape::batch(&[1]));
    let clock = graph.clock(CLOCK);
    let y = net.forward(&mut graph, x, level, Conditioning { clock: Some(clock), ..Conditioning::default() });
    let weight = Expr::input(0) * (Expr::column() + 1.0).sin();
    let y = graph.map(&[y], &weight);
    let loss = graph.sum_all(y);
    let gradients = graph.gradient(loss, &[x]);
    graph.output("loss", loss);
    graph.output("gradient", gradients[0]);
    let mut store = Store::new();
    store.upload("params", &noisy(&graph));
    store.upload_words(CLOCK, &[3, 0, 5, 0]);
    let mut program = Program::<f64>::new(&graph, "params");
    let image: Vec<f64> = (0..64).map(|i| (i as f64 * 0.9).cos()).collect();
    let direction: Vec<f64> = (0..64).map(|i| (i as f64 * 0.3).sin()).collect();
    let mut at = |h: f64, step: u32| {
        let moved: Vec<f64> = image.iter().zip(&direction).map(|(x, d)| x + h * d).collect();
        store.upload_words(CLOCK, &[step, 0, 5, 0]);
        program.run(&mut store, &[("x", &moved), ("level", &[0.3, -0.8])], 2).unwrap();
        let slope: f64 = program.output("gradient").iter().zip(&direction).map(|(g, d)| g * d).sum();
        (program.output("loss")[0], slope)
    };
    let h = 1e-5;
    let numeric = (at(h, 3).0 - at(-h, 3).0) / (2.0 * h);
    let (loss, slope) = at(0.0, 3);
    assert!((slope - numeric).abs() < 1e-6 * (1.0 + slope.abs()), "{slope}, {numeric}");
    assert!((loss - at(0.0, 4).0).abs() > 1e-3, "another step drops other units");
}

#[test]
fn blocks_computed_again_give_the_same_gradient_in_less_memory() {
    let fixture = tensors::fixture("unet.safetensors");
    let run = |checkpointed: bool| {
        let graph = graph(checkpointed);
        let mut arena = vec![0.0; graph.arena_elements()];
        for parameter in graph.parameters() {
            let values = &fixture[&format!("weight.{}", parameter.name)];
            arena[parameter.offset..][..parameter.elements()].copy_from_slice(values);
        }
        let mut store = Store::new();
        store.upload("params", &arena);
        store.upload_words(CLOCK, &[0; 4]);
        // Many samples, so that memory is activations.
        let many = ["x", "features", "target"].map(|name| fixture[name].repeat(20));
        let inputs = [("x", &many[0][..]), ("features", &many[1]), ("target", &many[2])];
        let mut program = Program::<f64>::new(&graph, "params");
        program.run(&mut store, &inputs, 60).unwrap();
        let source = ProgramSource { name: "train", graph: &graph, parameters_from: "params" };
        let plan = lower(&[source], &LowerOptions { max_batch: 256, ..LowerOptions::default() }).unwrap();
        let scratch = plan.buffers.iter().filter(|buffer| buffer.kind == BufferKind::Scratch);
        let bytes: u64 = scratch.map(|buffer| buffer.bytes).sum();
        (program.output("loss")[0], program.output("gradient").to_vec(), program.buffer_bytes(), bytes)
    };
    let (kept, again) = (run(false), run(true));
    assert_eq!(kept.0, again.0);
    let largest = kept.1.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
    assert!(largest_difference(&kept.1, &again.1) < 1e-12 * largest);
    assert!(4 * again.2 < 3 * kept.2, "CPU: {} bytes, {} when kept", again.2, kept.2);
    assert!(4 * again.3 < 3 * kept.3, "GPU: {} bytes, {} when kept", again.3, kept.3);
}

#[test]
fn fourier_features_are_waves_at_normal_frequencies() {
    let (size, scale) = (256, 3.0);
    let all = frequencies(size, scale);
    let spread = (all.iter().map(|w| w * w).sum::<f64>() / all.len() as f64).sqrt();
    // 4 standard errors of a standard deviation of 128 normal numbers.
    assert!((spread / scale - 1.0).abs() < 4.0 / (2.0 * all.len() as f64).sqrt(), "{spread}");
    let mut graph = Graph::new();
    let level = graph.input("level", Shape::batch(&[1]));
    let features = fourier_features(&mut graph, level, size);
    graph.output("features", features);
    let mut store = Store::new();
    store.upload(FREQUENCIES, &all);
    let mut program = Program::<f64>::new(&graph, "params");
    let levels = [0.3, -1.7];
    program.run(&mut store, &[("level", &levels)], 2).unwrap();
    for (level, row) in levels.iter().zip(program.output("features").chunks(size)) {
        for (i, w) in all.iter().enumerate() {
            let (sin, cos) = (std::f64::consts::TAU * w * level).sin_cos();
            assert!((row[i] - sin).abs() < 1e-12 && (row[128 + i] - cos).abs() < 1e-12, "frequency {i}");
        }
    }
}
