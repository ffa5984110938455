//! `[sample]`: how samples are drawn.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::table::{Keys, Single};

/// How samples are drawn, by `tweedie sample` and for the pictures of a run. The flags of `tweedie sample` win.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sample {
    /// The sampler.
    #[serde(rename = "kind")]
    pub sampler: SamplerKind,
    /// Steps from time 1 to `sde.t_min`.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub steps: u64,
    /// Number of samples.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub n: usize,
    /// Seed of the prior draw and of the sampler's noise. Sample i is the same for every `n`.
    #[schemars(range(min = 0, max = 9223372036854775807u64))]
    pub seed: u64,
    /// Whether the last state, which still has the noise of `sde.t_min`, is replaced by its denoised mean.
    pub denoise: bool,
}

impl Default for Sample {
    fn default() -> Self {
        Self { sampler: SamplerKind::EulerMaruyama, steps: 500, n: 64, seed: 0, denoise: true }
    }
}

impl Keys for Sample {}

impl Single for Sample {
    const TABLE: &'static str = "sample";
}

/// A sampler, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SamplerKind {
    /// The reverse SDE in Euler-Maruyama steps; one network evaluation a step.
    EulerMaruyama,
    /// The probability flow in Euler steps; one network evaluation a step, order 1, no noise after the prior draw.
    OdeEuler,
    /// The probability flow in Heun steps; two network evaluations a step, order 2, no noise after the prior draw.
    OdeHeun,
}

impl SamplerKind {
    /// Every sampler.
    pub const ALL: [Self; 3] = [Self::EulerMaruyama, Self::OdeEuler, Self::OdeHeun];

    /// The name in configs and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::EulerMaruyama => "euler-maruyama",
            Self::OdeEuler => "ode-euler",
            Self::OdeHeun => "ode-heun",
        }
    }

    /// One line on what it does.
    pub fn about(self) -> &'static str {
        match self {
            Self::EulerMaruyama => "the reverse SDE in Euler-Maruyama steps; 1 network evaluation a step",
            Self::OdeEuler => {
                "the probability flow in Euler steps; deterministic, order 1, 1 network evaluation a step"
            }
            Self::OdeHeun => "the probability flow in Heun steps; deterministic, order 2, 2 network evaluations a step",
        }
    }
}
