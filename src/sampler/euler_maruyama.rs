//! The reverse SDE in Euler-Maruyama steps.

use super::Column::{Carried, Number, Time};
use super::ddim::ddim_row;
use super::{Column, Grid, Level, PublishedEnd, Row, Sampler, SamplerKind, Spacing, stepwise};
use crate::graph::{Graph, Value};
use crate::sde::{Model, Quantity, Sde};

/// Reverse-time SDE (Anderson 1982; Song et al. 2021, eq. 6). From t to the next time t − dt:
///
/// x ← x − (f(x, t) − g² score(x, t)) dt + g √dt z, with score = (alpha denoised − x) / sigma²
///
/// Euler's step is an approximation only where it is short. Where r = g² dt / sigma² is above 1, it would go beyond the
/// clean data and amplify noise; x is then drawn from the forward process's posterior, as in
/// [`Ancestral`](super::Ancestral). (Not below: the posterior is right for narrow data, and takes too much of the
/// variance of wide ones.) A step to no noise gives the denoised mean.
///
/// With `published_end`, steps are those of the published experiments: N steps of t_max / N visit N evenly spaced times
/// from t_max to t_min, both included, so that the last step begins at t_min; the result is its mean
/// (with [`Grid::denoise`]) or has its noise too. On another [`Spacing`] or along a schedule, dt is the distance to the
/// next time, and to 0 at the last. That last step multiplies the noise that is left by 1 − g² dt / sigma². Only steps
/// whose drift takes all of x away (rate · dt ≤ −1) are then drawn from the posterior.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EulerMaruyama {
    /// Whether the path ends as in the published experiments.
    pub published_end: bool,
}

/// Euler's step of length `dt` from a level.
struct Step {
    /// f dt, with the drift f x.
    drift: f64,
    /// g² dt / sigma², the share of the way to the clean data.
    reach: f64,
    row: Vec<f64>,
}

impl Step {
    fn new(sde: &dyn Sde, from: &Level, dt: f64) -> Self {
        let at = sde.at(from.t);
        let (drift, variance) = (at.drift_rate * dt, at.diffusion_squared * dt);
        let reach = variance / from.sigma.powi(2);
        Self { drift, reach, row: vec![from.t, 1.0 - drift - reach, reach * from.alpha, variance.sqrt()] }
    }
}

/// The table of the published experiments.
fn published(sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
    let times = grid.times(sde, grid.steps);
    // Linear along a schedule is not even in time.
    let is_even = |steps: &[f64]| (steps[0] - 2.0 * steps[1] + steps[2]).abs() < 1e-9;
    let even = grid.spacing == Spacing::Linear && times.windows(3).all(is_even);
    let row = |i: usize| {
        let (from, next) = (Level::at(sde, times[i]), times.get(i + 1).copied());
        let dt = if even { sde.t_max() / grid.steps as f64 } else { from.t - next.unwrap_or(0.0) };
        let step = Step::new(sde, &from, dt);
        let mut row = match next {
            Some(next) if step.drift <= -1.0 => ddim_row(&from, &Level::at(sde, next), 1.0),
            None if step.drift <= -1.0 => ddim_row(&from, &Level::clean(from.t), 1.0),
            _ => step.row,
        };
        if grid.denoise && next.is_none() {
            row[3] = 0.0;
        }
        row
    };
    (0..grid.steps).map(row).collect()
}

impl EulerMaruyama {
    /// In configs and on the command line.
    pub const KIND: SamplerKind =
        SamplerKind::new("euler-maruyama", "The reverse SDE in Euler-Maruyama steps.", |options| {
            stepwise(Self { published_end: options.end.published() })
        })
        .taking(&[PublishedEnd::NAMES]);
}

impl Sampler for EulerMaruyama {
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
        &[Time("t"), Carried("x"), Number("denoised"), Number("noise")]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        if self.published_end {
            return published(sde, grid);
        }
        let row = |pair: &[Level]| {
            let [from, to] = [&pair[0], &pair[1]];
            let step = Step::new(sde, from, from.t - to.t);
            if to.is_clean() || step.reach > 1.0 { ddim_row(from, to, 1.0) } else { step.row }
        };
        grid.levels(sde).windows(2).map(row).collect()
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let level = row.level(graph, "t");
        let denoised = model.predict(graph, x, &level, Quantity::Denoised);
        let z = row.normal(graph, 0, x);
        row.combine(graph, &[("x", x), ("denoised", denoised), ("noise", z)])
    }
}
