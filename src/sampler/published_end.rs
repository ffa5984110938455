//! How paths end in the code of publications.

use super::options::options;

options! {
    /// The end of a path.
    PublishedEnd {
        /// Whether the path ends as in the code of the publication instead: `euler-maruyama` with one more Euler step from
        /// `sde.t_min` (score_sde), `reverse-diffusion` and `predictor-corrector` with the mean of their step (score_sde),
        /// `lms` and `pndm` with a step that extrapolates to no noise (diffusers). Only to repeat published numbers: the
        /// first amplifies noise where steps are few, `lms` the rounding of floats where they are many.
        published_end: bool,
    }
}

impl PublishedEnd {
    /// Whether the path is to end as published; not, where nothing is said.
    pub(super) fn published(&self) -> bool {
        self.published_end.unwrap_or(false)
    }
}
