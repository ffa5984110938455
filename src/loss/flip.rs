//! Mirrored images: an augmentation.

use crate::graph::{Distribution, Expr, Graph, Layout, Shape, Value};

/// `x` `[Batch, height · width · channels]` with half of its images mirrored left to right, drawn as `flip` at every
/// step of `clock`. The mirror is a product with a matrix of zeros and ones, so nothing is rounded.
pub fn flip_half(graph: &mut Graph, x: Value, clock: Value, [height, width, channels]: [usize; 3]) -> Value {
    graph.scoped("flip", |graph| {
        let flat = graph.shape(x).clone();
        // exchange[i, j] = 1 where i + j = width − 1.
        let square = Shape::fixed(&[width, width]);
        let column = graph.map_to(&[], &Expr::column(), &square);
        let row = graph.permute(column, &[1, 0]);
        let last = width as f64 - 1.0;
        let opposite = (Expr::input(0) + Expr::input(1) - last).abs().less(0.5);
        let exchange = graph.map(&[row, column], &opposite.select(1.0, 0.0));
        let image = graph.reshape(x, Shape::batch(&[height, width, channels]));
        let lines = graph.permute(image, &[0, 1, 3, 2]);
        let mirrored = graph.matmul(Layout::Nn, lines, exchange);
        let mirrored = graph.permute(mirrored, &[0, 1, 3, 2]);
        let mirrored = graph.reshape(mirrored, flat);
        let draw = graph.random(clock, "flip", Distribution::Uniform, Shape::batch(&[1]));
        let [x_, mirrored_, draw_] = [0, 1, 2].map(Expr::input);
        graph.map(&[x, mirrored, draw], &draw_.less(0.5).select(mirrored_, x_))
    })
}
