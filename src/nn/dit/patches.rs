//! An image as a sequence of patches, and back.

use super::DiTShape;
use crate::graph::{Graph, Shape, Value};

/// x `[Batch, height · width · channels]` → `[Batch, tokens, patch · patch · channels]`: patches row by row, and in
/// each its pixels row by row.
pub fn patches(graph: &mut Graph, x: Value, shape: &DiTShape) -> Value {
    let [rows, columns] = shape.grid();
    let pixels = Shape::batch(&[rows, shape.patch, columns, shape.patch, shape.image[2]]);
    let pixels = graph.reshape(x, pixels);
    // A patch of one pixel is one already.
    let pixels = if shape.patch == 1 { pixels } else { graph.permute(pixels, &[0, 1, 3, 2, 4, 5]) };
    graph.reshape(pixels, Shape::batch(&[shape.tokens(), shape.pixels()]))
}

/// The inverse of [`patches`].
pub fn image(graph: &mut Graph, patches: Value, shape: &DiTShape) -> Value {
    let [rows, columns] = shape.grid();
    let pixels = Shape::batch(&[rows, columns, shape.patch, shape.patch, shape.image[2]]);
    let pixels = graph.reshape(patches, pixels);
    let pixels = if shape.patch == 1 { pixels } else { graph.permute(pixels, &[0, 1, 3, 2, 4, 5]) };
    graph.reshape(pixels, Shape::batch(&[shape.image.iter().product()]))
}
