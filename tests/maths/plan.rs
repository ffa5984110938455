//! Plans without a GPU: what lowering makes of graphs.

use std::collections::BTreeSet;

use tweedie::graph::{Expr, Graph, Initial, Layout, Order, Shape, Storage, TensorType};
use tweedie::lower::{LowerError, LowerOptions, ProgramSource, lower};
use tweedie::plan::{Access, BufferKind, Plan};
use tweedie::plan::{Driver, Limits};

/// A training step in small: gather, noise, two layers, loss, gradient, plain descent with an EMA, ring, tick.
fn training_step() -> Graph {
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let data = graph.state("dataset", TensorType::f32(Shape::fixed(&[50, 6])));
    let status = graph.state("status", TensorType::f32(Shape::fixed(&[1])));
    let x = graph.gather(data, clock, Storage::F32, Order::Shuffled);
    let time = graph.uniform(clock, "time", Shape::batch(&[1]));
    let noise = graph.normal(clock, "noise", Shape::batch(&[6]));
    let noised = graph.map(&[x, time, noise], &(Expr::input(0) + Expr::input(1).exp() * Expr::input(2)));
    let mut hidden = noised;
    for (layer, (inner, outer)) in [(6, 33), (33, 6)].into_iter().enumerate() {
        let weight = graph.parameter(&format!("weight{layer}"), &[inner, outer], Initial::Normal(0.1));
        let bias = graph.parameter(&format!("bias{layer}"), &[outer], Initial::Zeros);
        let product = graph.matmul(Layout::Nn, hidden, weight);
        hidden = graph.map(&[product, bias, time], &((Expr::input(0) + Expr::input(1)) * Expr::input(2)).silu());
    }
    let per_sample = graph.map(&[hidden, noise], &(Expr::input(0) - Expr::input(1)).square());
    let summed = graph.sum(per_sample, &[1]);
    let mean = graph.map(&[summed], &(Expr::input(0) / Expr::batch()));
    let loss = graph.sum_all(mean);
    let parameters = graph.parameter_values();
    let gradients = graph.gradient(loss, &parameters);
    let packed = graph.pack(&gradients);
    let squares = graph.map(&[packed], &Expr::input(0).square());
    let norm = graph.sum_all(squares);
    let bad = 1.0 - norm_expr();
    let new_status = graph.map(&[status, norm], &Expr::input(0).max(bad));
    let arena = TensorType::f32(Shape::fixed(&[graph.arena_elements()]));
    let (params, ema) = (graph.state("params", arena.clone()), graph.state("ema", arena));
    let fine = 1.0 - Expr::input(2);
    let updated = graph.map(&[params, packed, new_status], &(Expr::input(0) - 0.1 * Expr::input(1) * &fine));
    let averaged = graph.map(&[ema, updated], &(Expr::input(0) * 0.9 + Expr::input(1) * 0.1));
    let ring = graph.state("ring", TensorType::f32(Shape::fixed(&[8, 2])));
    let ring = graph.ring_push(ring, clock, new_status, &[loss, norm]);
    let ticked = graph.tick(clock, new_status);
    for (name, value) in
        [("status", new_status), ("params", updated), ("ema", averaged), ("ring", ring), ("clock", ticked)]
    {
        graph.assign(name, value);
    }
    graph.output("loss", loss);
    graph
}

fn norm_expr() -> Expr {
    Expr::input(1).is_finite()
}

fn plan(graph: &Graph, limits: Limits) -> Plan {
    let options = LowerOptions { max_batch: 20, limits, driver: Driver::Hardware };
    lower(&[ProgramSource { name: "train", graph, parameters_from: "params" }], &options).unwrap()
}

/// No dispatch reads and writes one buffer, and bindings lie in their buffers.
fn check(plan: &Plan, limits: Limits) {
    for program in &plan.programs {
        for dispatch in &program.dispatches {
            let shader = &plan.shaders[dispatch.shader];
            assert_eq!(shader.access.len(), dispatch.bindings.len(), "{}", dispatch.label);
            assert_eq!(shader.constant_words as usize, dispatch.constants.len(), "{}", dispatch.label);
            assert!(dispatch.bindings.len() <= limits.storage_buffers, "{}", dispatch.label);
            let of = |access: Access| -> BTreeSet<usize> {
                let pairs = shader.access.iter().zip(&dispatch.bindings);
                pairs.filter(|(a, _)| **a == access).map(|(_, slice)| slice.buffer).collect()
            };
            assert!(of(Access::Read).is_disjoint(&of(Access::ReadWrite)), "{} reads what it writes", dispatch.label);
            for slice in &dispatch.bindings {
                assert!(slice.offset % 256 == 0 && slice.bytes <= limits.binding_bytes, "{}", dispatch.label);
                assert!(slice.offset + slice.bytes <= plan.buffers[slice.buffer].bytes, "{}", dispatch.label);
            }
        }
    }
}

#[test]
fn a_training_step_becomes_a_short_valid_plan() {
    let graph = training_step();
    let plan = plan(&graph, Limits::BASELINE);
    check(&plan, Limits::BASELINE);
    let labels: Vec<&str> = plan.programs[0].dispatches.iter().map(|dispatch| dispatch.label.as_str()).collect();
    assert!(labels.len() <= 20, "{} dispatches: {labels:#?}", labels.len());
    for shader in &plan.shaders {
        let module = naga::front::wgsl::parse_str(&shader.wgsl).unwrap_or_else(|error| {
            panic!("{}\n{}", error.emit_to_string(&shader.wgsl), shader.wgsl);
        });
        let mut validator =
            naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::empty());
        validator.validate(&module).unwrap_or_else(|error| panic!("{}: {error:?}\n{}", shader.key, shader.wgsl));
    }
    println!("{labels:#?}");
}

#[test]
fn every_store_entry_is_there_once() {
    let graph = training_step();
    let plan = plan(&graph, Limits::BASELINE);
    let names: Vec<&str> = plan.store.iter().map(|port| port.name.as_str()).collect();
    assert_eq!(names, ["clock", "dataset", "ema", "params", "ring", "status"]);
    let stores = plan.buffers.iter().filter(|buffer| matches!(buffer.kind, BufferKind::Store(_))).count();
    assert_eq!(stores, names.len());
}

#[test]
fn small_limits_force_folding_and_chunks() {
    let graph = training_step();
    let limits = Limits { binding_bytes: 1024, workgroups: 4, ..Limits::BASELINE };
    let options = LowerOptions { max_batch: 4, limits, driver: Driver::Hardware };
    let plan = lower(&[ProgramSource { name: "train", graph: &graph, parameters_from: "params" }], &options).unwrap();
    check(&plan, limits);
    let whole = self::plan(&graph, Limits::BASELINE);
    assert!(plan.programs[0].dispatches.len() > whole.programs[0].dispatches.len(), "nothing was cut");
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let mut graph = Graph::new();
    let x = graph.input("x", Shape::batch(&[1000]));
    let y = graph.map(&[x], &Expr::input(0).exp());
    let z = graph.sum(y, &[1]);
    let both = graph.map(&[y, z], &(Expr::input(0) * Expr::input(1)));
    graph.output("y", both);
    let lowered = |limits| {
        let options = LowerOptions { max_batch: 1000, limits, driver: Driver::Hardware };
        lower(&[ProgramSource { name: "p", graph: &graph, parameters_from: "params" }], &options)
    };
    // Above a binding it goes in ranges of samples; above a buffer there is no place for it.
    let limits = Limits { binding_bytes: 1 << 20, ..Limits::BASELINE };
    let plan = lowered(limits).unwrap();
    check(&plan, limits);
    assert!(plan.programs[0].dispatches.iter().all(|dispatch| dispatch.samples.is_some()));
    let error = lowered(Limits { buffer_bytes: 1 << 20, ..limits }).unwrap_err();
    assert!(error.to_string().contains("4000000 bytes for a batch of 1000"), "{error}");
}

#[test]
fn what_would_need_less_is_named() {
    // A state that is too large for a binding, as a data set and as a sampler's table.
    let lowered = |graph: &Graph, limits: Limits| {
        let options = LowerOptions { max_batch: 1, limits, driver: Driver::Hardware };
        lower(&[ProgramSource { name: "p", graph, parameters_from: "params" }], &options).unwrap_err().to_string()
    };
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let table = graph.state("table", TensorType::f32(Shape::fixed(&[1000, 4])));
    let entry = graph.table_entry(table, clock, 1);
    graph.output("entry", entry);
    let error = lowered(&graph, Limits { binding_bytes: 8192, ..Limits::BASELINE });
    assert!(error.contains("16000 bytes") && error.contains("fewer sample.steps"), "{error}");
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let data = graph.state("dataset", TensorType::f32(Shape::fixed(&[1000, 4])));
    let batch = graph.gather(data, clock, Storage::F32, Order::Shuffled);
    graph.output("batch", batch);
    let error = lowered(&graph, Limits { buffer_bytes: 8192, ..Limits::BASELINE });
    assert!(error.contains("16000 bytes") && error.contains("fewer samples"), "{error}");
}

#[test]
fn plans_survive_being_written_down() {
    let plan = plan(&training_step(), Limits::BASELINE);
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
}

#[test]
fn expressions_that_differ_in_numbers_alone_share_a_pipeline() {
    // Images of other sizes, with a factor for each sample and channel; 16 x 16 pixels are as many as a row has channels.
    let normal = |side: usize, channels: usize, eps: f64| {
        let mut graph = Graph::new();
        let x = graph.input("x", Shape::batch(&[side, side, channels]));
        let factor = graph.input("factor", Shape::batch(&[1, 1, channels]));
        let y = graph.map(&[x, factor], &((Expr::input(0) / (side * side) as f64 + eps) * Expr::input(1)));
        graph.output("y", y);
        graph
    };
    let graphs = [normal(4, 8, 1e-5), normal(8, 16, 1e-6), normal(16, 256, 0.37)];
    let sources: Vec<ProgramSource> =
        graphs.iter().map(|graph| ProgramSource { name: "normal", graph, parameters_from: "params" }).collect();
    let plan = lower(&sources, &LowerOptions { max_batch: 3, ..LowerOptions::default() }).unwrap();
    let shaders: BTreeSet<usize> = plan.programs.iter().map(|program| program.dispatches[0].shader).collect();
    assert_eq!((plan.shaders.len(), shaders.len()), (1, 1));
    let constants: Vec<_> = plan.programs.iter().map(|program| &program.dispatches[0].constants).collect();
    assert!(constants[0] != constants[1] && constants[1] != constants[2], "the numbers are constants");
}

/// A shader once got the largest float where a formula had an infinite constant, and computed on with it.
#[test]
fn a_constant_that_32_bits_do_not_hold_is_no_plan() {
    let lowered = |build: &dyn Fn(&mut Graph, f64), constant: f64| {
        let mut graph = Graph::new();
        build(&mut graph, constant);
        lower(&[ProgramSource { name: "case", graph: &graph, parameters_from: "params" }], &LowerOptions::default())
    };
    let scaled = |constant: f64| (Expr::input(0) + 1.0) / (Expr::input(0).square() + constant);
    let pointwise = |graph: &mut Graph, constant: f64| {
        let x = graph.input("x", Shape::batch(&[3]));
        let y = graph.map(&[x], &scaled(constant));
        graph.output("y", y);
    };
    let reduction = |graph: &mut Graph, constant: f64| {
        let x = graph.input("x", Shape::batch(&[3]));
        let y = graph.map(&[x], &scaled(constant));
        let y = graph.sum(y, &[1]);
        graph.output("y", y);
    };
    let product = |graph: &mut Graph, constant: f64| {
        let x = graph.input("x", Shape::batch(&[3]));
        let weight = graph.parameter("weight", &[3, 3], Initial::Zeros);
        let y = graph.matmul(Layout::Nn, x, weight);
        let y = graph.map(&[y], &scaled(constant));
        graph.output("y", y);
    };
    type Build<'a> = &'a dyn Fn(&mut Graph, f64);
    let builds: [(&str, Build); 3] = [("pointwise", &pointwise), ("reduction", &reduction), ("product", &product)];
    for (name, build) in builds {
        for bad in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e39, -1e60] {
            let error = lowered(build, bad).expect_err("no plan");
            let is_told = matches!(&error, LowerError::NotFinite { value, .. } if *value == format!("{bad:e}"));
            assert!(is_told && error.to_string().contains("32 bits"), "{name} with {bad}: {error}");
        }
        for good in [f64::from(f32::MAX), -3e38, 1e-60, 0.0] {
            assert!(lowered(build, good).is_ok(), "{name} with {good}");
        }
    }
}
