//! Two-dimensional toys, drawn once on the host from a seed.

use super::curve::along;
use super::draw::Draw;
use super::{DataError, Dataset, Mixture, Values, Width};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f64::consts::{FRAC_PI_4, PI};

/// Gaussians along one of two half circles, whose length is 63 times their width.
const MOON_NODES: usize = 112;
/// The same along the spiral, 178 times.
const ROLL_NODES: usize = 360;

/// A two-dimensional toy. All are centred near 0 with a mean square of about 1 a coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Toy {
    /// Two interleaved half circles of radius 1, with noise of standard deviation 0.05; then (0.5, 0.25) is taken away and
    /// all is divided by 0.7. Labels 0 and 1; knows its exact density.
    TwoMoons,
    /// The spiral (r cos r, r sin r), r uniform from 1.5 pi to 4.5 pi, with noise of standard deviation 0.5; then (2, 0.2) is
    /// taken away and all is divided by 6.8. No labels; knows its exact density.
    SwissRoll,
    /// Uniform on every second square of a board of 4 by 4, whose side is 2 sqrt(3): each coordinate is uniform from -sqrt(3)
    /// to sqrt(3) and has a standard deviation of 1 exactly. Labels 0..7, the squares row by row from below.
    Checkerboard,
    /// Eight Gaussians of width 0.1 and equal weight, evenly on a circle of radius sqrt(1.98), so that each coordinate has a
    /// standard deviation of 1 exactly. Labels 0..7, counter-clockwise from the right; knows its exact mixture.
    EightGaussians,
}

impl Toy {
    /// All toys.
    pub const ALL: [Self; 4] = [Self::TwoMoons, Self::SwissRoll, Self::Checkerboard, Self::EightGaussians];

    /// The name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TwoMoons => "two-moons",
            Self::SwissRoll => "swiss-roll",
            Self::Checkerboard => "checkerboard",
            Self::EightGaussians => "eight-gaussians",
        }
    }

    /// The density, `None` where it jumps. Of a blurred curve it is a mixture of so many Gaussians along it that nothing is
    /// left of their number.
    ///
    /// # Errors
    /// Never: the numbers are good ones.
    pub fn density(self) -> Result<Option<Mixture>, DataError> {
        let scaled = |[x, y]: [f64; 2], [a, b]: [f64; 2], by: f64| [(x - a) / by, (y - b) / by];
        Ok(match self {
            Self::TwoMoons => {
                let moon = |moon| {
                    along([0.0, PI], MOON_NODES, 0.05 / 0.7, move |angle| {
                        scaled(moon_at(moon, angle), [0.5, 0.25], 0.7)
                    })
                };
                Some(moon(0)?.with(&moon(1)?, 0.5))
            }
            Self::SwissRoll => Some(along([1.5 * PI, 4.5 * PI], ROLL_NODES, 0.5 / 6.8, |r| {
                scaled([r * r.cos(), r * r.sin()], [2.0, 0.2], 6.8)
            })?),
            Self::Checkerboard => None,
            Self::EightGaussians => Some(eight_gaussians()?),
        })
    }

    /// `n` points of shape `[2]`; the same seed gives the same points, and the first points of a longer draw.
    ///
    /// # Errors
    /// If `n` is 0.
    pub fn dataset(self, n: usize, seed: u64) -> Result<Dataset, DataError> {
        if self == Self::EightGaussians {
            return eight_gaussians()?.dataset(self.name(), n, seed);
        }
        let mut draw = Draw::new(seed);
        let (mut values, mut labels) = (Vec::with_capacity(2 * n), Vec::with_capacity(n));
        for _ in 0..n {
            let (point, label) = match self {
                Self::TwoMoons => two_moons(&mut draw),
                Self::SwissRoll => (swiss_roll(&mut draw), 0),
                Self::Checkerboard | Self::EightGaussians => checkerboard(&mut draw),
            };
            values.extend(point.map(|x| x as f32));
            labels.push(label);
        }
        let mut set = Dataset::new(self.name(), vec![2], Values::F32(values))?;
        set.exact = self.density()?;
        if self == Self::SwissRoll { Ok(set) } else { set.with_labels(labels) }
    }
}

/// The point of one of the half circles at this angle.
fn moon_at(moon: u32, angle: f64) -> [f64; 2] {
    let (sin, cos) = angle.sin_cos();
    if moon == 0 { [cos, sin] } else { [1.0 - cos, 0.5 - sin] }
}

fn two_moons(draw: &mut Draw) -> ([f64; 2], u32) {
    let moon = draw.below(2);
    let [x, y] = moon_at(moon, PI * draw.uniform());
    let [x, y] = [x + 0.05 * draw.normal(), y + 0.05 * draw.normal()];
    ([(x - 0.5) / 0.7, (y - 0.25) / 0.7], moon)
}

fn swiss_roll(draw: &mut Draw) -> [f64; 2] {
    let r = 1.5 * PI * (1.0 + 2.0 * draw.uniform());
    let (sin, cos) = r.sin_cos();
    [(r * cos + 0.5 * draw.normal() - 2.0) / 6.8, (r * sin + 0.5 * draw.normal() - 0.2) / 6.8]
}

fn checkerboard(draw: &mut Draw) -> ([f64; 2], u32) {
    let square = draw.below(8);
    let (row, pair) = (square / 2, square % 2);
    let column = 2 * pair + row % 2;
    let side = 3f64.sqrt() / 2.0;
    ([column, row].map(|cell| side * (f64::from(cell) + draw.uniform() - 2.0)), square)
}

fn eight_gaussians() -> Result<Mixture, DataError> {
    let width = 0.1f64;
    let radius = (2.0 * (1.0 - width * width)).sqrt();
    let mean = |k: i32| {
        let (sin, cos) = (FRAC_PI_4 * f64::from(k)).sin_cos();
        vec![radius * cos, radius * sin]
    };
    let means: Vec<_> = (0..8).map(mean).collect();
    Mixture::new(&[0.125; 8], &means, &vec![Width::Isotropic(width); 8])
}
