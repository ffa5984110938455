//! What a plan is made for: what the device allows, and what runs the kernels.

use serde::{Deserialize, Serialize};

/// What a device allows. Tests shrink it to force folding and chunking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Storage buffers that one shader may bind.
    pub storage_buffers: usize,
    /// Largest range of a buffer that can be bound, in bytes.
    pub binding_bytes: u64,
    /// Largest buffer in bytes.
    pub buffer_bytes: u64,
    /// Longest row of workgroups in a dispatch.
    pub workgroups: u32,
}

impl Limits {
    /// What every WebGPU device has.
    pub const BASELINE: Self =
        Self { storage_buffers: 8, binding_bytes: 128 << 20, buffer_bytes: 256 << 20, workgroups: 65535 };

    /// Tensors that are fused into one kernel at most: what every device binds. More would only make more variants.
    /// Tensors in parts may take more.
    pub const fn fused_tensors(self) -> usize {
        let every = Self::BASELINE.storage_buffers;
        if self.storage_buffers < every { self.storage_buffers } else { every }
    }
}

/// What runs the kernels: other tiles are faster on a driver that is software.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Driver {
    /// A GPU.
    #[default]
    Hardware,
    /// The CPU.
    Software {
        /// Lanes of a subgroup, if all subgroups are alike and shaders may use them; else 0.
        lanes: u32,
    },
}

impl Driver {
    /// Whether it is software.
    pub const fn is_software(self) -> bool {
        matches!(self, Self::Software { .. })
    }
}
