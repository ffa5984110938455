//! Graphs on the GPU against the CPU executor: every op, awkward shapes, fused kernels, derivatives, small limits.

use crate::common::both::{Case, numbers};
use crate::common::gpu;
use tweedie::graph::{Distribution, Expr, Graph, Initial, Layout, Order, Reduction, Shape, Storage, TensorType, Value};
use tweedie::lower::{LowerOptions, ProgramSource, lower};
use tweedie::plan::{Driver, Limits};

const CLOCK: [u32; 4] = [5, 11, 0x1234_5678, 0x9abc_def0];

fn input(slot: usize) -> Expr {
    Expr::input(slot)
}

#[test]
fn every_function_of_one_argument() {
    let mut graph = Graph::new();
    let x = graph.input("x", Shape::batch(&[5]));
    let positive = graph.map(&[x], &(input(0).abs() * 4.0 + 1e-3));
    for (name, expr) in [
        ("neg", -input(0)),
        ("abs", input(0).abs()),
        ("exp", (input(0) * 5.0).exp()),
        ("expm1", (input(0) * 3.0).expm1()),
        ("expm1 near 0", (input(0) * 1e-4).expm1() * 1e4),
        ("tanh", (input(0) * 6.0).tanh()),
        ("sigmoid", (input(0) * 9.0).sigmoid()),
        ("softplus", (input(0) * 9.0).softplus()),
        ("silu", (input(0) * 4.0).silu()),
        ("sin", (input(0) * 30.0).sin()),
        ("cos", (input(0) * 30.0).cos()),
        ("finite", (input(0) / 0.5).is_finite()),
        ("select", input(0).less(0.0).select(input(0) * 2.0, input(0).max(0.5).min(0.7))),
        ("column", input(0) + Expr::column()),
        ("batch", input(0) * Expr::batch()),
    ] {
        let value = graph.map(&[x], &expr);
        graph.output(name, value);
    }
    for (name, expr) in [
        ("ln", input(0).ln()),
        ("log1p", input(0).log1p()),
        ("log1p near 0", (input(0) * 1e-4).log1p() * 1e4),
        ("sqrt", input(0).sqrt()),
        ("quotient", 1.0 / input(0)),
    ] {
        let value = graph.map(&[positive], &expr);
        graph.output(name, value);
    }
    Case::new("functions", &graph, 7).filled().check();
}

#[test]
fn operands_broadcast_along_any_axis() {
    let mut graph = Graph::new();
    let full = graph.input("full", Shape::batch(&[5]).with_leading(3));
    let operands = [
        Shape::batch(&[5]),
        Shape::batch(&[1]),
        Shape::fixed(&[5]),
        Shape::fixed(&[3, 1, 1]),
        Shape::fixed(&[3, 1, 5]),
        Shape::batch(&[1]).with_leading(3),
        Shape::fixed(&[1]),
    ];
    for (i, shape) in operands.into_iter().enumerate() {
        let operand = graph.input(&format!("operand{i}"), shape);
        let value = graph.map(&[full, operand], &(input(0) * 2.0 + input(1)));
        graph.output(format!("sum{i}"), value);
    }
    Case::new("broadcast", &graph, 4).filled().check();
    Case::new("broadcast of one sample", &graph, 1).filled().check();
}

#[test]
fn random_draws_have_their_place_whatever_the_kernel() {
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    for (i, shape) in [
        Shape::batch(&[1]),
        Shape::batch(&[6]),
        Shape::batch(&[8]),
        Shape::batch(&[2, 3, 1]),
        Shape::batch(&[6]).with_leading(2),
        Shape::batch(&[4]).with_leading(3),
        Shape::fixed(&[7]),
    ]
    .into_iter()
    .enumerate()
    {
        let normal = graph.random(clock, &format!("normal{i}"), Distribution::Normal, shape.clone());
        let uniform = graph.random(clock, &format!("uniform{i}"), Distribution::Uniform, shape);
        graph.output(format!("normal{i}"), normal);
        graph.output(format!("uniform{i}"), uniform);
    }
    // One draw a sample, used for each of its elements, as noise levels are.
    let time = graph.uniform(clock, "time", Shape::batch(&[1]));
    let noise = graph.normal(clock, "noise", Shape::batch(&[6]));
    let noised = graph.map(&[time, noise], &(input(0).exp() * input(1)));
    graph.output("noised", noised);
    let mut case = Case::new("random", &graph, 9).words("clock", CLOCK.to_vec());
    case.tolerance = 3e-6;
    case.check();
}

#[test]
fn products_with_and_without_epilogue() {
    for (batch, inner, outer) in [(1, 1, 1), (7, 3, 5), (20, 33, 8)] {
        let mut graph = Graph::new();
        let x = graph.input("x", Shape::batch(&[inner]));
        let weight = graph.parameter("weight", &[inner, outer], Initial::Zeros);
        let turned = graph.parameter("turned", &[outer, inner], Initial::Zeros);
        let bias = graph.parameter("bias", &[outer], Initial::Zeros);
        let time = graph.input("time", Shape::batch(&[1]));
        let nn = graph.matmul(Layout::Nn, x, weight);
        let nt = graph.matmul(Layout::Nt, x, turned);
        let activated = graph.map(&[nn, bias, time], &((input(0) + input(1)).silu() * input(2)));
        let both = graph.map(&[activated, nt], &(input(0) - input(1)));
        let tn = graph.matmul(Layout::Tn, x, both);
        for (name, value) in [("raw", nt), ("activated", activated), ("both", both), ("tn", tn)] {
            graph.output(name, value);
        }
        for driver in [Driver::Hardware, gpu::device().driver()] {
            let mut case = Case::new("products", &graph, batch).filled();
            case.driver = driver;
            case.check();
        }
    }
}

#[test]
fn reductions_over_any_axes() {
    let mut graph = Graph::new();
    let x = graph.input("x", Shape::batch(&[5]).with_leading(3));
    for axes in [vec![0], vec![1], vec![2], vec![0, 1], vec![0, 2], vec![1, 2], vec![0, 1, 2]] {
        let sum = graph.sum(x, &axes);
        graph.output(format!("sum over {axes:?}"), sum);
        let largest = graph.reduce(Reduction::Max, x, &axes);
        graph.output(format!("max over {axes:?}"), largest);
    }
    let squares = graph.map(&[x], &input(0).square());
    let norm = graph.sum(squares, &[2]);
    let unit = graph.map(&[x, norm, squares], &(input(0) / (input(1) + 1.0) + input(2)));
    graph.output("unit", unit);
    Case::new("reductions", &graph, 6).filled().check();
    let mut long = Graph::new();
    let x = long.input("x", Shape::batch(&[700]));
    let cubes = long.map(&[x], &(input(0) * input(0).square()));
    let (all, rows, columns) = (long.sum_all(cubes), long.sum(cubes, &[0]), long.sum(cubes, &[1]));
    for (name, value) in [("all", all), ("rows", rows), ("columns", columns)] {
        long.output(name, value);
    }
    Case::new("long reductions", &long, 50).filled().check();
}

/// Three things that one kernel computes, summed and compared over `axes`.
fn siblings(x: Shape, y: Shape, axes: &[usize]) -> Graph {
    let mut graph = Graph::new();
    let [x, y] = [("x", x), ("y", y)].map(|(name, shape)| graph.input(name, shape));
    let centred = graph.map(&[x, y], &(input(0) * 1.5 - input(1)));
    let square = graph.map(&[centred], &input(0).square());
    let cube = graph.map(&[centred, square], &(input(0) * input(1)));
    for (name, value) in [("centred", centred), ("square", square), ("cube", cube)] {
        let sum = graph.sum(value, axes);
        graph.output(format!("sum of {name}"), sum);
    }
    // Two that are read by the sums as well, and one of these by the host.
    for (name, value) in [("square", square), ("cube", cube)] {
        let largest = graph.reduce(Reduction::Max, value, axes);
        graph.output(format!("largest {name}"), largest);
    }
    graph.output("square", square);
    graph
}

#[test]
fn reductions_of_several_things_at_once() {
    for (i, axes) in [&[1][..], &[2], &[1, 2], &[0], &[0, 1], &[0, 2], &[0, 1, 2]].into_iter().enumerate() {
        let graph = siblings(Shape::batch(&[35, 6]), Shape::batch(&[1, 6]), axes);
        let mut case = Case::new("siblings", &graph, 7).filled();
        case.tolerance = 5e-5;
        if i % 2 == 0 {
            (case.driver, case.limits.workgroups) = (gpu::device().driver(), 2);
        }
        case.check();
        let source = ProgramSource { name: "siblings", graph: &graph, parameters_from: "params" };
        let plan = lower(&[source], &LowerOptions::default()).unwrap();
        for key in ["reduce 3 Sums", "reduce 2 Maxs"] {
            let first = plan.shaders.iter().any(|shader| shader.key.starts_with(key));
            assert!(first, "{axes:?}: no {key}");
        }
    }
    // In chunks; of more than a binding: in ranges of samples, in parts.
    let long = siblings(Shape::batch(&[900, 4]), Shape::batch(&[1, 4]), &[1]);
    Case { driver: gpu::device().driver(), tolerance: 5e-5, ..Case::new("long siblings", &long, 1) }.filled().check();
    let limits = Limits { binding_bytes: 8 << 10, ..Limits::BASELINE };
    for axes in [&[1][..], &[0], &[0, 1]] {
        let wide = siblings(Shape::batch(&[32, 8]), Shape::batch(&[1, 8]), axes);
        Case { limits, tolerance: 5e-5, ..Case::new("siblings of ranges", &wide, 20) }.filled().check();
    }
    let mut flat = Graph::new();
    let x = flat.input("x", Shape::fixed(&[5000]));
    for (name, expr) in [("sum", input(0) * 2.0), ("squares", input(0).square())] {
        let value = flat.map(&[x], &expr);
        let sum = flat.sum_all(value);
        flat.output(name, sum);
    }
    Case { limits, tolerance: 5e-5, ..Case::new("siblings in parts", &flat, 1) }.filled().check();
}

#[test]
fn slices_and_concatenations_of_any_axis() {
    let mut graph = Graph::new();
    let x = graph.input("x", Shape::batch(&[4, 6]).with_leading(3));
    let y = graph.input("y", Shape::batch(&[4, 6]).with_leading(3));
    for (axis, start, length) in [(0, 1, 2), (2, 1, 3), (3, 4, 2), (3, 0, 4)] {
        let part = graph.slice(x, axis, start, length);
        graph.output(format!("slice {axis} {start}"), part);
        let joined = graph.concat(&[part, y], axis);
        graph.output(format!("concat {axis} {start}"), joined);
    }
    Case::new("views", &graph, 5).filled().check();
}

#[test]
fn data_rings_and_clocks() {
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let status = graph.state("status", TensorType::f32(Shape::fixed(&[1])));
    let bytes =
        graph.state("images", TensorType { shape: Shape::fixed(&[13, 2, 3]), dtype: tweedie::graph::DType::U8 });
    let floats = graph.state("points", TensorType::f32(Shape::fixed(&[10, 4])));
    let images = graph.gather(bytes, clock, Storage::U8 { scale: 0.125, shift: -1.0 }, Order::Shuffled);
    let points = graph.gather(floats, clock, Storage::F32, Order::Sequential);
    let table = graph.state("table", TensorType::f32(Shape::fixed(&[9, 3])));
    let entry = graph.table_entry(table, clock, 2);
    let step = graph.step(clock);
    let scaled = graph.map(&[points, entry, step], &(input(0) * input(1) + input(2)));
    let total = graph.sum_all(scaled);
    let ring = graph.state("ring", TensorType::f32(Shape::fixed(&[4, 2])));
    let ring = graph.ring_push(ring, clock, status, &[total, entry]);
    let ticked = graph.tick(clock, status);
    graph.output("images", images);
    graph.output("scaled", scaled);
    graph.assign("ring", ring);
    graph.assign("clock", ticked);
    for halted in [0.0, 1.0] {
        let mut case = Case::new("data", &graph, 6)
            .words("clock", vec![1, 2, 3, 4])
            .floats("status", vec![halted])
            .bytes("images", (0..78).map(|i| (i * 5 % 17) as u8).collect())
            .floats("points", numbers(40, 3))
            .floats("ring", vec![0.0; 8])
            .floats("table", numbers(27, 4));
        case.runs = 6;
        case.check();
    }
}

/// A small conditioned network with its loss: `(graph, loss, x, output)`.
fn network(width: usize) -> (Graph, Value, Value, Value) {
    let mut graph = Graph::new();
    let x = graph.input("x", Shape::batch(&[3]));
    let time = graph.input("time", Shape::batch(&[1]));
    let target = graph.input("target", Shape::batch(&[3]));
    let mut hidden = x;
    for (layer, (inner, outer)) in [(3, width), (width, width), (width, 3)].into_iter().enumerate() {
        let weight = graph.parameter(&format!("weight{layer}"), &[inner, outer], Initial::Zeros);
        let bias = graph.parameter(&format!("bias{layer}"), &[outer], Initial::Zeros);
        let product = graph.matmul(Layout::Nn, hidden, weight);
        hidden = graph.map(&[product, bias, time], &(input(0) * 0.5 + input(1) + input(2)));
        if layer < 2 {
            hidden = graph.map(&[hidden], &input(0).silu());
        }
    }
    let error = graph.map(&[hidden, target, time], &((input(0) - input(1)).square() * input(2).exp()));
    let per_sample = graph.sum(error, &[1]);
    let mean = graph.map(&[per_sample], &(input(0) / Expr::batch()));
    let loss = graph.sum_all(mean);
    (graph, loss, x, hidden)
}

#[test]
fn gradients_of_a_network() {
    let (mut graph, loss, x, _) = network(18);
    let mut wrt = graph.parameter_values();
    wrt.push(x);
    let gradients = graph.gradient(loss, &wrt);
    let packed = graph.pack(&gradients[..6]);
    graph.output("loss", loss);
    graph.output("packed", packed);
    graph.output("input gradient", gradients[6]);
    Case::new("network gradient", &graph, 11).filled().check();
}

#[test]
fn the_divergence_of_a_network_and_its_gradient() {
    // Hutchinson's estimate of the divergence with two probes, differentiated in the parameters: vjp of jvp.
    let (mut graph, _, x, output) = network(10);
    let probes = graph.input("probes", Shape::batch(&[3]).with_leading(2));
    let moved = graph.jvp(&[output], &[x], &[probes])[0];
    let product = graph.times(moved, probes);
    let divergence = graph.sum_all(product);
    let parameters = graph.parameter_values();
    let gradients = graph.gradient(divergence, &parameters);
    let packed = graph.pack(&gradients);
    graph.output("divergence", divergence);
    graph.output("gradient", packed);
    let mut case = Case::new("divergence", &graph, 5).filled();
    case.tolerance = 1e-4;
    case.check();
}

#[test]
fn small_limits_change_nothing() {
    let (mut graph, loss, _, _) = network(72);
    let parameters = graph.parameter_values();
    let gradients = graph.gradient(loss, &parameters);
    let packed = graph.pack(&gradients);
    let squares = graph.map(&[packed], &input(0).square());
    let norm = graph.sum_all(squares);
    let arena = TensorType::f32(Shape::fixed(&[graph.arena_elements()]));
    let (params, moment) = (graph.state("params", arena.clone()), graph.state("moment", arena));
    let moved = graph.map(&[moment, packed], &(input(0) * 0.9 + input(1)));
    let updated = graph.map(&[params, moved, norm], &(input(0) - 0.01 * input(1) / (1.0 + input(2)).sqrt()));
    graph.assign("params", updated);
    graph.assign("moment", moved);
    graph.output("norm", norm);
    let elements = graph.arena_elements();
    assert!(elements * 4 > 20 << 10, "the arena has to be longer than a binding");
    let tight = Limits { binding_bytes: 21 << 10, workgroups: 3, ..Limits::BASELINE };
    for limits in [Limits::BASELINE, tight] {
        let mut case = Case::new("small limits", &graph, 13).floats("moment", vec![0.0; elements]).filled();
        case.limits = limits;
        case.runs = 3;
        case.check();
    }
}
