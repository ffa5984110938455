//! Time per dispatch, by timestamp queries.
//!
//! Each dispatch gets a compute pass of its own, whose two ends are timed: this works wherever timestamps do, Apple's
//! GPUs included, which cannot time inside a pass. The same dispatches run in the same order as without a profile.

use serde::{Deserialize, Serialize};

use super::block::Block;
use super::error::GpuError;
use super::pending::Pending;
use super::player::Player;

/// Dispatches that are timed in one submission (two queries each, of the 4,096 that a set may hold).
const CHUNK: usize = 256;

/// One dispatch of a profiled program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileRow {
    /// The dispatch's label.
    pub label: String,
    /// The shader's key.
    pub shader: String,
    /// How often it ran.
    pub calls: u64,
    /// Seconds in all calls together.
    pub seconds: f64,
    /// Floating-point operations of one call.
    pub flops: u64,
    /// Bytes that one call reads and writes at least once.
    pub bytes: u64,
}

impl ProfileRow {
    /// Floating-point operations per second, in units of 1e9. Zero when the clock was too coarse to see a call.
    pub fn gflops(&self) -> f64 {
        self.rate(self.flops)
    }

    /// Bytes per second, in units of 1e9. Zero when the clock was too coarse to see a call.
    pub fn gigabytes(&self) -> f64 {
        self.rate(self.bytes)
    }

    fn rate(&self, amount: u64) -> f64 {
        if self.seconds > 0.0 { amount as f64 * self.calls as f64 / self.seconds * 1e-9 } else { 0.0 }
    }
}

/// Where a program's time goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The program's name.
    pub program: String,
    /// Samples in its batch.
    pub batch: u32,
    /// How often it ran.
    pub repetitions: u64,
    /// One row for each dispatch, in the program's order.
    pub rows: Vec<ProfileRow>,
}

impl Profile {
    /// Seconds in all dispatches of all repetitions.
    pub fn seconds(&self) -> f64 {
        self.rows.iter().map(|row| row.seconds).sum()
    }

    /// One row for each label and shader, longest time first; FLOPs and bytes are means over the calls.
    pub fn by_label(&self) -> Vec<ProfileRow> {
        let mut grouped = std::collections::BTreeMap::<(&str, &str), Vec<&ProfileRow>>::new();
        for row in &self.rows {
            grouped.entry((&row.label, &row.shader)).or_default().push(row);
        }
        let mut rows: Vec<ProfileRow> = grouped
            .into_iter()
            .map(|((label, shader), rows)| ProfileRow {
                label: label.to_string(),
                shader: shader.to_string(),
                calls: rows.iter().map(|row| row.calls).sum(),
                seconds: rows.iter().map(|row| row.seconds).sum(),
                flops: rows.iter().map(|row| row.flops).sum::<u64>() / rows.len() as u64,
                bytes: rows.iter().map(|row| row.bytes).sum::<u64>() / rows.len() as u64,
            })
            .collect();
        rows.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        rows
    }
}

impl Player {
    /// Runs a program `repetitions` times for `batch` samples, with the same results as [`run`](Self::run), and times
    /// each dispatch. Waits. The first use of a pipeline may include its compilation: run the program once before.
    ///
    /// # Errors
    /// [`GpuError::Unsupported`] without timestamp queries; otherwise as [`run`](Self::run).
    pub fn profile(&mut self, program: usize, batch: u32, repetitions: u64) -> Result<Profile, GpuError> {
        if !self.device.raw().features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Err(GpuError::Unsupported {
                what: "a profile".to_string(),
                needs: "timestamp queries".to_string(),
                adapter: self.device.report().name.clone(),
            });
        }
        self.set_batch(program, batch)?;
        let count = self.dispatches(program);
        let mut nanoseconds = vec![0.0; count];
        if count > 0 {
            let chunk = count.min(CHUNK);
            let bytes = chunk as u64 * 16;
            let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
            let resolved = Block::new(&self.device, "profile", bytes, usage, false)?;
            let queries = self.device.guarded("profile", |raw| {
                raw.create_query_set(&wgpu::QuerySetDescriptor {
                    label: Some("profile"),
                    ty: wgpu::QueryType::Timestamp,
                    count: 2 * chunk as u32,
                })
            })?;
            for _ in 0..repetitions {
                for start in (0..count).step_by(chunk) {
                    let range = start..(start + chunk).min(count);
                    self.time(program, range, &queries, &resolved, &mut nanoseconds)?;
                }
            }
        }
        self.flight.repetitions += repetitions;
        let dispatches = &self.plan.programs[program].dispatches;
        let rows = dispatches.iter().zip(&nanoseconds).map(|(dispatch, nanoseconds)| ProfileRow {
            label: dispatch.label.clone(),
            shader: self.plan.shaders[dispatch.shader].key.clone(),
            calls: repetitions,
            seconds: nanoseconds * 1e-9,
            flops: dispatch.flops.at(batch.into()),
            bytes: dispatch.bytes.at(batch.into()),
        });
        Ok(Profile { program: self.plan.programs[program].name.clone(), batch, repetitions, rows: rows.collect() })
    }

    /// Runs some dispatches and adds the time that each took.
    fn time(
        &self,
        program: usize,
        range: std::ops::Range<usize>,
        queries: &wgpu::QuerySet,
        resolved: &Block,
        nanoseconds: &mut [f64],
    ) -> Result<(), GpuError> {
        let mut encoder = self.device.raw().create_command_encoder(&Default::default());
        let count = range.len() as u32;
        for (query, index) in (0..count).zip(range.clone()) {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some(&self.plan.programs[program].dispatches[index].label),
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: queries,
                    beginning_of_pass_write_index: Some(2 * query),
                    end_of_pass_write_index: Some(2 * query + 1),
                }),
            });
            self.dispatch(&mut pass, program, index, None);
        }
        encoder.resolve_query_set(queries, 0..2 * count, &resolved.raw, 0);
        let pending = Pending::<u32>::record(&self.device, &mut encoder, resolved, 0, u64::from(count) * 16)?;
        self.device.queue().submit([encoder.finish()]);
        let words = pending.wait()?;
        let ticks: Vec<u64> =
            words.chunks_exact(2).map(|pair| u64::from(pair[0]) | (u64::from(pair[1]) << 32)).collect();
        let period = f64::from(self.device.queue().get_timestamp_period());
        for (index, ends) in range.zip(ticks.chunks_exact(2)) {
            // Some drivers' clocks step back between two passes: that is no time.
            nanoseconds[index] += ends[1].saturating_sub(ends[0]) as f64 * period;
        }
        Ok(())
    }
}
