//! Running programs many times on the player's own submissions.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::error::GpuError;
use super::flight::Submission;
use super::player::Player;

impl Player {
    /// Runs a program `times` times for `batch` samples, in submissions sized by [`Options::budget`](super::Options).
    /// It waits only for the submission [`Options::in_flight`](super::Options) before the newest, and returns with the
    /// last ones still under way.
    ///
    /// # Errors
    /// [`GpuError::Argument`] as [`set_batch`](Self::set_batch); [`GpuError::Lost`].
    pub fn run(&mut self, program: usize, batch: u32, times: usize) -> Result<(), GpuError> {
        let mut left = times;
        while left > 0 {
            left -= self.advance(program, batch, left)?;
        }
        Ok(())
    }

    /// Runs a program at least once and at most `limit` times: as often as fits one submission. Returns how often. When a
    /// single repetition takes longer than the budget, it goes out in several submissions.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn advance(&mut self, program: usize, batch: u32, limit: usize) -> Result<usize, GpuError> {
        self.set_batch(program, batch)?;
        if limit == 0 {
            return Ok(0);
        }
        let most = self.ring.as_ref().map_or(usize::MAX, |ring| ring.most_repetitions());
        let count = self.dispatches(program);
        if count == 0 {
            self.flight.repetitions += limit as u64;
            return Ok(limit);
        }
        let fit = self.programs[program].pace.repetitions().min(limit).min(most);
        if fit > 0 {
            let ranges = std::iter::repeat_n(0..count, fit);
            let weight = self.programs[program].pace.weigh(0..count) * fit as f64;
            self.submit(program, weight, fit as u64, |player, encoder| player.pass(encoder, program, ranges))?;
            return Ok(fit);
        }
        let mut start = 0;
        while start < count {
            let piece = self.programs[program].pace.piece(start);
            start = piece.end;
            let weight = self.programs[program].pace.weigh(piece.clone());
            let whole = u64::from(start == count);
            self.submit(program, weight, whole, |player, encoder| {
                player.pass(encoder, program, std::iter::once(piece));
            })?;
        }
        Ok(1)
    }

    /// One submission, which ends `whole` repetitions.
    fn submit(
        &mut self,
        program: usize,
        weight: f64,
        whole: u64,
        record: impl FnOnce(&Self, &mut wgpu::CommandEncoder),
    ) -> Result<(), GpuError> {
        while self.flight.under_way.len() >= self.options.in_flight.max(1) {
            let oldest = self.flight.under_way[0].index.clone();
            self.device.wait_for(oldest)?;
            if !self.settle(true)? {
                return Err(GpuError::Lost("a submission that was waited for did not end".to_string()));
            }
        }
        let mut encoder = self.device.raw().create_command_encoder(&Default::default());
        record(self, &mut encoder);
        self.flight.repetitions += whole;
        if whole > 0 && self.ring.is_some() {
            self.record_snapshot(&mut encoder)?;
        }
        let done = Arc::new(OnceLock::new());
        let seen = done.clone();
        encoder.on_submitted_work_done(move || {
            let _ = seen.set(Instant::now());
        });
        let submitted = Instant::now();
        let index = self.device.queue().submit([encoder.finish()]);
        self.flight.under_way.push_back(Submission { index, program, weight, submitted, done });
        self.device.poll()?;
        self.settle(false)?;
        Ok(())
    }

    /// Takes note of what is done. Says whether anything was.
    pub(super) fn settle(&mut self, exact: bool) -> Result<bool, GpuError> {
        let mut any = false;
        while let Some((submission, took)) = self.flight.take_done() {
            any = true;
            let pace = &mut self.programs[submission.program].pace;
            pace.learn(submission.weight, took, exact, self.options.budget);
        }
        if let Some(ring) = &mut self.ring {
            ring.harvest()?;
        }
        Ok(any)
    }

    /// Waits until everything that was submitted is done.
    ///
    /// # Errors
    /// [`GpuError::Lost`].
    pub fn wait(&mut self) -> Result<(), GpuError> {
        self.device.wait()?;
        self.settle(false)?;
        Ok(())
    }

    /// How many whole repetitions were submitted by [`run`](Self::run) and [`advance`](Self::advance) so far.
    pub fn repetitions(&self) -> u64 {
        self.flight.repetitions
    }

    /// How many submissions are not known to be done.
    pub fn under_way(&self) -> usize {
        self.flight.under_way.len()
    }
}
