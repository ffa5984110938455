//! Pictures of runs: image grids, scatters, curves of losses and others, score fields and trajectories, as `.png` and `.gif`.
//!
//! The functions take plain slices and a path, and write whole files or none. Nothing here panics on data that is empty,
//! constant or not finite: an empty panel says so, pixels that are not finite are vermilion, and points that cannot be
//! shown are counted in the panel's title.

mod axis;
mod canvas;
mod chart;
mod curves;
mod error;
mod field;
mod grid;
mod loss;
mod scatter;
mod trajectory;
mod view;

pub use curves::{Curves, write_curves};
pub use error::PictureError;
pub use field::{ScoreField, write_field};
pub use grid::{GridLayout, write_grid};
pub use loss::{LossCurves, write_loss};
pub use scatter::{Panel, write_scatter};
pub use trajectory::{write_grid_gif, write_grid_strip, write_scatter_gif, write_scatter_strip};
pub use view::View;
