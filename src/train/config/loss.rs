//! `[loss]`: what is minimised.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Violation;
use super::table::{Keys, choices};
use crate::loss::{self, Reduce, SecondMoments, TimeSampling};
use crate::sde::{self, Parameterisation};

/// Parts of time of `loss-second-moment`.
const BINS: usize = 32;

choices! {
    /// What is minimised.
    Loss in "loss" default Some("denoising"), {
        /// Denoising score matching.
        "denoising" => Denoising,
    }
}

/// Denoising score matching (Vincent 2011) over times in `[loss.t_min, 1]` (or `sde.t_max`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Denoising {
    /// What the network puts out.
    pub parameterisation: Parameterisation,
    /// Weight of a noise level on the squared error, given for epsilon and with `SNR = alpha² / sigma²`; on that of the
    /// score it is sigma² times that. s is the root mean square of the data.
    pub weighting: Weighting,
    /// γ of `min-snr`.
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub snr_gamma: f64,
    /// k of `p2`.
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub p2_k: f64,
    /// γ of `p2`.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub p2_gamma: f64,
    /// b of `sigmoid`.
    #[schemars(range(min = -30.0, max = 30.0))]
    pub sigmoid_bias: f64,
    /// How the times of a batch are drawn. All but `log-normal` have the same expected loss: what is drawn more often
    /// counts less.
    pub time: Time,
    /// Mean of `ln(sigma / alpha)` of `log-normal`.
    #[schemars(range(min = -20.0, max = 20.0))]
    pub log_sigma_mean: f64,
    /// Standard deviation of `ln(sigma / alpha)` of `log-normal`.
    #[schemars(range(min = 1e-3, max = 20.0))]
    pub log_sigma_std: f64,
    /// The smallest time that training draws. At most `sde.t_min`, so that the network knows what the last sampling steps
    /// ask; 0 where a process has noise at time 0.
    #[schemars(range(min = 0.0, max = 0.999))]
    pub t_min: f64,
    /// How the squared errors of a sample's coordinates become one number.
    pub reduce: Reduce,
}

impl Default for Denoising {
    fn default() -> Self {
        Self {
            parameterisation: Parameterisation::Preconditioned,
            weighting: Weighting::Sigma2,
            snr_gamma: 5.0,
            p2_k: 1.0,
            p2_gamma: 1.0,
            sigmoid_bias: 0.0,
            time: Time::Uniform,
            log_sigma_mean: -1.2,
            log_sigma_std: 1.2,
            t_min: 1e-5,
            reduce: Reduce::Mean,
        }
    }
}

impl Keys for Denoising {}

impl Denoising {
    /// The weighting with its numbers.
    pub fn weighting(&self, sigma_data: f64) -> loss::Weighting {
        match self.weighting {
            Weighting::Sigma2 => loss::Weighting::Sigma2,
            Weighting::Likelihood => loss::Weighting::Likelihood,
            Weighting::Uniform => loss::Weighting::Uniform,
            Weighting::Edm | Weighting::Uncertainty => loss::Weighting::Edm { sigma_data },
            Weighting::MinSnr => loss::Weighting::MinSnr { gamma: self.snr_gamma },
            Weighting::SoftMinSnr => loss::Weighting::SoftMinSnr { sigma_data },
            Weighting::P2 => loss::Weighting::P2 { k: self.p2_k, gamma: self.p2_gamma },
            Weighting::Sigmoid => loss::Weighting::Sigmoid { bias: self.sigmoid_bias },
        }
    }

    /// How times are drawn for steps of `batch` samples computed in `parts`.
    pub fn time(&self, batch: usize, parts: usize) -> TimeSampling {
        match self.time {
            Time::Uniform => TimeSampling::Uniform,
            Time::Stratified => TimeSampling::Stratified { batch, parts },
            Time::LogNormal => TimeSampling::LogNormal { mean: self.log_sigma_mean, std: self.log_sigma_std },
            Time::Importance => TimeSampling::Importance,
            Time::LossSecondMoment => TimeSampling::LossSecondMoment(SecondMoments { bins: BINS }),
        }
    }

    /// What has no meaning with this process.
    pub(super) fn check_process(&self, process: &dyn sde::Sde, kind: &str) -> Result<(), Violation> {
        let lossless = process.at(0.0).sigma == 0.0;
        let infinite = match self.weighting {
            Weighting::Likelihood | Weighting::Uniform | Weighting::Sigmoid => Some("loss.weighting"),
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

/// A weighting, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Weighting {
    /// 1: every level's error in epsilon counts the same (Ho et al. 2020; Song et al. 2021).
    Sigma2,
    /// `g² / sigma²`, with the diffusion coefficient g: bounds the likelihood (Song, Durkan, Murray and Ermon 2021).
    Likelihood,
    /// `1 / sigma²`: every level's error in the score counts the same; low noise dominates.
    Uniform,
    /// `(alpha² s² + sigma²) / (alpha s)²`: every level's error in the output of a network with
    /// `parameterisation = "edm"` counts the same (Karras et al. 2022).
    Edm,
    /// `min(SNR, γ) / SNR` (Hang et al. 2023).
    MinSnr,
    /// `sigma² / (alpha² s² + sigma²)`, the smooth form of that (Crowson et al. 2024).
    SoftMinSnr,
    /// `1 / (k + SNR)^γ` (Choi et al. 2022).
    P2,
    /// `1 / (1 + exp(ln SNR - b))` for each unit of ln SNR (Kingma and Gao 2023).
    Sigmoid,
    /// That of `edm`, divided by the loss that is to be expected at each noise level, which is learned with the network:
    /// `L exp(-u) + u` with a learned function u of the noise level (Karras et al. 2024). The logged training loss is that
    /// whole sum; the held-out loss is that of `edm`.
    Uncertainty,
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
