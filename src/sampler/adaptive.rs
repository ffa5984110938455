//! Samplers whose samples each have steps of their own.

use crate::graph::{Graph, Value};
use crate::sde::{Model, Sde};

/// Names of the states of an adaptive solution.
pub mod names {
    /// `[Batch, 1]`: the time that a sample has reached, as its solver counts it.
    pub const TIME: &str = "path.time";
    /// `[Batch, 1]`: the length of its next step.
    pub const STEP: &str = "path.step";
    /// `[Batch, 1]`: steps that it has tried.
    pub const TRIES: &str = "path.tries";
    /// `[Batch, 1]`: 1 where no step is short enough for the tolerance, and the sample stays where it was; else 0.
    pub const FAULT: &str = "path.fault";
    /// `[1]`: samples that are still on their way.
    pub const LEFT: &str = "path.left";

    /// `[Batch, d]`: the derivative of the value `state` where it is.
    pub fn slope(state: &str) -> String {
        format!("{state}.slope")
    }
}

/// A way to take samples from t_max to t_min in steps that each sample chooses for itself, by a tolerance.
///
/// [`begin`](Self::begin) runs once and [`advance`](Self::advance), which tries one step of every sample that is on its
/// way, until the state [`names::LEFT`] is 0, or longer: a sample that has arrived stays as it is, to the bit. Both assign the
/// states of [`names`] and [`X`](super::names::X).
pub trait AdaptiveSampler {
    /// The name on the command line.
    fn name(&self) -> &'static str;

    /// What it follows, for messages: `probability flow`, `reverse SDE`.
    fn path(&self) -> &'static str;

    /// The order of convergence in the length of steps: of the path where it is deterministic, else of the law.
    fn order(&self) -> usize;

    /// Evaluations of the model before the first try.
    fn evaluations_to_begin(&self) -> usize {
        0
    }

    /// Evaluations of the model in each try of a step.
    fn evaluations_per_try(&self) -> usize;

    /// Draws of normal numbers for each coordinate in a step; 0 if nothing is random after the prior draw.
    fn draws(&self) -> usize {
        0
    }

    /// Whether it cannot start where the process has no signal.
    fn needs_signal(&self) -> bool {
        false
    }

    /// Begins at `x` (`[Batch, D]`) at t_max. `clock` says seed and first sample; it stands still.
    fn begin(&self, graph: &mut Graph, sde: &dyn Sde, model: &dyn Model, x: Value, clock: Value);

    /// Tries a step of samples with `dims` coordinates.
    fn advance(&self, graph: &mut Graph, sde: &dyn Sde, model: &dyn Model, dims: usize, clock: Value);

    /// The time of the process at which the state [`names::TIME`] has this value.
    fn time(&self, sde: &dyn Sde, reached: f64) -> f64;
}
