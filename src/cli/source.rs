//! The argument RUN_OR_CONFIG: what to draw from or to ask for scores.

use std::path::Path;

use super::CliError;
use crate::train::checkpoint::Checkpoint;
use crate::train::config::{Config, Model, Overrides};
use crate::train::run_folder::{RunFolder, Step};

/// A score that can be evaluated.
#[derive(Debug)]
pub(super) enum Source {
    /// The exact score of a config's data.
    Exact(Box<Config>),
    /// A run's network at one of its checkpoints.
    Trained {
        /// The run's resolved config.
        config: Box<Config>,
        /// Which checkpoint.
        step: Step,
        /// What lies in it.
        checkpoint: Checkpoint,
    },
}

impl Source {
    /// Opens the folder of a run, the folder of a checkpoint in it, or the file of a config whose model is exact.
    pub fn open(argument: &Path) -> Result<Self, CliError> {
        if argument.is_file() {
            let config = Config::read(argument, &Overrides::none())?;
            return match config.model {
                Model::Exact(_) => Ok(Self::Exact(Box::new(config))),
                _ => Err(CliError::bad_input(format!(
                    "{}: model.kind = \"{}\" has to be trained first (tweedie train {0}); only model.kind = \"exact\" works on the config itself",
                    argument.display(),
                    config.model.kind(),
                ))),
            };
        }
        let (run, step) = RunFolder::find(argument)?;
        let config = Config::read(&run.config_path(), &Overrides::none())?;
        let checkpoint = Checkpoint::read(&step.path)?;
        Ok(Self::Trained { config: Box::new(config), step, checkpoint })
    }

    /// Where the score comes from, for messages: `exact`, `runs/digits/step-6000 (step 6000)`.
    pub fn describe(&self) -> String {
        match self {
            Self::Exact(_) => "exact".to_string(),
            Self::Trained { step, checkpoint, .. } => format!("{} (step {})", step.path.display(), checkpoint.step),
        }
    }

    /// The config of the experiment.
    pub fn config(&self) -> &Config {
        match self {
            Self::Exact(config) | Self::Trained { config, .. } => config,
        }
    }
}
