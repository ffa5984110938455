//! What grows while a graph is lowered: tensors, and the kernel launches that bind them.

use std::collections::HashMap;

use super::facts::Facts;
use super::iteration::elements;
use super::tensors::{Call, Home, ProgramTensor};
use super::{LowerError, Shared};
use crate::graph::{DType, Op, Value};
use crate::plan::Size;

pub(super) struct Lowering<'a> {
    pub shared: &'a mut Shared,
    pub facts: &'a Facts<'a>,
    pub tensors: Vec<ProgramTensor>,
    pub calls: Vec<Call>,
    pub inputs: Vec<(String, usize)>,
    /// The tensor of each value that has one.
    values: HashMap<Value, usize>,
    store_tensors: HashMap<(String, u64, Size), usize>,
    /// Copies of states as they were, for results that show them while the program replaces them.
    pub snapshots: HashMap<Value, usize>,
}

impl<'a> Lowering<'a> {
    pub fn new(shared: &'a mut Shared, facts: &'a Facts<'a>) -> Self {
        Self {
            shared,
            facts,
            tensors: Vec::new(),
            calls: Vec::new(),
            inputs: Vec::new(),
            values: HashMap::new(),
            store_tensors: HashMap::new(),
            snapshots: HashMap::new(),
        }
    }

    pub fn tensor(&mut self, name: String, dtype: DType, elements: Size, home: Home) -> usize {
        self.tensors.push(ProgramTensor { name, dtype, elements, samples_lead: false, home });
        self.tensors.len() - 1
    }

    /// A tensor that lives only within the program.
    pub fn scratch(&mut self, name: String, elements: Size) -> usize {
        self.tensor(name, DType::F32, elements, Home::Scratch)
    }

    /// A tensor that lives only within the program, its samples first if those of `model` are.
    pub fn scratch_like(&mut self, model: usize, name: String, elements: Size) -> usize {
        let tensor = self.scratch(name, elements);
        self.tensors[tensor].samples_lead = self.tensors[model].samples_lead;
        tensor
    }

    /// The tensor of a value; made the first time it is asked for.
    pub fn tensor_of(&mut self, value: Value) -> usize {
        let value = self.facts.root(value);
        if let Some(tensor) = self.values.get(&value) {
            return *tensor;
        }
        let graph = self.facts.graph;
        let (node, tensor_type) = (graph.node(value), graph.tensor_type(value));
        let (dtype, size) = (tensor_type.dtype, elements(&tensor_type.shape));
        let tensor = match &node.op {
            Op::State { name } => self.store_tensor(name, dtype, size, 0),
            Op::Parameter { index } => {
                let offset = graph.parameters()[*index].offset as u64;
                let arena = self.facts.parameters_from.to_owned();
                self.arena(&arena);
                self.store_tensor(&arena, dtype, size, offset)
            }
            Op::Input { name } => {
                let tensor = self.tensor(name.clone(), dtype, size, Home::Own);
                self.inputs.push((name.clone(), tensor));
                tensor
            }
            _ => {
                let name = self.facts.label(value.node, &format!("value {}.{}", value.node, value.output));
                // What the host reads must survive until it does.
                let wanted = graph.outputs().iter().any(|(_, output)| self.facts.root(*output) == value);
                self.tensor(name, dtype, size, if wanted { Home::Own } else { Home::Scratch })
            }
        };
        self.tensors[tensor].samples_lead = tensor_type.shape.batch_axis() == Some(0);
        self.values.insert(value, tensor);
        tensor
    }

    pub fn store_tensor(&mut self, name: &str, dtype: DType, elements: Size, offset: u64) -> usize {
        let key = (name.to_owned(), offset, elements);
        if let Some(tensor) = self.store_tensors.get(&key) {
            return *tensor;
        }
        let home = Home::Store { name: name.to_owned(), offset };
        let tensor = self.tensor(name.to_owned(), dtype, elements, home);
        self.store_tensors.insert(key, tensor);
        tensor
    }

    /// Makes sure that the whole parameter arena is in the store, whichever parameters a program reads.
    fn arena(&mut self, name: &str) {
        let elements = Size::fixed(self.facts.graph.arena_elements() as u64);
        self.shared.store_buffer(name, DType::F32, elements);
    }

    /// Lets a value live in a tensor that exists already.
    pub fn set_tensor(&mut self, value: Value, tensor: usize) {
        self.values.insert(value, tensor);
    }

    /// The state that `value` replaces, as the tensor that holds its old value.
    pub fn replaced_state(&mut self, value: Value) -> Option<usize> {
        let graph = self.facts.graph;
        let (name, _) = graph.assignments().iter().find(|(_, assigned)| *assigned == value)?;
        let tensor_type = graph.tensor_type(value);
        Some(self.store_tensor(name, tensor_type.dtype, elements(&tensor_type.shape), 0))
    }

    /// The tensor that holds a result's value at the end.
    pub fn result_tensor(&mut self, value: Value) -> usize {
        let root = self.facts.root(value);
        self.snapshots.get(&root).copied().unwrap_or_else(|| self.tensor_of(root))
    }

    pub fn check_buffers(&self, label: &str, count: usize) -> Result<(), LowerError> {
        let limit = self.facts.options.limits.storage_buffers;
        if count > limit {
            return Err(LowerError::TooManyBuffers { label: label.to_owned(), count, limit });
        }
        Ok(())
    }
}
