//! Pointwise nodes: alone, as the epilogue of a product, or as the prologue of a reduction.

use super::LowerError;
use super::emit::{Bound, Emitted, Emitter, Source, Target, unfit_constant};
use super::iteration::{Access as Place, Iteration, Split, elements, times};
use super::program::{Lowering, Partner};
use super::tensors::{Bind, Call};
use crate::graph::expr::Term;
use crate::graph::{DType, Op, Shape, Tape, Value};
use crate::kernels;
use crate::plan::{Access, Constant, Size};

/// A pointwise node made ready for a kernel: its hooks and the tensors that these bind.
pub(super) struct Prepared {
    pub emitted: Emitted,
    pub binds: Vec<Bind>,
    pub view: Iteration,
    /// Which of the binds move on when columns are cut into parts.
    moving: Vec<bool>,
    /// Whether cutting columns into parts keeps the meaning.
    divisible: bool,
    pub flops: Size,
}

impl Lowering<'_> {
    pub(super) fn pointwise(&mut self, node: usize) -> Result<(), LowerError> {
        match self.partners.get(&node) {
            Some(Partner::MatMul(product)) => self.product_with_epilogue(*product, node),
            Some(Partner::Reduce(reduction)) => self.reduction_with_prologue(*reduction, node),
            None => self.alone(node),
        }
    }

    fn alone(&mut self, node: usize) -> Result<(), LowerError> {
        if self.stored_outputs(node, None).is_empty() {
            return Ok(());
        }
        let prepared = self.prepare(node, None, None)?;
        let label = self.label(node, "pointwise");
        self.check_buffers(&label, prepared.binds.len())?;
        let shader = self.shared.shader(kernels::pointwise::pointwise(&prepared.emitted.hooks));
        for (binds, columns) in self.parts(&prepared) {
            let (rows, mut constants, workgroups) = if prepared.view.lead.is_empty() {
                let words = kernels::pointwise::flat_constants(columns);
                (Size::fixed(1), words, kernels::pointwise::flat_workgroups(columns))
            } else {
                let rows = prepared.view.rows();
                let words = kernels::pointwise::constants(rows, columns.fixed);
                (rows, words, kernels::pointwise::workgroups(rows, columns.fixed))
            };
            constants.extend(&prepared.emitted.constants);
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

    /// Whether `node` can be the epilogue of `product`.
    pub(super) fn can_finish(&self, product: usize, node: usize) -> bool {
        let split = Split::At(self.shape(product).rank() - 1);
        self.shape(product) == self.shape(node)
            && self.fits(node, split)
            && self.has_room(2 + self.bindings(node, Some(product), None), self.further_parts(node, Some(product)))
    }

    /// Whether what `reduction` reads of `node` can be computed by `reduction` itself.
    pub(super) fn can_feed(&self, node: usize, reduction: usize) -> bool {
        let Some((start, trailing)) = self.feeding_view(reduction) else { return false };
        let results = self.graph.nodes()[reduction].types.len();
        (trailing || self.stored_outputs(node, Some(reduction)).is_empty() || self.feeds_widely(reduction))
            && self.fits(node, feeding_split(start, trailing))
            && self.has_room(results + self.bindings(node, None, Some(reduction)), self.further_parts(node, None))
    }

    pub(super) fn fits(&self, node: usize, split: Split) -> bool {
        let shapes: Vec<&Shape> = self.operands(node).into_iter().map(|value| self.graph.shape(value)).collect();
        Iteration::new(self.shape(node), &shapes, split).is_some_and(|view| self.covers(node, &view))
    }

    /// Whether the node's draws and column numbers have their meaning under `view`.
    fn covers(&self, node: usize, view: &Iteration) -> bool {
        let tape = self.tape(node);
        let shape = self.shape(node);
        let random = tape.terms.iter().any(Term::is_random);
        let column = tape.terms.iter().any(|term| matches!(term, Term::Column));
        let last = channels(shape);
        (!random || shape.batch_axis().is_none() || view.batch_group.is_some())
            && (!(column || self.in_parts(node)) || view.columns == Size::fixed(last))
    }

    pub(super) fn tape(&self, node: usize) -> &Tape {
        match &self.graph.nodes()[node].op {
            Op::Pointwise { tape } => tape,
            op => unreachable!("{op:?} is not pointwise"),
        }
    }

    /// The values that the node reads element by element, in the order of its inputs.
    fn operands(&self, node: usize) -> Vec<Value> {
        let tape = self.tape(node);
        let inputs = &self.graph.nodes()[node].inputs;
        let elementwise = |slot: usize| tape.terms.contains(&Term::Input(slot));
        (0..inputs.len()).filter(|slot| elementwise(*slot)).map(|slot| inputs[slot]).collect()
    }

    /// The outputs that have to be stored; what `reduction` reads is handed to it.
    pub(super) fn stored_outputs(&self, node: usize, reduction: Option<usize>) -> Vec<usize> {
        (0..self.graph.nodes()[node].types.len())
            .filter(|output| {
                let value = Value { node, output: *output };
                self.readers_of(value).iter().any(|reader| Some(*reader) != reduction) || self.is_wanted(value)
            })
            .collect()
    }

    /// Whether the raw product is needed besides the epilogue.
    fn keeps_product(&self, product: usize, node: usize) -> bool {
        let value = Value { node: product, output: 0 };
        self.readers_of(value).iter().any(|reader| *reader != node) || self.is_wanted(value)
    }

    /// An upper bound of the tensors that `prepare` binds, those in parts counted once.
    pub(super) fn bindings(&self, node: usize, product: Option<usize>, reduction: Option<usize>) -> usize {
        let inputs = self.graph.nodes()[node].inputs.iter().filter(|input| Some(input.node) != product).count();
        let raw = product.is_some_and(|product| self.keeps_product(product, node));
        let stored = self.stored_outputs(node, reduction);
        let overwritten = |output: usize| self.overwritten(Value { node, output }, product).is_some();
        let in_place = stored.iter().filter(|output| overwritten(**output)).count();
        inputs + stored.len() - in_place + usize::from(raw)
    }

    pub(super) fn prepare(
        &mut self,
        node: usize,
        product: Option<usize>,
        reduction: Option<usize>,
    ) -> Result<Prepared, LowerError> {
        let graph = self.graph;
        let tape = self.tape(node).clone();
        let shape = self.shape(node);
        let operands = self.operands(node);
        let shapes: Vec<&Shape> = operands.iter().map(|value| graph.shape(*value)).collect();
        let random = tape.terms.iter().any(Term::is_random);
        let column = tape.terms.iter().any(|term| matches!(term, Term::Column));
        let split = match (product, reduction) {
            (Some(_), _) => Split::At(shape.rank() - 1),
            (_, Some(reduction)) => {
                let (start, trailing) = self.feeding_view(reduction).expect("only such reductions are fed");
                feeding_split(start, trailing)
            }
            _ if self.in_parts(node) && random => Split::AtAndBatch(shape.rank() - 1),
            _ if random && shape.batch_axis().is_some() => Split::AfterBatch,
            _ if column || self.in_parts(node) => Split::At(shape.rank() - 1),
            _ => Split::Free,
        };
        let view = Iteration::new(shape, &shapes, split).filter(|view| self.covers(node, view)).ok_or_else(|| {
            LowerError::Unsupported {
                label: self.label(node, "pointwise"),
                what: format!("no kernel combines the shapes {} in this way", shapes_text(&shapes)),
            }
        })?;

        let mut sources = Vec::new();
        let mut bound = Vec::new();
        let mut binds = Vec::new();
        let mut moving = Vec::new();
        let stored = self.stored_outputs(node, reduction);
        let overwritten = |output: usize| self.overwritten(Value { node, output }, product).map(|old| (output, old));
        let in_place: Vec<(usize, Value)> = stored.iter().filter_map(|output| overwritten(*output)).collect();
        for (slot, input) in graph.nodes()[node].inputs.iter().enumerate() {
            if product.is_some_and(|product| self.root(*input).node == product) {
                sources.push(Source::Accumulator);
                continue;
            }
            let name = format!("x{slot}");
            if let Some(held) = self.joined_parts(*input) {
                let operand = operands.iter().position(|value| value == input).expect("a joined value is read so only");
                sources.push(Source::Operand { name: name.clone(), operand });
                self.bind_parts(&held, name, Access::Read, &mut bound, &mut binds, &mut moving);
                continue;
            }
            let tensor = self.tensor_of(*input);
            let written = in_place.iter().any(|(_, old)| old == input);
            let operand =
                operands.iter().position(|value| value == input).filter(|_| tape.terms.contains(&Term::Input(slot)));
            let dims = graph.shape(*input).dims();
            let (dtype, vector) = match operand {
                Some(operand) => (DType::F32, view.operands[operand].along_columns()),
                None => (graph.tensor_type(*input).dtype, false),
            };
            sources.push(match operand {
                Some(operand) => Source::Operand { name: name.clone(), operand },
                None => Source::Whole {
                    name: name.clone(),
                    rows: dims.first().map_or(1, |dim| dim.at(1)) as u64,
                    columns: dims.get(1).map_or(1, |dim| dim.at(1)) as u64,
                },
            });
            moving.push(vector);
            bound.push(Bound { name, dtype, vector, written, parts: Vec::new() });
            binds.push(if written { Bind::write(tensor) } else { Bind::read(tensor) });
        }
        let mut targets = Vec::new();
        for output in stored {
            let value = Value { node, output };
            if let Some((_, old)) = in_place.iter().find(|(o, _)| *o == output) {
                let slot = graph.nodes()[node].inputs.iter().position(|input| input == old).expect("it is an input");
                let tensor = self.replaced_state(value).expect("an assigned value replaces a state");
                self.set_tensor(value, tensor);
                targets.push(Target { output: Some(output), name: format!("x{slot}") });
            } else if let Some(held) = self.split.get(&value).cloned() {
                let name = format!("y{output}");
                targets.push(Target { output: Some(output), name: name.clone() });
                self.bind_parts(&held, name, Access::ReadWrite, &mut bound, &mut binds, &mut moving);
            } else {
                let tensor = self.tensor_of(value);
                let name = format!("y{output}");
                targets.push(Target { output: Some(output), name: name.clone() });
                bound.push(Bound { name, dtype: DType::F32, vector: true, written: true, parts: Vec::new() });
                binds.push(Bind::write(tensor));
                moving.push(true);
            }
        }
        if let Some(product) = product.filter(|product| self.keeps_product(*product, node)) {
            let tensor = self.tensor_of(Value { node: product, output: 0 });
            targets.push(Target { output: None, name: "raw".to_owned() });
            let raw = "raw".to_owned();
            bound.push(Bound { name: raw, dtype: DType::F32, vector: true, written: true, parts: Vec::new() });
            binds.push(Bind::write(tensor));
            moving.push(true);
        }
        let handed: Vec<usize> = reduction
            .map_or(Vec::new(), |reduction| graph.nodes()[reduction].inputs.iter().map(|input| input.output).collect());
        let (sources, targets, bound) = (&sources, &targets, &bound);
        if let Some(value) = unfit_constant(&tape) {
            return Err(LowerError::NotFinite { label: self.label(node, "pointwise"), value: format!("{value:e}") });
        }
        let emitter = Emitter { tape: &tape, view: &view, sources, targets, bound, handed: &handed };
        let emitted = emitter.emit();
        let flops = elements(shape) * tape.operations() as u64;
        let all_dense =
            view.operands.iter().all(|place| matches!(place, Place::Dense | Place::Scalar | Place::Columns));
        let whole = bound.iter().all(|bound| bound.parts.is_empty());
        let divisible =
            whole && view.lead.is_empty() && view.columns.per_sample == 0 && !random && !column && all_dense;
        Ok(Prepared { emitted, binds, view, moving, divisible, flops })
    }

    /// One long row, cut where a binding would be too long: the binds and the number of columns of each part.
    pub(super) fn parts(&self, prepared: &Prepared) -> Vec<(Vec<Bind>, Size)> {
        let columns = prepared.view.columns;
        // Whole multiples of 256 bytes, where bindings may start.
        let longest = self.shared.options.limits.binding_bytes / 4 / 64 * 64;
        if !prepared.divisible || columns.fixed <= longest || longest == 0 {
            return vec![(prepared.binds.clone(), columns)];
        }
        (0..columns.fixed)
            .step_by(longest as usize)
            .map(|start| {
                let length = longest.min(columns.fixed - start);
                let part = |(bind, moving): (&Bind, &bool)| Bind {
                    part: if *moving { Some((start, length)) } else { bind.part },
                    ..bind.clone()
                };
                (prepared.binds.iter().zip(&prepared.moving).map(part).collect(), Size::fixed(length))
            })
            .collect()
    }

    pub(super) fn check_buffers(&self, label: &str, count: usize) -> Result<(), LowerError> {
        let limit = self.shared.options.limits.storage_buffers;
        if count > limit {
            return Err(LowerError::TooManyBuffers { label: label.to_owned(), count, limit });
        }
        Ok(())
    }
}

/// The length of the last axis; of a single number, 1.
pub(super) fn channels(shape: &Shape) -> u64 {
    shape.dims().last().map_or(1, |dim| dim.at(1)) as u64
}

/// Words for one more constant that hooks add, after a kernel's own.
pub(super) fn with_hook_words(mut own: Vec<Constant>, emitted: &Emitted) -> Vec<Constant> {
    own.extend(&emitted.constants);
    own
}

/// The split for a reduction whose columns start at this axis.
fn feeding_split(start: usize, trailing: bool) -> Split {
    if trailing { Split::At(start) } else { Split::AtAndBatch(start) }
}

fn shapes_text(shapes: &[&Shape]) -> String {
    shapes.iter().map(|shape| shape.to_string()).collect::<Vec<_>>().join(", ")
}
