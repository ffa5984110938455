//! `[loss]`: what is minimised.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Violation;
use super::table::{Keys, choices};
use crate::loss::{Noise, Projection, Projections, Reduce, SecondMoments, TimeSampling, Weighting, WeightingKind};
use crate::sde::{self, Parameterisation, Quantity};

/// Parts of time of `loss-second-moment`.
const BINS: usize = 32;

choices! {
    /// What is minimised: an objective of score matching. All have the same minimum; they differ in what they need to
    /// know, in what a step costs, and in the variance of its gradient.
    Loss in "loss" default Some("denoising"), {
        /// Denoising score matching.
        "denoising" => Denoising,
        /// Explicit score matching.
        "explicit" => Explicit,
        /// Implicit score matching.
        "implicit" => Implicit,
        /// Sliced score matching.
        "sliced" => Sliced,
        /// Sliced score matching with reduced variance.
        "sliced-vr" => SlicedVr,
        /// Sliced score matching by finite differences.
        "sliced-fd" => SlicedFd,
    }
}

/// The keys that every kind has: what the network puts out, and how noise levels are drawn and counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Levels {
    /// At which noise the score is matched.
    pub noise: Noise,
    /// What the network puts out. Without noise only `score` has a meaning.
    pub parameterisation: Parameterisation,
    /// How much each noise level counts.
    #[serde(flatten)]
    pub weighting: Weighting,
    /// How the times of a batch are drawn. All but `log-normal` have the same expected loss: what is drawn more often
    /// counts less.
    pub time: Time,
    /// Mean of `ln(sigma / alpha)` of `log-normal`.
    #[schemars(range(min = -20.0, max = 20.0))]
    pub log_sigma_mean: f64,
    /// Standard deviation of `ln(sigma / alpha)` of `log-normal`.
    #[schemars(range(min = 1e-3, max = 20.0))]
    pub log_sigma_std: f64,
    /// The smallest time that training draws. At most `sde.t_min`, so that the network knows what the last sampling
    /// steps ask; 0 where a process has noise at time 0.
    #[schemars(range(min = 0.0, max = 0.999))]
    pub t_min: f64,
    /// How what a sample's coordinates contribute becomes one number.
    pub reduce: Reduce,
}

impl Default for Levels {
    fn default() -> Self {
        Self {
            noise: Noise::All,
            parameterisation: Parameterisation::Preconditioned,
            weighting: Weighting::default(),
            time: Time::Uniform,
            log_sigma_mean: -1.2,
            log_sigma_std: 1.2,
            t_min: 1e-5,
            reduce: Reduce::Mean,
        }
    }
}

impl Levels {
    /// The weighting for data of this root mean square.
    pub fn weighting(&self, sigma_data: f64) -> Weighting {
        Weighting { sigma_data, ..self.weighting }
    }

    /// How times are drawn for steps of `batch` samples computed in so many micro-batches.
    pub fn time(&self, batch: usize, micro_batches: usize) -> TimeSampling {
        match self.time {
            Time::Uniform => TimeSampling::Uniform,
            Time::Stratified => TimeSampling::Stratified { batch, micro_batches },
            Time::LogNormal => TimeSampling::LogNormal { mean: self.log_sigma_mean, std: self.log_sigma_std },
            Time::Importance => TimeSampling::Importance,
            Time::LossSecondMoment => TimeSampling::LossSecondMoment(SecondMoments { bins: BINS }),
        }
    }

    /// What has no meaning with this process, whatever the objective.
    fn check_process(&self, process: &dyn sde::Sde, kind: &str) -> Result<(), Violation> {
        if self.noise == Noise::None {
            return Ok(());
        }
        let lossless = process.at(0.0).sigma == 0.0;
        let infinite = match self.weighting.kind {
            kind if kind.is_infinite_without_noise() => Some("loss.weighting"),
            _ if self.time == Time::Importance => Some("loss.time"),
            _ => None,
        };
        if self.t_min == 0.0 && lossless {
            let (key, why) = match infinite {
                Some(key) => (key, "counts time 0, where there is no noise, infinitely: loss.t_min must be above 0"),
                None => ("loss.t_min", "must be above 0: at time 0 there is no noise, and the score may be infinite"),
            };
            return Err(Violation::new(key, &format!("{why} with sde.kind = \"{kind}\"")));
        }
        if !process.loses_all_signal() {
            return Ok(());
        }
        let t_max = process.t_max();
        if !self.parameterisation.survives_loss_of_signal() {
            return Err(Violation::new(
                "loss.parameterisation",
                &format!(
                    "must be edm, velocity or denoised with sde.kind = \"{kind}\": at t = {t_max} nothing is left of the \
                     data, and they cannot be told from the noise"
                ),
            ));
        }
        if self.time == Time::Importance {
            return Err(Violation::new(
                "loss.time",
                &format!(
                    "needs a process that keeps some signal: with sde.kind = \"{kind}\" g² / sigma² has no finite integral \
                     up to t = {t_max}"
                ),
            ));
        }
        Ok(())
    }
}

impl Loss {
    /// The keys that every kind has.
    pub fn levels(&self) -> Levels {
        match self {
            Self::Denoising(loss) => loss.levels,
            Self::Explicit(loss) => loss.levels,
            Self::Implicit(loss) => loss.levels,
            Self::Sliced(loss) => loss.levels,
            Self::SlicedVr(loss) => loss.levels,
            Self::SlicedFd(loss) => loss.levels,
        }
    }

    /// What has no meaning with this process.
    pub(super) fn check_process(&self, process: &dyn sde::Sde, kind: &str) -> Result<(), Violation> {
        let levels = self.levels();
        levels.check_process(process, kind)?;
        // Only denoising takes the error of velocity where that of epsilon would count infinitely.
        let infinite = process.loses_all_signal() && levels.weighting.quantity(process) == Quantity::Velocity;
        if matches!(self, Self::Denoising(_)) || levels.noise == Noise::None || !infinite {
            return Ok(());
        }
        Err(Violation::new(
            "loss.weighting",
            &format!(
                "counts the error at t = {}, where nothing is left of the data, infinitely with sde.kind = \"{kind}\" and \
                 loss.kind = \"{}\": must be sigma2, uniform, min-snr, soft-min-snr or p2, or loss.kind denoising",
                process.t_max(),
                self.kind()
            ),
        ))
    }

    /// What has no meaning, whatever the other tables say.
    pub(super) fn check(&self) -> Result<(), Violation> {
        let Levels { noise, parameterisation, weighting, time, .. } = self.levels();
        let violation = |key: &str, wanted: &str| Err(Violation::new(key, wanted));
        if weighting.kind == WeightingKind::Uncertainty && !matches!(self, Self::Denoising(_) | Self::Explicit(_)) {
            return violation(
                "loss.weighting",
                "needs a loss that is never below 0, whose logarithm is learned: loss.kind must be denoising or explicit",
            );
        }
        if noise == Noise::All {
            return Ok(());
        }
        match self {
            Self::Denoising(_) => {
                violation("loss.noise", "denoising needs noise: must be \"all\", or choose another loss.kind")
            }
            _ if parameterisation != Parameterisation::Score => violation(
                "loss.parameterisation",
                "must be \"score\" where loss.noise = \"none\": the others divide by the noise that there is not",
            ),
            _ if weighting.kind != WeightingKind::Uniform => violation(
                "loss.weighting",
                "must be \"uniform\" where loss.noise = \"none\": there is one level, and no noise to weight it by",
            ),
            _ if time != Time::Uniform => {
                violation("loss.time", "must be \"uniform\" where loss.noise = \"none\": there are no times to draw")
            }
            _ => Ok(()),
        }
    }
}

/// Declares kinds: a struct each, of its own keys and those that all have. serde does not refuse unknown keys beside
/// flattened ones; the schema does, which every config is checked against first.
macro_rules! objectives {
    ($(
        $(#[doc = $about:literal])*
        $name:ident { $($(#[$attribute:meta])* $key:ident: $type:ty = $default:expr,)* }
    )+) => {$(
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(default)]
        pub struct $name {
            $($(#[$attribute])* pub $key: $type,)*
            /// The keys that every kind has.
            #[serde(flatten)]
            pub levels: Levels,
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* levels: Levels::default() }
            }
        }

        impl Keys for $name {}
    )+};
}

/// Declares kinds that take directions.
macro_rules! sliced {
    ($(
        $(#[doc = $about:literal])*
        $name:ident { $($own:tt)* }
    )+) => {
        objectives! {$(
            $(#[doc = $about])*
            $name {
                /// The law of a direction v.
                projection: Projection = Projection::default(),
                /// Directions that are averaged for each sample.
                #[schemars(range(min = 1, max = 65536))]
                projections: usize = 1,
                $($own)*
            }
        )+}

        $(impl $name {
            /// The directions of an estimate.
            pub fn directions(&self) -> Projections {
                Projections { law: self.projection, count: self.projections }
            }
        })+
    };
}

objectives! {
    /// `E ½ ‖score + epsilon / sigma‖²` (Vincent 2011): the noise that was added is the target. One evaluation of the
    /// network and no derivative in x; always at noise.
    Denoising {}

    /// `E ½ ‖score - ∇ log p‖²` (Hyvärinen 2005): the score itself is the target, and the least loss is 0. Only for
    /// data that knows its score (`mixture`, `eight-gaussians`, `two-moons`, `swiss-roll`).
    Explicit {}

    /// `E[tr ∇score + ½ ‖score‖²]` (Hyvärinen 2005), with the exact trace by as many derivatives as the data has
    /// coordinates: costs time and memory in proportion to them. The loss may be below 0.
    Implicit {}
}

sliced! {
    /// `E[vᵀ ∇score v + ½ (vᵀ score)²]` over random directions v (Song, Garg, Shi and Ermon 2019): one derivative for
    /// each direction, whatever the number of coordinates. The loss may be below 0.
    Sliced {}

    /// `E[vᵀ ∇score v + ½ ‖score‖²]` over random directions v (Song, Garg, Shi and Ermon 2019): the same with less
    /// variance. The loss may be below 0.
    SlicedVr {}

    /// `E[vᵀ (score₊ - score₋) / 2h + ⅛ (vᵀ (score₊ + score₋))²]` over random directions v, with the scores at `x ± h
    /// v` (Pang et al. 2020): two evaluations of the network for each direction and no derivative in x. The loss may be
    /// below 0.
    SlicedFd {
        /// h, in units of the noise's standard deviation, or of the data where `noise = "none"`. Errors grow with its
        /// square; rounding forbids much less.
        #[schemars(range(min = 1e-5, max = 1.0))]
        step: f64 = 0.05,
    }
}

/// A way to draw times, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Time {
    /// Evenly, each by itself.
    Uniform,
    /// Evenly, one in each of as many equal parts of time as a step has samples.
    Stratified,
    /// By a normal `ln(sigma / alpha)` (Karras et al. 2022); the density is part of the objective.
    LogNormal,
    /// In proportion to the square root of the mean squared loss of each of 32 equal parts of time, learned on the way
    /// (Nichol and Dhariwal 2021). Not with `train.accumulate` above 1.
    LossSecondMoment,
    /// In proportion to `g² / sigma²`, which is evenly in ln SNR (Song, Durkan, Murray and Ermon 2021).
    Importance,
}
