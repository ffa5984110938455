//! Samplers whose samples each have steps of their own.

use crate::graph::{Graph, Value};
use crate::sde::{Model, Sde};

/// A way to take samples from t_max to t_min in steps that each sample chooses for itself, by a tolerance.
///
/// [`begin`](Self::begin) runs once and [`advance`](Self::advance), which tries one step of every sample that is on its
/// way, until the state [`states::LEFT`](super::states::LEFT) is 0, or longer: a sample that has arrived stays as it is, to the bit. Both
/// assign the states of [`states`](super::states) and [`X`](super::states::X).
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

    /// The time of the process at which the state [`states::TIME`](super::states::TIME) has this value.
    fn time(&self, sde: &dyn Sde, reached: f64) -> f64;
}
