//! Which values may be written over the states that they replace.
//!
//! Fusion counts the bindings of a kernel by this, lowering binds by it, and the CPU executor places values by it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::expr::Term;
use super::{Graph, Op, Value};

/// The old value of a state, over which its new value may be written: element by element, by the last node that reads
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overwrite {
    /// The old value.
    pub old: Value,
    /// Which input of the new value's node it is.
    pub input: usize,
}

impl Graph {
    /// The value that a reshaped or delayed value (of such a value) shows.
    pub fn viewed(&self, value: Value) -> Value {
        match &self.node(value).op {
            Op::Reshape | Op::After => self.viewed(self.node(value).inputs[0]),
            _ => value,
        }
    }

    /// The state that a value is, or is a range of: parameters are ranges of the state `parameters_from`.
    pub fn state_of<'a>(&'a self, value: Value, parameters_from: &'a str) -> Option<&'a str> {
        match &self.node(value).op {
            Op::State { name } => Some(name),
            Op::Parameter { .. } => Some(parameters_from),
            _ => None,
        }
    }

    /// The old values of states by the values that replace them, where no order of the nodes stands against
    /// overwriting: of one type, the new one assigned once, the old one neither a result itself nor looked up as a
    /// table.
    pub(super) fn replaced(&self, parameters_from: &str) -> BTreeMap<Value, Value> {
        let state = |value: Value| self.state_of(self.viewed(value), parameters_from);
        let wanted = |name: &str| self.ends().any(|(_, value)| state(*value) == Some(name));
        let is_table = |name: &str| {
            self.nodes().iter().any(|entry| {
                let Op::Pointwise { tape } = &entry.op else { return false };
                let mut tables = tape.terms.iter().filter_map(Term::table);
                tables.any(|slot| state(entry.inputs[slot]) == Some(name))
            })
        };
        let old = |name: &str, new: Value| {
            let is_old = |entry: &super::Node| {
                matches!(&entry.op, Op::State { name: known } if known == name)
                    && entry.types[0] == *self.tensor_type(new)
            };
            self.nodes().iter().position(is_old).map(|node| Value { node, output: 0 })
        };
        let once = |new: Value| self.assignments().iter().filter(|(_, value)| *value == new).count() == 1;
        let free = self.assignments().iter().filter(|(name, new)| once(*new) && !wanted(name) && !is_table(name));
        free.filter_map(|(name, new)| old(name, *new).map(|old| (*new, old))).collect()
    }

    /// The pointwise values that may be written over the states that they replace, when nodes run in their order.
    /// `root` gives the value whose memory a value shows; it is the value itself but for views. A state whose memory a
    /// result shows, be it a range of it, is overwritten by none.
    pub fn overwrites(&self, parameters_from: &str, root: &dyn Fn(Value) -> Value) -> BTreeMap<Value, Overwrite> {
        let state = |value: Value| self.state_of(root(value), parameters_from);
        // The last node that reads each state.
        let mut last: HashMap<&str, usize> = HashMap::new();
        for (node, entry) in self.nodes().iter().enumerate() {
            let at = match entry.op {
                _ if root(Value { node, output: 0 }).node != node => continue,
                // Rings and clocks close the program.
                Op::RingPush | Op::Tick { .. } => usize::MAX,
                _ => node,
            };
            for name in entry.inputs.iter().filter_map(|input| state(*input)) {
                last.entry(name).and_modify(|last| *last = at.max(*last)).or_insert(at);
            }
        }
        let shown: HashSet<&str> = self.ends().filter_map(|(_, value)| state(*value)).collect();
        let last_reads_it = |(new, old): (Value, Value)| {
            let name = self.state_of(old, parameters_from)?;
            let input = self.read_once(new.node, old, &state)?;
            let free = last.get(name) == Some(&new.node) && !shown.contains(name);
            free.then_some((new, Overwrite { old, input }))
        };
        self.replaced(parameters_from).into_iter().filter_map(last_reads_it).collect()
    }

    /// Which input of a pointwise node the old value of a state is, if the node reads it element by element and the
    /// state in no other way.
    pub(super) fn read_once<'a>(
        &self,
        node: usize,
        old: Value,
        state: &dyn Fn(Value) -> Option<&'a str>,
    ) -> Option<usize> {
        let entry = &self.nodes()[node];
        let Op::Pointwise { tape } = &entry.op else { return None };
        let input = entry.inputs.iter().position(|input| *input == old)?;
        let alone = entry.inputs.iter().filter(|other| state(**other) == state(old)).count() == 1;
        (alone && tape.terms.contains(&Term::Input(input))).then_some(input)
    }

    /// Results and assignments.
    pub(crate) fn ends(&self) -> impl Iterator<Item = &(String, Value)> {
        self.outputs().iter().chain(self.assignments())
    }
}
