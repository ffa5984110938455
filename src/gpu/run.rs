//! Running programs many times on the player's own submissions.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::error::GpuError;
use super::flight::Submission;
use super::pending::CALLBACK_PATIENCE;
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

    /// Runs a program at least once and at most `limit` times: as often as fits one submission. Returns how often. When
    /// a single repetition takes longer than the budget, it goes out in several submissions.
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
            // It is done, even if another thread, polling at the same moment, has yet to call its callback.
            let _ = self.flight.under_way[0].done.set(Instant::now());
            self.settle(true)?;
        }
        let mut encoder = self.device.raw().create_command_encoder(&Default::default());
        record(self, &mut encoder);
        self.flight.repetitions += whole;
        if whole > 0 {
            self.snapshot(&mut encoder)?;
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

    /// Records a snapshot if anything is watched. There is a slot for every submission that may be under way, so this
    /// waits only for a callback that another thread has yet to call.
    fn snapshot(&mut self, encoder: &mut wgpu::CommandEncoder) -> Result<(), GpuError> {
        let start = Instant::now();
        let repetitions = self.flight.repetitions;
        while let Some(ring) = &mut self.ring
            && !ring.record(encoder, repetitions, true)?
        {
            if start.elapsed() > CALLBACK_PATIENCE {
                let reason = "no room for a snapshot: those recorded by the caller were not submitted";
                return Err(GpuError::Argument(reason.to_string()));
            }
            self.device.poll()?;
        }
        Ok(())
    }

    /// Takes note of what is done.
    pub(super) fn settle(&mut self, exact: bool) -> Result<(), GpuError> {
        while let Some((submission, took)) = self.flight.take_done() {
            let pace = &mut self.programs[submission.program].pace;
            pace.learn(submission.weight, took, exact, self.options.budget);
        }
        if let Some(ring) = &mut self.ring {
            ring.harvest()?;
        }
        Ok(())
    }

    /// Waits until everything that was submitted is done.
    ///
    /// # Errors
    /// [`GpuError::Lost`].
    pub fn wait(&mut self) -> Result<(), GpuError> {
        self.device.wait()?;
        for submission in &self.flight.under_way {
            let _ = submission.done.set(Instant::now());
        }
        let start = Instant::now();
        loop {
            self.settle(false)?;
            // As above: the last callbacks may be another thread's to call.
            let waiting = self.ring.as_ref().is_some_and(|ring| ring.is_waiting());
            if !waiting || start.elapsed() > CALLBACK_PATIENCE {
                return Ok(());
            }
            std::thread::yield_now();
        }
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
