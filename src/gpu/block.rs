//! A buffer of this room's making: counted, and optionally between guard bands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::device::Device;
use super::error::GpuError;

/// Bytes of each guard band; a multiple of every offset alignment, so that bindings stay aligned.
const BAND: u64 = 256;
const PATTERN: u8 = 0xA5;

/// A wgpu buffer whose usable part starts at `start`. New blocks are zero.
pub(super) struct Block {
    pub raw: wgpu::Buffer,
    pub label: String,
    /// First usable byte.
    pub start: u64,
    /// Usable bytes, a multiple of four.
    pub bytes: u64,
    guarded: bool,
    counter: Arc<AtomicU64>,
}

/// What storage that kernels work on may be used for.
pub(super) fn storage() -> wgpu::BufferUsages {
    wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST
}

/// Rounds up to what wgpu can copy.
pub(super) const fn copyable(bytes: u64) -> u64 {
    bytes.div_ceil(4).saturating_mul(4)
}

impl Block {
    pub fn new(
        device: &Device,
        label: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
        guarded: bool,
    ) -> Result<Arc<Self>, GpuError> {
        let usable = copyable(bytes.max(4));
        let start = if guarded { BAND } else { 0 };
        let total = usable.saturating_add(2 * start);
        let limit = device.limits().buffer_bytes;
        if total > limit {
            return Err(GpuError::TooLarge { what: label.to_string(), bytes, limit });
        }
        let made = device.guarded(label, |raw| {
            raw.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: total,
                usage,
                mapped_at_creation: false,
            })
        });
        let raw = made.map_err(|error| match error {
            GpuError::OutOfMemory { what, .. } => GpuError::OutOfMemory { what, bytes },
            other => other,
        })?;
        if guarded {
            let band = [PATTERN; BAND as usize];
            device.queue().write_buffer(&raw, 0, &band);
            device.queue().write_buffer(&raw, start + usable, &band);
        }
        let counter = device.buffer_bytes().clone();
        counter.fetch_add(total, Ordering::Relaxed);
        Ok(Arc::new(Self { raw, label: label.to_string(), start, bytes: usable, guarded, counter }))
    }

    /// A buffer that the host can map and read.
    pub fn staging(device: &Device, label: &str, bytes: u64) -> Result<Arc<Self>, GpuError> {
        Self::new(device, label, bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST, false)
    }

    /// The bands as (side, first byte), if there are any.
    pub fn bands(&self) -> Vec<(&'static str, u64)> {
        if self.guarded { vec![("before", 0), ("after", self.start + self.bytes)] } else { Vec::new() }
    }

    /// Bytes in a band.
    pub const fn band_bytes() -> u64 {
        BAND
    }

    /// The first damaged byte of a band that was read back.
    pub fn damage(band: &[u8]) -> Option<u64> {
        band.iter().position(|&byte| byte != PATTERN).map(|at| at as u64)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.counter.fetch_sub(self.raw.size(), Ordering::Relaxed);
    }
}
