//! Whether what is asked for fits into the host's memory: asked before work begins, since an allocation that fails later
//! ends the process.

use crate::config::Loss;
use crate::train::error::TrainError;
use crate::train::experiment::{Experiment, FRAMES};

/// Arenas as long as the parameters that training keeps: weights, average, two moments, gradient.
const ARENAS: usize = 5;

/// Whether the host would give memory for so many floats in one piece; `None` is more than can be counted.
pub fn is_free(floats: Option<usize>) -> bool {
    floats.is_some_and(|floats| Vec::<f32>::new().try_reserve_exact(floats).is_ok())
}

/// Says whether `n` samples and `frames` moments on their way fit.
///
/// # Errors
/// They do not; the line begins with `what`, which names the key or flag and its value.
pub fn for_samples(what: &str, n: usize, dims: usize, frames: usize) -> Result<(), TrainError> {
    if is_free(n.checked_mul(dims).and_then(|floats| floats.checked_mul(1 + frames))) {
        return Ok(());
    }
    Err(TrainError::bad(format!("{what}: so many samples do not fit into memory; draw fewer at a time")))
}

/// Says whether the derivatives of an exact trace fit: one for each coordinate, of each sample's coordinates.
///
/// # Errors
/// They do not.
fn for_trace(experiment: &Experiment) -> Result<(), TrainError> {
    let (batch, dims) = (experiment.batch() as usize, experiment.dims());
    let floats = dims.checked_mul(dims).and_then(|floats| floats.checked_mul(batch));
    if !matches!(experiment.config().loss, Loss::Implicit(_)) || is_free(floats) {
        return Ok(());
    }
    let what = format!(
        "loss.kind = \"implicit\": {dims} derivatives of {dims} coordinates for {batch} samples do not fit into memory; \
         choose \"sliced-vr\", which takes one"
    );
    Err(TrainError::unfit("loss.kind", what))
}

/// Says whether the weights of a network, what training keeps beside them, and the samples of a run's pictures fit.
///
/// # Errors
/// They do not.
pub fn for_training(experiment: &Experiment) -> Result<(), TrainError> {
    for_trace(experiment)?;
    if is_free(experiment.arena_elements().checked_mul(ARENAS)) {
        let n = experiment.config().sample.n;
        return for_samples(&format!("sample.n = {n}"), n, experiment.dims(), FRAMES);
    }
    let weights = experiment.weights();
    let what = format!("[model]: a network of {weights} weights does not fit into memory; choose a smaller one");
    Err(TrainError::unfit("model", what))
}
