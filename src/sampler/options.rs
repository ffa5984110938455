//! What can be said to a sampler beside its steps.

/// Numbers of samplers; `None` is a sampler's own. Each sampler says which it takes ([`Sampler::options`]).
///
/// [`Sampler::options`]: super::Sampler::options
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options {
    /// How many past values a multistep method goes by.
    pub order: Option<usize>,
    /// How much of the noise is new.
    pub eta: Option<f64>,
    /// Noise that is added on the whole way.
    pub churn: Option<f64>,
    /// The least sigma / alpha at which it is added.
    pub churn_min: Option<f64>,
    /// The largest.
    pub churn_max: Option<f64>,
    /// Its standard deviation.
    pub churn_noise: Option<f64>,
    /// The share of noise in a correction.
    pub snr: Option<f64>,
    /// Corrections at each level.
    pub corrector_steps: Option<usize>,
    /// Whether the norms of a correction are means over the batch.
    pub batch_norms: Option<bool>,
    /// The step of Langevin's dynamics in units of sigma².
    pub step_size: Option<f64>,
    /// Its steps at each level.
    pub steps_per_level: Option<usize>,
    /// Whether the path ends as in the code of its publication, not with the denoised mean.
    pub published_end: Option<bool>,
    /// The relative tolerance of an adaptive sampler.
    pub rtol: Option<f64>,
    /// Its absolute tolerance.
    pub atol: Option<f64>,
}

impl Options {
    /// Whether the path is to end as published; not, where nothing is said.
    pub(super) fn published_end(&self) -> bool {
        self.published_end.unwrap_or(false)
    }

    /// The names of those that are given.
    pub fn given(&self) -> Vec<&'static str> {
        let all = [
            ("order", self.order.is_some()),
            ("eta", self.eta.is_some()),
            ("churn", self.churn.is_some()),
            ("churn_min", self.churn_min.is_some()),
            ("churn_max", self.churn_max.is_some()),
            ("churn_noise", self.churn_noise.is_some()),
            ("snr", self.snr.is_some()),
            ("corrector_steps", self.corrector_steps.is_some()),
            ("batch_norms", self.batch_norms.is_some()),
            ("step_size", self.step_size.is_some()),
            ("steps_per_level", self.steps_per_level.is_some()),
            ("published_end", self.published_end.is_some()),
            ("rtol", self.rtol.is_some()),
            ("atol", self.atol.is_some()),
        ];
        all.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }
}
