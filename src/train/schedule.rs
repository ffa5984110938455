//! A schedule that is learned, on its way from the weights to the process that samplers and pictures go by.

use super::checkpoint::{Checkpoint, EMA};
use super::config;
use super::engine::{Engine, EngineError};
use super::experiment::Experiment;
use crate::loss::TimeWarp;
use crate::sde;

impl Experiment {
    /// Makes the process go at the pace that the averaged weights in the store say.
    ///
    /// # Errors
    /// When the device is lost.
    pub(super) fn follow_store(&mut self, engine: &mut dyn Engine) -> Result<(), EngineError> {
        let Some(place) = self.parameters().iter().find(|parameter| parameter.name == TimeWarp::LOGITS).cloned() else {
            return Ok(());
        };
        let arena = engine.floats("ema", self.arena_elements())?;
        self.follow(&arena[place.offset..place.offset + place.elements()]);
        Ok(())
    }

    /// The same for the averaged weights in a checkpoint.
    pub(super) fn follow_checkpoint(&mut self, checkpoint: &Checkpoint) {
        let tensors = checkpoint.groups.get(EMA).into_iter().flatten();
        if let Some(tensor) = tensors.into_iter().find(|tensor| tensor.name == TimeWarp::LOGITS) {
            self.follow(&tensor.values);
        }
    }

    fn follow(&mut self, logits: &[f32]) {
        if let config::Sde::Learned(learned) = &self.config.sde {
            let logits: Vec<f64> = logits.iter().map(|logit| f64::from(*logit)).collect();
            self.sde = Box::new(sde::Learned { times: TimeWarp::knots(&logits, [0.0, 1.0]), ..learned.even() });
        }
    }

    /// ln SNR along the schedule, if it is learned.
    pub(super) fn schedule(&self) -> Option<Vec<f32>> {
        let config::Sde::Learned(config::Learned { pieces, .. }) = self.config.sde else { return None };
        let at = |knot: usize| self.sde.at(self.sde.scheduled(1.0 - knot as f64 / pieces as f64)).log_snr as f32;
        Some((0..=pieces).map(at).collect())
    }
}
