//! The noise levels at which a model is asked.

use crate::loss::{Noise, ScoreMatching};
use crate::train::experiment::Experiment;

impl Experiment {
    /// The standard deviation of the noise at which the model is asked at time `t`.
    pub fn sigma_at(&self, t: f64) -> f64 {
        if self.is_without_noise() { 0.0 } else { self.sde.at(t).sigma }
    }

    /// The time that stands for no noise, where that is what the network learns.
    pub fn time_without_noise(&self) -> f64 {
        ScoreMatching::time_without_noise(self.sde())
    }

    /// Whether the network learns the data's score alone, and not those of x_t from which samples are drawn.
    pub fn is_without_noise(&self) -> bool {
        self.is_trainable() && self.config.loss.levels().noise == Noise::None
    }
}
