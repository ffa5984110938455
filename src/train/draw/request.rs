//! What samples are asked for, and what of that goes together.

use std::fmt;

use crate::sampler::{Ancestral, AnySampler, Grid, Sampler};
use crate::train::error::TrainError;
use crate::train::experiment::{Classes, Experiment};

/// Particles for a sample at most: addresses of their noise are 32-bit numbers.
pub const MOST_PARTICLES: usize = 256;

/// What to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleRequest {
    /// How many samples.
    pub n: usize,
    /// Steps of the sampler; of an adaptive one, whether it denoises in the end.
    pub grid: Grid,
    /// Seed of the prior draw and of the noise.
    pub seed: u64,
    /// The prior draw in units of the prior's standard deviation, `[n, D]`, instead of one from the seed; none with
    /// particles.
    pub noise: Option<Vec<f32>>,
    /// The noise of the steps, `[rows, draws, n, D]` with the rows of the sampler's table and its draws in each, instead of
    /// noise from the seed; none with particles or of an adaptive sampler. The host then puts each step's noise in place.
    pub step_noise: Option<Vec<f32>>,
    /// The classes to draw, for a model that knows classes.
    pub classes: Classes<'static>,
    /// How far samples are moved towards the class: 1 is not at all.
    pub guidance: f64,
    /// What is known of the samples; not for an adaptive sampler.
    pub known: Option<Known>,
    /// How many moments to keep, the first and the last included; 0 keeps none. Samples of an adaptive sampler have none
    /// in common, and a sample of particles has no way of its own: there it must be 0.
    pub frames: usize,
}

/// What is known of samples before they are drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// `[n, D]`
    pub values: Vec<f32>,
    /// `[D]`: above ½ where `values` are known.
    pub mask: Vec<f32>,
    /// Particles for each sample, from 1 to [`MOST_PARTICLES`], which take [`Twisted`] steps of the ancestral sampler;
    /// `None` without any, by replacement ([`Inpainting`](crate::sampler::Inpainting)).
    ///
    /// [`Twisted`]: crate::sampler::Twisted
    pub particles: Option<usize>,
}

/// A part of a request that may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// [`SampleRequest::noise`].
    Noise,
    /// [`SampleRequest::step_noise`].
    StepNoise,
    /// [`SampleRequest::known`].
    Known,
    /// [`SampleRequest::frames`].
    Frames,
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(match self {
            Self::Noise => "noise of the prior draw",
            Self::StepNoise => "noise of the steps",
            Self::Known => "what is known",
            Self::Frames => "moments of the way",
        })
    }
}

/// Why a request cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Too many particles, or none.
    #[error("{found} particles: must be from 1 to {MOST_PARTICLES}")]
    Particles {
        /// How many.
        found: usize,
    },
    /// Particles take the steps of one sampler alone.
    #[error("particles take the steps of {wanted}, not of {found}; must be {wanted}")]
    ParticleSteps {
        /// That sampler.
        wanted: &'static str,
        /// The sampler of the request.
        found: &'static str,
    },
    /// It speaks of the one path of a sample.
    #[error("{part}: must be left out: with particles every sample has several paths, each with noise of its own")]
    SeveralPaths {
        /// What does.
        part: Part,
    },
    /// It speaks of steps that samples have in common.
    #[error("{part}: must be left out: with {sampler} every sample has its own steps")]
    OwnSteps {
        /// What does.
        part: Part,
        /// The adaptive sampler.
        sampler: &'static str,
    },
    /// It has another length than the request needs.
    #[error("{part}: {found} values; must be {wanted}")]
    Length {
        /// What has.
        part: Part,
        /// Its length.
        found: usize,
        /// The length that it needs.
        wanted: usize,
    },
}

impl From<RequestError> for TrainError {
    fn from(error: RequestError) -> Self {
        Self::bad(error.to_string())
    }
}

/// Says whether a sampler, particles and the `given` parts go together, whatever is in these.
///
/// # Errors
/// What does not.
pub fn go_together(sampler: &AnySampler, particles: Option<usize>, given: &[Part]) -> Result<(), RequestError> {
    if let Some(found) = particles {
        if !(1..=MOST_PARTICLES).contains(&found) {
            return Err(RequestError::Particles { found });
        }
        let (wanted, found) = (Ancestral.name(), sampler.name());
        if found != wanted {
            return Err(RequestError::ParticleSteps { wanted, found });
        }
        let path = given.iter().find(|part| matches!(part, Part::Noise | Part::StepNoise | Part::Frames));
        if let Some(&part) = path {
            return Err(RequestError::SeveralPaths { part });
        }
    }
    if let AnySampler::Adaptive(sampler) = sampler {
        let common = given.iter().find(|part| matches!(part, Part::StepNoise | Part::Known | Part::Frames));
        if let Some(&part) = common {
            return Err(RequestError::OwnSteps { part, sampler: sampler.name() });
        }
    }
    Ok(())
}

impl SampleRequest {
    /// Says whether the request can be answered by this sampler.
    ///
    /// # Errors
    /// What makes no sense, and what would.
    pub fn check(&self, experiment: &Experiment, sampler: &AnySampler) -> Result<(), RequestError> {
        let given = [
            (Part::Noise, self.noise.is_some()),
            (Part::StepNoise, self.step_noise.is_some()),
            (Part::Known, self.known.is_some()),
            (Part::Frames, self.frames > 0),
        ];
        let given: Vec<Part> = given.into_iter().filter(|(_, is_given)| *is_given).map(|(part, _)| part).collect();
        go_together(sampler, self.known.as_ref().and_then(|known| known.particles), &given)?;
        let (dims, all) = (experiment.dims(), self.n * experiment.dims());
        let steps = sampler.rows(&self.grid) * sampler.draws() * all;
        let lengths = [
            (Part::Noise, self.noise.as_ref().map(Vec::len), all),
            (Part::StepNoise, self.step_noise.as_ref().map(Vec::len), steps),
            (Part::Known, self.known.as_ref().map(|known| known.values.len()), all),
            (Part::Known, self.known.as_ref().map(|known| known.mask.len()), dims),
        ];
        for (part, found, wanted) in lengths {
            if let Some(found) = found.filter(|found| *found != wanted) {
                return Err(RequestError::Length { part, found, wanted });
            }
        }
        Ok(())
    }

    /// Rows of a batch that a sample is drawn from: its particles, or one.
    pub(super) fn particles(&self) -> usize {
        self.known.as_ref().and_then(|known| known.particles).unwrap_or(1)
    }

    /// How many samples are drawn at a time.
    pub fn at_a_time(&self, experiment: &Experiment) -> usize {
        experiment.samples_at_a_time(self.n, self.particles())
    }

    /// Evaluations of the network for a sample, for each one that the sampler asks of its model: every particle takes its own, and
    /// guidance one with the class and one without.
    pub(super) fn evaluations_each(&self) -> f64 {
        let guided = if self.guidance == 1.0 { 1.0 } else { 2.0 };
        guided * self.particles() as f64
    }
}
