//! The graph itself: nodes, named ends, and what lasts between runs.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::checkpoint::Region;
use super::{DType, Op, Shape};

/// One output of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value {
    /// The node.
    pub node: usize,
    /// Which of its outputs.
    pub output: usize,
}

/// Shape and element type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// Axes.
    pub shape: Shape,
    /// Element type.
    pub dtype: DType,
}

impl TensorType {
    /// An f32 tensor.
    pub const fn f32(shape: Shape) -> Self {
        Self { shape, dtype: DType::F32 }
    }

    /// A u32 tensor.
    pub const fn u32(shape: Shape) -> Self {
        Self { shape, dtype: DType::U32 }
    }
}

/// An op with its inputs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// What it does.
    pub op: Op,
    /// Earlier values.
    pub inputs: Vec<Value>,
    /// One type for each output.
    pub types: Vec<TensorType>,
    /// Where in the model it was built, say `network.block0`.
    pub scope: Arc<str>,
}

/// How a parameter starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initial {
    /// All zero.
    Zeros,
    /// All one.
    Ones,
    /// Uniform on ±bound.
    Uniform(f64),
    /// Normal with this standard deviation.
    Normal(f64),
}

/// A parameter: a named range of the flat arena.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Unique name, say `block0.weight`.
    pub name: String,
    /// Axes, all fixed.
    pub shape: Vec<usize>,
    /// First element in the arena, a multiple of [`PARAMETER_ALIGNMENT`].
    pub offset: usize,
    /// How it starts.
    pub initial: Initial,
}

impl Parameter {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Parameters start at multiples of so many floats (256 bytes), so that each can be bound alone.
pub const PARAMETER_ALIGNMENT: usize = 64;

/// A computation as plain data: nodes in an order in which inputs come first.
///
/// Nodes that compute the same thing from the same values are stored once.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    /// Nodes by the hash of op, inputs and types.
    known: HashMap<u64, Vec<usize>>,
    parameters: Vec<Parameter>,
    outputs: Vec<(String, Value)>,
    assignments: Vec<(String, Value)>,
    scope: Vec<String>,
    pub(super) regions: Vec<Region>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// All nodes, inputs before users.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of a value.
    pub fn node(&self, value: Value) -> &Node {
        &self.nodes[value.node]
    }

    /// Shape and element type of a value.
    pub fn tensor_type(&self, value: Value) -> &TensorType {
        &self.nodes[value.node].types[value.output]
    }

    /// The shape of a value.
    pub fn shape(&self, value: Value) -> &Shape {
        &self.tensor_type(value).shape
    }

    /// The parameters in the order of the arena.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Length of the parameter arena in elements, padding included.
    pub fn arena_elements(&self) -> usize {
        self.parameters.last().map_or(0, |last| (last.offset + last.elements()).next_multiple_of(PARAMETER_ALIGNMENT))
    }

    /// Named results.
    pub fn outputs(&self) -> &[(String, Value)] {
        &self.outputs
    }

    /// What the store holds afterwards: `(state name, value)`.
    pub fn assignments(&self) -> &[(String, Value)] {
        &self.assignments
    }

    /// Makes `value` a result that the host can read under `name`.
    pub fn output(&mut self, name: impl Into<String>, value: Value) {
        self.outputs.push((name.into(), value));
    }

    /// Writes `value` to the state `name` when the program ends.
    ///
    /// # Panics
    /// If the state has been assigned already.
    pub fn assign(&mut self, name: impl Into<String>, value: Value) {
        let name = name.into();
        assert!(self.assignments.iter().all(|(known, _)| *known != name), "the state {name} is assigned twice");
        self.assignments.push((name, value));
    }

    /// Everything built in `build` carries `name` in its scope.
    pub fn scoped<T>(&mut self, name: impl Into<String>, build: impl FnOnce(&mut Self) -> T) -> T {
        self.scope.push(name.into());
        let result = build(self);
        self.scope.pop();
        result
    }

    /// The current scope joined with dots, and `name` after it.
    pub fn scoped_name(&self, name: &str) -> String {
        self.scope.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(".")
    }

    /// A new parameter at the end of the arena; its full name is the scope and `name`.
    pub fn parameter(&mut self, name: &str, shape: &[usize], initial: Initial) -> Value {
        let name = self.scoped_name(name);
        assert!(self.parameters.iter().all(|known| known.name != name), "parameter {name} exists already");
        let offset = self.arena_elements();
        self.parameters.push(Parameter { name, shape: shape.to_vec(), offset, initial });
        let index = self.parameters.len() - 1;
        self.add(Op::Parameter { index }, Vec::new(), vec![TensorType::f32(Shape::fixed(shape))])
    }

    /// The values of all parameters that the graph uses, in the order of the arena.
    pub fn parameter_values(&self) -> Vec<Value> {
        let mut values: Vec<(usize, Value)> = Vec::new();
        for (node, entry) in self.nodes.iter().enumerate() {
            if let Op::Parameter { index } = entry.op {
                values.push((index, Value { node, output: 0 }));
            }
        }
        values.sort_unstable();
        values.into_iter().map(|(_, value)| value).collect()
    }

    /// Takes over the list of parameters of a graph that this one is rebuilt from.
    pub(super) fn with_parameters(parameters: Vec<Parameter>) -> Self {
        Self { parameters, ..Self::default() }
    }

    /// The nodes of which a result or an assignment depends, as a mask.
    pub fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.nodes.len()];
        for (_, value) in self.outputs.iter().chain(&self.assignments) {
            live[value.node] = true;
        }
        for node in (0..self.nodes.len()).rev() {
            if live[node] {
                for input in &self.nodes[node].inputs {
                    live[input.node] = true;
                }
            }
        }
        live
    }

    /// Adds a node unless an equal one is there, and gives its first output.
    pub(crate) fn add(&mut self, op: Op, inputs: Vec<Value>, types: Vec<TensorType>) -> Value {
        let mut hasher = DefaultHasher::new();
        (&op, &inputs, &types).hash(&mut hasher);
        let alike = self.known.entry(hasher.finish()).or_default();
        let equal = |node: &&usize| {
            let known = &self.nodes[**node];
            known.op == op && known.inputs == inputs && known.types == types
        };
        if let Some(node) = alike.iter().find(equal) {
            return Value { node: *node, output: 0 };
        }
        let node = self.nodes.len();
        alike.push(node);
        let scope = self.scope.join(".").into();
        self.nodes.push(Node { op, inputs, types, scope });
        Value { node, output: 0 }
    }

    /// Adds a copy of a node of another graph with new inputs, keeping its scope.
    pub(crate) fn add_like(&mut self, node: &Node, inputs: Vec<Value>) -> Value {
        let depth = self.scope.len();
        if !node.scope.is_empty() {
            self.scope.push(node.scope.to_string());
        }
        let value = self.add(node.op.clone(), inputs, node.types.clone());
        self.scope.truncate(depth);
        value
    }
}
