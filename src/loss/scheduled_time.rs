//! Times that a learned schedule gives.

use crate::graph::Value;

/// A time of a learned schedule, and what it is learned by.
#[derive(Clone, Copy, Debug)]
pub struct ScheduledTime {
    /// `[Batch, 1]`
    pub t: Value,
    /// Its derivative in the even time, `[Batch, 1]`.
    pub slope: Value,
    /// The parameter of the way between the ends.
    pub parameter: Value,
    /// What the ends are learned by, where they are.
    pub ends: Option<ScheduledEnds>,
}

/// The ends of a learned schedule.
#[derive(Clone, Copy, Debug)]
pub struct ScheduledEnds {
    /// The parameters of the first and the last time.
    pub parameters: [Value; 2],
    /// What the variational bound has besides the integral between them, in nats: the mean over the batch, `[1]`.
    pub rest: Value,
}

/// Times along a learned schedule: those that it gives, and the same as constants, which is what the network's loss
/// sees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Along {
    /// As the schedule gives it.
    pub given: ScheduledTime,
    /// `[Batch, 1]`
    pub t: Value,
    /// Its derivative in the even time, `[Batch, 1]`.
    pub slope: Value,
    /// What a nat counts in the loss.
    pub nat: f64,
}
