//! Which adapters there are, what they can do, and which one to take.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::GpuError;

/// What kind of hardware stands behind an adapter, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hardware {
    /// A GPU with its own memory.
    Discrete,
    /// A GPU that shares the CPU's memory.
    Integrated,
    /// A hosted or virtual GPU.
    Virtual,
    /// The driver does not say.
    Other,
    /// A driver that computes on the CPU (lavapipe, WARP).
    Software,
}

/// The limits that decide what fits a device. Bytes unless named otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceLimits {
    /// Largest buffer.
    pub buffer_bytes: u64,
    /// Largest storage binding.
    pub binding_bytes: u64,
    /// Largest uniform binding.
    pub uniform_bytes: u64,
    /// Storage buffers that one kernel may bind.
    pub storage_buffers: u32,
    /// Workgroup memory.
    pub workgroup_bytes: u32,
    /// Threads in a workgroup.
    pub threads: u32,
    /// Workgroups in each dimension of a dispatch.
    pub workgroups: u32,
}

impl DeviceLimits {
    pub(super) fn of(limits: &wgpu::Limits) -> Self {
        Self {
            buffer_bytes: limits.max_buffer_size,
            binding_bytes: limits.max_storage_buffer_binding_size,
            uniform_bytes: limits.max_uniform_buffer_binding_size,
            storage_buffers: limits.max_storage_buffers_per_shader_stage,
            workgroup_bytes: limits.max_compute_workgroup_storage_size,
            threads: limits.max_compute_invocations_per_workgroup,
            workgroups: limits.max_compute_workgroups_per_dimension,
        }
    }

    /// Lowers wgpu's limits to these where these are smaller.
    pub(super) fn shrink(&self, limits: &mut wgpu::Limits) {
        limits.max_buffer_size = limits.max_buffer_size.min(self.buffer_bytes);
        limits.max_storage_buffer_binding_size = limits.max_storage_buffer_binding_size.min(self.binding_bytes);
        limits.max_uniform_buffer_binding_size = limits.max_uniform_buffer_binding_size.min(self.uniform_bytes);
        limits.max_storage_buffers_per_shader_stage =
            limits.max_storage_buffers_per_shader_stage.min(self.storage_buffers);
        limits.max_compute_workgroup_storage_size = limits.max_compute_workgroup_storage_size.min(self.workgroup_bytes);
        limits.max_compute_invocations_per_workgroup = limits.max_compute_invocations_per_workgroup.min(self.threads);
        limits.max_compute_workgroups_per_dimension = limits.max_compute_workgroups_per_dimension.min(self.workgroups);
    }
}

/// What `tweedie devices` says about an adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdapterReport {
    /// The adapter's name, as its driver spells it.
    pub name: String,
    /// `vulkan`, `metal` or `dx12`.
    pub backend: String,
    /// PCI vendor number, zero when not known.
    pub vendor: u32,
    /// The driver's name.
    pub driver: String,
    /// The driver's version.
    pub driver_info: String,
    /// What stands behind it.
    pub hardware: Hardware,
    /// The limits that matter.
    pub limits: DeviceLimits,
    /// Smallest subgroup that a kernel may meet.
    pub subgroup_min: u32,
    /// Largest subgroup that a kernel may meet.
    pub subgroup_max: u32,
    /// Whether a profile can time its kernels.
    pub timestamps: bool,
    /// Whether compiled pipelines can be kept on disk.
    pub pipeline_cache: bool,
}

impl AdapterReport {
    /// Whether its driver computes on the CPU.
    pub fn is_software(&self) -> bool {
        self.hardware == Hardware::Software
    }

    pub(super) fn new(info: &wgpu::AdapterInfo, features: wgpu::Features, limits: &wgpu::Limits) -> Self {
        Self {
            name: info.name.clone(),
            backend: info.backend.to_string(),
            vendor: info.vendor,
            driver: info.driver.clone(),
            driver_info: info.driver_info.clone(),
            hardware: match info.device_type {
                wgpu::DeviceType::DiscreteGpu => Hardware::Discrete,
                wgpu::DeviceType::IntegratedGpu => Hardware::Integrated,
                wgpu::DeviceType::VirtualGpu => Hardware::Virtual,
                wgpu::DeviceType::Cpu => Hardware::Software,
                wgpu::DeviceType::Other => Hardware::Other,
            },
            limits: DeviceLimits::of(limits),
            subgroup_min: info.subgroup_min_size,
            subgroup_max: info.subgroup_max_size,
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            pipeline_cache: features.contains(wgpu::Features::PIPELINE_CACHE),
        }
    }

    /// What to type after `--device` to get this adapter: the first word of its name, in lower case.
    fn short_name(&self) -> String {
        self.name.split_whitespace().next().unwrap_or("?").to_lowercase()
    }
}

/// What the user asked for with `--device`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// A hardware GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// A hardware GPU, or an error.
    Gpu,
    /// The CPU.
    Cpu,
    /// The adapter whose name or driver contains this text, in upper or lower case.
    Named(String),
}

impl FromStr for Choice {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.to_lowercase().as_str() {
            "auto" => Self::Auto,
            "gpu" => Self::Gpu,
            "cpu" => Self::Cpu,
            _ => Self::Named(text.to_string()),
        })
    }
}

/// The answer to a [`Choice`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Index of the adapter, or `None` for the CPU device.
    pub adapter: Option<usize>,
    /// Why, in one line.
    pub reason: String,
}

/// Picks one of the adapters.
///
/// # Errors
/// [`GpuError::NoAdapter`] when a GPU was asked for, or named, and there is none; it lists what there is.
pub fn select(adapters: &[AdapterReport], choice: &Choice) -> Result<Selection, GpuError> {
    let best = |keep: &dyn Fn(&AdapterReport) -> bool| {
        // `min_by_key` keeps the first of equals: the order of the driver's list decides last.
        (0..adapters.len()).filter(|&i| keep(&adapters[i])).min_by_key(|&i| adapters[i].hardware)
    };
    let hardware = best(&|adapter| !adapter.is_software());
    let software = best(&AdapterReport::is_software);
    let take = |index: usize, why: &str| {
        let adapter = &adapters[index];
        Selection { adapter: Some(index), reason: format!("{} ({}): {why}", adapter.name, adapter.backend) }
    };
    match choice {
        Choice::Cpu => Ok(Selection { adapter: None, reason: "CPU: asked for".to_string() }),
        Choice::Auto => Ok(match (hardware, software) {
            (Some(index), _) => take(index, "the best hardware GPU"),
            (None, Some(index)) => {
                let adapter = &adapters[index];
                let hint = adapter.short_name();
                let reason = format!(
                    "CPU: no hardware GPU found; {} is a software driver (name it with --device {hint})",
                    adapter.name
                );
                Selection { adapter: None, reason }
            }
            (None, None) => Selection { adapter: None, reason: "CPU: no GPU adapter found".to_string() },
        }),
        Choice::Gpu => match hardware {
            Some(index) => Ok(take(index, "the best hardware GPU")),
            None => Err(GpuError::NoAdapter(format!("no hardware GPU: {}", list(adapters)))),
        },
        Choice::Named(part) => {
            let part = part.to_lowercase();
            let exact = best(&|adapter| adapter.name.to_lowercase() == part);
            let contains = |text: &str| !part.is_empty() && text.to_lowercase().contains(&part);
            match exact.or_else(|| best(&|adapter| contains(&adapter.name) || contains(&adapter.driver))) {
                Some(index) => Ok(take(index, "asked for by name")),
                None => Err(GpuError::NoAdapter(format!("no adapter is called `{part}`: {}", list(adapters)))),
            }
        }
    }
}

/// What there is, and what to type.
fn list(adapters: &[AdapterReport]) -> String {
    if adapters.is_empty() {
        return "no adapter was found at all (is a Vulkan, Metal or DX12 driver installed? Debian and Ubuntu: \
                mesa-vulkan-drivers); --device cpu always works"
            .to_string();
    }
    let names: Vec<String> = adapters
        .iter()
        .map(|adapter| {
            let kind = if adapter.is_software() { ", a software driver" } else { "" };
            format!("{} ({}{kind}: --device {})", adapter.name, adapter.backend, adapter.short_name())
        })
        .collect();
    format!("found {}; or take --device cpu", names.join(", "))
}

/// All adapters of this machine.
pub struct Adapters {
    found: Vec<(wgpu::Adapter, AdapterReport)>,
}

impl Adapters {
    /// Looks for adapters on Vulkan, Metal and DX12. `WGPU_BACKEND` and `WGPU_VALIDATION` are heeded.
    pub fn find() -> Self {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = (wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12).with_env();
        // No kernel is dispatched indirectly, and driver layers are for those who ask for them.
        descriptor.flags = wgpu::InstanceFlags::empty().with_env();
        let backends = descriptor.backends;
        let instance = wgpu::Instance::new(descriptor);
        let found = pollster::block_on(instance.enumerate_adapters(backends))
            .into_iter()
            .map(|adapter| {
                let report = AdapterReport::new(&adapter.get_info(), adapter.features(), &adapter.limits());
                (adapter, report)
            })
            .collect();
        Self { found }
    }

    /// What there is, in the order of the drivers' lists.
    pub fn reports(&self) -> Vec<AdapterReport> {
        self.found.iter().map(|(_, report)| report.clone()).collect()
    }

    /// Picks one; see [`select`].
    ///
    /// # Errors
    /// See [`select`].
    pub fn select(&self, choice: &Choice) -> Result<Selection, GpuError> {
        select(&self.reports(), choice)
    }

    pub(super) fn get(&self, index: usize) -> Option<&(wgpu::Adapter, AdapterReport)> {
        self.found.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(name: &str, hardware: Hardware) -> AdapterReport {
        AdapterReport {
            name: name.to_string(),
            backend: "vulkan".to_string(),
            vendor: 0,
            driver: "driver".to_string(),
            driver_info: String::new(),
            hardware,
            limits: DeviceLimits::of(&wgpu::Limits::defaults()),
            subgroup_min: 8,
            subgroup_max: 8,
            timestamps: false,
            pipeline_cache: false,
        }
    }

    #[test]
    fn auto_prefers_discrete_and_never_takes_software() {
        let all = [
            adapter("llvmpipe (LLVM 15)", Hardware::Software),
            adapter("Iris Xe", Hardware::Integrated),
            adapter("GeForce", Hardware::Discrete),
        ];
        assert_eq!(select(&all, &Choice::Auto).unwrap().adapter, Some(2));
        assert_eq!(select(&all[..2], &Choice::Gpu).unwrap().adapter, Some(1));
        let cpu = select(&all[..1], &Choice::Auto).unwrap();
        assert_eq!(cpu.adapter, None);
        assert!(cpu.reason.contains("software driver") && cpu.reason.contains("--device llvmpipe"), "{}", cpu.reason);
        assert_eq!(select(&[], &Choice::Auto).unwrap().adapter, None);
        assert_eq!(select(&all, &Choice::Cpu).unwrap().adapter, None);
    }

    #[test]
    fn a_name_finds_even_software_in_any_case() {
        let all = [adapter("GeForce RTX", Hardware::Discrete), adapter("llvmpipe (LLVM 15)", Hardware::Software)];
        for text in ["llvm", "LLVMpipe", "llvmpipe (llvm 15)"] {
            assert_eq!(select(&all, &text.parse().unwrap()).unwrap().adapter, Some(1), "{text}");
        }
        let error = select(&all, &Choice::Named("radeon".to_string())).unwrap_err().to_string();
        assert!(error.contains("radeon") && error.contains("GeForce RTX") && error.contains("--device llvmpipe"));
        assert!(!error.contains('\n'));
    }

    #[test]
    fn gpu_without_hardware_says_what_was_found() {
        let error = select(&[adapter("llvmpipe", Hardware::Software)], &Choice::Gpu).unwrap_err().to_string();
        assert!(error.contains("software driver") && error.contains("--device llvmpipe"), "{error}");
        let none = select(&[], &Choice::Gpu).unwrap_err().to_string();
        assert!(none.contains("mesa-vulkan-drivers"), "{none}");
    }
}
