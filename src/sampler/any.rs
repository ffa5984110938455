//! Samplers of either kind.

use super::{AdaptiveSampler, Grid, Obstacle, Sampler, obstacle};
use crate::sde::Sde;

/// A sampler: in steps that are laid down beforehand, or in each sample's own.
pub enum AnySampler<'a> {
    /// In the steps of a grid.
    Stepwise(Box<dyn Sampler + 'a>),
    /// By a tolerance.
    Adaptive(Box<dyn AdaptiveSampler + 'a>),
}

/// A sampler in laid down steps.
pub(super) fn stepwise(sampler: impl Sampler + 'static) -> AnySampler<'static> {
    AnySampler::Stepwise(Box::new(sampler))
}

/// A sampler by a tolerance.
pub(super) fn adaptive(sampler: impl AdaptiveSampler + 'static) -> AnySampler<'static> {
    AnySampler::Adaptive(Box::new(sampler))
}

impl AnySampler<'_> {
    /// The name on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stepwise(sampler) => sampler.name(),
            Self::Adaptive(sampler) => sampler.name(),
        }
    }

    /// The order of convergence: of the path where it is deterministic, else of the law; `None` as for
    /// [`Sampler::order`].
    pub fn order(&self) -> Option<usize> {
        match self {
            Self::Stepwise(sampler) => sampler.order(),
            Self::Adaptive(sampler) => Some(sampler.order()),
        }
    }

    /// Evaluations of the model in a step, or a try of one.
    pub fn evaluations_per_step(&self) -> usize {
        match self {
            Self::Stepwise(sampler) => sampler.evaluations_per_step(),
            Self::Adaptive(sampler) => sampler.evaluations_per_try(),
        }
    }

    /// Draws of normal numbers in each step; 0 if nothing is random after the prior draw.
    pub fn draws(&self) -> usize {
        match self {
            Self::Stepwise(sampler) => sampler.draws(),
            Self::Adaptive(sampler) => sampler.draws(),
        }
    }

    /// Rows of its table for a grid; none where there is no table.
    pub fn rows(&self, grid: &Grid) -> usize {
        match self {
            Self::Stepwise(sampler) => sampler.rows(grid),
            Self::Adaptive(_) => 0,
        }
    }

    /// The fewest steps of a grid that its order makes sense with.
    pub fn least_steps(&self) -> usize {
        match self {
            Self::Stepwise(sampler) => sampler.least_steps(),
            Self::Adaptive(_) => 1,
        }
    }

    /// As [`obstacle`]; an adaptive sampler goes by no grid.
    pub fn obstacle(&self, sde: &dyn Sde, grid: &Grid) -> Option<Obstacle> {
        match self {
            Self::Stepwise(sampler) => obstacle(sampler.as_ref(), sde, grid),
            Self::Adaptive(sampler) => (sampler.needs_signal() && sde.loses_all_signal()).then_some(Obstacle::Sampler),
        }
    }
}
