//! Derivatives of graphs against central differences in f64, against each other, and composed.

use std::collections::BTreeMap;

use crate::common::graphs::{Content, Numbers, World, close, near, run_naive, run_on};
use tweedie::graph::expr::{RandomDraw, Term};
use tweedie::graph::{
    ConvLayout, Distribution, Expr, Geometry, Graph, Initial, Layout, Order, Padding, Reduction, Shape, Storage,
    TensorType, Value, random,
};
use tweedie::nn;

fn x(slot: usize) -> Expr {
    Expr::input(slot)
}

type Build = fn(&mut Graph, &[Value]) -> Vec<Value>;

/// An op: the shapes of its inputs and what it makes of them.
struct Case {
    name: &'static str,
    inputs: Vec<Shape>,
    build: Build,
}

fn case(name: &'static str, inputs: &[Shape], build: Build) -> Case {
    Case { name, inputs: inputs.to_vec(), build }
}

fn cases() -> Vec<Case> {
    let square = Shape::batch(&[3]);
    let image = Shape::batch(&[4, 3]);
    vec![
        case("pointwise", &[square.clone(), square.clone()], |graph, x_| {
            graph.pointwise(x_, &[(x(0) * x(1)).exp() - x(1), x(0) / (x(1).square() + 1.0)], None)
        }),
        case(
            "pointwise broadcasting",
            &[image.clone(), Shape::fixed(&[3]), Shape::batch(&[1, 1]), Shape::fixed(&[1])],
            |graph, v| {
                let expr = x(0) * x(1) + (x(2) * x(0)).sigmoid() * x(3);
                vec![graph.map(v, &expr), graph.map(&v[1..], &(x(0) - x(1) * x(2)))]
            },
        ),
        case("pointwise to a wider shape", &[Shape::fixed(&[1, 3])], |graph, v| {
            vec![graph.map_to(v, &(x(0).exp() * Expr::column() + Expr::batch()), &Shape::batch(&[4, 3]))]
        }),
        case("pointwise with choices", &[image.clone(), image.clone()], |graph, v| {
            let chosen = x(0).less(x(1)).select(x(0) * 3.0, x(1).square());
            vec![graph.map(v, &(x(0).max(x(1) * 2.0) + chosen + x(0).min(0.1) + (x(1) - 0.05).abs()))]
        }),
        case("pointwise with random numbers", std::slice::from_ref(&image), |graph, v| {
            let clock = graph.clock("clock");
            let noise = graph.normal(clock, "noise", Shape::batch(&[4, 3]));
            let time = graph.uniform(clock, "time", Shape::batch(&[1, 1]));
            let draw = RandomDraw {
                clock: 1,
                stream: random::stream("z"),
                distribution: Distribution::Normal,
                per_sample: true,
            };
            let inside = graph.map(&[v[0], clock], &(x(0) * Expr::new(Term::Random(draw))));
            vec![graph.map(&[v[0], noise, time, inside], &((x(0) * x(1)).tanh() + x(2) * x(3)))]
        }),
        case("product Nn", &[image.clone(), Shape::fixed(&[3, 5])], |graph, v| {
            vec![graph.matmul(Layout::Nn, v[0], v[1])]
        }),
        case("product Nt", &[image.clone(), Shape::fixed(&[5, 3])], |graph, v| {
            vec![graph.matmul(Layout::Nt, v[0], v[1])]
        }),
        case("product Tn", &[image.clone(), Shape::batch(&[4, 2])], |graph, v| {
            vec![graph.matmul(Layout::Tn, v[0], v[1])]
        }),
        case("product with itself", &[Shape::fixed(&[3, 3])], |graph, v| {
            let square = graph.matmul(Layout::Nn, v[0], v[0]);
            vec![graph.matmul(Layout::Nt, square, v[0]), graph.matmul(Layout::Tn, v[0], square)]
        }),
        case("convolution", &[Shape::batch(&[3, 4, 2]), Shape::fixed(&[3, 2, 2, 3])], |graph, v| {
            let uneven = Padding { top: 1, bottom: 0, left: 0, right: 2 };
            vec![
                graph.conv2d(v[0], v[1], 1, Padding::all(1)),
                graph.conv2d(v[0], v[1], 2, uneven),
                graph.conv2d_upsampled(v[0], v[1], uneven),
            ]
        }),
        case("1 x 1 convolution", &[Shape::batch(&[3, 2, 2]), Shape::fixed(&[1, 1, 2, 3])], |graph, v| {
            vec![graph.conv2d(v[0], v[1], 1, Padding::default()), graph.conv2d(v[0], v[1], 2, Padding::default())]
        }),
        case("data gradient", &[Shape::batch(&[2, 2, 3]), Shape::fixed(&[3, 3, 2, 3])], |graph, v| {
            let padding = Padding { top: 0, bottom: 1, left: 1, right: 0 };
            let geometry = Geometry { input: [4, 4], kernel: [3, 3], stride: 2, padding, upsample: 1 };
            vec![graph.conv(ConvLayout::DataGradient, geometry, v[0], v[1])]
        }),
        case("weight gradient", &[Shape::batch(&[3, 2, 2]), Shape::batch(&[3, 2, 1])], |graph, v| {
            let geometry = Geometry { input: [3, 2], kernel: [3, 3], stride: 1, padding: Padding::all(1), upsample: 1 };
            vec![graph.conv(ConvLayout::WeightGradient, geometry, v[0], v[1])]
        }),
        case("weight gradient after up-sampling", &[Shape::batch(&[2, 1, 2]), Shape::batch(&[4, 2, 1])], |graph, v| {
            let geometry = Geometry { input: [2, 1], kernel: [3, 3], stride: 1, padding: Padding::all(1), upsample: 2 };
            vec![graph.conv(ConvLayout::WeightGradient, geometry, v[0], v[1])]
        }),
        case("products of many matrices", &[Shape::batch(&[2, 4, 3]), Shape::batch(&[2, 3, 4])], |graph, v| {
            vec![
                graph.batch_matmul(Layout::Nn, v[0], v[1]),
                graph.batch_matmul(Layout::Nt, v[0], v[0]),
                graph.batch_matmul(Layout::Tn, v[1], v[1]),
            ]
        }),
        case("products with the batch inside", &[square.with_leading(2), Shape::fixed(&[3, 2])], |graph, v| {
            let pillars = graph.reshape(v[0], Shape::batch(&[3, 1]).with_leading(2));
            let wide = graph.map_to(&[v[1]], &x(0).cos(), &Shape::batch(&[3, 2]).with_leading(2));
            vec![graph.batch_matmul(Layout::Tn, pillars, wide)]
        }),
        case("permutations", &[Shape::batch(&[2, 4, 3])], |graph, v| {
            vec![graph.permute(v[0], &[0, 2, 1, 3]), graph.permute(v[0], &[3, 1, 0, 2])]
        }),
        case("dropout", std::slice::from_ref(&image), |graph, v| {
            let clock = graph.clock("clock");
            vec![nn::dropout(graph, v[0], Some(clock), "mask", 0.4)]
        }),
        case("group norm", &[Shape::batch(&[2, 2, 6]), Shape::fixed(&[6]), Shape::batch(&[6])], |graph, v| {
            vec![
                nn::group_norm(graph, v[0], [v[1], v[2]], 3, 1e-3, &x(0).silu()),
                nn::group_norm(graph, v[2], [v[2], v[1]], 2, 1e-2, &x(0)),
            ]
        }),
        case("attention", &[Shape::batch(&[2, 2, 4]), Shape::batch(&[3, 4]), Shape::batch(&[3, 4])], |graph, v| {
            vec![nn::attention(graph, [v[0], v[1], v[2]], 2), nn::attention(graph, [v[1], v[2], v[1]], 1)]
        }),
        case("sums", std::slice::from_ref(&image), |graph, v| {
            vec![
                graph.sum(v[0], &[2]),
                graph.sum(v[0], &[0]),
                graph.sum(v[0], &[0, 2]),
                graph.sum(v[0], &[1]),
                graph.sum_all(v[0]),
            ]
        }),
        case("maxima", std::slice::from_ref(&image), |graph, v| {
            vec![graph.reduce(Reduction::Max, v[0], &[2]), graph.reduce(Reduction::Max, v[0], &[0, 1])]
        }),
        case("reshape", std::slice::from_ref(&image), |graph, v| vec![graph.reshape(v[0], Shape::batch(&[12]))]),
        case("slices", &[image.clone(), Shape::fixed(&[6, 2])], |graph, v| {
            vec![
                graph.slice(v[0], 1, 0, 2),
                graph.slice(v[0], 1, 1, 2),
                graph.slice(v[0], 2, 2, 1),
                graph.slice(v[1], 0, 2, 3),
                graph.slice(v[1], 0, 5, 1),
            ]
        }),
        case("concat", &[image.clone(), Shape::batch(&[1, 3]), Shape::batch(&[4, 2])], |graph, v| {
            vec![graph.concat(&[v[0], v[1], v[0]], 1), graph.concat(&[v[2], v[0]], 2)]
        }),
        case("pack", &[Shape::fixed(&[2, 3]), Shape::fixed(&[5])], |graph, v| {
            graph.parameter("weight", &[2, 3], Initial::Zeros);
            graph.parameter("bias", &[5], Initial::Zeros);
            vec![graph.pack(v)]
        }),
        case("gather", &[Shape::batch(&[4])], |graph, v| {
            let clock = graph.clock("clock");
            let data = graph.state("data", TensorType::f32(Shape::fixed(&[11, 4])));
            let rows = graph.gather(data, clock, Storage::F32, Order::Shuffled);
            vec![graph.times(v[0], rows)]
        }),
        case("composite", &[image.clone(), Shape::fixed(&[3])], |graph, v| {
            graph.composite("softmax", v, |graph, v| {
                let biased = graph.plus(v[0], v[1]);
                let largest = graph.reduce(Reduction::Max, biased, &[2]);
                let power = graph.map(&[biased, largest], &(x(0) - x(1)).exp());
                let sum = graph.sum(power, &[2]);
                vec![graph.map(&[power, sum], &(x(0) / x(1))), sum]
            })
        }),
        case("nested composite", &[image.clone(), Shape::fixed(&[3, 3])], |graph, v| {
            graph.composite("outer", v, |graph, v| {
                let inner = graph.composite("inner", &[v[1], v[0]], |graph, v| {
                    let product = graph.matmul(Layout::Nn, v[1], v[0]);
                    vec![graph.map(&[product], &x(0).sin()), product]
                });
                let again = graph.composite("inner", &[v[1], inner[0]], |graph, v| {
                    let product = graph.matmul(Layout::Nn, v[1], v[0]);
                    vec![graph.map(&[product], &x(0).sin()), product]
                });
                vec![graph.times(inner[1], again[0])]
            })
        }),
        case("composite of values that depend on each other", &[square.clone(), square.clone()], |graph, v| {
            let sum = graph.plus(v[0], v[1]);
            graph.composite("inner", &[v[0], sum], |graph, v| vec![graph.map(v, &(x(0) * x(1).exp()))])
        }),
    ]
}

const TANGENTS: usize = 3;

/// The op between smooth pointwise functions, results named `y…`; gives its inputs `x…` and the results.
fn forward(case: &Case, graph: &mut Graph) -> (Vec<Value>, Vec<Value>) {
    let inputs: Vec<Value> =
        case.inputs.iter().enumerate().map(|(i, shape)| graph.input(&format!("x{i}"), shape.clone())).collect();
    let before: Vec<Value> = inputs.iter().map(|x_| graph.map(&[*x_], &((x(0) * 1.3).sin() + x(0) * 0.4))).collect();
    let middle = (case.build)(graph, &before);
    let after = |value: &Value| graph.map(&[*value], &((x(0) * 0.7).tanh() * 2.0 + x(0) * x(0) * 0.1));
    let results: Vec<Value> = middle.iter().map(after).collect();
    results.iter().enumerate().for_each(|(j, y)| graph.output(format!("y{j}"), *y));
    (inputs, results)
}

/// The forward part with, from cotangents `u…` and tangents `v…`, the results `g…` of vjp and `t…` of jvp.
fn with_derivatives(case: &Case) -> Graph {
    let mut graph = Graph::new();
    let (inputs, results) = forward(case, &mut graph);
    let mut cotangents = Vec::new();
    for (j, y) in results.iter().enumerate() {
        let shape = graph.shape(*y).clone();
        cotangents.push(graph.input(&format!("u{j}"), shape));
    }
    for (i, gradient) in graph.vjp(&results, &cotangents, &inputs).into_iter().enumerate() {
        assert_eq!(graph.shape(gradient), &case.inputs[i], "{}: a gradient has its input's shape", case.name);
        graph.output(format!("g{i}"), gradient);
    }
    let mut tangents = Vec::new();
    for (i, shape) in case.inputs.iter().enumerate() {
        tangents.push(graph.input(&format!("v{i}"), shape.with_leading(TANGENTS)));
    }
    for (j, tangent) in graph.jvp(&results, &inputs, &tangents).into_iter().enumerate() {
        let expected = graph.shape(results[j]).with_leading(TANGENTS);
        assert_eq!(graph.shape(tangent), &expected, "{}: tangents lie on a leading axis", case.name);
        graph.output(format!("t{j}"), tangent);
    }
    graph
}

fn world_of(graph: &Graph, batch: usize, seed: u64) -> World {
    let data = Content::Real(Numbers::new(2).many(44));
    World::new(batch).clock("clock", [3, 1, 5, 6]).state("data", data).filled(graph, seed)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// (f(x + h v) − f(x − h v)) / 2h for every result of `graph`, `move_by` being what adds h v.
fn difference(graph: &Graph, world: &World, h: f64, move_by: impl Fn(&mut World, f64)) -> BTreeMap<String, Vec<f64>> {
    let at = |h| {
        let mut world = world.clone();
        move_by(&mut world, h);
        run_naive(graph, &mut world)
    };
    let (above, below) = (at(h), at(-h));
    let slope = |(name, above): (String, Vec<f64>)| {
        let slope = above.iter().zip(&below[&name]).map(|(a, b)| (a - b) / (2.0 * h)).collect();
        (name, slope)
    };
    above.into_iter().map(slope).collect()
}

#[test]
fn gradients_and_tangents_agree_with_differences() {
    for case in cases() {
        for batch in [1, 3] {
            let name = format!("{} at batch {batch}", case.name);
            let graph = with_derivatives(&case);
            let world = world_of(&graph, batch, 31 + batch as u64);
            let found = run_naive(&graph, &mut world.clone());
            let mut plain = Graph::new();
            let (_, results) = forward(&case, &mut plain);
            // Every element of every gradient.
            for i in 0..case.inputs.len() {
                let mut numeric = Vec::new();
                for element in 0..case.inputs[i].elements(batch) {
                    let slopes = difference(&plain, &world, 1e-5, |world, h| {
                        world.inputs.get_mut(&format!("x{i}")).unwrap()[element] += h;
                    });
                    numeric.push(
                        (0..results.len())
                            .map(|j| dot(&slopes[&format!("y{j}")], &world.inputs[&format!("u{j}")]))
                            .sum(),
                    );
                }
                near(&format!("{name}: gradient {i}"), &found[&format!("g{i}")], &numeric, 1e-8);
            }
            // Every tangent.
            for k in 0..TANGENTS {
                let slopes = difference(&plain, &world, 1e-5, |world, h| {
                    for i in 0..case.inputs.len() {
                        let tangents = world.inputs[&format!("v{i}")].clone();
                        let x = world.inputs.get_mut(&format!("x{i}")).unwrap();
                        let length = x.len();
                        x.iter_mut().zip(&tangents[k * length..]).for_each(|(x, v)| *x += h * v);
                    }
                });
                for j in 0..results.len() {
                    let numeric = &slopes[&format!("y{j}")];
                    let tangent = &found[&format!("t{j}")][k * numeric.len()..(k + 1) * numeric.len()];
                    near(&format!("{name}: tangent {k} of {j}"), tangent, numeric, 1e-8);
                }
            }
        }
    }
}

#[test]
fn records_are_constants() {
    let record = case("ring", &[Shape::fixed(&[1])], |graph, v| {
        let clock = graph.clock("clock");
        let ring = graph.state("ring", TensorType::f32(Shape::fixed(&[4, 1])));
        let status = graph.state("status", TensorType::f32(Shape::fixed(&[1])));
        vec![graph.ring_push(ring, clock, status, v)]
    });
    let graph = with_derivatives(&record);
    let found = run_on::<f64>(&graph, &world_of(&graph, 1, 3), 1);
    assert!(found["y0"].iter().any(|y| *y != 0.0));
    assert!(found["g0"].iter().chain(&found["t0"]).all(|derivative| *derivative == 0.0));
}

#[test]
fn forward_and_reverse_mode_are_transposes() {
    for case in cases() {
        for batch in [1, 5] {
            let graph = with_derivatives(&case);
            let world = world_of(&graph, batch, 77);
            let found = run_on::<f64>(&graph, &world, 1);
            for k in 0..TANGENTS {
                let sum = |pairs: &str, given: &str, results: usize, leading: bool| -> f64 {
                    let mut sum = 0.0;
                    for i in 0..results {
                        let (a, b) = (&found[&format!("{pairs}{i}")], &world.inputs[&format!("{given}{i}")]);
                        let length = a.len().min(b.len());
                        let range = k * length..(k + 1) * length;
                        sum += if leading { dot(&a[range], b) } else { dot(a, &b[range]) };
                    }
                    sum
                };
                let results = found.keys().filter(|name| name.starts_with('y')).count();
                let forward = sum("t", "u", results, true);
                let reverse = sum("g", "v", case.inputs.len(), false);
                let error = (forward - reverse).abs();
                assert!(error <= 1e-12 * (1.0 + forward.abs()), "{}: {forward} against {reverse}", case.name);
            }
        }
    }
}

#[test]
fn fused_graphs_compute_what_unfused_ones_compute() {
    for case in cases() {
        let graph = with_derivatives(&case);
        for batch in [1, 4] {
            let world = world_of(&graph, batch, 13);
            let truth = run_naive(&graph, &mut world.clone());
            for operands in [4, 8, 1000] {
                let fused = run_naive(&graph.fused(operands), &mut world.clone());
                close(&format!("{} fused to {operands} operands", case.name), &fused, &truth, 1e-12);
            }
            let expanded = run_naive(&graph.expanded(), &mut world.clone());
            close(&format!("{} expanded", case.name), &expanded, &truth, 1e-12);
            close(&format!("{} in f64", case.name), &run_on::<f64>(&graph, &world, 1), &truth, 1e-12);
            close(&format!("{} in f32", case.name), &run_on::<f32>(&graph, &world, 1), &truth, 2e-5);
        }
    }
}

#[test]
fn composites_differentiate_as_their_bodies() {
    for case in cases().into_iter().filter(|case| case.name.contains("composite")) {
        let graph = with_derivatives(&case);
        let mut opened = Graph::new();
        forward(&case, &mut opened);
        let mut opened = opened.expanded();
        // The same derivatives, taken after opening.
        let results: Vec<Value> = opened.outputs().iter().map(|(_, value)| *value).collect();
        let inputs: Vec<Value> =
            (0..case.inputs.len()).map(|i| opened.input(&format!("x{i}"), case.inputs[i].clone())).collect();
        let cotangents: Vec<Value> = (0..results.len())
            .map(|j| {
                let shape = opened.shape(results[j]).clone();
                opened.input(&format!("u{j}"), shape)
            })
            .collect();
        let gradients = opened.vjp(&results, &cotangents, &inputs);
        gradients.into_iter().enumerate().for_each(|(i, gradient)| opened.output(format!("g{i}"), gradient));
        let world = world_of(&graph, 3, 5);
        let truth = run_naive(&opened, &mut world.clone());
        let found = run_naive(&graph, &mut world.clone());
        close(case.name, &found, &truth, 1e-12);
    }
}

/// A score network [batch, 2] → [batch, 2].
fn network(graph: &mut Graph, input: Value) -> Value {
    let sizes = [2, 5, 4, 2];
    let mut h = input;
    for layer in 0..3 {
        let weight = graph.parameter(&format!("weight{layer}"), &[sizes[layer], sizes[layer + 1]], Initial::Ones);
        let bias = graph.parameter(&format!("bias{layer}"), &[sizes[layer + 1]], Initial::Ones);
        let product = graph.matmul(Layout::Nn, h, weight);
        let expr = if layer < 2 { (x(0) + x(1)).silu() } else { x(0) + x(1) };
        h = graph.map(&[product, bias], &expr);
    }
    h
}

fn parameters_moved(element: usize) -> impl Fn(&mut World, f64) {
    move |world, h| {
        let Some(Content::Real(params)) = world.states.get_mut("params") else { panic!("no parameters") };
        params[element] += h;
    }
}

#[test]
fn sliced_score_matching_differentiates_in_the_parameters() {
    // Loss: sum over the batch of vᵀ ∇ₓ(vᵀ s(x)) + |s|²/2, the first term by reverse and by forward mode.
    let losses = |reverse: bool| {
        let mut graph = Graph::new();
        let input = graph.input("x", Shape::batch(&[2]));
        let v = graph.input("v", Shape::batch(&[2]));
        let score = network(&mut graph, input);
        let along = if reverse {
            graph.vjp(&[score], &[v], &[input])[0]
        } else {
            let tangent = graph.reshape(v, Shape::batch(&[2]).with_leading(1));
            let tangent = graph.jvp(&[score], &[input], &[tangent])[0];
            graph.reshape(tangent, Shape::batch(&[2]))
        };
        let each = graph.map(&[along, v, score], &(x(0) * x(1) + x(2).square() * 0.5));
        let loss = graph.sum_all(each);
        let trace = graph.times(along, v);
        let trace = graph.sum_all(trace);
        graph.output("loss", loss);
        graph.output("trace", trace);
        graph.output("score", score);
        let plain = graph.clone();
        let wrt = graph.parameter_values();
        let gradients = graph.gradient(loss, &wrt);
        let packed = graph.pack(&gradients);
        graph.output("gradient", packed);
        (plain, graph)
    };
    let (plain, reverse) = losses(true);
    let (_, forward) = losses(false);
    let world = World::new(3).filled(&plain, 8);
    let found = run_on::<f64>(&reverse, &world, 1);
    close("forward over reverse", &run_on::<f64>(&forward, &world, 1), &found, 1e-12);
    close("interpreted", &run_naive(&reverse, &mut world.clone()), &found, 1e-12);
    // The term itself: v · (s(x + hv) − s(x − hv)) / 2h.
    let v = world.inputs["v"].clone();
    let slopes = difference(&plain, &world, 1e-5, |world, h| {
        world.inputs.get_mut("x").unwrap().iter_mut().zip(&v).for_each(|(x, v)| *x += h * v);
    });
    let trace = dot(&slopes["score"], &v);
    assert!((found["trace"][0] - trace).abs() < 1e-8, "{} instead of {trace}", found["trace"][0]);
    let numeric: Vec<f64> = (0..plain.arena_elements())
        .map(|element| difference(&plain, &world, 1e-5, parameters_moved(element))["loss"][0])
        .collect();
    assert!(numeric.iter().filter(|slope| slope.abs() > 1e-3).count() > 30, "the gradient is not trivial");
    near("gradient of sliced score matching", &found["gradient"], &numeric, 1e-8);
}

#[test]
fn exact_trace_by_tangents_is_the_divergence() {
    // Both unit vectors at once; the sum of the diagonal is the divergence, whose gradient in x is a third derivative
    // of the potential.
    let mut graph = Graph::new();
    let input = graph.input("x", Shape::batch(&[2]));
    let score = network(&mut graph, input);
    let basis = graph.input("basis", Shape::fixed(&[2, 1, 2]));
    let tangents = graph.map_to(&[basis], &x(0), &Shape::batch(&[2]).with_leading(2));
    let jacobian = graph.jvp(&[score], &[input], &[tangents])[0];
    let diagonal = graph.times(jacobian, tangents);
    let divergence = graph.sum(diagonal, &[0, 2]);
    graph.output("divergence", divergence);
    graph.output("score", score);
    let plain = graph.clone();
    let total = graph.sum_all(divergence);
    let gradient = graph.gradient(total, &[input])[0];
    graph.output("gradient", gradient);
    let world = World::new(3).input("basis", vec![1.0, 0.0, 0.0, 1.0]).filled(&graph, 3);
    let found = run_on::<f64>(&graph, &world, 1);
    let mut divergence = vec![0.0; 3];
    let mut gradient = Vec::new();
    for element in 0..6 {
        let slopes = difference(&plain, &world, 1e-5, |world, h| world.inputs.get_mut("x").unwrap()[element] += h);
        divergence[element / 2] += slopes["score"][element];
        gradient.push(slopes["divergence"].iter().sum());
    }
    near("divergence", &found["divergence"], &divergence, 1e-8);
    near("its gradient", &found["gradient"], &gradient, 1e-8);
}

#[test]
fn hessian_vector_products() {
    for case in cases() {
        let mut graph = Graph::new();
        let (inputs, results) = forward(&case, &mut graph);
        let mut cotangents = Vec::new();
        for (j, y) in results.iter().enumerate() {
            let shape = graph.shape(*y).clone();
            cotangents.push(graph.input(&format!("u{j}"), shape));
        }
        let gradients = graph.vjp(&results, &cotangents, &inputs);
        gradients.iter().enumerate().for_each(|(i, gradient)| graph.output(format!("g{i}"), *gradient));
        let plain = graph.clone();
        let mut directions = Vec::new();
        for (i, shape) in case.inputs.iter().enumerate() {
            directions.push(graph.input(&format!("v{i}"), shape.clone()));
        }
        let products = graph.vjp(&gradients, &directions, &inputs);
        products.into_iter().enumerate().for_each(|(i, product)| graph.output(format!("h{i}"), product));
        let world = world_of(&graph, 2, 21);
        let found = run_naive(&graph, &mut world.clone());
        close(case.name, &run_on::<f64>(&graph, &world, 1), &found, 1e-12);
        // The Hessian is symmetric: its product with v is the change of the gradient along v.
        let slopes = difference(&plain, &world, 1e-5, |world, h| {
            for i in 0..case.inputs.len() {
                let v = world.inputs[&format!("v{i}")].clone();
                world.inputs.get_mut(&format!("x{i}")).unwrap().iter_mut().zip(&v).for_each(|(x, v)| *x += h * v);
            }
        });
        for i in 0..case.inputs.len() {
            near(&format!("{}: Hessian {i}", case.name), &found[&format!("h{i}")], &slopes[&format!("g{i}")], 1e-7);
        }
    }
}

/// A random graph of smooth ops over values of a few shapes; its scalar output is `loss`.
fn random_graph(seed: u64) -> (Graph, Vec<Value>) {
    let mut numbers = Numbers::new(seed);
    let mut graph = Graph::new();
    let clock = graph.clock("clock");
    let wrt = vec![
        graph.input("x", Shape::batch(&[3])),
        graph.input("t", Shape::batch(&[1])),
        graph.input("c", Shape::fixed(&[3])),
        graph.parameter("w", &[3, 3], Initial::Ones),
        graph.parameter("b", &[3], Initial::Ones),
    ];
    let weight = wrt[3];
    // All of shape [batch, 3] or what broadcasts to it.
    let mut pool = vec![wrt[0], wrt[1], wrt[2], wrt[4]];
    let wide = Shape::batch(&[3]);
    for number in 0..4 + numbers.below(8) {
        let (a, b) = (pool[numbers.below(pool.len())], pool[numbers.below(pool.len())]);
        let whole = graph.map_to(&[a], &(x(0) * 0.9), &wide);
        let new = match numbers.below(14) {
            0 => graph.map(&[a, b], &((x(0) * x(1)).sin() + x(0))),
            1 => graph.map(&[a, b], &(x(0).sigmoid() - x(1).softplus())),
            2 => graph.map(&[a, b], &((x(0) - x(1)).tanh() / (x(0).square() + 1.5))),
            3 => graph.pointwise(&[a, b], &[x(0) * 0.5 - x(1), (x(0) * x(1) * 0.3).exp().log1p()], None)[1],
            4 => graph.matmul(Layout::Nn, whole, weight),
            5 => graph.matmul(Layout::Nt, whole, weight),
            6 => {
                let other = graph.map_to(&[b], &x(0).cos(), &wide);
                let small = graph.matmul(Layout::Tn, whole, other);
                let scaled = graph.map(&[small], &(x(0).tanh() / Expr::batch()));
                graph.matmul(Layout::Nn, whole, scaled)
            }
            7 => graph.sum(whole, &[1]),
            8 => {
                let mean = graph.sum(whole, &[0]);
                graph.map(&[mean], &(x(0) / Expr::batch()))
            }
            9 => {
                let parts = [graph.slice(whole, 1, 2, 1), graph.slice(whole, 1, 0, 2)];
                graph.concat(&parts, 1)
            }
            10 => {
                let noise = graph.normal(clock, &format!("noise {number}"), wide.clone());
                graph.map(&[a, noise], &(x(0) + x(1) * 0.2))
            }
            11 => {
                let outputs = graph.composite("norm", &[whole], |graph, v| {
                    let squares = graph.times(v[0], v[0]);
                    let sum = graph.sum(squares, &[1]);
                    vec![graph.map(&[v[0], sum], &(x(0) / (x(1) + 0.5).sqrt()))]
                });
                outputs[0]
            }
            12 => {
                let folded = graph.reshape(whole, Shape::batch(&[3, 1]));
                let scaled = graph.map(&[folded], &(x(0) * 1.1 + Expr::batch() * 0.01));
                graph.reshape(scaled, wide.clone())
            }
            _ => graph.map_to(&[b], &(x(0).expm1() * 0.3 + Expr::column() * 0.1), &wide),
        };
        pool.push(new);
        if numbers.below(4) == 0 {
            graph.output(format!("value {number}"), new);
        }
    }
    let zero = graph.full(0.0, wide.clone());
    let sum =
        pool[4..].iter().fold(zero, |sum, value| graph.map_to(&[sum, *value], &(x(0) + (x(1) * 0.5).sin()), &wide));
    let loss = graph.sum_all(sum);
    graph.output("loss", loss);
    (graph, wrt)
}

#[test]
fn random_graphs_and_their_gradients() {
    for seed in 0..60 {
        let (plain, wrt) = random_graph(seed);
        let mut graph = plain.clone();
        let loss = graph.outputs().last().unwrap().1;
        for (i, gradient) in graph.gradient(loss, &wrt).into_iter().enumerate() {
            graph.output(format!("g{i}"), gradient);
        }
        let batch = 1 + seed as usize % 5;
        let world = World::new(batch).clock("clock", [seed as u32, 2, 3, 4]).filled(&graph, seed + 1000);
        let truth = run_naive(&graph, &mut world.clone());
        close(&format!("graph {seed} fused"), &run_naive(&graph.fused(8), &mut world.clone()), &truth, 1e-12);
        close(&format!("graph {seed} in f64"), &run_on::<f64>(&graph, &world, 1), &truth, 1e-12);
        close(&format!("graph {seed} in f32"), &run_on::<f32>(&graph, &world, 1), &truth, 5e-5);
        // The gradient along a random direction in everything at once.
        let mut numbers = Numbers::new(seed + 5);
        let names = ["x", "t", "c"];
        let directions: Vec<Vec<f64>> = names.iter().map(|name| numbers.many(world.inputs[*name].len())).collect();
        let (weight, bias) = (numbers.many(9), numbers.many(3));
        let slope = difference(&plain, &world, 1e-5, |world, h| {
            let add = |data: &mut [f64], v: &[f64]| data.iter_mut().zip(v).for_each(|(x, v)| *x += h * v);
            names.iter().zip(&directions).for_each(|(name, v)| add(world.inputs.get_mut(*name).unwrap(), v));
            let Some(Content::Real(params)) = world.states.get_mut("params") else { panic!("no parameters") };
            add(&mut params[..9], &weight);
            add(&mut params[64..67], &bias);
        })["loss"][0];
        let all = directions.iter().chain([&weight, &bias]);
        let found: f64 = all.enumerate().map(|(i, v)| dot(&truth[&format!("g{i}")], v)).sum();
        assert!((found - slope).abs() <= 1e-7 * (1.0 + slope.abs()), "graph {seed}: {found} instead of {slope}");
    }
}
