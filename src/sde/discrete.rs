//! Variance preserving processes in a fixed number of steps, as the first diffusion models had them.

use super::Sde;

/// x_i = √(1 − β_i) x_{i−1} + √β_i z for i from 0 (Ho, Jain and Abbeel 2020).
#[derive(Clone, Debug, PartialEq)]
pub struct DiscreteSchedule {
    /// β_i, each in (0, 1].
    pub betas: Vec<f64>,
}

impl DiscreteSchedule {
    /// `steps` of β, evenly from `first` to `last`: 1e-4 and 0.02 with 1000 steps in that paper.
    pub fn linear(first: f64, last: f64, steps: usize) -> Self {
        let share = |i: usize| i as f64 / (steps.max(2) - 1) as f64;
        Self { betas: (0..steps).map(|i| first + share(i) * (last - first)).collect() }
    }

    /// The steps of a process that preserves variance, at the times i / `steps`, with no β above `beta_max` (0.999 for
    /// the cosine: Nichol and Dhariwal 2021).
    pub fn of(sde: &dyn Sde, steps: usize, beta_max: f64) -> Self {
        let signal = |i: usize| sde.at(i as f64 / steps as f64).alpha.powi(2);
        Self { betas: (0..steps).map(|i| (1.0 - signal(i + 1) / signal(i)).min(beta_max)).collect() }
    }

    /// The square of alpha after each step, ∏ (1 − β).
    pub fn signal(&self) -> Vec<f64> {
        let product = |signal: &mut f64, beta: &f64| {
            *signal *= 1.0 - beta;
            Some(*signal)
        };
        self.betas.iter().scan(1.0, product).collect()
    }

    /// The schedule whose alpha after the last step is 0, and after the first what it was (Lin et al. 2024, algorithm 1).
    /// [`ZeroTerminalSnr`](super::ZeroTerminalSnr) is the same in continuous time, where the first alpha is 1.
    pub fn with_zero_terminal_snr(&self) -> Self {
        let alphas: Vec<f64> = self.signal().iter().map(|signal| signal.sqrt()).collect();
        let (Some(first), Some(last)) = (alphas.first(), alphas.last()) else { return self.clone() };
        let stretch = first / (first - last);
        let squares = alphas.iter().map(|alpha| ((alpha - last) * stretch).powi(2));
        let step = |before: &mut f64, square: f64| {
            let beta = 1.0 - square / *before;
            *before = square;
            Some(beta)
        };
        Self { betas: squares.scan(1.0, step).collect() }
    }
}
