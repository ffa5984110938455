//! `[sample]`: how samples are drawn.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::{Violation, allowed};
use super::table::{Keys, Single};
use crate::sampler::{self, AnySampler, Grid, Options};

/// How samples are drawn, by `tweedie sample` and for the pictures of a run. The flags of `tweedie sample` win. The
/// keys from `order` on belong to some of the samplers; `tweedie sample --list` says to which, and any other refuses
/// them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
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
    /// How the times of the steps are spread. Without it, `"arsinh"` where the log-SNR falls more than four times as fast
    /// at the last time as on average (by default `cosine`, `sigmoid`, `rectified-flow` and `zero_terminal_snr`), else
    /// `"linear"`.
    pub spacing: Option<Spacing>,
    /// The power of `spacing = "karras"` and `"exponential"`, at most 10 for the latter. Without it, 7 and 1.
    #[schemars(range(min = 0.01, max = 100.0))]
    pub rho: Option<f64>,
    /// How many past values a step of `unipc` (1 to 3), `deis` or `lms` (1 to 4) goes by. Without it, 2, 3 and 4.
    #[schemars(range(min = 1, max = 4))]
    pub order: Option<usize>,
    /// How much of the noise is new in `ddim` (0, the default, is deterministic) and `dpm++2m-sde` (1 without it).
    #[schemars(range(min = 0.0, max = 1.0))]
    pub eta: Option<f64>,
    /// Noise that `edm-stochastic` adds on the whole way. Without it, 40.
    #[schemars(range(min = 0.0, max = 1e6))]
    pub churn: Option<f64>,
    /// The least sigma / alpha at which it is added. Without it, 0.05.
    #[schemars(range(min = 0.0, max = 1e9))]
    pub churn_min: Option<f64>,
    /// The largest sigma / alpha at which it is added. Without it, 50.
    #[schemars(range(min = 0.0, max = 1e9))]
    pub churn_max: Option<f64>,
    /// The standard deviation of what is added, in units of what would be exact. Without it, 1.003.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub churn_noise: Option<f64>,
    /// The share of noise in a correction of `predictor-corrector`. Without it, 0.16.
    #[schemars(range(min = 1e-6, max = 10.0))]
    pub snr: Option<f64>,
    /// Corrections of `predictor-corrector` at each level. Without it, 1.
    #[schemars(range(min = 1, max = 100))]
    pub corrector_steps: Option<usize>,
    /// Whether the norms of a correction are means over all samples that are taken at a time, as in the publication. A
    /// sample then depends on the others. Without it samples of D coordinates spread too far, up to (D + 2) / D times
    /// the mean square where they are normal: much in the plane, nothing in pictures.
    pub batch_norms: Option<bool>,
    /// The step of `annealed-langevin`, in units of sigma². Without it, 0.2.
    #[schemars(range(min = 1e-9, max = 10.0))]
    pub step_size: Option<f64>,
    /// Steps of `annealed-langevin` at each of its levels. Without it, 100.
    #[schemars(range(min = 1, max = 100_000))]
    pub steps_per_level: Option<usize>,
    /// Whether the path ends as in the code of the publication instead: `euler-maruyama` with one more Euler step from
    /// `sde.t_min` (score_sde), `reverse-diffusion` and `predictor-corrector` with the mean of their step (score_sde),
    /// `lms` and `pndm` with a step that extrapolates to no noise (diffusers). Only to repeat published numbers: the
    /// first amplifies noise where steps are few, `lms` the rounding of floats where they are many.
    pub published_end: Option<bool>,
    /// The error that a step of `rk45` or `adaptive-sde` may make in a coordinate, relative to the coordinate. Without
    /// it, 1e-5 and 1e-2.
    #[schemars(range(min = 1e-6, max = 0.1))]
    pub rtol: Option<f64>,
    /// The error that it may make beside that, in units of x. Without it, 1e-5 and 1e-2.
    #[schemars(range(min = 1e-6, max = 1.0))]
    pub atol: Option<f64>,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            sampler: SamplerKind::EulerMaruyama,
            steps: 500,
            n: 64,
            seed: 0,
            denoise: true,
            spacing: None,
            rho: None,
            order: None,
            eta: None,
            churn: None,
            churn_min: None,
            churn_max: None,
            churn_noise: None,
            snr: None,
            corrector_steps: None,
            batch_norms: None,
            step_size: None,
            steps_per_level: None,
            published_end: None,
            rtol: None,
            atol: None,
        }
    }
}

/// Rows of a sampler's table at most.
const MOST_ROWS: usize = 2_000_000;

impl Sample {
    /// The steps and where they go, for a process whose own spacing this is.
    pub fn grid(&self, own: sampler::Spacing) -> Grid {
        let Some(spacing) = self.spacing else {
            return Grid { steps: self.steps as usize, spacing: own, denoise: self.denoise };
        };
        let spacing = match spacing {
            Spacing::Linear => sampler::Spacing::Linear,
            Spacing::EqualWork => sampler::Spacing::EqualWork,
            Spacing::Quadratic => sampler::Spacing::Quadratic,
            Spacing::LogSnr => sampler::Spacing::LogSnr,
            Spacing::Arsinh => sampler::Spacing::Arsinh,
            Spacing::Karras => sampler::Spacing::Karras { rho: self.rho.unwrap_or(7.0) },
            Spacing::Exponential => sampler::Spacing::Exponential { rho: self.rho.unwrap_or(1.0) },
        };
        Grid { steps: self.steps as usize, spacing, denoise: self.denoise }
    }

    /// The sampler with its options.
    pub fn sampler(&self) -> AnySampler<'static> {
        let made = AnySampler::named(self.sampler.name(), &self.options());
        made.expect("every kind in the config is registered")
    }

    /// What is said of a grid of this spacing whose neighbouring levels numbers do not tell apart
    /// ([`Obstacle::Levels`](sampler::Obstacle)).
    pub(super) fn indistinct_levels(&self, spacing: sampler::Spacing) -> String {
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

    fn options(&self) -> Options {
        Options {
            order: self.order,
            eta: self.eta,
            churn: self.churn,
            churn_min: self.churn_min,
            churn_max: self.churn_max,
            churn_noise: self.churn_noise,
            snr: self.snr,
            corrector_steps: self.corrector_steps,
            batch_norms: self.batch_norms,
            step_size: self.step_size,
            steps_per_level: self.steps_per_level,
            published_end: self.published_end,
            rtol: self.rtol,
            atol: self.atol,
        }
    }
}

impl Keys for Sample {
    fn check(&self) -> Result<(), Violation> {
        let (sampler, kind) = (self.sampler(), self.sampler.name());
        if let Some(key) = self.options().given().into_iter().find(|name| !sampler.options().contains(name)) {
            let takes = match sampler.options() {
                [] => "takes no options".to_string(),
                options => format!("takes {}", options.join(", ")),
            };
            let others: Vec<&str> =
                SamplerKind::ALL.iter().filter(|other| other.takes(key)).map(|other| other.name()).collect();
            let wanted = format!("must be left out: {kind} {takes}; {key} belongs to {}", others.join(", "));
            return Err(Violation::new(key, &wanted));
        }
        if let (Some(4..), SamplerKind::UniPc) = (self.order, self.sampler) {
            return Err(Violation::new("order", "must be 1, 2 or 3 for unipc"));
        }
        if self.rho.is_some() && !matches!(self.spacing, Some(Spacing::Karras | Spacing::Exponential)) {
            let given = match self.spacing {
                Some(spacing) => format!("with sample.spacing = \"{}\"", spacing.name()),
                None => "without sample.spacing".to_string(),
            };
            let wanted = format!("must be left out {given}; it belongs to karras and exponential");
            return Err(Violation::new("rho", &wanted));
        }
        if self.spacing == Some(Spacing::Exponential) && self.rho.is_some_and(|rho| rho > 10.0) {
            let wanted =
                "must be at most 10 with sample.spacing = \"exponential\", where larger powers give steps to nowhere";
            return Err(Violation::new("rho", wanted));
        }
        let (low, high) = (self.churn_min.unwrap_or(0.05), self.churn_max.unwrap_or(50.0));
        if low > high {
            let key = if self.churn_max.is_some() { "churn_max" } else { "churn_min" };
            return Err(Violation::new(key, &format!("must leave churn_min = {low} at most churn_max = {high}")));
        }
        if (self.steps as usize) < sampler.least_steps() {
            let wanted =
                format!("must be at least {} for {kind}, whose steps go by earlier ones", sampler.least_steps());
            return Err(Violation::new("steps", &wanted));
        }
        let rows = sampler.rows(&self.grid(sampler::Spacing::Linear));
        if rows > MOST_ROWS {
            let key = if self.steps_per_level.is_some() { "steps_per_level" } else { "steps" };
            let wanted = format!("must leave at most {MOST_ROWS} steps in all for {kind}, which has {rows}");
            return Err(Violation::new(key, &wanted));
        }
        Ok(())
    }
}

impl Single for Sample {
    const TABLE: &'static str = "sample";
}

/// How times are spread from the noise to the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Spacing {
    /// Evenly in t; with `sde.kind = "learned"` along the learned schedule.
    Linear,
    /// So that the denoised of held-out data moves equally far from one time to the next, by the model's own account
    /// (Williams et al. 2024). Measured before samples are drawn, by about 130 evaluations of up to 1024 samples; the
    /// times are printed.
    EqualWork,
    /// Evenly in the square root of t.
    Quadratic,
    /// Evenly in the log-SNR, that is, in ln(sigma / alpha).
    LogSnr,
    /// Evenly in arsinh(2 √(alpha / sigma)): nearly as `"log-snr"` where there is more signal than noise, in ever
    /// smaller steps of the signal where it goes to 0. It needs no signal at the last time.
    Arsinh,
    /// Evenly in (sigma / alpha)^(1 / rho).
    Karras,
    /// ln(sigma / alpha) falls with the power rho of the way that is left; with rho = 1 this is `"log-snr"`.
    Exponential,
}

/// Declares the samplers that a config can name: `kinds! { /// doc  Variant "name", … }`.
macro_rules! kinds {
    ($($(#[doc = $about:literal])+ $kind:ident $name:literal),+ $(,)?) => {
        /// A sampler, by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub enum SamplerKind {
            $($(#[doc = $about])+ #[serde(rename = $name)] $kind),+
        }

        impl SamplerKind {
            /// Every sampler.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The name in configs and on the command line.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),+ }
            }

            /// What it does, in a line.
            pub fn about(self) -> &'static str {
                match self { $(Self::$kind => concat!($($about),+).trim()),+ }
            }
        }
    };
}

kinds! {
    /// The reverse SDE in Euler-Maruyama steps.
    EulerMaruyama "euler-maruyama",
    /// The reverse SDE by the discretised forward process.
    ReverseDiffusion "reverse-diffusion",
    /// Draws from the forward process's posterior, as in DDPM.
    Ancestral "ancestral",
    /// Langevin corrections before each reverse diffusion step.
    PredictorCorrector "predictor-corrector",
    /// Langevin dynamics at one noise level after the other.
    AnnealedLangevin "annealed-langevin",
    /// DPM-Solver++(2M) for the reverse SDE.
    Dpm2mSde "dpm++2m-sde",
    /// The reverse SDE by a Runge-Kutta method of strong order 1.5.
    Sra1 "sra1",
    /// Heun steps on the probability flow with noise put back in.
    EdmStochastic "edm-stochastic",
    /// The probability flow in Euler steps.
    OdeEuler "ode-euler",
    /// The probability flow in Heun steps.
    OdeHeun "ode-heun",
    /// DDIM: the probability flow in Euler steps, with new noise where eta is above 0.
    Ddim "ddim",
    /// DPM-Solver++(2M).
    Dpm2m "dpm++2m",
    /// DPM-Solver++(3M).
    Dpm3m "dpm++3m",
    /// UniPC, predictor and corrector at one evaluation a step.
    UniPc "unipc",
    /// DEIS, polynomials in the logarithm of the noise.
    Deis "deis",
    /// Linear multistep, polynomials in the noise.
    Lms "lms",
    /// PNDM: Runge-Kutta for three steps, then linear multistep.
    Pndm "pndm",
    /// The probability flow by the adaptive pair of Dormand and Prince, every sample with its own steps.
    Rk45 "rk45",
    /// The reverse SDE on a Brownian tree by an adaptive pair, every sample with its own steps.
    AdaptiveSde "adaptive-sde",
}

impl Spacing {
    /// Every spacing.
    const ALL: [Self; 7] =
        [Self::Linear, Self::EqualWork, Self::Quadratic, Self::LogSnr, Self::Arsinh, Self::Karras, Self::Exponential];

    /// The name in configs and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::EqualWork => "equal-work",
            Self::Quadratic => "quadratic",
            Self::LogSnr => "log-snr",
            Self::Arsinh => "arsinh",
            Self::Karras => "karras",
            Self::Exponential => "exponential",
        }
    }

    /// The spacing of this name.
    ///
    /// # Errors
    /// There is none; the text says which there are.
    pub fn named(name: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::name);
        Self::ALL.into_iter().find(|spacing| spacing.name() == name).ok_or_else(|| allowed(name, &names))
    }
}

impl SamplerKind {
    /// The sampler of this name.
    ///
    /// # Errors
    /// There is none; the text says which there are.
    pub fn named(name: &str) -> Result<Self, String> {
        let known = |kind: &&Self| kind.name() == name;
        let names: Vec<&str> = Self::ALL.iter().map(|kind| kind.name()).collect();
        Self::ALL.iter().find(known).copied().ok_or_else(|| allowed(name, &names))
    }

    /// Whether it takes an option of this name.
    fn takes(self, option: &str) -> bool {
        let made = AnySampler::named(self.name(), &Options::default());
        made.is_some_and(|sampler| sampler.options().contains(&option))
    }
}
