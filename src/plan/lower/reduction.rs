//! Reductions over any axes, with the prologue of a pointwise node.

use super::LowerError;
use super::pointwise::{Prepared, with_hook_words};
use super::program::Lowering;
use super::tensors::{Bind, Call, Home};
use crate::graph::{DType, Dim, Op, Reduction, Shape, Value};
use crate::kernels;
use crate::kernels::copy::{Box4, Side};
use crate::kernels::reduce::{Op as ReduceOp, Over};
use crate::plan::iteration::{elements, times};
use crate::plan::{Access, Size};

impl Lowering<'_> {
    pub(super) fn reduce(&mut self, node: usize) -> Result<(), LowerError> {
        self.launch_reduction(node, None)
    }

    /// A reduction; the first stage may compute what it reduces.
    pub(super) fn launch_reduction(
        &mut self,
        node: usize,
        prologue: Option<(usize, Prepared)>,
    ) -> Result<(), LowerError> {
        let graph = self.graph;
        let entry = &graph.nodes()[node];
        let Op::Reduce { reduction, axes } = &entry.op else { unreachable!("only reductions get here") };
        let op = match reduction {
            Reduction::Sum => ReduceOp::Sum,
            Reduction::Max => ReduceOp::Max,
        };
        let label = self.label(node, "reduction");
        let result = self.tensor_of(Value { node, output: 0 });
        let mut shape = graph.shape(entry.inputs[0]).clone();
        let mut left: Vec<usize> = axes.clone();
        if let Some((_, prepared)) = prologue {
            // It covers all axes from the first on, so nothing is left to do.
            return self.prologue_reduction(&label, op, prepared, result);
        }
        let mut source = self.tensor_of(entry.inputs[0]);
        loop {
            let rank = shape.rank();
            let gone = |axis: usize, left: &[usize]| left.contains(&axis) || shape.dims()[axis] == Dim::Fixed(1);
            let trailing = (0..rank).rev().take_while(|axis| gone(*axis, &left)).last().unwrap_or(rank);
            let leading = (0..rank).take_while(|axis| gone(*axis, &left)).last().map_or(0, |axis| axis + 1);
            let part = |range: std::ops::Range<usize>| elements(&Shape::new(shape.dims()[range].iter().copied()));
            let done: Vec<usize>;
            let over_columns = left.iter().any(|axis| *axis >= trailing);
            if over_columns {
                done = left.iter().copied().filter(|axis| *axis >= trailing).collect();
            } else if left.iter().any(|axis| *axis < leading) {
                done = left.iter().copied().filter(|axis| *axis < leading).collect();
            } else {
                // An axis in the middle is brought to the front.
                (source, shape, left) = self.move_to_front(&label, source, &shape, left[0], &left);
                continue;
            }
            let rest: Vec<usize> = left.iter().copied().filter(|axis| !done.contains(axis)).collect();
            let smaller = done.iter().fold(shape.clone(), |shape, axis| shape.with_axis(*axis, Dim::Fixed(1)));
            let target =
                if rest.is_empty() { result } else { self.scratch(format!("{label} part"), elements(&smaller)) };
            if over_columns {
                self.reduce_columns(&label, op, source, target, part(0..trailing), part(trailing..rank))?;
            } else {
                self.reduce_rows(&label, op, source, target, part(0..leading), part(leading..rank));
            }
            (source, shape, left) = (target, smaller, rest);
            if left.is_empty() {
                return Ok(());
            }
        }
    }

    /// The first stage of a reduction over columns whose elements a pointwise node computes.
    fn prologue_reduction(
        &mut self,
        label: &str,
        op: ReduceOp,
        prepared: Prepared,
        result: usize,
    ) -> Result<(), LowerError> {
        let software = self.shared.options.driver.is_software();
        let (batch, rows, all) = (self.batch(), prepared.view.rows(), prepared.view.columns);
        let parts = self.parts(&prepared);
        let shape = kernels::reduce::choose(Over::Columns, all.at(batch), software);
        let shader = self.shared.shader(kernels::reduce::reduce(Over::Columns, op, shape, &prepared.emitted.hooks));
        let label = format!("{label} of pointwise");
        self.check_buffers(&label, 1 + prepared.binds.len())?;
        let chunks = kernels::reduce::chunks(Over::Columns, shape, rows.at(batch), all.at(batch));
        let launch = |lowering: &mut Self, bind: Bind, binds: &[Bind], columns: Size, chunks: u64, flops: Size| {
            let binds: Vec<Bind> = std::iter::once(bind).chain(binds.iter().cloned()).collect();
            let words = kernels::reduce::constants(rows, columns, chunks);
            let constants = with_hook_words(words, &prepared.emitted);
            let workgroups = kernels::reduce::workgroups(Over::Columns, shape, rows, columns.fixed, chunks);
            lowering.call(Call { shader, label: label.clone(), binds, constants, workgroups, flops });
        };
        if parts.len() > 1 {
            // Too long for a binding: each part leaves up to 64 partial sums, 256 bytes apart; what it leaves out stays 0.
            if op == ReduceOp::Max {
                let what = "a maximum over more than one binding has no kernel".to_owned();
                return Err(LowerError::Unsupported { label, what });
            }
            let count = 64 * parts.len() as u64;
            let partial = self.tensor(format!("{label} partial sums"), DType::F32, Size::fixed(count), Home::Own);
            for (i, (binds, columns)) in parts.iter().enumerate() {
                let chunks = kernels::reduce::chunks(Over::Columns, shape, 1, columns.fixed).min(64);
                let bind = Bind { tensor: partial, access: Access::ReadWrite, part: Some((64 * i as u64, chunks)) };
                launch(self, bind, binds, *columns, chunks, *columns);
            }
            return self.reduce_columns(&label, op, partial, result, Size::fixed(1), Size::fixed(count));
        }
        if chunks == 1 {
            launch(self, Bind::write(result), &prepared.binds, all, 1, prepared.flops);
            return Ok(());
        }
        let partial = self.scratch(format!("{label} partial sums"), rows * chunks);
        launch(self, Bind::write(partial), &prepared.binds, all, chunks, prepared.flops);
        self.reduce_columns(&label, op, partial, result, rows, Size::fixed(chunks))
    }

    fn reduce_columns(
        &mut self,
        label: &str,
        op: ReduceOp,
        from: usize,
        to: usize,
        rows: Size,
        columns: Size,
    ) -> Result<(), LowerError> {
        let software = self.shared.options.driver.is_software();
        let batch = self.batch();
        let shape = kernels::reduce::choose(Over::Columns, columns.at(batch), software);
        let aligned = columns.fixed.is_multiple_of(4) && columns.per_sample.is_multiple_of(4);
        let hooks = kernels::reduce::load(aligned);
        let shader = self.shared.shader(kernels::reduce::reduce(Over::Columns, op, shape, &hooks));
        let chunks = kernels::reduce::chunks(Over::Columns, shape, rows.at(batch), columns.at(batch));
        let target = if chunks == 1 { to } else { self.scratch(format!("{label} partial sums"), rows * chunks) };
        self.call(Call {
            shader,
            label: label.to_owned(),
            binds: vec![Bind::write(target), Bind::read(from)],
            constants: kernels::reduce::constants(rows, columns, chunks),
            workgroups: kernels::reduce::workgroups(Over::Columns, shape, rows, columns.fixed, chunks),
            flops: times(rows, columns),
        });
        if chunks > 1 {
            return self.reduce_columns(label, op, target, to, rows, Size::fixed(chunks));
        }
        Ok(())
    }

    pub(super) fn reduce_rows(&mut self, label: &str, op: ReduceOp, from: usize, to: usize, rows: Size, columns: Size) {
        let software = self.shared.options.driver.is_software();
        let batch = self.batch();
        let shape = kernels::reduce::choose(Over::Rows, columns.at(batch), software);
        let aligned = columns.fixed.is_multiple_of(4) && columns.per_sample.is_multiple_of(4);
        let hooks = kernels::reduce::load(aligned);
        let shader = self.shared.shader(kernels::reduce::reduce(Over::Rows, op, shape, &hooks));
        let chunks = kernels::reduce::chunks(Over::Rows, shape, rows.at(batch), columns.at(batch));
        let target = if chunks == 1 { to } else { self.scratch(format!("{label} partial sums"), columns * chunks) };
        // Columns that grow with the batch are shared out float by float.
        let workgroups = if columns.per_sample == 0 {
            kernels::reduce::workgroups(Over::Rows, shape, rows, columns.fixed, chunks)
        } else {
            let per_workgroup = 4 * u64::from(shape.lanes);
            crate::plan::Workgroups { items: columns, per_workgroup, times: chunks }
        };
        self.call(Call {
            shader,
            label: label.to_owned(),
            binds: vec![Bind::write(target), Bind::read(from)],
            constants: kernels::reduce::constants(rows, columns, chunks),
            workgroups,
            flops: times(rows, columns),
        });
        if chunks > 1 {
            self.reduce_rows(label, op, target, to, Size::fixed(chunks), columns);
        }
    }

    /// A copy of `source` with `axis` moved to the front; axes are renumbered in `left`.
    fn move_to_front(
        &mut self,
        label: &str,
        source: usize,
        shape: &Shape,
        axis: usize,
        left: &[usize],
    ) -> (usize, Shape, Vec<usize>) {
        let dims = shape.dims();
        let outer = elements(&Shape::new(dims[..axis].iter().copied()));
        let middle = elements(&Shape::new([dims[axis]]));
        let inner = elements(&Shape::new(dims[axis + 1..].iter().copied()));
        let moved = Shape::new(
            [dims[axis]].into_iter().chain(dims[..axis].iter().copied()).chain(dims[axis + 1..].iter().copied()),
        );
        let target = self.scratch(format!("{label} axis {axis} in front"), elements(shape));
        let (one, none) = (Size::fixed(1), Size::fixed(0));
        // [outer, middle, inner] to [middle, outer, inner].
        let mut boxes = [(outer, times(middle, inner), inner), (middle, inner, times(outer, inner)), (inner, one, one)];
        // Whatever grows with the batch goes first.
        boxes.sort_by_key(|(size, ..)| size.per_sample == 0);
        let strides = |pick: fn(&(Size, Size, Size)) -> Size| [pick(&boxes[0]), none, pick(&boxes[1]), pick(&boxes[2])];
        let copied = Box4 {
            sizes: [boxes[0].0, one, boxes[1].0, boxes[2].0],
            input: Side { offset: none, strides: strides(|entry| entry.1) },
            output: Side { offset: none, strides: strides(|entry| entry.2) },
        };
        self.copy_box(format!("{label} transposition"), source, target, &copied);
        let renumber = |old: usize| match old {
            old if old == axis => 0,
            old if old < axis => old + 1,
            old => old,
        };
        let mut left: Vec<usize> = left.iter().map(|old| renumber(*old)).collect();
        left.sort_unstable();
        (target, moved, left)
    }
}
