//! The file of `--step-noise`.

use std::path::Path;

use super::error::CliError;
use crate::data;
use crate::sampler::{AnySampler, Grid};
use crate::train::experiment::Experiment;

/// Noise for all steps of a sampler.
pub(super) struct StepNoise {
    /// Of how many samples.
    pub n: usize,
    /// `[steps, draws, n, D]`, all finite.
    pub values: Vec<f32>,
}

/// Reads noise for the steps of `sampler` on `grid`, of `wanted` samples if that many are known to be drawn.
pub(super) fn read_step_noise(
    path: &Path,
    sampler: &AnySampler,
    grid: &Grid,
    wanted: Option<usize>,
    experiment: &Experiment,
) -> Result<StepNoise, CliError> {
    let bad = |what: String| CliError::bad_input(format!("--step-noise {}: {what}", path.display()));
    let (rows, draws) = (sampler.rows(grid), sampler.draws());
    if draws == 0 {
        return Err(bad(format!("{} is deterministic and draws nothing in its steps; leave it out", sampler.name())));
    }
    let array = data::read_npy(path).map_err(|error| CliError::bad_input(format!("--step-noise {error}")))?;
    let shape = &experiment.train_data().shape;
    let n = match &array.shape[..] {
        [steps, each, n, rest @ ..]
            if *steps == rows
                && *each == draws
                && *n > 0
                && wanted.is_none_or(|wanted| wanted == *n)
                && (rest == &shape[..] || rest == [experiment.dims()]) =>
        {
            *n
        }
        found => {
            let n = wanted.map_or("N".to_string(), |n| n.to_string());
            return Err(bad(format!(
                "has shape {found:?}; should be ({rows}, {draws}, {n}, {}): steps, draws in a step of {}, samples, coordinates",
                experiment.dims(),
                sampler.name()
            )));
        }
    };
    let values = array.values.to_f32();
    if let Some(fault) = data::size::fault(&values) {
        return Err(bad(fault));
    }
    Ok(StepNoise { n, values })
}
