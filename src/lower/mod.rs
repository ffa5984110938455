//! Lowering: graphs become plans.
//!
//! A graph is fused, walked once, and each op becomes one or a few dispatches; pointwise nodes are folded into the
//! product or reduction beside them where that saves a pass over memory. Tensors get their place in memory at the end.

mod attention;
mod batch_product;
mod copies;
mod counters;
mod emit;
mod facts;
mod gather;
mod iteration;
mod lowering;
mod memory;
mod partners;
mod parts;
mod permute;
mod pointwise;
mod product;
mod program;
mod ranges;
mod reduction;
mod tensors;

use std::collections::{BTreeMap, HashMap};

use crate::graph::{DType, Graph};
use crate::plan::{Buffer, BufferKind, Driver, Limits, Plan, Port, Shader, Size, Slice};

/// For what a plan is made; by default for one sample on the least of GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LowerOptions {
    /// The largest batch that will be run.
    pub max_batch: u32,
    /// What the device allows.
    pub limits: Limits,
    /// What runs the kernels.
    pub driver: Driver,
}

impl Default for LowerOptions {
    fn default() -> Self {
        Self { max_batch: 1, limits: Limits::BASELINE, driver: Driver::Hardware }
    }
}

/// A graph that becomes a program.
#[derive(Clone, Copy, Debug)]
pub struct ProgramSource<'a> {
    /// The program's name.
    pub name: &'a str,
    /// What it computes.
    pub graph: &'a Graph,
    /// The store's arena in which parameters are found: `params`, or `ema` for evaluation and sampling.
    pub parameters_from: &'a str,
}

/// Why a graph cannot become a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    /// A tensor does not fit a binding or buffer.
    #[error("{name} needs {bytes} bytes for a batch of {batch}, but this device binds at most {limit}: {advice}")]
    TooLarge {
        /// The tensor.
        name: String,
        /// What it needs.
        bytes: u64,
        /// The batch.
        batch: u32,
        /// What the device binds.
        limit: u64,
        /// What would need less.
        advice: &'static str,
    },
    /// A kernel needs more storage buffers than the device has.
    #[error("{label} needs {count} storage buffers, but this device binds at most {limit}")]
    TooManyBuffers {
        /// The kernel.
        label: String,
        /// What it needs.
        count: usize,
        /// What the device has.
        limit: usize,
    },
    /// A number that 32 bits do not hold.
    #[error("{label}: the number {value} is beyond what 32 bits hold: look at the sizes in [data], [sde] and [loss]")]
    NotFinite {
        /// The node.
        label: String,
        /// The number.
        value: String,
    },
    /// A combination that no kernel covers.
    #[error("{label}: {what}")]
    Unsupported {
        /// The node.
        label: String,
        /// What it asks for.
        what: String,
    },
}

/// Lowers programs that share one store.
///
/// # Errors
/// When a tensor is too large for the device, a constant for 32 bits, or a node asks for what no kernel covers.
pub fn lower(sources: &[ProgramSource], options: &LowerOptions) -> Result<Plan, LowerError> {
    let mut shared = Shared { options: *options, ..Shared::default() };
    let mut programs = Vec::new();
    for source in sources {
        programs.push(program::lower(&mut shared, source)?);
    }
    let store = shared
        .store
        .iter()
        .map(|(name, entry)| Port {
            name: name.clone(),
            dtype: entry.dtype,
            elements: entry.elements,
            slice: Slice { buffer: entry.buffer, offset: 0, bytes: shared.buffers[entry.buffer].bytes },
        })
        .collect();
    Ok(Plan {
        max_batch: options.max_batch,
        max_workgroups: options.limits.workgroups,
        shaders: shared.shaders,
        buffers: shared.buffers,
        store,
        programs,
    })
}

/// A named tensor of the store.
struct StoreEntry {
    dtype: DType,
    elements: Size,
    buffer: usize,
}

/// What the programs of a plan have in common.
#[derive(Default)]
struct Shared {
    options: LowerOptions,
    shaders: Vec<Shader>,
    known_shaders: HashMap<String, usize>,
    buffers: Vec<Buffer>,
    store: BTreeMap<String, StoreEntry>,
    /// Scratch buffers, which programs share, in the order of their colours.
    scratch: Vec<usize>,
}

impl Shared {
    fn shader(&mut self, shader: Shader) -> usize {
        *self.known_shaders.entry(shader.wgsl.clone()).or_insert_with(|| {
            self.shaders.push(shader);
            self.shaders.len() - 1
        })
    }

    fn buffer(&mut self, kind: BufferKind, bytes: u64) -> usize {
        self.buffers.push(Buffer { kind, bytes });
        self.buffers.len() - 1
    }

    /// The buffer of a store entry, which grows to the largest that any program asks for.
    fn store_buffer(&mut self, name: &str, dtype: DType, elements: Size) -> usize {
        let bytes = padded_bytes(dtype, elements.at(u64::from(self.options.max_batch)));
        if let Some(entry) = self.store.get(name) {
            let buffer = entry.buffer;
            self.buffers[buffer].bytes = self.buffers[buffer].bytes.max(bytes);
            return buffer;
        }
        let buffer = self.buffer(BufferKind::Store(name.to_owned()), bytes);
        self.store.insert(name.to_owned(), StoreEntry { dtype, elements, buffer });
        buffer
    }
}

/// Bytes of a tensor, whole quads of floats.
fn padded_bytes(dtype: DType, elements: u64) -> u64 {
    (elements * dtype.bytes()).next_multiple_of(16).max(16)
}
