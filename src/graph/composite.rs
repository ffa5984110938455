//! Composites opened up: their bodies in their place.

use std::collections::HashMap;

use super::{Composite, Graph, Op, Value};

impl Graph {
    /// Builds the body of a composite on `inputs`, composites within it opened too, and gives its outputs.
    pub fn inline(&mut self, composite: &Composite, inputs: &[Value]) -> Vec<Value> {
        self.inline_but(composite, inputs, &|_| false)
    }

    fn inline_but(&mut self, composite: &Composite, inputs: &[Value], kept: &dyn Fn(&Composite) -> bool) -> Vec<Value> {
        self.scoped(composite.name.clone(), |graph| {
            let input = |name: &str| {
                let index: usize = name.parse().expect("a composite's inputs are numbered");
                Some(inputs[index])
            };
            let new = graph.rebuild(&composite.body, input, kept);
            composite.outputs.iter().map(|output| new[output]).collect()
        })
    }

    /// Adds the live nodes of `other` to this graph, composites opened. `input` gives what stands for a named input;
    /// inputs without a stand-in are copied.
    fn rebuild(
        &mut self,
        other: &Self,
        input: impl Fn(&str) -> Option<Value>,
        kept: &dyn Fn(&Composite) -> bool,
    ) -> HashMap<Value, Value> {
        let mut new: HashMap<Value, Value> = HashMap::new();
        for (node, entry) in other.nodes().iter().enumerate() {
            let inputs: Vec<Value> = entry.inputs.iter().map(|value| new[value]).collect();
            let stand_in = if let Op::Input { name } = &entry.op { input(name) } else { None };
            let values = match (&entry.op, stand_in) {
                (_, Some(value)) => vec![value],
                (Op::Composite(composite), None) if !kept(composite) => self.inline_but(composite, &inputs, kept),
                _ => {
                    let first = self.add_like(entry, inputs);
                    (0..entry.types.len()).map(|output| Value { node: first.node, output }).collect()
                }
            };
            for (output, value) in values.into_iter().enumerate() {
                new.insert(Value { node, output }, value);
            }
        }
        new
    }

    /// The same computation with every composite opened.
    pub fn expanded(&self) -> Self {
        self.expanded_but(&|_| false)
    }

    /// The same computation with every composite opened but those that are `kept`.
    pub fn expanded_but(&self, kept: &dyn Fn(&Composite) -> bool) -> Self {
        let mut graph = Self::with_parameters(self.parameters().to_vec());
        let new = graph.rebuild(self, |_| None, kept);
        for (name, value) in self.outputs() {
            graph.output(name.clone(), new[value]);
        }
        for (name, value) in self.assignments() {
            graph.assign(name.clone(), new[value]);
        }
        graph
    }
}
