//! Concatenations and slices of channels on a GPU: what is read and written in parts, and what it agrees with.

use crate::common::both::Case;
use crate::common::gpu::device;
use tweedie::graph::{ConvLayout, Expr, Geometry, Graph, Initial, Layout, Padding, Shape, Value};
use tweedie::lower::{LowerOptions, ProgramSource, lower};
use tweedie::nn::Conditioning;
use tweedie::nn::GroupNorm;
use tweedie::nn::unet::{Family, Features, UNet, UNetShape};
use tweedie::plan::Limits;
use tweedie::plan::{Driver, Plan};

/// As many buffers as any GPU of these years binds: parts take room.
const ROOMY: Limits = Limits { storage_buffers: 12, ..Limits::BASELINE };

fn x(slot: usize) -> Expr {
    Expr::input(slot)
}

fn plan(graph: &Graph) -> Plan {
    let options = LowerOptions { limits: ROOMY, ..LowerOptions::default() };
    lower(&[ProgramSource { name: "joins", graph, parameters_from: "params" }], &options).unwrap()
}

/// Dispatches of a kernel whose key starts so.
fn count(plan: &Plan, key: &str) -> usize {
    let dispatches = &plan.programs[0].dispatches;
    dispatches.iter().filter(|dispatch| plan.shaders[dispatch.shader].key.starts_with(key)).count()
}

/// What is copied, but for the one pixel that a normalisation starts from.
fn copies(plan: &Plan) -> Vec<&str> {
    let copied = plan.programs[0].dispatches.iter().filter(|d| plan.shaders[d.shader].key.starts_with("copy"));
    copied.map(|dispatch| dispatch.label.as_str()).filter(|label| !label.ends_with("group_norm slice")).collect()
}

/// Two images joined, from what is joined, for `build` to make values of: their loss, and all gradients. Before and
/// after it are other things, so that no cotangent is 1.
fn joined(inputs: [usize; 2], build: impl FnOnce(&mut Graph, Value) -> Vec<Value>) -> Graph {
    let mut graph = Graph::new();
    let [a, b] = [("a", inputs[0]), ("b", inputs[1])].map(|(name, n)| graph.input(name, Shape::batch(&[4, 3, n])));
    let [p, q] = [a, b].map(|image| graph.map(&[image], &(x(0) * 1.3).sin()));
    let joined = graph.concat(&[p, q], 3);
    let values = build(&mut graph, joined);
    let loss = loss(&mut graph, &values);
    let mut wrt = graph.parameter_values();
    wrt.extend([a, b]);
    let gradients = graph.gradient(loss, &wrt);
    gradients.into_iter().enumerate().for_each(|(i, gradient)| graph.output(format!("gradient {i}"), gradient));
    graph
}

/// As a block on the way up takes them: normalised and convolved, and projected.
fn block(inputs: [usize; 2], outputs: usize) -> Graph {
    joined(inputs, |graph, joined| {
        let both = inputs[0] + inputs[1];
        let norm = GroupNorm::new(graph, "norm", both, 1, 1e-3);
        let kernel = graph.parameter("kernel", &[3, 3, both, outputs], Initial::Zeros);
        let shortcut = graph.parameter("shortcut", &[1, 1, both, outputs], Initial::Zeros);
        let normal = norm.forward_silu(graph, joined);
        let normal = graph.conv2d(normal, kernel, 1, Padding::all(1));
        let projected = graph.conv2d(joined, shortcut, 1, Padding::default());
        vec![graph.plus(normal, projected)]
    })
}

/// Convolved as they are: in steps of one pixel, and after doubling.
fn convolved(inputs: [usize; 2], outputs: usize) -> Graph {
    joined(inputs, |graph, joined| {
        let [kernel, doubling] = ["kernel", "doubling"]
            .map(|name| graph.parameter(name, &[3, 3, inputs[0] + inputs[1], outputs], Initial::Zeros));
        let doubled = graph.conv2d_upsampled(joined, doubling, Padding::all(1));
        vec![graph.conv2d(joined, kernel, 1, Padding::all(1)), doubled]
    })
}

fn loss(graph: &mut Graph, values: &[Value]) -> Value {
    let mut sum = None;
    for value in values {
        let square = graph.map(&[*value], &(x(0).square() + x(0)));
        let part = graph.sum_all(square);
        sum = Some(sum.map_or(part, |sum| graph.plus(sum, part)));
    }
    sum.expect("values")
}

/// Kernels that read their first operand in two parts, by what they start with.
fn reads_joined(plan: &Plan, key: &str) -> usize {
    let keys = plan.programs[0].dispatches.iter().map(|dispatch| &plan.shaders[dispatch.shader].key);
    keys.filter(|found| found.starts_with(key) && found.contains(" joined")).count()
}

#[test]
fn a_joined_block_and_its_gradients() {
    for (inputs, outputs, driver) in [([8, 4], 8, Driver::Hardware), ([4, 6], 5, device().driver())] {
        let graph = block(inputs, outputs);
        let plan = plan(&graph);
        assert!(copies(&plan).is_empty(), "{inputs:?}: nothing is copied");
        // The projection, and the gradient of its weights.
        assert_eq!(["matmul Nn", "matmul Tn"].map(|key| reads_joined(&plan, key)), [1, 1]);
        let name = format!("{inputs:?} channels to {outputs}");
        Case { driver, limits: ROOMY, tolerance: 2e-4, ..Case::new(&name, &graph, 3) }.filled().check();
    }
}

/// The blocks of both families read skips where they are, and send back to where they are.
#[test]
fn a_unet_copies_no_skip() {
    for family in [Family::Ddpm, Family::DdpmPlusPlus] {
        let shape = UNetShape {
            family,
            image: [8, 8, 1],
            features: Features::Sinusoidal,
            channels: 16,
            multipliers: vec![1, 2],
            blocks: 1,
            attention: Vec::new(),
            heads: 1,
            groups: 8,
            group_eps: 1e-5,
            dropout: 0.1,
            classes: 0,
            augment_dim: 0,
        };
        let mut graph = Graph::new();
        let net = UNet::new(&mut graph, &shape);
        let [image, level] = [("x", 64), ("level", 1)].map(|(name, n)| graph.input(name, Shape::batch(&[n])));
        let clock = graph.clock("clock");
        let y = net.forward(&mut graph, image, level, Conditioning { clock: Some(clock), ..Conditioning::default() });
        let loss = loss(&mut graph, &[y]);
        let weights = graph.parameter_values();
        let gradients = graph.gradient(loss, &weights);
        let gradient = graph.pack(&gradients);
        graph.output("gradient", gradient);
        let plan = plan(&graph);
        let copied = copies(&plan).into_iter().filter(|label| label.ends_with("concat") || label.ends_with("slice"));
        // What the middle's attention sends back to its queries, keys and values is put together.
        assert_eq!(copied.collect::<Vec<_>>(), ["concat"; 3], "{family:?}");
    }
}

#[test]
fn convolutions_of_joined_images_and_their_gradients() {
    for (inputs, outputs, driver) in [([4, 4], 4, device().driver()), ([4, 3], 3, Driver::Hardware)] {
        let graph = convolved(inputs, outputs);
        let plan = plan(&graph);
        assert_eq!(["conv Nn", "conv Tn"].map(|key| reads_joined(&plan, key)), [2, 2]);
        let name = format!("{inputs:?} channels to {outputs}");
        Case { driver, limits: ROOMY, tolerance: 2e-4, ..Case::new(&name, &graph, 2) }.filled().check();
    }
}

#[test]
fn ranges_of_samples_are_read_in_parts() {
    let graph = block([8, 4], 8);
    // The joined images of 40 samples would be 23 kB.
    let limits = Limits { binding_bytes: 12 << 10, workgroups: 7, ..ROOMY };
    let mut case = Case::new("ranges in parts", &graph, 37).filled();
    (case.limits, case.max_batch, case.tolerance) = (limits, 40, 5e-4);
    case.check();
}

/// What cannot be read in parts is copied, and agrees as well.
#[test]
fn what_needs_the_whole_is_copied() {
    let mut graph = Graph::new();
    let [a, b] = ["a", "b"].map(|name| graph.input(name, Shape::batch(&[3, 4])));
    let odd = graph.input("odd", Shape::batch(&[3, 3]));
    let weight = graph.input("w", Shape::fixed(&[8, 2]));
    let square = graph.input("s", Shape::fixed(&[8, 8]));
    // A result; a right factor; a first part that ends within a quad; a sum over channels; another shape.
    let shown = graph.concat(&[a, b], 2);
    graph.output("shown", shown);
    let [c, d] = [a, b].map(|value| graph.map(&[value], &x(0).exp()));
    let right = graph.concat(&[c, d], 2);
    let product = graph.matmul(Layout::Tn, a, right);
    graph.output("right factor", product);
    let uneven = graph.concat(&[odd, c], 2);
    let uneven = graph.map(&[uneven], &x(0).square());
    graph.output("uneven", uneven);
    let [e, f] = [a, b].map(|value| graph.map(&[value], &x(0).sin()));
    let summed = graph.concat(&[e, f], 2);
    let summed = graph.sum(summed, &[2]);
    graph.output("summed", summed);
    let [g, h] = [a, b].map(|value| graph.map(&[value], &x(0).cos()));
    let folded = graph.concat(&[g, h], 2);
    let folded = graph.reshape(folded, Shape::batch(&[6, 4]));
    let folded = graph.map(&[folded], &(x(0) * 2.0));
    graph.output("folded", folded);
    // Both at once, where every binding counts.
    let left = graph.matmul(Layout::Nn, right, weight);
    let again = graph.matmul(Layout::Nt, right, square);
    graph.output("left", left);
    graph.output("again", again);
    Case { tolerance: 5e-5, ..Case::new("copied", &graph, 3) }.filled().check();
}

#[test]
fn values_are_written_into_their_slices() {
    let mut graph = Graph::new();
    let image = graph.input("x", Shape::batch(&[2, 3, 5]));
    let clock = graph.clock("clock");
    let weight = graph.parameter("w", &[1, 1, 5, 14], Initial::Zeros);
    let bias = graph.parameter("b", &[14], Initial::Zeros);
    let projected = graph.conv2d(image, weight, 1, Padding::default());
    let projected = graph.map(&[projected, bias], &(x(0) + x(1)));
    // Drawn: a mask has the numbers of the whole, whatever it is stored as.
    let dropped = tweedie::nn::dropout(&mut graph, projected, Some(clock), "mask", 0.4);
    let parts = [(0, 4), (4, 8), (12, 2)].map(|(start, length)| graph.slice(dropped, 3, start, length));
    for (i, part) in parts.into_iter().enumerate() {
        let energy = graph.map(&[part], &(x(0).square() * (i + 1) as f64));
        graph.output(format!("part {i}"), energy);
    }
    let plan = plan(&graph);
    assert_eq!(count(&plan, "copy"), 0);
    let case = || Case::new("slices", &graph, 3).words("clock", vec![3, 7, 1, 2]).filled();
    Case { tolerance: 1e-5, ..case() }.check();
    let geometry = Geometry { input: [2, 3], kernel: [3, 3], stride: 1, padding: Padding::all(1), upsample: 1 };
    // A slice that is wanted, one that leaves a gap: these are copied.
    let mut graph = Graph::new();
    let image = graph.input("x", Shape::batch(&[2, 3, 8]));
    let kernel = graph.input("w", Shape::fixed(&[3, 3, 8, 8]));
    let y = graph.conv(ConvLayout::Forward, geometry, image, kernel);
    let y = graph.map(&[y], &x(0).tanh());
    let z = graph.map(&[y], &x(0).exp());
    graph.output("z", z);
    for (name, value, start) in [("a", y, 0), ("b", z, 4)] {
        let part = graph.slice(value, 3, start, 4);
        graph.output(name, part);
    }
    Case { tolerance: 5e-5, ..Case::new("copied slices", &graph, 2) }.filled().check();
}
