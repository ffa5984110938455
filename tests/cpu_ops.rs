//! The CPU executor, op by op, against naive twins in f64, definitions and published properties.

#[path = "common/graphs.rs"]
mod graphs;

use graphs::{Content, Numbers, World, check, near, run_on, run_program, store_of};
use tweedie::cpu::{CpuError, Program, Store};
use tweedie::graph::expr::{Draw, Term};
use tweedie::graph::{
    Dim, Distribution, Expr, Graph, Initial, Layout, Order, Reduction, Shape, Storage, Tape, TensorType, Value, random,
};

fn x(slot: usize) -> Expr {
    Expr::input(slot)
}

#[test]
fn products_of_awkward_shapes() {
    let sizes = [
        (1, 1, 1),
        (1, 7, 1),
        (2, 3, 5),
        (13, 1, 17),
        (33, 67, 31),
        (67, 33, 129),
        (128, 130, 2),
        (257, 64, 65),
        (300, 129, 127),
        (3, 9001, 5),
    ];
    for (m, k, n) in sizes {
        for layout in [Layout::Nn, Layout::Nt, Layout::Tn] {
            let mut graph = Graph::new();
            let (left, right) = match layout {
                Layout::Nn => ([m, k], [k, n]),
                Layout::Nt => ([m, k], [n, k]),
                Layout::Tn => ([k, m], [k, n]),
            };
            let a = graph.input("a", Shape::fixed(&left));
            let b = graph.input("b", Shape::fixed(&right));
            let c = graph.matmul(layout, a, b);
            graph.output("c", c);
            let world = World::new(1).filled(&graph, (m * 1000 + n) as u64);
            check(&format!("{layout:?} {m} {k} {n}"), &graph, &world, 1, 3e-6);
        }
    }
}

#[test]
fn products_flatten_leading_axes() {
    let mut graph = Graph::new();
    let a = graph.input("a", Shape::batch(&[3, 5]).with_leading(2));
    let w = graph.input("w", Shape::fixed(&[5, 7]));
    let y = graph.matmul(Layout::Nn, a, w);
    let g = graph.matmul(Layout::Tn, a, y);
    let back = graph.matmul(Layout::Nt, y, w);
    [("y", y), ("g", g), ("back", back)].into_iter().for_each(|(name, value)| graph.output(name, value));
    for batch in [1, 4, 33] {
        check("leading axes", &graph, &World::new(batch).filled(&graph, 3), 1, 1e-5);
    }
}

#[test]
fn reductions_over_every_set_of_axes() {
    let shapes = [vec![7], vec![5, 3], vec![1, 4, 67], vec![33, 2, 5, 3], vec![600, 37], vec![3, 1100]];
    for lengths in shapes {
        for set in 1..1 << lengths.len() {
            let axes: Vec<usize> = (0..lengths.len()).filter(|axis| set >> axis & 1 == 1).collect();
            for batch_axis in 0..lengths.len() {
                let mut graph = Graph::new();
                let dims =
                    lengths.iter().enumerate().map(|(i, n)| if i == batch_axis { Dim::Batch } else { (*n).into() });
                let a = graph.input("a", Shape::new(dims));
                for reduction in [Reduction::Sum, Reduction::Max] {
                    let result = graph.reduce(reduction, a, &axes);
                    graph.output(format!("{reduction:?}"), result);
                }
                let world = World::new(lengths[batch_axis]).filled(&graph, 5);
                check(&format!("{lengths:?} over {axes:?}"), &graph, &world, 1, 3e-6);
            }
        }
    }
}

#[test]
fn long_sums_keep_their_digits() {
    // One after the other, a million f32 terms of 0.1 come to 100,958; pairwise to 100,000.
    let mut graph = Graph::new();
    let a = graph.input("a", Shape::fixed(&[1_000_000]));
    let sum = graph.sum_all(a);
    graph.output("sum", sum);
    let world = World::new(1).input("a", vec![f64::from(0.1f32); 1_000_000]);
    let found = run_on::<f32>(&graph, &world, 1)["sum"][0];
    assert!((found - 100_000.0).abs() < 0.05, "{found}");
}

/// A dozen expressions that among them hold every function, over two inputs between −1 and 1.
fn expressions() -> Vec<Expr> {
    let (a, b) = (x(0), x(1));
    vec![
        -&a,
        &a + 2.0,
        (&a - &b).abs(),
        (&a * 3.0).exp() / (&b + 1.5),
        (&a * &b).expm1(),
        (&a + 1.25).ln(),
        (&a * 0.9).log1p() * 2.0,
        (&b + 1.0).sqrt(),
        (&a * 50.0).sin() + (&b * 7.0).cos(),
        (&a * 4.0).tanh() * (&b * 5.0).sigmoid(),
        (&a * 20.0).softplus(),
        a.max(&b) - a.min(0.25),
        a.less(&b).select(&a * 3.0, 0.5),
        a.less(0.0).select(2.0, &b),
        b.is_finite() * 3.0,
        Expr::constant(1.5),
    ]
}

#[test]
fn pointwise_is_the_tape_element_by_element() {
    let exprs = expressions();
    for count in [1, 2, 3, 67, 511, 512, 513, 5000] {
        let mut graph = Graph::new();
        let a = graph.input("a", Shape::batch(&[]));
        let b = graph.input("b", Shape::batch(&[]));
        for (i, value) in graph.pointwise(&[a, b], &exprs, Some(Shape::batch(&[]))).into_iter().enumerate() {
            graph.output(format!("{i}"), value);
        }
        let world = World::new(count).filled(&graph, count as u64);
        let (exact, single) = (run_on::<f64>(&graph, &world, 1), run_on::<f32>(&graph, &world, 1));
        let tape = Tape::new(&exprs);
        let elements = world.inputs["a"].iter().zip(&world.inputs["b"]);
        let truth: Vec<Vec<f64>> = elements.map(|(a, b)| tape.evaluate(&[*a, *b])).collect();
        for i in 0..exprs.len() {
            let column: Vec<f64> = truth.iter().map(|row| row[i]).collect();
            near(&format!("expression {i}, f64"), &exact[&i.to_string()], &column, 0.0);
            near(&format!("expression {i}, f32"), &single[&i.to_string()], &column, 4e-6);
        }
    }
}

#[test]
fn pointwise_broadcasts() {
    // Shapes that broadcast to [2, batch, 3, 5] in every way, alone and with scalars and columns.
    let wide = Shape::batch(&[3, 5]).with_leading(2);
    let parts = [
        wide.clone(),
        Shape::batch(&[3, 5]),
        Shape::batch(&[1, 1]),
        Shape::batch(&[3, 1]),
        Shape::fixed(&[5]),
        Shape::fixed(&[3, 1]),
        Shape::fixed(&[3, 5]),
        Shape::fixed(&[1]),
        Shape::fixed(&[2, 1, 1, 1]),
        Shape::fixed(&[2, 1, 3, 5]),
        Shape::batch(&[1, 5]).with_leading(2),
    ];
    for first in &parts {
        for second in &parts {
            for batch in [1, 2, 67] {
                let mut graph = Graph::new();
                let a = graph.input("a", first.clone());
                let b = graph.input("b", second.clone());
                let c = graph.input("c", Shape::fixed(&[1]));
                let expr = (x(0).exp() * x(2) + Expr::column().sin()) * (x(1) + Expr::batch()) - x(1).tanh();
                let y = graph.map_to(&[a, b, c], &expr, &wide);
                // Another output that varies less.
                let z = graph.map_to(&[b], &(x(0).sigmoid() * Expr::column()), &wide);
                graph.output("y", y);
                graph.output("z", z);
                check(&format!("{first} and {second}"), &graph, &World::new(batch).filled(&graph, 9), 1, 3e-6);
            }
        }
    }
}

#[test]
fn wide_rows_and_per_sample_numbers() {
    for (batch, width) in [(3, 1200), (67, 33), (512, 2), (5, 512), (700, 1)] {
        let mut graph = Graph::new();
        let a = graph.input("a", Shape::batch(&[width]));
        let t = graph.input("t", Shape::batch(&[1]));
        let bias = graph.input("bias", Shape::fixed(&[width]));
        let expr = x(0) * (x(1) * -2.0).exp() + x(2).cos() * Expr::column() / Expr::batch();
        let y = graph.map(&[a, t, bias], &expr);
        graph.output("y", y);
        check(&format!("{batch} x {width}"), &graph, &World::new(batch).filled(&graph, 1), 1, 3e-6);
    }
}

fn per_sample(stream: &str, distribution: Distribution) -> Expr {
    let draw = Draw { clock: 0, stream: random::stream(stream), distribution, per_sample: true };
    Expr::new(Term::Random(draw))
}

#[test]
fn draws_follow_the_definition() {
    let shapes = [
        Shape::batch(&[]),
        Shape::batch(&[1]),
        Shape::batch(&[2]),
        Shape::batch(&[7, 3]),
        Shape::batch(&[5]).with_leading(3),
        Shape::batch(&[]).with_leading(6),
        Shape::fixed(&[1]),
        Shape::fixed(&[67]),
        Shape::fixed(&[3, 5]),
    ];
    for shape in shapes {
        for batch in [1, 4, 130] {
            let mut graph = Graph::new();
            let clock = graph.clock("clock");
            let normal = graph.normal(clock, "noise", shape.clone());
            let uniform = graph.uniform(clock, "time", shape.clone());
            let exprs =
                [per_sample("time", Distribution::Uniform) + Expr::column(), per_sample("z", Distribution::Normal)];
            let samples = graph.pointwise(&[clock], &exprs, Some(shape.clone()));
            let at = |step: Expr| {
                let stream = random::stream("at");
                let draw = Draw { clock: 0, stream, distribution: Distribution::Normal, per_sample: false };
                Expr::new(Term::RandomAt(draw, step))
            };
            let steps = [at(Expr::column() * 3.0 + 70_000.0), at(Expr::constant(9.0))];
            let at_steps = graph.pointwise(&[clock], &steps, Some(shape.clone()));
            graph.output("at steps of their own", at_steps[0]);
            graph.output("at one step", at_steps[1]);
            graph.output("normal", normal);
            graph.output("uniform", uniform);
            graph.output("per sample", samples[0]);
            graph.output("per sample normal", samples[1]);
            let world = World::new(batch).clock("clock", [7, 1000, 0xdead_beef, 42]);
            check(&format!("draws of {shape} for {batch}"), &graph, &world, 1, 3e-7);
        }
    }
}

#[test]
fn four_batches_of_16_draw_what_64_draw() {
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let noise = graph.normal(clock, "noise", Shape::batch(&[7]));
    let time = graph.uniform(clock, "time", Shape::batch(&[1]));
    let y = graph.map(&[noise, time], &(x(0) * x(1).sqrt()));
    graph.output("y", y);
    let draw =
        |batch, base| run_on::<f32>(&graph, &World::new(batch).clock("clock", [5, base, 1, 2]), 1).remove("y").unwrap();
    let parts: Vec<f64> = (0..4).flat_map(|part| draw(16, 16 * part)).collect();
    assert_eq!(parts, draw(64, 0));
    assert_ne!(parts, draw(64, 1));
}

#[test]
fn steps_and_tables() {
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let table = graph.state("table", TensorType::f32(Shape::fixed(&[3, 2])));
    let entry = graph.table_entry(table, clock, 1);
    let step = graph.step(clock);
    let a = graph.input("a", Shape::batch(&[3]));
    let y = graph.map(&[a, entry, step], &(x(0) * x(1) + x(2)));
    graph.output("y", y);
    let numbers = Numbers::new(1).many(6);
    for step in [0, 1, 2, 3, 900] {
        let world = World::new(5).clock("clock", [step, 0, 0, 0]).state("table", Content::Real(numbers.clone()));
        check("table", &graph, &world.filled(&graph, 2), 1, 1e-6);
    }
}

#[test]
fn gathers_read_what_the_clock_points_at() {
    let bytes: Vec<u8> = (0..37 * 6).map(|i| (i * 7 % 256) as u8).collect();
    let floats = Numbers::new(3).many(37 * 6);
    for order in [Order::Shuffled, Order::Sequential] {
        let mut graph = Graph::new();
        let clock = graph.clock("clock");
        let small = TensorType { shape: Shape::fixed(&[37, 2, 3]), dtype: tweedie::graph::DType::U8 };
        let images = graph.state("images", small);
        let points = graph.state("points", TensorType::f32(Shape::fixed(&[37, 2, 3])));
        let a = graph.gather(images, clock, Storage::U8 { scale: 2.0 / 255.0, shift: -1.0 }, order);
        let b = graph.gather(points, clock, Storage::F32, order);
        graph.output("a", a);
        graph.output("b", b);
        for (batch, clock) in [(1, [0, 0, 1, 2]), (10, [3, 0, 1, 2]), (50, [9, 7, 8, 9]), (64, [u32::MAX, 3, 8, 9])] {
            let world = World::new(batch)
                .clock("clock", clock)
                .state("images", Content::Bytes(bytes.clone()))
                .state("points", Content::Real(floats.clone()));
            check(&format!("{order:?}"), &graph, &world, 1, 1e-6);
        }
    }
}

#[test]
fn an_epoch_reads_every_row_once() {
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let rows = graph.state("rows", TensorType::f32(Shape::fixed(&[35, 1])));
    let batch = graph.gather(rows, clock, Storage::F32, Order::Shuffled);
    let status = graph.state("status", TensorType::f32(Shape::fixed(&[1])));
    let next = graph.tick(clock, status);
    graph.assign("clock", next);
    graph.output("batch", batch);
    let rows = (0..35).map(f64::from).collect();
    let world = World::new(7).clock("clock", [0, 0, 4, 4]).state("rows", Content::Real(rows));
    let mut store = store_of::<f32>(&world);
    let mut program = Program::<f32>::new(&graph, "params");
    for _ in 0..2 {
        let mut epoch: Vec<f64> =
            (0..5).flat_map(|_| run_program(&mut program, &mut store, &world).remove("batch").unwrap()).collect();
        assert!(epoch.windows(2).any(|pair| pair[1] != pair[0] + 1.0), "the rows come in their own order");
        epoch.sort_by(f64::total_cmp);
        assert_eq!(epoch, (0..35).map(f64::from).collect::<Vec<_>>());
    }
    assert_eq!(store.words("clock"), Some(&[10, 0, 4, 4][..]));
}

#[test]
fn views_of_views() {
    let mut graph = Graph::new();
    let a = graph.input("a", Shape::batch(&[4, 6]));
    let b = graph.input("b", Shape::fixed(&[6, 10]));
    let parts = [graph.slice(a, 1, 0, 1), graph.slice(a, 1, 1, 2), graph.slice(a, 2, 5, 1), graph.slice(b, 0, 2, 3)];
    let inner = graph.slice(parts[3], 1, 3, 4);
    let row = graph.slice(b, 0, 4, 1);
    let flat = graph.reshape(row, Shape::fixed(&[10]));
    let piece = graph.slice(flat, 0, 3, 5);
    let joined = graph.concat(&[parts[1], a, parts[0]], 1);
    let stacked = graph.concat(&[parts[3], b], 0);
    let folded = graph.reshape(joined, Shape::batch(&[42]));
    let doubled = graph.scale(folded, 2.0);
    let all = [parts[0], parts[1], parts[2], parts[3], inner, row, piece, joined, stacked, folded, doubled];
    all.into_iter().enumerate().for_each(|(i, value)| graph.output(format!("{i}"), value));
    for batch in [1, 2, 33] {
        check("views", &graph, &World::new(batch).filled(&graph, 4), 1, 1e-7);
    }
}

#[test]
fn packing_fills_gaps_with_zeros() {
    let mut graph = Graph::new();
    let weight = graph.parameter("weight", &[3, 5], Initial::Ones);
    let bias = graph.parameter("bias", &[5], Initial::Zeros);
    let last = graph.parameter("last", &[67], Initial::Zeros);
    let values: Vec<Value> = [weight, bias, last].into_iter().map(|value| graph.scale(value, 2.0)).collect();
    let packed = graph.pack(&values);
    graph.output("packed", packed);
    let mut world = World::new(1).filled(&graph, 8);
    check("pack", &graph, &world, 2, 1e-7);
    let found = graphs::interpret(&graph, &mut world);
    assert!(found["packed"][15..64].iter().chain(&found["packed"][69..128]).all(|x| *x == 0.0));
}

fn counting_graph() -> Graph {
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let status = graph.state("status", TensorType::f32(Shape::fixed(&[1])));
    let ring = graph.state("ring", TensorType::f32(Shape::fixed(&[3, 2])));
    let loss = graph.input("loss", Shape::fixed(&[1]));
    let step = graph.step(clock);
    let pushed = graph.ring_push(ring, clock, status, &[loss, step]);
    let next = graph.tick(clock, status);
    graph.assign("ring", pushed);
    graph.assign("clock", next);
    graph
}

#[test]
fn rings_and_clocks_stand_still_while_the_status_is_set() {
    let graph = counting_graph();
    for status in [0.0, 1.0, -2.5] {
        for step in [0, 4, u32::MAX] {
            let world = World::new(1)
                .clock("clock", [step, 5, 6, 7])
                .state("status", Content::Real(vec![status]))
                .state("ring", Content::Real(vec![9.0; 6]))
                .filled(&graph, 1);
            check(&format!("status {status} step {step}"), &graph, &world, 5, 1e-6);
            let mut store = store_of::<f64>(&world);
            run_program(&mut Program::new(&graph, "params"), &mut store, &world);
            let expected = if status == 0.0 { step.wrapping_add(1) } else { step };
            assert_eq!(store.words("clock"), Some(&[expected, 5, 6, 7][..]));
        }
    }
    // The ring read elsewhere too: then it is not changed in place.
    let mut graph = counting_graph();
    let ring = graph.state("ring", TensorType::f32(Shape::fixed(&[3, 2])));
    let (_, pushed) = graph.assignments()[0].clone();
    let sum = graph.minus(pushed, ring);
    graph.output("change", sum);
    graph.output("pushed", pushed);
    check("ring read twice", &graph, &World::new(1).clock("clock", [1, 0, 0, 0]).filled(&graph, 3), 4, 1e-6);
}

#[test]
fn every_read_of_a_state_sees_the_old_value() {
    let mut graph = Graph::new();
    let kind = TensorType::f32(Shape::fixed(&[8, 8]));
    let old = graph.state("a", kind.clone());
    let other = graph.state("b", kind.clone());
    // The new value is there before the product and the sum read the old one; states are exchanged and duplicated.
    let new = graph.map(&[old, other], &(x(0) * 0.5 + x(1)));
    let product = graph.matmul(Layout::Nn, new, old);
    let late = graph.map(&[product, old, other], &(x(0) + x(1) - x(2)));
    let sum = graph.sum_all(late);
    graph.assign("a", new);
    graph.assign("copy", new);
    graph.assign("b", old);
    graph.assign("c", other);
    let flat = graph.reshape(product, Shape::fixed(&[64]));
    graph.assign("flat", flat);
    let part = graph.slice(late, 0, 2, 3);
    graph.assign("part", part);
    graph.output("sum", sum);
    graph.output("new", new);
    graph.output("old", old);
    let mut numbers = Numbers::new(6);
    let world = World::new(1).state("a", Content::Real(numbers.many(64))).state("b", Content::Real(numbers.many(64)));
    for runs in 1..4 {
        check(&format!("{runs} runs"), &graph, &world, runs, 1e-4);
    }
}

#[test]
fn missing_states_start_as_zeros() {
    let mut graph = Graph::new();
    let count = graph.state("count", TensorType::f32(Shape::fixed(&[2])));
    let next = graph.map(&[count], &(x(0) + 1.0));
    graph.assign("count", next);
    let mut store = Store::<f32>::new();
    let mut program = Program::new(&graph, "params");
    (0..3).for_each(|_| program.run(&mut store, &[], 1).unwrap());
    assert_eq!(store.get("count"), Some(&[3.0, 3.0][..]));
}

/// A network with every kind of op: forward, backward, moments, ring and clock.
fn training_graph() -> Graph {
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let status = graph.state("status", TensorType::f32(Shape::fixed(&[1])));
    let data = graph.state("data", TensorType::f32(Shape::fixed(&[101, 3])));
    let x0 = graph.gather(data, clock, Storage::F32, Order::Shuffled);
    let noise = graph.normal(clock, "noise", Shape::batch(&[3]));
    let t = graph.uniform(clock, "t", Shape::batch(&[1]));
    let mut h = graph.map(&[x0, noise, t], &(x(0) + x(1) * x(2)));
    for (i, (from, to)) in [(3, 67), (67, 33), (33, 3)].into_iter().enumerate() {
        let weight = graph.parameter(&format!("weight{i}"), &[from, to], Initial::Ones);
        let bias = graph.parameter(&format!("bias{i}"), &[to], Initial::Ones);
        let product = graph.matmul(Layout::Nn, h, weight);
        h = graph.map(&[product, bias], &(x(0) + x(1)).silu());
    }
    let error = graph.map(&[h, noise, t], &(x(0) + x(1) / (x(2) + 0.1)).square());
    let sum = graph.sum_all(error);
    let loss = graph.map(&[sum], &(x(0) / Expr::batch()));
    let wrt = graph.parameter_values();
    let gradients = graph.gradient(loss, &wrt);
    let gradient = graph.pack(&gradients);
    let arena = Shape::fixed(&[graph.arena_elements()]);
    let params = graph.state("params", TensorType::f32(arena.clone()));
    let moment = graph.state("adam_m", TensorType::f32(arena));
    let outputs = graph.pointwise(
        &[params, moment, gradient],
        &[x(0) - (x(1) * 0.9 + x(2) * 0.1) * 1e-3, x(1) * 0.9 + x(2) * 0.1],
        None,
    );
    graph.assign("params", outputs[0]);
    graph.assign("adam_m", outputs[1]);
    let ring = graph.state("ring", TensorType::f32(Shape::fixed(&[4, 1])));
    let pushed = graph.ring_push(ring, clock, status, &[loss]);
    graph.assign("ring", pushed);
    let next = graph.tick(clock, status);
    graph.assign("clock", next);
    graph.output("loss", loss);
    graph.output("gradient", gradient);
    graph
}

fn training_world(graph: &Graph, batch: usize) -> World {
    let numbers = Numbers::new(11).many(303);
    let mut world =
        World::new(batch).clock("clock", [0, 0, 3, 4]).state("data", Content::Real(numbers)).filled(graph, 12);
    if let Some(Content::Real(params)) = world.states.get_mut("params") {
        params.iter_mut().for_each(|x| *x *= 0.3);
    }
    world
}

#[test]
fn training_steps_agree() {
    let graph = training_graph();
    for batch in [1, 5, 64] {
        check(&format!("batch {batch}"), &graph, &training_world(&graph, batch), 3, 2e-5);
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let graph = training_graph();
    let world = training_world(&graph, 1031);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let results = pool.install(|| run_on::<f32>(&graph, &world, 4));
        results
            .into_iter()
            .map(|(name, data)| (name, data.into_iter().map(f64::to_bits).collect()))
            .collect::<Vec<(_, Vec<u64>)>>()
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(5));
}

#[test]
fn buffers_are_allocated_once() {
    let graph = training_graph();
    let world = training_world(&graph, 64);
    let mut store = store_of::<f32>(&world);
    let mut program = Program::new(&graph, "params");
    program.run(&mut store, &[], 64).unwrap();
    let bytes = program.buffer_bytes();
    // Few slots for many values: the widest activation is 64 x 67 floats.
    assert!(bytes < 6 * 64 * 67 * 4 + 8 * 4 * graph.arena_elements(), "{bytes}");
    for step in 0..50 {
        program.run(&mut store, &[], if step % 3 == 0 { 17 } else { 64 }).unwrap();
    }
    assert_eq!(program.buffer_bytes(), bytes);
}

#[test]
fn changing_the_batch_changes_nothing_else() {
    let graph = training_graph();
    let mut program = Program::<f64>::new(&graph, "params");
    for batch in [9, 33, 2, 33, 1] {
        let mut world = training_world(&graph, batch);
        let found = run_program(&mut program, &mut store_of(&world), &world);
        graphs::close(&format!("batch {batch}"), &found, &graphs::run_naive(&graph, &mut world), 1e-12);
    }
}

#[test]
fn mistakes_are_named() {
    let graph = training_graph();
    let world = training_world(&graph, 4);
    let run = |change: &dyn Fn(&mut Store<f32>), batch| {
        let mut store = store_of::<f32>(&world);
        change(&mut store);
        Program::new(&graph, "params").run(&mut store, &[], batch).unwrap_err()
    };
    let none = |_: &mut Store<f32>| {};
    assert_eq!(run(&none, 0), CpuError::EmptyBatch);
    let missing = |name: &str| CpuError::MissingState { name: name.to_owned() };
    assert_eq!(run(&|store| drop(store.remove("params")), 4), missing("params"));
    assert_eq!(run(&|store| drop(store.remove("data")), 4), missing("data"));
    assert!(matches!(run(&|store| store.create("ring", 5), 4), CpuError::StateLength { expected: 4, found: 5, .. }));
    let error = run(&|store| store.upload("clock", &[0.0; 4]), 4);
    assert_eq!(error.to_string(), "state `clock` holds floats in the store, but the graph reads u32");
    let mut graph = Graph::new();
    let a = graph.input("a", Shape::batch(&[2]));
    let b = graph.scale(a, 2.0);
    graph.output("b", b);
    let mut program = Program::<f32>::new(&graph, "params");
    let error = program.run(&mut Store::new(), &[], 3).unwrap_err();
    assert_eq!(error, CpuError::MissingInput { name: "a".to_owned(), expected: 6 });
    let error = program.run(&mut Store::new(), &[("a", &[0.0; 5])], 3).unwrap_err();
    assert_eq!(error.to_string(), "input `a` has 5 elements, but 6 are needed for a batch of 3");
}

/// f32 results of a function for many arguments.
fn single(expr: &Expr, arguments: &[f32]) -> Vec<f32> {
    let mut graph = Graph::new();
    let a = graph.input("a", Shape::batch(&[]));
    let y = graph.map(&[a], expr);
    graph.output("y", y);
    let mut program = Program::<f32>::new(&graph, "params");
    program.run(&mut Store::new(), &[("a", arguments)], arguments.len()).unwrap();
    program.output("y").to_vec()
}

/// The distance of `found` from the exact value in units of the last place of the rounded exact value.
fn ulps(found: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    if found == rounded || (found.is_nan() && exact.is_nan()) {
        return 0.0;
    }
    if !found.is_finite() || !rounded.is_finite() {
        return f64::INFINITY;
    }
    let unit = f64::from(f32::from_bits(rounded.abs().to_bits() + 1)) - f64::from(rounded.abs());
    (f64::from(found) - exact).abs() / unit
}

/// Name, expression, exact function, range of arguments, allowed error in ulp.
type Function = (&'static str, Expr, fn(f64) -> f64, (f64, f64), f64);

fn functions() -> Vec<Function> {
    let a = x(0);
    vec![
        ("exp", a.exp(), f64::exp, (-110.0, 90.0), 1.5),
        ("expm1", a.expm1(), f64::exp_m1, (-40.0, 90.0), 2.5),
        ("ln", a.ln(), f64::ln, (1e-45, 3e38), 1.5),
        ("log1p", a.log1p(), f64::ln_1p, (-0.999, 1e30), 3.0),
        ("sin", a.sin(), f64::sin, (-200.0, 200.0), 1.5),
        ("cos", a.cos(), f64::cos, (-200.0, 200.0), 1.5),
        ("sin far out", a.sin(), f64::sin, (-1e9, 1e9), 1.5),
        ("cos far out", a.cos(), f64::cos, (-1e9, 1e9), 1.5),
        ("tanh", a.tanh(), f64::tanh, (-20.0, 20.0), 4.0),
        ("sigmoid", a.sigmoid(), |x| 1.0 / (1.0 + (-x).exp()), (-100.0, 100.0), 3.0),
        ("softplus", a.softplus(), |x| x.max(0.0) + (-x.abs()).exp().ln_1p(), (-100.0, 100.0), 4.0),
        ("sqrt", a.sqrt(), f64::sqrt, (0.0, 1e38), 0.5),
    ]
}

#[test]
fn f32_functions_are_accurate_to_a_few_ulp() {
    let mut numbers = Numbers::new(77);
    for (name, expr, exact, (low, high), allowed) in functions() {
        // Evenly over the range, evenly in the exponent, and near 0 and 1.
        let mut arguments: Vec<f32> =
            (0..20_000).map(|_| (low + (high - low) * (numbers.one() + 1.0) / 2.0) as f32).collect();
        arguments.extend((0..20_000).map(|_| {
            let magnitude = (numbers.one() * 88.0).exp();
            (if low < 0.0 && numbers.one() < 0.0 { -magnitude } else { magnitude }) as f32
        }));
        arguments.extend((0..5_000).map(|_| (1.0 + numbers.one() * 1e-3) as f32));
        arguments.retain(|x| (low..high).contains(&f64::from(*x)));
        assert!(arguments.len() > 10_000);
        let (mut worst, mut at) = (0.0, 0.0);
        for (x, y) in arguments.iter().zip(single(&expr, &arguments)) {
            let error = ulps(y, exact(f64::from(*x)));
            if error > worst {
                (worst, at) = (error, *x);
            }
        }
        println!("{name}: {worst:.2} ulp at {at:e}");
        assert!(worst <= allowed, "{name}({at:e}) is off by {worst} ulp");
    }
}

#[test]
fn f32_functions_at_special_values() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let arguments = [
        0.0,
        -0.0,
        inf,
        -inf,
        nan,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        1e-45,
        -1e-45,
        1.0,
        -1.0,
        88.7,
        88.8,
        -103.0,
        -105.0,
        1e8,
        -2e8,
        1e20,
        -1e20,
    ];
    for (name, expr, exact, _, allowed) in functions() {
        for (x, y) in arguments.iter().zip(single(&expr, &arguments)) {
            let error = ulps(y, exact(f64::from(*x)));
            assert!(error <= allowed, "{name}({x:e}) = {y:e} instead of {:e}", exact(f64::from(*x)));
        }
    }
    let finite = single(&x(0).is_finite(), &arguments);
    assert_eq!(finite[..6], [1.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
}
