//! `[sde]`: how data becomes noise.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Violation;
use super::table::{Keys, choices};
use crate::sde::{self, Shifted, ZeroTerminalSnr};

choices! {
    /// How data becomes noise while time runs from 0 (data) to 1 (noise).
    Sde in "sde" default None, {
        /// Variance preserving.
        "vp" => Vp,
        /// Variance preserving, by a cosine.
        "cosine" => Cosine,
        /// Variance preserving, by a sigmoid.
        "sigmoid" => Sigmoid,
        /// Variance below the variance preserving one.
        "sub-vp" => SubVp,
        /// Variance exploding.
        "ve" => Ve,
        /// Noise is the time.
        "edm" => Edm,
        /// Variance preserving, at a learned pace.
        "learned" => Learned,
        /// Straight lines.
        "rectified-flow" => RectifiedFlow,
    }
}

impl Sde {
    /// The process.
    pub fn process(&self) -> Box<dyn sde::Sde> {
        match self {
            Self::Vp(vp) => {
                let process = sde::Vp { beta_min: vp.beta_min, beta_max: vp.beta_max, t_min: vp.t_min };
                let process: Box<dyn sde::Sde> =
                    if vp.zero_terminal_snr { Box::new(ZeroTerminalSnr::new(process)) } else { Box::new(process) };
                shifted(process, vp.log_snr_shift)
            }
            Self::Cosine(Cosine { offset, log_snr_shift, t_min, t_max }) => {
                shifted(Box::new(sde::Cosine { offset: *offset, t_min: *t_min, t_max: *t_max }), *log_snr_shift)
            }
            Self::Sigmoid(Sigmoid { start, end, temperature, log_snr_shift, t_min, t_max }) => {
                let process =
                    sde::Sigmoid { start: *start, end: *end, temperature: *temperature, t_min: *t_min, t_max: *t_max };
                shifted(Box::new(process), *log_snr_shift)
            }
            Self::SubVp(SubVp { beta_min, beta_max, t_min }) => {
                let vp = sde::Vp { beta_min: *beta_min, beta_max: *beta_max, t_min: *t_min };
                Box::new(sde::SubVp { vp })
            }
            Self::Ve(ve) => Box::new(sde::Ve { sigma_min: ve.sigma_min, sigma_max: ve.sigma_max, t_min: ve.t_min }),
            Self::Edm(Edm { sigma_min, sigma_max, rho, t_min }) => {
                Box::new(sde::Edm { sigma_min: *sigma_min, sigma_max: *sigma_max, rho: *rho, t_min: *t_min })
            }
            Self::Learned(learned) => Box::new(learned.even()),
            Self::RectifiedFlow(RectifiedFlow { log_snr_shift, t_min }) => {
                Box::new(sde::RectifiedFlow { log_snr_shift: *log_snr_shift, t_min: *t_min })
            }
        }
    }
}

fn shifted(process: Box<dyn sde::Sde>, log_snr_shift: f64) -> Box<dyn sde::Sde> {
    if log_snr_shift == 0.0 { process } else { Box::new(Shifted::new(process, log_snr_shift)) }
}

/// A key that has to be above another one.
fn above(key: &str, value: f64, other: &str, least: f64) -> Result<(), Violation> {
    if value > least { Ok(()) } else { Err(Violation::new(key, &format!("must be above sde.{other} = {least}"))) }
}

/// A last β that is not below the first.
fn rising(beta_min: f64, beta_max: f64) -> Result<(), Violation> {
    if beta_max >= beta_min {
        return Ok(());
    }
    Err(Violation::new("beta_max", &format!("must be at least sde.beta_min = {beta_min}")))
}

/// Variance preserving, `dx = -½ β(t) x dt + √β(t) dw` with `β(t) = beta_min + t (beta_max - beta_min)`
/// (Song et al. 2021).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Vp {
    /// β at time 0.
    #[schemars(range(min = 1e-9, max = 170.0))]
    pub beta_min: f64,
    /// β at time 1; at least `beta_min`. What is left of the data at time 1 is `exp(-(beta_min + beta_max) / 4)`,
    /// which has to be a number that a float can hold.
    #[schemars(range(min = 1e-9, max = 170.0))]
    pub beta_max: f64,
    /// Whether that rest is taken away: alpha is shifted and stretched so that it is 0 at time 1 (Lin et al. 2024). Then
    /// `loss.parameterisation` may be neither `epsilon` nor `score`.
    pub zero_terminal_snr: bool,
    /// Added to `ln(alpha² / sigma²)` at every time. For a schedule made for images of 64 × 64 pixels and images of
    /// d × d it is `2 ln(64 / d)` (Hoogeboom, Heek and Salimans 2023): -2.7726 for 256.
    #[schemars(range(min = -20.0, max = 20.0))]
    pub log_snr_shift: f64,
    /// Smallest time that is trained and sampled; reverse processes end there.
    #[schemars(range(min = 1e-9, max = 0.999))]
    pub t_min: f64,
}

impl Default for Vp {
    fn default() -> Self {
        Self { beta_min: 0.1, beta_max: 20.0, zero_terminal_snr: false, log_snr_shift: 0.0, t_min: 1e-3 }
    }
}

impl Keys for Vp {
    fn check(&self) -> Result<(), Violation> {
        rising(self.beta_min, self.beta_max)
    }
}

/// Variance preserving, `alpha = cos(a + b t) / cos(a)` with `a = π/2 · offset / (1 + offset)` and
/// `b = π/2 / (1 + offset)` (Nichol and Dhariwal 2021).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cosine {
    /// Keeps noise from vanishing too fast near time 0.
    #[schemars(range(min = 1e-6, max = 1.0))]
    pub offset: f64,
    /// As for `vp`.
    #[schemars(range(min = -20.0, max = 20.0))]
    pub log_snr_shift: f64,
    /// Smallest time that is trained and sampled; reverse processes end there.
    #[schemars(range(min = 1e-9, max = 0.999))]
    pub t_min: f64,
    /// Largest time that is trained and sampled; reverse processes start there. At 1 nothing is left of the data; then
    /// `loss.parameterisation` may be neither `epsilon` nor `score`.
    #[schemars(range(min = 1e-3, max = 1.0))]
    pub t_max: f64,
}

impl Default for Cosine {
    fn default() -> Self {
        let sde::Cosine { offset, t_min, t_max } = sde::Cosine::default();
        Self { offset, log_snr_shift: 0.0, t_min, t_max }
    }
}

impl Keys for Cosine {
    fn check(&self) -> Result<(), Violation> {
        above("t_max", self.t_max, "t_min", self.t_min)
    }
}

/// Variance preserving, `alpha² = (S(e) - S(v)) / (S(e) - S(s))` with the sigmoid S, where v runs from
/// `s = start / temperature` to `e = end / temperature` (Jabri, Fleet and Chen 2022).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sigmoid {
    /// The sigmoid's argument at time 0, before it is divided by `temperature`.
    #[schemars(range(min = -30.0, max = 30.0))]
    pub start: f64,
    /// The same at time 1; above `start`.
    #[schemars(range(min = -30.0, max = 30.0))]
    pub end: f64,
    /// The smaller, the steeper in the middle.
    #[schemars(range(min = 0.1, max = 10.0))]
    pub temperature: f64,
    /// As for `vp`.
    #[schemars(range(min = -20.0, max = 20.0))]
    pub log_snr_shift: f64,
    /// Smallest time that is trained and sampled; reverse processes end there.
    #[schemars(range(min = 1e-9, max = 0.999))]
    pub t_min: f64,
    /// Largest time that is trained and sampled; reverse processes start there. At 1 nothing is left of the data; then
    /// `loss.parameterisation` may be neither `epsilon` nor `score`.
    #[schemars(range(min = 1e-3, max = 1.0))]
    pub t_max: f64,
}

impl Default for Sigmoid {
    fn default() -> Self {
        let sde::Sigmoid { start, end, temperature, t_min, t_max } = sde::Sigmoid::default();
        Self { start, end, temperature, log_snr_shift: 0.0, t_min, t_max }
    }
}

impl Keys for Sigmoid {
    fn check(&self) -> Result<(), Violation> {
        above("end", self.end, "start", self.start)?;
        above("t_max", self.t_max, "t_min", self.t_min)
    }
}

/// The drift of `vp` with less noise: `sigma = 1 - alpha²` (Song et al. 2021).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SubVp {
    /// As for `vp`.
    #[schemars(range(min = 1e-9, max = 170.0))]
    pub beta_min: f64,
    /// As for `vp`.
    #[schemars(range(min = 1e-9, max = 170.0))]
    pub beta_max: f64,
    /// Smallest time that is trained and sampled; reverse processes end there.
    #[schemars(range(min = 1e-9, max = 0.999))]
    pub t_min: f64,
}

impl Default for SubVp {
    fn default() -> Self {
        Self { beta_min: 0.1, beta_max: 20.0, t_min: 1e-3 }
    }
}

impl Keys for SubVp {
    fn check(&self) -> Result<(), Violation> {
        rising(self.beta_min, self.beta_max)
    }
}

/// Variance exploding, `dx = σ(t) √(2 ln(sigma_max / sigma_min)) dw` with
/// `σ(t) = sigma_min (sigma_max / sigma_min)^t` (Song et al. 2021).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ve {
    /// Standard deviation of the noise at time 0, in the units of the data; well below the data's finest detail.
    #[schemars(range(min = 1e-9, max = 1e9))]
    pub sigma_min: f64,
    /// Standard deviation of the noise at time 1, above `sigma_min`; about the largest distance between two samples. For
    /// `data.kind = "mixture"` also `"visible"`: the noise below which scores see 99 % of what there is to see of how much is
    /// in each mode.
    #[schemars(range(min = 1e-9, max = 1e9))]
    pub sigma_max: f64,
    /// Smallest time that is trained and sampled; reverse processes end there.
    #[schemars(range(min = 1e-9, max = 0.999))]
    pub t_min: f64,
}

impl Default for Ve {
    fn default() -> Self {
        Self { sigma_min: 0.01, sigma_max: 50.0, t_min: 1e-5 }
    }
}

impl Keys for Ve {
    fn check(&self) -> Result<(), Violation> {
        above("sigma_max", self.sigma_max, "sigma_min", self.sigma_min)
    }
}

/// Noise is added and nothing is scaled, as for `ve`, at another pace: evenly spaced times have evenly spaced
/// `sigma^(1/rho)`, the sampling grid of Karras et al. (2022).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Edm {
    /// Standard deviation of the noise at time 0, in the units of the data; well below the data's finest detail.
    #[schemars(range(min = 1e-9, max = 1e9))]
    pub sigma_min: f64,
    /// Standard deviation of the noise at time 1, above `sigma_min`; `"visible"` as for `ve`.
    #[schemars(range(min = 1e-9, max = 1e9))]
    pub sigma_max: f64,
    /// The larger, the more of the time has little noise.
    #[schemars(range(min = 1.0, max = 100.0))]
    pub rho: f64,
    /// Smallest time that is trained and sampled; reverse processes end there.
    #[schemars(range(min = 0.0, max = 0.999))]
    pub t_min: f64,
}

impl Default for Edm {
    fn default() -> Self {
        let sde::Edm { sigma_min, sigma_max, rho, t_min } = sde::Edm::default();
        Self { sigma_min, sigma_max, rho, t_min }
    }
}

impl Keys for Edm {
    fn check(&self) -> Result<(), Violation> {
        above("sigma_max", self.sigma_max, "sigma_min", self.sigma_min)
    }
}

/// Variance preserving, with `ln(alpha² / sigma²)` falling from `log_snr_max` at time 0 to `log_snr_min` at time 1: evenly in
/// time, and along a schedule that is learned with the network (Kingma, Salimans, Poole and Ho 2021). The schedule is a rising
/// map of the way from data to noise into time, in straight pieces. Training draws times along it, what is drawn more often
/// counting less, and learns it so that the loss has little variance; samplers with `sample.spacing = "linear"` take steps
/// that are even along it. `loss.time` says how the way is drawn: `uniform` or `stratified`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Learned {
    /// `ln(alpha² / sigma²)` at time 0.
    #[schemars(range(min = -30.0, max = 30.0))]
    pub log_snr_max: f64,
    /// The same at time 1; below `log_snr_max`.
    #[schemars(range(min = -30.0, max = 30.0))]
    pub log_snr_min: f64,
    /// Pieces of the schedule.
    #[schemars(range(min = 2, max = 1024))]
    pub pieces: usize,
    /// Whether the ends of the schedule stay at `log_snr_max` and `log_snr_min`.
    pub ends: Ends,
}

impl Default for Learned {
    fn default() -> Self {
        let [log_snr_max, log_snr_min] = sde::Learned::default().log_snr;
        Self { log_snr_max, log_snr_min, pieces: 16, ends: Ends::Fixed }
    }
}

/// What becomes of the ends of a learned schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ends {
    /// They stay.
    Fixed,
    /// They are learned by the variational bound: what the loss gains or loses by an end is weighed against the bound's prior
    /// and reconstruction terms. They begin at the keys and go at most 5 to either side; times 0 and 1 are there. Needs data
    /// of discrete levels (of continuous data less noise is always better), `loss.kind = "denoising"`,
    /// `loss.weighting = "likelihood"` and no `train.dequantise`.
    Learned,
}

impl Learned {
    /// The process before anything is learned.
    pub fn even(&self) -> sde::Learned {
        let [first, last] = self.ends();
        let times = (0..=self.pieces).map(|knot| first + (last - first) * knot as f64 / self.pieces as f64).collect();
        sde::Learned { log_snr: [self.log_snr_max + self.room(), self.log_snr_min - self.room()], times }
    }

    /// The times at which the schedule begins and ends before anything is learned.
    pub fn ends(&self) -> [f64; 2] {
        let margin = self.room() / (self.log_snr_max - self.log_snr_min + 2.0 * self.room());
        [margin, 1.0 - margin]
    }

    /// How far ln SNR may go beyond its first ends.
    fn room(&self) -> f64 {
        match self.ends {
            Ends::Fixed => 0.0,
            Ends::Learned => 5.0,
        }
    }
}

impl Keys for Learned {
    fn check(&self) -> Result<(), Violation> {
        above("log_snr_max", self.log_snr_max, "log_snr_min", self.log_snr_min)
    }
}

/// Straight lines from data to noise, `x = (1 - t) x_0 + t epsilon` (Liu, Gong and Liu 2023; Lipman et al. 2023). At time
/// 1 nothing is left of the data: `loss.parameterisation` may be neither `epsilon` nor `score`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RectifiedFlow {
    /// As for `vp`; the lines stay straight, time runs otherwise along them (Esser et al. 2024).
    #[schemars(range(min = -20.0, max = 20.0))]
    pub log_snr_shift: f64,
    /// Smallest time that is trained and sampled; reverse processes end there.
    #[schemars(range(min = 1e-9, max = 0.999))]
    pub t_min: f64,
}

impl Default for RectifiedFlow {
    fn default() -> Self {
        let sde::RectifiedFlow { log_snr_shift, t_min } = sde::RectifiedFlow::default();
        Self { log_snr_shift, t_min }
    }
}

impl Keys for RectifiedFlow {}
