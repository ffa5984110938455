//! The argument RUN_OR_CONFIG: what to draw from or to ask for scores.

use std::path::Path;

use super::error::CliError;
use crate::config::{Config, Model, Origin, Overrides};
use crate::data;
use crate::engine::Engine;
use crate::train::experiment::Experiment;
use crate::train::run::checkpoint::SavedCheckpoint;
use crate::train::run::run_folder::RunFolder;
use crate::train::saved_state;

/// A score that can be evaluated.
#[derive(Debug)]
pub(super) enum Source {
    /// The exact score of a config's data.
    Exact {
        /// The config's file.
        origin: Origin,
        /// The config.
        config: Box<Config>,
    },
    /// A run's network at one of its checkpoints.
    Trained {
        /// The run's resolved config.
        origin: Origin,
        /// What it says.
        config: Box<Config>,
        /// The checkpoint.
        saved: SavedCheckpoint,
    },
}

impl Source {
    /// Opens the folder of a run, the folder of a checkpoint in it, or the file of a config whose model is exact, and applies
    /// the overrides to its config; they may concern `[sample]` only.
    pub fn open(argument: &Path, overrides: &Overrides) -> Result<Self, CliError> {
        let origin = |path: &Path| Origin::new(path.display().to_string(), overrides);
        if argument.is_file() {
            let config = Config::read(argument, overrides)?;
            return match config.model {
                Model::Exact(_) => Ok(Self::Exact { origin: origin(argument), config: Box::new(config) }),
                _ if argument.with_file_name("latest").is_file() => Err(CliError::bad_input(format!(
                    "{}: is the config of a run; give the folder that it lies in",
                    argument.display()
                ))),
                _ => Err(CliError::bad_input(format!(
                    "{}: model.kind = \"{}\" has to be trained first (tweedie train {0}); only model.kind = \"exact\" works on the config itself",
                    argument.display(),
                    config.model.kind(),
                ))),
            };
        }
        if argument.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return Err(CliError::bad_input(format!(
                "{}: no such file or folder; should be the folder of a run, such as runs/digits, or a config",
                argument.display()
            )));
        }
        let (run, step) = RunFolder::find(argument)?;
        let config = Config::read(&run.config_path(), overrides)?;
        let saved = run.read(&step)?;
        Ok(Self::Trained { origin: origin(&run.config_path()), config: Box::new(config), saved })
    }

    /// Where the score comes from, for messages: `the exact score of NAME.toml`, `runs/digits/step-6000 (step 6000)`.
    pub fn describe(&self) -> String {
        match self {
            Self::Exact { origin, .. } => format!("the exact score of {}", origin.name()),
            Self::Trained { saved, .. } => format!("{} (step {})", saved.path.display(), saved.checkpoint.step),
        }
    }

    /// The config of the experiment.
    pub fn config(&self) -> &Config {
        match self {
            Self::Exact { config, .. } | Self::Trained { config, .. } => config,
        }
    }

    /// The experiment, as the checkpoint knows it: its noise schedule may be learned, and the data may have changed since.
    pub fn experiment(&self) -> Result<Experiment, CliError> {
        let (Self::Exact { config, origin } | Self::Trained { config, origin, .. }) = self;
        let mut experiment = Experiment::new(config).map_err(|error| error.in_config(origin))?;
        if let Self::Trained { saved, .. } = self {
            saved_state::follow(&mut experiment, &saved.checkpoint);
        }
        Ok(experiment)
    }

    /// Puts the averaged weights of the checkpoint into the store; an exact model has none.
    pub fn load(&self, experiment: &Experiment, engine: &mut dyn Engine) -> Result<(), CliError> {
        if let Self::Trained { saved, .. } = self {
            saved_state::restore_average(experiment, engine, saved)?;
        }
        Ok(())
    }
}

/// Points from a file.
pub(super) struct Points {
    /// As in the file.
    pub shape: Vec<usize>,
    /// All finite, of sizes whose squares 32 bits hold.
    pub values: Vec<f32>,
}

/// An array of points of the data's dimension: (N, D), (N, the data's shape), or the data's shape alone for one point.
pub(super) fn read_points(flag: &str, path: &Path, experiment: &Experiment) -> Result<Points, CliError> {
    let array = data::read_npy(path).map_err(|error| CliError::bad_input(format!("{flag} {error}")))?;
    let shape = &experiment.train_data().shape;
    let fits =
        matches!(&array.shape[..], [n, rest @ ..] if *n > 0 && (rest == &shape[..] || rest == [experiment.dims()]));
    if !fits && array.shape != *shape {
        let own: Vec<String> = shape.iter().map(usize::to_string).collect();
        let own = if own.len() > 1 { format!(" or (N, {})", own.join(", ")) } else { String::new() };
        return Err(CliError::bad_input(format!(
            "{flag} {}: has shape {:?}; should be (N, {}){own} with N at least 1, or {shape:?} for one",
            path.display(),
            array.shape,
            experiment.dims(),
        )));
    }
    let values = array.values.to_f32();
    if let Some(fault) = data::size::fault(&values) {
        return Err(CliError::bad_input(format!("{flag} {}: {fault}", path.display())));
    }
    Ok(Points { shape: array.shape, values })
}
