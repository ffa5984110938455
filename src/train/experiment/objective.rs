//! The config's objective.

use crate::config;
use crate::loss::{Denoising, Explicit, Implicit, Matching, Objective, ScoreMatching, Sliced, SlicedFd, SlicedVr};
use crate::nn;
use crate::train::experiment::Experiment;

impl Experiment {
    /// What training minimises.
    pub(in crate::train) fn objective(&self) -> Box<dyn Objective> {
        let levels = self.config.loss.levels();
        let config::Levels { noise, t_min, reduce, .. } = levels;
        let weighting = levels.weighting(self.sigma_data);
        let time = levels.time(self.config.train.batch, self.micro_batches());
        let matching: Box<dyn Matching> = match &self.config.loss {
            config::Loss::Denoising(_) => return Box::new(Denoising { weighting, reduce, time, t_min }),
            config::Loss::Explicit(_) => Box::new(Explicit { density: self.density() }),
            config::Loss::Implicit(_) => Box::new(Implicit),
            config::Loss::Sliced(loss) => Box::new(Sliced { projections: loss.directions() }),
            config::Loss::SlicedVr(loss) => Box::new(SlicedVr { projections: loss.directions() }),
            config::Loss::SlicedFd(loss) => Box::new(SlicedFd { projections: loss.directions(), step: loss.step }),
        };
        Box::new(ScoreMatching { matching, noise, weighting, reduce, time, t_min })
    }

    /// Whether an evaluation also says what loss the exact score has.
    pub fn knows_least_loss(&self) -> bool {
        self.mixture.is_some() && matches!(self.config.loss, config::Loss::Denoising(_))
    }

    /// The data's own density, for what was checked to have one.
    pub(in crate::train) fn density(&self) -> nn::ExactMixture {
        let mixture = self.mixture.as_ref().expect("the config was checked: the data knows its density");
        nn::ExactMixture { components: mixture.components(), dims: mixture.dim() }
    }
}
