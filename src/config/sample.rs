//! `[sample]`: how samples are drawn.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Violation;
use super::table::{Keys, Single};
use crate::sampler::{AnySampler, EulerMaruyama, Grid, SamplerKind, SamplerOptions, Spacing};
use crate::word::Word;

/// How samples are drawn, by `tweedie sample` and for the pictures of a run. The flags of `tweedie sample` win. The
/// keys from `order` on belong to some of the samplers; `tweedie sample --list` says to which, and any other refuses
/// them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
// serde does not refuse unknown keys beside flattened ones; the schema does, which every config is checked against
// first.
#[serde(default)]
pub struct Sample {
    /// The sampler.
    #[serde(rename = "kind")]
    pub sampler: SamplerKind,
    /// Steps from time 1 to `sde.t_min`; noise levels for `annealed-langevin`. Like `spacing`, nothing to `rk45` and
    /// `adaptive-sde`, whose samples each choose their own steps.
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
    /// How the times of the steps are spread. Without it, `"arsinh"` where the log-SNR falls more than four times as
    /// fast at the last time as on average (by default `cosine`, `sigmoid`, `rectified-flow` and `zero_terminal_snr`),
    /// else `"linear"`.
    pub spacing: Option<Spacing>,
    /// The power of `spacing = "karras"` and `"exponential"`, at most 10 for the latter. Without it, 7 and 1.
    #[schemars(range(min = 0.01, max = 100.0))]
    pub rho: Option<f64>,
    /// What belongs to some of the samplers.
    #[serde(flatten)]
    pub options: SamplerOptions,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            sampler: EulerMaruyama::KIND,
            steps: 500,
            n: 64,
            seed: 0,
            denoise: true,
            spacing: None,
            rho: None,
            options: SamplerOptions::default(),
        }
    }
}

/// Rows of a sampler's table at most.
const MOST_ROWS: usize = 2_000_000;

impl Sample {
    /// The steps and where they go, for a process whose own spacing this is.
    pub fn grid(&self, own: Spacing) -> Grid {
        let spacing = self.spacing.map_or(own, |spacing| spacing.with_rho(self.rho));
        Grid { steps: self.steps as usize, spacing, denoise: self.denoise }
    }

    /// The sampler with its options.
    pub fn sampler(&self) -> AnySampler<'static> {
        self.sampler.make(&self.options)
    }

    /// What is said of a grid of this spacing whose neighbouring levels numbers do not tell apart
    /// ([`Obstacle::Levels`](crate::sampler::Obstacle)).
    pub(super) fn indistinct_levels(&self, spacing: Spacing) -> String {
        let Self { steps, rho, .. } = self;
        match rho {
            Some(rho) => format!(
                "sample.rho = {rho}: with sample.steps = {steps} neighbouring noise levels are equal, or their powers more than \
                 numbers hold; must be nearer to 1"
            ),
            None => format!(
                "sample.steps = {steps}: with sample.spacing = \"{}\" neighbouring noise levels are equal; must be fewer",
                spacing.name()
            ),
        }
    }
}

impl Keys for Sample {
    fn check(&self) -> Result<(), Violation> {
        let (sampler, kind) = (self.sampler(), self.sampler.name);
        self.sampler.check(&self.options)?;
        if self.rho.is_some() && !self.spacing.is_some_and(Spacing::takes_rho) {
            let given = match self.spacing {
                Some(spacing) => format!("with sample.spacing = \"{}\"", spacing.name()),
                None => "without sample.spacing".to_string(),
            };
            let all = Spacing::all().into_iter();
            let owners: Vec<&str> = all.filter(|spacing| spacing.takes_rho()).map(|spacing| spacing.name()).collect();
            let wanted = format!("must be left out {given}; it belongs to {}", owners.join(" and "));
            return Err(Violation::new("rho", &wanted));
        }
        if matches!(self.spacing, Some(Spacing::Exponential { .. })) && self.rho.is_some_and(|rho| rho > 10.0) {
            let wanted =
                "must be at most 10 with sample.spacing = \"exponential\", where larger powers give steps to nowhere";
            return Err(Violation::new("rho", wanted));
        }
        if (self.steps as usize) < sampler.least_steps() {
            let wanted =
                format!("must be at least {} for {kind}, whose steps go by earlier ones", sampler.least_steps());
            return Err(Violation::new("steps", &wanted));
        }
        let rows = sampler.rows(&self.grid(Spacing::Linear));
        if rows > MOST_ROWS {
            let key = if self.options.langevin.steps_per_level.is_some() { "steps_per_level" } else { "steps" };
            let wanted = format!("must leave at most {MOST_ROWS} steps in all for {kind}, which has {rows}");
            return Err(Violation::new(key, &wanted));
        }
        Ok(())
    }
}

impl Single for Sample {
    const TABLE: &'static str = "sample";
}
