//! Parts of a graph that derivatives compute again instead of keeping (Chen et al. 2016).

use std::collections::HashMap;

use super::{Graph, Op, Value};

/// A part of a graph with one way in that is computed again for its cotangent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    input: Value,
    output: Value,
    /// Its nodes are those from here to the output's that depend on the input.
    first: usize,
}

impl Graph {
    /// What `body` builds on `x`. [`vjp`](Self::vjp) builds it once more, on an `x` that is there no sooner than the
    /// cotangent of the result: so that between the two passes only `x` is kept, and not what is between. Values that
    /// `body` takes from elsewhere are kept as always.
    pub fn checkpointed(&mut self, x: Value, body: impl FnOnce(&mut Self, Value) -> Value) -> Value {
        let first = self.nodes().len();
        let output = body(self, x);
        if output.node >= first {
            self.regions.push(Region { input: x, output, first });
        }
        output
    }

    /// The elements of `x`, for readers that are not to run before `other` is there.
    pub fn after(&mut self, x: Value, other: Value) -> Value {
        let types = vec![self.tensor_type(x).clone()];
        self.add(Op::After, vec![x, other], types)
    }

    /// If a region without any of `wrt` in it ends at `node`: its output built again, for this cotangent.
    pub(super) fn again(&mut self, node: usize, cotangents: &[Option<Value>], wrt: &[Value]) -> Option<Value> {
        let region = *self.regions.iter().find(|region| region.output.node == node)?;
        let inside = |value: &Value| (region.first..=node).contains(&value.node);
        let single = cotangents.iter().flatten().count() == 1;
        let cotangent = cotangents[region.output.output].filter(|_| single && !wrt.iter().any(inside))?;
        let mut new: HashMap<Value, Value> = HashMap::new();
        new.insert(region.input, self.after(region.input, cotangent));
        for old in region.first..=node {
            let entry = self.nodes()[old].clone();
            if entry.inputs.iter().any(|input| new.contains_key(input)) {
                let inputs = entry.inputs.iter().map(|input| *new.get(input).unwrap_or(input)).collect();
                let copy = self.add_like(&entry, inputs).node;
                new.extend(
                    (0..entry.types.len()).map(|output| (Value { node: old, output }, Value { node: copy, output })),
                );
            }
        }
        new.get(&region.output).copied()
    }
}
