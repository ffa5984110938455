//! Drawing samples by any sampler.

use crate::engine::{Device, Engine};
use crate::sampler::{AnySampler, Inpainting, Noise, Twisted};
use crate::train::draw::request::{Known, SampleRequest};
use crate::train::draw::samples::Samples;
use crate::train::draw::{adaptive, particles, stepwise};
use crate::train::error::TrainError;
use crate::train::experiment::{Drawing, Experiment};

/// Loads the programs that a request needs.
///
/// # Errors
/// When the request makes no sense, or they do not fit the device.
pub fn load(
    experiment: &Experiment,
    device: &Device,
    sampler: &AnySampler,
    request: &SampleRequest,
) -> Result<Box<dyn Engine>, TrainError> {
    request.check(experiment, sampler)?;
    let around = around_known(experiment, sampler, request);
    let sampler = around.as_ref().unwrap_or(sampler);
    let drawing = Drawing {
        sampler,
        rows: sampler.rows(&request.grid),
        noise: if request.step_noise.is_some() { Noise::Given } else { Noise::Drawn },
        guided: request.is_guided(),
    };
    let rows = request.at_a_time(experiment) * request.particles();
    Ok(experiment.drawing_engine(device, &drawing, rows as u32)?)
}

/// Draws samples with an engine of [`load`], loaded for a request of the same kind: with the same sampler, and with or
/// without guidance, noise of the steps, and known values. An engine of training has the programs of the config's
/// sampler without these three. A grid of equal work needs an engine made for a config with that spacing.
///
/// `progress` is called about ten times a second with the steps done and their number (of an adaptive sampler,
/// samples); it says whether to go on.
///
/// Sample i is the same whatever n, and whatever the number of samples that are taken at a time.
///
/// # Errors
/// When the request makes no sense, or the engine was loaded for requests of another kind; a sample is not finite or its
/// path cannot be followed, naming the noise level; or the device is lost.
pub fn draw(
    engine: &mut dyn Engine,
    experiment: &Experiment,
    sampler: &AnySampler,
    request: &SampleRequest,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Samples, TrainError> {
    request.check(experiment, sampler)?;
    request.check_engine(engine, sampler)?;
    let around = around_known(experiment, sampler, request);
    match around.as_ref().unwrap_or(sampler) {
        AnySampler::Stepwise(sampler) if request.known.as_ref().is_some_and(|known| known.particles.is_some()) => {
            particles::draw(engine, experiment, sampler.as_ref(), request, progress)
        }
        AnySampler::Stepwise(sampler) => stepwise::draw(engine, experiment, sampler.as_ref(), request, progress),
        AnySampler::Adaptive(sampler) => adaptive::draw(engine, experiment, sampler.as_ref(), request, progress),
    }
}

/// The sampler's steps around what is known, if something is.
fn around_known<'a>(
    experiment: &Experiment,
    sampler: &'a AnySampler,
    request: &SampleRequest,
) -> Option<AnySampler<'a>> {
    let AnySampler::Stepwise(inner) = sampler else { return None };
    let Known { particles, .. } = request.known.as_ref()?;
    Some(AnySampler::Stepwise(match particles {
        Some(_) => Box::new(Twisted { mean_square: experiment.sigma_data().powi(2) }),
        None => Box::new(Inpainting { sampler: inner.as_ref() }),
    }))
}
