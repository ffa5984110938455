//! Runs single kernels on a real device: with wgpu's runtime checks and without, each buffer between guard bands.
//!
//! Devices have the limits of WebGPU's baseline, and no features but subgroups where the adapter has them. Without an
//! adapter the tests fail.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tweedie::plan::{Access, Constant, Shader, Workgroups};
use tweedie::wgpu;

use crate::common::pool::{Lease, Pool};

/// Words before and after what a kernel is bound to: 256 bytes, the alignment of offsets.
const GUARD: usize = 64;
/// A NaN, so that whatever is read outside shows in the result.
const GUARD_WORD: u32 = 0x7fc5_a5a5;

/// A pipeline and the layout of its bind group.
pub struct Ready {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

/// The device and its pipelines.
pub struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    /// Lanes of its subgroups, where they are all alike; else 0.
    pub lanes: u32,
    ready: Mutex<HashMap<(String, bool), Arc<Ready>>>,
}

/// The device of this test, which later ones take over: a process has as many as tests run at the same time.
pub fn gpu() -> &'static Gpu {
    static DEVICES: Pool<Gpu> = Pool::new();
    thread_local!(static LEASE: Lease<Gpu> = DEVICES.lease(Gpu::open));
    LEASE.with(|lease| lease.thing)
}

impl Gpu {
    fn open() -> Self {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
        let mut adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
        // Lavapipe where it is installed: the same numbers everywhere.
        adapters.sort_by_key(|adapter| !adapter.get_info().name.contains("llvmpipe"));
        let adapter = adapters.first().expect(
            "the kernel tests need a Vulkan, Metal or DX12 adapter; a software one will do: \
             on Debian or Ubuntu `apt-get install mesa-vulkan-drivers` brings lavapipe",
        );
        let info = adapter.get_info();
        let features = adapter.features() & wgpu::Features::SUBGROUP;
        let alike = !features.is_empty() && info.subgroup_min_size == info.subgroup_max_size;
        let descriptor = wgpu::DeviceDescriptor {
            required_features: features,
            required_limits: wgpu::Limits::defaults(),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).expect("a device");
        Gpu { device, queue, lanes: if alike { info.subgroup_max_size } else { 0 }, ready: Mutex::default() }
    }

    /// The pipeline of a shader.
    pub fn ready(&self, shader: &Shader, checked: bool) -> Arc<Ready> {
        let mut ready = self.ready.lock().unwrap();
        let make = || Arc::new(self.make(shader, checked));
        ready.entry((shader.wgsl.clone(), checked)).or_insert_with(make).clone()
    }

    fn make(&self, shader: &Shader, checked: bool) -> Ready {
        let label = Some(shader.key.as_str());
        let descriptor =
            wgpu::ShaderModuleDescriptor { label, source: wgpu::ShaderSource::Wgsl(shader.wgsl.as_str().into()) };
        let module = if checked {
            self.device.create_shader_module(descriptor)
        } else {
            // SAFETY: that these kernels stay inside their buffers and end is what the tests are for; a software
            // driver's memory is this process's own.
            unsafe { self.device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
        };
        let entry = |binding: usize, ty| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        };
        let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform)];
        entries.extend(
            shader.access.iter().enumerate().map(|(i, access)| {
                entry(i + 1, wgpu::BufferBindingType::Storage { read_only: *access == Access::Read })
            }),
        );
        let layout =
            self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
        let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        Ready { pipeline, layout }
    }

    fn buffer(&self, words: &[u32], usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: words.len() as u64 * 4,
            usage: usage | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(words));
        buffer
    }

    /// A buffer for [`Gpu::bind`] with `words` between guard bands.
    pub fn guarded(&self, words: &[u32]) -> wgpu::Buffer {
        let guard = [GUARD_WORD; GUARD];
        let all = [&guard, words, &guard].concat();
        self.buffer(&all, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC)
    }

    /// The words of a guarded buffer, whose bands are as they were.
    pub fn read(&self, buffer: &wgpu::Buffer, what: &str) -> Vec<u32> {
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: buffer.size(),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
        self.queue.submit([encoder.finish()]);
        staging.map_async(wgpu::MapMode::Read, .., |result| result.expect("a mapped buffer"));
        self.device.poll(wgpu::PollType::wait_indefinitely()).expect("a device that answers");
        let mapped = staging.get_mapped_range(..).expect("a mapped range");
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&mapped);
        let end = words.len() - GUARD;
        for (i, word) in words.iter().enumerate().filter(|(i, _)| *i < GUARD || *i >= end) {
            assert_eq!(*word, GUARD_WORD, "{what}: wrote outside of its buffer, at word {}", i as i64 - GUARD as i64);
        }
        words[GUARD..end].to_vec()
    }

    /// Binds guarded buffers.
    pub fn bind(&self, ready: &Ready, constants: &[u32], buffers: &[wgpu::Buffer]) -> wgpu::BindGroup {
        let uniform = self.buffer(constants, wgpu::BufferUsages::UNIFORM);
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: uniform.as_entire_binding() }];
        entries.extend(buffers.iter().enumerate().map(|(i, buffer)| wgpu::BindGroupEntry {
            binding: i as u32 + 1,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset: GUARD as u64 * 4,
                size: std::num::NonZero::new(buffer.size() - GUARD as u64 * 8),
            }),
        }));
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &ready.layout,
            entries: &entries,
        })
    }

    /// Launches a pipeline `times` times and waits.
    pub fn launch(&self, ready: &Ready, group: &wgpu::BindGroup, (x, y): (u32, u32), times: u32) {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&ready.pipeline);
        pass.set_bind_group(0, group, &[]);
        (0..times).for_each(|_| pass.dispatch_workgroups(x, y, 1));
        drop(pass);
        self.queue.submit([encoder.finish()]);
        self.device.poll(wgpu::PollType::wait_indefinitely()).expect("a device that answers");
    }
}

/// The words of constants for `batch` samples.
pub fn words(constants: &[Constant], batch: u64) -> Vec<u32> {
    let word = |constant: &Constant| match constant {
        Constant::U32(size) => size.at(batch) as u32,
        Constant::F32(value) => value.to_bits(),
        Constant::Batch => batch as u32,
        Constant::FirstSample => 0,
    };
    constants.iter().map(word).collect()
}

/// Floats as words.
pub fn bits(floats: &[f32]) -> Vec<u32> {
    floats.iter().map(|f| f.to_bits()).collect()
}

/// Words as floats.
pub fn floats(words: &[u32]) -> Vec<f32> {
    words.iter().map(|w| f32::from_bits(*w)).collect()
}

/// Runs a kernel once with runtime checks and once without, both on fresh copies of `buffers`, with at most `longest`
/// workgroups in a row. Gives all buffers after it, which must be the same bits, with what is only read unchanged.
pub fn run(
    shader: &Shader,
    constants: &[Constant],
    workgroups: Workgroups,
    (batch, longest): (u64, u32),
    buffers: &[Vec<u32>],
) -> Vec<Vec<u32>> {
    let constants = words(constants, batch);
    assert_eq!(constants.len() as u32, shader.constant_words, "{}: words of constants", shader.key);
    assert_eq!(buffers.len(), shader.access.len(), "{}: buffers", shader.key);
    let gpu = gpu();
    let [checked, unchecked] = [true, false].map(|checked| {
        let ready = gpu.ready(shader, checked);
        let bound: Vec<_> = buffers.iter().map(|words| gpu.guarded(words)).collect();
        let group = gpu.bind(&ready, &constants, &bound);
        gpu.launch(&ready, &group, workgroups.grid(batch, longest), 1);
        bound.iter().map(|buffer| gpu.read(buffer, &shader.key)).collect::<Vec<_>>()
    });
    assert!(checked == unchecked, "{}: runtime checks change the result", shader.key);
    for ((before, after), access) in buffers.iter().zip(&checked).zip(&shader.access) {
        assert!(*access == Access::ReadWrite || before == after, "{}: wrote to what it reads", shader.key);
    }
    checked
}
