//! The discretised forward process, reversed.

use super::Column::{Carried, Number, Time};
use super::{Column, Grid, Level, PublishedEnd, Row, Sampler, SamplerKind, stepwise};
use crate::graph::{Graph, Value};
use crate::sde::{Model, Quantity, Sde};

/// The reverse diffusion sampler (Song et al. 2021, appendix E). From x′ at the next level the forward process comes to
/// x = r x′ + √q z, with r = alpha / alpha′ and q = sigma² − r² sigma′², that is, x = x′ + f(x′) + G z with f(x) = (r −
/// 1) x and G² = q. Reversed like the SDE itself:
///
/// x_mean = x − f(x) + G² score(x, t), x ← x_mean + G z
///
/// For VP and VE these are the published steps; for any other linear process they are their like. A step to no noise
/// takes the denoised mean, (x + sigma² score) / alpha; with `published_end` it takes x_mean, as in the published
/// experiments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReverseDiffusion {
    /// Whether a step to no noise takes x_mean.
    pub published_end: bool,
}

impl ReverseDiffusion {
    /// In configs and on the command line.
    pub const KIND: SamplerKind =
        SamplerKind::new("reverse-diffusion", "The reverse SDE by the discretised forward process.", |options| {
            stepwise(Self { published_end: options.end.published() })
        })
        .taking(&[PublishedEnd::NAMES]);

    /// The table of a path through these levels.
    pub fn table(&self, levels: &[Level]) -> Vec<Vec<f64>> {
        let row = |pair: &[Level]| {
            [vec![pair[0].t], reverse_diffusion_row(&pair[0], &pair[1], self.published_end).to_vec()].concat()
        };
        levels.windows(2).map(row).collect()
    }
}

impl Sampler for ReverseDiffusion {
    fn name(&self) -> &'static str {
        Self::KIND.name
    }

    fn order(&self) -> Option<usize> {
        Some(1)
    }

    fn evaluations_per_step(&self) -> usize {
        1
    }

    fn draws(&self) -> usize {
        1
    }

    fn columns(&self) -> &'static [Column] {
        &[Time("t"), Carried("x"), Number("score"), Number("noise")]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        self.table(&grid.levels(sde))
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let level = row.level(graph, "t");
        let score = model.predict(graph, x, &level, Quantity::Score);
        let z = row.normal(graph, 0, x);
        row.combine(graph, &[("x", x), ("score", score), ("noise", z)])
    }
}

/// The factors of x, score and noise in a step from one level to the next.
pub(super) fn reverse_diffusion_row(from: &Level, to: &Level, published_end: bool) -> [f64; 3] {
    if to.is_clean() && !published_end {
        return [1.0 / from.alpha, from.sigma.powi(2) / from.alpha, 0.0];
    }
    let variance = from.sigma.powi(2) * -(-2.0 * from.growth(to)).exp_m1();
    let noise = if to.is_clean() { 0.0 } else { variance.sqrt() };
    [2.0 - from.alpha / to.alpha, variance, noise]
}
