//! Samplers: from the prior back to data.
//!
//! A [`Sampler`] is two things: `coefficients`, a table of f64 numbers with one row a step, computed on the host; and
//! `step`, a function over graph values traced once, which reads the row that the sampler's clock points at. So the
//! number of steps recompiles nothing. A new sampler is one file and a line in [`SAMPLERS`].

pub mod dormand_prince;
mod euler_maruyama;
mod grid;
mod guidance;
mod inpainting;
mod ode_euler;
mod ode_heun;
mod program;
mod table;

pub use euler_maruyama::EulerMaruyama;
pub use grid::{Grid, Spacing};
pub use guidance::Guided;
pub use inpainting::{Inpainting, names as inpainting_names};
pub use ode_euler::OdeEuler;
pub use ode_heun::OdeHeun;
pub use program::{names, prior_draw, sampling_step, score_graph};
pub use table::{Row, flatten};

use crate::graph::{Graph, Value};
use crate::sde::{Model, Sde};

/// A way to take samples from t_max to t_min.
pub trait Sampler {
    /// The name on the command line.
    fn name(&self) -> &'static str;

    /// The order of convergence in the number of steps: of the path where it is deterministic, else of the law.
    fn order(&self) -> usize;

    /// Evaluations of the model in each step.
    fn evaluations_per_step(&self) -> usize;

    /// The names of the table's columns.
    fn columns(&self) -> &'static [&'static str];

    /// The table: `grid.steps` rows of as many numbers as there are columns.
    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>>;

    /// One step from `x` (`[Batch, D]`) to the next, with the numbers of `row`. Noise is drawn with `row.clock`.
    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value;
}

/// Makes a sampler.
type Make = fn() -> Box<dyn Sampler>;

/// Every sampler, by name.
pub const SAMPLERS: &[(&str, Make)] = &[
    ("euler-maruyama", || Box::new(EulerMaruyama)),
    ("ode-euler", || Box::new(OdeEuler)),
    ("ode-heun", || Box::new(OdeHeun)),
];

/// The sampler of this name.
pub fn sampler(name: &str) -> Option<Box<dyn Sampler>> {
    SAMPLERS.iter().find(|(known, _)| *known == name).map(|(_, make)| make())
}
