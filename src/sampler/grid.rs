//! The times that a sampler visits.

use super::Level;
use crate::sde::{OutOfRange, Sde};
use crate::word::words;

words! {
    /// How times are spread from t_max down to t_min.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub enum Spacing {
        /// Evenly in t; with `sde.kind = "learned"` along the learned schedule.
        "linear" => Linear,
        /// So that the denoised of held-out data moves equally far from one time to the next, by the model's own
        /// account (Williams et al. 2024). Measured before samples are drawn, by about 130 evaluations of up to 1024
        /// samples; the times are printed.
        "equal-work" => EqualWork,
        /// Evenly in the square root of t.
        "quadratic" => Quadratic,
        /// Evenly in the log-SNR, that is, in ln(sigma / alpha).
        "log-snr" => LogSnr,
        /// Evenly in arsinh(2 √(alpha / sigma)): nearly as `"log-snr"` where there is more signal than noise, in ever
        /// smaller steps of the signal where it goes to 0. It needs no signal at the last time.
        "arsinh" => Arsinh,
        /// Evenly in (sigma / alpha)^(1 / rho).
        "karras" => Karras {
            /// Above 0; large values are nearly even in ln(sigma / alpha). Published with 7 (Karras et al. 2022, eq.
            /// 5).
            rho: f64 = 7.0
        },
        /// ln(sigma / alpha) falls with the power rho of the way that is left; with rho = 1 this is `"log-snr"`.
        "exponential" => Exponential {
            /// Above 0; above 1 steps get smaller towards the data.
            rho: f64 = 1.0
        },
    }
}

/// How many times faster than on average the log-SNR may fall at t_max for times to be spread evenly in t.
const STEEP: f64 = 4.0;

impl Spacing {
    /// The one that suits a process: even in t, unless its log-SNR falls much faster at t_max than on average, as where
    /// alpha goes to 0 there. Samplers of higher order lose it on times that are even in t then.
    pub fn of(sde: &dyn Sde) -> Self {
        let [first, last] = [sde.t_max(), sde.t_min()].map(|t| sde.at(t));
        // The derivative of the log-SNR is −g² / sigma².
        let steepest = first.diffusion_squared / first.sigma.powi(2);
        let average = (last.log_snr - first.log_snr) / (sde.t_max() - sde.t_min());
        if steepest > STEEP * average { Self::Arsinh } else { Self::Linear }
    }

    /// Whether it has a power rho.
    pub fn takes_rho(self) -> bool {
        matches!(self, Self::Karras { .. } | Self::Exponential { .. })
    }

    /// The same spacing with this power, where it has one and it is given.
    pub fn with_rho(self, rho: Option<f64>) -> Self {
        match (self, rho) {
            (Self::Karras { .. }, Some(rho)) => Self::Karras { rho },
            (Self::Exponential { .. }, Some(rho)) => Self::Exponential { rho },
            _ => self,
        }
    }
}

/// A number of steps and where they go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Steps, at least 1.
    pub steps: usize,
    /// How times are spread.
    pub spacing: Spacing,
    /// Whether the last step gives the mean of x_0 given x at t_min; otherwise samples keep the noise of t_min.
    pub denoise: bool,
}

impl Grid {
    /// `steps` evenly spaced, with a denoised end.
    pub const fn linear(steps: usize) -> Self {
        Self { steps, spacing: Spacing::Linear, denoise: true }
    }

    /// `count` times from t_max down to t_min, both included (t_max alone if `count` is 1). A spacing by the noise
    /// leaves times that are not numbers, or do not fall, where a process has no signal at t_max;
    /// [`obstacle`](super::obstacle) refuses those.
    pub fn times(&self, sde: &dyn Sde, count: usize) -> Vec<f64> {
        let (first, last) = (sde.t_max(), sde.t_min());
        let between = |share: f64, from: f64, to: f64| from + share * (to - from);
        let of_ratio = |ratio: Result<f64, OutOfRange>| ratio.unwrap_or(f64::NAN);
        let [most, least] = [first, last].map(|t| sde.at(t).noise_to_signal());
        let time = |share: f64| match self.spacing {
            // What a process has learned, or has been given ([`Paced`](crate::sde::Paced)).
            Spacing::Linear | Spacing::EqualWork => sde.scheduled(share),
            Spacing::Quadratic => between(share, first.sqrt(), last.sqrt()).powi(2),
            Spacing::LogSnr => of_ratio(sde.t_of_noise_to_signal(between(share, most.ln(), least.ln()).exp())),
            // Where alpha begins at 0 it grows with the square of the way, so that methods of order up to 4 keep their
            // order.
            Spacing::Arsinh => {
                let place = |ratio: f64| (2.0 * ratio.powf(-0.5)).asinh();
                let sinh = between(share, place(most), place(least)).sinh();
                of_ratio(sde.t_of_noise_to_signal(4.0 / (sinh * sinh)))
            }
            Spacing::Karras { rho } => {
                let root = between(share, most.powf(1.0 / rho), least.powf(1.0 / rho));
                of_ratio(sde.t_of_noise_to_signal(root.powf(rho)))
            }
            Spacing::Exponential { rho } => {
                let left = (1.0 - share).powf(rho);
                of_ratio(sde.t_of_noise_to_signal(between(left, least.ln(), most.ln()).exp()))
            }
        };
        let ends_exactly = |i: usize| match i {
            0 => first,
            _ if i + 1 == count => last,
            _ => time(i as f64 / (count - 1) as f64),
        };
        (0..count).map(ends_exactly).collect()
    }

    /// The levels between which the steps go: one more than there are steps, the last of them without noise if the grid
    /// denoises, else that of t_min.
    pub fn levels(&self, sde: &dyn Sde) -> Vec<Level> {
        let times = self.times(sde, if self.denoise { self.steps } else { self.steps + 1 });
        let mut levels: Vec<Level> = times.iter().map(|t| Level::at(sde, *t)).collect();
        if self.denoise {
            levels.push(Level::clean(times[self.steps - 1]));
        }
        levels
    }
}
