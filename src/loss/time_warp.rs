//! A learned pace of noise.

use crate::graph::{Expr, Graph, Initial, Reduction, Shape, Value};
use crate::sde::{Model, NoiseLevel, Quantity, Sde, functions_of_time, perturbed};

use super::weighting::log_snr_rate;

/// A monotone map φ of [low, high] onto itself, piecewise linear with learned slopes: the schedule of variational
/// diffusion models (Kingma et al. 2021, section 5.1 and appendix I.2), as a warp of another process's time, so that
/// γ = −ln SNR(φ(t)).
///
/// Between fixed ends the expected likelihood-weighted loss does not depend on φ; its variance does, and φ is learned
/// to make that small.
#[derive(Clone, Copy, Debug)]
pub struct TimeWarp {
    /// `[1, pieces]`; the slopes are `pieces` times their softmax.
    logits: Value,
    pieces: usize,
    low: f64,
    high: f64,
}

/// What a warp makes of a batch.
#[derive(Clone, Copy, Debug)]
pub struct WarpedLoss {
    /// The likelihood-weighted loss of each sample, ½ · sum over dimensions, `[Batch, 1]`; its mean over even times,
    /// times high − low, is the integral over noise levels.
    pub per_sample: Value,
    /// The mean of its square, `[1]`: the objective of the warp.
    pub second_moment: Value,
}

impl TimeWarp {
    /// The name of the parameter, `[1, pieces]`.
    pub const LOGITS: &str = "warp.logits";

    /// Adds the parameter [`LOGITS`](Self::LOGITS). At first φ(t) = t.
    pub fn new(graph: &mut Graph, pieces: usize, [low, high]: [f64; 2]) -> Self {
        let logits = graph.scoped("warp", |graph| graph.parameter("logits", &[1, pieces], Initial::Zeros));
        Self { logits, pieces, low, high }
    }

    /// The parameter.
    pub(super) fn parameter(&self) -> Value {
        self.logits
    }

    /// φ and its slope at times `t` (`[Batch, 1]`), of the same shape.
    pub fn forward(&self, graph: &mut Graph, t: Value) -> [Value; 2] {
        let pieces = self.pieces as f64;
        // From the largest, so that nothing overflows; it cancels, and so does its derivative.
        let largest = graph.reduce(Reduction::Max, self.logits, &[1]);
        let powers = graph.map(&[self.logits, largest], &(Expr::input(0) - Expr::input(1).detached()).exp());
        let total = graph.sum(powers, &[1]);
        let shares = graph.map(&[powers, total], &(Expr::input(0) / Expr::input(1)));
        let scale = pieces / (self.high - self.low);
        let (place, piece) = ((Expr::input(0) - self.low) * scale, Expr::column());
        let wide = Shape::batch(&[self.pieces]);
        let share = Expr::input(1);
        let way = (&place - &piece).max(0.0).min(1.0) * &share;
        // One piece holds a time, however it is rounded: neighbours compare the same two numbers, the first piece has
        // no beginning and the last no end.
        let begun = piece.less(0.5).select(1.0, 1.0 - place.less(&piece));
        let ended = piece.less(pieces - 1.5).select(1.0 - place.less(&piece + 1.0), 0.0);
        let inside = begun * (1.0 - ended) * share;
        let way = graph.map_to(&[t, shares], &way, &wide);
        let inside = graph.map_to(&[t, shares], &inside, &wide);
        let [way, inside] = [way, inside].map(|values| graph.sum(values, &[1]));
        let warped = graph.map(&[way], &(Expr::input(0) * (self.high - self.low) + self.low));
        [warped, graph.scale(inside, pieces)]
    }

    /// The likelihood-weighted loss of `x0` with `noise` (`[Batch, D]`) at even times `t` (`[Batch, 1]`) of the warp.
    pub fn loss(
        &self,
        graph: &mut Graph,
        sde: &dyn Sde,
        model: &dyn Model,
        x0: Value,
        t: Value,
        noise: Value,
    ) -> WarpedLoss {
        let [warped, slope] = self.forward(graph, t);
        let time = Expr::input(0);
        let [rate] = functions_of_time(graph, warped, [log_snr_rate(sde, &time)]);
        let level = NoiseLevel::at(graph, sde, warped);
        let x = perturbed(graph, x0, &level, noise);
        let epsilon = model.predict(graph, x, &level, Quantity::Epsilon);
        let error = graph.map(&[epsilon, noise], &(0.5 * (Expr::input(0) - Expr::input(1)).square()));
        let error = graph.sum(error, &[1]);
        let product = Expr::input(0) * Expr::input(1) * Expr::input(2);
        let per_sample = graph.map(&[error, rate, slope], &product);
        let squares = graph.map(&[per_sample], &Expr::input(0).square());
        let total = graph.sum_all(squares);
        let second_moment = graph.map(&[total], &(Expr::input(0) / Expr::batch()));
        WarpedLoss { per_sample, second_moment }
    }

    /// φ at evenly spaced times, for [`Warped`](crate::sde::Warped), from the learned logits.
    pub fn knots(logits: &[f64], [low, high]: [f64; 2]) -> Vec<f64> {
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
        let total: f64 = powers.iter().sum();
        let mut knots = vec![low];
        let mut gone = 0.0;
        for power in &powers[..powers.len().saturating_sub(1)] {
            gone += power / total;
            knots.push(low + gone * (high - low));
        }
        knots.push(high);
        knots
    }
}
