//! What the programs of an experiment are called.

use crate::engine::ProgramName;

/// A training step; where its gradient is accumulated over micro-batches, its end.
pub const TRAIN: ProgramName = ProgramName::new("train");
/// One of the micro-batches of a training step.
pub const ACCUMULATE: ProgramName = ProgramName::new("accumulate");
/// A batch of the held-out loss.
pub const EVALUATE: ProgramName = ProgramName::new("evaluate");
/// The prior draw.
pub const PRIOR: ProgramName = ProgramName::new("prior");
/// A step of the sampler.
pub const SAMPLE: ProgramName = ProgramName::new("sample");
/// What comes before the first step of an adaptive solver.
pub const BEGIN: ProgramName = ProgramName::new("begin");
/// The denoised mean of what an adaptive sampler has drawn.
pub const END: ProgramName = ProgramName::new("end");
/// Score, denoised, epsilon and velocity at given points.
pub const SCORE: ProgramName = ProgramName::new("score");
/// What a model does between two times.
pub const WORK: ProgramName = ProgramName::new("work");
/// A step of a likelihood along the flow.
pub const ADVANCE: ProgramName = ProgramName::new("advance");
/// One term of the variational bound.
pub const BOUND: ProgramName = ProgramName::new("bound");
