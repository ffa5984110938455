//! Named curves, several panels side by side.

use super::PictureError;
use super::axis::Axis;
use super::canvas::{Area, BLUE, Drawn, FAINT, INK, VERMILION, draw, save_png, say_empty};
use super::chart::{curve, legend, panel};
use plotters::prelude::*;
use std::path::Path;

/// One panel of [`write_curves`].
#[derive(Clone, Copy, Debug)]
pub struct Curves<'a> {
    /// What it shows.
    pub title: &'a str,
    /// The names of the axes.
    pub axes: [&'a str; 2],
    /// Which of the two are logarithmic.
    pub log: [bool; 2],
    /// Name and points of each curve; points that an axis cannot show are left out.
    pub curves: &'a [(String, Vec<(f64, f64)>)],
}

/// Colours of Okabe and Ito, and two greys.
const COLORS: [RGBColor; 9] = [
    BLUE,
    VERMILION,
    RGBColor(0, 158, 115),
    RGBColor(230, 159, 0),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    INK,
    RGBColor(196, 180, 30),
    FAINT,
];

/// Writes panels of curves as a `.png`, points marked where they are few.
///
/// # Errors
/// If the file cannot be written.
pub fn write_curves(path: &Path, panels: &[Curves]) -> Result<(), PictureError> {
    let image = draw(path, 520 * panels.len().max(1) as u32, 460, |area| {
        let areas = area.split_evenly((1, panels.len().max(1)));
        panels.iter().zip(&areas).try_for_each(|(panel, area)| one(area, panel))
    })?;
    save_png(path, &image)
}

fn one(area: &Area, shown: &Curves) -> Drawn {
    let [log_x, log_y] = shown.log;
    let fits = |value: f64, log: bool| value.is_finite() && (!log || value > 0.0);
    let fitting = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
        points.iter().copied().filter(|(x, y)| fits(*x, log_x) && fits(*y, log_y)).collect()
    };
    let curves: Vec<_> = shown.curves.iter().map(|(name, points)| (name, fitting(points))).collect();
    let points = || curves.iter().flat_map(|(_, points)| points);
    let x = Axis::around(points().map(|point| point.0), log_x, 0.04);
    let y = Axis::around(points().map(|point| point.1), log_y, 0.08);
    let (Some(x), Some(y)) = (x, y) else { return say_empty(area, "nothing to show") };
    let mut chart = panel(area, shown.title, shown.axes, x, y)?;
    // The legend stands where the curves leave room: above those that rise, else below.
    let rises = |points: &[(f64, f64)]| points.first().zip(points.last()).is_some_and(|(a, b)| b.1 > a.1);
    let rising = curves.iter().filter(|(_, points)| rises(points)).count();
    let room = if 2 * rising > curves.len() { SeriesLabelPosition::UpperLeft } else { SeriesLabelPosition::LowerLeft };
    for ((name, points), color) in curves.into_iter().zip(COLORS.iter().cycle()) {
        let marked = points.len() <= 20;
        curve(&mut chart, points, *color, name, marked)?;
    }
    legend(&mut chart, room)
}
