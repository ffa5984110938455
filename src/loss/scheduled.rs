//! A schedule that is learned with the network, by its own objective.

use super::{Drawn, Loss, TimeWarp};
use crate::graph::{Expr, Graph, Value};
use crate::sde::{Model, Quantity, ScheduledTime};

/// A model that is trained along a learned schedule.
///
/// The schedule makes the variance of the loss small, not its mean, which between fixed ends it cannot change (Kingma et al.
/// 2021, section 5.2). One reverse pass gives both gradients: a sample's time enters that sample's loss L alone, so that the
/// derivative of L² in it is 2 L times that of L (appendix I.2 there).
pub struct Scheduled<'a> {
    /// The model.
    pub model: Box<dyn Model + 'a>,
    /// The schedule.
    pub warp: TimeWarp,
}

impl Model for Scheduled<'_> {
    fn predict(&self, graph: &mut Graph, x: Value, t: Value, quantity: Quantity) -> Value {
        self.model.predict(graph, x, t, quantity)
    }

    fn scheduled(&self, graph: &mut Graph, t: Value) -> Option<ScheduledTime> {
        let [t, slope] = self.warp.forward(graph, t);
        Some(ScheduledTime { t, slope, parameter: self.warp.parameter() })
    }
}

/// Times along a learned schedule: those that it gives, and the same as constants, which is what the network's loss sees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Along {
    given: ScheduledTime,
    t: Value,
    slope: Value,
}

impl Drawn {
    /// The times that the model's schedule makes of these, if it learns one.
    pub(super) fn scheduled(self, graph: &mut Graph, model: &dyn Model) -> Self {
        let Some(given) = model.scheduled(graph, self.t) else { return self };
        let [t, slope] = [given.t, given.slope].map(|value| graph.map(&[value], &Expr::input(0).detached()));
        Self { t, scheduled: Some(Along { given, t, slope }), ..self }
    }
}

impl Loss {
    /// Each sample's loss times the slope of the schedule: what is drawn more often counts less.
    pub(super) fn along(&self, graph: &mut Graph, along: Along) -> Self {
        let loss = self.replaced(graph, along.slope, &(Expr::input(0) * Expr::input(1)));
        Self { along: Some(along), ..loss }
    }

    /// The gradient of `mean`, which is a multiple of this loss's mean, in every parameter; but for a learned schedule, whose
    /// parameter gets the same multiple of the gradient of ln E(L²), a logarithm so that the size of L does not matter.
    pub(super) fn gradients(&self, graph: &mut Graph, mean: Value) -> Vec<Value> {
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
        let of_times: Vec<Value> = of_times
            .into_iter()
            .map(|gradient| graph.map(&[gradient, self.per_sample, second_moment], &cotangent))
            .collect();
        let ScheduledTime { t, slope, parameter } = along.given;
        let of_schedule = graph.vjp(&[t, slope], &of_times, &[parameter])[0];
        for (gradient, value) in gradients.iter_mut().zip(&parameters) {
            if *value == parameter {
                *gradient = of_schedule;
            }
        }
        gradients
    }
}
