//! `--known FILE --mask FILE --particles K`: what is known of samples before they are drawn.

use std::path::Path;

use super::error::CliError;
use super::source::read_points;
use crate::data;
use crate::train::draw::request::{Known, MOST_PARTICLES};
use crate::train::experiment::Experiment;

/// Reads both files: how many samples to draw, and what is known of each. `known` is one sample, which then is known of
/// `wanted` or else `usual` samples, or as many as are `wanted` (`None`: as there are); `mask` is of one sample's
/// shape: above ½ (white, in a picture) where samples are known. Pictures may be given where samples are images.
pub(super) fn read_known(
    known: &Path,
    mask: &Path,
    wanted: Option<usize>,
    usual: usize,
    particles: Option<usize>,
    experiment: &Experiment,
) -> Result<(usize, Known), CliError> {
    let dims = experiment.dims();
    let values = values_of("--known", known, experiment)?;
    let count = values.len() / dims;
    let n = wanted.unwrap_or(if count == 1 { usual } else { count });
    if count != 1 && count != n {
        let text = format!("--known {}: holds {count} samples; should hold 1 or {n}", known.display());
        return Err(CliError::bad_input(text));
    }
    let values = if count == n { values } else { values.repeat(n) };
    let mask_values = values_of("--mask", mask, experiment)?;
    if mask_values.len() != dims {
        let text = format!("--mask {}: holds {} samples; should hold one", mask.display(), mask_values.len() / dims);
        return Err(CliError::bad_input(text));
    }
    // A picture's black is −1.
    let threshold = if is_picture(mask) { 0.0 } else { 0.5 };
    let mask_values: Vec<f32> = mask_values.iter().map(|value| if *value > threshold { 1.0 } else { 0.0 }).collect();
    Ok((n, Known { values, mask: mask_values, particles }))
}

/// A number of particles, for clap.
pub(super) fn particles(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=MOST_PARTICLES).contains(number));
    number.ok_or_else(|| format!("must be a whole number ≥ 1 and ≤ {MOST_PARTICLES}"))
}

fn is_picture(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    matches!(ending.as_str(), "png" | "jpg" | "jpeg")
}

fn values_of(flag: &str, path: &Path, experiment: &Experiment) -> Result<Vec<f32>, CliError> {
    if !is_picture(path) {
        return Ok(read_points(flag, path, experiment)?.values);
    }
    let [height, width, channels] = experiment.train_data().shape[..] else {
        let shape = &experiment.train_data().shape;
        let text = format!("{flag} {}: samples of shape {shape:?} are no images; should be a .npy", path.display());
        return Err(CliError::bad_input(text));
    };
    data::load_picture(path, [height, width, channels]).map_err(|error| CliError::bad_input(format!("{flag} {error}")))
}
