//! The probability flow with noise put back in.

use super::Column::{Carried, Number, Time};
use super::ode_heun::{heun_row, heun_step};
use super::option_groups::options;
use super::{Column, Grid, Level, Row, Sampler, SamplerKind, stepwise};
use crate::graph::{Graph, Value};
use crate::sde::{Model, Sde};
use crate::violation::Violation;

/// The stochastic sampler of Karras et al. (2022, algorithm 2), in y = x / alpha and s = sigma / alpha: before each
/// step of Heun's method noise is added, and the step starts from there:
///
/// γ = min(churn / N, √2 − 1) for s in [churn_min, churn_max], else 0
/// ŝ = (1 + γ) s, ŷ = y + churn_noise √(ŝ² − s²) z, then Heun's step from ŝ to s′
///
/// ŝ ends where the process does: at t_max nothing is added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EdmStochastic {
    /// How much noise is added on the whole way, at least 0: 0 is [`OdeHeun`](super::OdeHeun).
    pub churn: f64,
    /// The least s at which noise is added.
    pub churn_min: f64,
    /// The largest.
    pub churn_max: f64,
    /// Standard deviation of the noise that is added, slightly above 1 to make up for a network that removes too much.
    pub churn_noise: f64,
}

options! {
    /// Noise that is put back in.
    Churn {
        /// Noise that `edm-stochastic` adds on the whole way. Without it, 40.
        #[schemars(range(min = 0.0, max = 1e6))]
        churn: f64,
        /// The least sigma / alpha at which it is added. Without it, 0.05.
        #[schemars(range(min = 0.0, max = 1e9))]
        churn_min: f64,
        /// The largest sigma / alpha at which it is added. Without it, 50.
        #[schemars(range(min = 0.0, max = 1e9))]
        churn_max: f64,
        /// The standard deviation of what is added, in units of what would be exact. Without it, 1.003.
        #[schemars(range(min = 0.0, max = 10.0))]
        churn_noise: f64,
    }
}

impl Churn {
    fn check(&self) -> Result<(), Violation> {
        let EdmStochastic { churn_min, churn_max, .. } = EdmStochastic::DEFAULT;
        let (low, high) = (self.churn_min.unwrap_or(churn_min), self.churn_max.unwrap_or(churn_max));
        if low <= high {
            return Ok(());
        }
        let key = if self.churn_max.is_some() { "churn_max" } else { "churn_min" };
        Err(Violation::new(key, &format!("must leave churn_min = {low} at most churn_max = {high}")))
    }
}

impl EdmStochastic {
    /// In configs and on the command line.
    pub const KIND: SamplerKind =
        SamplerKind::new("edm-stochastic", "Heun steps on the probability flow with noise put back in.", |options| {
            let Churn { churn, churn_min, churn_max, churn_noise } = options.churn;
            stepwise(Self {
                churn: churn.unwrap_or(Self::DEFAULT.churn),
                churn_min: churn_min.unwrap_or(Self::DEFAULT.churn_min),
                churn_max: churn_max.unwrap_or(Self::DEFAULT.churn_max),
                churn_noise: churn_noise.unwrap_or(Self::DEFAULT.churn_noise),
            })
        })
        .taking(&[Churn::NAMES])
        .checked(|options| options.churn.check());

    /// The published numbers, those of ImageNet but for churn_noise.
    pub const DEFAULT: Self = Self { churn: 40.0, churn_min: 0.05, churn_max: 50.0, churn_noise: 1.003 };

    /// γ at a level.
    fn gamma(&self, s: f64, steps: usize) -> f64 {
        let within = (self.churn_min..=self.churn_max).contains(&s);
        if within { (self.churn / steps as f64).min(std::f64::consts::SQRT_2 - 1.0) } else { 0.0 }
    }

    /// The table of a path through these levels, of which each but the last is left from its `noisier` one.
    pub fn table(&self, levels: &[Level], noisier: &[Level]) -> Vec<Vec<f64>> {
        let row = |(pair, noisier): (&[Level], &Level)| {
            let [s, s_hat] = [pair[0].noise_to_signal(), noisier.noise_to_signal()];
            let added = if noisier.t == pair[0].t { 0.0 } else { (s_hat * s_hat - s * s).sqrt() };
            let of_x = if noisier.t == pair[0].t { 1.0 } else { noisier.alpha / pair[0].alpha };
            let churned = vec![pair[0].t, noisier.t, of_x, noisier.alpha * self.churn_noise * added];
            [churned, heun_row(noisier, &pair[1])].concat()
        };
        levels.windows(2).zip(noisier).map(row).collect()
    }
}

impl Sampler for EdmStochastic {
    fn name(&self) -> &'static str {
        Self::KIND.name
    }

    fn order(&self) -> Option<usize> {
        Some(2)
    }

    fn evaluations_per_step(&self) -> usize {
        2
    }

    fn draws(&self) -> usize {
        1
    }

    fn columns(&self) -> &'static [Column] {
        &[
            Time("t"),
            Time("t_hat"),
            Carried("hat_x"),
            Number("hat_noise"),
            Time("t_next"),
            Number("euler_x"),
            Number("euler_denoised"),
            Carried("x"),
            Number("denoised"),
            Number("x_next"),
            Number("denoised_next"),
        ]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        let levels = grid.levels(sde);
        let noisier = |level: &Level| {
            let s = level.noise_to_signal();
            let gamma = self.gamma(s, grid.steps);
            match sde.t_of_noise_to_signal(s * (1.0 + gamma)) {
                _ if gamma == 0.0 => *level,
                Ok(t) => Level::at(sde, t),
                Err(_) => Level::at(sde, sde.t_max()),
            }
        };
        self.table(&levels, &levels[..grid.steps].iter().map(noisier).collect::<Vec<_>>())
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let z = row.normal(graph, 0, x);
        let x_hat = row.combine(graph, &[("hat_x", x), ("hat_noise", z)]);
        let level = row.level(graph, "t_hat");
        heun_step(graph, model, x_hat, &level, row)
    }
}
