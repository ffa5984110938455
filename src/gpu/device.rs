//! An open device: ours, or the caller's.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::adapter::{AdapterReport, Adapters, Choice, DeviceLimits};
use super::error::{GpuError, one_line};
use super::pipeline::Pipelines;
use crate::plan::Driver;

/// How to open a device of our own.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Limits below the adapter's own, to force folding and chunking. `None` takes all that the adapter has.
    pub limits: Option<DeviceLimits>,
    /// Where compiled pipelines are kept between processes. `None` keeps none.
    pub cache_dir: Option<PathBuf>,
}

/// Memory on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryReport {
    /// Bytes in live buffers of this room's making.
    pub buffer_bytes: u64,
    /// Bytes that wgpu's allocator has given out, staging included, where the backend counts them.
    pub allocated_bytes: Option<u64>,
    /// Bytes that wgpu's allocator holds from the driver, where the backend counts them.
    pub reserved_bytes: Option<u64>,
}

/// A device and its queue. Clones are handles to the same device.
#[derive(Clone)]
pub struct Device {
    inner: Arc<Inner>,
}

struct Inner {
    raw: wgpu::Device,
    queue: wgpu::Queue,
    report: AdapterReport,
    pipelines: Pipelines,
    health: Arc<Health>,
    buffer_bytes: Arc<AtomicU64>,
    notes: Mutex<Vec<String>>,
}

/// What the handlers of our own device have seen. Stays empty on a caller's device.
#[derive(Default)]
struct Health {
    lost: Mutex<Option<String>>,
    error: Mutex<Option<GpuError>>,
}

/// A lock that a panicking thread has held is as good as any other: the values behind ours are always whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Device {
    /// Opens one of the adapters. On this device out-of-memory, refusals and loss are errors and never panics.
    ///
    /// # Errors
    /// [`GpuError::Open`] when the adapter gives no device.
    pub fn open(adapters: &Adapters, index: usize, options: &OpenOptions) -> Result<Self, GpuError> {
        let (adapter, report) =
            adapters.get(index).ok_or_else(|| GpuError::Argument(format!("there is no adapter number {index}")))?;
        let useful = wgpu::Features::SUBGROUP | wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::PIPELINE_CACHE;
        let mut limits = adapter.limits();
        if let Some(shrunken) = &options.limits {
            shrunken.shrink(&mut limits);
        }
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("tweedie"),
            required_features: adapter.features() & useful,
            required_limits: limits,
            experimental_features: wgpu::ExperimentalFeatures::disabled(),
            // A plan makes a few large buffers and then none.
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            trace: wgpu::Trace::Off,
        };
        let (raw, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|error| GpuError::Open { adapter: report.name.clone(), reason: one_line(&error.to_string()) })?;

        let health = Arc::new(Health::default());
        let seen = health.clone();
        raw.on_uncaptured_error(Arc::new(move |error| {
            lock(&seen.error).get_or_insert_with(|| from_wgpu_error(error, "the device"));
        }));
        let seen = health.clone();
        raw.set_device_lost_callback(move |_, message| {
            let message = if message.is_empty() { "its driver gave no reason".to_string() } else { one_line(&message) };
            lock(&seen.lost).get_or_insert(message);
        });
        let device = Self::assemble(raw, queue, health);
        if let Some(dir) = &options.cache_dir {
            device.inner.pipelines.open_cache(&device, dir);
        }
        Ok(device)
    }

    /// Picks an adapter and opens it; `None` stands for the CPU device. The text says why, in one line.
    ///
    /// # Errors
    /// [`GpuError::NoAdapter`] or [`GpuError::Open`].
    pub fn choose(choice: &Choice, options: &OpenOptions) -> Result<(Option<Self>, String), GpuError> {
        if *choice == Choice::Cpu {
            return Ok((None, super::adapter::select(&[], choice)?.reason));
        }
        let adapters = Adapters::find();
        let selection = adapters.select(choice)?;
        let device = selection.adapter.map(|index| Self::open(&adapters, index, options)).transpose()?;
        Ok((device, selection.reason))
    }

    /// Takes the caller's device. No handler is installed on it: a loss or an error that wgpu finds later goes
    /// where the caller's other errors go. Creation is still guarded, so what does not fit is an `Err`.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        Self::assemble(device, queue, Arc::default())
    }

    fn assemble(raw: wgpu::Device, queue: wgpu::Queue, health: Arc<Health>) -> Self {
        let features = raw.features();
        let report = AdapterReport::new(&raw.adapter_info(), features, &raw.limits());
        Self {
            inner: Arc::new(Inner {
                raw,
                queue,
                report,
                pipelines: Pipelines::default(),
                health,
                buffer_bytes: Arc::default(),
                notes: Mutex::default(),
            }),
        }
    }

    /// The wgpu device.
    pub fn raw(&self) -> &wgpu::Device {
        &self.inner.raw
    }

    /// The wgpu queue.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.inner.queue
    }

    /// The adapter, with the features and limits that this device was opened with.
    pub fn report(&self) -> &AdapterReport {
        &self.inner.report
    }

    /// The limits that plans have to keep.
    pub fn limits(&self) -> &DeviceLimits {
        &self.inner.report.limits
    }

    /// How many pipelines were compiled on this device so far.
    pub fn pipeline_count(&self) -> usize {
        self.inner.pipelines.count()
    }

    pub(super) fn pipelines(&self) -> &Pipelines {
        &self.inner.pipelines
    }

    pub(super) fn buffer_bytes(&self) -> &Arc<AtomicU64> {
        &self.inner.buffer_bytes
    }

    /// What a plan for this device should be made for.
    pub fn driver(&self) -> Driver {
        let report = self.report();
        if !report.is_software() {
            return Driver::Hardware;
        }
        let alike = report.subgroup_min == report.subgroup_max;
        let usable = alike && self.raw().features().contains(wgpu::Features::SUBGROUP);
        Driver::Software { lanes: if usable { report.subgroup_min } else { 0 } }
    }

    /// Whether one handle is a clone of the other. (wgpu's own equality takes the first devices of two instances
    /// for the same.)
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Takes what is worth a line in a log (a pipeline cache that could not be read, say).
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.inner.notes))
    }

    pub(super) fn note(&self, text: String) {
        lock(&self.inner.notes).push(text);
    }

    /// Memory on the device. Exact after [`wait`](Self::wait).
    pub fn memory(&self) -> MemoryReport {
        let report = self.inner.raw.generate_allocator_report();
        MemoryReport {
            buffer_bytes: self.inner.buffer_bytes.load(Ordering::Relaxed),
            allocated_bytes: report.as_ref().map(|report| report.total_allocated_bytes),
            reserved_bytes: report.as_ref().map(|report| report.total_reserved_bytes),
        }
    }

    /// Whether anything has gone wrong since the device was opened. On a caller's device nothing is known.
    ///
    /// # Errors
    /// [`GpuError::Lost`], or the first error that no call was there to return.
    pub fn check(&self) -> Result<(), GpuError> {
        if let Some(reason) = &*lock(&self.inner.health.lost) {
            return Err(GpuError::Lost(reason.clone()));
        }
        match &*lock(&self.inner.health.error) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Lets finished work call its callbacks and release its memory, without waiting.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn poll(&self) -> Result<(), GpuError> {
        self.poll_with(wgpu::PollType::Poll)
    }

    /// Waits until everything that was submitted is done.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn wait(&self) -> Result<(), GpuError> {
        self.poll_with(wgpu::PollType::wait_indefinitely())
    }

    pub(super) fn wait_for(&self, submission: wgpu::SubmissionIndex) -> Result<(), GpuError> {
        self.poll_with(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None })
    }

    fn poll_with(&self, how: wgpu::PollType) -> Result<(), GpuError> {
        self.check()?;
        // wgpu panics when the driver reports the loss of the device to a poll; to us that is an error.
        match catch_unwind(AssertUnwindSafe(|| self.inner.raw.poll(how))) {
            Ok(Ok(_)) => self.check(),
            Ok(Err(error)) => self.check().and_then(|()| Err(GpuError::Lost(one_line(&error.to_string())))),
            Err(_) => {
                lock(&self.inner.health.lost).get_or_insert_with(|| "the driver gave it up during a wait".to_string());
                self.check()
            }
        }
    }

    /// Runs `make` and returns what wgpu has against it, instead of letting it reach a handler.
    pub(super) fn guarded<T>(&self, what: &str, make: impl FnOnce(&wgpu::Device) -> T) -> Result<T, GpuError> {
        self.check()?;
        let raw = &self.inner.raw;
        let scopes = [wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Validation]
            .map(|filter| raw.push_error_scope(filter));
        let made = make(raw);
        let mut first = None;
        for scope in scopes.into_iter().rev() {
            if let Some(error) = pollster::block_on(scope.pop()) {
                first.get_or_insert(error);
            }
        }
        match first {
            Some(error) => Err(from_wgpu_error(error, what)),
            None => self.check().map(|()| made),
        }
    }
}

fn from_wgpu_error(error: wgpu::Error, what: &str) -> GpuError {
    match error {
        wgpu::Error::OutOfMemory { .. } => GpuError::OutOfMemory { what: what.to_string(), bytes: 0 },
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
            GpuError::Refused { what: what.to_string(), reason: one_line(&description) }
        }
    }
}
