//! Halving and doubling images without weights.

use crate::graph::{Dim, Expr, Graph, Shape, Value};

/// The mean of every 2 x 2 pixels: `[lead…, h, w, c]` → `[lead…, h/2, w/2, c]`, h and w even.
pub fn halve(graph: &mut Graph, x: Value) -> Value {
    let (lead, [height, width], channels) = split(graph, x);
    let squares = [(height / 2).into(), 2.into(), (width / 2).into(), 2.into(), channels];
    let x = graph.reshape(x, Shape::new(lead.iter().copied().chain(squares)));
    let first = lead.len();
    let sum = graph.sum(x, &[first + 1, first + 3]);
    let mean = graph.scale(sum, 0.25);
    let shape = [(height / 2).into(), (width / 2).into(), channels];
    graph.reshape(mean, Shape::new(lead.into_iter().chain(shape)))
}

/// Each pixel four times: `[lead…, h, w, c]` → `[lead…, 2h, 2w, c]`.
pub fn double(graph: &mut Graph, x: Value) -> Value {
    let (lead, [height, width], channels) = split(graph, x);
    let shape = |copies: usize| {
        let squares = [height.into(), copies.into(), width.into(), copies.into(), channels];
        Shape::new(lead.iter().copied().chain(squares))
    };
    let single = graph.reshape(x, shape(1));
    let copies = graph.map_to(&[single], &Expr::input(0), &shape(2));
    let doubled = [(2 * height).into(), (2 * width).into(), channels];
    graph.reshape(copies, Shape::new(lead.iter().copied().chain(doubled)))
}

/// Leading axes, height and width, channels.
fn split(graph: &Graph, x: Value) -> (Vec<Dim>, [usize; 2], Dim) {
    let shape = graph.shape(x);
    let (lead, image) = shape.dims().split_at(shape.rank() - 3);
    (lead.to_vec(), [image[0].at(1), image[1].at(1)], image[2])
}
