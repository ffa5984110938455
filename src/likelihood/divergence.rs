//! The divergence of a field: the trace of its Jacobian.

use crate::graph::{Graph, Value};
use crate::loss::{Directions, Projection};

/// How it is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// By all D derivatives at once: memory and time grow with D.
    Exact,
    /// vᵀ J v along one random direction v with E[v vᵀ] = I, whose mean is the trace.
    Hutchinson(Projection),
}

impl Divergence {
    /// The directions along which a field of `dims` coordinates is asked. As long as `clock` stands still, so do they: an
    /// adaptive solver needs a field that does not change.
    pub fn directions(self, graph: &mut Graph, clock: Value, dims: usize) -> Directions {
        match self {
            Self::Exact => Directions::units(graph, dims),
            Self::Hutchinson(law) => Directions::random(graph, clock, dims, law),
        }
    }
}
