//! One graph, op by op.

use std::collections::{BTreeMap, HashMap};

use super::iteration::elements;
use super::tensors::{Bind, Call, Home, Tensor};
use super::{LowerError, Shared, Source, attention, memory, padded_bytes};
use crate::graph::{DType, Fusion, Graph, Op, Overwrite, Shape, Value};
use crate::plan::{Dispatch, Port, Program, Size};

/// Lowers one graph.
pub(super) fn lower(shared: &mut Shared, source: &Source) -> Result<Program, LowerError> {
    let options = shared.options;
    let graph = source.graph.fused_by(&Fusion {
        max_operands: options.limits.fused_tensors(),
        parameters_from: source.parameters_from,
        kept: &|composite| attention::streams(composite, &options),
    });
    let mut lowering = Lowering::new(shared, &graph, source.parameters_from);
    lowering.walk()?;
    lowering.finish(source.name)
}

/// With which neighbour a pointwise node shares its kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Partner {
    /// The product of this node feeds it.
    MatMul(usize),
    /// The reduction of this node takes what it computes.
    Reduce(usize),
}

pub(super) struct Lowering<'a> {
    pub shared: &'a mut Shared,
    pub graph: &'a Graph,
    parameters_from: &'a str,
    pub tensors: Vec<Tensor>,
    pub calls: Vec<Call>,
    /// The tensor of each value that has one.
    values: HashMap<Value, usize>,
    /// Nodes that read each value, views looked through.
    readers: HashMap<Value, Vec<usize>>,
    /// The partner of a pointwise node, and the reverse.
    pub partners: BTreeMap<usize, Partner>,
    absorbed: BTreeMap<usize, usize>,
    /// The values that may be written over the states that they replace.
    overwrites: BTreeMap<Value, Overwrite>,
    /// Concatenations that are never made, and what they are of.
    pub joined: BTreeMap<usize, [Value; 2]>,
    /// Values that are written into their slices.
    pub split: BTreeMap<Value, Vec<Value>>,
    inputs: Vec<(String, usize)>,
    store_tensors: HashMap<(String, u64, Size), usize>,
    /// Copies of states as they were, for results that show them while the program replaces them.
    snapshots: HashMap<Value, usize>,
}

impl<'a> Lowering<'a> {
    fn new(shared: &'a mut Shared, graph: &'a Graph, parameters_from: &'a str) -> Self {
        let mut lowering = Self {
            shared,
            graph,
            parameters_from,
            tensors: Vec::new(),
            calls: Vec::new(),
            values: HashMap::new(),
            readers: HashMap::new(),
            partners: BTreeMap::new(),
            absorbed: BTreeMap::new(),
            overwrites: graph.overwrites(parameters_from, &|value| graph.viewed(value)),
            joined: BTreeMap::new(),
            split: BTreeMap::new(),
            inputs: Vec::new(),
            store_tensors: HashMap::new(),
            snapshots: HashMap::new(),
        };
        for (node, entry) in graph.nodes().iter().enumerate() {
            if !matches!(entry.op, Op::Reshape | Op::After) {
                for input in &entry.inputs {
                    let root = lowering.root(*input);
                    lowering.readers.entry(root).or_default().push(node);
                }
            }
        }
        lowering
    }

    /// The value that a view (of a view) shows.
    pub fn root(&self, value: Value) -> Value {
        self.graph.viewed(value)
    }

    pub fn readers_of(&self, value: Value) -> &[usize] {
        self.readers.get(&self.root(value)).map_or(&[], Vec::as_slice)
    }

    /// Whether the host or the store wants this value.
    pub fn is_wanted(&self, value: Value) -> bool {
        self.graph.outputs().iter().chain(self.graph.assignments()).any(|(_, wanted)| self.root(*wanted) == value)
    }

    /// The state that a value shows as it stands: its own name, or that of the arena for a parameter.
    pub fn shown_state(&self, value: Value) -> Option<&str> {
        self.graph.state_of(self.root(value), self.parameters_from)
    }

    pub fn label(&self, node: usize, kind: &str) -> String {
        let scope = &self.graph.nodes()[node].scope;
        if scope.is_empty() { kind.to_owned() } else { format!("{scope} {kind}") }
    }

    pub fn batch(&self) -> u64 {
        u64::from(self.shared.options.max_batch)
    }

    pub fn tensor(&mut self, name: String, dtype: DType, elements: Size, home: Home) -> usize {
        self.tensors.push(Tensor { name, dtype, elements, samples_lead: false, home });
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
        let value = self.root(value);
        if let Some(tensor) = self.values.get(&value) {
            return *tensor;
        }
        let graph = self.graph;
        let (node, tensor_type) = (graph.node(value), graph.tensor_type(value));
        let (dtype, size) = (tensor_type.dtype, elements(&tensor_type.shape));
        let tensor = match &node.op {
            Op::State { name } => self.store_tensor(name, dtype, size, 0),
            Op::Parameter { index } => {
                let offset = graph.parameters()[*index].offset as u64;
                let arena = self.parameters_from.to_owned();
                self.arena(&arena);
                self.store_tensor(&arena, dtype, size, offset)
            }
            Op::Input { name } => {
                let tensor = self.tensor(name.clone(), dtype, size, Home::Own);
                self.inputs.push((name.clone(), tensor));
                tensor
            }
            _ => {
                let name = self.label(value.node, &format!("value {}.{}", value.node, value.output));
                // What the host reads must survive until it does.
                let wanted = graph.outputs().iter().any(|(_, output)| self.root(*output) == value);
                self.tensor(name, dtype, size, if wanted { Home::Own } else { Home::Scratch })
            }
        };
        self.tensors[tensor].samples_lead = tensor_type.shape.batch_axis() == Some(0);
        self.values.insert(value, tensor);
        tensor
    }

    fn store_tensor(&mut self, name: &str, dtype: DType, elements: Size, offset: u64) -> usize {
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
        let elements = Size::fixed(self.graph.arena_elements() as u64);
        self.shared.store_buffer(name, DType::F32, elements);
    }

    /// Lets a value live in a tensor that exists already.
    pub fn set_tensor(&mut self, value: Value, tensor: usize) {
        self.values.insert(value, tensor);
    }

    /// The state that `value` replaces, as the tensor that holds its old value.
    pub fn replaced_state(&mut self, value: Value) -> Option<usize> {
        let graph = self.graph;
        let (name, _) = graph.assignments().iter().find(|(_, assigned)| *assigned == value)?;
        let tensor_type = graph.tensor_type(value);
        Some(self.store_tensor(name, tensor_type.dtype, elements(&tensor_type.shape), 0))
    }

    fn walk(&mut self) -> Result<(), LowerError> {
        self.choose_parts();
        self.choose_partners();
        let graph = self.graph;
        for (node, entry) in graph.nodes().iter().enumerate() {
            if self.absorbed.contains_key(&node) {
                continue;
            }
            match &entry.op {
                Op::Pointwise { .. } => self.pointwise(node)?,
                Op::MatMul { .. } | Op::Conv { .. } => self.product(node)?,
                Op::BatchMatMul { layout } => self.launch_batch_product(node, *layout, None)?,
                Op::Permute { axes } => self.permute(node, axes)?,
                Op::Reduce { .. } => self.reduce(node)?,
                Op::Gather { .. } => self.gather(node)?,
                Op::Composite(composite) => self.stream_attention(node, composite)?,
                Op::Slice { .. } if self.split.contains_key(&self.root(entry.inputs[0])) => {}
                Op::Concat { .. } if self.joined.contains_key(&node) => {}
                Op::Slice { .. } | Op::Concat { .. } => self.copies(node),
                Op::Pack { offsets } => self.pack(node, offsets),
                // Sources and views cost nothing; rings and clocks come last.
                _ => {}
            }
        }
        // What shows the old states comes before what replaces them: rings and clocks in place, the rest by copies.
        self.keep_old_states();
        for (node, entry) in graph.nodes().iter().enumerate() {
            if matches!(entry.op, Op::RingPush) {
                self.ring_push(node)?;
            }
        }
        for (node, entry) in graph.nodes().iter().enumerate() {
            if let Op::Tick { by } = entry.op {
                self.tick(node, by)?;
            }
        }
        self.copy_assignments();
        Ok(())
    }

    /// Pairs pointwise nodes with a reduction that they feed or a product that feeds them.
    fn choose_partners(&mut self) {
        // First what only a reduction reads: it need not be stored then. What is stored is best stored by the product that
        // it finishes, which need not be.
        self.feed_reductions(true);
        self.finish_products();
        self.feed_reductions(false);
    }

    /// Pairs pointwise nodes with a reduction that they feed; `alone`: only those that nothing else reads.
    fn feed_reductions(&mut self, alone: bool) {
        let graph = self.graph;
        for (node, entry) in graph.nodes().iter().enumerate() {
            let Op::Reduce { .. } = entry.op else { continue };
            let producer = entry.inputs[0].node;
            let mut inputs = entry.inputs.iter();
            let ours = |input: &Value| self.readers_of(*input).iter().all(|reader| *reader == node);
            if entry.inputs.iter().all(|input| input.node == producer)
                && matches!(graph.nodes()[producer].op, Op::Pointwise { .. })
                && !self.absorbed.contains_key(&node)
                && !self.partners.contains_key(&producer)
                && (!alone || inputs.any(|input| ours(input) && !self.is_wanted(*input)))
                && self.can_feed(producer, node)
            {
                self.partners.insert(producer, Partner::Reduce(node));
                self.absorbed.insert(node, producer);
            }
        }
    }

    /// Pairs pointwise nodes with a product that feeds them.
    fn finish_products(&mut self) {
        let graph = self.graph;
        for (node, entry) in graph.nodes().iter().enumerate() {
            if !matches!(entry.op, Op::Pointwise { .. }) || self.partners.contains_key(&node) {
                continue;
            }
            let products = entry.inputs.iter().filter(|input| {
                let first = self.readers_of(**input).iter().min();
                self.takes_epilogue(input.node)
                    && first == Some(&node)
                    && !self.absorbed.contains_key(&input.node)
                    && self.can_wait(input.node, node)
                    && self.can_finish(input.node, node)
            });
            // The last product: what the others give is there by then.
            if let Some(product) = products.map(|input| input.node).max() {
                self.partners.insert(node, Partner::MatMul(product));
                self.absorbed.insert(product, node);
            }
        }
    }

    /// Whether what a product reads is still there when `node` runs.
    fn can_wait(&self, product: usize, node: usize) -> bool {
        let between = self.overwrites.iter().filter(|(new, _)| product < new.node && new.node < node);
        between.map(|(_, overwrite)| overwrite.old).all(|old| !self.reads_state_of(product, old))
    }

    /// Whether a node reads the state that `old` shows.
    fn reads_state_of(&self, node: usize, old: Value) -> bool {
        self.graph.nodes()[node].inputs.iter().any(|input| self.shown_state(*input) == self.shown_state(old))
    }

    /// The old value of the state that a pointwise value is written over; a product that it finishes reads that state to
    /// the end.
    pub fn overwritten(&self, value: Value, product: Option<usize>) -> Option<Value> {
        let Overwrite { old, .. } = *self.overwrites.get(&value)?;
        product.is_none_or(|product| !self.reads_state_of(product, old)).then_some(old)
    }

    /// Copies the states that are results as they stand, where the program gives them another value.
    fn keep_old_states(&mut self) {
        let graph = self.graph;
        let results = graph.outputs().iter().map(|(_, value)| (None, *value));
        let assigned = graph.assignments().iter().map(|(name, value)| (Some(name.as_str()), *value));
        for (target, value) in results.chain(assigned) {
            let root = self.root(value);
            let Some(state) = self.shown_state(root).map(str::to_owned) else { continue };
            let replaced = graph.assignments().iter().any(|(name, value)| {
                *name == state && (self.root(*value) != root || !matches!(graph.node(root).op, Op::State { .. }))
            });
            if target == Some(state.as_str()) || !replaced || self.snapshots.contains_key(&root) {
                continue;
            }
            let tensor_type = graph.tensor_type(root);
            let size = elements(&tensor_type.shape);
            let is_output = graph.outputs().iter().any(|(_, output)| self.root(*output) == root);
            let home = if is_output { Home::Own } else { Home::Scratch };
            let kept = self.tensor(format!("old {state}"), tensor_type.dtype, size, home);
            let from = self.tensor_of(root);
            self.tensors[kept].samples_lead = self.tensors[from].samples_lead;
            self.copy_whole(format!("keep {state}"), from, kept, size);
            self.snapshots.insert(root, kept);
        }
    }

    /// The tensor that holds a result's value at the end.
    fn result_tensor(&mut self, value: Value) -> usize {
        let root = self.root(value);
        self.snapshots.get(&root).copied().unwrap_or_else(|| self.tensor_of(root))
    }

    /// States whose new value was not computed in place are copied at the end.
    fn copy_assignments(&mut self) {
        let graph = self.graph;
        for (name, value) in graph.assignments() {
            if matches!(graph.node(*value).op, Op::RingPush | Op::Tick { .. }) {
                continue;
            }
            let tensor_type = graph.tensor_type(*value);
            let size = elements(&tensor_type.shape);
            let state = self.store_tensor(name, tensor_type.dtype, size, 0);
            let from = if self.shown_state(*value) == Some(name) {
                self.tensor_of(*value)
            } else {
                self.result_tensor(*value)
            };
            if from != state {
                self.copy_whole(format!("assign {name}"), from, state, size);
            }
        }
    }

    fn finish(mut self, name: &str) -> Result<Program, LowerError> {
        let graph = self.graph;
        let outputs: Vec<(String, usize, DType, Size)> = graph
            .outputs()
            .iter()
            .map(|(output, value)| {
                let tensor_type = graph.tensor_type(*value);
                (output.clone(), self.result_tensor(*value), tensor_type.dtype, elements(&tensor_type.shape))
            })
            .collect();
        let Self { shared, tensors, calls, inputs, .. } = self;
        let batch = u64::from(shared.options.max_batch);
        let slices = memory::place(shared, graph, &tensors, &calls, name)?;
        let limit = shared.options.limits.binding_bytes;
        let port = |name: &str, tensor: usize, dtype: DType, elements: Size| Port {
            name: name.to_owned(),
            dtype,
            elements,
            slice: slices[tensor],
        };
        let mut dispatches = Vec::new();
        for call in calls {
            let mut bindings = Vec::new();
            let mut bytes = Size::default();
            for Bind { tensor, part, .. } in &call.binds {
                let held = &tensors[*tensor];
                let mut slice = slices[*tensor];
                let mut size = held.elements * held.dtype.bytes();
                if let Some((start, length)) = part {
                    slice.offset += start * held.dtype.bytes();
                    slice.bytes = padded_bytes(held.dtype, *length).min(slice.bytes - start * held.dtype.bytes());
                    size = Size::fixed(length * held.dtype.bytes());
                }
                if slice.bytes > limit {
                    let name = format!("{name}: {} of {}", held.name, call.label);
                    let batch = shared.options.max_batch;
                    let advice = memory::advice(graph, held);
                    return Err(LowerError::TooLarge { name, bytes: slice.bytes, batch, limit, advice });
                }
                bindings.push(slice);
                bytes = bytes + size;
            }
            debug_assert!(call.workgroups.count(batch) > 0, "{} launches nothing", call.label);
            dispatches.push(Dispatch {
                shader: call.shader,
                label: call.label,
                bindings,
                constants: call.constants,
                workgroups: call.workgroups,
                flops: call.flops,
                bytes: call.bytes.unwrap_or(bytes),
                samples: call.samples,
            });
        }
        Ok(Program {
            name: name.to_owned(),
            inputs: inputs
                .iter()
                .map(|(name, tensor)| port(name, *tensor, tensors[*tensor].dtype, tensors[*tensor].elements))
                .collect(),
            outputs: outputs.iter().map(|(name, tensor, dtype, size)| port(name, *tensor, *dtype, *size)).collect(),
            dispatches,
        })
    }

    /// The shape of a node's first output.
    pub fn shape(&self, node: usize) -> &'a Shape {
        &self.graph.nodes()[node].types[0].shape
    }
}
