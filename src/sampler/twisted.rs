//! Particles that are drawn towards what is known, and what their paths weigh.

use super::Column::{Carried, Number, Time};
use super::states::{KNOWN, MASK};
use super::{Ancestral, Column, Grid, Level, Row, Sampler, states};
use crate::graph::{Expr, Graph, TensorType, Value};
use crate::sde::{Model, Quantity, Sde};

/// One particle of the Twisted Diffusion Sampler (Wu, Trippe, Naesseth, Blei and Cunningham 2023, "Practical and
/// asymptotically exact conditional sampling in diffusion models", algorithm 1): [`Ancestral`] steps towards what is
/// known.
///
/// With D = denoised(x, t), the known values k and their number in the sum:
///
/// ln h(x) = −½ Σ (k − D)² / tau², tau² = sigma² v / (alpha² v + sigma²)
///
/// where v is the mean square of the data, so that tau² is what is left to know of a coordinate of N(0, v) at that
/// level. The next x is drawn from q: the ancestral step with D + (sigma² / alpha) ∇ₓ ln h(x) in the place of D. The
/// weight of a path is
///
/// Σ ln p(x′ | x) − ln q(x′ | x) + ln h(x′) − ln h(x), beginning with ln h of the prior draw,
///
/// with p the ancestral step itself. Weighted so, particles follow the ancestral sampler's law given that its end has
/// the known values, but for noise of the size of the last level's tau; the gradient and h say only how many particles
/// that takes. Who runs the step keeps the weights ([`ParticleWeights`](super::ParticleWeights)) and moves the rows of
/// the states [`X`](super::states::X) and [`SHIFT`](states::SHIFT).
///
/// A row is a level at which the model is asked, once. It first draws x as the row before has laid down, so that all of
/// what a particle is lies in these two states between the rows. From a level without signal the draw is not moved: x
/// then says nothing of the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Twisted {
    /// v, the mean square of the data's coordinates. Above 0.
    pub mean_square: f64,
}

impl Twisted {
    /// The table of a path through these levels.
    pub fn table(&self, levels: &[Level]) -> Vec<Vec<f64>> {
        let mut table = Vec::new();
        let mut drawn = 0.0;
        for (level, step) in levels.iter().zip(Ancestral.table(levels)) {
            let [t, of_x, of_denoised, noise] = step[..] else { unreachable!("the columns of ancestral") };
            table.push(vec![t, drawn, 1.0 / self.tau(level), of_x, of_denoised, pull(level, of_denoised, noise)]);
            drawn = noise;
        }
        // Without a denoised end the last level's x is the sample, which weighs as that level says.
        if let Some(last) = levels.last().filter(|last| !last.is_clean()) {
            table.push(vec![last.t, drawn, 1.0 / self.tau(last), 1.0, 0.0, 0.0]);
        }
        table
    }

    fn tau(&self, level: &Level) -> f64 {
        let width = self.mean_square.sqrt();
        level.sigma * width / (level.alpha * width).hypot(level.sigma)
    }
}

/// What the gradient of ln h is multiplied by to move the next draw, in units of its noise.
fn pull(level: &Level, of_denoised: f64, noise: f64) -> f64 {
    if level.alpha == 0.0 || noise == 0.0 {
        return 0.0;
    }
    of_denoised / noise * level.sigma.powi(2) / level.alpha
}

impl Sampler for Twisted {
    fn name(&self) -> &'static str {
        Ancestral.name()
    }

    fn order(&self) -> Option<usize> {
        Ancestral.order()
    }

    fn evaluations_per_step(&self) -> usize {
        1
    }

    fn evaluations(&self, grid: &Grid) -> usize {
        self.rows(grid)
    }

    fn rows(&self, grid: &Grid) -> usize {
        grid.steps + usize::from(!grid.denoise)
    }

    fn draws(&self) -> usize {
        1
    }

    fn states(&self) -> &'static [&'static str] {
        &[states::SHIFT]
    }

    fn columns(&self) -> &'static [Column] {
        &[Time("t"), Number("noise"), Number("per_tau"), Carried("x"), Number("denoised"), Number("pull")]
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        self.table(&grid.levels(sde))
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, mean: Value, row: &Row) -> Value {
        let shape = graph.shape(mean).clone();
        let shift = graph.state(states::SHIFT, TensorType::f32(shape.clone()));
        let z = row.normal(graph, 0, mean);
        let noise = row.entry(graph, "noise");
        let [mean_, noise_, z_, shift_] = [0, 1, 2, 3].map(Expr::input);
        let x = graph.map(&[mean, noise, z, shift], &(mean_ + noise_ * (z_ + shift_)));
        let [z_, shift_] = [0, 1].map(Expr::input);
        let ratio = graph.map(&[z, shift], &-(&shift_ * (z_ + 0.5 * &shift_)));
        let ratio = graph.sum(ratio, &[1]);

        let level = row.level(graph, "t");
        let denoised = model.predict(graph, x, &level, Quantity::Denoised);
        let known = graph.state(KNOWN, TensorType::f32(shape.clone()));
        let mask = graph.state(MASK, TensorType::f32(shape.with_axis(0, 1.into())));
        let per_tau = row.entry(graph, "per_tau");
        let [known_, denoised_, mask_, per_tau_] = [0, 1, 2, 3].map(Expr::input);
        let missing = Expr::constant(0.5).less(&mask_).select((known_ - denoised_) * per_tau_, 0.0);
        let missing = graph.map(&[known, denoised, mask, per_tau], &missing);
        let log_twist = graph.map(&[missing], &(Expr::input(0).square() * -0.5));
        let log_twist = graph.sum(log_twist, &[1]);
        // ∇ₓ ln h = (∂D/∂x)ᵀ (k − D) / tau²
        let cotangent = graph.times(missing, per_tau);
        let gradient = graph.vjp(&[denoised], &[cotangent], &[x])[0];

        let pull = row.entry(graph, "pull");
        let next_shift = graph.times(gradient, pull);
        graph.assign(states::SHIFT, next_shift);
        graph.assign(states::LOG_TWIST, log_twist);
        graph.assign(states::LOG_RATIO, ratio);
        row.combine(graph, &[("x", x), ("denoised", denoised)])
    }
}
