//! Samples of which a part is known.

use super::{Column, Grid, Row, Sampler, states};
use crate::graph::{Expr, Graph, TensorType, Value};
use crate::sde::{Model, NoiseLevel, Sde};

/// Before each step of another sampler, what is known takes its place, as noisy as the rest of x is at that time
/// (imputation: Song et al. 2021, appendix I.2):
///
/// x ← mask (alpha known + sigma z) + (1 − mask) x, then a step.
///
/// After the last step the known part is the caller's to put back without noise.
///
/// This does not converge to the law given what is known, however many steps there are: no step asks how likely the
/// rest of x makes what is known. Two modes at (−1, −1) and (1, 1) of width ½ with the first coordinate known to be
/// 0.3: the second is above 0 in 64 % of samples at any number of steps, and should be in 90 %.
/// [`Twisted`](super::Twisted) particles converge.
pub struct Inpainting<'a> {
    /// The sampler.
    pub sampler: &'a dyn Sampler,
}

impl Sampler for Inpainting<'_> {
    fn name(&self) -> &'static str {
        self.sampler.name()
    }

    fn order(&self) -> Option<usize> {
        self.sampler.order()
    }

    fn evaluations_per_step(&self) -> usize {
        self.sampler.evaluations_per_step()
    }

    fn evaluations(&self, grid: &Grid) -> usize {
        self.sampler.evaluations(grid)
    }

    fn rows(&self, grid: &Grid) -> usize {
        self.sampler.rows(grid)
    }

    fn least_steps(&self) -> usize {
        self.sampler.least_steps()
    }

    fn draws(&self) -> usize {
        self.sampler.draws()
    }

    fn states(&self) -> &'static [&'static str] {
        self.sampler.states()
    }

    fn columns(&self) -> &'static [Column] {
        self.sampler.columns()
    }

    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>> {
        self.sampler.coefficients(sde, grid)
    }

    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value {
        let shape = graph.shape(x).clone();
        let NoiseLevel { alpha, sigma, .. } = row.level(graph, "t");
        let known = graph.state(states::KNOWN, TensorType::f32(shape.clone()));
        let mask = graph.state(states::MASK, TensorType::f32(shape.with_axis(0, 1.into())));
        let z = graph.normal(row.clock, "sampler.known", shape.clone());
        let [x_, known_, mask_, alpha_, sigma_, z_] = [0, 1, 2, 3, 4, 5].map(Expr::input);
        let imputed = Expr::constant(0.5).less(&mask_).select(alpha_ * known_ + sigma_ * z_, x_);
        let x = graph.map_to(&[x, known, mask, alpha, sigma, z], &imputed, &shape);
        self.sampler.step(graph, model, x, row)
    }
}
