//! Loss over steps, and loss per noise level.

use super::PictureError;
use super::axis::Axis;
use super::canvas::{Area, BLUE, Drawn, VERMILION, draw, save_png, say_empty};
use super::chart::{curve, legend, panel};
use plotters::prelude::*;
use std::path::Path;

/// What [`write_loss`] shows; any part may be empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct LossCurves<'a> {
    /// Step and training loss.
    pub train: &'a [(f64, f64)],
    /// Step and held-out loss.
    pub held_out: &'a [(f64, f64)],
    /// Noise level and training loss there, in order of the levels.
    pub train_levels: &'a [(f64, f64)],
    /// Noise level and held-out loss there, in order of the levels.
    pub held_out_levels: &'a [(f64, f64)],
    /// What the noise level is, such as `t` or `σ`.
    pub level_name: &'a str,
    /// Whether the noise level has a logarithmic axis (levels that are not above 0 are then left out).
    pub log_levels: bool,
}

/// Writes two panels as a `.png`: the loss over steps (a long training curve as the means of windows, over the band of the
/// middle four fifths of each), and the loss per noise level. Axes of the loss are logarithmic, unless a loss is below 0, as
/// those of implicit and sliced score matching may be. Losses that cannot be shown so are left out.
///
/// # Errors
/// If the file cannot be written.
pub fn write_loss(path: &Path, curves: &LossCurves) -> Result<(), PictureError> {
    let image = draw(path, 1000, 400, |area| {
        let halves = area.split_evenly((1, 2));
        over_steps(&halves[0], curves)?;
        per_level(&halves[1], curves)
    })?;
    save_png(path, &image)
}

fn over_steps(area: &Area, curves: &LossCurves) -> Drawn {
    let log = is_logarithmic([curves.train, curves.held_out]);
    let (train, held_out) = (shown(curves.train, false, log), shown(curves.held_out, false, log));
    let (smooth, band) = gathered(&train);
    let heights = smooth.iter().chain(&held_out).chain(&band).map(|p| p.1);
    let steps = train.iter().chain(&held_out).map(|p| p.0);
    let (Some(x), Some(y)) = (Axis::around(steps, false, 0.0), Axis::around(heights, log, 0.15)) else {
        return say_empty(area, "no losses yet");
    };
    let mut panel = panel(area, "loss over steps", ["step", "loss"], x, y)?;
    panel.draw_series((!band.is_empty()).then(|| Polygon::new(band, BLUE.mix(0.18))))?;
    curve(&mut panel, smooth, BLUE, "train", false)?;
    curve(&mut panel, held_out, VERMILION, "held out", false)?;
    legend(&mut panel, SeriesLabelPosition::UpperRight)
}

fn per_level(area: &Area, curves: &LossCurves) -> Drawn {
    let curves_of_levels = [curves.train_levels, curves.held_out_levels];
    let log = is_logarithmic(curves_of_levels);
    let [train, held_out] = curves_of_levels.map(|p| shown(p, curves.log_levels, log));
    let both = || train.iter().chain(&held_out);
    let x = Axis::around(both().map(|p| p.0), curves.log_levels, 0.04);
    let (Some(x), Some(y)) = (x, Axis::around(both().map(|p| p.1), log, 0.2)) else {
        return say_empty(area, "no losses per noise level yet");
    };
    let name = format!("noise level {}", curves.level_name);
    let mut panel = panel(area, "loss per noise level", [name.trim(), "loss"], x, y)?;
    curve(&mut panel, train, BLUE, "train", true)?;
    curve(&mut panel, held_out, VERMILION, "held out", true)?;
    legend(&mut panel, SeriesLabelPosition::UpperRight)
}

/// Whether these losses have a logarithmic axis.
fn is_logarithmic(curves: [&[(f64, f64)]; 2]) -> bool {
    !curves.iter().flat_map(|points| points.iter()).any(|(_, loss)| loss.is_finite() && *loss < 0.0)
}

/// The points that a plot with these axes can show.
fn shown(points: &[(f64, f64)], log_x: bool, log_y: bool) -> Vec<(f64, f64)> {
    let fits = |x: f64, log: bool| x.is_finite() && (!log || x > 0.0);
    let can = |&(x, y): &(f64, f64)| fits(x, log_x) && fits(y, log_y);
    points.iter().copied().filter(can).collect()
}

type Points = Vec<(f64, f64)>;

/// Into how many windows a long curve is gathered.
const WINDOWS: usize = 120;

/// The means of so many consecutive windows of a curve, and the outline of the band in which the middle four fifths of each
/// window lie; of a short curve itself, and no band.
fn gathered(points: &[(f64, f64)]) -> (Points, Points) {
    let window = points.len() / WINDOWS;
    if window < 2 {
        return (points.to_vec(), Vec::new());
    }
    let (mut means, mut below, mut above) = (Vec::new(), Vec::new(), Vec::new());
    for part in points.chunks(window) {
        let mean = |value: fn(&(f64, f64)) -> f64| part.iter().map(value).sum::<f64>() / part.len() as f64;
        let x = mean(|p| p.0);
        let mut heights: Vec<f64> = part.iter().map(|p| p.1).collect();
        heights.sort_by(f64::total_cmp);
        let rank = |share: f64| heights[((heights.len() - 1) as f64 * share).round() as usize];
        means.push((x, mean(|p| p.1)));
        below.push((x, rank(0.1)));
        above.push((x, rank(0.9)));
    }
    above.reverse();
    (means, [below, above].concat())
}
