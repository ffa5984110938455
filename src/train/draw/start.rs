//! What a sampler finds in the store when it begins, and what is put back in the end.

use crate::engine::Engine;
use crate::sampler::{Sampler, Spacing, flatten, states};
use crate::sde::Sde;
use crate::train::draw::equal_work;
use crate::train::draw::request::{Known, SampleRequest};
use crate::train::error::TrainError;
use crate::train::experiment::{Experiment, clock};
use crate::train::program_names::PRIOR;

/// Puts the sampler's table into the store. Returns it, and the times of the grid without a denoised end.
pub(super) fn lay_out(
    engine: &mut dyn Engine,
    experiment: &Experiment,
    sampler: &dyn Sampler,
    request: &SampleRequest,
) -> Result<(Vec<Vec<f64>>, Vec<f64>), TrainError> {
    // The grid that the model's own work asks for is measured first.
    let paced = match request.grid.spacing {
        Spacing::EqualWork => Some(equal_work::paced(engine, experiment, request.seed)?),
        _ => None,
    };
    let sde: &dyn Sde = paced.as_ref().map_or(experiment.sde(), |paced| paced);
    let table = sampler.coefficients(sde, &request.grid);
    let rows = Experiment::table_rows(table.len());
    engine.set_floats(states::TABLE, &flatten(sampler.columns(), &table, sde, rows))?;
    Ok((table, request.grid.times(sde, request.grid.steps + usize::from(!request.grid.denoise))))
}

/// Puts the prior draw of samples `base..base + batch` into the store, a row for each of their particles, and zeros
/// into a sampler's `states`.
pub(super) fn start(
    engine: &mut dyn Engine,
    experiment: &Experiment,
    states: &[&str],
    request: &SampleRequest,
    base: usize,
    batch: usize,
) -> Result<(), TrainError> {
    let (dims, particles) = (experiment.dims(), request.particles());
    let rows = batch * particles;
    experiment.set_classes_of(engine, request.classes, (0..rows).map(|row| base + row / particles))?;
    if request.is_guided() {
        experiment.set_guidance(engine, request.guidance)?;
    }
    engine.set_words(states::CLOCK, &clock(0, (base * particles) as u32, request.seed))?;
    for name in states {
        engine.set_floats(name, &vec![0.0; rows * dims])?;
    }
    if let Some(known) = &request.known {
        let values = known.values[base * dims..(base + batch) * dims].chunks(dims);
        let values: Vec<f32> = values.flat_map(|sample| sample.repeat(particles)).collect();
        engine.set_floats(states::KNOWN, &values)?;
        engine.set_floats(states::MASK, &known.mask)?;
    }
    let prior = experiment.sde().prior_sigma() as f32;
    let noise = request.noise.as_ref().map(|noise| &noise[base * dims..(base + batch) * dims]);
    match noise {
        Some(noise) => {
            let scaled: Vec<f32> =
                noise.chunks(dims).flat_map(|sample| sample.repeat(particles)).map(|z| prior * z).collect();
            engine.set_floats(states::X, &scaled)?;
        }
        None => {
            engine.set_floats(states::X, &vec![0.0; rows * dims])?;
            engine.run(PRIOR, rows as u32, 1)?;
        }
    }
    Ok(())
}

/// Replaces what is known, without noise; `samples` begin at element `first`.
pub(super) fn put_back(known: &Known, first: usize, samples: &mut [f32]) {
    let values = known.values[first..].iter().zip(known.mask.iter().cycle());
    for (sample, (value, mask)) in samples.iter_mut().zip(values) {
        if *mask > 0.5 {
            *sample = *value;
        }
    }
}
