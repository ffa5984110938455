//! The exponential integrator that extrapolates in the logarithm of the noise level.

use super::{Column, Grid, Level, MultistepOrder, Row, Sampler, SamplerKind, adams, stepwise};
use crate::graph::{Graph, Value};
use crate::sde::{Model, Sde};

/// DEIS (Zhang and Chen 2023, tAB-DEIS, the polynomial in ln s): in y = x / alpha and s = sigma / alpha the flow is
/// dy/ds = epsilon, and
///
/// y ← y + ∫_s^s′ P(ln v) dv, P the polynomial in ln s through the last values of epsilon.
///
/// The first steps, and a step to no noise, go by fewer values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deis {
    /// Values of epsilon that a step goes by: 1 to 4.
    pub order: usize,
}

impl Deis {
    /// In configs and on the command line.
    pub const KIND: SamplerKind =
        SamplerKind::new("deis", "DEIS, polynomials in the logarithm of the noise.", |options| {
            stepwise(Self { order: options.multistep.order.unwrap_or(3) })
        })
        .taking(&[MultistepOrder::NAMES]);

    /// The table of a path through these levels.
    pub fn table(&self, levels: &[Level]) -> Vec<Vec<f64>> {
        adams::table(levels, self.order, |past, to| {
            let from = &past[past.len() - 1];
            let end = -from.growth(to);
            if end.is_infinite() {
                return vec![end.exp_m1()];
            }
            // With v = s e^u the integral is s ∫_0^end P(u) e^u du.
            let nodes: Vec<f64> = past.iter().rev().map(|level| level.growth(from)).collect();
            let integral = |k: usize| {
                let moments = moments(end);
                adams::lagrange(&nodes, k).iter().zip(moments).map(|(coefficient, moment)| coefficient * moment).sum()
            };
            (0..nodes.len()).map(integral).collect()
        })
    }
}

/// ∫_0^end uⁿ e^u du for n = 0, 1, 2, 3.
fn moments(end: f64) -> [f64; 4] {
    if end.abs() < 0.5 {
        // The series, where the closed form cancels: Σ_j end^{n + j + 1} / (j! (n + j + 1)).
        return [0, 1, 2, 3].map(|n| {
            let (mut factorial, mut sum) = (1.0, 0.0);
            for j in 0..14 {
                sum += end.powi(n + j + 1) / (factorial * f64::from(n + j + 1));
                factorial *= f64::from(j + 1);
            }
            sum
        });
    }
    let mut moments = [end.exp_m1(); 4];
    for n in 1..4 {
        moments[n] = end.powi(n as i32) * end.exp() - n as f64 * moments[n - 1];
    }
    moments
}

impl Sampler for Deis {
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
