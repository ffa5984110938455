//! Convolutions: the CPU executor against seven loops over random geometries, and the GPU against the CPU.

use crate::common::both::Case;
use crate::common::gpu::device;
use crate::common::graphs::{Numbers, World, check, near, run_naive, run_on};
use tweedie::graph::{ConvLayout, Dim, Expr, Geometry, Graph, Initial, Padding, Shape, Value};
use tweedie::lower::{LowerOptions, ProgramSource, lower};
use tweedie::plan::Driver;

const LAYOUTS: [ConvLayout; 3] = [ConvLayout::Forward, ConvLayout::DataGradient, ConvLayout::WeightGradient];

/// A geometry whose kernel fits.
fn geometry(numbers: &mut Numbers) -> Geometry {
    loop {
        let mut below = |n| numbers.below(n);
        let input = [1 + below(9), 1 + below(9)];
        let kernel = if below(2) == 0 { [3, 3] } else { [1 + below(4), 1 + below(3)] };
        let padding = match below(3) {
            0 => Padding::all(below(3)),
            1 => Padding { top: 0, bottom: 1, left: 0, right: 1 },
            _ => Padding { top: below(3), bottom: below(3), left: below(3), right: below(3) },
        };
        let geometry = Geometry { input, kernel, stride: 1 + below(3), padding, upsample: 1 + below(2) };
        if geometry.output().is_some() {
            return geometry;
        }
    }
}

/// The shapes of the two inputs.
fn shapes(layout: ConvLayout, geometry: Geometry, lead: &[Dim], [inward, outward]: [usize; 2]) -> [Shape; 2] {
    let image = |[height, width]: [usize; 2], channels: usize| {
        Shape::new(lead.iter().copied().chain([height.into(), width.into(), channels.into()]))
    };
    let (x, y) = (image(geometry.input, inward), image(geometry.output().unwrap(), outward));
    let w = Shape::fixed(&[geometry.kernel[0], geometry.kernel[1], inward, outward]);
    match layout {
        ConvLayout::Forward => [x, w],
        ConvLayout::DataGradient => [y, w],
        ConvLayout::WeightGradient => [x, y],
    }
}

/// `lead` images; the inputs are `a` and `b`, the result is `y`.
fn graph_of(layout: ConvLayout, geometry: Geometry, lead: &[Dim], channels: [usize; 2]) -> Graph {
    let mut graph = Graph::new();
    let [a, b] = shapes(layout, geometry, lead, channels);
    let (a, b) = (graph.input("a", a), graph.input("b", b));
    let y = graph.conv(layout, geometry, a, b);
    graph.output("y", y);
    graph
}

#[test]
fn random_geometries_agree_with_seven_loops() {
    let mut numbers = Numbers::new(5);
    for round in 0..60 {
        let geometry = geometry(&mut numbers);
        let channels = [1 + numbers.below(6), 1 + numbers.below(6)];
        let lead = [vec![Dim::Batch], vec![Dim::Fixed(2), Dim::Batch], vec![]][numbers.below(3)].clone();
        let batch = 1 + numbers.below(4);
        for layout in LAYOUTS {
            let graph = graph_of(layout, geometry, &lead, channels);
            let world = World::new(batch).filled(&graph, round);
            check(&format!("{layout:?} {geometry:?} {channels:?}"), &graph, &world, 1, 2e-5);
        }
    }
}

#[test]
fn many_tasks_agree_with_seven_loops() {
    // Long sums, many rows, wide kernels: each is cut in its own way. 16 and 32 channels have copies of their own.
    let cases = [
        ([16, 16], [24, 32], 5, 1),
        ([4, 4], [80, 150], 4, 1),
        ([9, 8], [96, 72], 4, 2),
        ([3, 40], [3, 8], 40, 1),
        ([7, 5], [16, 32], 30, 1),
        ([1, 2], [32, 16], 3, 1),
        ([6, 7], [32, 16], 3, 2),
    ];
    for (input, channels, batch, stride) in cases {
        let geometry = Geometry { input, kernel: [3, 3], stride, padding: Padding::all(1), upsample: 1 };
        for layout in LAYOUTS {
            let graph = graph_of(layout, geometry, &[Dim::Batch], channels);
            let world = World::new(batch).filled(&graph, 8);
            check(&format!("{layout:?} {geometry:?} {channels:?}"), &graph, &world, 1, 1e-4);
        }
    }
}

#[test]
fn the_layouts_are_transposes_of_each_other() {
    let mut numbers = Numbers::new(9);
    for round in 0..20 {
        let geometry = geometry(&mut numbers);
        let mut graph = Graph::new();
        let [x, w] = shapes(ConvLayout::Forward, geometry, &[Dim::Batch], [3, 2]);
        let [_, y] = shapes(ConvLayout::WeightGradient, geometry, &[Dim::Batch], [3, 2]);
        let [x, w, u] = [("x", x), ("w", w), ("u", y)].map(|(name, shape)| graph.input(name, shape));
        let y = graph.conv(ConvLayout::Forward, geometry, x, w);
        let dx = graph.conv(ConvLayout::DataGradient, geometry, u, w);
        let dw = graph.conv(ConvLayout::WeightGradient, geometry, x, u);
        for (name, a, b) in [("forward", y, u), ("data", dx, x), ("weight", dw, w)] {
            let product = graph.times(a, b);
            let sum = graph.sum_all(product);
            graph.output(name, sum);
        }
        let world = World::new(3).filled(&graph, round);
        let found = run_on::<f64>(&graph, &world, 1);
        near(&format!("data {geometry:?}"), &found["data"], &found["forward"], 1e-12);
        near(&format!("weight {geometry:?}"), &found["weight"], &found["forward"], 1e-12);
    }
}

/// f(x, w): a convolution in the middle of other things; a scalar.
fn network(graph: &mut Graph, x: Value, w: Value) -> Value {
    let before = graph.map(&[x], &(Expr::input(0) * 1.3).sin());
    let down = graph.conv2d(before, w, 2, Padding { top: 0, bottom: 1, left: 0, right: 1 });
    let middle = graph.map(&[down], &(Expr::input(0) * 0.7).tanh());
    let up = graph.conv2d_upsampled(middle, w, Padding::all(1));
    let joined = graph.map(&[up, before], &(Expr::input(0).square() + Expr::input(1) * Expr::input(0)));
    graph.sum_all(joined)
}

/// The derivative of vᵀ∂f/∂x by jvp, differentiated again by vjp: against differences of the gradient.
#[test]
fn derivatives_of_derivatives_agree_with_differences() {
    let (image, kernel) = (Shape::batch(&[4, 4, 2]), Shape::fixed(&[3, 3, 2, 2]));
    let mut graph = Graph::new();
    let (x, w) = (graph.input("x", image.clone()), graph.input("w", kernel.clone()));
    let (v, z) = (graph.input("v", image.with_leading(1)), graph.input("z", kernel.with_leading(1)));
    let f = network(&mut graph, x, w);
    let gradient = graph.gradient(f, &[x, w]);
    graph.output("dx", gradient[0]);
    graph.output("dw", gradient[1]);
    let tangent = graph.jvp(&[f], &[x, w], &[v, z])[0];
    let tangent = graph.reshape(tangent, Shape::fixed(&[1]));
    for (name, value) in ["reverse of forward x", "reverse of forward w"].iter().zip(graph.gradient(tangent, &[x, w])) {
        graph.output(*name, value);
    }
    for (name, value) in
        ["forward of reverse x", "forward of reverse w"].iter().zip(graph.jvp(&gradient, &[x, w], &[v, z]))
    {
        graph.output(*name, value);
    }
    let world = World::new(2).filled(&graph, 4);
    let moved = |h: f64| {
        let mut world = world.clone();
        for (name, direction) in [("x", "v"), ("w", "z")] {
            let direction = world.inputs[direction].clone();
            let values = world.inputs.get_mut(name).unwrap();
            values.iter_mut().zip(direction).for_each(|(value, direction)| *value += h * direction);
        }
        run_on::<f64>(&graph, &world, 1)
    };
    let (found, naive) = (moved(0.0), run_naive(&graph, &mut world.clone()));
    let (above, below) = (moved(1e-5), moved(-1e-5));
    for (name, gradient) in [("x", "dx"), ("w", "dw")] {
        let slope = |(a, b): (&f64, &f64)| (a - b) / 2e-5;
        let slopes: Vec<f64> = above[gradient].iter().zip(&below[gradient]).map(slope).collect();
        for order in ["reverse of forward", "forward of reverse"] {
            let name = format!("{order} {name}");
            near(&name, &found[&name], &slopes, 1e-7);
            near(&name, &found[&name], &naive[&name], 1e-12);
        }
    }
}

/// Convolutions as networks have them: bias, time embedding, activation and residual after them, a stride with uneven
/// padding, up-sampling; and all gradients.
fn blocks(channels: usize) -> Graph {
    let mut graph = Graph::new();
    let x = graph.input("x", Shape::batch(&[6, 5, 3]));
    let time = graph.input("time", Shape::batch(&[1, 1, channels]));
    let kernel = |graph: &mut Graph, name: &str, inward, outward| {
        graph.parameter(name, &[3, 3, inward, outward], Initial::Zeros)
    };
    let stem = kernel(&mut graph, "stem", 3, channels);
    let down = kernel(&mut graph, "down", channels, channels);
    let up = kernel(&mut graph, "up", channels, 5);
    let bias = graph.parameter("bias", &[channels], Initial::Zeros);
    let skip = graph.parameter("skip", &[1, 1, 3, 5], Initial::Zeros);
    let first = graph.conv2d(x, stem, 1, Padding::all(1));
    let first = graph.map(&[first, bias, time], &(Expr::input(0) + Expr::input(1) + Expr::input(2)).silu());
    let second = graph.conv2d(first, down, 2, Padding { top: 0, bottom: 0, left: 1, right: 2 });
    let second = graph.map(&[second], &Expr::input(0).tanh());
    let third = graph.conv2d_upsampled(second, up, Padding { top: 2, bottom: 2, left: 1, right: 0 });
    let residual = graph.conv2d(x, skip, 1, Padding::default());
    let y = graph.plus(third, residual);
    graph.output("y", y);
    let square = graph.times(y, y);
    let loss = graph.sum_all(square);
    let gradients = graph.gradient(loss, &[x, time, stem, down, up, bias, skip]);
    for (i, gradient) in gradients.into_iter().enumerate() {
        graph.output(format!("gradient {i}"), gradient);
    }
    graph
}

#[test]
fn networks_on_the_gpu_agree_with_the_cpu() {
    for (channels, driver, batch) in [(8, Driver::Hardware, 3), (7, device().driver(), 2)] {
        let graph = blocks(channels);
        let name = format!("{channels} channels, {driver:?}");
        Case { driver, tolerance: 1e-4, ..Case::new(&name, &graph, batch) }.filled().check();
    }
}

#[test]
fn tangents_on_the_gpu_are_more_images() {
    let mut graph = Graph::new();
    let (image, kernel) = (Shape::batch(&[4, 3, 4]), Shape::fixed(&[3, 3, 4, 6]));
    let (x, w) = (graph.input("x", image.clone()), graph.input("w", kernel.clone()));
    let (v, z) = (graph.input("v", image.with_leading(2)), graph.input("z", kernel.with_leading(2)));
    let y = graph.conv2d(x, w, 1, Padding::all(1));
    let y = graph.map(&[y], &Expr::input(0).silu());
    let tangent = graph.jvp(&[y], &[x, w], &[v, z])[0];
    graph.output("tangent", tangent);
    Case { tolerance: 1e-4, ..Case::new("tangents", &graph, 3) }.filled().check();
}

#[test]
fn an_epilogue_shares_the_kernel_of_its_convolution() {
    let mut graph = Graph::new();
    let (x, w) = (graph.input("x", Shape::batch(&[4, 4, 4])), graph.input("w", Shape::fixed(&[3, 3, 4, 4])));
    let (bias, time) = (graph.input("bias", Shape::fixed(&[4])), graph.input("time", Shape::batch(&[1, 1, 4])));
    let y = graph.conv2d(x, w, 1, Padding::all(1));
    let y =
        graph.map(&[y, bias, time, x], &((Expr::input(0) + Expr::input(1) + Expr::input(2)).silu() + Expr::input(3)));
    graph.output("y", y);
    let plan =
        lower(&[ProgramSource { name: "one", graph: &graph, parameters_from: "params" }], &LowerOptions::default())
            .unwrap();
    let labels: Vec<&str> = plan.programs[0].dispatches.iter().map(|dispatch| dispatch.label.as_str()).collect();
    assert_eq!(labels, ["convolution + pointwise"]);
    Case::new("epilogue", &graph, 3).filled().check();
}
