//! Whole training steps: bits, buffers, batches, and mistakes that are named.

use super::x;
use crate::common::graphs::{Content, Numbers, World, check, close, run_naive, run_on, run_program, store_of};
use tweedie::cpu::{CpuError, Program, Store};
use tweedie::graph::{Expr, Graph, Initial, Layout, Order, Shape, Storage, TensorType};

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
        close(&format!("batch {batch}"), &found, &run_naive(&graph, &mut world), 1e-12);
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
