//! Programs by name: what an engine loads, and how it is asked for one of them.

use std::fmt;

use super::EngineError;
use crate::graph::{Graph, Op};
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

/// What an engine has loaded: every question about a program passes here first, so that both devices refuse alike.
pub(super) struct Loaded(Vec<Ports>);

struct Ports {
    name: ProgramName,
    inputs: Vec<String>,
    states: Vec<String>,
    outputs: Vec<String>,
    has_run: bool,
}

impl Loaded {
    pub fn new(programs: &[Program]) -> Self {
        let input = |op: &Op| if let Op::Input { name } = op { Some(name.clone()) } else { None };
        let state = |op: &Op| if let Op::State { name } = op { Some(name.clone()) } else { None };
        let ports = |program: &Program| Ports {
            name: program.name,
            inputs: program.graph.nodes().iter().filter_map(|node| input(&node.op)).collect(),
            states: program.graph.nodes().iter().filter_map(|node| state(&node.op)).collect(),
            outputs: program.graph.outputs().iter().map(|(name, _)| name.clone()).collect(),
            has_run: false,
        };
        Self(programs.iter().map(ports).collect())
    }

    /// The program's place among those that were loaded.
    pub fn find(&self, name: ProgramName) -> Result<usize, EngineError> {
        self.0.iter().position(|ports| ports.name == name).ok_or_else(|| {
            let known = self.0.iter().map(|ports| ports.name.as_str()).collect::<Vec<_>>().join(", ");
            EngineError::NoProgram { name, known }
        })
    }

    /// The same where it has this input.
    pub fn find_input(&self, program: ProgramName, name: &str) -> Result<usize, EngineError> {
        let place = self.find(program)?;
        expect(program, "input", name, &self.0[place].inputs)?;
        Ok(place)
    }

    /// The same where it has this output, and has run.
    pub fn find_output(&self, program: ProgramName, name: &str) -> Result<usize, EngineError> {
        let place = self.find(program)?;
        expect(program, "output", name, &self.0[place].outputs)?;
        if !self.0[place].has_run {
            return Err(EngineError::NotRun { program });
        }
        Ok(place)
    }

    /// Whether a program reads this tensor of the store.
    pub fn reads(&self, name: &str) -> bool {
        self.0.iter().any(|ports| ports.states.iter().any(|state| state == name))
    }

    /// From now on it has run.
    pub fn ran(&mut self, place: usize) {
        self.0[place].has_run = true;
    }
}

fn expect(program: ProgramName, kind: &'static str, name: &str, known: &[String]) -> Result<(), EngineError> {
    if known.iter().any(|known| known == name) {
        return Ok(());
    }
    Err(EngineError::NoPort { program, kind, name: name.to_owned(), known: known.join(", ") })
}
