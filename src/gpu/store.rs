//! Buffers that outlast plans: parameters, moments, counters, rings, data sets.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::block::{Block, copyable, storage};
use super::device::Device;
use super::error::GpuError;
use super::pending::{Element, Pending};

/// Buffers by name, shared by all the plans that are loaded over them.
pub struct Store {
    device: Device,
    blocks: BTreeMap<String, Arc<Block>>,
    guarded: bool,
}

impl Store {
    /// An empty store.
    pub fn new(device: &Device) -> Self {
        Self { device: device.clone(), blocks: BTreeMap::new(), guarded: false }
    }

    /// An empty store whose buffers lie between guard bands, which
    /// [`Player::check_guard_bands`](super::Player::check_guard_bands) looks at.
    pub fn with_guard_bands(device: &Device) -> Self {
        Self { guarded: true, ..Self::new(device) }
    }

    /// The device that the buffers are on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Makes a buffer of zeros, or does nothing if there is one of this name and size.
    ///
    /// # Errors
    /// [`GpuError::Argument`] when there is one of another size; [`GpuError::TooLarge`], [`GpuError::OutOfMemory`].
    pub fn create(&mut self, name: &str, bytes: u64) -> Result<(), GpuError> {
        self.require(name, bytes).map(|_| ())
    }

    pub(super) fn require(&mut self, name: &str, bytes: u64) -> Result<Arc<Block>, GpuError> {
        if let Some(block) = self.blocks.get(name) {
            if block.bytes == copyable(bytes.max(4)) {
                return Ok(block.clone());
            }
            let there = block.bytes;
            return Err(GpuError::Argument(format!(
                "the store's buffer `{name}` has {there} bytes, and {bytes} are wanted"
            )));
        }
        let block = Block::new(&self.device, &format!("buffer `{name}`"), bytes, storage(), self.guarded)?;
        self.blocks.insert(name.to_string(), block.clone());
        Ok(block)
    }

    /// Forgets a buffer. Its memory is free once no plan is loaded over it. Says whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        self.blocks.remove(name).is_some()
    }

    /// Names and sizes in bytes, sorted by name.
    pub fn report(&self) -> Vec<(String, u64)> {
        self.blocks.iter().map(|(name, block)| (name.clone(), block.bytes)).collect()
    }

    /// Bytes in all buffers.
    pub fn bytes(&self) -> u64 {
        self.blocks.values().map(|block| block.bytes).sum()
    }

    /// The size of a buffer in bytes (a multiple of four), if there is one of this name.
    pub fn size(&self, name: &str) -> Option<u64> {
        self.blocks.get(name).map(|block| block.bytes)
    }

    /// The wgpu buffer of this name and the byte at which its content starts, for the caller's own passes.
    ///
    /// # Errors
    /// [`GpuError::Argument`] when there is none.
    pub fn buffer(&self, name: &str) -> Result<(&wgpu::Buffer, u64), GpuError> {
        self.block(name).map(|block| (&block.raw, block.start))
    }

    pub(super) fn block(&self, name: &str) -> Result<&Arc<Block>, GpuError> {
        self.blocks.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.blocks.keys().map(String::as_str).collect();
            GpuError::Argument(format!("the store has no buffer `{name}`; it has: {}", known.join(", ")))
        })
    }

    /// Writes `data` from byte `offset` (a multiple of four) on. Takes effect with the next submission.
    ///
    /// # Errors
    /// [`GpuError::Argument`] when there is no such buffer, or the data do not fit it.
    pub fn upload<T: Element>(&self, name: &str, offset: u64, data: &[T]) -> Result<(), GpuError> {
        let block = self.block(name)?;
        let bytes: &[u8] = bytemuck::cast_slice(data);
        inside(name, block, offset, bytes.len() as u64)?;
        write(&self.device, block, offset, bytes)
    }

    /// Reads `count` elements from byte `offset` (a multiple of four) on, and waits for them.
    ///
    /// # Errors
    /// [`GpuError::Argument`] when the buffer has no such range; [`GpuError::Lost`].
    pub fn download<T: Element>(&self, name: &str, offset: u64, count: usize) -> Result<Vec<T>, GpuError> {
        self.download_async(name, offset, count)?.wait()
    }

    /// Starts to read `count` elements from byte `offset` (a multiple of four) on. Submits a copy; does not wait.
    ///
    /// # Errors
    /// [`GpuError::Argument`] when the buffer has no such range.
    pub fn download_async<T: Element>(&self, name: &str, offset: u64, count: usize) -> Result<Pending<T>, GpuError> {
        let block = self.block(name)?;
        let bytes = (count as u64).saturating_mul(size_of::<T>() as u64);
        inside(name, block, offset, bytes)?;
        submit_read(&self.device, block, offset, bytes)
    }

    /// Copies one buffer's content over another of the same size.
    ///
    /// # Errors
    /// [`GpuError::Argument`] when one is missing, or sizes differ, or both are the same.
    pub fn copy(&self, from: &str, to: &str) -> Result<(), GpuError> {
        let (source, target) = (self.block(from)?, self.block(to)?);
        if from == to || source.bytes != target.bytes {
            return Err(GpuError::Argument(format!(
                "cannot copy the store's buffer `{from}` ({} bytes) to `{to}` ({} bytes)",
                source.bytes, target.bytes
            )));
        }
        let mut encoder = self.device.raw().create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&source.raw, source.start, &target.raw, target.start, source.bytes);
        self.device.queue().submit([encoder.finish()]);
        Ok(())
    }
}

fn inside(name: &str, block: &Block, offset: u64, bytes: u64) -> Result<(), GpuError> {
    if offset.is_multiple_of(4) && offset.checked_add(copyable(bytes)).is_some_and(|end| end <= block.bytes) {
        return Ok(());
    }
    let size = block.bytes;
    Err(GpuError::Argument(format!(
        "the store's buffer `{name}` has {size} bytes: no {bytes} bytes at offset {offset} (a multiple of 4)"
    )))
}

/// Writes bytes through the queue, in whole words.
pub(super) fn write(device: &Device, block: &Block, offset: u64, bytes: &[u8]) -> Result<(), GpuError> {
    let whole = bytes.len() - bytes.len() % 4;
    device.guarded(&block.label, |_| {
        let queue = device.queue();
        if whole > 0 {
            queue.write_buffer(&block.raw, block.start + offset, &bytes[..whole]);
        }
        if whole < bytes.len() {
            let mut last = [0; 4];
            last[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            queue.write_buffer(&block.raw, block.start + offset + whole as u64, &last);
        }
    })
}

/// Submits a read-back of its own.
pub(super) fn submit_read<T: Element>(
    device: &Device,
    block: &Block,
    offset: u64,
    bytes: u64,
) -> Result<Pending<T>, GpuError> {
    let mut encoder = device.raw().create_command_encoder(&Default::default());
    let pending = Pending::record(device, &mut encoder, block, offset, bytes)?;
    device.guarded(&block.label, |_| device.queue().submit([encoder.finish()]))?;
    Ok(pending)
}
