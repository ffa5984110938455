//! Drawing samples.

use crate::engine::Engine;
use crate::sampler::{AnySampler, Grid, Sampler, Spacing, flatten, inpainting_names, names};
use crate::sde::Sde;
use crate::train::draw::adaptive;
use crate::train::draw::equal_work;
use crate::train::draw::particles;
use crate::train::error::TrainError;
use crate::train::experiment::{Classes, Experiment, clock};
use std::ops::Range;

/// What to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Draw {
    /// How many samples.
    pub n: usize,
    /// Steps of the sampler; of an adaptive one, whether it denoises in the end.
    pub grid: Grid,
    /// Seed of the prior draw and of the noise.
    pub seed: u64,
    /// The prior draw in units of the prior's standard deviation, `[n, D]`, instead of one from the seed.
    pub noise: Option<Vec<f32>>,
    /// The noise of the steps, `[rows, draws, n, D]` with the rows of the sampler's table and its draws in each, instead of
    /// noise from the seed; needs an engine made for [given](crate::sampler::Noise::Given) noise. The host then puts each step's
    /// noise in place.
    pub step_noise: Option<Vec<f32>>,
    /// The classes to draw, for a model that knows classes.
    pub classes: Classes<'static>,
    /// How far samples are moved towards the class: 1 is not at all. Another number needs an engine made for guidance.
    pub guidance: f64,
    /// What is known of the samples; needs an engine made for [`Inpainting`](crate::sampler::Inpainting), or with
    /// particles for [`Twisted`](crate::sampler::Twisted).
    pub known: Option<Known>,
    /// How many moments to keep, the first and the last included; 0 keeps none. Samples of an adaptive sampler have none
    /// in common, and none are kept.
    pub frames: usize,
}

impl Draw {
    /// Evaluations of the network for a sample, for each one that the sampler asks of its model: every particle takes its own, and
    /// guidance one with the class and one without.
    pub(in crate::train) fn evaluations_each(&self) -> f64 {
        let guided = if self.guidance == 1.0 { 1.0 } else { 2.0 };
        guided * self.particles() as f64
    }
}

/// What is known of samples before they are drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// `[n, D]`
    pub values: Vec<f32>,
    /// `[D]`: above ½ where `values` are known.
    pub mask: Vec<f32>,
    /// Particles for each sample, at least 1; `None` without any, by replacement.
    pub particles: Option<usize>,
}

impl Draw {
    /// Rows of a batch that a sample is drawn from: its particles, or one.
    pub(in crate::train) fn particles(&self) -> usize {
        self.known.as_ref().and_then(|known| known.particles).unwrap_or(1)
    }
}

/// What was drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
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

/// Evaluations of the network, or of the exact score in its place, for a sample; with guidance two for each of the sampler's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluations {
    /// The mean over all samples.
    pub mean: f64,
    /// The most.
    pub most: f64,
}

impl Evaluations {
    /// Of those of each sample.
    pub(in crate::train) fn of(used: &[f64]) -> Self {
        Self { mean: used.iter().sum::<f64>() / used.len() as f64, most: used.iter().copied().fold(0.0, f64::max) }
    }

    /// As many for each.
    pub(in crate::train) fn even(count: f64) -> Self {
        Self { mean: count, most: count }
    }
}

/// Submissions between two looks for values that are not finite; of the first ones, powers of two. A look waits for what is
/// under way.
const SUBMISSIONS_UNSEEN: u64 = 16;

/// Draws samples with an engine that has the programs of this sampler ([`Experiment::drawing_engine`]) and, for a
/// grid of equal work, was made for a config with that spacing. `progress` hears of every tenth of a second of work: steps done, of how many (of an adaptive sampler, samples); it says whether to go on.
///
/// Sample i is the same whatever n, and whatever the number of samples that are taken at a time.
///
/// # Errors
/// When a sample is not finite or its path cannot be followed, naming the noise level; or the device is lost.
pub fn draw(
    engine: &mut dyn Engine,
    experiment: &Experiment,
    sampler: &AnySampler,
    draw: &Draw,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Drawn, TrainError> {
    match sampler {
        AnySampler::Stepwise(sampler) if draw.known.as_ref().is_some_and(|known| known.particles.is_some()) => {
            particles::draw(engine, experiment, sampler.as_ref(), draw, progress)
        }
        AnySampler::Stepwise(sampler) => stepwise(engine, experiment, sampler.as_ref(), draw, progress),
        AnySampler::Adaptive(sampler) => adaptive::draw(engine, experiment, sampler.as_ref(), draw, progress),
    }
}

fn stepwise(
    engine: &mut dyn Engine,
    experiment: &Experiment,
    sampler: &dyn Sampler,
    draw: &Draw,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Drawn, TrainError> {
    let dims = experiment.dims();
    let (table, times) = lay_out(engine, experiment, sampler, draw)?;
    let steps = table.len();
    let kept = kept_steps(steps, draw.frames);
    let mut drawn = Drawn {
        samples: Vec::with_capacity(draw.n * dims),
        frames: vec![Vec::with_capacity(draw.n * dims); kept.len()],
        frame_times: kept.iter().map(|step| table.get(*step).map_or(experiment.sde.t_min(), |row| row[0])).collect(),
        times,
        evaluations: Evaluations::even(draw.evaluations_each() * sampler.evaluations(&draw.grid) as f64),
    };
    let chunk = experiment.chunk(draw.n) as usize;
    let total = (draw.n.div_ceil(chunk) * steps) as u64;
    for base in (0..draw.n).step_by(chunk) {
        let batch = chunk.min(draw.n - base);
        start(engine, experiment, sampler.states(), draw, base, batch)?;
        let (mut step, mut submissions) = (0, 0u64);
        let mut marks = kept.iter().copied().enumerate().peekable();
        loop {
            if let Some((frame, _)) = marks.next_if(|(_, mark)| *mark == step) {
                let mut samples = engine.floats(names::X, batch * dims)?;
                if let (Some(known), true) = (&draw.known, step == steps) {
                    put_back(known, base * dims, &mut samples);
                }
                drawn.frames[frame].extend(samples);
            }
            if step == steps {
                break;
            }
            let mut most = marks.peek().map_or(steps, |(_, mark)| *mark) - step;
            if set_step_noise(engine, sampler, draw, dims, step, base..base + batch)? {
                most = 1;
            }
            step += engine.advance("sample", batch as u32, most)?;
            if !progress((base / chunk * steps + step) as u64, total) {
                return Err(TrainError::Interrupted);
            }
            submissions += 1;
            let look = submissions.is_power_of_two() || submissions.is_multiple_of(SUBMISSIONS_UNSEEN);
            if look && engine.floats(names::X, batch * dims)?.iter().any(|x| !x.is_finite()) {
                return Err(find_fault(engine, experiment, sampler, draw, base, batch, &table)?);
            }
        }
        let mut samples = engine.floats(names::X, batch * dims)?;
        if let Some(known) = &draw.known {
            put_back(known, base * dims, &mut samples);
        }
        if samples.iter().any(|x| !x.is_finite()) {
            return Err(find_fault(engine, experiment, sampler, draw, base, batch, &table)?);
        }
        drawn.samples.extend(samples);
    }
    Ok(drawn)
}

/// Puts the sampler's table into the store. Returns it, and the times of the grid without a denoised end.
pub(in crate::train) fn lay_out(
    engine: &mut dyn Engine,
    experiment: &Experiment,
    sampler: &dyn Sampler,
    draw: &Draw,
) -> Result<(Vec<Vec<f64>>, Vec<f64>), TrainError> {
    // The grid that the model's own work asks for is measured first.
    let paced = match draw.grid.spacing {
        Spacing::EqualWork => Some(equal_work::paced(engine, experiment, draw.seed)?),
        _ => None,
    };
    let sde: &dyn Sde = paced.as_ref().map_or(experiment.sde.as_ref(), |paced| paced);
    let table = sampler.coefficients(sde, &draw.grid);
    let rows = Experiment::table_rows(table.len());
    engine.set_floats(names::TABLE, &flatten(sampler.columns(), &table, sde, rows))?;
    Ok((table, draw.grid.times(sde, draw.grid.steps + usize::from(!draw.grid.denoise))))
}

/// Puts the prior draw of samples `base..base + batch` into the store, a row for each of their particles, and zeros
/// into a sampler's `states`.
pub(in crate::train) fn start(
    engine: &mut dyn Engine,
    experiment: &Experiment,
    states: &[&str],
    draw: &Draw,
    base: usize,
    batch: usize,
) -> Result<(), TrainError> {
    let (dims, particles) = (experiment.dims(), draw.particles());
    let rows = batch * particles;
    experiment.set_classes_of(engine, draw.classes, (0..rows).map(|row| base + row / particles))?;
    if draw.guidance != 1.0 {
        experiment.set_guidance(engine, draw.guidance)?;
    }
    engine.set_words(names::CLOCK, &clock(0, (base * particles) as u32, draw.seed))?;
    for name in states {
        engine.set_floats(name, &vec![0.0; rows * dims])?;
    }
    if let Some(known) = &draw.known {
        let values = known.values[base * dims..(base + batch) * dims].chunks(dims);
        let values: Vec<f32> = values.flat_map(|sample| sample.repeat(particles)).collect();
        engine.set_floats(inpainting_names::KNOWN, &values)?;
        engine.set_floats(inpainting_names::MASK, &known.mask)?;
    }
    let prior = experiment.sde.prior_sigma() as f32;
    let noise = draw.noise.as_ref().map(|noise| &noise[base * dims..(base + batch) * dims]);
    match noise {
        Some(noise) => {
            let scaled: Vec<f32> =
                noise.chunks(dims).flat_map(|sample| sample.repeat(particles)).map(|z| prior * z).collect();
            engine.set_floats(names::X, &scaled)?;
        }
        None => {
            engine.set_floats(names::X, &vec![0.0; rows * dims])?;
            engine.run("prior", rows as u32, 1)?;
        }
    }
    Ok(())
}

/// Puts the noise of step `step` into the store, if it is given.
fn set_step_noise(
    engine: &mut dyn Engine,
    sampler: &dyn Sampler,
    draw: &Draw,
    dims: usize,
    step: usize,
    samples: Range<usize>,
) -> Result<bool, TrainError> {
    let Some(noise) = &draw.step_noise else { return Ok(false) };
    for i in 0..sampler.draws() {
        let first = (step * sampler.draws() + i) * draw.n;
        let values = &noise[(first + samples.start) * dims..(first + samples.end) * dims];
        engine.set_floats(&names::step_noise(i), values)?;
    }
    Ok(true)
}

/// Replaces what is known, without noise; `samples` begin at element `first`.
pub(in crate::train) fn put_back(known: &Known, first: usize, samples: &mut [f32]) {
    let values = known.values[first..].iter().zip(known.mask.iter().cycle());
    for (sample, (value, mask)) in samples.iter_mut().zip(values) {
        if *mask > 0.5 {
            *sample = *value;
        }
    }
}

/// Runs again, step by step, to the first value that is not finite.
fn find_fault(
    engine: &mut dyn Engine,
    experiment: &Experiment,
    sampler: &dyn Sampler,
    draw: &Draw,
    base: usize,
    batch: usize,
    table: &[Vec<f64>],
) -> Result<TrainError, TrainError> {
    start(engine, experiment, sampler.states(), draw, base, batch)?;
    let steps = table.len() as u64;
    for (step, row) in table.iter().enumerate() {
        set_step_noise(engine, sampler, draw, experiment.dims(), step, base..base + batch)?;
        engine.run("sample", batch as u32, 1)?;
        let x = engine.floats(names::X, batch * experiment.dims())?;
        if x.iter().any(|x| !x.is_finite()) {
            let sigma = experiment.sde.at(row[0]).sigma;
            return Ok(TrainError::SampleNotFinite { step: step as u64 + 1, steps, t: row[0], sigma });
        }
    }
    let t = experiment.sde.t_min();
    Ok(TrainError::SampleNotFinite { step: steps, steps, t, sigma: experiment.sde.at(t).sigma })
}

/// The numbers of steps after which a moment is kept: `frames` of them, evenly spread from 0 to `steps`.
fn kept_steps(steps: usize, frames: usize) -> Vec<usize> {
    if frames == 0 {
        return Vec::new();
    }
    let mut kept: Vec<usize> = (0..frames).map(|frame| frame * steps / (frames - 1).max(1)).collect();
    kept.dedup();
    kept
}
