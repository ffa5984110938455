//! Group normalisation and dropout: values and gradients of PyTorch, variance far from 0, passes, the same on a GPU.

use crate::common::both::Case;
use crate::common::gpu;
use crate::common::graphs::{Content, World, near, run_on};
use serde_json::Value as Json;
use tweedie::graph::{Expr, Graph, Layout, Reduction, Shape};
use tweedie::lower::{LowerOptions, ProgramSource, lower};
use tweedie::nn::{GroupNorm, dropout, group_norm};
use tweedie::plan::Limits;

fn x(slot: usize) -> Expr {
    Expr::input(slot)
}

fn fixture() -> Vec<Json> {
    let text = include_str!("../fixtures/layers.json");
    let all: Json = serde_json::from_str(text).unwrap();
    all["group_norm"].as_array().unwrap().clone()
}

fn list(json: &Json, name: &str) -> Vec<f64> {
    json[name].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn size(json: &Json, name: &str) -> usize {
    json[name].as_u64().unwrap() as usize
}

#[test]
fn group_norm_is_that_of_pytorch() {
    for case in fixture() {
        let channels = size(&case, "channels");
        let positions = list(&case, "positions");
        let shape = Shape::batch(&[positions[0] as usize, positions[1] as usize, channels]);
        let mut graph = Graph::new();
        let layer = GroupNorm::new(&mut graph, "norm", channels, size(&case, "groups"), case["eps"].as_f64().unwrap());
        let (image, u) = (graph.input("x", shape.clone()), graph.input("u", shape));
        let silu = case["silu"].as_bool().unwrap();
        let y = if silu { layer.forward_silu(&mut graph, image) } else { layer.forward(&mut graph, image) };
        let mut wrt = graph.parameter_values();
        wrt.push(image);
        let gradients = graph.vjp(&[y], &[u], &wrt);
        graph.output("y", y);
        ["dscale", "dshift", "dx"].iter().zip(gradients).for_each(|(name, value)| graph.output(*name, value));
        let mut arena = vec![0.0; graph.arena_elements()];
        for (parameter, name) in graph.parameters().iter().zip(["scale", "shift"]) {
            assert_eq!(parameter.name, format!("norm.{name}"));
            arena[parameter.offset..][..channels].copy_from_slice(&list(&case, name));
        }
        let world = World::new(size(&case, "batch"))
            .input("x", list(&case, "x"))
            .input("u", list(&case, "u"))
            .state("params", Content::Real(arena));
        let (exact, single) = (run_on::<f64>(&graph, &world, 1), run_on::<f32>(&graph, &world, 1));
        for name in ["y", "dx", "dscale", "dshift"] {
            near(&format!("{name} in f64"), &exact[name], &list(&case, name), 1e-10);
            // At 1000 the mean itself is only known to 1e-4 of the spread.
            near(&format!("{name} in f32"), &single[name], &list(&case, name), if silu { 3e-6 } else { 3e-4 });
        }
    }
}

/// A normalisation between a product and a square, its gradient, and the gradient of a directional derivative.
fn norm_graph(positions: &[usize], channels: usize, groups: usize) -> Graph {
    let mut graph = Graph::new();
    let mut axes = positions.to_vec();
    axes.push(channels);
    let shape = Shape::batch(&axes);
    let image = graph.input("x", shape.clone());
    let layer = GroupNorm::new(&mut graph, "norm", channels, groups, 1e-3);
    let before = graph.map(&[image], &(x(0) * 1.5 + x(0).square()));
    let normal = layer.forward_silu(&mut graph, before);
    let energy = graph.map(&[normal, image], &(x(0).square() * (x(1) + 2.0)));
    let energy = graph.sum_all(energy);
    let mut wrt = graph.parameter_values();
    wrt.push(image);
    let gradients = graph.gradient(energy, &wrt);
    let direction = graph.input("v", shape.with_leading(2));
    let moved = graph.jvp(&[normal], &[image], &[direction])[0];
    let size = graph.map(&[moved], &x(0).square());
    let size = graph.sum_all(size);
    let second = graph.gradient(size, &wrt);
    graph.output("normal", normal);
    graph.output("moved", moved);
    gradients.into_iter().enumerate().for_each(|(i, value)| graph.output(format!("first {i}"), value));
    second.into_iter().enumerate().for_each(|(i, value)| graph.output(format!("second {i}"), value));
    graph
}

#[test]
fn gradients_on_a_gpu() {
    for (positions, channels, groups, batch) in [(vec![3, 2], 6, 3, 3), (vec![35], 8, 2, 2)] {
        let graph = norm_graph(&positions, channels, groups);
        let mut case = Case::new("group norm", &graph, batch).filled();
        case.tolerance = 2e-4;
        case.driver = gpu::device().driver();
        case.check();
    }
}

#[test]
fn the_second_derivative_agrees_with_differences() {
    let graph = norm_graph(&[3, 2], 6, 2);
    let world = World::new(2).filled(&graph, 5);
    let found = run_on::<f64>(&graph, &world, 1);
    // d/dx of |moved|², element by element, from the tangents alone.
    let energy = |world: &World| -> f64 { run_on::<f64>(&graph, world, 1)["moved"].iter().map(|x| x * x).sum() };
    let h = 1e-5;
    let numeric: Vec<f64> = (0..world.inputs["x"].len())
        .map(|i| {
            let at = |h: f64| {
                let mut world = world.clone();
                world.inputs.get_mut("x").unwrap()[i] += h;
                energy(&world)
            };
            (at(h) - at(-h)) / (2.0 * h)
        })
        .collect();
    near("second derivative", &found["second 2"], &numeric, 1e-7);
}

/// Where a group is constant, y is the shift, however large the numbers: also in f32, where the mean of 49 equal numbers
/// may be another. Where ε is as small as the square of that rounding, some digits are lost, and nothing else.
#[test]
fn of_a_constant_group_the_shift_is_left() {
    let (channels, groups, batch) = (98, 2, 40);
    for (positions, eps, tolerance) in [(1, 1e-12, 1e-6), (7, 1e-12, 1e-6), (7, 1e-30, 1e-2), (64, 1e-30, 1e-2)] {
        let mut graph = Graph::new();
        let layer = GroupNorm::new(&mut graph, "norm", channels, groups, eps);
        let image = graph.input("x", Shape::batch(&[positions, channels]));
        let y = layer.forward(&mut graph, image);
        let total = graph.sum_all(y);
        let slope = graph.gradient(total, &[image])[0];
        graph.output("y", y);
        graph.output("slope", slope);
        let of = |sample: usize| 10f64.powf(sample as f64 / 8.0 - 2.0);
        let data = (0..batch).flat_map(|sample| vec![of(sample) as f32; positions * channels]).collect();
        let mut arena = vec![0.0; graph.arena_elements()];
        graph.parameters().iter().zip([0.0, 0.25]).for_each(|(p, value)| arena[p.offset..][..channels].fill(value));
        let mut case = Case::new("constant groups", &graph, batch).input("x", data).floats("params", arena);
        case.driver = gpu::device().driver();
        let on_gpu =
            case.on_gpu(true).into_iter().map(|(name, values)| (name, values.into_iter().map(f64::from).collect()));
        for found in [case.on_cpu::<f32>(), on_gpu.collect()] {
            near("y", &found["output y"], &vec![0.25; batch * positions * channels], tolerance);
            let slope = &found["output slope"];
            if eps > 1e-20 {
                near("slope", slope, &vec![0.0; slope.len()], 1e-6);
            } else {
                assert!(slope.iter().all(|slope| slope.is_finite()));
            }
        }
    }
}

/// In f32 as in f64, of numbers that both have: far from 0, and where all that varies stands at the first position.
#[test]
fn the_mean_may_be_anywhere() {
    let (batch, positions, channels) = (2, 64, 8);
    let mut graph = Graph::new();
    let image = graph.input("x", Shape::batch(&[positions, channels]));
    let layer = GroupNorm::new(&mut graph, "norm", channels, 2, 1e-6);
    let y = layer.forward(&mut graph, image);
    graph.output("y", y);
    let mut arena = vec![0.0; graph.arena_elements()];
    arena[..channels].fill(1.0);
    let numbers = World::new(batch).filled(&graph, 3).inputs["x"].clone();
    // Steps of 2^-8 above 4096, steps of 2^-2 above 2^20.
    let far = |mean: f64, step: f64| numbers.iter().map(|x| mean + (x / step).round() * step).collect::<Vec<f64>>();
    let first = (0..numbers.len()).map(|i| if i / channels % positions == 0 { numbers[i] as f32 as f64 } else { 0.5 });
    let cases = [
        ("near 4096", far(4096.0, 1.0 / 256.0), 1e-5),
        ("near 2^20", far(1048576.0, 0.25), 1e-5),
        // 64 positions: y is up to 8, its error to 64 · 2^-24 of it.
        ("the first position", first.collect(), 64.0 * 6e-8 * 8.0),
    ];
    for (name, x, tolerance) in cases {
        let world = World::new(batch).input("x", x).state("params", Content::Real(arena.clone()));
        let (exact, single) = (run_on::<f64>(&graph, &world, 1), run_on::<f32>(&graph, &world, 1));
        near(name, &single["y"], &exact["y"], tolerance);
    }
}

/// Dispatches that touch a whole image.
#[test]
fn a_normalisation_takes_two_passes_and_its_gradient_as_many() {
    let shape = Shape::batch(&[16, 16, 64]);
    let image_bytes = 64 * 16 * 16 * 64 * 4;
    let passes = |backward: bool| {
        let mut graph = Graph::new();
        let (image, u) = (graph.input("x", shape.clone()), graph.input("u", shape.clone()));
        let layer = GroupNorm::new(&mut graph, "norm", 64, 8, 1e-5);
        let y = layer.forward_silu(&mut graph, image);
        if !backward {
            graph.output("y", y);
        } else {
            let mut wrt = graph.parameter_values();
            wrt.push(image);
            let gradients = graph.vjp(&[y], &[u], &wrt);
            gradients.into_iter().enumerate().for_each(|(i, value)| graph.output(format!("{i}"), value));
        }
        let source = ProgramSource { name: "norm", graph: &graph, parameters_from: "params" };
        let plan = lower(&[source], &LowerOptions { max_batch: 64, ..LowerOptions::default() }).unwrap();
        let kernels = plan.report(64).programs[0].kernels.clone();
        let whole = kernels.into_iter().filter(|kernel| kernel.bytes >= image_bytes);
        whole.map(|kernel| format!("{}: {} bytes", kernel.label, kernel.bytes)).collect::<Vec<_>>()
    };
    let (forward, both) = (passes(false), passes(true));
    assert_eq!(forward.len(), 2, "{forward:#?}");
    // Mean and variance; the cotangent before SiLU and its two sums; the gradient.
    assert_eq!(both.len(), 3, "{both:#?}");
}

#[test]
fn dropout_keeps_the_mean_and_its_mask() {
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let image = graph.input("x", Shape::batch(&[6, 5, 8]));
    let dropped = dropout(&mut graph, image, Some(clock), "dropout", 0.25);
    let energy = graph.map(&[dropped], &x(0).square());
    let energy = graph.sum_all(energy);
    let gradient = graph.gradient(energy, &[image])[0];
    graph.output("dropped", dropped);
    graph.output("gradient", gradient);
    assert_eq!(dropout(&mut graph, image, None, "dropout", 0.25), image);
    assert_eq!(dropout(&mut graph, image, Some(clock), "dropout", 0.0), image);
    let world = World::new(20).clock("clock", [9, 0, 1, 2]).input("x", vec![1.0; 4800]);
    let found = run_on::<f64>(&graph, &world, 1);
    let zeros = found["dropped"].iter().filter(|x| **x == 0.0).count() as f64;
    // 1200 of 4800 with a standard deviation of 30.
    assert!((zeros - 1200.0).abs() < 150.0, "{zeros} are dropped");
    for (y, gradient) in found["dropped"].iter().zip(&found["gradient"]) {
        assert!(*y == 0.0 || (y - 4.0 / 3.0).abs() < 1e-12);
        // 2 y · ∂y/∂x, with the same mask.
        assert!((gradient - 2.0 * y * y).abs() < 1e-12);
    }
    let sample = |clock: [u32; 4], batch: usize| {
        let world = World::new(batch).clock("clock", clock).input("x", vec![1.0; batch * 240]);
        run_on::<f64>(&graph, &world, 1)["dropped"].clone()
    };
    assert_eq!(sample([9, 3, 1, 2], 1), found["dropped"][720..960], "a sample's mask does not depend on its batch");
    assert_ne!(sample([10, 3, 1, 2], 1), found["dropped"][720..960], "every step has its own");
}

#[test]
fn dropout_after_a_normalisation_on_a_gpu() {
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let image = graph.input("x", Shape::batch(&[5, 3, 4]));
    let layer = GroupNorm::new(&mut graph, "norm", 4, 2, 1e-3);
    let normal = layer.forward_silu(&mut graph, image);
    let dropped = dropout(&mut graph, normal, Some(clock), "dropout", 0.3);
    let energy = graph.map(&[dropped], &x(0).square());
    let energy = graph.sum_all(energy);
    let mut wrt = graph.parameter_values();
    wrt.push(image);
    let gradients = graph.gradient(energy, &wrt);
    graph.output("dropped", dropped);
    gradients.into_iter().enumerate().for_each(|(i, value)| graph.output(format!("gradient {i}"), value));
    let mut case = Case::new("dropout", &graph, 5).words("clock", vec![3, 7, 1, 2]).filled();
    case.tolerance = 1e-4;
    case.check();
}

#[test]
fn reductions_over_middle_axes_on_a_gpu() {
    let mut graph = Graph::new();
    let wide = graph.input("wide", Shape::batch(&[37, 5, 3]));
    let tall = graph.input("tall", Shape::batch(&[3, 8]).with_leading(2));
    for axes in [vec![1], vec![2], vec![1, 2], vec![1, 3], vec![0, 2], vec![0, 1]] {
        for (name, value) in [("wide", wide), ("tall", tall)] {
            let sum = graph.sum(value, &axes);
            let largest = graph.reduce(Reduction::Max, value, &axes);
            // Computed by the reduction itself.
            let cubes = graph.map(&[value], &(x(0) * x(0).square()));
            let cubes = graph.sum(cubes, &axes);
            for (what, value) in [("sum", sum), ("max", largest), ("cubes", cubes)] {
                graph.output(format!("{what} of {name} over {axes:?}"), value);
            }
        }
    }
    for (driver, limits) in [
        (gpu::device().driver(), Limits { workgroups: 2, ..Limits::BASELINE }),
        (tweedie::plan::Driver::Hardware, Limits::BASELINE),
    ] {
        let mut case = Case::new("middle axes", &graph, 7).filled();
        (case.driver, case.limits) = (driver, limits);
        case.check();
    }
}

#[test]
fn a_long_middle_axis_is_reduced_in_chunks() {
    let mut graph = Graph::new();
    let long = graph.input("x", Shape::batch(&[900, 4]));
    let sum = graph.sum(long, &[1]);
    let squares = graph.map(&[long], &x(0).square());
    let squares = graph.sum(squares, &[1]);
    let weight = graph.input("w", Shape::fixed(&[4, 3]));
    let both = graph.matmul(Layout::Nn, sum, weight);
    graph.output("sum", both);
    graph.output("squares", squares);
    for batch in [1, 2] {
        let mut case = Case::new("a long middle axis", &graph, batch).filled();
        case.max_batch = batch;
        case.driver = gpu::device().driver();
        case.tolerance = 5e-5;
        case.check();
    }
}

#[test]
#[should_panic(expected = "3 groups of [batch, 4, 4]")]
fn groups_divide_channels() {
    let mut graph = Graph::new();
    let image = graph.input("x", Shape::batch(&[4, 4]));
    let affine = graph.input("scale", Shape::fixed(&[4]));
    group_norm(&mut graph, image, [affine, affine], 3, 1e-5, &x(0));
}
