//! Denoising diffusion implicit models.

use super::Column::{Carried, Number, Time};
use super::{Column, Grid, Level, NewNoise, Row, Sampler, SamplerKind, stepwise};
use crate::graph::{Graph, Value};
use crate::sde::{Model, Quantity, Sde};

/// DDIM (Song, Meng and Ermon 2021, eq. 12): go to what denoised and epsilon say of the next level, and replace a part
/// of epsilon by new noise. With e^{−h} = s′ / s, s = sigma / alpha:
///
/// std = eta sigma′ √(1 − e^{−2h}), x ← alpha′ denoised + √(sigma′² − std²) epsilon + std z
///
/// eta = 0 is the probability flow in Euler steps, without any noise; eta = 1 is [`Ancestral`](super::Ancestral)
/// sampling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ddim {
    /// How much of the noise is new, in [0, 1].
    pub eta: f64,
}

impl Ddim {
    /// In configs and on the command line.
    pub const KIND: SamplerKind = SamplerKind::new(
        "ddim",
        "DDIM: the probability flow in Euler steps, with new noise where eta is above 0.",
        |options| stepwise(Self { eta: options.new_noise.eta.unwrap_or(0.0) }),
    )
    .taking(&[NewNoise::NAMES]);

    /// The table of a path through these levels.
    pub fn table(&self, levels: &[Level]) -> Vec<Vec<f64>> {
        levels.windows(2).map(|pair| ddim_row(&pair[0], &pair[1], self.eta)).collect()
    }
}

impl Sampler for Ddim {
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
        usize::from(self.eta > 0.0)
    }

    fn columns(&self) -> &'static [Column] {
        &[Time("t"), Carried("x"), Number("denoised"), Number("noise")]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        self.table(&grid.levels(sde))
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let level = row.level(graph, "t");
        let denoised = model.predict(graph, x, &level, Quantity::Denoised);
        let mut terms = vec![("x", x), ("denoised", denoised)];
        if self.eta > 0.0 {
            terms.push(("noise", row.normal(graph, 0, x)));
        }
        row.combine(graph, &terms)
    }
}

/// Time, and the factors of x, denoised and noise, in a step from one level to the next.
pub(super) fn ddim_row(from: &Level, to: &Level, eta: f64) -> Vec<f64> {
    let h = from.growth(to);
    // The share of the next level's variance that is new noise.
    let new = eta * eta * -(-2.0 * h).exp_m1();
    // epsilon = (x − alpha denoised) / sigma, √(1 − new) sigma′ times; written so that small steps cancel nothing.
    let log_kept = 0.5 * (-new).ln_1p();
    let of_x = to.sigma / from.sigma * log_kept.exp();
    vec![from.t, of_x, -to.alpha * (log_kept - h).exp_m1(), to.sigma * new.sqrt()]
}
