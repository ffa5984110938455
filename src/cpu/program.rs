//! A graph, prepared to run.

use super::gather::Rows;
use super::matmul::{Lengths, batch_matmul, matmul};
use super::memory::{Assignment, Memory, Place, Root};
use super::pointwise::{Kernel, Operand};
use super::{CpuError, Real, Store, conv, counters, gather, permute, reduce, views};
use crate::graph::{DType, Fusion, Graph, Layout, Node, Op, Value};

/// A graph prepared for the CPU: composites opened, pointwise nodes fused, dead nodes gone.
///
/// Memory is planned for a batch size when it is first met and kept, so that steps allocate no tensors.
#[derive(Clone, Debug)]
pub struct Program<T> {
    graph: Graph,
    parameters_from: String,
    bound: Option<Bound>,
    slots: Vec<Vec<T>>,
    /// The words that a node computes, by node.
    words: Vec<Vec<u32>>,
    scratch: [Vec<T>; 2],
}

/// What depends on the batch size.
#[derive(Clone, Debug)]
struct Bound {
    batch: usize,
    memory: Memory,
    /// For pointwise nodes.
    kernels: Vec<Option<Kernel>>,
}

/// The floats that a node can read.
struct Sources<'a, T> {
    slots: &'a [Vec<T>],
    store: &'a Store<T>,
    inputs: &'a [&'a [T]],
    graph: &'a Graph,
    parameters_from: &'a str,
}

impl<'a, T: Real> Sources<'a, T> {
    fn read(&self, place: Place) -> &'a [T] {
        let whole = match place.root {
            Root::Slot(slot) => &self.slots[slot],
            Root::Input(node) => self.inputs[node],
            Root::Parameters => self.store.get(self.parameters_from).unwrap_or_default(),
            Root::State(node) => match &self.graph.nodes()[node].op {
                Op::State { name } => self.store.get(name).unwrap_or_default(),
                _ => unreachable!("only states are rooted in states"),
            },
            Root::Words(_) | Root::Nowhere => unreachable!("these are no floats"),
        };
        &whole[place.start..place.start + place.length]
    }
}

impl<T: Real> Program<T> {
    /// Prepares `graph`; its parameters are ranges of the flat tensor `parameters_from` (`params` or `ema`).
    pub fn new(graph: &Graph, parameters_from: &str) -> Self {
        let graph = graph.fused_by(&Fusion { max_operands: usize::MAX / 2, parameters_from, kept: &|_| false });
        let words = vec![Vec::new(); graph.nodes().len()];
        let scratch = [Vec::new(), Vec::new()];
        Self { graph, parameters_from: parameters_from.to_owned(), bound: None, slots: Vec::new(), words, scratch }
    }

    /// The graph as it runs.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Bytes of the buffers that runs of `batch` samples will need.
    pub fn planned_bytes(&self, batch: usize) -> usize {
        let slots = Memory::plan(&self.graph, &self.parameters_from, batch).slots;
        slots.iter().fold(0, |sum: usize, slot| sum.saturating_add(slot.length.saturating_mul(size_of::<T>())))
    }

    /// Bytes of the buffers that the program keeps between runs.
    pub fn buffer_bytes(&self) -> usize {
        self.slots.iter().chain(&self.scratch).map(|slot| slot.capacity() * size_of::<T>()).sum()
    }

    /// Runs once on a batch of so many samples. Inputs that the graph does not read are ignored. States that the store
    /// lacks start as zeros.
    ///
    /// # Errors
    /// If an input, the parameters or a data set is missing, a length or type is not what the graph gives, or the batch
    /// is empty. Then no state has changed.
    pub fn run(&mut self, store: &mut Store<T>, inputs: &[(&str, &[T])], batch: usize) -> Result<(), CpuError> {
        if batch == 0 {
            return Err(CpuError::EmptyBatch);
        }
        let inputs = self.check_inputs(inputs, batch)?;
        self.check_states(store, batch)?;
        self.bind(batch);
        let bound = self.bound.take().expect("just bound");
        for (node, entry) in self.graph.nodes().iter().enumerate() {
            if let (Op::State { name }, DType::U32) = (&entry.op, entry.types[0].dtype) {
                self.words[node].clear();
                self.words[node].extend_from_slice(store.words(name).unwrap_or_default());
            }
        }
        for node in 0..self.graph.nodes().len() {
            self.execute(node, &bound, store, &inputs);
        }
        self.finish(&bound, store, &inputs);
        self.bound = Some(bound);
        Ok(())
    }

    /// The result `name` of the last run; words are converted to floats.
    ///
    /// # Panics
    /// If the graph has no such output, or the program has not run.
    pub fn output(&self, name: &str) -> &[T] {
        let index = self.graph.outputs().iter().position(|(known, _)| known == name);
        let index = index.unwrap_or_else(|| panic!("the graph has no output `{name}`"));
        let bound = self.bound.as_ref().unwrap_or_else(|| panic!("output `{name}` is read before the program has run"));
        let (place, _) = bound.memory.outputs[index];
        let Root::Slot(slot) = place.root else { unreachable!("outputs end up in slots") };
        &self.slots[slot][place.start..place.start + place.length]
    }

    /// The inputs by node.
    fn check_inputs<'a>(&self, given: &[(&str, &'a [T])], batch: usize) -> Result<Vec<&'a [T]>, CpuError> {
        let mut inputs: Vec<&[T]> = vec![&[]; self.graph.nodes().len()];
        for (node, entry) in self.graph.nodes().iter().enumerate() {
            let Op::Input { name } = &entry.op else { continue };
            let expected = entry.types[0].shape.elements(batch);
            let Some((_, data)) = given.iter().find(|(other, _)| other == name) else {
                return Err(CpuError::MissingInput { name: name.clone(), expected });
            };
            if data.len() != expected {
                return Err(CpuError::InputLength { name: name.clone(), expected, found: data.len(), batch });
            }
            inputs[node] = data;
        }
        Ok(inputs)
    }

    fn check_states(&self, store: &mut Store<T>, batch: usize) -> Result<(), CpuError> {
        let nodes = self.graph.nodes();
        if nodes.iter().any(|entry| matches!(entry.op, Op::Parameter { .. })) {
            store.require(&self.parameters_from, DType::F32, self.graph.arena_elements(), batch, false)?;
        }
        for (node, entry) in nodes.iter().enumerate() {
            let Op::State { name } = &entry.op else { continue };
            let data_set = Value { node, output: 0 };
            let gathered =
                nodes.iter().any(|other| matches!(other.op, Op::Gather { .. }) && other.inputs[0] == data_set);
            let expected = entry.types[0].shape.elements(batch);
            store.require(name, entry.types[0].dtype, expected, batch, !gathered)?;
        }
        Ok(())
    }

    fn bind(&mut self, batch: usize) {
        if self.bound.as_ref().is_none_or(|bound| bound.batch != batch) {
            let graph = &self.graph;
            let kernel = |entry: &Node| match &entry.op {
                Op::Pointwise { tape } => {
                    let shapes: Vec<_> = entry.inputs.iter().map(|input| graph.shape(*input).clone()).collect();
                    Some(Kernel::new(tape, &shapes, &entry.types[0].shape, batch))
                }
                _ => None,
            };
            let kernels = graph.nodes().iter().map(kernel).collect();
            self.bound = Some(Bound { batch, memory: Memory::plan(graph, &self.parameters_from, batch), kernels });
        }
        let planned = &self.bound.as_ref().expect("just bound").memory.slots;
        self.slots.resize_with(planned.len().max(self.slots.len()), Vec::new);
        for (slot, planned) in self.slots.iter_mut().zip(planned) {
            if slot.len() < planned.length || (planned.exact && slot.len() != planned.length) {
                slot.resize(planned.length, T::ZERO);
            }
        }
    }

    fn clock(&self, value: Value) -> [u32; 4] {
        let mut clock = [0; 4];
        clock.iter_mut().zip(&self.words[value.node]).for_each(|(clock, word)| *clock = *word);
        clock
    }

    /// Whether the first element of a status, be it float or word, is not 0.
    fn is_set(&self, status: Value, memory: &Memory, sources: &Sources<'_, T>) -> bool {
        match memory.place(status).root {
            Root::Words(node) => self.words[node][0] != 0,
            _ => sources.read(memory.place(status))[0] != T::ZERO,
        }
    }

    fn sources<'a>(&'a self, store: &'a Store<T>, inputs: &'a [&'a [T]]) -> Sources<'a, T> {
        Sources { slots: &self.slots, store, inputs, graph: &self.graph, parameters_from: &self.parameters_from }
    }

    fn execute(&mut self, node: usize, bound: &Bound, store: &mut Store<T>, inputs: &[&[T]]) {
        let places = &bound.memory.places[node];
        if let Root::Words(_) = places[0].root {
            return self.execute_words(node, bound, store, inputs);
        }
        let entry = &self.graph.nodes()[node];
        let view = match &entry.op {
            Op::Input { .. } | Op::Parameter { .. } | Op::State { .. } | Op::Reshape | Op::After => true,
            Op::Slice { .. } => places[0].root == bound.memory.place(entry.inputs[0]).root,
            _ => places[0].root == Root::Nowhere,
        };
        if view {
            return;
        }
        // The results of a reduction, which may be ranges of one slot, are computed one after the other.
        let together = if matches!(entry.op, Op::Reduce { .. }) { 1 } else { places.len() };
        let mut scratch = std::mem::take(&mut self.scratch);
        for (part, places) in places.chunks(together).enumerate() {
            let mut taken: Vec<Vec<T>> =
                places.iter().map(|place| std::mem::take(self.target(place.root, store))).collect();
            let outputs = taken.iter_mut().zip(places);
            let outputs = outputs.map(|(target, place)| &mut target[place.start..place.start + place.length]).collect();
            self.compute((node, part), bound, &self.sources(store, inputs), outputs, &mut scratch);
            for (target, place) in taken.into_iter().zip(places) {
                *self.target(place.root, store) = target;
            }
        }
        self.scratch = scratch;
    }

    /// What a node writes to.
    fn target<'a>(&'a mut self, root: Root, store: &'a mut Store<T>) -> &'a mut Vec<T> {
        match root {
            Root::Slot(slot) => &mut self.slots[slot],
            Root::State(node) => match &self.graph.nodes()[node].op {
                Op::State { name } => store.floats_mut(name).expect("checked before the run"),
                _ => unreachable!("only states are rooted in states"),
            },
            _ => unreachable!("results go to slots and states"),
        }
    }

    /// Computes a node, or a reduction of input number `part` alone.
    fn compute(
        &self,
        (node, part): (usize, usize),
        bound: &Bound,
        sources: &Sources<'_, T>,
        mut outputs: Vec<&mut [T]>,
        scratch: &mut [Vec<T>; 2],
    ) {
        let (graph, memory, batch) = (&self.graph, &bound.memory, bound.batch);
        let entry = &graph.nodes()[node];
        let lengths = |value: Value| graph.shape(value).dims().iter().map(|dim| dim.at(batch)).collect::<Vec<usize>>();
        let read = |index: usize| sources.read(memory.place(entry.inputs[index]));
        if let Some(kernel) = &bound.kernels[node] {
            let operand = |value: &Value| match memory.place(*value).root {
                Root::Words(_) => Operand::Clock(self.clock(*value)),
                root @ Root::State(_) if memory.places[node].iter().any(|place| place.root == root) => {
                    let output = memory.places[node].iter().position(|place| place.root == root);
                    Operand::Output(output.expect("just found"))
                }
                _ => Operand::Real(sources.read(memory.place(*value))),
            };
            let operands: Vec<_> = entry.inputs.iter().map(operand).collect();
            return kernel.run(&operands, outputs);
        }
        let out = &mut *outputs[0];
        match &entry.op {
            Op::MatMul { layout } => {
                let (a, b) = (lengths(entry.inputs[0]), lengths(entry.inputs[1]));
                let (last_a, last_b) = (a[a.len() - 1], b[b.len() - 1]);
                let lead = a[..a.len() - 1].iter().product();
                let lengths = match layout {
                    Layout::Nn => Lengths { rows: lead, depth: last_a, columns: last_b },
                    Layout::Nt => Lengths { rows: lead, depth: last_a, columns: b[0] },
                    Layout::Tn => Lengths { rows: last_a, depth: lead, columns: last_b },
                };
                matmul(*layout, lengths, read(0), read(1), out, &mut scratch[0]);
            }
            Op::Conv { layout, geometry } => {
                conv::conv(*layout, *geometry, &lengths(entry.inputs[0]), read(0), read(1), out, scratch);
            }
            Op::BatchMatMul { layout } => {
                let (a, b) = (lengths(entry.inputs[0]), lengths(entry.inputs[1]));
                let (matrices, a) = a.split_at(a.len() - 2);
                let b = &b[b.len() - 2..];
                let lengths = match layout {
                    Layout::Nn => Lengths { rows: a[0], depth: a[1], columns: b[1] },
                    Layout::Nt => Lengths { rows: a[0], depth: a[1], columns: b[0] },
                    Layout::Tn => Lengths { rows: a[1], depth: a[0], columns: b[1] },
                };
                batch_matmul(*layout, matrices.iter().product(), lengths, read(0), read(1), out, &mut scratch[0]);
            }
            Op::Permute { axes } => permute::permute(&lengths(entry.inputs[0]), axes, read(0), out),
            Op::Reduce { reduction, axes } => {
                let groups = reduce::groups(&lengths(entry.inputs[0]), axes);
                reduce::reduce(*reduction, &groups, read(part), out, scratch);
            }
            Op::Gather { storage, order, micro_batches } => {
                let set = entry.inputs[0];
                let data = match (&graph.node(set).op, graph.tensor_type(set).dtype) {
                    (Op::State { name }, DType::U8) => Rows::Bytes(sources.store.bytes(name).unwrap_or_default()),
                    _ => Rows::Real(read(0)),
                };
                let clock = self.clock(entry.inputs[1]);
                gather::gather(*storage, *order, *micro_batches, data, out.len() / batch, clock, out);
            }
            Op::Slice { axis, start, length } => {
                let whole = lengths(entry.inputs[0]);
                let inner: usize = whole[axis + 1..].iter().product();
                views::slice(read(0), whole[*axis] * inner, start * inner, length * inner, out);
            }
            Op::Concat { axis } => {
                let run = |value: &Value| lengths(*value)[*axis..].iter().product();
                let inputs: Vec<(&[T], usize)> =
                    entry.inputs.iter().enumerate().map(|(i, value)| (read(i), run(value))).collect();
                views::concat(&inputs, out);
            }
            Op::Pack { offsets } => {
                let whole = memory.places[node][0];
                let input = |(i, offset): (usize, &usize)| {
                    let place = memory.place(entry.inputs[i]);
                    (*offset, place.length, (place.root != whole.root).then(|| sources.read(place)))
                };
                views::pack(offsets.iter().enumerate().map(input), out);
            }
            Op::RingPush => {
                out.copy_from_slice(read(0));
                self.push(node, memory, sources, out);
            }
            op => unreachable!("{op:?} computes no floats in a prepared graph"),
        }
    }

    /// Writes the record of a ring push to `ring`.
    fn push(&self, node: usize, memory: &Memory, sources: &Sources<'_, T>, ring: &mut [T]) {
        let inputs = &self.graph.nodes()[node].inputs;
        let record: Vec<T> = inputs[3..].iter().map(|scalar| sources.read(memory.place(*scalar))[0]).collect();
        let halted = self.is_set(inputs[2], memory, sources);
        counters::ring_push(ring, self.clock(inputs[1])[0], halted, &record);
    }

    fn execute_words(&mut self, node: usize, bound: &Bound, store: &Store<T>, inputs: &[&[T]]) {
        let entry = &self.graph.nodes()[node];
        self.words[node] = match &entry.op {
            Op::Tick { by } => {
                let halted = self.is_set(entry.inputs[1], &bound.memory, &self.sources(store, inputs));
                counters::tick(*by, &self.words[entry.inputs[0].node], bound.batch, halted)
            }
            Op::Reshape | Op::After => self.words[entry.inputs[0].node].clone(),
            _ => return,
        };
    }

    /// Outputs and new states: first every copy, then rings, then the exchange.
    fn finish(&mut self, bound: &Bound, store: &mut Store<T>, inputs: &[&[T]]) {
        let memory = &bound.memory;
        let outputs = memory.outputs.iter().filter_map(|(to, from)| from.map(|from| (to.root, from)));
        let states = memory.assignments.iter().filter_map(|assignment| match assignment {
            Assignment::Swap { slot, from: Some(from) } => Some((Root::Slot(*slot), *from)),
            _ => None,
        });
        for (to, from) in outputs.chain(states) {
            let Root::Slot(slot) = to else { unreachable!("copies go to slots") };
            let mut target = std::mem::take(&mut self.slots[slot]);
            if let Root::Words(node) = from.root {
                target.iter_mut().zip(&self.words[node]).for_each(|(to, word)| *to = T::from_f64(f64::from(*word)));
            } else {
                target[..from.length].copy_from_slice(self.sources(store, inputs).read(from));
            }
            self.slots[slot] = target;
        }
        let named = || self.graph.assignments().iter().map(|(name, _)| name).zip(&memory.assignments);
        for (name, assignment) in named() {
            if let Assignment::Push(node) = assignment
                && let Some(super::Tensor::Real(mut ring)) = store.remove(name)
            {
                self.push(*node, memory, &self.sources(store, inputs), &mut ring);
                store.insert(name, super::Tensor::Real(ring));
            }
        }
        for (name, assignment) in named() {
            match assignment {
                Assignment::Swap { slot, .. } => store.swap(name, &mut self.slots[*slot]),
                Assignment::Words(node) => match store.words_mut(name) {
                    Some(words) if words.len() == self.words[*node].len() => words.copy_from_slice(&self.words[*node]),
                    _ => store.upload_words(name, &self.words[*node]),
                },
                Assignment::Push(_) | Assignment::InPlace => {}
            }
        }
    }
}
