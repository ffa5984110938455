//! What the config could not know before there are data: which of its keys do not fit them.

use crate::config::{self, Config};
use crate::data::Dataset;
use crate::sampler::Obstacle;
use crate::sde::{self, Sde};
use crate::train::error::TrainError;

/// Whether the config fits the data, and its sampler the process.
///
/// # Errors
/// The key that does not.
pub(super) fn check(config: &Config, dataset: &Dataset, sde: &dyn Sde) -> Result<(), TrainError> {
    trace(config, dataset)?;
    sampler(config, sde)?;
    samples(config, dataset)
}

/// Whether the samples are short enough for an exact trace, where one is asked for.
///
/// # Errors
/// They are too long.
fn trace(config: &Config, dataset: &Dataset) -> Result<(), TrainError> {
    if let Some(wanted) = config.too_large_a_trace(dataset.dim()) {
        return Err(TrainError::unfit("loss.kind", format!("loss.kind = \"implicit\": {wanted}")));
    }
    Ok(())
}

/// Whether the config's sampler can go along the process.
///
/// # Errors
/// The spacing, the sampler or the number of steps is at fault.
pub(super) fn sampler(config: &Config, sde: &dyn Sde) -> Result<(), TrainError> {
    if let Some(obstacle) = config.sample.sampler().obstacle(sde, &config.grid()) {
        let (key, value) = match obstacle {
            Obstacle::Spacing => ("sample.spacing", config.grid().spacing.name()),
            Obstacle::Sampler => ("sample.kind", config.sample.sampler.name),
            Obstacle::Levels => return Err(TrainError::unfit("sample.steps", config.indistinct_levels())),
        };
        let wanted = match obstacle {
            Obstacle::Spacing => "must be arsinh, linear or quadratic",
            _ => "ode-euler and dpm++2m with spacing = \"arsinh\" need none",
        };
        let what = format!(
            "{key} = \"{value}\": needs some signal at time {}, where the {} process has none; {wanted}",
            sde.t_max(),
            sde.name()
        );
        return Err(TrainError::unfit(key, what));
    }
    Ok(())
}

/// Whether what training does to samples suits them.
///
/// # Errors
/// They are no images, or their values are continuous.
fn samples(config: &Config, dataset: &Dataset) -> Result<(), TrainError> {
    if config.train.flip && dataset.image().is_none() {
        let text = format!("train.flip = true: samples of shape {:?} are no images; must be false", dataset.shape);
        return Err(TrainError::unfit("train.flip", text));
    }
    if config.train.dequantise && dataset.levels.is_none() {
        let text = format!("train.dequantise = true: the values of {} are continuous; must be false", dataset.name);
        return Err(TrainError::unfit("train.dequantise", text));
    }
    if let (config::Sde::Learned(sde::Learned { ends: sde::Ends::Learned, .. }), None) = (&config.sde, dataset.levels) {
        let text = format!("sde.ends = \"learned\": the values of {} are continuous; must be fixed", dataset.name);
        return Err(TrainError::unfit("sde.ends", text));
    }
    Ok(())
}
