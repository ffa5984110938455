//! Rows that the clock points at.

use crate::common::graphs::{Content, Numbers, World, check, run_program, store_of};
use tweedie::cpu::Program;
use tweedie::graph::{Graph, Order, Shape, Storage, TensorType};

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
