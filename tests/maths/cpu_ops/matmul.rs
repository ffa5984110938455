//! Products of awkward shapes.

use crate::common::graphs::{World, check};
use tweedie::graph::{Graph, Layout, Shape};

#[test]
fn products_of_awkward_shapes() {
    let sizes = [
        (1, 1, 1),
        (1, 7, 1),
        (2, 3, 5),
        (13, 1, 17),
        (33, 67, 31),
        (67, 33, 129),
        (128, 130, 2),
        (257, 64, 65),
        (300, 129, 127),
        (3, 9001, 5),
    ];
    for (m, k, n) in sizes {
        for layout in [Layout::Nn, Layout::Nt, Layout::Tn] {
            let mut graph = Graph::new();
            let (left, right) = match layout {
                Layout::Nn => ([m, k], [k, n]),
                Layout::Nt => ([m, k], [n, k]),
                Layout::Tn => ([k, m], [k, n]),
            };
            let a = graph.input("a", Shape::fixed(&left));
            let b = graph.input("b", Shape::fixed(&right));
            let c = graph.matmul(layout, a, b);
            graph.output("c", c);
            let world = World::new(1).filled(&graph, (m * 1000 + n) as u64);
            check(&format!("{layout:?} {m} {k} {n}"), &graph, &world, 1, 3e-6);
        }
    }
}

#[test]
fn products_flatten_leading_axes() {
    let mut graph = Graph::new();
    let a = graph.input("a", Shape::batch(&[3, 5]).with_leading(2));
    let w = graph.input("w", Shape::fixed(&[5, 7]));
    let y = graph.matmul(Layout::Nn, a, w);
    let g = graph.matmul(Layout::Tn, a, y);
    let back = graph.matmul(Layout::Nt, y, w);
    [("y", y), ("g", g), ("back", back)].into_iter().for_each(|(name, value)| graph.output(name, value));
    for batch in [1, 4, 33] {
        check("leading axes", &graph, &World::new(batch).filled(&graph, 3), 1, 1e-5);
    }
}
