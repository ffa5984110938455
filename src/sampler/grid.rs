//! The times that a sampler visits.

use crate::sde::{OutOfRange, Sde};

/// How times are spread from t_max down to t_min.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Spacing {
    /// Evenly in t: for VE that is evenly in ln sigma.
    #[default]
    Linear,
    /// Evenly in (sigma / alpha)^(1 / rho) (Karras et al. 2022, eq. 5, with rho = 7): many small steps at low noise.
    Karras {
        /// Above 0; large values are nearly even in ln(sigma / alpha).
        rho: f64,
    },
}

/// A number of steps and where they go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Steps, at least 1: rows of a sampler's table.
    pub steps: usize,
    /// How times are spread.
    pub spacing: Spacing,
    /// Whether the last step goes to no noise at all, to the mean of x_0 given x (for [`EulerMaruyama`] its last mean,
    /// without noise). Otherwise samples keep the noise of t_min.
    ///
    /// [`EulerMaruyama`]: super::EulerMaruyama
    pub denoise: bool,
}

impl Grid {
    /// `steps` evenly spaced, with a denoised end.
    pub const fn linear(steps: usize) -> Self {
        Self { steps, spacing: Spacing::Linear, denoise: true }
    }

    /// `count` times from t_max down to t_min, both included (t_max alone if `count` is 1).
    pub fn times(&self, sde: &dyn Sde, count: usize) -> Vec<f64> {
        let (first, last) = (sde.t_max(), sde.t_min());
        let share = |i: usize| i as f64 / (count.max(2) - 1) as f64;
        let ends_exactly = |i: usize, t: f64| match i {
            0 => first,
            _ if i + 1 == count => last,
            _ => t,
        };
        match self.spacing {
            Spacing::Linear => (0..count).map(|i| ends_exactly(i, first + share(i) * (last - first))).collect(),
            Spacing::Karras { rho } => {
                let [from, to] = [first, last].map(|t| sde.at(t).noise_to_signal().powf(1.0 / rho));
                let time = |i| -> Result<f64, OutOfRange> {
                    let ratio = (from + share(i) * (to - from)).powf(rho);
                    Ok(ends_exactly(i, sde.t_of_noise_to_signal(ratio)?))
                };
                (0..count).map(|i| time(i).expect("between the ratios of two times is that of a third")).collect()
            }
        }
    }
}
