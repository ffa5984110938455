//! What a checkpoint knows of the config and the data that it was trained with.
//!
//! The network's output is scaled by a property of the training data, and the order of the data depends on its length.
//! Both are in the checkpoint, so that a data set which has changed since neither spoils samples nor is trained on
//! unnoticed.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::config::Config;
use crate::train::error::TrainError;
use crate::train::experiment::Experiment;
use crate::train::run::checkpoint::Checkpoint;

/// Root mean square of the training data's coordinates.
const SIGMA_DATA: &str = "sigma_data";
/// Number of samples that are trained on.
const ROWS: &str = "rows";
/// JSON may lose the last bits of a number, no more.
const ROUNDING: f64 = 1e-12;

/// What a checkpoint of this experiment keeps, for [`Checkpoint::extra`].
pub fn record(experiment: &Experiment) -> BTreeMap<String, Value> {
    let rows = Value::from(experiment.train.len());
    [(SIGMA_DATA, Value::from(experiment.sigma_data)), (ROWS, rows)].map(|(key, value)| (key.to_owned(), value)).into()
}

/// Says whether the checkpoint in `folder` is one of a run with this config.
///
/// # Errors
/// The config is another in a key that training depends on: it was changed after the checkpoint was written.
pub fn check_config(config: &Config, checkpoint: &Checkpoint, folder: &Path) -> Result<(), TrainError> {
    let fingerprint = config.fingerprint();
    // What another version has written, whose configs may have other keys, has none.
    if checkpoint.fingerprint.is_empty() || checkpoint.fingerprint == fingerprint {
        return Ok(());
    }
    Err(TrainError::bad(format!(
        "{}: was trained with another config.toml than is there now (fingerprint {}, now {fingerprint}): put back what \
         was changed in the run's config.toml",
        folder.display(),
        checkpoint.fingerprint
    )))
}

/// Says whether training can go on from the checkpoint in `folder` with the data of this experiment.
///
/// # Errors
/// The data is not what the checkpoint was trained on.
pub fn check_data(experiment: &Experiment, checkpoint: &Checkpoint, folder: &Path) -> Result<(), TrainError> {
    let complain = |what: String| {
        let folder = folder.display();
        Err(TrainError::bad(format!(
            "{folder}: was trained on other data than {} has now: {what}; put the data back, or start a new run with --out",
            experiment.train.name
        )))
    };
    if let Some(rows) = checkpoint.extra.get(ROWS).and_then(Value::as_u64)
        && rows != experiment.train.len() as u64
    {
        return complain(format!("{rows} samples to train on, now {}", experiment.train.len()));
    }
    match sigma_data(checkpoint) {
        Some(was) if !close(was, experiment.sigma_data) => {
            complain(format!("the root mean square was {was}, now {}", experiment.sigma_data))
        }
        _ => Ok(()),
    }
}

/// Makes the experiment's model the one that the checkpoint was trained as, whatever has become of the data, and its process
/// follow the schedule that was learned, where one was.
pub fn restore(experiment: &mut Experiment, checkpoint: &Checkpoint) {
    if let Some(was) = sigma_data(checkpoint)
        && !close(was, experiment.sigma_data)
    {
        experiment.sigma_data = was;
    }
    experiment.follow_checkpoint(checkpoint);
}

fn sigma_data(checkpoint: &Checkpoint) -> Option<f64> {
    checkpoint.extra.get(SIGMA_DATA).and_then(Value::as_f64)
}

fn close(was: f64, is: f64) -> bool {
    (was - is).abs() <= ROUNDING * was.abs()
}
