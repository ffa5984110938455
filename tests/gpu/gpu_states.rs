//! States on the GPU against the CPU executor: a program reads them as they were when it started, whatever replaces them,
//! and everything can be a result, what is computed and what is not.

use crate::common::both::{Case, numbers};
use tweedie::graph::{Expr, Graph, Initial, Layout, Shape, TensorType, Value};
use tweedie::nn::{Average, Optimizer};
use tweedie::plan::Dispatch;

fn input(slot: usize) -> Expr {
    Expr::input(slot)
}

fn state(graph: &mut Graph, name: &str, lengths: &[usize]) -> Value {
    graph.state(name, TensorType::f32(Shape::fixed(lengths)))
}

#[test]
fn the_step_that_sets_the_status_leaves_its_record() {
    // Bad from the third run on: that run is recorded, those after it are not.
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let status = state(&mut graph, "status", &[1]);
    let ring = state(&mut graph, "ring", &[5, 2]);
    let step = graph.step(clock);
    let loss = graph.map(&[step], &(input(0) * 0.5 + 1.0));
    let bad = graph.map(&[status, step], &input(0).max(input(1).less(7.5).select(0.0, 1.0)));
    let pushed = graph.ring_push(ring, clock, status, &[loss, step]);
    let ticked = graph.tick(clock, bad);
    // In this order a copy of the status would come first.
    graph.assign("status", bad);
    graph.assign("ring", pushed);
    graph.assign("clock", ticked);
    for runs in 1..=4 {
        let mut case = Case::new("ring", &graph, 3)
            .words("clock", vec![6, 0, 1, 2])
            .floats("status", vec![0.0])
            .floats("ring", numbers(10, 3));
        case.runs = runs;
        case.check();
        let ring = &case.on_gpu(false)["state ring"];
        let record = [5.0, 8.0];
        assert_eq!(ring[6..8] == record, runs >= 3, "after {runs} runs: {ring:?}");
    }
}

#[test]
fn a_clock_reads_the_status_as_it_was() {
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let status = state(&mut graph, "status", &[1]);
    let bad = graph.map(&[status], &(input(0) + 1.0));
    let ticked = graph.tick(clock, status);
    graph.assign("status", bad);
    graph.assign("clock", ticked);
    let mut case = Case::new("clock", &graph, 1).words("clock", vec![3, 0, 1, 2]).floats("status", vec![0.0]);
    case.runs = 3;
    case.check();
    assert_eq!(case.on_gpu(false)["state clock"][0], 4.0);
}

/// `x` moved by some number: what a kernel could write over the state.
fn moved(graph: &mut Graph, x: Value) -> Value {
    graph.map(&[x], &(input(0) * 0.5 + 1.0))
}

#[test]
fn a_state_can_be_kept_while_it_is_replaced() {
    let mut graph = Graph::new();
    let x = state(&mut graph, "x", &[7]);
    let new = moved(&mut graph, x);
    graph.assign("previous", x);
    graph.assign("x", new);
    let mut case = Case::new("previous", &graph, 2).floats("x", numbers(7, 1)).floats("previous", vec![0.0; 7]);
    case.runs = 2;
    case.check();
}

#[test]
fn an_output_shows_the_state_as_it_was() {
    let mut graph = Graph::new();
    let x = state(&mut graph, "x", &[2, 3]);
    let new = moved(&mut graph, x);
    let flat = graph.reshape(x, Shape::fixed(&[6]));
    graph.output("before", flat);
    graph.output("after", new);
    graph.assign("x", new);
    let mut case = Case::new("before", &graph, 2).floats("x", numbers(6, 1));
    case.runs = 3;
    case.check();
}

#[test]
fn a_range_of_the_state_is_shown_as_it_was() {
    let mut graph = Graph::new();
    let x = state(&mut graph, "x", &[7]);
    let head = graph.slice(x, 0, 0, 2);
    let new = moved(&mut graph, x);
    graph.output("head", head);
    graph.assign("x", new);
    let mut case = Case::new("head", &graph, 2).floats("x", numbers(7, 1));
    for runs in 1..=2 {
        case.runs = runs;
        case.check();
    }
    let x = numbers(7, 1);
    let moved = [x[0] * 0.5 + 1.0, x[1] * 0.5 + 1.0];
    assert_eq!(case.on_gpu(false)["output head"], moved);
}

#[test]
fn a_range_of_the_state_can_be_kept_while_it_is_replaced() {
    let mut graph = Graph::new();
    let x = state(&mut graph, "x", &[7]);
    let head = graph.slice(x, 0, 0, 2);
    let new = moved(&mut graph, x);
    graph.assign("kept", head);
    graph.assign("x", new);
    let mut case = Case::new("kept head", &graph, 2).floats("x", numbers(7, 1)).floats("kept", vec![0.0; 2]);
    for runs in 1..=2 {
        case.runs = runs;
        case.check();
    }
}

#[test]
fn states_can_change_places() {
    let mut graph = Graph::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| state(&mut graph, name, &[5]));
    graph.assign("a", b);
    graph.assign("b", c);
    graph.assign("c", a);
    let mut case = Case::new("places", &graph, 1);
    for (seed, name) in ["a", "b", "c"].into_iter().enumerate() {
        case = case.floats(name, numbers(5, seed as u64));
    }
    for runs in 1..=3 {
        case.runs = runs;
        case.check();
    }
}

#[test]
fn a_ring_and_a_clock_can_be_kept_while_they_go_on() {
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let status = state(&mut graph, "status", &[1]);
    let ring = state(&mut graph, "ring", &[3, 1]);
    let step = graph.step(clock);
    let pushed = graph.ring_push(ring, clock, status, &[step]);
    let ticked = graph.tick(clock, status);
    graph.output("clock before", clock);
    graph.output("ring before", ring);
    graph.assign("clock", ticked);
    graph.assign("ring", pushed);
    let mut case = Case::new("kept", &graph, 1)
        .words("clock", vec![1, 0, 1, 2])
        .floats("status", vec![0.0])
        .floats("ring", vec![0.5; 3]);
    case.runs = 2;
    case.check();
}

#[test]
fn parameters_are_read_before_their_arena_is_replaced() {
    let mut graph = Graph::new();
    let x = graph.input("x", Shape::batch(&[3]));
    let weight = graph.parameter("weight", &[3, 4], Initial::Zeros);
    let bias = graph.parameter("bias", &[4], Initial::Zeros);
    let elements = graph.arena_elements();
    let arena = state(&mut graph, "params", &[elements]);
    let new = moved(&mut graph, arena);
    // Comes after what replaces the arena.
    let y = graph.matmul(Layout::Nn, x, weight);
    graph.output("y", y);
    graph.output("bias", bias);
    graph.assign("params", new);
    let mut case = Case::new("arena", &graph, 3).filled();
    case.runs = 2;
    case.check();
}

#[test]
fn what_is_not_computed_can_be_a_result() {
    let mut graph = Graph::new();
    let x = graph.input("x", Shape::batch(&[2]));
    let weight = graph.parameter("weight", &[3], Initial::Zeros);
    let bias = graph.parameter("bias", &[2, 2], Initial::Zeros);
    let kept = state(&mut graph, "kept", &[3]);
    let flat = graph.reshape(bias, Shape::fixed(&[4]));
    for (name, value) in [("x", x), ("weight", weight), ("bias", flat), ("kept", kept)] {
        graph.output(name, value);
    }
    Case::new("nothing computed", &graph, 3).filled().floats("kept", numbers(3, 9)).check();
    // Beside something that is.
    let y = graph.map(&[x], &input(0).exp());
    graph.output("y", y);
    Case::new("little computed", &graph, 3).filled().floats("kept", numbers(3, 9)).check();
}

/// A step that moves 70 weights, with these averages besides `ema`.
fn step_with_averages(decays: &[f64]) -> Graph {
    let averages = decays.iter().enumerate().map(|(i, decay)| Average { state: format!("average_{i}"), decay: *decay });
    let optimizer = Optimizer { averages: averages.collect(), ..Optimizer::default() };
    let mut graph = Graph::new();
    let weights = graph.parameter("w", &[70], Initial::Zeros);
    let target = graph.input("target", Shape::fixed(&[70]));
    let error = graph.map(&[weights, target], &(input(0) - input(1)).square());
    let loss = graph.sum_all(error);
    let gradient = graph.gradient(loss, &[weights]);
    let gradient = graph.pack(&gradient);
    let clock = graph.clock("clock");
    let status = state(&mut graph, "status", &[1]);
    let update = optimizer.update(&mut graph, gradient, loss, status, clock);
    let ticked = graph.tick(clock, update.status);
    graph.assign("clock", ticked);
    graph.assign("status", update.status);
    graph
}

#[test]
fn further_averages_follow_the_weights_in_a_second_dispatch() {
    const DECAYS: [f64; 5] = [0.0, 0.05, 0.3, 0.999, 0.15];
    let graph = step_with_averages(&DECAYS);
    let first = numbers(128, 5);
    let case = |runs: usize, target: Vec<f32>| {
        let mut case = Case::new("averages", &graph, 1).input("target", target).words("clock", vec![0, 0, 1, 2]);
        for name in ["params", "ema", "average_0", "average_1", "average_2", "average_3", "average_4"] {
            case = case.floats(name, first.clone());
        }
        case.runs = runs;
        case
    };
    let target = numbers(70, 6);
    let weights: Vec<Vec<f64>> =
        (0..=3).map(|runs| case(runs.max(1), target.clone()).on_cpu::<f64>()["state params"].clone()).collect();
    let whole = case(3, target.clone());
    whole.check();
    let found = whole.on_gpu(false);
    for (i, decay) in DECAYS.iter().enumerate() {
        for place in 0..70 {
            let mut average = f64::from(first[place]);
            for (run, weights) in weights.iter().enumerate().skip(1) {
                let n = run as f64;
                let decay = decay.min((1.0 + n) / (10.0 + n));
                average = decay * average + (1.0 - decay) * weights[place];
            }
            let found = f64::from(found[&format!("state average_{i}")][place]);
            assert!((found - average).abs() < 1e-6, "average {i}, weight {place}: {found} instead of {average}");
        }
    }

    // Eight bindings have room for four averages beside the weights, the scalar, the clock and the rates.
    let dispatches = |count: usize| {
        let graph = step_with_averages(&DECAYS[..count]);
        let plan = Case::new("averages", &graph, 1).plan();
        let of_averages =
            |dispatch: &&Dispatch| dispatch.label == "averages pointwise" && dispatch.bytes.at(1) > 4 * 70;
        plan.programs[0].dispatches.iter().filter(of_averages).count()
    };
    assert_eq!([0, 1, 4, 5].map(dispatches), [0, 1, 1, 2]);

    // A step that is not finite leaves them as they are.
    let mut bad = target;
    bad[3] = f32::NAN;
    let kept = case(1, bad).on_gpu(false);
    for i in 0..DECAYS.len() {
        assert_eq!(kept[&format!("state average_{i}")][..70], first[..70]);
    }
}

/// A kernel with as many tensors as the smallest devices bind replaces a state in place, whoever reads it later.
#[test]
fn a_full_kernel_overwrites_a_state_that_is_read_later() {
    let mut graph = Graph::new();
    let x = state(&mut graph, "x", &[6, 6]);
    let others: Vec<Value> = (0..7).map(|i| graph.input(&format!("other {i}"), Shape::fixed(&[6, 6]))).collect();
    let all: Vec<Value> = [x].into_iter().chain(others).collect();
    let sum = (1..8).fold(input(0), |sum, slot| sum * 0.5 + input(slot));
    let new = graph.map(&all, &sum);
    // After what overwrites the state: the state itself, and a view of it.
    let product = graph.matmul(Layout::Nn, new, x);
    let late = graph.map(&[product, x], &(input(0) - input(1)));
    let flat = graph.reshape(x, Shape::fixed(&[36]));
    let sums = graph.sum(product, &[0, 1]);
    let shifted = graph.map(&[flat, sums], &(input(0) * input(1)));
    for (name, value) in [("product", product), ("late", late)] {
        graph.output(name, value);
    }
    let shifted = graph.sum_all(shifted);
    graph.output("shifted", shifted);
    graph.assign("x", new);
    let mut case = Case::new("full kernel", &graph, 2).filled().floats("x", numbers(36, 4));
    case.runs = 3;
    let bindings = case.plan().programs[0].dispatches.iter().map(|dispatch| dispatch.bindings.len()).max();
    assert_eq!(bindings, Some(8));
    case.check();
}
