//! What a person should know of an experiment before it is trained: things that are allowed and seldom meant.

use crate::config::{Data, Sde};
use crate::data::Line;
use crate::number::short;
use crate::sde::{Edm, Ve};
use crate::train::experiment::Experiment;

/// Where the size of data is not what the process was made for: below and above these, relative to the unit variance
/// that the other processes end in.
const USUAL: std::ops::RangeInclusive<f64> = 0.05..=20.0;

/// One line for each.
pub fn notes(experiment: &Experiment) -> Vec<String> {
    [scale(experiment), weights(experiment), picture(experiment)].into_iter().flatten().collect()
}

/// Data far larger than the noise is never hidden by it, and far smaller data is hidden from the start.
fn scale(experiment: &Experiment) -> Option<String> {
    let size = experiment.sigma_data();
    let mended = match &experiment.config().sde {
        Sde::Ve(Ve { sigma_min, sigma_max, .. }) | Sde::Edm(Edm { sigma_min, sigma_max, .. }) => match size {
            _ if size > *sigma_max => {
                format!("which noise up to sde.sigma_max = {sigma_max} does not hide, so scale it or raise that")
            }
            _ if size < *sigma_min => {
                format!("less than the noise at its lowest, sde.sigma_min = {sigma_min}, so scale it or lower that")
            }
            _ => return None,
        },
        _ if USUAL.contains(&size) => return None,
        _ => "about 1 is expected, so scale it".to_string(),
    };
    Some(format!("{}: the data's root mean square is {}: {mended}", experiment.train_data().name, short(size, 4)))
}

/// How much is in each of several modes is learned only where noise brings them together.
fn weights(experiment: &Experiment) -> Option<String> {
    // Of a curve the weights are those of a quadrature.
    if !matches!(experiment.config().data, Data::Mixture(_) | Data::EightGaussians(_)) {
        return None;
    }
    let line = Line::along_longest(experiment.mixture()?)?;
    let (seen, most) = (line.most_visible(40), experiment.sde().at(experiment.sde().t_max()).noise_to_signal());
    (seen > most).then(|| {
        format!(
            "{}: how much of the data is in each of its modes is seen best with noise of {}, and sigma / alpha ends at {}",
            experiment.train_data().name,
            short(seen, 2),
            short(most, 4)
        )
    })
}

/// Images are told by their shape.
fn picture(experiment: &Experiment) -> Option<String> {
    let shape = &experiment.train_data().shape;
    let is_image = matches!(shape[..], [_, _] | [_, _, 1 | 3]);
    (shape.len() > 1 && !is_image).then(|| {
        format!(
            "{}: no pictures are drawn of samples of shape {shape:?}; images are (N, H, W) or (N, H, W, C) with C = 1 or 3",
            experiment.train_data().name
        )
    })
}
