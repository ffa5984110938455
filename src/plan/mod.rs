//! Plans: what a device has to do, as plain data.
//!
//! A [`Plan`] holds several programs (a training step, an evaluation, a sampler's step) over one set of
//! named buffers. It knows no network, no loss and no wgpu: it can be tested without a GPU, written to a
//! file, and replayed by another host.

mod limits;
mod report;
mod size;

use serde::{Deserialize, Serialize};

pub use limits::{Driver, Limits};
pub use report::{KernelReport, ProgramReport, Report};
pub use size::{Size, Workgroups};

use crate::graph::DType;

/// How a shader uses one of its storage bindings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    ReadWrite,
}

/// One compute pipeline to be: final WGSL and the shape of its bind group.
///
/// Binding 0 is always the dispatch's constants (`var<uniform>`); binding `1 + i` is storage buffer `i`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shader {
    /// Names the variant (tile, alignment, epilogue, dtype) and never a tensor's size.
    pub key: String,
    /// Final WGSL text, entry point `main`.
    pub wgsl: String,
    /// Access of the storage bindings 1, 2, …
    pub access: Vec<Access>,
    /// Threads in a workgroup.
    pub threads: u32,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
    /// Size of the constants' struct in 32-bit words.
    pub constant_words: u32,
}

/// One 32-bit word of a dispatch's constants.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Constant {
    /// An unsigned integer that may depend on the batch.
    U32(Size),
    /// A float.
    F32(f32),
    /// The number of samples of the whole batch, whatever range of it the dispatch is for.
    Batch,
    /// The number, in the batch, of the dispatch's first sample.
    FirstSample,
}

/// A range of the samples of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleRange {
    /// The first.
    pub first: u64,
    /// How many at most.
    pub count: u64,
}

/// A range of a buffer. Offsets are multiples of 256 bytes and do not depend on the batch at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Index into [`Plan::buffers`].
    pub buffer: usize,
    /// First byte.
    pub offset: u64,
    /// Length in bytes, for the largest batch.
    pub bytes: u64,
}

/// One kernel launch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dispatch {
    /// Index into [`Plan::shaders`].
    pub shader: usize,
    /// What a person calls it: the scope in the graph and the kernel.
    pub label: String,
    /// Storage bindings 1, 2, …
    pub bindings: Vec<Slice>,
    /// The words of binding 0.
    pub constants: Vec<Constant>,
    /// How many workgroups; folded into two dimensions when one is too short.
    pub workgroups: Workgroups,
    /// Floating-point operations.
    pub flops: Size,
    /// Bytes read and written at least once.
    pub bytes: Size,
    /// The samples that it is for, `None` if all: constants, workgroups and costs are those of a batch of so many.
    pub samples: Option<SampleRange>,
}

impl Dispatch {
    /// How many samples of a batch it is for.
    pub fn samples_of(&self, batch: u64) -> u64 {
        self.samples.map_or(batch, |samples| batch.saturating_sub(samples.first).min(samples.count))
    }
}

/// What stands behind a buffer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BufferKind {
    /// Lasts between runs, found by this name in the Store, zero when new.
    Store(String),
    /// Holds temporaries; shared by all programs; content undefined between runs.
    Scratch,
    /// Like scratch, but zero when new and written only where the program writes
    /// (gradient arenas, whose padding has to stay zero).
    Zeroed,
}

/// A buffer of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buffer {
    /// What stands behind it.
    pub kind: BufferKind,
    /// Its size for the largest batch.
    pub bytes: u64,
}

/// A tensor that the host writes before, or reads after, a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its name in the graph.
    pub name: String,
    /// Its element type.
    pub dtype: DType,
    /// Number of elements, which may depend on the batch.
    pub elements: Size,
    /// Where it lies.
    pub slice: Slice,
}

/// One thing that a plan can do: dispatches in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// `train`, `evaluate`, `sample`, …
    pub name: String,
    /// What the host writes.
    pub inputs: Vec<Port>,
    /// What the host may read.
    pub outputs: Vec<Port>,
    /// The launches, in order.
    pub dispatches: Vec<Dispatch>,
}

/// Programs over one set of buffers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The largest batch that fits the buffers.
    pub max_batch: u32,
    /// The longest row of workgroups that a dispatch may ask for; more are folded into a second dimension.
    pub max_workgroups: u32,
    /// All pipelines.
    pub shaders: Vec<Shader>,
    /// All buffers.
    pub buffers: Vec<Buffer>,
    /// Tensors in the store: name, element type, elements, place.
    pub store: Vec<Port>,
    /// All programs.
    pub programs: Vec<Program>,
}
