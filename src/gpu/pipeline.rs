//! Compute pipelines, made once from a plan's shaders and kept for every plan on the same device.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::cache::CacheFile;
use super::device::{Device, lock};
use super::error::GpuError;
use crate::plan::{Access, Shader};

/// Whether a plan may run without wgpu's runtime checks. By default it may not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    own: bool,
}

impl Trust {
    /// Of any origin, a file say: always runs with the checks.
    pub const FOREIGN: Self = Self { own: false };

    /// Lowered by this process, from kernels of our own: may run without them.
    ///
    /// # Safety
    /// Every plan that is loaded with this was made by [`lower`](crate::lower::lower) in this process and not
    /// changed since: its kernels keep their indices inside their bindings, and their loops end.
    pub const unsafe fn own() -> Self {
        Self { own: true }
    }

    pub(super) const fn is_own(self) -> bool {
        self.own
    }
}

/// A pipeline and the layout of its bind group.
pub(super) struct Ready {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
}

/// What makes two shaders one pipeline.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    wgsl: String,
    access: Vec<Access>,
    constant_words: u32,
    checked: bool,
}

/// All pipelines of a device.
#[derive(Default)]
pub(super) struct Pipelines {
    made: Mutex<HashMap<Key, Arc<Ready>>>,
    file: Mutex<Option<Arc<CacheFile>>>,
}

impl Pipelines {
    /// Keeps compiled pipelines in this folder from now on, where the driver can.
    pub fn open_cache(&self, device: &Device, dir: &Path) {
        *lock(&self.file) = CacheFile::open(device, dir).map(Arc::new);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        lock(&self.made).len()
    }

    /// The pipelines of these shaders, in their order. What is missing is compiled, on two threads.
    pub fn get(&self, device: &Device, shaders: &[Shader], checked: bool) -> Result<Vec<Arc<Ready>>, GpuError> {
        let keys: Vec<Key> = shaders
            .iter()
            .map(|shader| Key {
                wgsl: shader.wgsl.clone(),
                access: shader.access.clone(),
                constant_words: shader.constant_words,
                checked,
            })
            .collect();
        let missing: Vec<usize> = {
            let made = lock(&self.made);
            let mut first = std::collections::HashSet::new();
            (0..keys.len()).filter(|&i| !made.contains_key(&keys[i]) && first.insert(&keys[i])).collect()
        };
        if !missing.is_empty() {
            let file = lock(&self.file).clone();
            let cache = file.as_ref().map(|file| file.raw());
            let compile = |part: &[usize]| -> Vec<(usize, Result<Ready, GpuError>)> {
                part.iter().map(|&i| (i, build(device, &shaders[i], checked, cache))).collect()
            };
            let (left, right) = missing.split_at(missing.len().div_ceil(2));
            let mut built = std::thread::scope(|scope| {
                let other = scope.spawn(|| compile(right));
                let mut built = compile(left);
                match other.join() {
                    Ok(more) => built.extend(more),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
                built
            });
            built.sort_by_key(|(index, _)| *index);
            for (index, ready) in built {
                lock(&self.made).insert(keys[index].clone(), Arc::new(ready?));
            }
            if let Some(file) = file {
                file.save(device);
            }
        }
        let made = lock(&self.made);
        Ok(keys.iter().map(|key| made[key].clone()).collect())
    }
}

fn build(
    device: &Device,
    shader: &Shader,
    checked: bool,
    cache: Option<&wgpu::PipelineCache>,
) -> Result<Ready, GpuError> {
    let label = Some(shader.key.as_str());
    let built = device.guarded(&shader.key, |raw| {
        let descriptor =
            wgpu::ShaderModuleDescriptor { label, source: wgpu::ShaderSource::Wgsl((&shader.wgsl).into()) };
        let module = if checked {
            raw.create_shader_module(descriptor)
        } else {
            // SAFETY: only plans that this process lowered from its own kernels come here (`Trust::own`); those
            // keep their indices inside their bindings and their loops finite, and run with the checks in tests.
            unsafe { raw.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
        };
        let entry = |binding: usize, ty: wgpu::BufferBindingType, least: Option<u64>| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty,
                has_dynamic_offset: false,
                min_binding_size: least.and_then(wgpu::BufferSize::new),
            },
            count: None,
        };
        let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform, Some(constant_bytes(shader)))];
        entries.extend(shader.access.iter().enumerate().map(|(i, access)| {
            let read_only = *access == Access::Read;
            entry(i + 1, wgpu::BufferBindingType::Storage { read_only }, None)
        }));
        let layout = raw.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
        let pipeline_layout = raw.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = raw.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Our kernels write workgroup memory before they read it; of a stranger's nothing is known.
                zero_initialize_workgroup_memory: checked,
                ..Default::default()
            },
            cache,
        });
        Ready { pipeline, layout }
    });
    built.map_err(|error| match error {
        GpuError::Refused { what, reason } => GpuError::Shader { key: what, reason },
        other => other,
    })
}

/// Bytes of binding 0: whole 16-byte rows, as uniform buffers are laid out.
pub(super) fn constant_bytes(shader: &Shader) -> u64 {
    (u64::from(shader.constant_words.max(1)) * 4).next_multiple_of(16)
}
