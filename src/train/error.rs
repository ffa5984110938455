//! What training, sampling and scoring can fail with.

use crate::config::{ConfigError, Misfit, Origin};
use crate::data::DataError;
use crate::engine::EngineError;
use crate::number::short;
use crate::train::request_error::{ClassesError, RequestError};
use crate::train::run::checkpoint::CheckpointError;
use crate::train::run::error::RunError;
use crate::train::run::log::LogError;

/// One line for the user.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// What the user asked for makes no sense.
    #[error("{0}")]
    Bad(String),
    /// A request for samples.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Classes that samples cannot have.
    #[error(transparent)]
    Classes(#[from] ClassesError),
    /// A key of the config does not fit the data or the machine, or there is no such data.
    #[error("{what}")]
    Unfit {
        /// `table.key`, or the table.
        key: &'static str,
        /// One line; [`TrainError::in_config`] adds the file.
        what: String,
    },
    /// The config.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A data set or a file of numbers.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A run's folder.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The metrics.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The device.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The loss or its gradient was not a number.
    #[error(
        "loss or gradient of step {step} is not finite{}; the weights are those of step {checkpoint}, saved as \
         step-{checkpoint}: {}",
        level_text(*level),
        advice(*step)
    )]
    NotFinite {
        /// The step that was not taken.
        step: u64,
        /// The time and sigma of the worst sample, if it was the loss.
        level: Option<(f32, f64)>,
        /// The last good step.
        checkpoint: u64,
    },
    /// A picture that cannot be drawn or written.
    #[error("{0}")]
    Picture(String),
    /// The observer asked to stop before there was anything to keep.
    #[error("stopped")]
    Interrupted,
    /// A sample was not a number.
    #[error("sampling step {step} of {steps} gives a value that is not finite (time {}, sigma {})", short(*t, 4), short(*sigma, 4))]
    SampleNotFinite {
        /// Counted from 1.
        step: u64,
        /// Steps in all.
        steps: u64,
        /// Time of the step.
        t: f64,
        /// Standard deviation of the noise then.
        sigma: f64,
    },
    /// The path of a sample cannot be followed.
    #[error(
        "the {path} of sample {sample} (counted from 0) cannot be followed at t = {t}, sigma = {}: the score is \
         not finite there, or too rough for the tolerance",
        short(*sigma, 4)
    )]
    Stuck {
        /// The path: `probability flow`.
        path: &'static str,
        /// Which sample, counted from 0.
        sample: usize,
        /// How far it came.
        t: f64,
        /// Standard deviation of the noise there.
        sigma: f64,
    },
    /// The model's error for a sample, which its bound is made of, is not a number.
    #[error(
        "the bound of sample {sample} (counted from 0) is not finite: the model's epsilon is not at t = {t}, sigma = {}",
        short(*sigma, 4)
    )]
    BoundNotFinite {
        /// Which sample, counted from 0.
        sample: usize,
        /// The time at which the model was asked.
        t: f64,
        /// Standard deviation of the noise there.
        sigma: f64,
    },
    /// A score, or what is asked for in its place, is not a number.
    #[error("the {quantity} of point {point} (counted from 0) at t = {t} is not finite")]
    ScoreNotFinite {
        /// What was asked for.
        quantity: &'static str,
        /// Which point, counted from 0.
        point: usize,
        /// The time.
        t: f64,
    },
}

impl From<Misfit> for TrainError {
    fn from(misfit: Misfit) -> Self {
        Self::Unfit { key: misfit.key, what: misfit.what }
    }
}

impl TrainError {
    /// A complaint about what was asked for.
    pub fn bad(text: impl Into<String>) -> Self {
        Self::Bad(text.into())
    }

    /// A complaint about a key of the config, which the line begins with.
    pub fn unfit(key: &'static str, what: impl Into<String>) -> Self {
        Self::Unfit { key, what: what.into() }
    }

    /// The same, with the config's file and flag named where one of its keys is at fault.
    pub fn in_config(self, origin: &Origin) -> Self {
        match self {
            Self::Unfit { key, what } => Self::Unfit { key, what: origin.line(key, &what) },
            other => other,
        }
    }

    /// Whether the user can mend it by asking for something else: exit code 2.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Bad(_) | Self::Request(_) | Self::Classes(_) | Self::Unfit { .. } | Self::Config(_) => true,
            Self::Data(error) => error.is_bad_input(),
            Self::Run(error) => error.is_bad_input(),
            Self::Checkpoint(error) => !matches!(error, CheckpointError::Io { .. }),
            Self::Engine(error) => error.is_bad_input(),
            Self::Log(LogError::Read { .. } | LogError::Line { .. }) => true,
            Self::Log(LogError::Io { .. })
            | Self::Picture(_)
            | Self::Interrupted
            | Self::NotFinite { .. }
            | Self::SampleNotFinite { .. }
            | Self::Stuck { .. }
            | Self::BoundNotFinite { .. }
            | Self::ScoreNotFinite { .. } => false,
        }
    }
}

/// What may have gone wrong: at the first step nothing has been learned yet.
fn advice(step: u64) -> &'static str {
    if step > 1 {
        return "try a lower train.learning_rate";
    }
    "these are the first weights, so look at the size of the data (about 1 is best), the noise ([sde]: beta_max or \
     sigma_max), and model.depth"
}

fn level_text(level: Option<(f32, f64)>) -> String {
    level.map_or_else(String::new, |(t, sigma)| {
        format!(" (noise level t = {}, sigma = {})", short(f64::from(t), 4), short(sigma, 4))
    })
}
