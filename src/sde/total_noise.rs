//! Noise of data that are symbols: how likely one is still the one it was.

use crate::graph::Expr;

/// The total noise σ̄(t) of a process on symbols, each of which is unchanged at time t with probability e^{−σ̄(t)}
/// (Lou, Meng and Ermon 2024, section 3.3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TotalNoise {
    /// σ̄ = −ln(1 − (1 − epsilon) t): the share of changed symbols grows evenly, to 1 − epsilon.
    LogLinear {
        /// In (0, 1).
        epsilon: f64,
    },
    /// σ̄ = least^{1 − t} most^t.
    Geometric {
        /// At time 0, above 0.
        least: f64,
        /// At time 1, above `least`.
        most: f64,
    },
}

impl TotalNoise {
    /// σ̄
    pub fn total(self, t: &Expr) -> Expr {
        match self {
            Self::LogLinear { epsilon } => -(t * (epsilon - 1.0)).log1p(),
            Self::Geometric { least, most } => (t * (most / least).ln()).exp() * least,
        }
    }

    /// dσ̄/dt
    pub fn rate(self, t: &Expr) -> Expr {
        match self {
            Self::LogLinear { epsilon } => (1.0 - epsilon) / (t * (epsilon - 1.0) + 1.0),
            Self::Geometric { least, most } => self.total(t) * (most / least).ln(),
        }
    }

    /// (dσ̄/dt) / (e^σ̄ − 1), the weight of a masked symbol's cross entropy in the bound on the likelihood (Sahoo et al.
    /// 2024, eq. 10). Where noise is log-linear it is 1 / t, whatever epsilon.
    pub fn masked_weight(self, t: &Expr) -> Expr {
        match self {
            Self::LogLinear { .. } => 1.0 / t,
            Self::Geometric { .. } => self.rate(t) / self.total(t).expm1(),
        }
    }
}
