//! `[loss]`: what is minimised.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Violation;
use super::table::{Keys, choices};
use crate::loss::{Noise, Projection, Projections, Reduce, Weighting};
use crate::sde::Parameterisation;

choices! {
    /// What is minimised: an objective of score matching. All have the same minimum; they differ in what they need to
    /// know, in what a step costs, and in the variance of its gradient.
    Loss in "loss" default Some("denoising"), {
        /// Denoising score matching.
        "denoising" => Denoising,
        /// Explicit score matching.
        "explicit" => Explicit,
        /// Implicit score matching.
        "implicit" => Implicit,
        /// Sliced score matching.
        "sliced" => Sliced,
        /// Sliced score matching with reduced variance.
        "sliced-vr" => SlicedVr,
        /// Sliced score matching by finite differences.
        "sliced-fd" => SlicedFd,
    }
}

/// The keys that every kind has: what the network puts out, and how noise levels are drawn and counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// At which noise the score is matched.
    pub noise: Noise,
    /// What the network puts out.
    pub parameterisation: Parameterisation,
    /// Weight of a noise level.
    pub weighting: Weighting,
    /// The smallest time that training draws.
    pub t_min: f64,
    /// Over coordinates.
    pub reduce: Reduce,
}

impl Loss {
    /// The keys that every kind has.
    pub fn levels(&self) -> Levels {
        match self {
            Self::Denoising(loss) => loss.levels(),
            Self::Explicit(loss) => loss.levels(),
            Self::Implicit(loss) => loss.levels(),
            Self::Sliced(loss) => loss.levels(),
            Self::SlicedVr(loss) => loss.levels(),
            Self::SlicedFd(loss) => loss.levels(),
        }
    }

    /// What has no meaning, whatever the other tables say.
    pub(super) fn check(&self) -> Result<(), Violation> {
        let Levels { noise, parameterisation, weighting, .. } = self.levels();
        if noise == Noise::All {
            return Ok(());
        }
        let violation = |key: &str, wanted: &str| Err(Violation::new(key, wanted));
        match self {
            Self::Denoising(_) => {
                violation("loss.noise", "denoising needs noise: must be \"all\", or choose another loss.kind")
            }
            _ if parameterisation != Parameterisation::Score => violation(
                "loss.parameterisation",
                "must be \"score\" where loss.noise = \"none\": the others divide by the noise that there is not",
            ),
            _ if weighting != Weighting::Uniform => violation(
                "loss.weighting",
                "must be \"uniform\" where loss.noise = \"none\": there is one level, and no noise to weight it by",
            ),
            _ => Ok(()),
        }
    }
}

/// Declares kinds: a struct each, of its own keys and those that all have.
macro_rules! objectives {
    ($(
        $(#[doc = $about:literal])*
        $name:ident { $($(#[$attribute:meta])* $key:ident: $type:ty = $default:expr,)* }
    )+) => {$(
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$attribute])* pub $key: $type,)*
            /// At which noise the score is matched.
            pub noise: Noise,
            /// What the network puts out. Without noise only `score` has a meaning.
            pub parameterisation: Parameterisation,
            /// Weight of a noise level on the squared error of the score. Without noise only `uniform` has a meaning.
            pub weighting: Weighting,
            /// The smallest time that training draws; times are even from here to 1. At most `sde.t_min`, so that the
            /// network knows what the last sampling steps ask.
            #[schemars(range(min = 1e-9, max = 0.999))]
            pub t_min: f64,
            /// How what a sample's coordinates contribute becomes one number.
            pub reduce: Reduce,
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($key: $default,)*
                    noise: Noise::All,
                    parameterisation: Parameterisation::Preconditioned,
                    weighting: Weighting::Sigma2,
                    t_min: 1e-5,
                    reduce: Reduce::Mean,
                }
            }
        }

        impl $name {
            fn levels(&self) -> Levels {
                let Self { noise, parameterisation, weighting, t_min, reduce, .. } = *self;
                Levels { noise, parameterisation, weighting, t_min, reduce }
            }
        }

        impl Keys for $name {}
    )+};
}

/// Declares kinds that take directions.
macro_rules! sliced {
    ($(
        $(#[doc = $about:literal])*
        $name:ident { $($own:tt)* }
    )+) => {
        objectives! {$(
            $(#[doc = $about])*
            $name {
                /// The law of a direction v.
                projection: Projection = Projection::default(),
                /// Directions that are averaged for each sample.
                #[schemars(range(min = 1, max = 65536))]
                projections: usize = 1,
                $($own)*
            }
        )+}

        $(impl $name {
            /// The directions of an estimate.
            pub fn directions(&self) -> Projections {
                Projections { law: self.projection, count: self.projections }
            }
        })+
    };
}

objectives! {
    /// `E ½ ‖score + epsilon / sigma‖²` (Vincent 2011): the noise that was added is the target. One evaluation of the
    /// network and no derivative in x; always at noise.
    Denoising {}

    /// `E ½ ‖score - ∇ log p‖²` (Hyvärinen 2005): the score itself is the target, and the least loss is 0. Only for data that
    /// knows its score (`mixture`, `eight-gaussians`).
    Explicit {}

    /// `E[tr ∇score + ½ ‖score‖²]` (Hyvärinen 2005), with the exact trace by as many derivatives as the data has
    /// coordinates: costs time and memory in proportion to them. The loss may be below 0.
    Implicit {}
}

sliced! {
    /// `E[vᵀ ∇score v + ½ (vᵀ score)²]` over random directions v (Song, Garg, Shi and Ermon 2019): one derivative for each
    /// direction, whatever the number of coordinates. The loss may be below 0.
    Sliced {}

    /// `E[vᵀ ∇score v + ½ ‖score‖²]` over random directions v (Song, Garg, Shi and Ermon 2019): the same with less variance.
    /// The loss may be below 0.
    SlicedVr {}

    /// `E[vᵀ (score₊ - score₋) / 2h + ⅛ (vᵀ (score₊ + score₋))²]` over random directions v, with the scores at `x ± h v`
    /// (Pang et al. 2020): two evaluations of the network for each direction and no derivative in x. The loss may be below 0.
    SlicedFd {
        /// h, in units of the noise's standard deviation, or of the data where `noise = "none"`. Errors grow with its
        /// square; rounding forbids much less.
        #[schemars(range(min = 1e-5, max = 1.0))]
        step: f64 = 0.05,
    }
}
