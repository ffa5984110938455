//! Kernels of the CPU executor: `cargo bench --bench kernels`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tweedie::cpu::{Program, Store};
use tweedie::graph::{Expr, Graph, Layout, Shape};

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 7919 % 2003) as f32 / 1001.0 - 1.0).collect()
}

/// Times runs of `graph`; `work` is what a run does.
fn time(criterion: &mut Criterion, name: &str, work: Throughput, graph: &Graph, inputs: &[(&str, &[f32])]) {
    let mut group = criterion.benchmark_group("cpu");
    group.throughput(work).sample_size(20).measurement_time(Duration::from_secs(3));
    let mut store = Store::new();
    store.upload_words("clock", &[0, 0, 1, 2]);
    let mut program = Program::<f32>::new(graph, "params");
    group.bench_function(name, |bencher| {
        bencher.iter(|| program.run(black_box(&mut store), inputs, 1).expect("the inputs fit"));
    });
    group.finish();
}

/// Throughput is floating-point operations: `Gelem/s` reads as GFLOP/s.
fn products(criterion: &mut Criterion) {
    for (rows, depth, columns) in [(512, 128, 128), (1024, 1024, 1024)] {
        for (layout, name) in [(Layout::Nn, "nn"), (Layout::Nt, "nt"), (Layout::Tn, "tn")] {
            let (a, b) = match layout {
                Layout::Nn => ([rows, depth], [depth, columns]),
                Layout::Nt => ([rows, depth], [columns, depth]),
                Layout::Tn => ([depth, rows], [depth, columns]),
            };
            let mut graph = Graph::new();
            let (a, b) = (graph.input("a", Shape::fixed(&a)), graph.input("b", Shape::fixed(&b)));
            let product = graph.matmul(layout, a, b);
            graph.output("c", product);
            let (a, b) = (numbers(rows * depth), numbers(depth * columns));
            let work = Throughput::Elements(2 * (rows * depth * columns) as u64);
            let name = format!("product {name} {rows}x{depth}x{columns}");
            time(criterion, &name, work, &graph, &[("a", &a), ("b", &b)]);
        }
    }
}

fn others(criterion: &mut Criterion) {
    let elements = 1 << 20;
    let data = numbers(elements);
    let work = Throughput::Elements(elements as u64);

    let mut graph = Graph::new();
    let x = graph.input("x", Shape::fixed(&[elements]));
    let y = graph.map(&[x], &(Expr::input(0).silu() * 1.5 + 0.5).silu());
    graph.output("y", y);
    time(criterion, "silu(1.5 silu(x) + 0.5)", work.clone(), &graph, &[("x", &data)]);

    for (axis, name) in [(0, "sum of each column"), (1, "sum of each row")] {
        let mut graph = Graph::new();
        let x = graph.input("x", Shape::fixed(&[4096, 256]));
        let y = graph.sum(x, &[axis]);
        graph.output("y", y);
        time(criterion, name, work.clone(), &graph, &[("x", &data)]);
    }

    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let z = graph.normal(clock, "noise", Shape::fixed(&[elements]));
    graph.output("z", z);
    time(criterion, "normal numbers", work, &graph, &[]);
}

criterion_group!(benches, products, others);
criterion_main!(benches);
