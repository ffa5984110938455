//! A plan, loaded: its buffers, pipelines, constants and bind groups, ready to be recorded again and again.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::block::{Block, storage};
use super::device::Device;
use super::error::GpuError;
use super::flight::{Flight, Pace};
use super::pipeline::{Ready, Trust, constant_bytes};
use super::ring::Ring;
use super::store::Store;
use super::validate::validate;
use crate::plan::{BufferKind, Constant, Plan};

/// How a plan is loaded and run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the plan comes from. A foreign plan is always checked.
    pub trust: Trust,
    /// Whether wgpu's runtime checks (bounds, endless loops, zeroed workgroup memory) are on for our own plans too.
    pub checked: bool,
    /// Whether the plan's own buffers lie between guard bands; a store has its own switch.
    pub guard_bands: bool,
    /// How long a submission should take, so that no driver takes the device for hung.
    pub budget: Duration,
    /// How many submissions may be under way before [`Player::run`] waits for the oldest; at least 1.
    pub in_flight: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            trust: Trust::FOREIGN,
            checked: false,
            guard_bands: false,
            budget: Duration::from_millis(100),
            in_flight: 2,
        }
    }
}

/// Bytes between the constants of two dispatches: the coarsest alignment that wgpu knows.
const STRIDE: u64 = 256;

/// A loaded plan.
pub struct Player {
    pub(super) device: Device,
    pub(super) plan: Plan,
    pub(super) options: Options,
    pub(super) programs: Vec<Loaded>,
    pub(super) flight: Flight,
    pub(super) ring: Option<Ring>,
    blocks: Vec<Arc<Block>>,
    pipelines: Vec<Arc<Ready>>,
}

/// One program of a loaded plan.
pub(super) struct Loaded {
    constants: Option<Arc<Block>>,
    groups: Vec<wgpu::BindGroup>,
    pub batch: u32,
    pub pace: Pace,
}

impl Player {
    /// Loads a plan: checks it, takes its lasting buffers from the store (making those that are new, zero), makes
    /// its other buffers, and compiles what was not compiled on this device before. Every program starts at the
    /// largest batch.
    ///
    /// # Errors
    /// [`GpuError::Plan`] and [`GpuError::Shader`] for a malformed plan; [`GpuError::TooLarge`] and
    /// [`GpuError::OutOfMemory`] for one that does not fit; [`GpuError::Argument`] when the store is on another device
    /// or has a buffer of another size.
    pub fn new(device: &Device, plan: Plan, store: &mut Store, options: Options) -> Result<Self, GpuError> {
        if !device.is_same(store.device()) {
            return Err(GpuError::Argument("the store is on another device than the player".to_string()));
        }
        validate(&plan, device.limits())?;
        let checked = options.checked || !options.trust.is_own();
        let pipelines = device.pipelines().get(device, &plan.shaders, checked)?;
        let mut blocks = Vec::with_capacity(plan.buffers.len());
        for (index, buffer) in plan.buffers.iter().enumerate() {
            blocks.push(match &buffer.kind {
                BufferKind::Store(name) => store.require(name, buffer.bytes)?,
                BufferKind::Scratch | BufferKind::Zeroed => {
                    let label = format!("plan buffer {index}");
                    Block::new(device, &label, buffer.bytes, storage(), options.guard_bands)?
                }
            });
        }
        let mut player = Self {
            device: device.clone(),
            programs: Vec::with_capacity(plan.programs.len()),
            plan,
            flight: Flight::default(),
            ring: None,
            blocks,
            pipelines,
            options,
        };
        for program in 0..player.plan.programs.len() {
            let loaded = player.load(program)?;
            player.programs.push(loaded);
            player.write_constants(program)?;
        }
        player.rehearse()?;
        Ok(player)
    }

    fn load(&self, program: usize) -> Result<Loaded, GpuError> {
        let dispatches = &self.plan.programs[program].dispatches;
        let label = format!("constants of `{}`", self.plan.programs[program].name);
        let mut constants = None;
        let mut groups = Vec::with_capacity(dispatches.len());
        if !dispatches.is_empty() {
            // The last dispatch may have more words than a stride.
            let strides: u64 = dispatches.iter().map(|d| self.constant_stride(d.shader)).sum();
            let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
            let block = Block::new(&self.device, &label, strides, usage, false)?;
            groups = self.device.guarded(&label, |raw| {
                let mut offset = 0;
                let mut groups = Vec::with_capacity(dispatches.len());
                for dispatch in dispatches {
                    let shader = &self.plan.shaders[dispatch.shader];
                    let mut entries = vec![binding(0, &block.raw, offset, constant_bytes(shader))];
                    entries.extend(dispatch.bindings.iter().enumerate().map(|(i, slice)| {
                        let block = &self.blocks[slice.buffer];
                        let bytes = super::block::copyable(slice.bytes);
                        binding(i + 1, &block.raw, block.start + slice.offset, bytes)
                    }));
                    groups.push(raw.create_bind_group(&wgpu::BindGroupDescriptor {
                        label: Some(&dispatch.label),
                        layout: &self.pipelines[dispatch.shader].layout,
                        entries: &entries,
                    }));
                    offset += self.constant_stride(dispatch.shader);
                }
                groups
            })?;
            constants = Some(block);
        }
        let weights = dispatches.iter().map(|d| Pace::weight(d, self.plan.max_batch)).collect();
        Ok(Loaded { constants, groups, batch: self.plan.max_batch, pace: Pace::new(weights) })
    }

    fn constant_stride(&self, shader: usize) -> u64 {
        constant_bytes(&self.plan.shaders[shader]).next_multiple_of(STRIDE)
    }

    /// Evaluates the constants at the program's batch and queues their upload.
    fn write_constants(&self, program: usize) -> Result<(), GpuError> {
        let loaded = &self.programs[program];
        let Some(block) = &loaded.constants else { return Ok(()) };
        let mut words = vec![0u32; block.bytes as usize / 4];
        let mut start = 0;
        for dispatch in &self.plan.programs[program].dispatches {
            let samples = dispatch.samples_of(loaded.batch.into());
            for (word, constant) in words[start..].iter_mut().zip(&dispatch.constants) {
                *word = match constant {
                    // It fits at the largest batch: checked when the plan was loaded.
                    Constant::U32(size) => size.at(samples) as u32,
                    Constant::F32(value) => value.to_bits(),
                    Constant::Batch => loaded.batch,
                    Constant::FirstSample => dispatch.samples.map_or(0, |samples| samples.first as u32),
                };
            }
            start += self.constant_stride(dispatch.shader) as usize / 4;
        }
        super::store::write(&self.device, block, 0, bytemuck::cast_slice(&words))
    }

    /// Records every dispatch once, submits nothing, and returns what wgpu has against it. After this nothing that
    /// a plan says can make a caller's encoder invalid.
    fn rehearse(&self) -> Result<(), GpuError> {
        for (program, description) in self.plan.programs.iter().enumerate() {
            self.device.guarded(&format!("program `{}`", description.name), |raw| {
                let mut encoder = raw.create_command_encoder(&Default::default());
                self.pass(&mut encoder, program, std::iter::once(0..description.dispatches.len()));
                drop(encoder.finish());
            })?;
        }
        Ok(())
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The number of the program of this name.
    ///
    /// # Errors
    /// [`GpuError::Argument`] when there is none.
    pub fn program(&self, name: &str) -> Result<usize, GpuError> {
        self.plan.programs.iter().position(|program| program.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.plan.programs.iter().map(|program| program.name.as_str()).collect();
            GpuError::Argument(format!("the plan has no program `{name}`; it has: {}", known.join(", ")))
        })
    }

    /// The number of dispatches in a program, and zero for one that is not there.
    pub fn dispatches(&self, program: usize) -> usize {
        self.plan.programs.get(program).map_or(0, |program| program.dispatches.len())
    }

    pub(super) fn known(&self, program: usize) -> Result<(), GpuError> {
        let count = self.plan.programs.len();
        if program < count {
            return Ok(());
        }
        Err(GpuError::Argument(format!("no program number {program}; the plan has {count}")))
    }

    /// Says for how many samples a program runs from now on.
    ///
    /// The new constants reach the device with the next submission, before its commands. So commands that are
    /// recorded but not yet submitted see them too: between two batches of one program there has to be a submission.
    ///
    /// # Errors
    /// [`GpuError::Argument`] for a batch of 0 or above [`Plan::max_batch`].
    pub fn set_batch(&mut self, program: usize, batch: u32) -> Result<(), GpuError> {
        self.known(program)?;
        let largest = self.plan.max_batch;
        if batch == 0 || batch > largest {
            return Err(GpuError::Argument(format!("a batch of {batch}; this plan takes 1 to {largest}")));
        }
        if self.programs[program].batch != batch {
            self.programs[program].batch = batch;
            let weights = self.plan.programs[program].dispatches.iter().map(|d| Pace::weight(d, batch)).collect();
            self.programs[program].pace.reweigh(weights);
            self.write_constants(program)?;
        }
        Ok(())
    }

    /// The batch that a program runs for.
    ///
    /// # Errors
    /// [`GpuError::Argument`] when there is no such program.
    pub fn batch(&self, program: usize) -> Result<u32, GpuError> {
        self.known(program)?;
        Ok(self.programs[program].batch)
    }

    /// Records some of a program's dispatches into the caller's encoder, as one compute pass. Never submits, waits or
    /// allocates, so a program can be cut at any dispatch and spread over many frames: what counts is the order.
    ///
    /// # Errors
    /// [`GpuError::Argument`] when there is no such program or range.
    pub fn record(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        program: usize,
        range: Range<usize>,
    ) -> Result<(), GpuError> {
        self.known(program)?;
        let count = self.dispatches(program);
        if range.start > range.end || range.end > count {
            let name = &self.plan.programs[program].name;
            return Err(GpuError::Argument(format!(
                "program `{name}` has {count} dispatches: there are no {} to {}",
                range.start, range.end
            )));
        }
        self.pass(encoder, program, std::iter::once(range));
        Ok(())
    }

    /// One compute pass over ranges of dispatches.
    pub(super) fn pass(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        program: usize,
        ranges: impl Iterator<Item = Range<usize>>,
    ) {
        let label = Some(self.plan.programs[program].name.as_str());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label, timestamp_writes: None });
        let mut shader = None;
        for index in ranges.flatten() {
            shader = self.dispatch(&mut pass, program, index, shader);
        }
    }

    /// One dispatch, given the shader that is set by now. Returns the one that is set after it.
    pub(super) fn dispatch(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        program: usize,
        index: usize,
        shader: Option<usize>,
    ) -> Option<usize> {
        let loaded = &self.programs[program];
        let dispatch = &self.plan.programs[program].dispatches[index];
        let (x, y) = dispatch.workgroups.grid(dispatch.samples_of(loaded.batch.into()), self.plan.max_workgroups);
        if x == 0 || y == 0 {
            return shader;
        }
        if shader != Some(dispatch.shader) {
            pass.set_pipeline(&self.pipelines[dispatch.shader].pipeline);
        }
        pass.set_bind_group(0, &loaded.groups[index], &[]);
        pass.dispatch_workgroups(x, y, 1);
        Some(dispatch.shader)
    }

    pub(super) fn block(&self, buffer: usize) -> &Arc<Block> {
        &self.blocks[buffer]
    }

    /// Bytes in the plan's own buffers, those in the store left out.
    pub fn bytes(&self) -> u64 {
        let own = self.plan.buffers.iter().zip(&self.blocks);
        let own = own.filter(|(buffer, _)| !matches!(buffer.kind, BufferKind::Store(_)));
        let constants = self.programs.iter().filter_map(|program| program.constants.as_ref());
        own.map(|(_, block)| block.bytes).chain(constants.map(|block| block.bytes)).sum()
    }

    /// Whether any kernel has written outside its buffer. Waits. Buffers without bands are passed over.
    ///
    /// # Errors
    /// [`GpuError::Guard`] with the first damage; [`GpuError::Lost`].
    pub fn check_guard_bands(&self) -> Result<(), GpuError> {
        for block in &self.blocks {
            for (side, offset) in block.bands() {
                let mut encoder = self.device.raw().create_command_encoder(&Default::default());
                let bytes = Block::band_bytes();
                let band = super::Pending::<u8>::record_raw(&self.device, &mut encoder, &block.raw, offset, bytes)?;
                self.device.queue().submit([encoder.finish()]);
                if let Some(byte) = Block::damage(&band.wait()?) {
                    return Err(GpuError::Guard { buffer: block.label.clone(), side, byte });
                }
            }
        }
        Ok(())
    }
}

fn binding(binding: usize, buffer: &wgpu::Buffer, offset: u64, bytes: u64) -> wgpu::BindGroupEntry<'_> {
    wgpu::BindGroupEntry {
        binding: binding as u32,
        resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer,
            offset,
            size: wgpu::BufferSize::new(bytes),
        }),
    }
}
