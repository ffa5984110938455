//! What can be said to a sampler beside its steps: all groups of options, and those that several samplers share. Those
//! of one sampler are in its file.
//!
//! A new option is a field of its group; a new group is also a line in `options_in_groups!`.

use super::option_groups::{options, options_in_groups};
use super::{Churn, Correction, LangevinSteps};

options_in_groups! {
    multistep: MultistepOrder,
    new_noise: NewNoise,
    churn: Churn,
    correction: Correction,
    langevin: LangevinSteps,
    end: PublishedEnd,
    tolerances: Tolerances,
}

options! {
    /// How far a multistep method looks back.
    MultistepOrder {
        /// How many past values a step of `unipc` (1 to 3), `deis` or `lms` (1 to 4) goes by. Without it, 2, 3 and 4.
        #[schemars(range(min = 1, max = 4))]
        order: usize,
    }
}

options! {
    /// How random a path is.
    NewNoise {
        /// How much of the noise is new in `ddim` (0, the default, is deterministic) and `dpm++2m-sde` (1 without it).
        #[schemars(range(min = 0.0, max = 1.0))]
        eta: f64,
    }
}

options! {
    /// The end of a path.
    PublishedEnd {
        /// Whether the path ends as in the code of the publication instead: `euler-maruyama` with one more Euler step
        /// from `sde.t_min` (score_sde), `reverse-diffusion` and `predictor-corrector` with the mean of their step
        /// (score_sde), `lms` and `pndm` with a step that extrapolates to no noise (diffusers). Only to repeat
        /// published numbers: the first amplifies noise where steps are few, `lms` the rounding of floats where they
        /// are many.
        published_end: bool,
    }
}

impl PublishedEnd {
    /// Whether the path is to end as published; not, where nothing is said.
    pub(super) fn published(&self) -> bool {
        self.published_end.unwrap_or(false)
    }
}

options! {
    /// What a step may err by.
    Tolerances {
        /// The error that a step of `rk45` or `adaptive-sde` may make in a coordinate, relative to the coordinate.
        /// Without it, 1e-5 and 1e-2.
        #[schemars(range(min = 1e-6, max = 0.1))]
        rtol: f64,
        /// The error that it may make beside that, in units of x. Without it, 1e-5 and 1e-2.
        #[schemars(range(min = 1e-6, max = 1.0))]
        atol: f64,
    }
}
