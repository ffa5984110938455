//! The seam under networks: what training, evaluation and sampling know of a network, whichever it is.

use std::fmt::Debug;
use std::rc::Rc;

use crate::graph::{Graph, Value};

/// Samples that are taken at a time outside of training, unless a network wants fewer.
pub const LARGEST_CHUNK: usize = 1024;

/// What a network is given besides the noised sample and the noise level.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditioning {
    /// In training: the clock by which dropout draws. `None` drops nothing.
    pub clock: Option<Value>,
    /// The class of each sample, `[n, 1]` (n the batch or 1): a whole number; any number from
    /// [`classes`](Architecture::classes) on is the null class. `None` is the null class for all.
    pub class: Option<Value>,
    /// The augmentation of each sample, `[n, augment_dim]`; `None` is 0.
    pub augmentation: Option<Value>,
}

/// What becomes of the values inside a network's parts between its forward and its backward pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activations {
    /// They are kept.
    Kept,
    /// They are computed again, which takes less memory and more work. A network may take no notice.
    Recomputed,
}

/// A state whose values the network's sizes say, and which no program changes.
#[derive(Clone, Debug, PartialEq)]
pub struct FixedState {
    /// The state's name.
    pub name: &'static str,
    /// Its content.
    pub values: Vec<f32>,
}

/// A network over the parameters that were declared with it: from (graph, x `[Batch, D]`, noise level `[Batch, 1]`,
/// `[1, 1]` or `[1]`, conditioning) to `[Batch, D]`, any number of times.
pub type Forward = Rc<dyn Fn(&mut Graph, Value, Value, Conditioning) -> Value>;

/// The sizes of a network, which say all that there is to know of it but its weights.
pub trait Architecture: Debug + Send + Sync {
    /// Adds the parameters to `graph`, named `network.…`, and gives the network over them.
    fn declare(&self, graph: &mut Graph, activations: Activations) -> Forward;

    /// Classes that the network knows; 0 is none. The null class is not counted.
    fn classes(&self) -> usize {
        0
    }

    /// States that the forward pass reads besides parameters.
    fn constants(&self) -> Vec<FixedState> {
        Vec::new()
    }

    /// How many samples evaluation, sampling and scoring may take at a time where training takes `training_batch`, at
    /// most [`LARGEST_CHUNK`].
    fn largest_chunk(&self, _training_batch: usize) -> usize {
        LARGEST_CHUNK
    }
}
