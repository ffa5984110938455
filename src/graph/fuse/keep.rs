//! Copies of states for those who read them after a kernel that overwrites them.
//!
//! Fusion counts a state that a kernel replaces once, as if nobody read it later. Where somebody does and the kernel
//! has no binding left for old and new, the others read a copy that is made before.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::super::{Expr, Graph, Op, Tape, Value};

impl Graph {
    /// The same computation; no pointwise node reads and writes more than `max_operands` tensors, overwritten states
    /// counted once.
    pub(super) fn with_states_kept(self, max_operands: usize, parameters_from: &str) -> Self {
        let kept = self.states_to_keep(max_operands, parameters_from);
        if kept.is_empty() {
            return self;
        }
        let state = |value: Value| self.state_of(self.viewed(value), parameters_from);
        let mut result = Self::with_parameters(self.parameters().to_vec());
        let mut new: HashMap<Value, Value> = HashMap::new();
        for (node, entry) in self.nodes().iter().enumerate() {
            let mut copies: Vec<(Value, Value)> = Vec::new();
            for (_, old) in kept.iter().filter(|(overwriter, _)| *overwriter == node) {
                let later = self.nodes()[node + 1..].iter().flat_map(|reader| &reader.inputs);
                let shown = later.filter(|value| value.node < node && state(**value) == state(*old));
                for value in shown.copied().collect::<BTreeSet<_>>() {
                    let op = Op::Pointwise { tape: Arc::new(Tape::new(&[Expr::input(0)])) };
                    copies.push((value, result.add(op, vec![new[&value]], vec![self.tensor_type(value).clone()])));
                }
            }
            let inputs = entry.inputs.iter().map(|input| new[input]).collect();
            let first = result.add_like(entry, inputs);
            new.extend((0..entry.types.len()).map(|output| (Value { node, output }, Value { output, ..first })));
            new.extend(copies);
        }
        self.outputs().iter().for_each(|(name, value)| result.output(name.clone(), new[value]));
        self.assignments().iter().for_each(|(name, value)| result.assign(name.clone(), new[value]));
        result
    }

    /// Old values of states that nodes with too many operands would overwrite if others did not read them later.
    fn states_to_keep(&self, max_operands: usize, parameters_from: &str) -> Vec<(usize, Value)> {
        let state = |value: Value| self.state_of(self.viewed(value), parameters_from);
        let replaced = self.replaced(parameters_from);
        let overwrites = self.overwrites(parameters_from, &|value| self.viewed(value));
        let mut kept = Vec::new();
        for (node, entry) in self.nodes().iter().enumerate() {
            if !matches!(entry.op, Op::Pointwise { .. }) || entry.inputs.len() + entry.types.len() <= max_operands {
                continue;
            }
            let values = || (0..entry.types.len()).map(|output| Value { node, output });
            let overwritten = values().filter(|value| overwrites.contains_key(value)).count();
            let excess = (entry.inputs.len() + entry.types.len() - overwritten).saturating_sub(max_operands);
            let could = values().filter(|value| !overwrites.contains_key(value)).filter_map(|value| {
                let old = *replaced.get(&value)?;
                self.read_once(node, old, &state).map(|_| (node, old))
            });
            kept.extend(could.take(excess));
        }
        kept
    }
}
