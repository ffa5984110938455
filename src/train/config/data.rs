//! `[data]`: what is learned.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Violation;
use super::table::{Keys, choices};

choices! {
    /// What is learned. The toys `two-moons`, `swiss-roll`, `checkerboard` and `eight-gaussians` are points in the
    /// plane.
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
        /// A NumPy file.
        "npy" => Npy,
    }
}

impl Data {
    /// Whether the density, and so the score at every noise level, is known in closed form.
    pub fn knows_its_score(&self) -> bool {
        self.mixture().is_some()
    }

    /// The Gaussian mixture that the data is drawn from, where it is one.
    pub fn mixture(&self) -> Option<Mixture> {
        match self {
            Self::Mixture(mixture) => Some(mixture.clone()),
            Self::EightGaussians(circle) => Some(circle.mixture()),
            _ => None,
        }
    }

    /// Share of the samples that is kept out of training, in [0, 1).
    pub fn held_out(&self) -> f64 {
        match self {
            Self::Digits(data) => data.held_out,
            Self::TwoMoons(data) => data.held_out,
            Self::SwissRoll(data) => data.held_out,
            Self::Checkerboard(data) => data.held_out,
            Self::EightGaussians(data) => data.held_out,
            Self::Mixture(data) => data.held_out,
            Self::Npy(data) => data.held_out,
        }
    }
}

const N: usize = 10_000;
const HELD_OUT: f64 = 0.1;

/// The 1,797 handwritten digits of the UCI repository that come with tweedie: 8x8 pixels, scaled to [-1, 1].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Digits {
    /// Share of the images that is kept out of training, for the held-out loss.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub held_out: f64,
}

impl Default for Digits {
    fn default() -> Self {
        Self { held_out: HELD_OUT }
    }
}

impl Keys for Digits {}

/// Two interleaved half circles in the plane, blurred by Gaussian noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TwoMoons {
    /// Number of points drawn, the held-out ones among them.
    #[schemars(range(min = 1))]
    pub n: usize,
    /// Seed of the points; the same seed gives the same data set.
    pub seed: u64,
    /// Standard deviation of the blur, in the units of the data (the half circles have radius 1).
    #[schemars(range(min = 0.0))]
    pub noise: f64,
    /// Share of the points that is kept out of training, for the held-out loss.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub held_out: f64,
}

impl Default for TwoMoons {
    fn default() -> Self {
        Self { n: N, seed: 0, noise: 0.05, held_out: HELD_OUT }
    }
}

impl Keys for TwoMoons {}

/// A spiral of one and a half turns in the plane, blurred by Gaussian noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SwissRoll {
    /// Number of points drawn, the held-out ones among them.
    #[schemars(range(min = 1))]
    pub n: usize,
    /// Seed of the points; the same seed gives the same data set.
    pub seed: u64,
    /// Standard deviation of the blur, in the units of the data.
    #[schemars(range(min = 0.0))]
    pub noise: f64,
    /// Share of the points that is kept out of training, for the held-out loss.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub held_out: f64,
}

impl Default for SwissRoll {
    fn default() -> Self {
        Self { n: N, seed: 0, noise: 0.5, held_out: HELD_OUT }
    }
}

impl Keys for SwissRoll {}

/// Points spread evenly over every other field of a 4x4 board in the plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Checkerboard {
    /// Number of points drawn, the held-out ones among them.
    #[schemars(range(min = 1))]
    pub n: usize,
    /// Seed of the points; the same seed gives the same data set.
    pub seed: u64,
    /// Share of the points that is kept out of training, for the held-out loss.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub held_out: f64,
}

impl Default for Checkerboard {
    fn default() -> Self {
        Self { n: N, seed: 0, held_out: HELD_OUT }
    }
}

impl Keys for Checkerboard {}

/// Eight Gaussians of equal weight, their centres evenly spaced on a circle around the origin of the plane. Knows its
/// exact score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EightGaussians {
    /// Number of points drawn, the held-out ones among them.
    #[schemars(range(min = 1))]
    pub n: usize,
    /// Seed of the points; the same seed gives the same data set.
    pub seed: u64,
    /// Radius of the circle of centres.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub radius: f64,
    /// Standard deviation of each Gaussian, in both axes.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub noise: f64,
    /// Share of the points that is kept out of training, for the held-out loss.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub held_out: f64,
}

impl Default for EightGaussians {
    fn default() -> Self {
        Self { n: N, seed: 0, radius: 2.0, noise: 0.2, held_out: HELD_OUT }
    }
}

impl EightGaussians {
    /// The same density, spelled out. The first centre lies on the positive x axis.
    pub fn mixture(&self) -> Mixture {
        let centre = |k: usize| {
            let angle = k as f64 * std::f64::consts::FRAC_PI_4;
            vec![self.radius * angle.cos(), self.radius * angle.sin()]
        };
        Mixture {
            weights: vec![0.125; 8],
            means: (0..8).map(centre).collect(),
            widths: Widths::Isotropic(vec![self.noise; 8]),
            n: self.n,
            seed: self.seed,
            held_out: self.held_out,
        }
    }
}

impl Keys for EightGaussians {}

/// A Gaussian mixture of any dimension, the axes independent within a component. Knows its exact score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mixture {
    /// Relative weight of each component; they are divided by their sum.
    #[schemars(length(min = 1), extend("items" = {"type": "number", "exclusiveMinimum": 0.0}))]
    pub weights: Vec<f64>,
    /// Centre of each component, as many coordinates as the data has dimensions.
    #[schemars(length(min = 1))]
    pub means: Vec<Vec<f64>>,
    /// Standard deviation of each component: one number for all its axes, or one per axis.
    pub widths: Widths,
    /// Number of points drawn, the held-out ones among them.
    #[serde(default = "default_n")]
    #[schemars(range(min = 1))]
    pub n: usize,
    /// Seed of the points; the same seed gives the same data set.
    #[serde(default)]
    pub seed: u64,
    /// Share of the points that is kept out of training, for the held-out loss.
    #[serde(default = "default_held_out")]
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub held_out: f64,
}

fn default_n() -> usize {
    N
}

fn default_held_out() -> f64 {
    HELD_OUT
}

/// Standard deviations of a mixture's components.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Widths {
    /// One per component.
    Isotropic(Vec<f64>),
    /// One per component and axis.
    PerAxis(Vec<Vec<f64>>),
}

impl Mixture {
    /// Number of coordinates of a point.
    pub fn dimension(&self) -> usize {
        self.means.first().map_or(0, Vec::len)
    }

    /// The weights divided by their sum.
    pub fn normalized_weights(&self) -> Vec<f64> {
        let sum: f64 = self.weights.iter().sum();
        self.weights.iter().map(|weight| weight / sum).collect()
    }

    /// Standard deviations, one row per component with one entry per axis.
    pub fn widths_per_axis(&self) -> Vec<Vec<f64>> {
        match &self.widths {
            Widths::Isotropic(widths) => widths.iter().map(|width| vec![*width; self.dimension()]).collect(),
            Widths::PerAxis(widths) => widths.clone(),
        }
    }
}

impl Keys for Mixture {
    fn check(&self) -> Result<(), Violation> {
        let (components, dimension) = (self.weights.len(), self.dimension());
        if self.means.len() != components {
            let wanted = format!(
                "must have one entry per component: data.weights has {components}, this has {}",
                self.means.len()
            );
            return Err(Violation::new("means", &wanted));
        }
        if dimension == 0 {
            return Err(Violation::new("means[0]", "must have at least one coordinate"));
        }
        if let Some(index) = self.means.iter().position(|mean| mean.len() != dimension) {
            let wanted = format!("must have as many coordinates as data.means[0], {dimension}");
            return Err(Violation::new(&format!("means[{index}]"), &wanted));
        }
        let widths = self.widths_per_axis();
        if widths.len() != components {
            let wanted =
                format!("must have one entry per component: data.weights has {components}, this has {}", widths.len());
            return Err(Violation::new("widths", &wanted));
        }
        if let Some(index) = widths.iter().position(|axes| axes.len() != dimension) {
            let wanted = format!("must have one width per axis, {dimension}, as data.means has coordinates");
            return Err(Violation::new(&format!("widths[{index}]"), &wanted));
        }
        if let Some(index) = widths.iter().position(|axes| axes.iter().any(|width| *width <= 0.0)) {
            return Err(Violation::new(&format!("widths[{index}]"), "must be > 0"));
        }
        Ok(())
    }
}

/// Samples from a NumPy file: an array of floats whose first axis counts the samples, each of any shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Npy {
    /// The file, seen from the directory in which tweedie is called.
    pub path: PathBuf,
    /// Share of the samples that is kept out of training, for the held-out loss.
    #[serde(default = "default_held_out")]
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub held_out: f64,
}

impl Keys for Npy {
    fn check(&self) -> Result<(), Violation> {
        if self.path.extension().is_none_or(|extension| extension != "npy") {
            return Err(Violation::new("path", "must be a file that ends in .npy"));
        }
        Ok(())
    }
}
