//! The pictures that a run leaves in its folder.

use std::path::Path;
use std::time::Duration;

use crate::engine::Engine;
use crate::picture::{self, GridLayout, LossCurves, Panel, PictureError, ScoreField, View};
use crate::sde::Quantity;
use crate::train::draw::samples::Samples;
use crate::train::draw::scoring;
use crate::train::error::TrainError;
use crate::train::experiment::{Classes, Experiment};
use crate::train::run::log::{self, Line};

/// Columns of a trajectory that is a single picture.
const STRIP_COLUMNS: usize = 12;
/// Rows of it.
const STRIP_ROWS: usize = 8;
/// Panels of a trajectory of points that is a single picture.
const STRIP_PANELS: usize = 6;
/// Time between the frames of an animation.
const FRAME: Duration = Duration::from_millis(80);
/// Arrows along each side of a score field.
const ARROWS: usize = 20;

impl From<PictureError> for TrainError {
    fn from(error: PictureError) -> Self {
        Self::Picture(error.to_string())
    }
}

/// `loss.png`: train and held-out loss over steps, and per noise level, from the metrics.
///
/// # Errors
/// When the metrics cannot be read or the picture cannot be written.
pub fn loss(folder: &Path, metrics: &Path) -> Result<(), TrainError> {
    let (mut train, mut held_out, mut levels) = (Vec::new(), Vec::new(), Vec::new());
    for line in log::read(metrics)? {
        match line {
            Line::Train(line) => train.push((line.step as f64, f64::from(line.loss))),
            Line::Evaluation(line) => {
                held_out.push((line.step as f64, f64::from(line.held_out_loss)));
                levels = line.per_level.iter().map(|level| (f64::from(level.t), f64::from(level.loss))).collect();
            }
        }
    }
    let curves = LossCurves {
        train: &train,
        held_out: &held_out,
        held_out_levels: &levels,
        level_name: "t",
        ..LossCurves::default()
    };
    Ok(picture::write_loss(&folder.join("loss.png"), &curves)?)
}

/// Samples as one picture: images as a grid, points as a scatter beside the data. Other data has no picture.
///
/// # Errors
/// When the data has no picture, or the picture cannot be written.
pub fn samples(path: &Path, experiment: &Experiment, samples: &[f32]) -> Result<(), TrainError> {
    match kind(experiment) {
        Kind::Images([height, width, channels]) => {
            let n = samples.len() / experiment.dims();
            picture::write_grid(path, samples, [n, height, width, channels], GridLayout::default())?;
        }
        Kind::Points => {
            let data = experiment.train_data().values.to_f32();
            let panels = [Panel { title: "data", points: &data }, Panel { title: "samples", points: samples }];
            picture::write_scatter(path, &panels, None)?;
        }
        Kind::Other => return Err(no_picture(path, experiment)),
    }
    Ok(())
}

/// An animation of noise turning into samples.
///
/// # Errors
/// As [`samples`].
pub fn animation(path: &Path, experiment: &Experiment, drawn: &Samples) -> Result<(), TrainError> {
    let frames = drawn.frames.concat();
    let n = drawn.samples.len() / experiment.dims();
    match kind(experiment) {
        Kind::Images([height, width, channels]) => {
            let shape = [drawn.frames.len(), n, height, width, channels];
            picture::write_grid_gif(path, &frames, shape, GridLayout::default(), FRAME)?;
        }
        Kind::Points => {
            let titles = titles(drawn);
            let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
            let view = Some(wide_view(experiment));
            picture::write_scatter_gif(path, &frames, [drawn.frames.len(), n], &titles, view, FRAME)?;
        }
        Kind::Other => return Err(no_picture(path, experiment)),
    }
    Ok(())
}

/// A strip of noise turning into samples, its moments evenly spread over how noisy they are: for images a row for each
/// of the first few.
///
/// # Errors
/// As [`samples`].
pub fn strip(path: &Path, experiment: &Experiment, drawn: &Samples) -> Result<(), TrainError> {
    let dims = experiment.dims();
    let n = drawn.samples.len() / dims;
    let noisiness: Vec<f64> = drawn.frame_times.iter().map(|t| noisiness(experiment, *t)).collect();
    match kind(experiment) {
        Kind::Images([height, width, channels]) => {
            let rows = n.min(STRIP_ROWS);
            let chosen = evenly_in(&noisiness, STRIP_COLUMNS);
            let frames: Vec<f32> =
                chosen.iter().flat_map(|frame| &drawn.frames[*frame][..rows * dims]).copied().collect();
            let shape = [chosen.len(), rows, height, width, channels];
            picture::write_grid_strip(path, &frames, shape, STRIP_COLUMNS)?;
        }
        Kind::Points => {
            let chosen = evenly_in(&noisiness, STRIP_PANELS);
            let titles = titles(drawn);
            let titles: Vec<&str> = chosen.iter().map(|frame| titles[*frame].as_str()).collect();
            let points: Vec<f32> = chosen.iter().flat_map(|frame| &drawn.frames[*frame]).copied().collect();
            let view = Some(wide_view(experiment));
            let shape = [chosen.len(), n];
            picture::write_scatter_strip(path, &points, shape, &titles, view, STRIP_PANELS)?;
        }
        Kind::Other => return Err(no_picture(path, experiment)),
    }
    Ok(())
}

/// `scores.png` for points in the plane: data, samples, and the learned beside the exact score, where it is known, at
/// three tenths of the way from data to noise, or without noise if that is what was learned. Nothing for other data.
///
/// # Errors
/// When the device is lost or the picture cannot be written.
pub fn scores(
    path: &Path,
    experiment: &Experiment,
    engine: &mut dyn Engine,
    samples: &[f32],
) -> Result<(), TrainError> {
    if kind(experiment) != Kind::Points {
        return Ok(());
    }
    let data = experiment.train_data().values.to_f32();
    let (t, alpha, sigma, words) = if experiment.is_without_noise() {
        (experiment.time_without_noise(), 1.0, 0.0, "without noise".to_owned())
    } else {
        let t = experiment.sde().t_min() + 0.3 * (experiment.sde().t_max() - experiment.sde().t_min());
        let level = experiment.sde().at(t);
        (t, level.alpha, level.sigma, format!("t = {t:.2}, σ = {:.2}", level.sigma))
    };
    // What x_t looks like: the data shrunk by alpha, in a frame that the noise fits too.
    let shrunk = |points: &[f32]| -> Vec<f32> { points.iter().map(|x| (alpha * f64::from(*x)) as f32).collect() };
    let (data, samples) = (shrunk(&data), shrunk(samples));
    let mut view = View::around(&data);
    view.reach += sigma.min(4.0 * view.reach);
    let at = view.lattice(ARROWS);
    let learned = scoring::evaluate(engine, experiment, &at, Classes::Any, t, Quantity::Score)?;
    let exact = experiment.mixture().map(|mixture| {
        let mut score = [0.0; 2];
        at.chunks(2)
            .flat_map(|x| {
                mixture.score(&[f64::from(x[0]), f64::from(x[1])], alpha, sigma, &mut score);
                score.map(|value| value as f32)
            })
            .collect::<Vec<f32>>()
    });
    let field = ScoreField { at: &at, learned: &learned, exact: exact.as_deref(), level: &words };
    Ok(picture::write_field(path, &field, view, &data, &samples)?)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Images([usize; 3]),
    Points,
    Other,
}

fn kind(experiment: &Experiment) -> Kind {
    match experiment.train_data().shape[..] {
        [height, width, channels @ (1 | 3)] => Kind::Images([height, width, channels]),
        [height, width] => Kind::Images([height, width, 1]),
        [2] => Kind::Points,
        _ => Kind::Other,
    }
}

/// Whether samples can be drawn as a picture.
pub fn has_picture(experiment: &Experiment) -> bool {
    kind(experiment) != Kind::Other
}

fn no_picture(path: &Path, experiment: &Experiment) -> TrainError {
    TrainError::bad(format!(
        "{}: samples of shape {:?} are neither images nor points in the plane; write them as .npy or .csv",
        path.display(),
        experiment.train_data().shape
    ))
}

/// The angle between data and noise in x_t, from 0 (data alone) to pi/2 (noise alone): samples take shape where it
/// changes, which for most processes is in a small part of the time.
fn noisiness(experiment: &Experiment, t: f64) -> f64 {
    (experiment.sde().at(t).noise_to_signal() / experiment.sigma_data()).atan()
}

/// At most `most` places (at least two, if there are so many) in a list that does not rise, with the first and the
/// last, their values as even as the list has them.
fn evenly_in(falling: &[f64], most: usize) -> Vec<usize> {
    let Some(last) = falling.len().checked_sub(1) else { return Vec::new() };
    let count = most.clamp(2, falling.len().max(2));
    let mut places: Vec<usize> = Vec::with_capacity(count);
    for i in 0..count {
        let wanted = falling[0] + (falling[last] - falling[0]) * i as f64 / (count - 1) as f64;
        // After the place before, and leaving one for each that is still to come.
        let least = places.last().map_or(0, |place| place + 1);
        let most = (last + 1 + i).saturating_sub(count);
        let nearest = (least..=most).min_by(|a, b| {
            let miss = |place: usize| (falling[place] - wanted).abs();
            miss(*a).total_cmp(&miss(*b))
        });
        places.extend(nearest);
    }
    if let Some(end) = places.last_mut() {
        *end = last;
    }
    places
}

fn titles(drawn: &Samples) -> Vec<String> {
    drawn.frame_times.iter().map(|t| format!("t = {t:.2}")).collect()
}

/// A view that holds the data and most of the noise around it, but not all of a process whose noise dwarfs the data.
fn wide_view(experiment: &Experiment) -> View {
    let mut view = View::around(&experiment.train_data().values.to_f32());
    view.reach = view.reach.max((2.5 * experiment.sde().prior_sigma()).min(3.0 * view.reach));
    view
}

#[cfg(test)]
mod tests {
    use super::evenly_in;

    #[test]
    fn places_are_even_in_value() {
        let falling: Vec<f64> = (0..=100).map(|i| (1.0 - f64::from(i) / 100.0).powi(4)).collect();
        let places = evenly_in(&falling, 5);
        assert_eq!((places[0], places[4]), (0, 100));
        for (i, place) in places.iter().enumerate() {
            assert!((falling[*place] - (1.0 - i as f64 / 4.0)).abs() < 0.03, "{places:?}");
        }
    }

    #[test]
    fn places_are_different_and_with_both_ends() {
        // Nearly all of the fall is in one step.
        let steep = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0];
        for most in 2..9 {
            let places = evenly_in(&steep, most);
            assert_eq!(places.len(), most.min(6));
            assert!(places.is_sorted_by(|a, b| a < b) && places[0] == 0 && places.last() == Some(&5), "{places:?}");
        }
        assert_eq!(evenly_in(&[0.5], 6), [0]);
        assert!(evenly_in(&[], 6).is_empty());
    }
}
