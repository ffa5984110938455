//! A schedule that is learned with the network, by its own objective.

use super::auxiliary::Auxiliary;
use super::scheduled_time::{Along, ScheduledEnds, ScheduledTime};
use super::{Batch, DrawnTimes, LearnedEnds, Loss, Reduce, TimeWarp};
use crate::graph::{Expr, Graph, Value};

/// A schedule that is learned with a model.
///
/// The schedule makes the variance of the loss small, not its mean, which between fixed ends it cannot change (Kingma
/// et al. 2021, section 5.2). One reverse pass gives both gradients: a sample's time enters that sample's loss L alone,
/// so that the derivative of L² in it is 2 L times that of L (appendix I.2 there).
pub struct Scheduled {
    /// The schedule.
    pub warp: TimeWarp,
    /// Its ends, where they are learned; otherwise those of the warp.
    pub ends: Option<LearnedEnds>,
}

impl Auxiliary for Scheduled {
    fn scheduled(&self, graph: &mut Graph, t: Value, x0: Value, clock: Value) -> Option<ScheduledTime> {
        let [mut t, mut slope] = self.warp.forward(graph, t);
        let ends = self.ends.as_ref().map(|ends| {
            [t, slope] = ends.forward(graph, [t, slope]);
            ScheduledEnds { parameters: ends.parameters(), rest: ends.rest(graph, x0, clock) }
        });
        Some(ScheduledTime { t, slope, parameter: self.warp.parameter(), ends })
    }
}

impl DrawnTimes {
    /// The times that a learned schedule makes of these, if there is one.
    pub(super) fn scheduled(self, graph: &mut Graph, batch: &Batch, reduce: Reduce) -> Self {
        let Batch { auxiliary, x0, clock, .. } = *batch;
        let Some(given) = auxiliary.scheduled(graph, self.t, x0, clock) else { return self };
        let nat = 2.0 * reduce.factor(graph.shape(x0).inner_elements());
        let [t, slope] = [given.t, given.slope].map(|value| graph.map(&[value], &Expr::input(0).detached()));
        Self { t, scheduled: Some(Along { given, t, slope, nat }), ..self }
    }
}

impl Loss {
    /// Each sample's loss times the slope of the schedule: what is drawn more often counts less.
    pub(super) fn along(&self, graph: &mut Graph, along: Along) -> Self {
        let loss = self.replaced(graph, along.slope, &(Expr::input(0) * Expr::input(1)));
        Self { along: Some(along), ..loss }
    }

    /// The gradient of `mean`, which is `share` of this loss's mean, in every parameter; but for a learned schedule,
    /// whose parameter gets that share of the gradient of ln E(L²), a logarithm so that the size of L does not matter;
    /// its ends get that of the whole bound.
    pub(super) fn gradients(&self, graph: &mut Graph, mean: Value, share: f64) -> Vec<Value> {
        let parameters = graph.parameter_values();
        let Some(along) = self.along else { return graph.gradient(mean, &parameters) };
        let wrt = [&parameters[..], &[along.t, along.slope]].concat();
        let mut gradients = graph.gradient(mean, &wrt);
        let of_times = gradients.split_off(parameters.len());
        let squares = graph.map(&[self.per_sample], &Expr::input(0).square());
        let total = graph.sum_all(squares);
        // The smallest normal f32 keeps a loss of 0 from dividing by zero.
        let second_moment = graph.map(&[total], &(Expr::input(0) / Expr::batch()).max(1.2e-38));
        let [gradient, loss, moment] = [0, 1, 2].map(Expr::input);
        let cotangent = 2.0 * loss * gradient / moment;
        let of_squares: Vec<Value> = of_times
            .iter()
            .map(|gradient| graph.map(&[*gradient, self.per_sample, second_moment], &cotangent))
            .collect();
        let ScheduledTime { t, slope, parameter, ends } = along.given;
        let mut replaced = vec![(parameter, graph.vjp(&[t, slope], &of_squares, &[parameter])[0])];
        if let Some(ScheduledEnds { parameters, rest }) = ends {
            let rest = graph.scale(rest, share * along.nat);
            let one = graph.full(1.0, graph.shape(rest).clone());
            let cotangents = [of_times[0], of_times[1], one];
            replaced.extend(parameters.into_iter().zip(graph.vjp(&[t, slope, rest], &cotangents, &parameters)));
        }
        for (gradient, value) in gradients.iter_mut().zip(&parameters) {
            if let Some((_, other)) = replaced.iter().find(|(parameter, _)| parameter == value) {
                *gradient = *other;
            }
        }
        gradients
    }
}
