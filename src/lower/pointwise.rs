//! Pointwise nodes: alone, as the epilogue of a product, or as the prologue of a reduction.

use super::LowerError;
use super::emit::{Emitted, Emitter, HookBinding, HookInput, Target, unfit_constant};
use super::facts::Partner;
use super::iteration::{Indexing, Iteration, Split, channels, elements, times};
use super::lowering::Lowering;
use super::partners::feeding_split;
use super::tensors::{Bind, Call};
use crate::graph::expr::Term;
use crate::graph::{DType, Shape, Value};
use crate::kernels;
use crate::plan::{Access, Constant, Size};

/// A pointwise node made ready for a kernel: its hooks and what these bind.
pub(super) struct Prepared {
    pub emitted: Emitted,
    slots: Vec<HookBinding>,
    pub view: Iteration,
    /// Whether cutting columns into pieces keeps the meaning.
    divisible: bool,
    pub flops: Size,
}

impl Prepared {
    /// The tensors that its hooks bind, in order.
    pub fn binds(&self) -> Vec<Bind> {
        self.slots.iter().flat_map(|slot| &slot.binds).cloned().collect()
    }

    /// The words of a kernel's constants: its own, then those of the hooks.
    pub fn words(&self, mut own: Vec<Constant>) -> Vec<Constant> {
        own.extend(&self.emitted.constants);
        own
    }

    /// One long row, cut where a binding would be longer than this many bytes: the binds and the number of columns of
    /// each piece.
    pub fn pieces(&self, binding_bytes: u64) -> Vec<(Vec<Bind>, Size)> {
        let columns = self.view.columns;
        // Whole multiples of 256 bytes, where bindings may start.
        let longest = binding_bytes / 4 / 64 * 64;
        if !self.divisible || columns.fixed <= longest || longest == 0 {
            return vec![(self.binds(), columns)];
        }
        let piece = |start: u64| {
            let length = longest.min(columns.fixed - start);
            let cut = |slot: &HookBinding| {
                let mut binds = slot.binds.clone();
                if slot.moves() {
                    binds.iter_mut().for_each(|bind| bind.part = Some((start, length)));
                }
                binds
            };
            (self.slots.iter().flat_map(cut).collect(), Size::fixed(length))
        };
        (0..columns.fixed).step_by(longest as usize).map(piece).collect()
    }
}

impl Lowering<'_> {
    pub(super) fn pointwise(&mut self, node: usize) -> Result<(), LowerError> {
        match self.facts.partners.get(&node) {
            Some(Partner::MatMul(product)) => self.product_with_epilogue(*product, node),
            Some(Partner::Reduce(reduction)) => self.reduction_with_prologue(*reduction, node),
            None => self.alone(node),
        }
    }

    fn alone(&mut self, node: usize) -> Result<(), LowerError> {
        if self.facts.stored_outputs(node, None).is_empty() {
            return Ok(());
        }
        let prepared = self.prepare(node, None, None)?;
        let label = self.facts.label(node, "pointwise");
        self.check_buffers(&label, prepared.binds().len())?;
        let shader = self.shared.shader(kernels::pointwise::pointwise(&prepared.emitted.hooks));
        for (binds, columns) in prepared.pieces(self.facts.options.limits.binding_bytes) {
            let (rows, words, workgroups) = if prepared.view.lead.is_empty() {
                let words = kernels::pointwise::flat_constants(columns);
                (Size::fixed(1), words, kernels::pointwise::flat_workgroups(columns))
            } else {
                let rows = prepared.view.rows();
                let words = kernels::pointwise::constants(rows, columns.fixed);
                (rows, words, kernels::pointwise::workgroups(rows, columns.fixed))
            };
            let constants = prepared.words(words);
            let flops = if columns == prepared.view.columns { prepared.flops } else { times(rows, columns) };
            self.call(Call { shader, label: label.clone(), binds, constants, workgroups, flops, ..Call::default() });
        }
        Ok(())
    }

    fn product_with_epilogue(&mut self, product: usize, node: usize) -> Result<(), LowerError> {
        let prepared = self.prepare(node, Some(product), None)?;
        self.launch_product(product, Some((node, prepared)))
    }

    fn reduction_with_prologue(&mut self, reduction: usize, node: usize) -> Result<(), LowerError> {
        let prepared = self.prepare(node, None, Some(reduction))?;
        self.launch_reduction(reduction, Some(prepared))
    }

    /// Makes a node ready to finish a product, to feed a reduction, or to run alone.
    fn prepare(
        &mut self,
        node: usize,
        product: Option<usize>,
        reduction: Option<usize>,
    ) -> Result<Prepared, LowerError> {
        let facts = self.facts;
        let (graph, tape) = (facts.graph, facts.tape(node));
        let view = self.view(node, product, reduction)?;
        if let Some(value) = unfit_constant(tape) {
            return Err(LowerError::NotFinite { label: facts.label(node, "pointwise"), value: format!("{value:e}") });
        }
        let stored = facts.stored_outputs(node, reduction);
        // The old values of states that outputs are written over.
        let old = |output: usize| facts.overwritten(Value { node, output }, product);
        let inputs = &graph.nodes()[node].inputs;
        let (mut sources, mut slots, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for (number, input) in inputs.iter().enumerate() {
            if product.is_some_and(|product| facts.root(*input).node == product) {
                sources.push(HookInput::Accumulator);
                continue;
            }
            let written = stored.iter().any(|output| old(*output) == Some(*input));
            let (source, slot) = self.read_slot(node, number, &view, written);
            sources.push(source);
            slots.push(slot);
        }
        for output in stored {
            let value = Value { node, output };
            let overwritten = old(output).and_then(|old| inputs.iter().position(|input| *input == old));
            let name = match overwritten {
                Some(number) => {
                    let tensor = self.replaced_state(value).expect("an assigned value replaces a state");
                    self.set_tensor(value, tensor);
                    format!("x{number}")
                }
                None => {
                    let name = format!("y{output}");
                    slots.push(self.written_slot(name.clone(), value));
                    name
                }
            };
            targets.push(Target { output: Some(output), name });
        }
        if let Some(product) = product.filter(|product| facts.keeps_product(*product, node)) {
            let name = "raw".to_owned();
            targets.push(Target { output: None, name: name.clone() });
            slots.push(self.written_slot(name, Value { node: product, output: 0 }));
        }
        let handed: Vec<usize> = reduction
            .map_or(Vec::new(), |reduction| graph.nodes()[reduction].inputs.iter().map(|input| input.output).collect());
        let emitter =
            Emitter { tape, view: &view, sources: &sources, targets: &targets, slots: &slots, handed: &handed };
        let emitted = emitter.emit();
        let flops = elements(facts.shape(node)) * tape.operations() as u64;
        let all_dense =
            view.operands.iter().all(|place| matches!(place, Indexing::Dense | Indexing::Scalar | Indexing::Columns));
        let placeless = !tape.terms.iter().any(|term| term.is_random() || matches!(term, Term::Column));
        let whole = slots.iter().all(|slot| slot.parts.is_empty());
        let divisible = whole && view.lead.is_empty() && view.columns.per_sample == 0 && placeless && all_dense;
        Ok(Prepared { emitted, slots, view, divisible, flops })
    }

    /// How a node's kernel walks its elements.
    fn view(&self, node: usize, product: Option<usize>, reduction: Option<usize>) -> Result<Iteration, LowerError> {
        let facts = self.facts;
        let (tape, shape) = (facts.tape(node), facts.shape(node));
        let random = tape.terms.iter().any(Term::is_random);
        let column = tape.terms.iter().any(|term| matches!(term, Term::Column));
        let split = match (product, reduction) {
            (Some(_), _) => Split::At(shape.rank() - 1),
            (_, Some(reduction)) => {
                let (start, trailing) = facts.feeding_view(reduction).expect("only such reductions are fed");
                feeding_split(start, trailing)
            }
            _ if facts.in_parts(node) && random => Split::AtAndBatch(shape.rank() - 1),
            _ if random && shape.batch_axis().is_some() => Split::AfterBatch,
            _ if column || facts.in_parts(node) => Split::At(shape.rank() - 1),
            _ => Split::Free,
        };
        let shapes: Vec<&Shape> = facts.operands(node).iter().map(|value| facts.graph.shape(*value)).collect();
        Iteration::new(shape, &shapes, split).filter(|view| facts.covers(node, view)).ok_or_else(|| {
            LowerError::Unsupported {
                label: facts.label(node, "pointwise"),
                what: format!("no kernel combines the shapes {} in this way", shapes_text(&shapes)),
            }
        })
    }

    /// What a node reads as its input of this number, and what is bound for that.
    fn read_slot(&mut self, node: usize, number: usize, view: &Iteration, written: bool) -> (HookInput, HookBinding) {
        let facts = self.facts;
        let graph = facts.graph;
        let input = graph.nodes()[node].inputs[number];
        let name = format!("x{number}");
        let elementwise = facts.tape(node).terms.contains(&Term::Input(number));
        let operand = facts.operands(node).iter().position(|value| *value == input).filter(|_| elementwise);
        if let Some(held) = facts.joined_parts(input) {
            let operand = operand.expect("a joined value is read so only");
            return (HookInput::Operand { name: name.clone(), operand }, self.slot_of_parts(name, &held, Access::Read));
        }
        let tensor = self.tensor_of(input);
        let binds = vec![if written { Bind::write(tensor) } else { Bind::read(tensor) }];
        let (dtype, vector) = match operand {
            Some(operand) => (DType::F32, view.operands[operand].along_columns()),
            None => (graph.tensor_type(input).dtype, false),
        };
        let length = |axis: usize| graph.shape(input).dims().get(axis).map_or(1, |dim| dim.at(1)) as u64;
        let source = match operand {
            Some(operand) => HookInput::Operand { name: name.clone(), operand },
            None => HookInput::Whole { name: name.clone(), rows: length(0), columns: length(1) },
        };
        (source, HookBinding { name, dtype, vector, written, binds, parts: Vec::new() })
    }

    /// What is bound for a value that a kernel stores.
    fn written_slot(&mut self, name: String, value: Value) -> HookBinding {
        if let Some(held) = self.facts.split.get(&value) {
            return self.slot_of_parts(name, held, Access::ReadWrite);
        }
        let binds = vec![Bind::write(self.tensor_of(value))];
        HookBinding { name, dtype: DType::F32, vector: true, written: true, binds, parts: Vec::new() }
    }

    /// What is bound for a value whose columns lie in several tensors.
    fn slot_of_parts(&mut self, name: String, held: &[Value], access: Access) -> HookBinding {
        let parts = held.iter().map(|part| channels(self.facts.graph.shape(*part))).collect();
        let binds = held.iter().map(|part| Bind { tensor: self.tensor_of(*part), access, part: None }).collect();
        HookBinding { name, dtype: DType::F32, vector: true, written: access == Access::ReadWrite, binds, parts }
    }
}

fn shapes_text(shapes: &[&Shape]) -> String {
    shapes.iter().map(|shape| shape.to_string()).collect::<Vec<_>>().join(", ")
}
