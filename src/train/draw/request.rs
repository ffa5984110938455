//! What samples are asked for, and what of that goes together.

use crate::engine::Engine;
use crate::sampler::{Ancestral, AnySampler, Grid, Sampler, states};
use crate::train::experiment::model::class_states;
use crate::train::experiment::{Classes, Experiment, memory};

pub use crate::train::request_error::{ClassesError, MOST_PARTICLES, Part, RequestError, Unguided};

/// What to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleRequest {
    /// How many samples, at least 1.
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
    /// How far samples are moved towards the class: 1 is not at all. Must be 1 where no class is given.
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
        let least = sampler.least_steps();
        if matches!(sampler, AnySampler::Stepwise(_)) && self.grid.steps < least {
            return Err(RequestError::Steps { found: self.grid.steps, wanted: least, sampler: sampler.name() });
        }
        if self.n == 0 {
            return Err(RequestError::Empty);
        }
        let dims = experiment.dims();
        let floats = self.n.checked_mul(dims).and_then(|floats| floats.checked_mul(self.frames.checked_add(1)?));
        if !memory::is_free(floats) {
            return Err(RequestError::TooMany { found: self.n });
        }
        self.classes.check(experiment.classes(), self.n)?;
        self.check_guidance(experiment)?;
        let all = self.n * dims;
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

    fn check_guidance(&self, experiment: &Experiment) -> Result<(), RequestError> {
        let why = match self.classes {
            _ if !self.is_guided() => return Ok(()),
            _ if experiment.classes() == 0 => Unguided::NoClasses,
            _ if !experiment.knows_any_class() => Unguided::AlwaysClassed,
            Classes::Any => Unguided::AnyClass,
            _ => return Ok(()),
        };
        Err(RequestError::Guidance { guidance: self.guidance, why })
    }

    /// Whether the engine's programs read what the request gives, and no more.
    ///
    /// # Errors
    /// They do not read a part that is given, or read one that is not.
    pub(super) fn check_engine(&self, engine: &dyn Engine, sampler: &AnySampler) -> Result<(), RequestError> {
        let gives_step_noise = self.step_noise.is_some() && sampler.draws() > 0;
        for (part, is_given, state) in [
            (Part::Guidance, self.is_guided(), class_states::GUIDANCE),
            (Part::StepNoise, gives_step_noise, &states::step_noise(0)),
            (Part::Known, self.known.is_some(), states::KNOWN),
        ] {
            match (is_given, engine.has_state(state)) {
                (true, false) => return Err(RequestError::NotLoaded { part }),
                (false, true) => return Err(RequestError::Missing { part }),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether samples are moved towards their class.
    pub(super) fn is_guided(&self) -> bool {
        self.guidance != 1.0
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
        let guided = if self.is_guided() { 2.0 } else { 1.0 };
        guided * self.particles() as f64
    }
}
