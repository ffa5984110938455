//! Names of the states of training, beside those of the [optimizer](crate::nn::optimizer::states).

/// u32 `[4]`: step, first sample, seed.
pub const CLOCK: &str = "clock";
/// `[1]`: 0, or 1 from the first step on whose loss or gradient is not finite.
pub const STATUS: &str = "status";
/// `[rows, 4]`: the [`Record`](super::Record)s of the last steps.
pub const RING: &str = "ring";
/// `[batch, 1]`: the numbers from 0 on, which times that are drawn in turn start from.
pub const STRATA: &str = "train.strata";
/// `[rows, D]`: the data.
pub const DATASET: &str = "dataset";
