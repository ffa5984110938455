//! Attention with several heads (Vaswani et al., 2017).

use crate::graph::{Attention, Graph, Value};

/// softmax(q kᵀ / √d) v for each head: queries, keys and values `[Batch, positions…, C]` → the same shape as `q`, where
/// a head is d = C / `heads` neighbouring channels. `k` and `v` may have other positions than `q`.
///
/// # Panics
/// If shapes do not fit, or `heads` does not divide the channels.
pub fn attention(graph: &mut Graph, [q, k, v]: [Value; 3], heads: usize) -> Value {
    let channels = graph.shape(q).dims().last().map_or(0, |dim| dim.at(1));
    let width = channels.checked_div(heads).unwrap_or(0);
    graph.attention([q, k, v], Attention { heads, scale: (width as f64).powf(-0.5) })
}
