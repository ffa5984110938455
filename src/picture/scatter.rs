//! Scatters of two-dimensional points.

use super::axis::{Axis, label};
use super::canvas::{Area, BLUE, Drawn, GRID, INK, draw, letters, px, save_png, say_empty};
use super::{PictureError, View};
use plotters::prelude::*;
use std::path::Path;

/// A panel of a scatter.
#[derive(Clone, Copy, Debug)]
pub struct Panel<'a> {
    /// What stands above it.
    pub title: &'a str,
    /// The points, [N, 2].
    pub points: &'a [f32],
}

/// Side of a panel in pixels.
pub(super) const SIDE: u32 = 360;

/// Writes points as a `.png` of square panels side by side, all with one view: the given one, or the one around the first
/// panel's points. So with the data first, samples that went astray do not shrink what matters; the title counts points
/// outside.
///
/// # Errors
/// If there is no panel, an odd number of values, or the file cannot be written.
pub fn write_scatter(path: &Path, panels: &[Panel], view: Option<View>) -> Result<(), PictureError> {
    save_png(path, &scatter(path, panels, view, SIDE)?)
}

pub(super) fn scatter(
    path: &Path,
    panels: &[Panel],
    view: Option<View>,
    side: u32,
) -> Result<image::RgbImage, PictureError> {
    let Some(first) = panels.first() else {
        return Err(PictureError::shape(path, "no panels", "at least one"));
    };
    for panel in panels {
        check_points(path, panel.title, panel.points)?;
    }
    let view = view.unwrap_or_else(|| View::around(first.points));
    draw(path, side * panels.len() as u32, side, |area| {
        for (area, panel) in area.split_evenly((1, panels.len())).iter().zip(panels) {
            let plain = &format!("{}{}", panel.title, outside(&view, panel.points));
            let mut chart = frame(area, &view, plain)?;
            dots(&mut chart, &view, panel.points, BLUE, 1.0)?;
            if panel.points.is_empty() {
                say_empty(area, "no points")?;
            }
        }
        Ok(())
    })
}

/// Refuses values that are not points of the plane.
pub(super) fn check_points(path: &Path, what: &str, points: &[f32]) -> Result<(), PictureError> {
    if points.len().is_multiple_of(2) {
        return Ok(());
    }
    Err(PictureError::shape(path, format!("{} values for `{what}`", points.len()), "points of shape [N, 2]"))
}

/// " (3 outside)", or nothing.
fn outside(view: &View, points: &[f32]) -> String {
    match points.chunks_exact(2).filter(|p| !view.shows(p)).count() {
        0 => String::new(),
        n => format!(" ({n} outside)"),
    }
}

pub(super) type Plane<'a, 'b> = ChartContext<'a, BitMapBackend<'b>, Cartesian2d<Axis, Axis>>;

/// Axes of a square panel with a title.
pub(super) fn frame<'a, 'b>(
    area: &'a Area<'b>,
    view: &View,
    title: &str,
) -> Result<Plane<'a, 'b>, Box<dyn std::error::Error>> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, letters(14.0, INK))
        .margin(px(8.0))
        .margin_right(px(14.0))
        .x_label_area_size(px(26.0))
        .y_label_area_size(px(38.0))
        .build_cartesian_2d(view.axis(0), view.axis(1))?;
    chart
        .configure_mesh()
        .x_labels(5)
        .y_labels(5)
        .max_light_lines(0)
        .set_all_tick_mark_size(px(4.0))
        .bold_line_style(GRID.stroke_width(px(1.0)))
        .axis_style(INK.stroke_width(px(1.0)))
        .label_style(letters(11.0, INK))
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .draw()?;
    Ok(chart)
}

/// Draws the points that the view shows, the fainter the more there are.
pub(super) fn dots(chart: &mut Plane, view: &View, points: &[f32], color: RGBColor, strength: f64) -> Drawn {
    let seen: Vec<_> = points.chunks_exact(2).filter(|p| view.shows(p)).collect();
    let opacity = strength * (0.75 * (1000.0 / seen.len().max(1) as f64).sqrt()).clamp(0.12, 0.75);
    let style = color.mix(opacity).filled();
    chart.draw_series(seen.iter().map(|p| Circle::new((f64::from(p[0]), f64::from(p[1])), px(1.7), style)))?;
    Ok(())
}
