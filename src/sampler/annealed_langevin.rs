//! Langevin's dynamics at one noise level after the other.

use super::Column::{Carried, Number, Time};
use super::option_groups::options;
use super::{Column, Grid, Level, Row, Sampler, SamplerKind, stepwise};
use crate::graph::{Graph, Value};
use crate::sde::{Model, Quantity, Sde};

/// Annealed Langevin dynamics (Song and Ermon 2019, algorithm 1): at each of N noise levels, from the noisiest on, T
/// times
///
/// ε = step_size sigma², x ← x + ε score(x, t) + √(2 ε) z
///
/// (The step of the paper's algorithm is 2 ε; their code has ε, with step_size = 0.2: 2e-5 at sigma = 0.01.) With a
/// [`Grid`] that denoises, one more evaluation takes the mean of x_0 given the last x (Song and Ermon 2020). Made for
/// processes whose alpha is 1, such as VE; from level to level x is not rescaled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnnealedLangevin {
    /// ε in units of sigma², above 0.
    pub step_size: f64,
    /// Steps T at each level.
    pub steps_per_level: usize,
}

options! {
    /// How long Langevin's dynamics go on at a level.
    LangevinSteps {
        /// The step of `annealed-langevin`, in units of sigma². Without it, 0.2.
        #[schemars(range(min = 1e-9, max = 10.0))]
        step_size: f64,
        /// Steps of `annealed-langevin` at each of its levels. Without it, 100.
        #[schemars(range(min = 1, max = 100_000))]
        steps_per_level: usize,
    }
}

impl AnnealedLangevin {
    /// In configs and on the command line.
    pub const KIND: SamplerKind =
        SamplerKind::new("annealed-langevin", "Langevin dynamics at one noise level after the other.", |options| {
            let LangevinSteps { step_size, steps_per_level } = options.langevin;
            stepwise(Self {
                step_size: step_size.unwrap_or(Self::DEFAULT.step_size),
                steps_per_level: steps_per_level.unwrap_or(Self::DEFAULT.steps_per_level),
            })
        })
        .taking(&[LangevinSteps::NAMES]);

    /// The published numbers.
    pub const DEFAULT: Self = Self { step_size: 0.2, steps_per_level: 100 };

    /// The table of a path through these levels, with a last evaluation if `denoise`.
    pub fn table(&self, levels: &[Level], denoise: bool) -> Vec<Vec<f64>> {
        let langevin = |level: &Level| {
            let step = self.step_size * level.sigma.powi(2);
            vec![level.t, 1.0, step, (2.0 * step).sqrt()]
        };
        let tweedie = |level: &Level| vec![level.t, 1.0 / level.alpha, level.sigma.powi(2) / level.alpha, 0.0];
        let rows = levels.iter().flat_map(|level| std::iter::repeat_n(langevin(level), self.steps_per_level));
        rows.chain(levels.last().filter(|_| denoise).map(tweedie)).collect()
    }
}

impl Sampler for AnnealedLangevin {
    fn name(&self) -> &'static str {
        Self::KIND.name
    }

    fn order(&self) -> Option<usize> {
        None
    }

    fn evaluations_per_step(&self) -> usize {
        self.steps_per_level
    }

    fn evaluations(&self, grid: &Grid) -> usize {
        self.rows(grid)
    }

    fn rows(&self, grid: &Grid) -> usize {
        grid.steps * self.steps_per_level + usize::from(grid.denoise)
    }

    fn draws(&self) -> usize {
        1
    }

    fn columns(&self) -> &'static [Column] {
        &[Time("t"), Carried("x"), Number("score"), Number("noise")]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        let levels: Vec<Level> = grid.times(sde, grid.steps).iter().map(|t| Level::at(sde, *t)).collect();
        self.table(&levels, grid.denoise)
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let level = row.level(graph, "t");
        let score = model.predict(graph, x, &level, Quantity::Score);
        let z = row.normal(graph, 0, x);
        row.combine(graph, &[("x", x), ("score", score), ("noise", z)])
    }
}
