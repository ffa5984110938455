//! Products, reductions, gathers, copies, rings and clocks.

use super::pointwise::{Prepared, with_hook_words};
use super::program::Lowering;
use super::tensors::{Bind, Call, Home};
use super::{Driver, LowerError, padded_bytes};
use crate::graph::{DType, Dim, Layout, Op, Order, Reduction, Shape, Storage, Value};
use crate::kernels;
use crate::kernels::copy::{Box4, Side};
use crate::kernels::gather::{Gather, Stored};
use crate::kernels::reduce::{Op as ReduceOp, Over};
use crate::plan::iteration::{elements, times};
use crate::plan::{Access, Size};

impl Lowering<'_> {
    pub(super) fn matmul(&mut self, node: usize, _layout: Layout) -> Result<(), LowerError> {
        self.launch_product(node, None)
    }

    /// A product, with the epilogue of a pointwise node if it has one.
    pub(super) fn launch_product(
        &mut self,
        product: usize,
        epilogue: Option<(usize, Prepared)>,
    ) -> Result<(), LowerError> {
        let graph = self.graph;
        let entry = &graph.nodes()[product];
        let Op::MatMul { layout } = entry.op else { unreachable!("only products get here") };
        let (a, b) = (entry.inputs[0], entry.inputs[1]);
        let (left, right) = (graph.shape(a), graph.shape(b));
        let lead = elements(&Shape::new(left.dims()[..left.rank() - 1].iter().copied()));
        let last = |shape: &Shape| shape.dims().last().map_or(1, |dim| dim.at(1)) as u64;
        let (rows, columns, inner) = match layout {
            Layout::Nn => (lead, last(right), Size::fixed(last(left))),
            Layout::Nt => (lead, right.dims()[0].at(1) as u64, Size::fixed(last(left))),
            Layout::Tn => (Size::fixed(last(left)), last(right), lead),
        };
        let kernel_layout = match layout {
            Layout::Nn => kernels::matmul::Layout::Nn,
            Layout::Nt => kernels::matmul::Layout::Nt,
            Layout::Tn => kernels::matmul::Layout::Tn,
        };
        let batch = self.batch();
        let sizes = (rows.at(batch), columns, inner.at(batch));
        let tile = match self.shared.options.driver {
            Driver::Software { lanes: 8 } => kernels::matmul::choose_with_lanes(sizes.0, sizes.1, sizes.2),
            driver => kernels::matmul::choose(sizes.0, sizes.1, sizes.2, driver.is_software()),
        };
        let constant = |size: Size| if size.per_sample == 0 { size.fixed } else { 1 };
        let aligned = kernels::matmul::Aligned::of(kernel_layout, constant(rows), columns, constant(inner));
        let mut flops = times(times(rows, inner), Size::fixed(2 * columns));
        let (a, b) = (self.tensor_of(a), self.tensor_of(b));
        let mut binds = vec![Bind::read(a), Bind::read(b)];
        if let Some((node, prepared)) = epilogue {
            let shader = kernels::matmul::matmul(kernel_layout, tile, aligned, Some(&prepared.emitted.hooks));
            let shader = self.shared.shader(shader);
            binds.extend(prepared.binds.iter().cloned());
            let label = self.label(node, "product + pointwise");
            self.check_buffers(&label, binds.len())?;
            let constants = with_hook_words(kernels::matmul::constants(rows, columns, inner, 1), &prepared.emitted);
            let workgroups = kernels::matmul::workgroups(tile, rows, columns, 1);
            flops = flops + prepared.flops;
            self.call(Call { shader, label, binds, constants, workgroups, flops });
            return Ok(());
        }
        // Partial sums of all splits have to fit one binding.
        let result_bytes = padded_bytes(DType::F32, rows.at(batch) * columns);
        let most = (self.shared.options.limits.binding_bytes / result_bytes).max(1);
        let splits = kernels::matmul::splits(rows.at(batch), columns, inner.at(batch), tile).min(most);
        let shader = self.shared.shader(kernels::matmul::matmul(kernel_layout, tile, aligned, None));
        let result = self.tensor_of(Value { node: product, output: 0 });
        let label = self.label(product, "product");
        let workgroups = kernels::matmul::workgroups(tile, rows, columns, splits);
        let constants = kernels::matmul::constants(rows, columns, inner, splits);
        if splits == 1 {
            binds.push(Bind::write(result));
            self.call(Call { shader, label, binds, constants, workgroups, flops });
            return Ok(());
        }
        let size = times(rows, Size::fixed(columns));
        let partial = self.scratch(format!("{label} partial sums"), size * splits);
        binds.push(Bind::write(partial));
        self.call(Call { shader, label: label.clone(), binds, constants, workgroups, flops });
        self.reduce_rows(&format!("{label} sum"), ReduceOp::Sum, partial, result, Size::fixed(splits), size);
        Ok(())
    }

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

    fn reduce_rows(&mut self, label: &str, op: ReduceOp, from: usize, to: usize, rows: Size, columns: Size) {
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

    fn copy_box(&mut self, label: String, from: usize, to: usize, copied: &Box4) {
        let shader = self.shared.shader(kernels::copy::copy(copied.quads()));
        self.call(Call {
            shader,
            label,
            binds: vec![Bind::read(from), Bind::write(to)],
            constants: kernels::copy::constants(copied),
            workgroups: kernels::copy::workgroups(copied),
            flops: Size::default(),
        });
    }

    /// A copy of all of a tensor.
    pub(super) fn copy_whole(&mut self, label: String, from: usize, to: usize, size: Size) {
        self.copy_range(label, from, to, size, Size::fixed(0), Size::fixed(0));
    }

    fn copy_range(&mut self, label: String, from: usize, to: usize, size: Size, read: Size, write: Size) {
        let (one, none) = (Size::fixed(1), Size::fixed(0));
        let side = |offset: Size| Side { offset, strides: [one, none, none, one] };
        // One long row: along the first dimension if it grows with the batch, else along the last, where it can be quads.
        let sizes = if size.per_sample > 0 { [size, one, one, one] } else { [one, one, one, size] };
        let copied = Box4 { sizes, input: side(read), output: side(write) };
        self.copy_box(label, from, to, &copied);
    }

    pub(super) fn copies(&mut self, node: usize) {
        let graph = self.graph;
        let entry = &graph.nodes()[node];
        let result = self.tensor_of(Value { node, output: 0 });
        let whole = graph.shape(Value { node, output: 0 }).clone();
        match entry.op {
            Op::Slice { axis, start, length } => {
                let (from, shape) = (entry.inputs[0], graph.shape(entry.inputs[0]).clone());
                let source = self.tensor_of(from);
                let label = self.label(node, "slice");
                self.copy_axis(label, (source, &shape, start), (result, &whole, 0), axis, length);
            }
            Op::Concat { axis } => {
                let mut start = 0;
                for input in &entry.inputs {
                    let shape = graph.shape(*input).clone();
                    let length = shape.dims()[axis].at(1);
                    let source = self.tensor_of(*input);
                    let label = self.label(node, "concat");
                    self.copy_axis(label, (source, &shape, 0), (result, &whole, start), axis, length);
                    start += length;
                }
            }
            ref op => unreachable!("{op:?} is neither slice nor concat"),
        }
    }

    /// Copies `length` entries of `axis` between tensors that agree in all other axes.
    fn copy_axis(
        &mut self,
        label: String,
        (from, from_shape, from_start): (usize, &Shape, usize),
        (to, to_shape, to_start): (usize, &Shape, usize),
        axis: usize,
        length: usize,
    ) {
        let part = |range: &[Dim]| elements(&Shape::new(range.iter().copied()));
        let outer = part(&from_shape.dims()[..axis]);
        let inner = part(&from_shape.dims()[axis + 1..]);
        let lengths = (from_shape.dims()[axis].at(1) as u64, to_shape.dims()[axis].at(1) as u64);
        let (one, none) = (Size::fixed(1), Size::fixed(0));
        let side = |start: usize, whole: u64| {
            let offset = inner * start as u64;
            let strides = if inner.per_sample > 0 {
                [one, inner * whole, inner, none]
            } else {
                [inner * whole, none, inner, one]
            };
            Side { offset, strides }
        };
        let sizes = if inner.per_sample > 0 {
            [inner, outer, Size::fixed(length as u64), one]
        } else {
            [outer, one, Size::fixed(length as u64), inner]
        };
        let copied = Box4 { sizes, input: side(from_start, lengths.0), output: side(to_start, lengths.1) };
        self.copy_box(label, from, to, &copied);
    }

    /// Gradients land in the arena where they are computed; what cannot is copied there.
    pub(super) fn pack(&mut self, node: usize, offsets: &[usize]) {
        let graph = self.graph;
        let value = Value { node, output: 0 };
        let size = elements(graph.shape(value));
        // Its padding has to stay 0, so it shares its memory with nothing.
        let arena = self.tensor(self.label(node, "arena"), DType::F32, size, Home::Own);
        self.set_tensor(value, arena);
        for (input, offset) in graph.nodes()[node].inputs.iter().zip(offsets) {
            let root = self.root(*input);
            let tensor = self.tensor_of(*input);
            let alone = self.readers_of(root).iter().all(|reader| *reader == node) && !self.is_wanted(root);
            let twice = graph.nodes()[node].inputs.iter().filter(|other| self.root(**other) == root).count() > 1;
            let offset = *offset as u64;
            if alone && !twice && self.tensors[tensor].home == Home::Scratch {
                self.tensors[tensor].home = Home::Within { tensor: arena, offset };
            } else {
                let size = self.tensors[tensor].elements;
                let label = self.label(node, "pack");
                self.copy_range(label, tensor, arena, size, Size::fixed(0), Size::fixed(offset));
            }
        }
    }

    pub(super) fn gather(&mut self, node: usize) -> Result<(), LowerError> {
        let graph = self.graph;
        let entry = &graph.nodes()[node];
        let Op::Gather { storage, order } = entry.op else { unreachable!("only gathers get here") };
        let shape = graph.shape(entry.inputs[0]);
        let n = shape.dims()[0].at(1) as u64;
        let columns = shape.fixed_elements() as u64 / n.max(1);
        let (data, clock) = (self.tensor_of(entry.inputs[0]), self.tensor_of(entry.inputs[1]));
        let result = self.tensor_of(Value { node, output: 0 });
        let (stored, scale, shift, bytes) = match storage {
            Storage::F32 => (Stored::Floats, 1.0, 0.0, 4),
            Storage::U8 { scale, shift } => (Stored::Bytes, scale, shift, 1),
        };
        // Chunks of rows that fit a binding and start at multiples of 256 bytes.
        let row_bytes = columns * bytes;
        let step = 256 / gcd(row_bytes, 256);
        let limit = self.shared.options.limits.binding_bytes;
        let fitting = limit.saturating_sub(16) / row_bytes;
        let label = self.label(node, "gather");
        let chunk = if n <= fitting { n } else { fitting / step * step };
        if chunk == 0 {
            let batch = self.shared.options.max_batch;
            let bytes = row_bytes * step;
            return Err(LowerError::TooLarge { name: format!("{label}: a row of the data set"), bytes, batch, limit });
        }
        let shader = self.shared.shader(kernels::gather::gather(stored, columns.is_multiple_of(4)));
        let batch = Size::per_sample(1);
        for first_row in (0..n).step_by(chunk as usize) {
            let gather = Gather {
                columns,
                total_batch: batch,
                n,
                first_row,
                chunk_rows: chunk.min(n - first_row),
                shuffled: order == Order::Shuffled,
                scale,
                shift,
            };
            let range = Bind {
                tensor: data,
                access: Access::Read,
                part: Some((first_row * columns, gather.chunk_rows * columns)),
            };
            self.call(Call {
                shader,
                label: label.clone(),
                binds: vec![Bind::read(clock), range, Bind::write(result)],
                constants: kernels::gather::constants(&gather, batch),
                workgroups: kernels::gather::workgroups(&gather, batch),
                flops: Size::default(),
            });
        }
        Ok(())
    }

    pub(super) fn ring_push(&mut self, node: usize) -> Result<(), LowerError> {
        let entry = &self.graph.nodes()[node];
        let rows = self.graph.shape(entry.inputs[0]).dims()[0].at(1) as u64;
        let ring = self.in_place(node, 0)?;
        let tensors: Vec<usize> = entry.inputs.iter().map(|input| self.tensor_of(*input)).collect();
        let record = entry.inputs.len() - 3;
        let mut binds = vec![Bind::read(tensors[1]), Bind::read(tensors[2]), Bind::write(ring)];
        binds.extend(tensors[3..].iter().map(|tensor| Bind::read(*tensor)));
        let shader = self.shared.shader(kernels::ring::ring(record as u32));
        let label = self.label(node, "ring");
        self.check_buffers(&label, binds.len())?;
        let (constants, workgroups) = (kernels::ring::constants(rows), kernels::ring::workgroups());
        self.call(Call { shader, label, binds, constants, workgroups, flops: Size::default() });
        Ok(())
    }

    pub(super) fn tick(&mut self, node: usize) -> Result<(), LowerError> {
        let entry = &self.graph.nodes()[node];
        let clock = self.in_place(node, 0)?;
        let status = self.tensor_of(entry.inputs[1]);
        let shader = self.shared.shader(kernels::tick::tick());
        let label = self.label(node, "tick");
        let binds = vec![Bind::read(status), Bind::write(clock)];
        let (constants, workgroups) = (kernels::tick::constants(1), kernels::tick::workgroups());
        self.call(Call { shader, label, binds, constants, workgroups, flops: Size::default() });
        Ok(())
    }

    /// The state that a ring or a clock advances in place: it has to be assigned to the state that it read.
    fn in_place(&mut self, node: usize, input: usize) -> Result<usize, LowerError> {
        let graph = self.graph;
        let old = graph.nodes()[node].inputs[input];
        let value = Value { node, output: 0 };
        let assigned = graph.assignments().iter().find(|(_, assigned)| *assigned == value).map(|(name, _)| name);
        match &graph.node(old).op {
            Op::State { name } if Some(name) == assigned && self.readers_of(value).is_empty() => {
                let tensor = self.tensor_of(old);
                self.set_tensor(value, tensor);
                Ok(tensor)
            }
            _ => Err(LowerError::Unsupported {
                label: self.label(node, "ring or clock"),
                what: "its new value has to be assigned to the state that it was made of, and read by nothing else"
                    .into(),
            }),
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
