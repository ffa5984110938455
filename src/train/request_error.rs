//! Why a request for samples cannot be answered.

use std::fmt;

/// Particles for a sample at most: addresses of their noise are 32-bit numbers.
pub const MOST_PARTICLES: usize = 256;

/// A part of a request that may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Noise of the prior draw.
    Noise,
    /// Noise of the sampler's steps.
    StepNoise,
    /// What is known of the samples.
    Known,
    /// Moments of the way.
    Frames,
    /// A weight of guidance other than 1.
    Guidance,
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(match self {
            Self::Noise => "noise of the prior draw",
            Self::StepNoise => "noise of the steps",
            Self::Known => "what is known",
            Self::Frames => "moments of the way",
            Self::Guidance => "guidance",
        })
    }
}

/// Classes that samples cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassesError {
    /// The network knows no such class.
    #[error("class {found}: {}", wanted_class(*classes))]
    Unknown {
        /// The class.
        found: u32,
        /// How many the network knows.
        classes: usize,
    },
    /// There is not one for each sample.
    #[error("{found} classes for {wanted} samples: must be one for each")]
    Count {
        /// Classes.
        found: usize,
        /// Samples.
        wanted: usize,
    },
}

fn wanted_class(classes: usize) -> String {
    match classes.checked_sub(1) {
        Some(last) => format!("must be from 0 to {last}"),
        None => "this network knows no classes (model.conditional = false); must be left out".to_owned(),
    }
}

/// Why there is nothing to guide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unguided {
    /// The network knows no classes.
    NoClasses,
    /// The network has never learned to do without a class.
    AlwaysClassed,
    /// The request names no class.
    AnyClass,
}

impl fmt::Display for Unguided {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(match self {
            Self::NoClasses => "this network knows no classes (model.conditional = false)",
            Self::AlwaysClassed => "this network was told the class of every sample (model.label_dropout = 0)",
            Self::AnyClass => "the request names no class to move samples to",
        })
    }
}

/// Why a request cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// No samples are asked for.
    #[error("0 samples: must be at least 1")]
    Empty,
    /// The host has no memory for so many.
    #[error("{found} samples do not fit into memory; draw fewer at a time")]
    TooMany {
        /// How many.
        found: usize,
    },
    /// The grid has too few steps.
    #[error("{found} steps: must be at least {wanted} with {sampler}")]
    Steps {
        /// How many.
        found: usize,
        /// How many the sampler needs.
        wanted: usize,
        /// The sampler of the request.
        sampler: &'static str,
    },
    /// Samples cannot have these classes.
    #[error(transparent)]
    Classes(#[from] ClassesError),
    /// Guidance has nothing to go by.
    #[error("guidance {guidance}: must be 1: {why}")]
    Guidance {
        /// Its weight.
        guidance: f64,
        /// What is missing.
        why: Unguided,
    },
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
    /// The engine's programs do not read it.
    #[error("{part}: must be left out: the engine was loaded for requests without it")]
    NotLoaded {
        /// What they do not read.
        part: Part,
    },
    /// The engine's programs read it, and it is not given.
    #[error("{part}: is missing: the engine was loaded for requests with it")]
    Missing {
        /// What they read.
        part: Part,
    },
}
