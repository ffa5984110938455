//! The state of an experiment on a device as a checkpoint: what is saved, what fits, how it is put back.

use std::path::Path;

use crate::config::{Config, Overrides};
use crate::engine::Engine;
use crate::nn::optimizer::states;
use crate::train::error::TrainError;
use crate::train::experiment::Experiment;
use crate::train::run::checkpoint::{Checkpoint, NamedTensor, SavedCheckpoint, groups};
use crate::train::run::training_folder::TrainingFolder;
use crate::train::run::{log, origin};

/// The prefixes of Adam's moments in their group.
const MOMENTS: [&str; 2] = ["adam_m.", "adam_v."];

/// Opens the run in `out` to go on with `config`: its folder, locked, and its latest checkpoint. Changes nothing.
///
/// # Errors
/// There is no run, another process trains there, the checkpoint is damaged, or the run cannot go on so.
pub(super) fn resume(config: &Config, out: &Path) -> Result<(TrainingFolder, Option<SavedCheckpoint>), TrainError> {
    let (folder, latest) = TrainingFolder::resume(out)?;
    let old = Config::read(&folder.config_path(), &Overrides::none())?;
    if let Some((key, was, is)) = old.obstacle_to_resuming(config) {
        return Err(TrainError::bad(format!(
            "{}: was trained with {key} = {was} and cannot go on with {is}; leave the key as it was, or start a new run \
             with --out",
            out.display()
        )));
    }
    match latest.as_ref().map(|latest| latest.checkpoint.step) {
        Some(step) if step > config.train.steps => Err(TrainError::bad(format!(
            "{}: is at step {step} already, and train.steps = {} is less; ask for {step} steps or more",
            out.display(),
            config.train.steps
        ))),
        _ => Ok((folder, latest)),
    }
}

/// Says whether the experiment can go on in this folder, from its latest checkpoint.
///
/// # Errors
/// The checkpoint is not one of this experiment, or the metrics are damaged.
pub(super) fn check(
    experiment: &Experiment,
    folder: &TrainingFolder,
    latest: Option<&SavedCheckpoint>,
) -> Result<(), TrainError> {
    if let Some(latest) = latest {
        arenas(experiment, latest, groups::PARAMS, &[""])?;
        arenas(experiment, latest, groups::EMA, &[""])?;
        arenas(experiment, latest, groups::OPTIMIZER, &MOMENTS)?;
        learned(experiment, latest)?;
        check_config(experiment.config(), latest)?;
        check_data(experiment, latest)?;
    }
    if folder.metrics_path().exists() {
        log::read(&folder.metrics_path())?;
    }
    Ok(())
}

/// Everything that a resumed run needs.
pub(super) fn to_checkpoint(
    experiment: &Experiment,
    engine: &mut dyn Engine,
    step: u64,
) -> Result<Checkpoint, TrainError> {
    let mut learned_states = Vec::new();
    for (name, elements) in experiment.learned_states() {
        learned_states.push(NamedTensor {
            name: name.to_owned(),
            shape: vec![elements],
            values: engine.floats(name, elements)?,
        });
    }
    let elements = experiment.arena_elements();
    let mut tensors = |arena: &str, prefix: &str| -> Result<Vec<NamedTensor>, TrainError> {
        let flat = engine.floats(arena, elements)?;
        Ok(experiment
            .parameters()
            .iter()
            .map(|parameter| NamedTensor {
                name: format!("{prefix}{}", parameter.name),
                shape: parameter.shape.clone(),
                values: flat[parameter.offset..parameter.offset + parameter.elements()].to_vec(),
            })
            .collect())
    };
    let mut moments = tensors(states::ADAM_M, MOMENTS[0])?;
    moments.extend(tensors(states::ADAM_V, MOMENTS[1])?);
    let saved = [
        (groups::PARAMS.to_owned(), tensors(states::PARAMS, "")?),
        (groups::EMA.to_owned(), tensors(states::EMA, "")?),
        (groups::OPTIMIZER.to_owned(), moments),
    ];
    Ok(Checkpoint {
        step,
        seed: experiment.config().train.seed,
        fingerprint: experiment.config().fingerprint(),
        extra: origin::record(experiment.sigma_data(), experiment.train_data().len()),
        groups: saved
            .into_iter()
            .chain((!learned_states.is_empty()).then(|| (groups::LEARNED.to_owned(), learned_states)))
            .collect(),
    })
}

/// Puts a checkpoint back into the store, to train on from there.
pub(super) fn restore(
    experiment: &Experiment,
    engine: &mut dyn Engine,
    latest: &SavedCheckpoint,
) -> Result<(), TrainError> {
    for (arena, group) in [(states::PARAMS, groups::PARAMS), (states::EMA, groups::EMA)] {
        engine.set_floats(arena, &arenas(experiment, latest, group, &[""])?[0])?;
    }
    let moments = arenas(experiment, latest, groups::OPTIMIZER, &MOMENTS)?;
    engine.set_floats(states::ADAM_M, &moments[0])?;
    engine.set_floats(states::ADAM_V, &moments[1])?;
    for tensor in learned(experiment, latest)? {
        engine.set_floats(&tensor.name, &tensor.values)?;
    }
    Ok(())
}

/// Puts the averaged weights of a checkpoint into the store, to draw samples or to ask for scores.
///
/// # Errors
/// The checkpoint is not one of this experiment's model, or of another config; or the device is lost.
pub fn restore_average(
    experiment: &Experiment,
    engine: &mut dyn Engine,
    saved: &SavedCheckpoint,
) -> Result<(), TrainError> {
    let average = arenas(experiment, saved, groups::EMA, &[""])?;
    check_config(experiment.config(), saved)?;
    Ok(engine.set_floats(states::EMA, &average[0])?)
}

/// Makes the experiment's model the one that the checkpoint was trained as, whatever has become of the data, and its
/// process follow the schedule that was learned, where one was.
pub fn follow(experiment: &mut Experiment, checkpoint: &Checkpoint) {
    if let Some(was) = origin::other_sigma_data(checkpoint, experiment.sigma_data()) {
        experiment.set_sigma_data(was);
    }
    let tensors = || checkpoint.groups.get(groups::EMA).into_iter().flatten();
    experiment.follow(&|name| tensors().find(|tensor| tensor.name == name).map(|tensor| &tensor.values[..]));
}

/// Says whether the checkpoint is one of a run with this config.
///
/// # Errors
/// The config is another in a key that training depends on: it was changed after the checkpoint was written.
fn check_config(config: &Config, SavedCheckpoint { path, checkpoint }: &SavedCheckpoint) -> Result<(), TrainError> {
    let fingerprint = config.fingerprint();
    // What another version has written, whose configs may have other keys, has none.
    if checkpoint.fingerprint.is_empty() || checkpoint.fingerprint == fingerprint {
        return Ok(());
    }
    Err(TrainError::bad(format!(
        "{}: was trained with another config.toml than is there now (fingerprint {}, now {fingerprint}): put back what \
         was changed in the run's config.toml",
        path.display(),
        checkpoint.fingerprint
    )))
}

/// Says whether training can go on from the checkpoint with the data of this experiment.
///
/// # Errors
/// The data is not what the checkpoint was trained on.
fn check_data(
    experiment: &Experiment,
    SavedCheckpoint { path, checkpoint }: &SavedCheckpoint,
) -> Result<(), TrainError> {
    let complain = |what: String| {
        let folder = path.display();
        Err(TrainError::bad(format!(
            "{folder}: was trained on other data than {} has now: {what}; put the data back, or start a new run with --out",
            experiment.train_data().name
        )))
    };
    let (rows, sigma_data) = (experiment.train_data().len(), experiment.sigma_data());
    if let Some(was) = origin::other_rows(checkpoint, rows) {
        return complain(format!("{was} samples to train on, now {rows}"));
    }
    if let Some(was) = origin::other_sigma_data(checkpoint, sigma_data) {
        return complain(format!("the root mean square was {was}, now {sigma_data}"));
    }
    Ok(())
}

/// What a checkpoint holds of the states that are learned besides the arenas.
fn learned<'a>(experiment: &Experiment, saved: &'a SavedCheckpoint) -> Result<Vec<&'a NamedTensor>, TrainError> {
    let expected: Vec<(String, Vec<usize>)> =
        experiment.learned_states().into_iter().map(|(name, elements)| (name.to_owned(), vec![elements])).collect();
    if expected.is_empty() {
        return Ok(Vec::new());
    }
    Ok(saved.checkpoint.expect(&saved.path, groups::LEARNED, &expected)?)
}

/// The flat arenas that a group of a checkpoint holds, one for each prefix of names.
fn arenas(
    experiment: &Experiment,
    saved: &SavedCheckpoint,
    group: &str,
    prefixes: &[&str],
) -> Result<Vec<Vec<f32>>, TrainError> {
    let parameters = experiment.parameters();
    let expected: Vec<(String, Vec<usize>)> = prefixes
        .iter()
        .flat_map(|prefix| parameters.iter().map(move |p| (format!("{prefix}{}", p.name), p.shape.clone())))
        .collect();
    let found = saved.checkpoint.expect(&saved.path, group, &expected)?;
    Ok(found
        .chunks(parameters.len())
        .map(|tensors| {
            let mut arena = vec![0.0; experiment.arena_elements()];
            for (parameter, tensor) in parameters.iter().zip(tensors) {
                arena[parameter.offset..parameter.offset + tensor.values.len()].copy_from_slice(&tensor.values);
            }
            arena
        })
        .collect())
}
