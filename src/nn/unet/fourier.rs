//! Random Fourier features of the noise level (Tancik et al. 2020; the embedding of NCSN++).

use crate::graph::random::{normals_f64, philox4x32_10, stream};
use crate::graph::{Expr, Graph, Shape, TensorType, Value};

/// The state that holds the frequencies, `[1, size / 2]`: constants that no program changes.
pub const FREQUENCIES: &str = "network.fourier";

/// What the state holds for features of `size` numbers: frequencies normal with standard deviation `scale`, the same
/// for every network of this size.
pub fn frequencies(size: usize, scale: f64) -> Vec<f64> {
    let stream = stream(FREQUENCIES);
    let quads = (0..size.div_ceil(8) as u32).flat_map(|quad| normals_f64(philox4x32_10([quad, 0, 0, stream], [0, 0])));
    quads.take(size / 2).map(|z| scale * z).collect()
}

/// Sines, then cosines, of 2π · frequency · level: `[n, 1]` → `[n, size]`, n the batch or 1.
pub fn fourier_features(graph: &mut Graph, level: Value, size: usize) -> Value {
    let half = Shape::fixed(&[1, size / 2]);
    let frequencies = graph.state(FREQUENCIES, TensorType::f32(half));
    let angle = Expr::input(0) * Expr::input(1) * std::f64::consts::TAU;
    let shape = graph.shape(level).with_axis(1, (size / 2).into());
    let waves = graph.pointwise(&[level, frequencies], &[angle.sin(), angle.cos()], Some(shape));
    graph.concat(&waves, 1)
}
