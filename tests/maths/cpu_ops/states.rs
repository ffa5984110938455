//! What lasts from step to step: clocks, rings, counters, tables.

use super::x;
use crate::common::graphs::{Content, Numbers, World, check, run_program, store_of};
use tweedie::cpu::{Program, Store};
use tweedie::graph::{Graph, Layout, Shape, TensorType};

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

/// A row of the state is read for all rows: nothing is written over it before.
#[test]
fn a_state_that_a_view_shows_too_is_not_overwritten() {
    let mut graph = Graph::new();
    let state = graph.state("state", TensorType::f32(Shape::fixed(&[3, 4])));
    let first = graph.slice(state, 0, 0, 1);
    let next = graph.map(&[state, first], &(x(0) * 0.5 + x(1)));
    graph.assign("state", next);
    let world = World::new(1).state("state", Content::Real(Numbers::new(3).many(12)));
    check("a view", &graph, &world, 3, 1e-6);
}
