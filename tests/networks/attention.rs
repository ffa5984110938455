//! Attention and what it is made of, batches of matrix products and permutations: PyTorch, naive twins, a GPU.

use crate::common::both::Case;
use crate::common::gpu;
use crate::common::graphs::{World, check, near, run_on};
use serde_json::Value as Json;
use tweedie::graph::{Attention, Dim, Expr, Graph, Layout, Reduction, Shape, Value};
use tweedie::lower::{LowerError, LowerOptions, ProgramSource, lower};
use tweedie::nn::attention;
use tweedie::plan::{Driver, Limits};

fn x(slot: usize) -> Expr {
    Expr::input(slot)
}

fn list(json: &Json, name: &str) -> Vec<f64> {
    json[name].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn attention_is_that_of_pytorch() {
    let all: Json = serde_json::from_str(include_str!("../fixtures/layers.json")).unwrap();
    for case in all["attention"].as_array().unwrap() {
        let size = |name: &str| case[name].as_u64().unwrap() as usize;
        let shape = Shape::batch(&[list(case, "positions")[0] as usize, size("channels")]);
        let mut graph = Graph::new();
        let inputs = ["q", "k", "v", "u"].map(|name| graph.input(name, shape.clone()));
        let [q, k, v, u] = inputs;
        let y = attention(&mut graph, [q, k, v], size("heads"));
        let gradients = graph.vjp(&[y], &[u], &[q, k, v]);
        graph.output("y", y);
        ["dq", "dk", "dv"].iter().zip(gradients).for_each(|(name, value)| graph.output(*name, value));
        let mut world = World::new(size("batch"));
        for name in ["q", "k", "v", "u"] {
            world = world.input(name, list(case, name));
        }
        let (exact, single) = (run_on::<f64>(&graph, &world, 1), run_on::<f32>(&graph, &world, 1));
        for name in ["y", "dq", "dk", "dv"] {
            near(&format!("{name} in f64"), &exact[name], &list(case, name), 1e-12);
            near(&format!("{name} in f32"), &single[name], &list(case, name), 2e-6);
        }
    }
}

#[test]
fn large_scores_do_not_overflow() {
    let mut graph = Graph::new();
    let q = graph.input("q", Shape::batch(&[2, 1]));
    let y = attention(&mut graph, [q, q, q], 1);
    graph.output("y", y);
    // Scores of 4e4: the larger key takes all.
    let world = World::new(1).input("q", vec![200.0, 100.0]);
    near("y", &run_on::<f32>(&graph, &world, 1)["y"], &[200.0, 200.0], 1e-6);
}

#[test]
fn products_of_many_matrices() {
    for (lead, m, k, n) in [(2, 1, 1, 1), (3, 5, 7, 2), (1, 33, 67, 31), (40, 17, 4, 19), (2, 130, 128, 129)] {
        for layout in [Layout::Nn, Layout::Nt, Layout::Tn] {
            let (left, right) = match layout {
                Layout::Nn => ([m, k], [k, n]),
                Layout::Nt => ([m, k], [n, k]),
                Layout::Tn => ([k, m], [k, n]),
            };
            let shape = |[a, b]: [usize; 2]| Shape::new([lead.into(), Dim::Batch, a.into(), b.into()]);
            let mut graph = Graph::new();
            let (a, b) = (graph.input("a", shape(left)), graph.input("b", shape(right)));
            let c = graph.batch_matmul(layout, a, b);
            graph.output("c", c);
            check(&format!("{layout:?} {m} {k} {n}"), &graph, &World::new(2).filled(&graph, 3), 1, 3e-6);
        }
    }
}

/// Large enough that matrices are multiplied in turn, in blocks.
#[test]
fn products_of_large_matrices() {
    let mut graph = Graph::new();
    let a = graph.input("a", Shape::batch(&[210, 250]));
    let b = graph.input("b", Shape::batch(&[190, 250]));
    let c = graph.batch_matmul(Layout::Nt, a, b);
    graph.output("c", c);
    check("large", &graph, &World::new(2).filled(&graph, 3), 1, 5e-6);
}

#[test]
fn permutations_of_every_order() {
    for lengths in [[3, 1, 5, 4], [2, 37, 3, 600]] {
        let mut graph = Graph::new();
        let a = graph.input("a", Shape::new([lengths[0].into(), Dim::Batch, lengths[2].into(), lengths[3].into()]));
        for code in 0..256usize {
            let axes: Vec<usize> = (0..4).map(|place| code >> (2 * place) & 3).collect();
            let distinct = (0..4).all(|axis| axes.contains(&axis));
            if distinct && (lengths[3] < 100 || axes[0] == 3 || axes[3] == 3) {
                let turned = graph.permute(a, &axes);
                graph.output(format!("{axes:?}"), turned);
            }
        }
        check("permutations", &graph, &World::new(lengths[1]).filled(&graph, 3), 1, 0.0);
    }
}

#[test]
fn products_and_permutations_on_a_gpu() {
    let mut graph = Graph::new();
    let a = graph.input("a", Shape::batch(&[2, 7, 5]));
    let b = graph.input("b", Shape::batch(&[2, 5, 9]));
    let bias = graph.input("bias", Shape::batch(&[2, 7, 1]));
    let nn = graph.batch_matmul(Layout::Nn, a, b);
    let finished = graph.map(&[nn, bias], &(x(0) * 0.5 + x(1)).tanh());
    let nt = graph.batch_matmul(Layout::Nt, finished, finished);
    let tn = graph.batch_matmul(Layout::Tn, a, finished);
    for (name, value) in [("finished", finished), ("nt", nt), ("tn", tn)] {
        graph.output(name, value);
    }
    for axes in [[0, 2, 1, 3], [1, 3, 0, 2], [3, 2, 1, 0], [2, 0, 1, 3], [1, 2, 3, 0]] {
        let turned = graph.permute(a, &axes);
        graph.output(format!("{axes:?}"), turned);
    }
    for (driver, limits) in
        [(Driver::Hardware, Limits::BASELINE), (gpu::device().driver(), Limits { workgroups: 3, ..Limits::BASELINE })]
    {
        let mut case = Case::new("batches of products", &graph, 3).filled();
        (case.driver, case.limits) = (driver, limits);
        case.check();
    }
}

#[test]
fn attention_and_its_derivatives_on_a_gpu() {
    let mut graph = Graph::new();
    let shape = Shape::batch(&[3, 2, 8]);
    let [q, k, v] = ["q", "k", "v"].map(|name| graph.input(name, shape.clone()));
    let mixed = attention(&mut graph, [q, k, v], 2);
    let energy = graph.map(&[mixed, q], &(x(0).square() + x(0) * x(1)));
    let energy = graph.sum_all(energy);
    let gradients = graph.gradient(energy, &[q, k, v]);
    let direction = graph.input("direction", shape.with_leading(1));
    let moved = graph.jvp(&[mixed], &[q], &[direction])[0];
    let size = graph.map(&[moved], &x(0).square());
    let size = graph.sum_all(size);
    let second = graph.gradient(size, &[q, v]);
    graph.output("mixed", mixed);
    graph.output("moved", moved);
    let all = gradients.into_iter().chain(second).enumerate();
    all.for_each(|(i, value)| graph.output(format!("gradient {i}"), value));
    let mut case = Case::new("attention", &graph, 3).filled();
    case.tolerance = 5e-5;
    case.driver = gpu::device().driver();
    case.check();
}

/// Attention in the middle of other things, with as many keys as asked for, and all gradients.
fn in_the_middle(queries: usize, keys: usize, channels: usize, heads: usize) -> Graph {
    surrounded(queries, keys, channels, |graph, qkv| attention(graph, qkv, heads))
}

/// Something like attention in the middle of other things, and all gradients.
fn surrounded(queries: usize, keys: usize, channels: usize, mix: impl Fn(&mut Graph, [Value; 3]) -> Value) -> Graph {
    let mut graph = Graph::new();
    let inputs = [("q", queries), ("k", keys), ("v", keys), ("w", queries)];
    let [q, k, v, w] = inputs.map(|(name, n)| graph.input(name, Shape::batch(&[n, channels])));
    let [p, r, s] = [q, k, v].map(|value| graph.map(&[value], &(x(0) * 2.0).sin()));
    let mixed = mix(&mut graph, [p, r, s]);
    let energy = graph.map(&[mixed, w], &(x(0).square() + x(0) * x(1)));
    let energy = graph.sum_all(energy);
    let gradients = graph.gradient(energy, &[q, k, v]);
    graph.output("mixed", mixed);
    gradients.into_iter().enumerate().for_each(|(i, value)| graph.output(format!("gradient {i}"), value));
    graph
}

#[test]
fn scores_above_a_binding_are_streamed() {
    // Positions that fill no tile, heads that fill no row of lanes.
    for (queries, keys, channels, heads, batch, max_batch) in [(56, 72, 40, 2, 3, 5), (140, 150, 132, 1, 1, 1)] {
        let graph = in_the_middle(queries, keys, channels, heads);
        // Room for the images of a sample or two, but not for the scores of one.
        let limits =
            Limits { binding_bytes: (4 * heads * queries * keys) as u64 - 4, workgroups: 5, ..Limits::BASELINE };
        let options = LowerOptions { max_batch, limits, driver: Driver::Hardware };
        let plan = lower(&[ProgramSource { name: "a", graph: &graph, parameters_from: "params" }], &options).unwrap();
        let keys_of = |key: &str| plan.shaders.iter().filter(|shader| shader.key.starts_with(key)).count();
        assert_eq!((keys_of("attention"), keys_of("batch_matmul")), (4, 0));
        let mut case = Case::new("streamed attention", &graph, batch).filled();
        (case.limits, case.max_batch, case.tolerance) = (limits, max_batch as usize, 2e-5);
        case.check();
    }
}

/// Kernels of attention in a plan for two samples, and of batches of products.
fn kernels_of(graph: &Graph, limits: Limits) -> Result<(usize, usize), LowerError> {
    let options = LowerOptions { max_batch: 2, limits, driver: Driver::Hardware };
    let plan = lower(&[ProgramSource { name: "a", graph, parameters_from: "params" }], &options)?;
    let keys_of = |key: &str| plan.shaders.iter().filter(|shader| shader.key.starts_with(key)).count();
    Ok((keys_of("attention"), keys_of("batch_matmul")))
}

/// Limits that the scores of one sample of 48 queries and 64 keys are beyond, with two heads.
const FEW: Limits = Limits { binding_bytes: 4 * 2 * 48 * 64 - 4, ..Limits::BASELINE };

#[test]
fn scores_of_another_scale_are_streamed() {
    for scale in [0.05, -0.7] {
        let graph = surrounded(48, 64, 24, |graph, qkv| graph.attention(qkv, Attention { heads: 2, scale }));
        assert_eq!(kernels_of(&graph, FEW).unwrap(), (4, 0));
        let mut case = Case::new("another scale", &graph, 2).filled();
        (case.limits, case.max_batch, case.tolerance) = (FEW, 2, 2e-5);
        case.check();
    }
}

#[test]
fn scores_without_scale_mix_all_values_alike() {
    let mut graph = Graph::new();
    let [q, k, v] = ["q", "k", "v"].map(|name| graph.input(name, Shape::batch(&[3, 2])));
    let mixed = graph.attention([q, k, v], Attention { heads: 1, scale: 0.0 });
    graph.output("mixed", mixed);
    let world = World::new(1).input("q", vec![3.0; 6]).input("k", vec![-2.0; 6]);
    let world = world.input("v", vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0]);
    near("mixed", &run_on::<f64>(&graph, &world, 1)["mixed"], &[7.0, 14.0, 7.0, 14.0, 7.0, 14.0], 1e-12);
}

#[test]
fn a_composite_is_not_attention_by_its_name() {
    let scores = |graph: &mut Graph, q: Value, k: Value| {
        let [q, k] = [(q, 48), (k, 64)].map(|(x, n)| {
            let apart = graph.reshape(x, Shape::batch(&[n, 2, 12]));
            graph.permute(apart, &[0, 2, 1, 3])
        });
        graph.batch_matmul(Layout::Nt, q, k)
    };
    // Queries and the mean of values: no scores are left to compute.
    let graph = surrounded(48, 64, 24, |graph, qkv| {
        let body = |graph: &mut Graph, inner: &[Value]| {
            scores(graph, inner[0], inner[1]);
            let sum = graph.sum(inner[2], &[1]);
            vec![graph.map(&[inner[0], sum], &(x(0) + x(1) / 64.0))]
        };
        graph.composite("attention", &qkv, body)[0]
    });
    assert_eq!(kernels_of(&graph, FEW).unwrap().0, 0);
    let mut case = Case::new("by name", &graph, 2).filled();
    (case.limits, case.max_batch) = (FEW, 2);
    case.check();
    // What takes the largest score, and no softmax, has no kernel that does without them.
    let graph = surrounded(48, 64, 24, |graph, qkv| {
        let body = |graph: &mut Graph, inner: &[Value]| {
            let scores = scores(graph, inner[0], inner[1]);
            let largest = graph.reduce(Reduction::Max, scores, &[1, 2, 3]);
            let largest = graph.reshape(largest, Shape::batch(&[1, 1]));
            vec![graph.map(&[inner[0], largest], &(x(0) * x(1)))]
        };
        graph.composite("attention", &qkv, body)[0]
    });
    assert!(matches!(kernels_of(&graph, FEW), Err(LowerError::TooLarge { .. })));
    assert_eq!(kernels_of(&graph, Limits::BASELINE).unwrap().0, 0);
}

#[test]
fn derivatives_of_the_gradient_do_without_its_kernels() {
    let mut graph = in_the_middle(4, 4, 8, 2);
    let gradients: Vec<_> = graph.outputs()[1..].iter().map(|(_, value)| *value).collect();
    let squares: Vec<_> = gradients.iter().map(|value| graph.map(&[*value], &x(0).square())).collect();
    let sums: Vec<_> = squares.into_iter().map(|value| graph.sum_all(value)).collect();
    let sum = sums.into_iter().reduce(|a, b| graph.plus(a, b)).unwrap();
    let inputs: Vec<_> = (0..graph.nodes().len())
        .filter(|node| matches!(graph.nodes()[*node].op, tweedie::graph::Op::Input { .. }))
        .map(|node| Value { node, output: 0 })
        .collect();
    let second = graph.gradient(sum, &inputs);
    second.into_iter().enumerate().for_each(|(i, value)| graph.output(format!("second {i}"), value));
    check("second derivatives", &graph, &World::new(2).filled(&graph, 3), 1, 1e-4);
}
