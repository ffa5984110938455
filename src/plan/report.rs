//! What a plan costs, for people: `tweedie plan`.

use std::fmt;

use serde::Serialize;

use super::{BufferKind, Plan};

/// The cost of one run of each program, and of the memory that all share.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Samples in a batch.
    pub batch: u32,
    /// Bytes of what lasts: parameters, moments, data sets.
    pub store_bytes: u64,
    /// Bytes of temporaries, after sharing by lifetimes.
    pub scratch_bytes: u64,
    /// Bytes that the temporaries of all dispatches would take without sharing.
    pub unshared_bytes: u64,
    /// Number of different pipelines.
    pub shaders: usize,
    /// One entry for each program.
    pub programs: Vec<ProgramReport>,
}

/// The cost of one run of a program.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProgramReport {
    /// Its name.
    pub name: String,
    /// Kernel launches.
    pub dispatches: usize,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes read and written by all dispatches.
    pub bytes: u64,
    /// Every dispatch, the one with most FLOPs first (then most bytes).
    pub kernels: Vec<KernelReport>,
}

/// One dispatch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KernelReport {
    /// Scope and kind.
    pub label: String,
    /// Variant of the kernel.
    pub shader: String,
    /// Number of workgroups.
    pub workgroups: u64,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes read and written.
    pub bytes: u64,
}

impl Plan {
    /// What this plan costs for `batch` samples.
    pub fn report(&self, batch: u32) -> Report {
        let samples = u64::from(batch);
        let bytes_of = |store: bool| {
            let wanted = self.buffers.iter().filter(|buffer| matches!(buffer.kind, BufferKind::Store(_)) == store);
            wanted.map(|buffer| buffer.bytes).sum()
        };
        let programs: Vec<ProgramReport> = self
            .programs
            .iter()
            .map(|program| {
                let mut kernels: Vec<KernelReport> = program
                    .dispatches
                    .iter()
                    .map(|dispatch| {
                        let samples = dispatch.samples_of(samples);
                        KernelReport {
                            label: dispatch.label.clone(),
                            shader: self.shaders[dispatch.shader].key.clone(),
                            workgroups: dispatch.workgroups.count(samples),
                            flops: dispatch.flops.at(samples),
                            bytes: dispatch.bytes.at(samples),
                        }
                    })
                    .collect();
                kernels.sort_by_key(|kernel| std::cmp::Reverse((kernel.flops, kernel.bytes)));
                ProgramReport {
                    name: program.name.clone(),
                    dispatches: kernels.len(),
                    flops: kernels.iter().map(|kernel| kernel.flops).sum(),
                    bytes: kernels.iter().map(|kernel| kernel.bytes).sum(),
                    kernels,
                }
            })
            .collect();
        Report {
            batch,
            store_bytes: bytes_of(true),
            scratch_bytes: bytes_of(false),
            unshared_bytes: self.unshared_bytes(),
            shaders: self.shaders.len(),
            programs,
        }
    }

    /// Bytes that all dispatches write outside the store; a range counts for every dispatch that writes it.
    fn unshared_bytes(&self) -> u64 {
        let written = |dispatch: &super::Dispatch| -> u64 {
            let pairs = self.shaders[dispatch.shader].access.iter().zip(&dispatch.bindings);
            pairs
                .filter(|(access, slice)| {
                    **access == super::Access::ReadWrite
                        && !matches!(self.buffers[slice.buffer].kind, BufferKind::Store(_))
                })
                .map(|(_, slice)| slice.bytes)
                .sum()
        };
        self.programs.iter().flat_map(|program| &program.dispatches).map(written).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "batch {}, {} pipelines", self.batch, self.shaders)?;
        writeln!(
            f,
            "memory: {} that last, {} of temporaries ({} without sharing)",
            amount(self.store_bytes, "B"),
            amount(self.scratch_bytes, "B"),
            amount(self.unshared_bytes, "B")
        )?;
        for program in &self.programs {
            writeln!(
                f,
                "\n{}: {} dispatches, {}, {} a run",
                program.name,
                program.dispatches,
                amount(program.flops, "FLOP"),
                amount(program.bytes, "B")
            )?;
            for kernel in program.kernels.iter().take(8) {
                writeln!(
                    f,
                    "  {:>12} {:>12} {:>8} groups  {:<40} {}",
                    amount(kernel.flops, "FLOP"),
                    amount(kernel.bytes, "B"),
                    kernel.workgroups,
                    kernel.label,
                    kernel.shader
                )?;
            }
            if program.kernels.len() > 8 {
                writeln!(f, "  … and {} smaller ones", program.kernels.len() - 8)?;
            }
        }
        Ok(())
    }
}

/// `1.23 MB` for 1,230,000 B.
fn amount(value: u64, unit: &str) -> String {
    let mut scaled = value as f64;
    for prefix in ["", "k", "M", "G", "T"] {
        if scaled < 1000.0 || prefix == "T" {
            let digits = if prefix.is_empty() || scaled >= 100.0 { 0 } else { 2 };
            return format!("{scaled:.digits$} {prefix}{unit}");
        }
        scaled /= 1000.0;
    }
    unreachable!("the last prefix takes everything")
}
