//! One graph, op by op.

use super::facts::Facts;
use super::iteration::elements;
use super::lowering::Lowering;
use super::tensors::{Bind, Home};
use super::{LowerError, ProgramSource, Shared, attention, memory, padded_bytes};
use crate::graph::{DType, Fusion, Op};
use crate::plan::{Dispatch, Port, Program, Size};

/// Lowers one graph.
pub(super) fn lower(shared: &mut Shared, source: &ProgramSource) -> Result<Program, LowerError> {
    let options = shared.options;
    let graph = source.graph.fused_by(&Fusion {
        max_operands: options.limits.fused_tensors(),
        parameters_from: source.parameters_from,
        kept: &|composite| attention::streams(composite, &options),
    });
    let facts = Facts::new(&graph, source.parameters_from, options);
    let mut lowering = Lowering::new(shared, &facts);
    lowering.walk()?;
    lowering.finish(source.name)
}

impl Lowering<'_> {
    fn walk(&mut self) -> Result<(), LowerError> {
        let graph = self.facts.graph;
        for (node, entry) in graph.nodes().iter().enumerate() {
            if self.facts.absorbed.contains(&node) {
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
                Op::Slice { .. } if self.facts.split.contains_key(&self.facts.root(entry.inputs[0])) => {}
                Op::Concat { .. } if self.facts.joined.contains_key(&node) => {}
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

    /// Copies the states that are results as they stand, where the program gives them another value.
    fn keep_old_states(&mut self) {
        let graph = self.facts.graph;
        let results = graph.outputs().iter().map(|(_, value)| (None, *value));
        let assigned = graph.assignments().iter().map(|(name, value)| (Some(name.as_str()), *value));
        for (target, value) in results.chain(assigned) {
            let root = self.facts.root(value);
            let Some(state) = self.facts.shown_state(root).map(str::to_owned) else { continue };
            let replaced = graph.assignments().iter().any(|(name, value)| {
                *name == state && (self.facts.root(*value) != root || !matches!(graph.node(root).op, Op::State { .. }))
            });
            if target == Some(state.as_str()) || !replaced || self.snapshots.contains_key(&root) {
                continue;
            }
            let tensor_type = graph.tensor_type(root);
            let size = elements(&tensor_type.shape);
            let is_output = graph.outputs().iter().any(|(_, output)| self.facts.root(*output) == root);
            let home = if is_output { Home::Own } else { Home::Scratch };
            let kept = self.tensor(format!("old {state}"), tensor_type.dtype, size, home);
            let from = self.tensor_of(root);
            self.tensors[kept].samples_lead = self.tensors[from].samples_lead;
            self.copy_whole(format!("keep {state}"), from, kept, size);
            self.snapshots.insert(root, kept);
        }
    }

    /// States whose new value was not computed in place are copied at the end.
    fn copy_assignments(&mut self) {
        let graph = self.facts.graph;
        for (name, value) in graph.assignments() {
            if matches!(graph.node(*value).op, Op::RingPush | Op::Tick { .. }) {
                continue;
            }
            let tensor_type = graph.tensor_type(*value);
            let size = elements(&tensor_type.shape);
            let state = self.store_tensor(name, tensor_type.dtype, size, 0);
            let from = if self.facts.shown_state(*value) == Some(name) {
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
        let graph = self.facts.graph;
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
}
