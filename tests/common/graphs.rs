//! The meaning of a graph, spelled out: a naive interpreter in f64, one node and one element at a time.
//!
//! It is the truth that the executors are compared with, and shares no code with them.

use std::collections::BTreeMap;

use tweedie::cpu;
use tweedie::graph::expr::{Binary, RandomDraw, Term, Unary};
use tweedie::graph::{
    ConvLayout, DType, Distribution, Geometry, Graph, Layout, Op, Order, Reduction, Shape, Storage, Tape, Tick, Value,
    random,
};

/// A tensor of the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Real(Vec<f64>),
    Words(Vec<u32>),
    Bytes(Vec<u8>),
}

impl Content {
    pub fn real(&self) -> &[f64] {
        if let Self::Real(data) = self { data } else { panic!("{self:?} is not made of floats") }
    }

    pub fn words(&self) -> &[u32] {
        if let Self::Words(data) = self { data } else { panic!("{self:?} is not made of words") }
    }

    fn as_floats(&self) -> Vec<f64> {
        match self {
            Self::Real(data) => data.clone(),
            Self::Words(data) => data.iter().map(|word| f64::from(*word)).collect(),
            Self::Bytes(data) => data.iter().map(|byte| f64::from(*byte)).collect(),
        }
    }
}

/// Everything that a graph reads.
#[derive(Clone, Debug)]
pub struct World {
    pub batch: usize,
    pub inputs: BTreeMap<String, Vec<f64>>,
    /// The store; parameters are the state `params`.
    pub states: BTreeMap<String, Content>,
}

impl World {
    pub fn new(batch: usize) -> Self {
        Self { batch, inputs: BTreeMap::new(), states: BTreeMap::new() }
    }

    pub fn input(mut self, name: &str, data: Vec<f64>) -> Self {
        self.inputs.insert(name.to_owned(), data);
        self
    }

    pub fn state(mut self, name: &str, content: Content) -> Self {
        self.states.insert(name.to_owned(), content);
        self
    }

    pub fn clock(self, name: &str, clock: [u32; 4]) -> Self {
        self.state(name, Content::Words(clock.to_vec()))
    }

    /// Gives every input and the parameters random numbers between −1 and 1, unless they have some.
    pub fn filled(mut self, graph: &Graph, seed: u64) -> Self {
        let mut numbers = Numbers::new(seed);
        for node in graph.nodes() {
            if let Op::Input { name } = &node.op {
                let count = node.types[0].shape.elements(self.batch);
                self.inputs.entry(name.clone()).or_insert_with(|| numbers.many(count));
            }
        }
        let arena = graph.arena_elements();
        if arena > 0 {
            self.states.entry("params".to_owned()).or_insert_with(|| Content::Real(numbers.many(arena)));
        }
        self
    }
}

/// Random numbers for tests, which f32 holds exactly.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        let mut numbers = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1);
        (0..4).for_each(|_| {
            numbers.word();
        });
        numbers
    }

    pub fn word(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.word() as usize % n
    }

    /// Between −1 and 1.
    pub fn one(&mut self) -> f64 {
        f64::from(self.word() >> 9) / f64::from(1 << 21) - 1.0
    }

    pub fn many(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.one()).collect()
    }
}

/// Runs the graph as it stands, changes the states of the world, and gives the outputs by name.
pub fn interpret(graph: &Graph, world: &mut World) -> BTreeMap<String, Vec<f64>> {
    let values = evaluate(graph, world, None);
    let of = |value: &Value| values[value.node][value.output].clone();
    let outputs = graph.outputs().iter().map(|(name, value)| (name.clone(), of(value).as_floats())).collect();
    for (name, value) in graph.assignments() {
        world.states.insert(name.clone(), of(value));
    }
    outputs
}

/// All values of a graph, by node and output. `arguments` are the inputs of a composite's body.
fn evaluate(graph: &Graph, world: &World, arguments: Option<&[Content]>) -> Vec<Vec<Content>> {
    let mut values: Vec<Vec<Content>> = Vec::new();
    for node in graph.nodes() {
        let inputs: Vec<Content> = node.inputs.iter().map(|value| values[value.node][value.output].clone()).collect();
        let shapes: Vec<&Shape> = node.inputs.iter().map(|value| graph.shape(*value)).collect();
        let shape = &node.types[0].shape;
        let lengths = lengths_of(shape, world.batch);
        let count: usize = lengths.iter().product();
        let single = match &node.op {
            Op::Input { name } => match arguments {
                Some(arguments) => arguments[name.parse::<usize>().unwrap()].clone(),
                None => Content::Real(world.inputs[name].clone()),
            },
            Op::Parameter { index } => {
                let parameter = &graph.parameters()[*index];
                let arena = world.states["params"].real();
                Content::Real(arena[parameter.offset..parameter.offset + parameter.elements()].to_vec())
            }
            Op::State { name } => world.states.get(name).cloned().unwrap_or_else(|| match node.types[0].dtype {
                DType::U32 => Content::Words(vec![0; count]),
                _ => Content::Real(vec![0.0; count]),
            }),
            Op::Pointwise { tape } => {
                values.push(pointwise(tape, &inputs, &shapes, shape, world.batch));
                continue;
            }
            Op::Composite(composite) => {
                let inner = evaluate(&composite.body, world, Some(&inputs));
                values.push(composite.outputs.iter().map(|value| inner[value.node][value.output].clone()).collect());
                continue;
            }
            Op::MatMul { layout } => {
                Content::Real(matmul(*layout, inputs[0].real(), inputs[1].real(), shapes[0], shapes[1], world.batch))
            }
            Op::Conv { layout, geometry } => {
                let [a, b] = [0, 1].map(|i| lengths_of(shapes[i], world.batch));
                Content::Real(convolution(*layout, geometry, (inputs[0].real(), &a), (inputs[1].real(), &b), &lengths))
            }
            Op::BatchMatMul { layout } => {
                let (a, b) = (inputs[0].real(), inputs[1].real());
                let last = |shape: &Shape| lengths_of(shape, world.batch)[shape.rank() - 2..].to_vec();
                let (left, right) = (last(shapes[0]), last(shapes[1]));
                let element = |flat: usize| {
                    let index = indices(flat, &lengths);
                    let (matrix, at) = index.split_at(index.len() - 2);
                    let number = matrix.iter().zip(&lengths).fold(0, |number, (i, length)| number * length + i);
                    let a = |i, j| a[(number * left[0] + i) * left[1] + j];
                    let b = |i, j| b[(number * right[0] + i) * right[1] + j];
                    match layout {
                        Layout::Nn => (0..left[1]).map(|k| a(at[0], k) * b(k, at[1])).sum::<f64>(),
                        Layout::Nt => (0..left[1]).map(|k| a(at[0], k) * b(at[1], k)).sum(),
                        Layout::Tn => (0..left[0]).map(|k| a(k, at[0]) * b(k, at[1])).sum(),
                    }
                };
                Content::Real((0..count).map(element).collect())
            }
            Op::Permute { axes } => {
                let from = lengths_of(shapes[0], world.batch);
                let x = inputs[0].real();
                let element = |flat| {
                    let mut index = vec![0; from.len()];
                    axes.iter().zip(indices(flat, &lengths)).for_each(|(axis, i)| index[*axis] = i);
                    x[broadcast_index(&index, &from)]
                };
                Content::Real((0..count).map(element).collect())
            }
            Op::Reduce { reduction, .. } => {
                let from = lengths_of(shapes[0], world.batch);
                let start = if *reduction == Reduction::Sum { 0.0 } else { f64::NEG_INFINITY };
                let reduced = inputs.iter().map(|input| {
                    let mut out = vec![start; count];
                    for (flat, x) in input.real().iter().enumerate() {
                        let place = &mut out[broadcast_index(&indices(flat, &from), &lengths)];
                        *place = if *reduction == Reduction::Sum { *place + x } else { place.max(*x) };
                    }
                    Content::Real(out)
                });
                values.push(reduced.collect());
                continue;
            }
            Op::Gather { storage, order, micro_batches } => {
                let data = inputs[0].as_floats();
                let clock = inputs[1].words();
                let width = count / world.batch;
                let rows = (data.len() / width) as u64;
                let mut out = Vec::new();
                for b in 0..world.batch as u64 {
                    let position = u64::from(clock[0]) * (micro_batches * world.batch) as u64 + u64::from(clock[1]) + b;
                    let row = match order {
                        Order::Sequential => position % rows,
                        Order::Shuffled => u64::from(random::permute(
                            (position % rows) as u32,
                            rows as u32,
                            [clock[2], clock[3]],
                            (position / rows) as u32,
                        )),
                    } as usize;
                    out.extend(data[row * width..(row + 1) * width].iter().map(|x| match storage {
                        Storage::F32 => *x,
                        Storage::U8 { scale, shift } => f64::from(*scale) * x + f64::from(*shift),
                    }));
                }
                Content::Real(out)
            }
            Op::Reshape | Op::After => inputs[0].clone(),
            Op::Slice { axis, start, .. } => {
                let from = lengths_of(shapes[0], world.batch);
                let x = inputs[0].real();
                let element = |flat| {
                    let mut index = indices(flat, &lengths);
                    index[*axis] += start;
                    x[broadcast_index(&index, &from)]
                };
                Content::Real((0..count).map(element).collect())
            }
            Op::Concat { axis } => {
                let element = |flat| {
                    let mut index = indices(flat, &lengths);
                    for (input, shape) in inputs.iter().zip(&shapes) {
                        let from = lengths_of(shape, world.batch);
                        if index[*axis] < from[*axis] {
                            return input.real()[broadcast_index(&index, &from)];
                        }
                        index[*axis] -= from[*axis];
                    }
                    unreachable!("the parts are as long as the whole")
                };
                Content::Real((0..count).map(element).collect())
            }
            Op::Pack { offsets } => {
                let mut out = vec![0.0; count];
                for (input, offset) in inputs.iter().zip(offsets) {
                    for (i, x) in input.real().iter().enumerate() {
                        out[offset + i] = *x;
                    }
                }
                Content::Real(out)
            }
            Op::RingPush => {
                let mut ring = inputs[0].real().to_vec();
                let columns = inputs.len() - 3;
                if inputs[2].as_floats()[0] == 0.0 {
                    let row = inputs[1].words()[0] as usize % (ring.len() / columns);
                    for column in 0..columns {
                        ring[row * columns + column] = inputs[3 + column].real()[0];
                    }
                }
                Content::Real(ring)
            }
            Op::Tick { by } => {
                let mut clock = inputs[0].words().to_vec();
                if inputs[1].as_floats()[0] == 0.0 {
                    (clock[0], clock[1]) = match by {
                        Tick::Step => (clock[0].wrapping_add(1), clock[1]),
                        Tick::MicroBatch => (clock[0], clock[1].wrapping_add(world.batch as u32)),
                        Tick::Last => (clock[0].wrapping_add(1), 0),
                    };
                }
                Content::Words(clock)
            }
        };
        values.push(vec![single]);
    }
    values
}

fn lengths_of(shape: &Shape, batch: usize) -> Vec<usize> {
    shape.dims().iter().map(|dim| dim.at(batch)).collect()
}

fn indices(flat: usize, lengths: &[usize]) -> Vec<usize> {
    let mut rest = flat;
    let mut index = vec![0; lengths.len()];
    for (index, length) in index.iter_mut().zip(lengths).rev() {
        *index = rest % length;
        rest /= length;
    }
    index
}

/// The flat index in a tensor of `lengths`, whose axes align with the last of `index` and may have length 1.
fn broadcast_index(index: &[usize], lengths: &[usize]) -> usize {
    let tail = &index[index.len() - lengths.len()..];
    tail.iter().zip(lengths).fold(0, |flat, (i, length)| flat * length + if *length == 1 { 0 } else { *i })
}

fn matmul(layout: Layout, a: &[f64], b: &[f64], left: &Shape, right: &Shape, batch: usize) -> Vec<f64> {
    let (left, right) = (lengths_of(left, batch), lengths_of(right, batch));
    let (k, n) = (left[left.len() - 1], right[right.len() - 1]);
    let rows = a.len() / k;
    let mut out = Vec::new();
    match layout {
        Layout::Nn => {
            for r in 0..rows {
                out.extend((0..n).map(|c| (0..k).map(|p| a[r * k + p] * b[p * n + c]).sum::<f64>()));
            }
        }
        Layout::Nt => {
            for r in 0..rows {
                out.extend((0..right[0]).map(|c| (0..k).map(|p| a[r * k + p] * b[c * k + p]).sum::<f64>()));
            }
        }
        Layout::Tn => {
            for m in 0..k {
                out.extend((0..n).map(|c| (0..rows).map(|r| a[r * k + m] * b[r * n + c]).sum::<f64>()));
            }
        }
    }
    out
}

/// Seven loops over images, pixels of the result, taps and channels; every layout is the same sum of products.
pub fn convolution(
    layout: ConvLayout,
    geometry: &Geometry,
    (a, left): (&[f64], &[usize]),
    (b, right): (&[f64], &[usize]),
    result: &[usize],
) -> Vec<f64> {
    let (x, w, y) = match layout {
        ConvLayout::Forward => (left, right, result),
        ConvLayout::DataGradient => (result, right, left),
        ConvLayout::WeightGradient => (left, result, right),
    };
    let (x, y) = (&x[x.len() - 3..], &y[y.len() - 3..]);
    let images = left[..left.len() - 3].iter().product::<usize>();
    let mut out = vec![0.0; result.iter().product()];
    for image in 0..images {
        for i in 0..y[0] {
            for j in 0..y[1] {
                for tap_row in 0..w[0] {
                    for tap_column in 0..w[1] {
                        let row = (i * geometry.stride + tap_row).checked_sub(geometry.padding.top);
                        let column = (j * geometry.stride + tap_column).checked_sub(geometry.padding.left);
                        let (Some(row), Some(column)) = (row, column) else { continue };
                        let (row, column) = (row / geometry.upsample, column / geometry.upsample);
                        if row >= x[0] || column >= x[1] {
                            continue;
                        }
                        for inward in 0..x[2] {
                            for outward in 0..y[2] {
                                let pixel = ((image * x[0] + row) * x[1] + column) * x[2] + inward;
                                let weight = ((tap_row * w[1] + tap_column) * x[2] + inward) * y[2] + outward;
                                let value = ((image * y[0] + i) * y[1] + j) * y[2] + outward;
                                match layout {
                                    ConvLayout::Forward => out[value] += a[pixel] * b[weight],
                                    ConvLayout::DataGradient => out[pixel] += a[value] * b[weight],
                                    ConvLayout::WeightGradient => out[weight] += a[pixel] * b[value],
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    out
}

fn pointwise(tape: &Tape, inputs: &[Content], shapes: &[&Shape], shape: &Shape, batch: usize) -> Vec<Content> {
    let lengths = lengths_of(shape, batch);
    let count: usize = lengths.iter().product();
    let mut outputs = vec![Vec::with_capacity(count); tape.outputs.len()];
    for flat in 0..count {
        let index = indices(flat, &lengths);
        let mut terms: Vec<f64> = Vec::new();
        for term in &tape.terms {
            let step = |clock: &usize| inputs[*clock].words()[0];
            terms.push(match term {
                Term::Input(slot) => inputs[*slot].real()[broadcast_index(&index, &lengths_of(shapes[*slot], batch))],
                Term::Constant(value) => value.0,
                Term::Batch => batch as f64,
                Term::Column => *index.last().unwrap_or(&0) as f64,
                Term::Step(clock) => f64::from(step(clock)),
                Term::Table { table, clock, column } => {
                    let lengths = lengths_of(shapes[*table], batch);
                    inputs[*table].real()[(step(clock) as usize).min(lengths[0] - 1) * lengths[1] + column]
                }
                Term::Random(draw) => draw_one(draw, inputs[draw.clock].words(), shape, &index, &lengths),
                Term::RandomAt(draw, at) => {
                    let clock = [&[terms[*at] as u32], &inputs[draw.clock].words()[1..]].concat();
                    draw_one(draw, &clock, shape, &index, &lengths)
                }
                Term::Unary(op, a) => unary(*op, terms[*a]),
                Term::Binary(op, a, b) => binary(*op, terms[*a], terms[*b]),
                Term::Select(a, b, c) => terms[if terms[*a] == 0.0 { *c } else { *b }],
            });
        }
        for (output, term) in outputs.iter_mut().zip(&tape.outputs) {
            output.push(terms[*term]);
        }
    }
    outputs.into_iter().map(Content::Real).collect()
}

fn draw_one(draw: &RandomDraw, clock: &[u32], shape: &Shape, index: &[usize], lengths: &[usize]) -> f64 {
    let (mut element, mut sample) = (0, 0);
    for (axis, (i, length)) in index.iter().zip(lengths).enumerate() {
        if shape.batch_axis() == Some(axis) {
            sample = clock[1] + *i as u32;
        } else {
            element = element * length + i;
        }
    }
    if draw.per_sample {
        element = 0;
    }
    let words = random::philox4x32_10([element as u32 / 4, sample, clock[0], draw.stream], [clock[2], clock[3]]);
    f64::from(match draw.distribution {
        Distribution::Uniform => random::uniform(words[element % 4]),
        Distribution::Normal => random::normals(words)[element % 4],
    })
}

fn unary(op: Unary, x: f64) -> f64 {
    match op {
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Exp => x.exp(),
        Unary::Expm1 => x.exp_m1(),
        Unary::Ln => x.ln(),
        Unary::Log1p => x.ln_1p(),
        Unary::Sqrt => x.sqrt(),
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Tanh => x.tanh(),
        Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Unary::Softplus if x > 30.0 => x,
        Unary::Softplus => x.exp().ln_1p(),
        Unary::IsFinite => f64::from(u8::from(x.is_finite())),
        Unary::Detached => x,
    }
}

fn binary(op: Binary, a: f64, b: f64) -> f64 {
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::Less => f64::from(u8::from(a < b)),
    }
}

/// A store of the CPU executor with the states of the world.
pub fn store_of<T: cpu::Real>(world: &World) -> cpu::Store<T> {
    let mut store = cpu::Store::new();
    for (name, content) in &world.states {
        match content {
            Content::Real(data) => store.upload(name, &convert(data)),
            Content::Words(data) => store.upload_words(name, data),
            Content::Bytes(data) => store.upload_bytes(name, data),
        }
    }
    store
}

pub fn convert<T: cpu::Real>(data: &[f64]) -> Vec<T> {
    data.iter().map(|x| T::from_f64(*x)).collect()
}

/// Runs a prepared program in a world; gives outputs (`name`) and assigned states (`state name`).
pub fn run_program<T: cpu::Real>(
    program: &mut cpu::Program<T>,
    store: &mut cpu::Store<T>,
    world: &World,
) -> BTreeMap<String, Vec<f64>> {
    let inputs: Vec<(&str, Vec<T>)> = world.inputs.iter().map(|(name, data)| (name.as_str(), convert(data))).collect();
    let inputs: Vec<(&str, &[T])> = inputs.iter().map(|(name, data)| (*name, data.as_slice())).collect();
    program.run(store, &inputs, world.batch).unwrap_or_else(|error| panic!("{error}"));
    let graph = program.graph().clone();
    let mut results = BTreeMap::new();
    for (name, _) in graph.outputs() {
        results.insert(name.clone(), program.output(name).iter().map(|x| x.to_f64()).collect());
    }
    for (name, _) in graph.assignments() {
        let data = match store.tensor(name) {
            Some(cpu::Tensor::Real(data)) => data.iter().map(|x| x.to_f64()).collect(),
            Some(cpu::Tensor::Words(data)) => data.iter().map(|x| f64::from(*x)).collect(),
            other => panic!("{name} is {other:?}"),
        };
        results.insert(format!("state {name}"), data);
    }
    results
}

/// The same results by the interpreter.
pub fn run_naive(graph: &Graph, world: &mut World) -> BTreeMap<String, Vec<f64>> {
    let mut results = interpret(graph, world);
    for (name, _) in graph.assignments() {
        results.insert(format!("state {name}"), world.states[name].as_floats());
    }
    results
}

/// All results of the graph, after `runs` runs, are the same by the interpreter, the CPU executor in f64 (to 1e-12) and
/// in f32 (to `tolerance`), relative to 1 + the largest magnitude of each tensor.
pub fn check(what: &str, graph: &Graph, world: &World, runs: usize, tolerance: f64) {
    let mut naive = world.clone();
    let truth = (0..runs).map(|_| run_naive(graph, &mut naive)).last().unwrap();
    assert!(!truth.is_empty(), "{what}: nothing to compare");
    close(&format!("{what}, f64"), &run_on::<f64>(graph, world, runs), &truth, 1e-12);
    close(&format!("{what}, f32"), &run_on::<f32>(graph, world, runs), &truth, tolerance);
}

/// The results of the CPU executor after `runs` runs.
pub fn run_on<T: cpu::Real>(graph: &Graph, world: &World, runs: usize) -> BTreeMap<String, Vec<f64>> {
    let mut store = store_of::<T>(world);
    let mut program = cpu::Program::<T>::new(graph, "params");
    (0..runs).map(|_| run_program(&mut program, &mut store, world)).last().unwrap()
}

pub fn close(what: &str, found: &BTreeMap<String, Vec<f64>>, truth: &BTreeMap<String, Vec<f64>>, tolerance: f64) {
    for (name, wanted) in truth {
        near(&format!("{what}: {name}"), &found[name], wanted, tolerance);
    }
}

pub fn near(what: &str, found: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len(), "{what}: lengths");
    let finite = wanted.iter().filter(|x| x.is_finite());
    let scale = 1.0 + finite.fold(0.0f64, |largest, x| largest.max(x.abs()));
    for (i, (a, b)) in found.iter().zip(wanted).enumerate() {
        let same = a == b || (a.is_nan() && b.is_nan());
        let good = same || (a - b).abs() <= tolerance * scale;
        assert!(good, "{what}[{i}] of {}: {a} instead of {b}", wanted.len());
    }
}
