//! The diffusion transformer: published sizes, and PyTorch's with the same weights.

use std::collections::HashMap;

use tweedie::cpu::{Program, Real, Store};
use tweedie::graph::{Expr, Graph, Shape, Value};
use tweedie::nn::dit::{DiT, DiTShape, Preset, positions};
use tweedie::nn::{Architecture, initial_parameters, layer_norm};

use crate::common::both::Case;
use crate::common::gpu;
use crate::common::tensors;

fn weights(shape: &DiTShape) -> usize {
    let mut graph = Graph::new();
    DiT::new(&mut graph, shape);
    graph.parameters().iter().map(|parameter| parameter.elements()).sum()
}

#[test]
fn published_networks_have_the_sizes_that_pytorch_counts() {
    // As tests/fixtures/make_dit.py prints them: latents of 32 x 32 x 4 with 1,000 classes, images of 32 x 32 x 3 with none.
    let counts = [
        (32_858_896, 32_471_436),
        (32_895_808, 32_499_120),
        (33_043_456, 32_609_856),
        (130_303_504, 129_528_588),
        (130_377_280, 129_583_920),
        (130_672_384, 129_805_248),
        (457_824_272, 456_791_052),
        (457_922_624, 456_864_816),
        (458_316_032, 457_159_872),
        (674_816_272, 673_653_900),
        (674_926_912, 673_736_880),
        (675_369_472, 674_068_800),
    ];
    for (preset, (latents, images)) in Preset::ALL.into_iter().zip(counts) {
        let shape = preset.shape();
        assert_eq!(weights(&shape), latents, "{preset:?}");
        assert_eq!(weights(&DiTShape { image: [32, 32, 3], classes: 0, ..shape }), images, "{preset:?}");
    }
    // What the paper says of patches of 2, with a variance for each output.
    for (preset, millions) in [(Preset::S2, 33), (Preset::B2, 130), (Preset::L2, 458), (Preset::XL2, 675)] {
        let shape = preset.shape();
        let variances = (shape.width + 1) * shape.pixels();
        assert_eq!((weights(&shape) + variances + 500_000) / 1_000_000, millions, "{preset:?}");
    }
}

/// The networks of `tests/fixtures/make_dit.py`.
fn cases() -> [(&'static str, DiTShape); 3] {
    let shape = DiTShape { image: [4, 4, 2], patch: 2, width: 8, depth: 2, heads: 2, mlp_ratio: 4, classes: 3 };
    [
        ("square", shape),
        ("wide", DiTShape { image: [4, 6, 1], width: 12, depth: 1, heads: 3, classes: 0, ..shape }),
        ("pixels", DiTShape { image: [3, 2, 1], patch: 1, depth: 1, heads: 1, classes: 2, ..shape }),
    ]
}

fn fixture(case: &str) -> HashMap<String, Vec<f64>> {
    let of_case = |(name, values): (String, _)| Some((name.strip_prefix(case)?.strip_prefix('.')?.to_owned(), values));
    tensors::fixture("dit.safetensors").into_iter().filter_map(of_case).collect()
}

/// The mean square of the network's output minus `target` and its gradient.
fn graph(shape: &DiTShape, batch: usize, checkpointed: bool) -> Graph {
    let pixels = shape.image.iter().product();
    let mut graph = Graph::new();
    let net = DiT::new(&mut graph, shape);
    let net = if checkpointed { net.checkpointed() } else { net };
    let x = graph.input("x", Shape::batch(&[pixels]));
    let features = graph.input("features", Shape::batch(&[256]));
    let class = graph.input("class", Shape::batch(&[1]));
    let target = graph.input("target", Shape::batch(&[pixels]));
    let y = net.forward_from(&mut graph, x, features, Some(class));
    graph.output("y", y);
    let square = (Expr::input(0) - Expr::input(1)).square() * (1.0 / (batch * pixels) as f64);
    let squares = graph.map(&[y, target], &square);
    let loss = graph.sum_all(squares);
    graph.output("loss", loss);
    let parameters: Vec<Value> = graph.parameter_values();
    let gradients = graph.gradient(loss, &parameters);
    let gradient = graph.pack(&gradients);
    graph.output("gradient", gradient);
    graph
}

fn largest_difference(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// The parameter arena with the fixture's weights.
fn arena(graph: &Graph, fixture: &HashMap<String, Vec<f64>>) -> Vec<f64> {
    let mut arena = vec![0.0; graph.arena_elements()];
    for parameter in graph.parameters() {
        let values = &fixture[&format!("weight.{}", parameter.name)];
        arena[parameter.offset..][..parameter.elements()].copy_from_slice(values);
    }
    arena
}

/// Output, loss and gradient of the fixture's case.
fn run<T: Real>(graph: &Graph, fixture: &HashMap<String, Vec<f64>>) -> [Vec<f64>; 3] {
    let converted = |values: &[f64]| values.iter().map(|x| T::from_f64(*x)).collect::<Vec<T>>();
    let mut store = Store::new();
    store.upload("params", &converted(&arena(graph, fixture)));
    let inputs = ["x", "features", "class", "target"].map(|name| (name, converted(&fixture[name])));
    let inputs: Vec<(&str, &[T])> = inputs.iter().map(|(name, values)| (*name, values.as_slice())).collect();
    let mut program = Program::<T>::new(graph, "params");
    program.run(&mut store, &inputs, fixture["class"].len()).unwrap();
    ["y", "loss", "gradient"].map(|name| program.output(name).iter().map(|x| x.to_f64()).collect())
}

fn check<T: Real>(name: &str, shape: &DiTShape, [of_output, of_gradient]: [f64; 2]) {
    let fixture = fixture(name);
    let graph = graph(shape, fixture["class"].len(), false);
    let named = fixture.keys().filter(|name| name.starts_with("weight.")).count();
    assert_eq!(named, graph.parameters().len(), "{name}: every weight of theirs is one of ours");
    let [y, loss, gradient] = run::<T>(&graph, &fixture);
    let difference = largest_difference(&y, &fixture["y"]);
    assert!(difference < of_output, "{name}: outputs differ by {difference}");
    assert!((loss[0] / fixture["loss"][0] - 1.0).abs() < of_output, "{name}: a loss of {}", loss[0]);
    for parameter in graph.parameters() {
        let ours = &gradient[parameter.offset..][..parameter.elements()];
        let theirs = &fixture[&format!("gradient.{}", parameter.name)];
        let largest = theirs.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
        let difference = largest_difference(ours, theirs);
        let allowed = of_gradient * largest + 1e-12;
        assert!(difference < allowed, "{name} {}: {difference} of {largest}", parameter.name);
        assert!(largest > 1e-6, "{name} {}: the fixture's gradient is 0", parameter.name);
    }
}

#[test]
fn outputs_and_gradients_are_those_of_pytorch() {
    for (name, shape) in cases() {
        // The fixture's gradients are rounded to f32.
        check::<f64>(name, &shape, [1e-11, 1e-6]);
        check::<f32>(name, &shape, [3e-5, 1e-4]);
    }
}

#[test]
fn places_are_those_of_pytorch() {
    for (name, shape) in cases() {
        let mut graph = Graph::new();
        let places = positions(&mut graph, shape.grid(), shape.width);
        graph.output("places", places);
        let mut program = Program::<f64>::new(&graph, "params");
        program.run(&mut Store::new(), &[], 1).unwrap();
        let difference = largest_difference(program.output("places"), &fixture(name)["places"]);
        assert!(difference < 1e-12, "{name}: {difference}");
    }
}

#[test]
fn blocks_computed_again_give_the_same_gradient() {
    for (name, shape) in cases() {
        let fixture = fixture(name);
        let [kept, again] = [false, true].map(|again| run::<f64>(&graph(&shape, 4, again), &fixture));
        let largest = kept[2].iter().fold(0.0, |most: f64, g| most.max(g.abs()));
        assert_eq!(kept[..2], again[..2], "{name}");
        assert!(largest_difference(&kept[2], &again[2]) < 1e-12 * largest, "{name}");
    }
}

/// A class that is not told is the null class, whatever number stands for that; and an untrained network gives 0.
#[test]
fn the_null_class_is_any_number_from_the_classes_on() {
    let (name, shape) = cases()[0];
    let mut graph = Graph::new();
    let net = shape.declare(&mut graph, tweedie::nn::Activations::Kept);
    let x = graph.input("x", Shape::batch(&[32]));
    let level = graph.input("level", Shape::batch(&[1]));
    let class = graph.input("class", Shape::batch(&[1]));
    for (name, class) in [("conditional", Some(class)), ("unconditional", None)] {
        let conditioning = tweedie::nn::Conditioning { class, ..Default::default() };
        let y = net(&mut graph, x, level, conditioning);
        graph.output(name, y);
    }
    let x = (0..32).map(|i| f64::from(i).cos()).collect::<Vec<_>>().repeat(5);
    let inputs = [("x", x.as_slice()), ("level", &[0.3; 5]), ("class", &[0.0, 1.0, 2.0, 3.0, 9.0])];
    let run = |arena: &[f64]| {
        let mut store = Store::new();
        store.upload("params", arena);
        let mut program = Program::<f64>::new(&graph, "params");
        program.run(&mut store, &inputs, 5).unwrap();
        ["conditional", "unconditional"].map(|name| program.output(name).to_vec())
    };
    let [conditional, unconditional] = run(&arena(&graph, &fixture(name)));
    let conditional: Vec<&[f64]> = conditional.chunks(32).collect();
    for (a, b) in [(0, 1), (0, 2), (1, 2), (2, 3)] {
        assert!(largest_difference(conditional[a], conditional[b]) > 1e-3, "classes {a} and {b} differ");
    }
    assert_eq!(conditional[3], conditional[4], "9 of 3 classes is the null class");
    assert!(largest_difference(conditional[3], &unconditional[96..128]) < 1e-12, "the null class is no class");
    let first: Vec<f64> = initial_parameters(&graph, 1).iter().map(|value| f64::from(*value)).collect();
    assert!(run(&first).into_iter().flatten().all(|y| y == 0.0), "the last layer starts at 0");
}

#[test]
fn first_weights_have_the_papers_spread() {
    let shape = DiTShape { image: [8, 8, 3], width: 64, classes: 50, ..cases()[0].1 };
    let mut graph = Graph::new();
    DiT::new(&mut graph, &shape);
    let first = initial_parameters(&graph, 3);
    for parameter in graph.parameters() {
        let values = &first[parameter.offset..][..parameter.elements()];
        let spread = (values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
        let name = parameter.name.as_str();
        let wanted = match parameter.shape[..] {
            _ if name.contains("modulation") || name.contains("output") => 0.0,
            [_] => 0.0,
            _ if name.contains("embedding") || name.contains("class") => 0.02,
            // Variance 2 / (inputs + outputs).
            [inputs, outputs] => (2.0 / (inputs + outputs) as f64).sqrt(),
            ref other => panic!("{name}: {other:?}"),
        };
        // More than four standard errors of the smallest tensor, 768 uniform numbers.
        assert!((spread - wanted).abs() <= 0.07 * wanted, "{name}: {spread} instead of {wanted}");
    }
}

#[test]
fn layer_norm_has_no_mean_and_unit_variance_far_from_0() {
    let mut graph = Graph::new();
    let x = graph.input("x", Shape::batch(&[2, 5]));
    let y = layer_norm(&mut graph, x, 1e-6);
    graph.output("y", y);
    let mut program = Program::<f32>::new(&graph, "params");
    // A row around 3000, one that is constant.
    let row = [3001.0, 2999.0, 3000.5, 3000.0, 2999.5];
    let x: Vec<f32> = row.into_iter().chain([0.1; 5]).collect();
    program.run(&mut Store::new(), &[("x", &x)], 1).unwrap();
    let spread = 0.5_f32.sqrt();
    for (y, x) in program.output("y").iter().zip(row) {
        assert!((y - (x - 3000.0) / spread).abs() < 1e-5, "{y}");
    }
    // The rounding of the mean, 1e-8, against a square root of 1e-6.
    assert!(program.output("y")[5..].iter().all(|y| y.abs() < 1e-4), "{:?}", program.output("y"));
}

#[test]
fn a_gpu_gives_what_the_cpu_gives() {
    let shape = DiTShape { image: [4, 6, 1], depth: 1, classes: 2, ..cases()[0].1 };
    let graph = graph(&shape, 3, false);
    let mut case = Case::new("DiT", &graph, 3).input("class", vec![0.0, 2.0, 1.0]).filled();
    case.driver = gpu::device().driver();
    let (gpu, cpu) = (case.on_gpu(false), case.on_cpu::<f64>());
    let close = |name: &str, gpu: &[f32], cpu: &[f64], scale: f64| {
        let largest = cpu.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        let error = gpu.iter().zip(cpu).fold(0.0, |most: f64, (a, b)| most.max((f64::from(*a) - b).abs()));
        assert!(error <= 1e-4 * largest + 1e-6 * scale, "{name}: off by {error}, the largest is {largest}");
    };
    for name in ["output y", "output loss"] {
        close(name, &gpu[name], &cpu[name], 0.0);
    }
    let (gpu, cpu) = (&gpu["output gradient"], &cpu["output gradient"]);
    let largest = cpu.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    for parameter in graph.parameters() {
        let range = parameter.offset..parameter.offset + parameter.elements();
        close(&parameter.name, &gpu[range.clone()], &cpu[range], largest);
    }
}
