//! Samplers: from the prior back to data.
//!
//! A [`Sampler`] is two things: `coefficients`, a table of f64 numbers with one row for each run of the step, computed
//! on the host; and `step`, a function over graph values traced once, which reads the row that the sampler's clock
//! points at. So neither the number of steps nor the lower order of a multistep method's first steps recompiles
//! anything. What lasts between steps is a state. An [`AdaptiveSampler`] has no table: each sample chooses its own
//! steps, by a tolerance. [`AnySampler`] is one of either kind.
//!
//! A new sampler is one file and a line in [`SAMPLERS`]: its file says its name, its options and how it is made of them
//! ([`SamplerKind`]), and configs and the command line follow. Options that several samplers share are in
//! [`SamplerOptions`]'s file.

mod adams;
pub mod adaptive;
mod adaptive_sde;
mod ancestral;
mod annealed_langevin;
mod any;
pub mod brownian_tree;
mod ddim;
mod deis;
pub mod dormand_prince;
mod dpm_2m;
mod dpm_2m_sde;
mod dpm_3m;
mod edm_stochastic;
mod euler_maruyama;
mod grid;
mod guidance;
mod history;
mod inpainting;
mod kind;
mod level;
mod lms;
mod ode_euler;
mod ode_heun;
mod option_groups;
mod options;
mod particle_weights;
mod pndm;
mod predictor_corrector;
mod program;
mod reverse_diffusion;
mod rk45;
mod sra1;
pub mod states;
mod step_control;
mod table;
mod twisted;
mod unipc;

pub use adaptive::AdaptiveSampler;
pub use adaptive_sde::AdaptiveSde;
pub use ancestral::Ancestral;
pub use annealed_langevin::{AnnealedLangevin, LangevinSteps};
pub use any::AnySampler;
use any::{adaptive, stepwise};
pub use ddim::Ddim;
pub use deis::Deis;
pub use dpm_2m::Dpm2m;
pub use dpm_2m_sde::Dpm2mSde;
pub use dpm_3m::Dpm3m;
pub use edm_stochastic::{Churn, EdmStochastic};
pub use euler_maruyama::EulerMaruyama;
pub use grid::{Grid, Spacing};
pub use guidance::Guided;
pub use inpainting::Inpainting;
pub use kind::{SamplerKind, adaptive_samplers, sampler, sampler_with, stepwise_samplers};
pub use level::Level;
pub use lms::Lms;
pub use ode_euler::OdeEuler;
pub use ode_heun::OdeHeun;
pub use options::{MultistepOrder, NewNoise, PublishedEnd, SamplerOptions, Tolerances};
pub use particle_weights::ParticleWeights;
pub use pndm::Pndm;
pub use predictor_corrector::{Correction, Norms, PredictorCorrector};
pub use program::{
    adaptive_begin, adaptive_step, denoised_end, prior_draw, sampling_step, sampling_step_with, score_graph,
};
pub use reverse_diffusion::ReverseDiffusion;
pub use rk45::Rk45;
pub use sra1::Sra1;
pub use table::{Column, Noise, Row, expand, flatten, row_width};
pub use twisted::Twisted;
pub use unipc::UniPc;

use crate::graph::{Graph, Value};
use crate::sde::{Model, Sde};

/// Every sampler, in the order of the documentation.
pub const SAMPLERS: &[SamplerKind] = &[
    EulerMaruyama::KIND,
    ReverseDiffusion::KIND,
    Ancestral::KIND,
    PredictorCorrector::KIND,
    AnnealedLangevin::KIND,
    Dpm2mSde::KIND,
    Sra1::KIND,
    EdmStochastic::KIND,
    OdeEuler::KIND,
    OdeHeun::KIND,
    Ddim::KIND,
    Dpm2m::KIND,
    Dpm3m::KIND,
    UniPc::KIND,
    Deis::KIND,
    Lms::KIND,
    Pndm::KIND,
    Rk45::KIND,
    AdaptiveSde::KIND,
];

/// A way to take samples from t_max to t_min.
pub trait Sampler {
    /// The name on the command line.
    fn name(&self) -> &'static str;

    /// The order of convergence in the number of steps: of the path where it is deterministic, else of the law. `None`
    /// where a part of the error does not fall with that number.
    fn order(&self) -> Option<usize>;

    /// Evaluations of the model in each step.
    fn evaluations_per_step(&self) -> usize;

    /// Evaluations of the model on the whole way.
    fn evaluations(&self, grid: &Grid) -> usize {
        grid.steps * self.evaluations_per_step()
    }

    /// How often the step runs for a grid, each time with the table's next row.
    fn rows(&self, grid: &Grid) -> usize {
        grid.steps
    }

    /// The fewest steps of a grid that its order makes sense with.
    fn least_steps(&self) -> usize {
        1
    }

    /// Draws of normal numbers in each run of the step; 0 if nothing is random after the prior draw.
    fn draws(&self) -> usize {
        0
    }

    /// The names of the states (`[Batch, D]`) that last between steps, beside x. They start at 0.
    fn states(&self) -> &'static [&'static str] {
        &[]
    }

    /// The table's columns. The first is the time of the row.
    fn columns(&self) -> &'static [Column];

    /// The table: [`rows`](Self::rows) rows of as many numbers as there are columns. A step to a level without noise
    /// gives the denoised mean, unless `published_end` says otherwise.
    fn coefficients(&self, sde: &dyn Sde, grid: &Grid) -> Vec<Vec<f64>>;

    /// One step from `x` (`[Batch, D]`) to the next, with the numbers of `row`, which also gives the noise.
    fn step(&self, graph: &mut Graph, model: &dyn Model, x: Value, row: &Row) -> Value;
}

/// Why a sampler cannot run on a grid of a process, if it cannot: the process has no signal at t_max, and the spacing
/// or the sampler needs some; or the grid has levels that numbers do not tell apart.
pub fn obstacle(sampler: &dyn Sampler, sde: &dyn Sde, grid: &Grid) -> Option<Obstacle> {
    // The steps that will be taken: fewer would not be as close to each other.
    let levels = grid.levels(sde);
    let times = levels.iter().filter(|level| !level.is_clean()).map(|level| level.t);
    // Times that fall are numbers, too.
    if !times.is_sorted_by(|earlier, later| earlier > later) {
        let has_signal = sde.at(sde.t_max()).noise_to_signal().is_finite();
        return Some(if has_signal { Obstacle::Levels } else { Obstacle::Spacing });
    }
    if levels.windows(2).any(|pair| pair[0].growth(&pair[1]) <= 0.0) {
        return Some(Obstacle::Levels);
    }
    let finite = sampler.coefficients(sde, grid).iter().flatten().all(|number| number.is_finite());
    (!finite).then_some(Obstacle::Sampler)
}

/// What is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The spacing of the grid needs some signal at t_max.
    Spacing,
    /// The sampler needs some.
    Sampler,
    /// Neighbouring levels of the grid are equal, or too far apart for numbers to hold.
    Levels,
}
