//! Times drawn where the loss is large.

use super::training_states;
use crate::graph::{Expr, Graph, Layout, Shape, TensorType, Value};
use crate::sde::Sde;

/// Names of the states of [`SecondMoments`].
pub mod second_moment_states {
    /// `[1, bins]`: running means of the squared loss, 1 at first.
    pub const SECOND_MOMENTS: &str = "time.second_moments";
}

/// Share of the times that are drawn evenly, so that no part of time is forgotten.
const EVEN: f64 = 0.001;
/// What a running mean keeps at a step that has losses for it.
const KEPT: f64 = 0.9;

/// Importance sampling by the second moment of the loss (Nichol and Dhariwal 2021, eq. 18): of `bins` equal parts of
/// time, each is drawn in proportion to √E(L²), where L is the loss before it is divided by that proportion. The
/// moments are running means instead of the last ten values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecondMoments {
    /// Parts of time.
    pub bins: usize,
}

/// Times, and what they were drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Binned {
    /// `[Batch, 1]`
    pub t: Value,
    /// The density of even times over that of these, `[Batch, 1]`.
    pub correction: Value,
    /// 1 in the column of the sample's part of time, else 0: `[Batch, bins]`.
    mask: Value,
}

impl SecondMoments {
    fn moments(self, graph: &mut Graph) -> Value {
        graph.state(second_moment_states::SECOND_MOMENTS, TensorType::f32(Shape::fixed(&[1, self.bins])))
    }

    /// The times of a batch from the uniform numbers `u` `[Batch, 1]`.
    pub fn draw(self, graph: &mut Graph, sde: &dyn Sde, t_min: f64, u: Value) -> Binned {
        let bins = self.bins as f64;
        let moments = self.moments(graph);
        let roots = graph.map(&[moments], &Expr::input(0).sqrt());
        let total = graph.sum(roots, &[1]);
        let probability = Expr::input(0) / Expr::input(1) * (1.0 - EVEN) + EVEN / bins;
        let probabilities = graph.map(&[roots, total], &probability);
        // before[j] = Σ_{i < j} probability[i], as a product with a triangle of ones.
        let square = Shape::fixed(&[self.bins, self.bins]);
        let column = graph.map_to(&[], &Expr::column(), &square);
        let row = graph.permute(column, &[1, 0]);
        let triangle = graph.map(&[row, column], &Expr::input(0).less(Expr::input(1)));
        let before = graph.matmul(Layout::Nn, probabilities, triangle);
        // Whole parts that u is past, and the share of the one that it is in.
        let [u_, before_, probability_] = [0, 1, 2].map(Expr::input);
        let passed = ((u_ - before_) / probability_).max(0.0).min(1.0);
        let passed = graph.map(&[u, before, probabilities], &passed);
        let place = graph.sum(passed, &[1]);
        let span = sde.t_max() - t_min;
        let t = graph.map(&[place], &(Expr::input(0) * (span / bins) + t_min).min(sde.t_max()));
        let wide = Shape::batch(&[self.bins]);
        let inside = Expr::input(0).min(bins - 0.5);
        let mask = (1.0 - inside.less(Expr::column())) * inside.less(Expr::column() + 1.0);
        let mask = graph.map_to(&[place], &mask, &wide);
        let density = graph.times(mask, probabilities);
        let density = graph.sum(density, &[1]);
        let correction = graph.map(&[density], &(1.0 / (Expr::input(0) * bins)));
        Binned { t, correction, mask }
    }

    /// Takes in the losses `[Batch, 1]` of a step, those that are finite.
    pub fn observe(self, graph: &mut Graph, times: &Binned, losses: Value) {
        let moments = self.moments(graph);
        let status = graph.state(training_states::STATUS, TensorType::f32(Shape::fixed(&[1])));
        // Not a product: what is not finite may not reach the other parts of time.
        let squares = graph.map(&[times.mask, losses], &Expr::input(0).less(0.5).select(0.0, Expr::input(1).square()));
        let [squares, counts] = [squares, times.mask].map(|values| graph.sum(values, &[0]));
        let [old, squares_, counts_, status_] = [0, 1, 2, 3].map(Expr::input);
        let mean = &squares_ / counts_.max(1.0);
        let new = &old * KEPT + mean * (1.0 - KEPT);
        // Nothing changes in a step that is not taken, or where nothing was seen.
        let seen = counts_.min(squares_.is_finite()) * (1.0 - status_);
        let new = seen.less(0.5).select(old, new);
        let new = graph.map(&[moments, squares, counts, status], &new);
        graph.assign(second_moment_states::SECOND_MOMENTS, new);
    }
}
