//! What a node of a graph can be.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{ConvLayout, Geometry, Graph, KnownComposite, Node, Tape, Value};

/// The three layouts of a matrix product. "Rows" are all leading axes of an operand flattened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// `[rows, k] · [k, n] → [rows, n]`: forward.
    Nn,
    /// `[rows, k] · [n, k]ᵀ → [rows, n]`: gradient with respect to the input.
    Nt,
    /// `[rows, m]ᵀ · [rows, n] → [m, n]`: gradient with respect to the weight.
    Tn,
}

impl Layout {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nn, Self::Nt, Self::Tn];
}

/// The most inputs of a reduction.
pub const MOST_REDUCED: usize = 4;

/// How a reduction combines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// Sum.
    Sum,
    /// Largest element.
    Max,
}

/// How the rows of a data set are stored. Two are equal if their numbers are, bit by bit.
#[derive(Clone, Copy, Debug)]
pub enum Storage {
    /// f32 as they are.
    F32,
    /// u8, four to a word, read as `scale * byte + shift`.
    U8 {
        /// Factor.
        scale: f32,
        /// Summand.
        shift: f32,
    },
}

impl Storage {
    fn bits(self) -> Option<[u32; 2]> {
        match self {
            Self::F32 => None,
            Self::U8 { scale, shift } => Some([scale, shift].map(f32::to_bits)),
        }
    }
}

impl PartialEq for Storage {
    fn eq(&self, other: &Self) -> bool {
        self.bits() == other.bits()
    }
}

impl Eq for Storage {}

impl Hash for Storage {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bits().hash(state);
    }
}

/// In which order a data set is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Epochs without replacement: a keyed bijection of the row numbers, a new one every epoch.
    Shuffled,
    /// As stored.
    Sequential,
}

/// How a clock advances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tick {
    /// To the next step, at the same first sample.
    Step,
    /// To the next micro-batch of the same step: the first sample moves on by the batch.
    MicroBatch,
    /// From the last micro-batch of a step to the first sample of the next.
    Last,
}

/// What a node does. Every op but [`Composite`](Op::Composite) is primitive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Written by the host before each run.
    Input {
        /// Its name.
        name: String,
    },
    /// One parameter: a range of the flat parameter arena.
    Parameter {
        /// Index into [`Graph::parameters`].
        index: usize,
    },
    /// What a named buffer of the store held when the program started.
    State {
        /// Its name.
        name: String,
    },
    /// Every output element is an expression of the input elements, which broadcast.
    Pointwise {
        /// The expressions; as many outputs as the node has.
        tape: Arc<Tape>,
    },
    /// A matrix product.
    MatMul {
        /// Which layout.
        layout: Layout,
    },
    /// A convolution of images.
    Conv {
        /// Which of the three products.
        layout: ConvLayout,
        /// Lengths, stride, padding.
        geometry: Geometry,
    },
    /// A matrix product for each index of the leading axes, which both operands have.
    BatchMatMul {
        /// Which layout.
        layout: Layout,
    },
    /// The axes in another order.
    Permute {
        /// Where each axis of the result comes from.
        axes: Vec<usize>,
    },
    /// Combines along `axes`, which stay with length 1: each input, all of one shape, to an output. Fusion puts up to
    /// [`MOST_REDUCED`] together that share what they read.
    Reduce {
        /// Sum or max.
        reduction: Reduction,
        /// Ascending.
        axes: Vec<usize>,
    },
    /// The batch that the clock points at, out of a data set `[rows, …]`: inputs are the set and the clock.
    Gather {
        /// Stored how.
        storage: Storage,
        /// Read in which order.
        order: Order,
        /// Micro-batches of a step: so many batches on in the set begins the next step.
        micro_batches: usize,
    },
    /// The same elements under another shape.
    Reshape,
    /// The elements of the first input, which readers get no sooner than the second input is there.
    After,
    /// `length` entries of `axis` from `start`.
    Slice {
        /// Which axis.
        axis: usize,
        /// First entry.
        start: usize,
        /// Number of entries.
        length: usize,
    },
    /// The inputs one after the other along `axis`.
    Concat {
        /// Which axis.
        axis: usize,
    },
    /// The inputs, flattened, at these offsets of a flat arena that is 0 elsewhere.
    Pack {
        /// First element of each input.
        offsets: Vec<usize>,
    },
    /// Inputs are a ring `[rows, columns]`, the clock, the status, and `columns` scalars: the row `step % rows` is
    /// replaced unless the status is set.
    RingPush,
    /// Inputs are the clock and the status: the clock advances unless the status is set.
    Tick {
        /// By how much.
        by: Tick,
    },
    /// A small graph with a name, which is its meaning.
    Composite(Arc<Composite>),
}

/// A named subgraph: several primitives that a device may run as one kernel.
///
/// Its meaning is the body; whoever has no special rule for it inlines the body.
#[derive(Clone, Debug)]
pub struct Composite {
    /// `dsm_loss`, `adam`, …
    pub name: String,
    /// What it is known to compute; else its body alone says what.
    pub known: Option<KnownComposite>,
    /// Its inputs are named `0`, `1`, … in the order of the node's inputs.
    pub body: Graph,
    /// The values of the body that are the node's outputs.
    pub outputs: Vec<Value>,
}

impl Composite {
    /// What two composites have to have in common to be equal.
    fn key(&self) -> (&str, Option<KnownComposite>, &[Node], &[Value]) {
        (&self.name, self.known, self.body.nodes(), &self.outputs)
    }
}

impl PartialEq for Composite {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Composite {}

impl Hash for Composite {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
