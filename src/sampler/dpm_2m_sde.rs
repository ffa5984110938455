//! DPM-Solver++ for the reverse SDE, second order.

use super::Column::{Carried, Number, Time};
use super::dpm_2m::trend;
use super::history::{recall, remember};
use super::{Column, Grid, Level, NewNoise, Row, Sampler, SamplerKind, stepwise};
use crate::graph::{Graph, Value};
use crate::sde::{Model, Quantity, Sde};

/// SDE-DPM-Solver++(2M) (Lu et al. 2022b, eq. 18, in its midpoint form): as [`Dpm2m`](super::Dpm2m), for the reverse
/// SDE whose noise has eta times the variance of Anderson's. With h = lambda′ − lambda, r = h_last / h:
///
/// D = denoised + (denoised − denoised_1) / (2 r),
/// x ← (sigma′ / sigma) e^{−eta h} x + alpha′ (1 − e^{−(1 + eta) h}) D + sigma′ √(1 − e^{−2 eta h}) z
///
/// eta = 1 is the published solver, eta = 0 is [`Dpm2m`](super::Dpm2m).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dpm2mSde {
    /// How much noise the SDE has: 1 for the reverse of the forward process; at least 0.
    pub eta: f64,
}

const PAST: [&str; 1] = ["sampler.denoised_1"];

impl Dpm2mSde {
    /// In configs and on the command line.
    pub const KIND: SamplerKind = SamplerKind::new("dpm++2m-sde", "DPM-Solver++(2M) for the reverse SDE.", |options| {
        stepwise(Self { eta: options.new_noise.eta.unwrap_or(1.0) })
    })
    .taking(&[NewNoise::NAMES]);

    /// The table of a path through these levels.
    pub fn table(&self, levels: &[Level]) -> Vec<Vec<f64>> {
        let row = |i: usize| {
            let (from, to) = (&levels[i], &levels[i + 1]);
            let h = from.growth(to);
            // An infinite h times no noise is no damping.
            let damped = if self.eta == 0.0 { 0.0 } else { self.eta * h };
            let of_denoised = -to.alpha * (-h - damped).exp_m1();
            let trend = trend(levels, i);
            vec![
                from.t,
                to.sigma / from.sigma * (-damped).exp(),
                of_denoised * (1.0 + trend),
                -of_denoised * trend,
                to.sigma * (-(-2.0 * damped).exp_m1()).sqrt(),
            ]
        };
        (0..levels.len() - 1).map(row).collect()
    }
}

impl Sampler for Dpm2mSde {
    fn name(&self) -> &'static str {
        Self::KIND.name
    }

    fn order(&self) -> Option<usize> {
        Some(2)
    }

    fn evaluations_per_step(&self) -> usize {
        1
    }

    fn draws(&self) -> usize {
        usize::from(self.eta > 0.0)
    }

    fn least_steps(&self) -> usize {
        2
    }

    fn states(&self) -> &'static [&'static str] {
        &PAST
    }

    fn columns(&self) -> &'static [Column] {
        &[Time("t"), Carried("x"), Number("denoised"), Number("denoised_1"), Number("noise")]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        self.table(&grid.levels(sde))
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let level = row.level(graph, "t");
        let denoised = model.predict(graph, x, &level, Quantity::Denoised);
        let [denoised_1] = recall(graph, PAST, x);
        remember(graph, PAST, denoised, [denoised_1]);
        let mut terms = vec![("x", x), ("denoised", denoised), ("denoised_1", denoised_1)];
        if self.eta > 0.0 {
            terms.push(("noise", row.normal(graph, 0, x)));
        }
        row.combine(graph, &terms)
    }
}
