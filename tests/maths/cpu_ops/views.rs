//! Views, views of views, and packed tensors.

use crate::common::graphs::{World, check, interpret};
use tweedie::graph::{Graph, Initial, Shape, Value};

#[test]
fn views_of_views() {
    let mut graph = Graph::new();
    let a = graph.input("a", Shape::batch(&[4, 6]));
    let b = graph.input("b", Shape::fixed(&[6, 10]));
    let parts = [graph.slice(a, 1, 0, 1), graph.slice(a, 1, 1, 2), graph.slice(a, 2, 5, 1), graph.slice(b, 0, 2, 3)];
    let inner = graph.slice(parts[3], 1, 3, 4);
    let row = graph.slice(b, 0, 4, 1);
    let flat = graph.reshape(row, Shape::fixed(&[10]));
    let piece = graph.slice(flat, 0, 3, 5);
    let joined = graph.concat(&[parts[1], a, parts[0]], 1);
    let stacked = graph.concat(&[parts[3], b], 0);
    let folded = graph.reshape(joined, Shape::batch(&[42]));
    let doubled = graph.scale(folded, 2.0);
    let all = [parts[0], parts[1], parts[2], parts[3], inner, row, piece, joined, stacked, folded, doubled];
    all.into_iter().enumerate().for_each(|(i, value)| graph.output(format!("{i}"), value));
    for batch in [1, 2, 33] {
        check("views", &graph, &World::new(batch).filled(&graph, 4), 1, 1e-7);
    }
}

#[test]
fn packing_fills_gaps_with_zeros() {
    let mut graph = Graph::new();
    let weight = graph.parameter("weight", &[3, 5], Initial::Ones);
    let bias = graph.parameter("bias", &[5], Initial::Zeros);
    let last = graph.parameter("last", &[67], Initial::Zeros);
    let values: Vec<Value> = [weight, bias, last].into_iter().map(|value| graph.scale(value, 2.0)).collect();
    let packed = graph.pack(&values);
    graph.output("packed", packed);
    let mut world = World::new(1).filled(&graph, 8);
    check("pack", &graph, &world, 2, 1e-7);
    let found = interpret(&graph, &mut world);
    assert!(found["packed"][15..64].iter().chain(&found["packed"][69..128]).all(|x| *x == 0.0));
}
