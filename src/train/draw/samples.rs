//! What was drawn, and what it took.

/// What was drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Samples {
    /// `[n, D]`
    pub samples: Vec<f32>,
    /// `[n, D]` at each kept moment, from noise to samples.
    pub frames: Vec<Vec<f32>>,
    /// The time of each kept moment.
    pub frame_times: Vec<f64>,
    /// The times of the grid, from noise to data, without a denoised end; none of an adaptive sampler.
    pub times: Vec<f64>,
    /// Evaluations of the network for each sample.
    pub evaluations: Evaluations,
}

/// Evaluations of the network, or of the exact score in its place, for a sample; with guidance two for each of the
/// sampler's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluations {
    /// The mean over all samples.
    pub mean: f64,
    /// The most.
    pub most: f64,
}

impl Evaluations {
    /// Of those of each sample.
    pub(super) fn of(used: &[f64]) -> Self {
        Self { mean: used.iter().sum::<f64>() / used.len() as f64, most: used.iter().copied().fold(0.0, f64::max) }
    }

    /// As many for each.
    pub(super) fn even(count: f64) -> Self {
        Self { mean: count, most: count }
    }
}
