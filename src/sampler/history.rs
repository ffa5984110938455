//! What multistep samplers remember of their last steps.

use crate::graph::{Graph, TensorType, Value};

/// The states of these names, of the shape of `like` (`[Batch, D]`): what was remembered, newest first.
pub(super) fn recall<const N: usize>(graph: &mut Graph, names: [&str; N], like: Value) -> [Value; N] {
    let tensor_type = TensorType::f32(graph.shape(like).clone());
    names.map(|name| graph.state(name, tensor_type.clone()))
}

/// Puts `newest` first, and what was `recalled` one place on; the oldest is forgotten.
pub(super) fn remember<const N: usize>(graph: &mut Graph, names: [&str; N], newest: Value, recalled: [Value; N]) {
    let shifted = std::iter::once(newest).chain(recalled);
    names.into_iter().zip(shifted).for_each(|(name, value)| graph.assign(name, value));
}
