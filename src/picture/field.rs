//! Score fields as arrows.

use super::canvas::{BLUE, Drawn, FAINT, INK, VERMILION, draw, px, save_png};
use super::scatter::{Plane, check_points, dots, frame};
use super::{PictureError, View};
use plotters::prelude::*;
use std::path::Path;

/// A learned score field, with the exact one where it is known.
#[derive(Clone, Copy, Debug)]
pub struct ScoreField<'a> {
    /// Where the scores were taken, [M, 2], best from [`View::lattice`].
    pub at: &'a [f32],
    /// The learned scores there, [M, 2].
    pub learned: &'a [f32],
    /// The exact scores there, [M, 2].
    pub exact: Option<&'a [f32]>,
    /// The noise level, in words for the titles, such as `σ = 0.5`.
    pub level: &'a str,
}

/// Writes the learned score field, and beside it the exact one, as a `.png`, over the data (grey) and the samples (blue),
/// both [N, 2]. Arrows of both panels have one scale: the longest stand for the 90th percentile of the exact lengths (of the
/// learned ones where there are none), and for all above it.
///
/// # Errors
/// If positions and scores do not match, or the file cannot be written.
pub fn write_field(
    path: &Path,
    field: &ScoreField,
    view: View,
    data: &[f32],
    samples: &[f32],
) -> Result<(), PictureError> {
    check_points(path, "data", data)?;
    check_points(path, "samples", samples)?;
    check_points(path, "positions", field.at)?;
    for scores in [Some(field.learned), field.exact].into_iter().flatten() {
        if scores.len() != field.at.len() {
            let found = format!("scores of {} values", scores.len());
            return Err(PictureError::shape(path, found, format!("{}, as the positions have", field.at.len())));
        }
    }
    let comma = if field.level.is_empty() { "" } else { ", " };
    let titled = |name: &str| format!("{name}{comma}{}", field.level);
    let mut panels = vec![(titled("learned score"), field.learned)];
    panels.extend(field.exact.map(|exact| (titled("exact score"), exact)));
    let longest = percentile(field.exact.unwrap_or(field.learned));
    // The cell of a lattice of as many points.
    let cell = 2.0 * view.reach / ((field.at.len() / 2) as f64).sqrt().max(1.0);
    let side = 460;
    let image = draw(path, side * panels.len() as u32, side + 28, |area| {
        let (plots, legend) = area.split_vertically(px(f64::from(side)));
        for (area, (title, scores)) in plots.split_evenly((1, panels.len())).iter().zip(&panels) {
            let mut chart = frame(area, &view, title)?;
            dots(&mut chart, &view, data, FAINT, 0.6)?;
            dots(&mut chart, &view, samples, BLUE, 0.6)?;
            arrows(&mut chart, &view, field.at, scores, longest, cell)?;
        }
        key(&legend, !data.is_empty(), !samples.is_empty())
    })?;
    save_png(path, &image)
}

/// The 90th percentile of the finite lengths above 0, or 1 if there are none.
fn percentile(scores: &[f32]) -> f64 {
    let mut lengths: Vec<f64> = scores.chunks_exact(2).map(length).filter(|l| l.is_finite() && *l > 0.0).collect();
    lengths.sort_by(f64::total_cmp);
    lengths.get(lengths.len() * 9 / 10).copied().unwrap_or(1.0)
}

fn length(score: &[f32]) -> f64 {
    f64::from(score[0]).hypot(f64::from(score[1]))
}

fn arrows(chart: &mut Plane, view: &View, at: &[f32], scores: &[f32], longest: f64, cell: f64) -> Drawn {
    for (at, score) in at.chunks_exact(2).zip(scores.chunks_exact(2)) {
        let norm = length(score);
        if !norm.is_finite() {
            // Nothing is hidden: where the score is not finite there is a vermilion dot.
            if view.shows(at) {
                let dot = Circle::new((f64::from(at[0]), f64::from(at[1])), px(2.5), VERMILION.filled());
                chart.draw_series([dot])?;
            }
            continue;
        }
        let reach = 0.85 * cell * (norm / longest).min(1.0);
        if norm == 0.0 || reach < 0.02 * cell || !view.shows(at) {
            continue;
        }
        let way = [f64::from(score[0]) / norm, f64::from(score[1]) / norm];
        let along = |forward: f64, aside: f64| {
            let x = f64::from(at[0]) + way[0] * forward - way[1] * aside;
            (x, f64::from(at[1]) + way[1] * forward + way[0] * aside)
        };
        // Centred on its point, so that neighbours do not run into each other.
        let head = (0.45 * reach).min(0.28 * cell);
        let (tail, neck, tip) = (-0.5 * reach, 0.5 * reach - head, 0.5 * reach);
        let shaft = PathElement::new(vec![along(tail, 0.0), along(neck, 0.0)], INK.stroke_width(px(1.1)));
        chart.draw_series([shaft])?;
        let corners = vec![along(tip, 0.0), along(neck, 0.42 * head), along(neck, -0.42 * head)];
        chart.draw_series([Polygon::new(corners, INK.filled())])?;
    }
    Ok(())
}

/// What the colours mean, in one line below the panels.
fn key(area: &super::canvas::Area, data: bool, samples: bool) -> Drawn {
    use plotters::style::text_anchor::{HPos, Pos, VPos};
    let middle = area.dim_in_pixel().1 as i32 / 3;
    let mut x = px(44.0) as i32;
    for (shown, name, color) in [(data, "data", FAINT), (samples, "samples", BLUE)] {
        if shown {
            area.draw(&Circle::new((x, middle), px(3.5), color.filled()))?;
            let style = super::canvas::letters(12.0, INK).pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(name, (x + px(8.0) as i32, middle), style))?;
            x += px(90.0) as i32;
        }
    }
    Ok(())
}
