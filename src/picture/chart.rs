//! A panel with curves.

use super::axis::{Axis, label};
use super::canvas::{Area, Drawn, FAINT, GRID, INK, letters, px};
use plotters::prelude::*;

/// A panel that curves are drawn on.
pub type Chart<'a, 'b> = ChartContext<'a, BitMapBackend<'b>, Cartesian2d<Axis, Axis>>;

/// An empty panel with its axes and their names.
pub fn panel<'a, 'b>(
    area: &'a Area<'b>,
    title: &str,
    [x_name, y_name]: [&str; 2],
    x: Axis,
    y: Axis,
) -> Result<Chart<'a, 'b>, Box<dyn std::error::Error>> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, letters(14.0, INK))
        .margin(px(10.0))
        .margin_right(px(20.0))
        .x_label_area_size(px(40.0))
        .y_label_area_size(px(56.0))
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .x_desc(x_name)
        .y_desc(y_name)
        .x_labels(6)
        .y_labels(6)
        .max_light_lines(0)
        .set_all_tick_mark_size(px(4.0))
        .bold_line_style(GRID.stroke_width(px(1.0)))
        .axis_style(INK.stroke_width(px(1.0)))
        .label_style(letters(11.0, INK))
        .axis_desc_style(letters(12.0, INK))
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .draw()?;
    Ok(chart)
}

/// A named curve; a single point, or each point if `marked`, is a dot.
pub fn curve(chart: &mut Chart, points: Vec<(f64, f64)>, color: RGBColor, name: &str, marked: bool) -> Drawn {
    if points.is_empty() {
        return Ok(());
    }
    if marked || points.len() == 1 {
        chart.draw_series(points.iter().map(|&p| Circle::new(p, px(2.6), color.filled())))?;
    }
    let series = chart.draw_series(LineSeries::new(points, color.stroke_width(px(1.8))))?;
    let sample =
        move |(x, y): (i32, i32)| PathElement::new(vec![(x, y), (x + px(18.0) as i32, y)], color.stroke_width(px(2.0)));
    series.label(name).legend(sample);
    Ok(())
}

/// The names of the curves.
pub fn legend<'a, 'b: 'a>(chart: &mut Chart<'a, 'b>, position: SeriesLabelPosition) -> Drawn {
    chart
        .configure_series_labels()
        .position(position)
        .margin(px(8.0))
        .legend_area_size(px(26.0))
        .label_font(letters(12.0, INK))
        .background_style(WHITE.mix(0.85))
        .border_style(FAINT.mix(0.4))
        .draw()?;
    Ok(())
}
