//! Reading back without waiting.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use super::block::{Block, copyable};
use super::device::Device;
use super::error::GpuError;
use crate::graph::DType;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for u32 {}
    impl Sealed for u8 {}
}

/// A type that the host can read from, and write to, a device.
pub trait Element: bytemuck::Pod + sealed::Sealed {
    /// Its name in a plan.
    const DTYPE: DType;
}

impl Element for f32 {
    const DTYPE: DType = DType::F32;
}

impl Element for u32 {
    const DTYPE: DType = DType::U32;
}

impl Element for u8 {
    const DTYPE: DType = DType::U8;
}

/// How long another thread may take to call a callback for work that is done.
pub(super) const CALLBACK_PATIENCE: Duration = Duration::from_secs(5);

const WAITING: u8 = 0;
const READY: u8 = 1;
const FAILED: u8 = 2;

/// Tells, from a callback, whether a buffer can be read by now.
#[derive(Clone, Default)]
pub(super) struct Mapping(Arc<AtomicU8>);

impl Mapping {
    /// Asks for the buffer to be mapped once the encoder's commands are done.
    pub fn on_submit(&self, encoder: &wgpu::CommandEncoder, buffer: &wgpu::Buffer) {
        self.0.store(WAITING, Ordering::Release);
        let state = self.0.clone();
        encoder.map_buffer_on_submit(buffer, wgpu::MapMode::Read, .., move |answer| {
            state.store(if answer.is_ok() { READY } else { FAILED }, Ordering::Release);
        });
    }

    /// `Ok(true)` once the buffer can be read.
    pub fn is_ready(&self) -> Result<bool, GpuError> {
        match self.0.load(Ordering::Acquire) {
            WAITING => Ok(false),
            READY => Ok(true),
            _ => Err(GpuError::Lost("a buffer could not be read back".to_string())),
        }
    }
}

/// The first `bytes` of a mapped buffer, which is unmapped again.
pub(super) fn take_mapped(buffer: &wgpu::Buffer, bytes: u64) -> Result<Vec<u8>, GpuError> {
    let view = buffer
        .get_mapped_range(..copyable(bytes.max(4)))
        .map_err(|error| GpuError::Refused { what: "reading back".to_string(), reason: error.to_string() })?;
    let mut taken = view.to_vec();
    drop(view);
    buffer.unmap();
    taken.truncate(bytes as usize);
    Ok(taken)
}

/// A read-back under way: ask [`try_take`](Self::try_take) from time to time, or [`wait`](Self::wait).
///
/// When it was recorded into an encoder of the caller's, it starts with that encoder's submission.
pub struct Pending<T> {
    device: Device,
    staging: Arc<Block>,
    mapping: Mapping,
    bytes: u64,
    element: PhantomData<T>,
}

impl<T: Element> Pending<T> {
    /// Records a copy of `bytes` bytes that start `offset` bytes into the block.
    pub(super) fn record(
        device: &Device,
        encoder: &mut wgpu::CommandEncoder,
        block: &Block,
        offset: u64,
        bytes: u64,
    ) -> Result<Self, GpuError> {
        Self::record_raw(device, encoder, &block.raw, block.start + offset, bytes)
    }

    pub(super) fn record_raw(
        device: &Device,
        encoder: &mut wgpu::CommandEncoder,
        buffer: &wgpu::Buffer,
        offset: u64,
        bytes: u64,
    ) -> Result<Self, GpuError> {
        let staging = Block::staging(device, "read-back", bytes)?;
        if bytes > 0 {
            encoder.copy_buffer_to_buffer(buffer, offset, &staging.raw, 0, copyable(bytes));
        }
        let mapping = Mapping::default();
        mapping.on_submit(encoder, &staging.raw);
        Ok(Self { device: device.clone(), staging, mapping, bytes, element: PhantomData })
    }

    /// The values, once they have arrived; `None` before that. Does not wait.
    ///
    /// # Errors
    /// [`GpuError::Lost`] when they never will arrive; [`GpuError::Refused`] when they were already taken.
    pub fn try_take(&mut self) -> Result<Option<Vec<T>>, GpuError> {
        self.device.poll()?;
        if !self.mapping.is_ready()? {
            return Ok(None);
        }
        let bytes = take_mapped(&self.staging.raw, self.bytes)?;
        Ok(Some(bytemuck::pod_collect_to_vec(&bytes)))
    }

    /// Waits for the values. Its copy has to be submitted by now.
    ///
    /// # Errors
    /// As [`try_take`](Self::try_take), and [`GpuError::Argument`] when nothing was submitted.
    pub fn wait(mut self) -> Result<Vec<T>, GpuError> {
        if let Some(values) = self.try_take()? {
            return Ok(values);
        }
        self.device.wait()?;
        // The work is done, but a thread that polled at the same moment may be the one that calls our callback.
        let start = Instant::now();
        loop {
            if let Some(values) = self.try_take()? {
                return Ok(values);
            }
            if start.elapsed() > CALLBACK_PATIENCE {
                let reason = "this read-back was recorded, but its encoder was not submitted";
                return Err(GpuError::Argument(reason.to_string()));
            }
            std::thread::yield_now();
        }
    }
}
