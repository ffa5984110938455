//! `[sde]`: how data becomes noise.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Violation;
use super::table::{Keys, choices};

choices! {
    /// How data becomes noise while time runs from 0 (data) to 1 (noise).
    Sde in "sde" default None, {
        /// Variance preserving.
        "vp" => Vp,
        /// Variance exploding.
        "ve" => Ve,
    }
}

impl Sde {
    /// The smallest time that is trained and sampled, in (0, 1).
    pub fn t_min(&self) -> f64 {
        match self {
            Self::Vp(vp) => vp.t_min,
            Self::Ve(ve) => ve.t_min,
        }
    }
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
    /// Smallest time that is trained and sampled; reverse processes end there.
    #[schemars(range(min = 1e-9, max = 0.999))]
    pub t_min: f64,
}

impl Default for Vp {
    fn default() -> Self {
        Self { beta_min: 0.1, beta_max: 20.0, t_min: 1e-3 }
    }
}

impl Keys for Vp {
    fn check(&self) -> Result<(), Violation> {
        if self.beta_max < self.beta_min {
            return Err(Violation::new("beta_max", &format!("must be at least sde.beta_min = {}", self.beta_min)));
        }
        Ok(())
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
    /// Standard deviation of the noise at time 1, above `sigma_min`; about the largest distance between two samples.
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
        if self.sigma_max <= self.sigma_min {
            return Err(Violation::new("sigma_max", &format!("must be above sde.sigma_min = {}", self.sigma_min)));
        }
        Ok(())
    }
}
