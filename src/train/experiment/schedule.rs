//! A schedule that is learned, on its way from the weights to the process that samplers and pictures go by.

use crate::config;
use crate::engine::{Engine, EngineError};
use crate::loss::{EndsSpec, LearnedEnds, TimeWarp};
use crate::nn::optimizer::states::EMA;
use crate::sde;
use crate::train::experiment::Experiment;

impl Experiment {
    /// Makes the process go at the pace that the averaged weights in the store say.
    ///
    /// # Errors
    /// When the device is lost.
    pub(in crate::train) fn follow_store(&mut self, engine: &mut dyn Engine) -> Result<(), EngineError> {
        if !matches!(self.config.sde, config::Sde::Learned(_)) {
            return Ok(());
        }
        let arena = engine.floats(EMA, self.arena_elements())?;
        let named = |name: &str| self.parameters().iter().find(|parameter| parameter.name == name);
        let of = |name: &str| named(name).map(|place| &arena[place.offset..place.offset + place.elements()]);
        self.sde = self.following(&of).unwrap_or_else(|| self.config.sde.process());
        Ok(())
    }

    /// The same for averaged weights that are found by their names, if all that a schedule needs are there.
    pub(in crate::train) fn follow<'v>(&mut self, of: &dyn Fn(&str) -> Option<&'v [f32]>) {
        if let Some(process) = self.following(of) {
            self.sde = process;
        }
    }

    /// The process along the schedule that these values of its parameters mean.
    fn following<'v>(&self, of: &dyn Fn(&str) -> Option<&'v [f32]>) -> Option<Box<dyn sde::Sde>> {
        let config::Sde::Learned(learned) = &self.config.sde else { return None };
        let logits: Vec<f64> = of(TimeWarp::LOGITS)?.iter().map(|logit| f64::from(*logit)).collect();
        let mut ends = [0.0, 1.0];
        if let Some(spec) = self.learned_ends() {
            let [first, last] = LearnedEnds::NAMES.map(|name| of(name).and_then(|values| values.first().copied()));
            ends = LearnedEnds::times(&spec, [f64::from(first?), f64::from(last?)]);
        }
        Some(Box::new(sde::EvenLogSnr { times: TimeWarp::knots(&logits, ends), ..learned.even() }))
    }

    /// What the ends of a schedule are made of, if they are learned.
    pub(in crate::train) fn learned_ends(&self) -> Option<EndsSpec> {
        match (&self.config.sde, self.train_data.levels) {
            (config::Sde::Learned(learned), Some(levels)) if learned.ends == sde::Ends::Learned => {
                Some(EndsSpec { log_snr: learned.even().log_snr, first: learned.ends(), levels: levels.max(2) })
            }
            _ => None,
        }
    }

    /// ln SNR along the schedule, if it is learned.
    pub(in crate::train) fn schedule(&self) -> Option<Vec<f32>> {
        let config::Sde::Learned(sde::Learned { pieces, .. }) = self.config.sde else { return None };
        let at = |knot: usize| self.sde.at(self.sde.scheduled(1.0 - knot as f64 / pieces as f64)).log_snr as f32;
        Some((0..=pieces).map(at).collect())
    }
}
