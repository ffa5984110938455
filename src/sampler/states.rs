//! The names of the states of samplers, and what they hold.

/// `[Batch, D]`: the samples on their way.
pub const X: &str = "sampler.x";
/// `[max_rows, row_width(columns)]`: [`Sampler::coefficients`](super::Sampler::coefficients),
/// [flattened](crate::sampler::flatten).
pub const TABLE: &str = "sampler.table";
/// u32 `[4]`: step, first sample, seed.
pub const CLOCK: &str = "sampler.clock";
/// `[1]`: 0, so that the clock ticks.
pub const STATUS: &str = "sampler.status";

/// `[Batch, D]`: draw number `draw` of the step, where noise is [given](super::Noise::Given).
pub fn step_noise(draw: usize) -> String {
    format!("sampler.step_noise.{draw}")
}

// What is known of the samples ([`Inpainting`](super::Inpainting), [`Twisted`](super::Twisted)).

/// `[Batch, D]`: what is known of the samples at time 0.
pub const KNOWN: &str = "sampler.known";
/// `[1, D]`: 1 where it is known, 0 where it is to be drawn.
pub const MASK: &str = "sampler.mask";

// Particles ([`Twisted`](super::Twisted)).

/// `[Batch, D]`: how far the next draw is moved, in units of its noise.
pub const SHIFT: &str = "particles.shift";
/// `[Batch, 1]`: the logarithm of the twist h at the latest level, up to what all particles have in common.
pub const LOG_TWIST: &str = "particles.log_twist";
/// `[Batch, 1]`: ln p(x′ | x) − ln q(x′ | x) of the latest draw.
pub const LOG_RATIO: &str = "particles.log_ratio";

// An adaptive solution ([`AdaptiveSampler`](super::AdaptiveSampler)).

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
