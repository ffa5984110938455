//! Reductions over every set of axes.

use crate::common::graphs::{World, check, run_on};
use tweedie::graph::{Dim, Graph, Reduction, Shape};

#[test]
fn reductions_over_every_set_of_axes() {
    let shapes = [vec![7], vec![5, 3], vec![1, 4, 67], vec![33, 2, 5, 3], vec![600, 37], vec![3, 1100]];
    for lengths in shapes {
        for set in 1..1 << lengths.len() {
            let axes: Vec<usize> = (0..lengths.len()).filter(|axis| set >> axis & 1 == 1).collect();
            for batch_axis in 0..lengths.len() {
                let mut graph = Graph::new();
                let dims =
                    lengths.iter().enumerate().map(|(i, n)| if i == batch_axis { Dim::Batch } else { (*n).into() });
                let a = graph.input("a", Shape::new(dims));
                for reduction in [Reduction::Sum, Reduction::Max] {
                    let result = graph.reduce(reduction, a, &axes);
                    graph.output(format!("{reduction:?}"), result);
                }
                let world = World::new(lengths[batch_axis]).filled(&graph, 5);
                check(&format!("{lengths:?} over {axes:?}"), &graph, &world, 1, 3e-6);
            }
        }
    }
}

#[test]
fn long_sums_keep_their_digits() {
    // One after the other, a million f32 terms of 0.1 come to 100,958; pairwise to 100,000.
    let mut graph = Graph::new();
    let a = graph.input("a", Shape::fixed(&[1_000_000]));
    let sum = graph.sum_all(a);
    graph.output("sum", sum);
    let world = World::new(1).input("a", vec![f64::from(0.1f32); 1_000_000]);
    let found = run_on::<f32>(&graph, &world, 1)["sum"][0];
    assert!((found - 100_000.0).abs() < 0.05, "{found}");
}
