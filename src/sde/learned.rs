//! A process whose pace is learned.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keys::above;
use super::{EvenLogSnr, ProcessKeys, Sde};
use crate::violation::Violation;

/// Variance preserving, with `ln(alpha² / sigma²)` falling from `log_snr_max` at time 0 to `log_snr_min` at time 1:
/// evenly in time, and along a schedule that is learned with the network (Kingma, Salimans, Poole and Ho 2021). The
/// schedule is a rising map of the way from data to noise into time, in straight pieces. Training draws times along it,
/// what is drawn more often counting less, and learns it so that the loss has little variance; samplers with
/// `sample.spacing = "linear"` take steps that are even along it. `loss.time` says how the way is drawn: `uniform` or
/// `stratified`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
        let [log_snr_max, log_snr_min] = EvenLogSnr::default().log_snr;
        Self { log_snr_max, log_snr_min, pieces: 16, ends: Ends::Fixed }
    }
}

/// What becomes of the ends of a learned schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ends {
    /// They stay.
    Fixed,
    /// They are learned by the variational bound: what the loss gains or loses by an end is weighed against the bound's
    /// prior and reconstruction terms. They begin at the keys and go at most 5 to either side; times 0 and 1 are there.
    /// Needs data of discrete levels (of continuous data less noise is always better), `loss.kind = "denoising"`,
    /// `loss.weighting = "likelihood"` and no `train.dequantise`.
    Learned,
}

impl Learned {
    /// The process before anything is learned.
    pub fn even(&self) -> EvenLogSnr {
        let [first, last] = self.ends();
        let times = (0..=self.pieces).map(|knot| first + (last - first) * knot as f64 / self.pieces as f64).collect();
        EvenLogSnr { log_snr: [self.log_snr_max + self.room(), self.log_snr_min - self.room()], times }
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

impl ProcessKeys for Learned {
    fn process(&self) -> Box<dyn Sde> {
        Box::new(self.even())
    }

    fn check(&self) -> Result<(), Violation> {
        above("log_snr_max", self.log_snr_max, "log_snr_min", self.log_snr_min)
    }
}
