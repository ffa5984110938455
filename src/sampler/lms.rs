//! The linear multistep method on the noise level.

use super::{Column, Grid, Level, MultistepOrder, PublishedEnd, Row, Sampler, SamplerKind, adams, stepwise};
use crate::graph::{Graph, Value};
use crate::sde::{Model, Sde};

/// The Adams-Bashforth method with steps of any length (Crowson 2022, "LMS" of k-diffusion): in y = x / alpha and
/// s = sigma / alpha the flow is dy/ds = epsilon, and
///
/// y ← y + ∫_s^s′ P(v) dv, P the polynomial in s through the last values of epsilon.
///
/// The first steps go by fewer values, and a step to no noise by one, which is the denoised mean. With `published_end`
/// that step keeps its order, as in k-diffusion and diffusers. It then extrapolates far beyond levels that lie close
/// together: with many steps it amplifies the rounding of f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lms {
    /// Values of epsilon that a step goes by: 1 to 4.
    pub order: usize,
    /// Whether a step to no noise keeps its order.
    pub published_end: bool,
}

impl Lms {
    /// In configs and on the command line.
    pub const KIND: SamplerKind = SamplerKind::new("lms", "Linear multistep, polynomials in the noise.", |options| {
        stepwise(Self { order: options.multistep.order.unwrap_or(4), published_end: options.end.published() })
    })
    .taking(&[MultistepOrder::NAMES, PublishedEnd::NAMES]);

    /// The table of a path through these levels.
    pub fn table(&self, levels: &[Level]) -> Vec<Vec<f64>> {
        adams::table(levels, self.order, |past, to| {
            if to.is_clean() && !self.published_end {
                return vec![-1.0];
            }
            let from = past[past.len() - 1].noise_to_signal();
            let nodes: Vec<f64> = past.iter().rev().map(|level| level.noise_to_signal() / from - 1.0).collect();
            let end = to.noise_to_signal() / from - 1.0;
            let integral = |k: usize| {
                let terms = adams::lagrange(&nodes, k).into_iter().zip(1..);
                terms.map(|(coefficient, power)| coefficient * end.powi(power) / f64::from(power)).sum()
            };
            (0..nodes.len()).map(integral).collect()
        })
    }
}

impl Sampler for Lms {
    fn name(&self) -> &'static str {
        Self::KIND.name
    }

    fn order(&self) -> Option<usize> {
        Some(self.order)
    }

    fn evaluations_per_step(&self) -> usize {
        1
    }

    fn least_steps(&self) -> usize {
        self.order
    }

    fn states(&self) -> &'static [&'static str] {
        &adams::PAST
    }

    fn columns(&self) -> &'static [Column] {
        &adams::COLUMNS
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        self.table(&grid.levels(sde))
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        adams::step(graph, model, x, row)
    }
}
