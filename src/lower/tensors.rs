//! Tensors and kernel launches before they have a place in memory.

use crate::graph::{DType, Reduction};
use crate::plan::{Access, Constant, SampleRange, Size, Workgroups};

/// Where a tensor lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// In the store, from this element on.
    Store { name: String, offset: u64 },
    /// In a buffer of its own that starts as zero.
    Own,
    /// Wherever there is room while it lives.
    Scratch,
    /// In another tensor, from this element on.
    Within { tensor: usize, offset: u64 },
}

#[derive(Clone, Debug)]
pub(super) struct ProgramTensor {
    pub name: String,
    pub dtype: DType,
    pub elements: Size,
    /// Whether its first axis is the batch, if it has one.
    pub samples_lead: bool,
    pub home: Home,
}

/// A range of a tensor bound to a kernel; the whole tensor if `part` is `None`.
#[derive(Clone, Debug)]
pub(super) struct Bind {
    pub tensor: usize,
    pub access: Access,
    /// First element and number of elements.
    pub part: Option<(u64, u64)>,
}

impl Bind {
    pub fn read(tensor: usize) -> Self {
        Self { tensor, access: Access::Read, part: None }
    }

    pub fn write(tensor: usize) -> Self {
        Self { tensor, access: Access::ReadWrite, part: None }
    }
}

/// A dispatch whose tensors have no place yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Call {
    pub shader: usize,
    pub label: String,
    pub binds: Vec<Bind>,
    pub constants: Vec<Constant>,
    pub workgroups: Workgroups,
    pub flops: Size,
    /// What it does with the samples of its tensors.
    pub cut: Cut,
    /// Bytes that it moves, where these are not all of what it binds.
    pub bytes: Option<Size>,
    /// The samples that it is for, unless all.
    pub samples: Option<SampleRange>,
}

/// What a kernel does with the samples of its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// It takes each for itself; what it writes that has no samples are sums or maxima over all.
    Samples(Reduction),
    /// It needs to know them all.
    Never,
}

impl Default for Cut {
    fn default() -> Self {
        Self::Samples(Reduction::Sum)
    }
}
