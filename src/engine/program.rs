//! Programs by name: what an engine loads.

use std::fmt;

use crate::graph::Graph;
use crate::lower::ProgramSource;

/// The name of a program, in plans and to whom it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramName(&'static str);

impl ProgramName {
    /// A name. Whoever makes programs has theirs as constants, in one place.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// Its text, as it stands in plans.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for ProgramName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A graph that is to become a program.
#[derive(Clone, Debug)]
pub struct Program {
    /// What it is called.
    pub name: ProgramName,
    /// What it computes.
    pub graph: Graph,
    /// The store's arena in which parameters are found.
    pub parameters_from: &'static str,
}

impl Program {
    /// As the lowering takes it.
    pub fn source(&self) -> ProgramSource<'_> {
        ProgramSource { name: self.name.as_str(), graph: &self.graph, parameters_from: self.parameters_from }
    }
}
