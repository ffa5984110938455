//! Which times training draws.

use super::scheduled_time::Along;
use super::second_moment::{Binned, SecondMoments};
use super::weighting::log_snr_rate;
use super::{Batch, Loss, StoredDataset, Weighting, training_states};
use crate::graph::{Expr, Graph, Order, Shape, Storage, Value};
use crate::sde::{Quantity, Sde, functions_of_time};

/// How the times of a batch are drawn from [t_min, t_max of the process].
///
/// All but [`LogNormal`](Self::LogNormal) have the same expected loss: what is drawn more often than in even times
/// counts less. They differ in the variance of a batch's loss.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum TimeSampling {
    /// Evenly, each by itself.
    #[default]
    Uniform,
    /// Evenly, one in each of as many equal parts of time as a step has samples: a batch has all noise levels.
    Stratified {
        /// Samples of a step, in all of its micro-batches.
        batch: usize,
        /// Micro-batches that a step consists of.
        micro_batches: usize,
    },
    /// ln(sigma / alpha) is normal (Karras et al. 2022), and what is beyond an end goes to that end. The density is
    /// part of the objective: nothing is divided by it.
    LogNormal {
        /// Of ln(sigma / alpha).
        mean: f64,
        /// Its standard deviation.
        std: f64,
    },
    /// In proportion to the square root of the loss's second moment (Nichol and Dhariwal 2021), learned on the way.
    LossSecondMoment(SecondMoments),
    /// With density g² / sigma² (Song, Durkan, Murray and Ermon 2021), which is that of even ln SNR.
    Importance,
}

impl TimeSampling {
    /// A time for each sample, drawn with the name `train.t`.
    pub fn draw(self, graph: &mut Graph, sde: &dyn Sde, t_min: f64, clock: Value) -> DrawnTimes {
        let column = Shape::batch(&[1]);
        let span = sde.t_max() - t_min;
        let drawn = Expr::input(0);
        let [low, high] = [t_min, sde.t_max()];
        let (draw, time) = match self {
            Self::Uniform => (graph.uniform(clock, "train.t", Shape::batch(&[])), drawn * span + t_min),
            Self::Stratified { batch, micro_batches } => {
                let u = graph.uniform(clock, "train.t", Shape::batch(&[]));
                let places = StoredDataset { rows: batch, dims: 1, storage: Storage::F32 };
                let place = places.micro_batch(graph, training_states::STRATA, clock, Order::Sequential, micro_batches);
                let place = graph.reshape(place, Shape::batch(&[]));
                // Place i of n: (i + u) / n.
                let share = (Expr::input(0) + Expr::input(1)) * (1.0 / batch as f64);
                (graph.map(&[u, place], &share), drawn * span + t_min)
            }
            Self::LogNormal { mean, std } => {
                let z = graph.normal(clock, "train.t", Shape::batch(&[]));
                let log_snr = (drawn * std + mean) * -2.0;
                let log_snr = log_snr.max(sde.at(high).log_snr).min(log_snr_at(sde, low));
                (z, sde.t_of_log_snr(&log_snr).max(low).min(high))
            }
            Self::LossSecondMoment(moments) => {
                let u = graph.uniform(clock, "train.t", column);
                let binned = moments.draw(graph, sde, t_min, u);
                return DrawnTimes { t: binned.t, binned: Some(binned), scheduled: None };
            }
            Self::Importance => {
                let u = graph.uniform(clock, "train.t", Shape::batch(&[]));
                let (most, least) = (log_snr_at(sde, low), sde.at(high).log_snr);
                // Rounding may not leave the range.
                (u, sde.t_of_log_snr(&(drawn * (least - most) + most)).max(low).min(high))
            }
        };
        let t = graph.map(&[draw], &time);
        DrawnTimes { t: graph.reshape(t, column), binned: None, scheduled: None }
    }

    /// What the loss at time `t` has to be multiplied by: the density of even times over that of these, where that is a
    /// function of time alone.
    pub fn correction(self, sde: &dyn Sde, t_min: f64, t: &Expr) -> Expr {
        match self {
            Self::Importance => self.normaliser(sde, t_min) / log_snr_rate(sde, t),
            _ => Expr::constant(1.0),
        }
    }

    /// The integral of g² / sigma² over the range, by its length: what importance sampling divides the density by.
    pub fn normaliser(self, sde: &dyn Sde, t_min: f64) -> f64 {
        (log_snr_at(sde, t_min) - sde.at(sde.t_max()).log_snr) / (sde.t_max() - t_min)
    }

    /// Which quantity's squared error to take at times that were drawn, `quantity` if it is all the same, and the
    /// weight of that error (an expression of time, input 0) with the correction in it.
    pub(super) fn weight(
        self,
        weighting: Weighting,
        quantity: Quantity,
        sde: &dyn Sde,
        t_min: f64,
    ) -> (Quantity, Expr) {
        let time = Expr::input(0);
        match (self, weighting.per_log_snr(sde, &time)) {
            // What the density has is what the weight would have had.
            (Self::Importance, Some(weight)) => (Quantity::Epsilon, weight * self.normaliser(sde, t_min)),
            _ => (quantity, weighting.of(quantity, sde, &time) * self.correction(sde, t_min, &time)),
        }
    }

    /// What `weight` and the learned density have multiplied the losses by, `[Batch, 1]`; `None` where that is 1.
    fn corrections(self, graph: &mut Graph, sde: &dyn Sde, t_min: f64, drawn: &DrawnTimes) -> Option<Value> {
        match self {
            Self::LossSecondMoment(_) => drawn.binned.as_ref().map(|binned| binned.correction),
            Self::Importance => {
                let [correction] = functions_of_time(graph, drawn.t, [self.correction(sde, t_min, &Expr::input(0))]);
                Some(correction)
            }
            _ => None,
        }
    }

    /// The loss of samples at times that were drawn, with what is learned of the times and of the loss itself.
    pub(super) fn settle(
        self,
        graph: &mut Graph,
        batch: &Batch,
        t_min: f64,
        drawn: &DrawnTimes,
        mut loss: Loss,
    ) -> Loss {
        if let (Self::LossSecondMoment(moments), Some(binned)) = (self, &drawn.binned) {
            moments.observe(graph, binned, loss.per_sample);
            loss = loss.replaced(graph, binned.correction, &(Expr::input(0) * Expr::input(1)));
        }
        if let Some(scheduled) = drawn.scheduled {
            loss = loss.along(graph, scheduled);
        }
        if let Some(u) = batch.auxiliary.uncertainty(graph, drawn.t) {
            // What is drawn more often counts less in both terms.
            let corrections = self.corrections(graph, batch.sde, t_min, drawn);
            let counted = corrections.map_or(u, |corrections| graph.times(u, corrections));
            let discounted = loss.replaced(graph, u, &(Expr::input(0) * (-Expr::input(1)).exp()));
            loss = discounted.replaced(graph, counted, &(Expr::input(0) + Expr::input(1)));
        }
        loss
    }

    /// What the state [`training_states::STRATA`] holds for a batch: the places 0, 1, 2, …
    pub fn strata(batch: usize) -> Vec<f32> {
        (0..batch).map(|place| place as f32).collect()
    }
}

/// The times of a batch.
#[derive(Clone, Copy, Debug)]
pub struct DrawnTimes {
    /// `[Batch, 1]`
    pub t: Value,
    /// What is known of their density, where it was learned.
    pub binned: Option<Binned>,
    /// What they are by a schedule that is learned, where there is one.
    pub(super) scheduled: Option<Along>,
}

/// ln SNR, of which time 0 may have infinitely much.
fn log_snr_at(sde: &dyn Sde, t: f64) -> f64 {
    sde.at(t).log_snr.min(1e3)
}
