//! The first values of parameters.

use crate::graph::random::{normals_f64, philox4x32_10, stream, uniform};
use crate::graph::{Graph, Initial};

/// The parameter arena of `graph` at the start of training, [`Graph::arena_elements`] long, padding 0.
///
/// Each parameter draws from a stream of its own name: counter = (element / 4, 0, 0, stream), key = seed. So a layer
/// starts alike whatever other layers there are.
pub fn initial_parameters(graph: &Graph, seed: u64) -> Vec<f32> {
    let mut arena = vec![0.0; graph.arena_elements()];
    for parameter in graph.parameters() {
        let values = &mut arena[parameter.offset..parameter.offset + parameter.elements()];
        let stream = stream(&format!("initial.{}", parameter.name));
        match parameter.initial {
            Initial::Zeros => {}
            Initial::Ones => values.fill(1.0),
            Initial::Uniform(bound) => fill(values, seed, stream, |words| {
                words.map(|word| ((2.0 * f64::from(uniform(word)) - 1.0) * bound) as f32)
            }),
            Initial::Normal(deviation) => {
                fill(values, seed, stream, |words| normals_f64(words).map(|z| (z * deviation) as f32));
            }
        }
    }
    arena
}

fn fill(values: &mut [f32], seed: u64, stream: u32, draw: impl Fn([u32; 4]) -> [f32; 4]) {
    let key = [seed as u32, (seed >> 32) as u32];
    for (quad, chunk) in (0..).zip(values.chunks_mut(4)) {
        let drawn = draw(philox4x32_10([quad, 0, 0, stream], key));
        chunk.copy_from_slice(&drawn[..chunk.len()]);
    }
}
