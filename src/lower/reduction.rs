//! Reductions over any axes, of one thing or several, with the prologue of a pointwise node.

use super::LowerError;
use super::iteration::{elements, times};
use super::lowering::Lowering;
use super::pointwise::Prepared;
use super::tensors::{Bind, Call, Cut, Home};
use crate::graph::{DType, Dim, Op, Reduction, Shape, Value};
use crate::kernels;
use crate::kernels::reduce::Over;
use crate::plan::Size;

fn reads(tensors: &[usize]) -> Vec<Bind> {
    tensors.iter().map(|tensor| Bind::read(*tensor)).collect()
}

fn writes(tensors: &[usize]) -> Vec<Bind> {
    tensors.iter().map(|tensor| Bind::write(*tensor)).collect()
}

impl Lowering<'_> {
    pub(super) fn reduce(&mut self, node: usize) -> Result<(), LowerError> {
        self.launch_reduction(node, None)
    }

    /// A reduction; the first stage may compute what it reduces.
    pub(super) fn launch_reduction(&mut self, node: usize, prologue: Option<Prepared>) -> Result<(), LowerError> {
        let graph = self.facts.graph;
        let entry = &graph.nodes()[node];
        let Op::Reduce { reduction, axes } = &entry.op else { unreachable!("only reductions get here") };
        let op = *reduction;
        let label = self.facts.label(node, "reduction");
        let results: Vec<usize> = (0..entry.types.len()).map(|output| self.tensor_of(Value { node, output })).collect();
        let mut shape = graph.shape(entry.inputs[0]).clone();
        let mut left: Vec<usize> = axes.clone();
        if let Some(prepared) = prologue {
            // It covers all axes in one stage, so nothing is left to do.
            return match self.facts.feeding_view(node) {
                Some((end, false)) => {
                    let part =
                        |range: std::ops::Range<usize>| elements(&Shape::new(shape.dims()[range].iter().copied()));
                    let lead = [part(0..axes[0]), part(axes[0]..end)];
                    self.middle_prologue(&label, op, &prepared, &results, lead)
                }
                _ => self.prologue_reduction(&label, op, prepared, &results),
            };
        }
        let mut sources: Vec<usize> = entry.inputs.iter().map(|input| self.tensor_of(*input)).collect();
        loop {
            let rank = shape.rank();
            let gone = |axis: usize, left: &[usize]| left.contains(&axis) || shape.dims()[axis] == Dim::Fixed(1);
            let trailing = (0..rank).rev().take_while(|axis| gone(*axis, &left)).last().unwrap_or(rank);
            let part = |range: std::ops::Range<usize>| elements(&Shape::new(shape.dims()[range].iter().copied()));
            let done: Vec<usize>;
            let mut middle = 0..0;
            let over_columns = left.iter().any(|axis| *axis >= trailing);
            if over_columns {
                done = left.iter().copied().filter(|axis| *axis >= trailing).collect();
            } else {
                // The last run of neighbouring axes.
                let end = left.last().map_or(rank, |axis| axis + 1);
                let start = (0..end).rev().take_while(|axis| gone(*axis, &left)).last().unwrap_or(end);
                middle = start..end;
                done = left.iter().copied().filter(|axis| middle.contains(axis)).collect();
            }
            let rest: Vec<usize> = left.iter().copied().filter(|axis| !done.contains(axis)).collect();
            let smaller = done.iter().fold(shape.clone(), |shape, axis| shape.with_axis(*axis, Dim::Fixed(1)));
            let targets = if rest.is_empty() {
                results.clone()
            } else {
                self.scratches_like(&sources, &format!("{label} part"), elements(&smaller))
            };
            if over_columns {
                self.reduce_columns(&label, op, &sources, &targets, part(0..trailing), part(trailing..rank));
            } else {
                let sizes = [part(0..middle.start), part(middle.clone()), part(middle.end..rank)];
                self.reduce_middle(&label, op, &sources, &targets, sizes);
            }
            (sources, shape, left) = (targets, smaller, rest);
            if left.is_empty() {
                return Ok(());
            }
        }
    }

    /// The first stage of a reduction over columns whose elements a pointwise node computes.
    fn prologue_reduction(
        &mut self,
        label: &str,
        op: Reduction,
        prepared: Prepared,
        results: &[usize],
    ) -> Result<(), LowerError> {
        let software = self.facts.options.driver.is_software();
        let (batch, rows, all) = (self.facts.batch(), prepared.view.rows(), prepared.view.columns);
        let parts = prepared.pieces(self.facts.options.limits.binding_bytes);
        let shape = kernels::reduce::choose(Over::Columns, all.at(batch), software);
        let hooks = &prepared.emitted.hooks;
        let shader = self.shared.shader(kernels::reduce::reduce(Over::Columns, op, shape, results.len(), hooks));
        let label = format!("{label} of pointwise");
        self.check_buffers(&label, results.len() + prepared.binds().len())?;
        let chunks = kernels::reduce::chunks(Over::Columns, shape, rows.at(batch), all.at(batch));
        let launch = |lowering: &mut Self, to: &[Bind], binds: &[Bind], columns: Size, chunks: u64, flops: Size| {
            let binds: Vec<Bind> = to.iter().chain(binds).cloned().collect();
            let words = kernels::reduce::constants(rows, columns, chunks);
            let constants = prepared.words(words);
            let workgroups = kernels::reduce::workgroups(Over::Columns, shape, rows, columns.fixed, chunks);
            let cut = Cut::Samples(op);
            lowering.call(Call {
                shader,
                label: label.clone(),
                binds,
                constants,
                workgroups,
                flops,
                cut,
                ..Call::default()
            });
        };
        if parts.len() > 1 {
            // Too long for a binding: each part leaves up to 64 partial sums, 256 bytes apart; what it leaves out stays
            // 0.
            if op == Reduction::Max {
                let what = "a maximum over more than one binding has no kernel".to_owned();
                return Err(LowerError::Unsupported { label, what });
            }
            let count = 64 * parts.len() as u64;
            let name = format!("{label} partial sums");
            let partial = |_: &usize| self.tensor(name.clone(), DType::F32, Size::fixed(count), Home::Own);
            let partial: Vec<usize> = results.iter().map(partial).collect();
            for (i, (binds, columns)) in parts.iter().enumerate() {
                let chunks = kernels::reduce::chunks(Over::Columns, shape, 1, columns.fixed).min(64);
                let part = Some((64 * i as u64, chunks));
                let to: Vec<Bind> = partial.iter().map(|partial| Bind { part, ..Bind::write(*partial) }).collect();
                launch(self, &to, binds, *columns, chunks, *columns);
            }
            self.reduce_columns(&label, op, &partial, results, Size::fixed(1), Size::fixed(count));
            return Ok(());
        }
        let targets = self.partial(&label, results, rows, chunks);
        launch(self, &writes(&targets), &prepared.binds(), all, chunks, prepared.flops);
        if chunks > 1 {
            self.reduce_columns(&label, op, &targets, results, rows, Size::fixed(chunks));
        }
        Ok(())
    }

    /// What a first stage writes: partial sums, or the results.
    fn partial(&mut self, label: &str, results: &[usize], size: Size, chunks: u64) -> Vec<usize> {
        match chunks {
            1 => results.to_vec(),
            _ => self.scratches_like(results, &format!("{label} partial sums"), size * chunks),
        }
    }

    fn scratches_like(&mut self, models: &[usize], name: &str, size: Size) -> Vec<usize> {
        models.iter().map(|model| self.scratch_like(*model, name.to_owned(), size)).collect()
    }

    fn reduce_columns(&mut self, label: &str, op: Reduction, from: &[usize], to: &[usize], rows: Size, columns: Size) {
        let software = self.facts.options.driver.is_software();
        let batch = self.facts.batch();
        let shape = kernels::reduce::choose(Over::Columns, columns.at(batch), software);
        let aligned = columns.fixed.is_multiple_of(4) && columns.per_sample.is_multiple_of(4);
        let hooks = kernels::reduce::load(aligned, from.len());
        let shader = self.shared.shader(kernels::reduce::reduce(Over::Columns, op, shape, from.len(), &hooks));
        let chunks = kernels::reduce::chunks(Over::Columns, shape, rows.at(batch), columns.at(batch));
        let targets = self.partial(label, to, rows, chunks);
        self.call(Call {
            shader,
            label: label.to_owned(),
            binds: writes(&targets).into_iter().chain(reads(from)).collect(),
            constants: kernels::reduce::constants(rows, columns, chunks),
            workgroups: kernels::reduce::workgroups(Over::Columns, shape, rows, columns.fixed, chunks),
            flops: times(rows, columns) * from.len() as u64,
            cut: Cut::Samples(op),
            ..Call::default()
        });
        if chunks > 1 {
            self.reduce_columns(label, op, &targets, to, rows, Size::fixed(chunks));
        }
    }

    pub(super) fn reduce_rows(
        &mut self,
        label: &str,
        op: Reduction,
        from: usize,
        to: usize,
        rows: Size,
        columns: Size,
    ) {
        self.reduce_middle(label, op, &[from], &[to], [Size::fixed(1), rows, columns]);
    }

    /// `[outer, rows, columns]` to `[outer, columns]`.
    fn reduce_middle(
        &mut self,
        label: &str,
        op: Reduction,
        from: &[usize],
        to: &[usize],
        [outer, rows, columns]: [Size; 3],
    ) {
        let software = self.facts.options.driver.is_software();
        let batch = self.facts.batch();
        let shape = kernels::reduce::choose(Over::Rows, columns.at(batch), software);
        let aligned = columns.fixed.is_multiple_of(4) && columns.per_sample.is_multiple_of(4);
        let hooks = kernels::reduce::load(aligned, from.len());
        let shader = self.shared.shader(kernels::reduce::reduce(Over::Rows, op, shape, from.len(), &hooks));
        let chunks = kernels::reduce::middle_chunks(shape, outer.at(batch), rows.at(batch), columns.at(batch));
        let size = times(outer, columns);
        let targets = self.partial(label, to, size, chunks);
        self.call(Call {
            shader,
            label: label.to_owned(),
            binds: writes(&targets).into_iter().chain(reads(from)).collect(),
            constants: kernels::reduce::middle_constants(outer, rows, columns, chunks),
            workgroups: kernels::reduce::middle_workgroups(shape, outer, columns, chunks),
            flops: times(size, rows) * from.len() as u64,
            cut: Cut::Samples(op),
            ..Call::default()
        });
        if chunks > 1 {
            self.reduce_middle(label, op, &targets, to, [outer, Size::fixed(chunks), columns]);
        }
    }

    /// The first stage of a reduction over axes that are not the last, whose elements a pointwise node computes.
    fn middle_prologue(
        &mut self,
        label: &str,
        op: Reduction,
        prepared: &Prepared,
        results: &[usize],
        [outer, rows]: [Size; 2],
    ) -> Result<(), LowerError> {
        let software = self.facts.options.driver.is_software();
        let (batch, columns) = (self.facts.batch(), prepared.view.columns);
        let shape = kernels::reduce::choose(Over::Rows, columns.at(batch), software);
        let hooks = &prepared.emitted.hooks;
        let shader = self.shared.shader(kernels::reduce::reduce(Over::Rows, op, shape, results.len(), hooks));
        let label = format!("{label} of pointwise");
        self.check_buffers(&label, results.len() + prepared.binds().len())?;
        let chunks = kernels::reduce::middle_chunks(shape, outer.at(batch), rows.at(batch), columns.at(batch));
        let targets = self.partial(&label, results, times(outer, columns), chunks);
        let words = kernels::reduce::middle_constants(outer, rows, columns, chunks);
        self.call(Call {
            shader,
            label: label.clone(),
            binds: writes(&targets).into_iter().chain(prepared.binds()).collect(),
            constants: prepared.words(words),
            workgroups: kernels::reduce::middle_workgroups(shape, outer, columns, chunks),
            flops: prepared.flops,
            cut: Cut::Samples(op),
            ..Call::default()
        });
        if chunks > 1 {
            self.reduce_middle(&label, op, &targets, results, [outer, Size::fixed(chunks), columns]);
        }
        Ok(())
    }
}
