//! Named curves, several to a chart.

use super::PictureError;
use super::axis::Axis;
use super::canvas::{SERIES, draw, save_png, say_empty};
use super::loss::{curve, legend, panel};
use plotters::prelude::SeriesLabelPosition;
use std::path::Path;

/// One chart.
#[derive(Clone, Copy, Debug)]
pub struct Curves<'a> {
    /// Above it.
    pub title: &'a str,
    /// Names of the horizontal and the vertical axis.
    pub axes: [&'a str; 2],
    /// Which of the two are logarithmic.
    pub log: [bool; 2],
    /// Names and points (x, y) of the curves, at most six.
    pub curves: &'a [(&'a str, Vec<(f64, f64)>)],
}

/// Writes charts side by side as a `.png`. Points that are not finite, or not above 0 on a logarithmic axis, are left out;
/// so are curves after the sixth.
///
/// # Errors
/// If the file cannot be written.
pub fn write_curves(path: &Path, charts: &[Curves]) -> Result<(), PictureError> {
    let image = draw(path, 500 * charts.len().max(1) as u32, 400, |area| {
        for (area, chart) in area.split_evenly((1, charts.len().max(1))).iter().zip(charts) {
            let can = |value: f64, log: bool| value.is_finite() && (!log || value > 0.0);
            let shown = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
                points.iter().copied().filter(|(x, y)| can(*x, chart.log[0]) && can(*y, chart.log[1])).collect()
            };
            let curves: Vec<_> = chart.curves.iter().map(|(name, points)| (*name, shown(points))).collect();
            let all = || curves.iter().flat_map(|(_, points)| points);
            let x = Axis::around(all().map(|p| p.0), chart.log[0], 0.04);
            let (Some(x), Some(y)) = (x, Axis::around(all().map(|p| p.1), chart.log[1], 0.1)) else {
                say_empty(area, "nothing to show")?;
                continue;
            };
            let mut panel = panel(area, chart.title, chart.axes, x, y)?;
            for ((name, points), color) in curves.into_iter().zip(SERIES) {
                let marked = points.len() <= 20;
                curve(&mut panel, points, color, name, marked)?;
            }
            // Where the curves leave room: beside those that rise, the left.
            let rises = |points: &[(f64, f64)]| points.first().zip(points.last()).is_some_and(|(a, b)| b.1 > a.1);
            let rising = chart.curves.iter().filter(|(_, points)| rises(points)).count();
            let left = 2 * rising > chart.curves.len();
            let position = if left { SeriesLabelPosition::UpperLeft } else { SeriesLabelPosition::UpperRight };
            legend(&mut panel, position)?;
        }
        Ok(())
    })?;
    save_png(path, &image)
}
