//! The vocabulary in which graphs are written.

use std::sync::Arc;

use super::expr::{Distribution, Expr, RandomDraw, Term};
use super::{
    Composite, DType, Dim, Graph, KnownComposite, Layout, Op, Order, Reduction, Shape, Storage, Tape, TensorType, Tick,
    Value, random,
};

/// # Panics
/// Building is programming: a shape that does not fit panics with both shapes in the message.
impl Graph {
    /// A tensor that the host writes before each run.
    pub fn input(&mut self, name: &str, shape: Shape) -> Value {
        self.add(Op::Input { name: name.to_owned() }, Vec::new(), vec![TensorType::f32(shape)])
    }

    /// What the store holds under `name` when the program starts.
    pub fn state(&mut self, name: &str, tensor_type: TensorType) -> Value {
        self.add(Op::State { name: name.to_owned() }, Vec::new(), vec![tensor_type])
    }

    /// A clock: u32 `[step, sample_base, seed low word, seed high word]`.
    pub fn clock(&mut self, name: &str) -> Value {
        self.state(name, TensorType::u32(Shape::fixed(&[4])))
    }

    /// One number for every element of `shape`.
    pub fn full(&mut self, value: f64, shape: Shape) -> Value {
        self.pointwise(&[], &[Expr::constant(value)], Some(shape))[0]
    }

    /// `expr` of the elements of `inputs`, which broadcast to a common shape.
    pub fn map(&mut self, inputs: &[Value], expr: &Expr) -> Value {
        self.pointwise(inputs, std::slice::from_ref(expr), None)[0]
    }

    /// Like [`map`](Self::map), broadcast to a given shape.
    pub fn map_to(&mut self, inputs: &[Value], expr: &Expr, shape: &Shape) -> Value {
        self.pointwise(inputs, std::slice::from_ref(expr), Some(shape.clone()))[0]
    }

    /// Several expressions of the same inputs, all of the same shape. Clocks and tables among the inputs do not
    /// take part in broadcasting.
    pub fn pointwise(&mut self, inputs: &[Value], exprs: &[Expr], shape: Option<Shape>) -> Vec<Value> {
        let tape = Tape::new(exprs);
        let mut common = shape.clone().unwrap_or_default();
        for slot in tape.elementwise() {
            let input = self.tensor_type(inputs[slot]);
            assert_eq!(input.dtype, DType::F32, "a pointwise expression reads f32 elements");
            common = common
                .broadcast(&input.shape)
                .unwrap_or_else(|| panic!("shapes {common} and {} do not broadcast", input.shape));
        }
        if let Some(shape) = shape {
            assert_eq!(common, shape, "the inputs do not broadcast to {shape}");
        }
        let types = vec![TensorType::f32(common); exprs.len()];
        let node = self.add(Op::Pointwise { tape: Arc::new(tape) }, inputs.to_vec(), types).node;
        (0..exprs.len()).map(|output| Value { node, output }).collect()
    }

    /// a + b
    pub fn plus(&mut self, a: Value, b: Value) -> Value {
        self.map(&[a, b], &(Expr::input(0) + Expr::input(1)))
    }

    /// a − b
    pub fn minus(&mut self, a: Value, b: Value) -> Value {
        self.map(&[a, b], &(Expr::input(0) - Expr::input(1)))
    }

    /// a · b, element by element
    pub fn times(&mut self, a: Value, b: Value) -> Value {
        self.map(&[a, b], &(Expr::input(0) * Expr::input(1)))
    }

    /// factor · a, of the shape of `a` even where the factor is zero and the expression a constant.
    pub fn scale(&mut self, a: Value, factor: f64) -> Value {
        let shape = self.shape(a).clone();
        self.map_to(&[a], &(Expr::input(0) * factor), &shape)
    }

    /// Random numbers named `name`, a new set at every step of `clock`; the same for a sample whatever its batch.
    pub fn random(&mut self, clock: Value, name: &str, distribution: Distribution, shape: Shape) -> Value {
        let stream = random::stream(name);
        let draw = RandomDraw { clock: 0, stream, distribution, per_sample: false };
        self.pointwise(&[clock], &[Expr::new(Term::Random(draw))], Some(shape))[0]
    }

    /// Standard normal numbers.
    pub fn normal(&mut self, clock: Value, name: &str, shape: Shape) -> Value {
        self.random(clock, name, Distribution::Normal, shape)
    }

    /// Numbers uniform on (0, 1).
    pub fn uniform(&mut self, clock: Value, name: &str, shape: Shape) -> Value {
        self.random(clock, name, Distribution::Uniform, shape)
    }

    /// The entry `[clock.step, column]` of a table `[rows, columns]`, as a value of shape `[1]`.
    pub fn table_entry(&mut self, table: Value, clock: Value, column: usize) -> Value {
        let columns = self.shape(table).dims()[1].at(0);
        assert!(column < columns, "column {column} of a table with {columns}");
        let term = Term::Table { table: 0, clock: 1, column };
        self.pointwise(&[table, clock], &[Expr::new(term)], Some(Shape::fixed(&[1])))[0]
    }

    /// The clock's step as a float of shape `[1]`.
    pub fn step(&mut self, clock: Value) -> Value {
        self.pointwise(&[clock], &[Expr::new(Term::Step(0))], Some(Shape::fixed(&[1])))[0]
    }

    /// A matrix product; see [`Layout`] for the shapes.
    pub fn matmul(&mut self, layout: Layout, a: Value, b: Value) -> Value {
        let (left, right) = (self.shape(a).clone(), self.shape(b).clone());
        let complaint = || format!("{layout:?} product of {left} and {right}");
        let (lead, k) = split_last(&left);
        let shape = match layout {
            Layout::Nn | Layout::Nt => {
                assert_eq!(right.rank(), 2, "{}: the weight is a matrix", complaint());
                let (rows, columns) = (right.dims()[0], right.dims()[1]);
                let (inner, outer) = if layout == Layout::Nn { (rows, columns) } else { (columns, rows) };
                assert_eq!(k, inner, "{}", complaint());
                Shape::new(lead.iter().copied().chain([outer]))
            }
            Layout::Tn => {
                let (other, n) = split_last(&right);
                assert_eq!(lead, other, "{}", complaint());
                Shape::new([k, n])
            }
        };
        self.add(Op::MatMul { layout }, vec![a, b], vec![TensorType::f32(shape)])
    }

    /// Combines along `axes`, which stay with length 1.
    pub fn reduce(&mut self, reduction: Reduction, a: Value, axes: &[usize]) -> Value {
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        axes.dedup();
        let shape = self.shape(a).clone();
        axes.retain(|axis| shape.dims()[*axis] != Dim::Fixed(1));
        if axes.is_empty() {
            return a;
        }
        let result = axes.iter().fold(shape, |shape, axis| shape.with_axis(*axis, Dim::Fixed(1)));
        self.add(Op::Reduce { reduction, axes }, vec![a], vec![TensorType::f32(result)])
    }

    /// The sum over `axes`, which stay with length 1.
    pub fn sum(&mut self, a: Value, axes: &[usize]) -> Value {
        self.reduce(Reduction::Sum, a, axes)
    }

    /// The sum of all elements, of shape `[1]`.
    pub fn sum_all(&mut self, a: Value) -> Value {
        let axes: Vec<usize> = (0..self.shape(a).rank()).collect();
        let sum = self.sum(a, &axes);
        self.reshape(sum, Shape::fixed(&[1]))
    }

    /// The batch of `data` (`[rows, …]`) that `clock` points at: shape `[Batch, …]`.
    pub fn gather(&mut self, data: Value, clock: Value, storage: Storage, order: Order) -> Value {
        self.gather_micro_batch(data, clock, storage, order, 1)
    }

    /// [`gather`](Self::gather) where a step consists of so many micro-batches, between which the clock's first sample
    /// moves on: together they read what one batch of `micro_batches` times the size would.
    pub fn gather_micro_batch(
        &mut self,
        data: Value,
        clock: Value,
        storage: Storage,
        order: Order,
        micro_batches: usize,
    ) -> Value {
        let shape = self.shape(data).with_axis(0, Dim::Batch);
        self.add(Op::Gather { storage, order, micro_batches }, vec![data, clock], vec![TensorType::f32(shape)])
    }

    /// The same elements in the same order under another shape.
    pub fn reshape(&mut self, a: Value, shape: Shape) -> Value {
        let from = self.shape(a);
        if *from == shape {
            return a;
        }
        assert!(from.same_layout(&shape), "{from} cannot be read as {shape}");
        // A view of a view is a view of the first, or the first itself.
        let a = if matches!(self.node(a).op, Op::Reshape) { self.node(a).inputs[0] } else { a };
        if *self.shape(a) == shape {
            return a;
        }
        let dtype = self.tensor_type(a).dtype;
        self.add(Op::Reshape, vec![a], vec![TensorType { shape, dtype }])
    }

    /// `length` entries of a fixed `axis` from `start`.
    pub fn slice(&mut self, a: Value, axis: usize, start: usize, length: usize) -> Value {
        let shape = self.shape(a).clone();
        let whole = shape.dims()[axis];
        assert!(matches!(whole, Dim::Fixed(n) if start + length <= n), "{start}+{length} of axis {axis} of {shape}");
        if whole == Dim::Fixed(length) {
            return a;
        }
        let types = vec![TensorType::f32(shape.with_axis(axis, Dim::Fixed(length)))];
        self.add(Op::Slice { axis, start, length }, vec![a], types)
    }

    /// The values one after the other along a fixed `axis`.
    pub fn concat(&mut self, values: &[Value], axis: usize) -> Value {
        if let [single] = values {
            return *single;
        }
        let shape = self.shape(values[0]).clone();
        let total = values
            .iter()
            .map(|value| {
                let other = self.shape(*value);
                assert_eq!(shape.with_axis(axis, Dim::Fixed(1)), other.with_axis(axis, Dim::Fixed(1)));
                match other.dims()[axis] {
                    Dim::Fixed(length) => length,
                    Dim::Batch => panic!("the batch cannot be concatenated"),
                }
            })
            .sum();
        let types = vec![TensorType::f32(shape.with_axis(axis, Dim::Fixed(total)))];
        self.add(Op::Concat { axis }, values.to_vec(), types)
    }

    /// One value for each parameter, laid out as the parameter arena is: shape `[arena_elements]`.
    pub fn pack(&mut self, values: &[Value]) -> Value {
        let offsets: Vec<usize> = self.parameters().iter().map(|parameter| parameter.offset).collect();
        assert_eq!(offsets.len(), values.len(), "one value for each parameter");
        let types = vec![TensorType::f32(Shape::fixed(&[self.arena_elements()]))];
        self.add(Op::Pack { offsets }, values.to_vec(), types)
    }

    /// The ring with `record` (scalars) in the row of the clock's step, unless `status` is set.
    pub fn ring_push(&mut self, ring: Value, clock: Value, status: Value, record: &[Value]) -> Value {
        let types = vec![self.tensor_type(ring).clone()];
        assert_eq!(types[0].shape.dims()[1], Dim::Fixed(record.len()), "one column for each scalar");
        let inputs = [ring, clock, status].into_iter().chain(record.iter().copied()).collect();
        self.add(Op::RingPush, inputs, types)
    }

    /// The clock one step later, unless `status` is set.
    pub fn tick(&mut self, clock: Value, status: Value) -> Value {
        self.tick_by(Tick::Step, clock, status)
    }

    /// The clock advanced, unless `status` is set.
    pub fn tick_by(&mut self, by: Tick, clock: Value, status: Value) -> Value {
        let types = vec![self.tensor_type(clock).clone()];
        self.add(Op::Tick { by }, vec![clock, status], types)
    }

    /// A composite: `body` builds its meaning from values that stand for `inputs`.
    pub fn composite(
        &mut self,
        name: &str,
        inputs: &[Value],
        body: impl FnOnce(&mut Self, &[Value]) -> Vec<Value>,
    ) -> Vec<Value> {
        self.known_composite(name, None, inputs, body)
    }

    /// A composite that devices know by what it computes.
    pub(super) fn known_composite(
        &mut self,
        name: &str,
        known: Option<KnownComposite>,
        inputs: &[Value],
        body: impl FnOnce(&mut Self, &[Value]) -> Vec<Value>,
    ) -> Vec<Value> {
        let mut inner = Self::new();
        let arguments: Vec<Value> = inputs
            .iter()
            .enumerate()
            .map(|(i, input)| {
                inner.add(Op::Input { name: i.to_string() }, Vec::new(), vec![self.tensor_type(*input).clone()])
            })
            .collect();
        let outputs = body(&mut inner, &arguments);
        let types: Vec<TensorType> = outputs.iter().map(|value| inner.tensor_type(*value).clone()).collect();
        let count = outputs.len();
        let composite = Composite { name: name.to_owned(), known, body: inner, outputs };
        let node = self.add(Op::Composite(Arc::new(composite)), inputs.to_vec(), types).node;
        (0..count).map(|output| Value { node, output }).collect()
    }
}

fn split_last(shape: &Shape) -> (&[Dim], Dim) {
    let (last, lead) = shape.dims().split_last().expect("a matrix product needs axes");
    (lead, *last)
}
