//! `[data]`: what is learned.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Violation;
use super::table::{Keys, choices};
use crate::data::{self, DataError, Dataset, Toy, Width};
use crate::number::short;

choices! {
    /// What is learned. The toys `two-moons`, `swiss-roll`, `checkerboard` and `eight-gaussians` are points in the
    /// plane, about 1 in size. Every sixth sample is held out of training, for the held-out loss.
    Data in "data" default None, {
        /// Handwritten digits.
        "digits" => Digits,
        /// Two interleaved half circles.
        "two-moons" => TwoMoons,
        /// A spiral.
        "swiss-roll" => SwissRoll,
        /// Every other field of a board.
        "checkerboard" => Checkerboard,
        /// Eight Gaussians on a circle.
        "eight-gaussians" => EightGaussians,
        /// A Gaussian mixture.
        "mixture" => Mixture,
        /// Samples of one's own.
        "file" => File,
    }
}

impl Data {
    /// Whether the score is known at every noise level; [`Dataset::exact`] then has it.
    pub fn knows_its_score(&self) -> bool {
        matches!(self, Self::Mixture(_) | Self::EightGaussians(_) | Self::TwoMoons(_) | Self::SwissRoll(_))
    }

    /// The noise below which scores see 99 % of what there is to see of the weights of modes, to three digits.
    pub(super) fn visible_sigma(&self) -> Result<f64, String> {
        let needs = "needs modes whose shares are to be seen: data.kind must be mixture, with two or more means and unequal \
                     weights, or sde.sigma_max a number";
        let Self::Mixture(mixture) = self else { return Err(needs.to_owned()) };
        let exact = mixture.exact().map_err(|error| error.to_string())?;
        let sigma = data::Line::along_longest(&exact).and_then(|line| line.noise_that_shows(0.99));
        let sigma = sigma.ok_or_else(|| needs.to_owned())?;
        Ok(short(sigma, 3).parse().unwrap_or(sigma))
    }

    /// Coordinates of a sample, where they are known before a file is read.
    pub fn dims(&self) -> Option<usize> {
        match self {
            Self::Digits(_) => Some(64),
            Self::Mixture(mixture) => mixture.means.first().map(Vec::len),
            Self::TwoMoons(_) | Self::SwissRoll(_) | Self::Checkerboard(_) | Self::EightGaussians(_) => Some(2),
            Self::File(_) => None,
        }
    }

    /// Draws, unpacks or reads the samples.
    ///
    /// # Errors
    /// The file of kind `file` cannot be read or holds no samples.
    pub fn dataset(&self) -> Result<Dataset, DataError> {
        match self {
            Self::Digits(_) => data::digits(),
            Self::TwoMoons(toy) => Toy::TwoMoons.dataset(toy.n, toy.seed),
            Self::SwissRoll(toy) => Toy::SwissRoll.dataset(toy.n, toy.seed),
            Self::Checkerboard(toy) => Toy::Checkerboard.dataset(toy.n, toy.seed),
            Self::EightGaussians(toy) => Toy::EightGaussians.dataset(toy.n, toy.seed),
            Self::Mixture(mixture) => mixture.exact()?.dataset(self.kind(), mixture.n, mixture.seed),
            Self::File(file) => data::load(&file.path),
        }
    }
}

/// The 1,797 handwritten digits of the UCI repository that come with tweedie: 8x8 pixels, from -1 (paper) to 1 (ink).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Digits {}

impl Keys for Digits {}

/// Declares a toy: all have the same keys.
macro_rules! toys {
    ($($(#[doc = $about:literal])* $name:ident),+) => {
        $(
            $(#[doc = $about])*
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
            #[serde(default, deny_unknown_fields)]
            pub struct $name {
                /// Number of points drawn, the held-out ones among them.
                #[schemars(range(min = 6, max = 10_000_000))]
                pub n: usize,
                /// Seed of the points; the same seed gives the same data set.
                #[schemars(range(min = 0, max = 9223372036854775807u64))]
                pub seed: u64,
            }

            impl Default for $name {
                fn default() -> Self {
                    Self { n: default_n(), seed: 0 }
                }
            }

            impl Keys for $name {}
        )+
    };
}

toys! {
    /// Two interleaved half circles in the plane, blurred by Gaussian noise. Knows its exact score.
    TwoMoons,
    /// A spiral of one and a half turns in the plane, blurred by Gaussian noise. Knows its exact score.
    SwissRoll,
    /// Points spread evenly over every other field of a 4x4 board in the plane. Its density jumps.
    Checkerboard,
    /// Eight Gaussians of equal weight and width 0.1, their centres evenly spaced on a circle around the origin of the
    /// plane. Knows its exact score.
    EightGaussians
}

fn default_n() -> usize {
    12_000
}

/// A Gaussian mixture of any dimension, the axes independent within a component. Knows its exact score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mixture {
    /// Share of each component; they sum to 1 within 1e-6.
    #[schemars(length(min = 1), extend("items" = {"type": "number", "minimum": 1e-30}))]
    pub weights: Vec<f64>,
    /// Centre of each component, as many coordinates as the data has dimensions, each at most 1e17 in size.
    #[schemars(length(min = 1))]
    pub means: Vec<Vec<f64>>,
    /// Standard deviation of each component, from 1e-18 to 1e17: one number for all its axes, or one per axis.
    #[schemars(length(min = 1))]
    pub widths: Vec<Width>,
    /// Number of points drawn, the held-out ones among them.
    #[serde(default = "default_n")]
    #[schemars(range(min = 6, max = 10_000_000))]
    pub n: usize,
    /// Seed of the points; the same seed gives the same data set.
    #[serde(default)]
    #[schemars(range(min = 0, max = 9223372036854775807u64))]
    pub seed: u64,
}

impl Mixture {
    /// The distribution itself.
    ///
    /// # Errors
    /// The numbers make no mixture. Those of a config that was read do.
    pub fn exact(&self) -> Result<data::Mixture, DataError> {
        data::Mixture::new(&self.weights, &self.means, &self.widths)
    }
}

impl Keys for Mixture {
    fn check(&self) -> Result<(), Violation> {
        match self.exact() {
            Ok(_) => Ok(()),
            Err(DataError::Mixture { key, found, expected }) => {
                Err(Violation::new(&key, &format!("found {found}; expected {expected}")))
            }
            Err(other) => Err(Violation::new("weights", &other.to_string())),
        }
    }
}

/// Samples from a file: a NumPy array (.npy) whose first axis counts the samples, each of any shape; a table of numbers
/// (.csv); or images as the field keeps them (IDX, CIFAR-10's binary batches, a folder of pictures).
///
/// Numbers are used as they are, and should be about 1 in size; above 1e18 they are refused, and so are data whose
/// largest is below 1e-18. A .npy holds f32, f64, f16 or u8 (`<f4`, `<f8`, `<f2`, `|u1`), little-endian and in C order;
/// images are `(N, H, W)` or `(N, H, W, C)` with C = 1 or 3, and u8 is taken for images: 0 to 255 become -1 to 1, as in
/// all files of images. The cells of a .csv are separated by commas, semicolons or tabs; a first line without numbers
/// is a header. Of a folder, the .png, .jpg and .jpeg files directly in it are read, in order of their names; all have
/// one size; where one has colour, all are taken as colour; transparency is dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The file or folder, seen from the directory in which tweedie is called.
    pub path: PathBuf,
}

impl Keys for File {}
