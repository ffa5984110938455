//! Random directions with E[v vᵀ] = I.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::graph::{Distribution, Expr, Graph, Shape, Value};

/// The law of a direction v. Of all with E[v vᵀ] = I, `rademacher` gives vᵀ A v the least variance where A is diagonal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Projection {
    /// Standard normal coordinates.
    Gaussian,
    /// Coordinates 1 or −1, with equal chances.
    #[default]
    Rademacher,
    /// Even on the sphere of radius √D. On the unit sphere E[v vᵀ] would be I / D, which scales both terms of plain
    /// sliced score matching alike, but only one of the form with reduced variance.
    Sphere,
}

impl Projection {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gaussian, Self::Rademacher, Self::Sphere];
}

/// The directions of an estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Projections {
    /// Their law.
    pub law: Projection,
    /// How many, k, are averaged for each sample.
    pub count: usize,
}

impl Default for Projections {
    fn default() -> Self {
        Self { law: Projection::default(), count: 1 }
    }
}

impl Projections {
    /// k directions for each sample, drawn as `projection`: `[k, Batch, D]`.
    pub fn draw(&self, graph: &mut Graph, clock: Value, dims: usize) -> Value {
        let shape = Shape::batch(&[dims]).with_leading(self.count);
        let distribution = match self.law {
            Projection::Gaussian | Projection::Sphere => Distribution::Normal,
            Projection::Rademacher => Distribution::Uniform,
        };
        let drawn = graph.random(clock, "projection", distribution, shape);
        match self.law {
            Projection::Gaussian => drawn,
            Projection::Rademacher => graph.map(&[drawn], &Expr::input(0).less(0.5).select(-1.0, 1.0)),
            Projection::Sphere => {
                let squares = graph.map(&[drawn], &Expr::input(0).square());
                let length = graph.sum(squares, &[2]);
                graph.map(&[drawn, length], &(Expr::input(0) * (dims as f64 / Expr::input(1)).sqrt()))
            }
        }
    }
}
