//! Evaluating the score at given points.

use crate::engine::Engine;
use crate::sde::Quantity;
use crate::train::error::TrainError;
use crate::train::experiment::{Classes, Experiment};
use crate::train::program_names;

/// `quantity` at the points `x` (`[n, D]`) of these classes and the time `t`, with an engine that has the program
/// [`SCORE`](program_names::SCORE).
///
/// # Errors
/// When points cannot have these classes; a value is not finite, naming its point; or the device is lost.
pub fn evaluate(
    engine: &mut dyn Engine,
    experiment: &Experiment,
    x: &[f32],
    classes: Classes,
    t: f64,
    quantity: Quantity,
) -> Result<Vec<f32>, TrainError> {
    let dims = experiment.dims();
    classes.check(experiment.classes(), x.len() / dims)?;
    let level = experiment.sde().at(t).level().map(|number| number as f32);
    let chunk = experiment.chunk(x.len() / dims) as usize;
    let mut result = Vec::with_capacity(x.len());
    for (part, points) in x.chunks(chunk * dims).enumerate() {
        let batch = (points.len() / dims) as u32;
        experiment.set_classes(engine, classes, part * chunk, batch as usize)?;
        engine.set_input(program_names::SCORE, "x", batch, points)?;
        engine.set_input(program_names::SCORE, "level", batch, &level)?;
        engine.run(program_names::SCORE, batch, 1)?;
        result.extend(engine.output(program_names::SCORE, quantity.name())?);
    }
    if let Some(place) = result.iter().position(|value| !value.is_finite()) {
        return Err(TrainError::ScoreNotFinite { quantity: quantity.name(), point: place / dims, t });
    }
    Ok(result)
}
