//! U-Nets on the GPU against the CPU executor in f32 and f64: outputs, losses, gradients, and steps of training.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::both::{Case, Content, numbers};
use crate::common::gpu;
use tweedie::graph::{Expr, Graph, Parameter, Shape, TensorType};
use tweedie::lower;
use tweedie::lower::{LowerOptions, ProgramSource};
use tweedie::nn::unet::{Family, Features, Preset, UNet, UNetShape};
use tweedie::nn::{Conditioning, LearningRate, Optimizer};
use tweedie::plan::{Dispatch, Limits};

const CLOCK: [u32; 4] = [5, 11, 0x1234_5678, 0x9abc_def0];

/// The norm to which gradients are clipped.
const CLIP: f64 = 0.5;

/// A network that has everything: two levels, attention of two heads, dropout, classes.
fn small(family: Family) -> UNetShape {
    UNetShape {
        family,
        image: [4, 4, 1],
        channels: 8,
        multipliers: vec![1, 2],
        blocks: 1,
        attention: vec![2],
        heads: 2,
        groups: 4,
        group_eps: 1e-5,
        dropout: 0.25,
        classes: 3,
        augment_dim: 0,
        features: Features::Sinusoidal,
    }
}

/// The network's output for noisy images of noise level and class, its mean square distance from a target, and the
/// gradient of that in all weights. Masks of dropout are drawn.
fn training(shape: &UNetShape) -> Graph {
    let mut graph = Graph::new();
    let net = UNet::new(&mut graph, shape);
    // One family computes its blocks again on the way back, the masks of dropout with them.
    let net = if shape.family == Family::DdpmPlusPlus { net.checkpointed() } else { net };
    let pixels = shape.image.iter().product();
    let x = graph.input("x", Shape::batch(&[pixels]));
    let level = graph.input("level", Shape::batch(&[1]));
    let target = graph.input("target", Shape::batch(&[pixels]));
    let clock = graph.clock("clock");
    let class = (shape.classes > 0).then(|| graph.input("class", Shape::batch(&[1])));
    let y = net.forward(&mut graph, x, level, Conditioning { clock: Some(clock), class, augmentation: None });
    let square = (Expr::input(0) - Expr::input(1)).square() / (Expr::batch() * pixels as f64);
    let squares = graph.map(&[y, target], &square);
    let loss = graph.sum_all(squares);
    let weights = graph.parameter_values();
    let gradients = graph.gradient(loss, &weights);
    let gradient = graph.pack(&gradients);
    for (name, value) in [("y", y), ("loss", loss), ("gradient", gradient)] {
        graph.output(name, value);
    }
    graph
}

/// The same, and one step of clip, Adam and average with it.
fn step(shape: &UNetShape) -> Graph {
    let mut graph = training(shape);
    let [loss, gradient] = [1, 2].map(|output| graph.outputs()[output].1);
    let status = graph.state("status", TensorType::f32(Shape::fixed(&[1])));
    let clock = graph.clock("clock");
    // An epsilon of the size of the gradient: else its sign alone would move a weight, and a rounding may turn that.
    let optimizer = Optimizer {
        learning_rate: LearningRate::constant(0.01),
        epsilon: 1e-3,
        clip_norm: Some(CLIP),
        ..Optimizer::default()
    };
    let update = optimizer.update(&mut graph, gradient, loss, status, clock);
    graph.output("norm", update.gradient_norm);
    graph
}

/// A step on the GPU moves weights, moments and averages as on the CPU, relative to how far each tensor moves.
fn check_step(case: Case, tolerance: f64) {
    let before = weights(case.graph);
    let states = ["params", "adam_m", "adam_v", "ema"];
    let zero = vec![0.0; before.len()];
    let mut case = states[1..].iter().fold(case, |case, name| case.floats(name, zero.clone()));
    case = case.floats("status", vec![0.0]);
    let (gpu, cpu) = (case.on_gpu(false), case.on_cpu::<f32>());
    let norm = cpu["output norm"][0];
    assert!(norm > CLIP, "{}: nothing to clip at a norm of {norm}", case.name);
    for name in ["output y", "output loss", "output norm"] {
        let scale = cpu[name].iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        for (a, b) in gpu[name].iter().zip(&cpu[name]) {
            assert!((f64::from(*a) - b).abs() <= tolerance * scale, "{} {name}: {a} instead of {b}", case.name);
        }
    }
    for name in ["output gradient", "state params", "state adam_m", "state adam_v", "state ema"] {
        let (gpu, cpu) = (&gpu[name], &cpu[name]);
        let start = |i: usize| if name == "state params" { f64::from(before[i]) } else { 0.0 };
        let most = cpu.iter().enumerate().fold(0.0_f64, |most, (i, x)| most.max((x - start(i)).abs()));
        assert!(most > 0.0, "{} {name}: nothing moves", case.name);
        for parameter in case.graph.parameters() {
            let range = parameter.offset..parameter.offset + parameter.elements();
            let (mut scale, mut error) = (0.0_f64, 0.0_f64);
            for i in range {
                scale = scale.max((cpu[i] - start(i)).abs());
                error = error.max((f64::from(gpu[i]) - cpu[i]).abs());
            }
            let good = error <= tolerance * scale + 1e-6 * most;
            assert!(good, "{} {name} {}: off by {error}, the largest is {scale}", case.name, parameter.name);
        }
    }
}

#[test]
fn activations_above_a_binding_are_cut_into_ranges_of_samples() {
    let shape = small(Family::Ddpm);
    let graph = training(&shape);
    let limits = Limits { binding_bytes: 40 << 10, ..Limits::BASELINE };
    let options = LowerOptions { max_batch: 150, limits, driver: gpu::device().driver() };
    let plan =
        lower::lower(&[ProgramSource { name: "step", graph: &graph, parameters_from: "params" }], &options).unwrap();
    let dispatches = &plan.programs[0].dispatches;
    for kernel in ["Forward", "DataGradient", "WeightGradient", "pointwise", "reduce Sum over Rows", "copy"] {
        let of_kernel = |dispatch: &&Dispatch| plan.shaders[dispatch.shader].key.contains(kernel);
        let ranges = dispatches.iter().filter(of_kernel).filter(|dispatch| dispatch.samples.is_some()).count();
        assert!(ranges > 2, "{kernel} does not meet a tensor above a binding");
    }
    // Most ranges are full; all but the first are empty.
    for batch in [147, 3] {
        let name = format!("activations above a binding at a batch of {batch}");
        let mut case = case(&name, &graph, &shape, batch);
        (case.limits, case.max_batch) = (limits, 150);
        check(&case, 1e-3);
    }
}

#[test]
fn a_step_of_weights_above_a_binding() {
    let shape = UNetShape { channels: 16, classes: 0, ..small(Family::Ddpm) };
    let graph = step(&shape);
    // Room for the largest kernel, not for all of them.
    let largest = graph.parameters().iter().map(|parameter| 4 * parameter.elements() as u64).max().unwrap();
    let binding_bytes = largest.next_multiple_of(256) * 2;
    assert!(4 * graph.arena_elements() as u64 > 2 * binding_bytes, "the arena has to take three bindings");
    let mut case = case("weights above a binding", &graph, &shape, 2);
    case.limits = Limits { binding_bytes, workgroups: 50, ..Limits::BASELINE };
    check_step(case, 2e-3);
}

#[test]
fn a_step_of_ddpm_for_cifar10() {
    // 143 MB of weights, more than a binding of 128 MiB.
    let shape = Preset::DdpmCifar10.shape();
    let graph = step(&shape);
    check_step(case("DDPM CIFAR-10", &graph, &shape, 1), 5e-3);
}

/// Weights that keep the size of what passes through, with nothing at the 0 or 1 where layers start.
fn weights(graph: &Graph) -> Vec<f32> {
    let mut arena = vec![0.0; graph.arena_elements()];
    for (i, parameter) in graph.parameters().iter().enumerate() {
        let fan_in: usize = parameter.shape.iter().rev().skip(1).product();
        let (middle, spread) = match () {
            () if parameter.name.ends_with("scale") => (1.0, 0.3),
            () if parameter.shape.len() == 1 => (0.0, 0.3),
            () => (0.0, (3.0 / fan_in as f32).sqrt()),
        };
        let values = numbers(parameter.elements(), 1000 + i as u64).into_iter().map(|x| middle + spread * x);
        arena[parameter.offset..].iter_mut().zip(values).for_each(|(place, value)| *place = value);
    }
    arena
}

fn case<'a>(name: &'a str, graph: &'a Graph, shape: &UNetShape, batch: usize) -> Case<'a> {
    let mut case = Case::new(name, graph, batch).words("clock", CLOCK.to_vec()).floats("params", weights(graph));
    if shape.classes > 0 {
        // The last of these is the null class.
        case = case.input("class", (0..batch).map(|i| ((i + 1) % (shape.classes + 1)) as f32).collect());
    }
    case.max_batch = batch;
    case.driver = gpu::device().driver();
    case.filled()
}

/// The parts of a result that are compared each with its own scale: every gradient is one.
fn parts<'a>(graph: &Graph, results: &'a BTreeMap<String, Vec<f64>>) -> Vec<(String, &'a [f64])> {
    let part = |parameter: &Parameter| {
        let range = parameter.offset..parameter.offset + parameter.elements();
        (format!("gradient of {}", parameter.name), &results["output gradient"][range])
    };
    let whole = ["y", "loss"].map(|name| (name.to_owned(), results[&format!("output {name}")].as_slice()));
    whole.into_iter().chain(graph.parameters().iter().map(part)).collect()
}

/// GPU and CPU f32 lie within `tolerance` of CPU f64, relative to the largest number of each output and each gradient.
fn check(case: &Case, tolerance: f64) {
    let truth = case.on_cpu::<f64>();
    let gpu = case.on_gpu(false).into_iter();
    let gpu = gpu.map(|(name, data)| (name, data.into_iter().map(f64::from).collect())).collect();
    for (who, found) in [("GPU", &gpu), ("CPU f32", &case.on_cpu::<f32>())] {
        close(case, who, tolerance, found, &truth);
    }
}

fn close(
    case: &Case,
    who: &str,
    tolerance: f64,
    found: &BTreeMap<String, Vec<f64>>,
    truth: &BTreeMap<String, Vec<f64>>,
) {
    let mut largest_gradient = 0.0_f64;
    truth["output gradient"].iter().for_each(|x| largest_gradient = largest_gradient.max(x.abs()));
    for ((name, found), (_, wanted)) in parts(case.graph, found).into_iter().zip(parts(case.graph, truth)) {
        let scale = wanted.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        // Some gradients are 0 but for rounding: of biases before a norm, of keys' biases.
        let allowed = tolerance * scale + 1e-6 * largest_gradient;
        let error = found.iter().zip(wanted).fold(0.0_f64, |most, (a, b)| most.max((a - b).abs()));
        assert!(error <= allowed, "{} {who} {name}: off by {error}, the largest is {scale}", case.name);
    }
}

#[test]
fn both_families_with_everything() {
    for (name, family) in [("DDPM", Family::Ddpm), ("DDPM++", Family::DdpmPlusPlus)] {
        let shape = small(family);
        let graph = training(&shape);
        let case = case(name, &graph, &shape, 3);
        check(&case, 1e-3);
        // With runtime checks, which nothing may run into, it is the same to the bit.
        let bits = |checked| -> Vec<u32> { case.on_gpu(checked).into_values().flatten().map(f32::to_bits).collect() };
        assert!(family == Family::Ddpm || bits(true) == bits(false), "{name}: runtime checks change the result");
        // The mask matters: at another step of the clock the loss is another.
        let mut later = self::case(name, &graph, &shape, 3);
        later.states[0] = ("clock", Content::Words(vec![6, 11, CLOCK[2], CLOCK[3]]));
        let loss = |case: &Case| case.on_cpu::<f32>()["output loss"].clone();
        assert_ne!(loss(&case), loss(&later), "{name}: dropout drops nothing");
    }
}

/// Numbers below a bound, from a fixed seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % bound) as usize
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64)]
    }

    fn network(&mut self) -> (UNetShape, usize) {
        let side = self.one_of(&[4, 8]);
        let (heads, levels) = (1 + self.below(2), 1 + self.below(2));
        let shape = UNetShape {
            family: self.one_of(&[Family::Ddpm, Family::DdpmPlusPlus]),
            image: [side, side, 1 + self.below(3)],
            channels: self.one_of(&[4, 6, 10, 12]),
            multipliers: (0..levels).map(|_| 1 + self.below(2)).collect(),
            blocks: 1,
            attention: if self.below(2) == 0 { vec![] } else { vec![4] },
            heads,
            groups: 1 + self.below(4),
            group_eps: 1e-5,
            dropout: self.one_of(&[0.0, 0.1]),
            classes: self.one_of(&[0, 2]),
            augment_dim: 0,
            features: Features::Sinusoidal,
        };
        (shape, 1 + 2 * self.below(3))
    }
}

#[test]
fn random_networks() {
    let mut dice = Dice(20_260_801);
    let mut pipelines = BTreeSet::new();
    for _ in 0..3 {
        let (shape, batch) = dice.network();
        let name = format!("{shape:?} at a batch of {batch}");
        let graph = training(&shape);
        let case = case(&name, &graph, &shape, batch);
        pipelines.extend(case.plan().shaders.into_iter().map(|shader| shader.wgsl));
        // A software driver takes a quarter of a second for each: 132 of all three networks, lavapipe's.
        assert!(pipelines.len() < 150, "{} pipelines up to {name}", pipelines.len());
        check(&case, 2e-3);
    }
}
