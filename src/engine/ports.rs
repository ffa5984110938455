//! What may be asked of the programs that an engine has loaded. Every question passes here first, so that both devices
//! refuse alike.

use std::collections::BTreeMap;

use super::{EngineError, Program, ProgramName};
use crate::graph::{Op, Shape};

/// Inputs, outputs and states of the programs that an engine has loaded.
pub(super) struct Ports {
    programs: Vec<ProgramPorts>,
    /// Elements of the states at the largest batch.
    states: BTreeMap<String, usize>,
}

struct ProgramPorts {
    name: ProgramName,
    inputs: BTreeMap<String, Shape>,
    outputs: Vec<String>,
    has_run: bool,
}

impl Ports {
    pub fn new(programs: &[Program], max_batch: u32) -> Self {
        let mut states: BTreeMap<String, usize> = BTreeMap::new();
        let mut state = |name: &str, elements: usize| {
            let known = states.entry(name.to_owned()).or_default();
            *known = elements.max(*known);
        };
        for Program { graph, parameters_from, .. } in programs {
            if !graph.parameters().is_empty() {
                state(parameters_from, graph.arena_elements());
            }
            for entry in graph.nodes() {
                if let Op::State { name } = &entry.op {
                    state(name, entry.types[0].shape.elements(max_batch as usize));
                }
            }
            for (name, value) in graph.assignments() {
                state(name, graph.shape(*value).elements(max_batch as usize));
            }
        }
        Self { programs: programs.iter().map(ProgramPorts::new).collect(), states }
    }

    /// The program's place among those that were loaded.
    pub fn find(&self, name: ProgramName) -> Result<usize, EngineError> {
        self.programs.iter().position(|ports| ports.name == name).ok_or_else(|| {
            let known = self.programs.iter().map(|ports| ports.name.as_str());
            EngineError::NoProgram { name, known: listed(known) }
        })
    }

    /// The same where it has this input, of `found` elements for a batch.
    pub fn find_input(&self, program: ProgramName, name: &str, batch: u32, found: usize) -> Result<usize, EngineError> {
        let place = self.find(program)?;
        let inputs = &self.programs[place].inputs;
        let shape = inputs.get(name).ok_or_else(|| {
            let known = listed(inputs.keys().map(String::as_str));
            EngineError::NoPort { program, kind: "input", name: name.to_owned(), known }
        })?;
        let expected = shape.elements(batch as usize);
        if found != expected {
            return Err(EngineError::InputLength { program, name: name.to_owned(), expected, batch, found });
        }
        Ok(place)
    }

    /// The same where it has this output, and has run.
    pub fn find_output(&self, program: ProgramName, name: &str) -> Result<usize, EngineError> {
        let place = self.find(program)?;
        let ports = &self.programs[place];
        if !ports.outputs.iter().any(|known| known == name) {
            let known = listed(ports.outputs.iter().map(String::as_str));
            return Err(EngineError::NoPort { program, kind: "output", name: name.to_owned(), known });
        }
        if !ports.has_run {
            return Err(EngineError::NotRun { program });
        }
        Ok(place)
    }

    /// Whether some program has this state, with at least `count` elements.
    pub fn expect_state(&self, name: &str, count: usize) -> Result<(), EngineError> {
        let Some(&elements) = self.states.get(name) else {
            let known = listed(self.states.keys().map(String::as_str));
            return Err(EngineError::NoState { name: name.to_owned(), known });
        };
        if count > elements {
            return Err(EngineError::StateLength { name: name.to_owned(), elements, asked: count });
        }
        Ok(())
    }

    /// Whether some program has this state.
    pub fn has_state(&self, name: &str) -> bool {
        self.states.contains_key(name)
    }

    /// Whether these states can be watched, at least every `longest` runs.
    pub fn expect_watchable(&self, names: &[&str], longest: usize) -> Result<(), EngineError> {
        if names.is_empty() || longest == 0 {
            return Err(EngineError::NothingWatched);
        }
        names.iter().try_for_each(|name| self.expect_state(name, 0))
    }

    /// From now on it has run.
    pub fn ran(&mut self, place: usize) {
        self.programs[place].has_run = true;
    }
}

impl ProgramPorts {
    fn new(program: &Program) -> Self {
        let input = |entry: &crate::graph::Node| match &entry.op {
            Op::Input { name } => Some((name.clone(), entry.types[0].shape.clone())),
            _ => None,
        };
        Self {
            name: program.name,
            inputs: program.graph.nodes().iter().filter_map(input).collect(),
            outputs: program.graph.outputs().iter().map(|(name, _)| name.clone()).collect(),
            has_run: false,
        }
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
