//! The score network, its first values, and the optimizer.

use tweedie::cpu::{Program, Store};
use tweedie::graph::{Expr, Graph, Initial, PARAMETER_ALIGNMENT, Shape, TensorType};
use tweedie::loss::{Batch, Denoising, Objective};
use tweedie::nn::{
    Activations, Architecture, Conditioning, LearningRate, Mlp, MlpShape, Optimizer, initial_parameters,
    sinusoidal_features,
};
use tweedie::sampler::score_graph;
use tweedie::sde::{Model, Network, Parameterisation, Sde, Ve, Vp};

const DIGITS: MlpShape = MlpShape { dims: 64, width: 128, depth: 3, embedding: 64, classes: 0 };
const SMALL: MlpShape = MlpShape { dims: 3, width: 10, depth: 2, embedding: 6, classes: 0 };

fn network<'a>(
    graph: &mut Graph,
    sde: &'a dyn Sde,
    shape: MlpShape,
    parameterisation: Parameterisation,
) -> Box<dyn Model + 'a> {
    let mlp = Mlp::new(graph, shape);
    Box::new(Network {
        sde,
        parameterisation,
        sigma_data: 0.5,
        network: move |graph: &mut Graph, x, level| mlp.forward(graph, x, level, Conditioning::default()),
    })
}

#[test]
fn the_network_has_the_parameters_that_it_should() {
    let mut graph = Graph::new();
    Mlp::new(&mut graph, DIGITS);
    let total: usize = graph.parameters().iter().map(|parameter| parameter.elements()).sum();
    // 64·128+128, 64·64+64, 3 · (2 (128·128+128) + 64·128), 128·64+64
    assert_eq!(total, 8_320 + 4_160 + 3 * 41_216 + 8_256);
    assert_eq!(total, DIGITS.parameters());
    assert_eq!(graph.parameters()[0].name, "network.input.weight");
    assert!(graph.parameters().iter().any(|parameter| parameter.name == "network.block2.time.weight"));
}

#[test]
fn a_class_is_told_and_the_null_class_is_none() {
    let shape = MlpShape { classes: 3, ..SMALL };
    let mut graph = Graph::new();
    let forward = shape.declare(&mut graph, Activations::Kept);
    let total: usize = graph.parameters().iter().map(|parameter| parameter.elements()).sum();
    // One more layer, from three classes to the six numbers of the embedding.
    assert_eq!((total, total), (SMALL.parameters() + 3 * 6 + 6, shape.parameters()));
    let x = graph.input("x", Shape::batch(&[3]));
    let level = graph.input("level", Shape::fixed(&[1]));
    let class = graph.input("class", Shape::batch(&[1]));
    let conditional = forward(&mut graph, x, level, Conditioning { class: Some(class), ..Conditioning::default() });
    let unconditional = forward(&mut graph, x, level, Conditioning::default());
    graph.output("conditional", conditional);
    graph.output("unconditional", unconditional);
    let mut store = Store::new();
    store.upload("params", &noisy_parameters(&graph));
    let mut program = Program::<f64>::new(&graph, "params");
    let x = [0.3, -0.2, 1.4].repeat(4);
    program.run(&mut store, &[("x", &x), ("level", &[0.4]), ("class", &[0.0, 1.0, 2.0, 3.0])], 4).unwrap();
    let (conditional, unconditional) = (program.output("conditional"), program.output("unconditional"));
    let differ = |a: &[f64], b: &[f64]| a.iter().zip(b).any(|(a, b)| (a - b).abs() > 1e-3);
    for (a, b) in [(0, 1), (0, 2), (1, 2), (2, 3)] {
        assert!(differ(&conditional[3 * a..3 * a + 3], &conditional[3 * b..3 * b + 3]), "classes {a} and {b} differ");
    }
    assert!(
        conditional[9..].iter().zip(&unconditional[9..]).all(|(a, b)| (a - b).abs() < 1e-12),
        "the null class is no class"
    );
    assert_eq!((SMALL.classes(), shape.classes()), (0, 3));
}

#[test]
fn one_level_for_all_is_that_level_for_each() {
    let mut graph = Graph::new();
    let mlp = Mlp::new(&mut graph, SMALL);
    let x = graph.input("x", Shape::batch(&[3]));
    let each = graph.input("each", Shape::batch(&[1]));
    let all = graph.input("all", Shape::fixed(&[1]));
    let (a, b) = (
        mlp.forward(&mut graph, x, each, Conditioning::default()),
        mlp.forward(&mut graph, x, all, Conditioning::default()),
    );
    assert_eq!(graph.shape(a), &Shape::batch(&[3]));
    graph.output("a", a);
    graph.output("b", b);
    let mut store = Store::new();
    store.upload("params", &noisy_parameters(&graph));
    let mut program = Program::<f64>::new(&graph, "params");
    let x = [0.3, -0.2, 1.4, 0.5, 0.6, -0.7];
    program.run(&mut store, &[("x", &x), ("each", &[0.4, 0.4]), ("all", &[0.4])], 2).unwrap();
    let (a, b) = (program.output("a").to_vec(), program.output("b"));
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12), "{a:?} {b:?}");
    program.run(&mut store, &[("x", &x), ("each", &[0.4, 0.5]), ("all", &[0.4])], 2).unwrap();
    let (a, b) = (program.output("a"), program.output("b"));
    assert!((0..3).all(|i| (a[i] - b[i]).abs() < 1e-12) && (3..6).any(|i| (a[i] - b[i]).abs() > 1e-3));
}

/// First values with noise on all of them, so that nothing is zero.
fn noisy_parameters(graph: &Graph) -> Vec<f64> {
    let first = initial_parameters(graph, 1);
    (0..first.len()).map(|i| f64::from(first[i]) + 0.1 * (1.7 * i as f64).sin()).collect()
}

#[test]
fn an_untrained_network_denoises_as_for_gaussian_data() {
    // The output layer starts at 0: what is left of the preconditioned form is the best linear denoiser.
    for sde in [&Vp::default() as &dyn Sde, &Ve::default()] {
        let graph = score_graph(3, |graph| network(graph, sde, SMALL, Parameterisation::Preconditioned));
        let mut store = Store::new();
        let first: Vec<f64> = initial_parameters(&graph, 3).iter().map(|value| f64::from(*value)).collect();
        store.upload("params", &first);
        let mut program = Program::<f64>::new(&graph, "params");
        for t in [1e-3, 0.3, 1.0] {
            let x = [1.0, -2.0, 0.5];
            program.run(&mut store, &[("x", &x), ("level", &sde.at(t).level())], 1).unwrap();
            let at = sde.at(t);
            let variance = 0.25 * at.alpha.powi(2) + at.sigma.powi(2);
            for (i, x) in x.iter().enumerate() {
                assert!((program.output("denoised")[i] - at.alpha * 0.25 / variance * x).abs() < 1e-12);
                assert!((program.output("score")[i] + x / variance).abs() < 1e-9 / variance);
            }
        }
    }
}

#[test]
fn features_are_sines_and_cosines_of_the_level() {
    let mut graph = Graph::new();
    let level = graph.input("level", Shape::batch(&[1]));
    let features = sinusoidal_features(&mut graph, level, 6);
    graph.output("features", features);
    let mut program = Program::<f64>::new(&graph, "params");
    program.run(&mut Store::new(), &[("level", &[0.7, -1.1])], 2).unwrap();
    // Three frequencies in geometric progression from ½ to 16.
    let frequencies = [0.5, 0.5 * 32f64.sqrt(), 16.0];
    for (row, level) in program.output("features").chunks(6).zip([0.7, -1.1]) {
        for (k, frequency) in frequencies.iter().enumerate() {
            assert!((row[k] - (level * frequency).sin()).abs() < 1e-12);
            assert!((row[k + 3] - (level * frequency).cos()).abs() < 1e-12);
        }
    }
}

#[test]
fn first_values_follow_their_laws_and_their_seed() {
    let mut graph = Graph::new();
    let sizes = [("zeros", Initial::Zeros), ("ones", Initial::Ones), ("u", Initial::Uniform(0.5))];
    for (name, initial) in sizes {
        graph.parameter(name, &[10_001], initial);
    }
    graph.parameter("normal", &[10_001], Initial::Normal(0.1));
    let values = initial_parameters(&graph, 42);
    assert_eq!(values.len(), graph.arena_elements());
    assert_eq!(values, initial_parameters(&graph, 42));
    let of = |index: usize| {
        let parameter = &graph.parameters()[index];
        assert_eq!(parameter.offset % PARAMETER_ALIGNMENT, 0);
        &values[parameter.offset..parameter.offset + parameter.elements()]
    };
    assert!(of(0).iter().all(|value| *value == 0.0) && of(1).iter().all(|value| *value == 1.0));
    let moments = |values: &[f32]| {
        let n = values.len() as f64;
        let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / n;
        (mean, values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / n)
    };
    let (mean, square) = moments(of(2));
    assert!(mean.abs() < 4.0 * 0.5 / 30_003f64.sqrt() && (square - 1.0 / 12.0).abs() < 0.004, "{mean} {square}");
    assert!(of(2).iter().all(|value| value.abs() <= 0.5));
    let (mean, square) = moments(of(3));
    assert!(
        mean.abs() < 4.0 * 0.001 && (square / 0.01 - 1.0).abs() < 4.0 * (2.0 / 10_001f64).sqrt(),
        "{mean} {square}"
    );
    let padding = graph.parameters()[1].offset - 10_001;
    assert!(padding > 0 && values[10_001..graph.parameters()[1].offset].iter().all(|value| *value == 0.0));
    assert_ne!(values, initial_parameters(&graph, 43));

    // A parameter of the same name starts alike in another graph.
    let mut other = Graph::new();
    other.parameter("normal", &[10_001], Initial::Normal(0.1));
    assert_eq!(&initial_parameters(&other, 42)[..10_001], of(3));
}

#[test]
fn the_gradient_of_the_loss_agrees_with_differences() {
    for sde in [&Vp::default() as &dyn Sde, &Ve::default()] {
        for parameterisation in [Parameterisation::Preconditioned, Parameterisation::Denoised] {
            let mut graph = Graph::new();
            let model = network(&mut graph, sde, SMALL, parameterisation);
            let [x0, noise] = ["x0", "noise"].map(|name| graph.input(name, Shape::batch(&[3])));
            let t = graph.input("t", Shape::batch(&[1]));
            let clock = graph.clock("clock");
            let loss = Denoising::default().loss_at(&mut graph, &Batch::new(sde, model.as_ref(), x0, clock), t, noise);
            let parameters = graph.parameter_values();
            let gradients = graph.gradient(loss.mean, &parameters);
            let gradient = graph.pack(&gradients);
            graph.output("gradient", gradient);
            graph.output("loss", loss.mean);
            let mut program = Program::<f64>::new(&graph, "params");
            let base = noisy_parameters(&graph);
            let direction: Vec<f64> = (0..base.len()).map(|i| (0.7 * i as f64 + 0.3).cos()).collect();
            let x0: Vec<f64> = (0..15).map(|i| (i as f64).sin()).collect();
            let noise: Vec<f64> = (0..15).map(|i| (2.0 * i as f64).cos()).collect();
            let t = [0.1, 0.3, 0.5, 0.7, 0.9];
            let mut at = |h: f64| {
                let moved: Vec<f64> = base.iter().zip(&direction).map(|(base, d)| base + h * d).collect();
                let mut store = Store::new();
                store.upload("params", &moved);
                program.run(&mut store, &[("x0", &x0), ("noise", &noise), ("t", &t)], 5).unwrap();
                let slope: f64 = program.output("gradient").iter().zip(&direction).map(|(g, d)| g * d).sum();
                (program.output("loss")[0], slope)
            };
            let h = 1e-5;
            let slope = at(0.0).1;
            let numeric = (at(h).0 - at(-h).0) / (2.0 * h);
            assert!((slope - numeric).abs() < 1e-6 * (1.0 + slope.abs()), "{parameterisation:?}: {slope}, {numeric}");
            assert!(slope.abs() > 1e-3, "the direction says something: {slope}");
        }
    }
}

/// A parameter `w` of 3 numbers and the loss Σ cᵢ (wᵢ − targetᵢ)².
fn quadratic(optimizer: &Optimizer) -> Graph {
    let mut graph = Graph::new();
    let w = graph.parameter("w", &[3], Initial::Zeros);
    let target = graph.input("target", Shape::fixed(&[3]));
    let c = Expr::column() + 1.0;
    let error = graph.map(&[w, target], &((Expr::input(0) - Expr::input(1)).square() * c));
    let loss = graph.sum_all(error);
    let gradients = graph.gradient(loss, &[w]);
    let gradient = graph.pack(&gradients);
    let clock = graph.clock("clock");
    let status = graph.state("status", TensorType::f32(Shape::fixed(&[1])));
    let update = optimizer.update(&mut graph, gradient, loss, status, clock);
    graph.output("norm", update.gradient_norm);
    graph.output("learning_rate", update.learning_rate);
    let ticked = graph.tick(clock, update.status);
    graph.assign("clock", ticked);
    graph.assign("status", update.status);
    graph
}

#[test]
fn adam_is_the_published_algorithm() {
    let cosine = LearningRate { peak: 0.1, warmup_steps: 5, cosine_steps: Some(20) };
    let cases = [
        Optimizer { learning_rate: LearningRate::constant(0.1), clip_norm: None, ..Optimizer::default() },
        Optimizer { learning_rate: cosine, weight_decay: 0.1, clip_norm: Some(0.5), ..Optimizer::default() },
        Optimizer { learning_rate: cosine, beta1: 0.0, beta2: 0.9, ema_decay: 0.3, ..Optimizer::default() },
    ];
    for optimizer in cases {
        let graph = quadratic(&optimizer);
        let mut program = Program::<f64>::new(&graph, "params");
        let mut store = Store::new();
        let (mut w, target) = ([0.5, -0.3, 0.8], [1.0, 2.0, -1.0]);
        let arena: Vec<f64> = w.iter().copied().chain(std::iter::repeat_n(0.0, 61)).collect();
        store.upload("params", &arena);
        store.upload("ema", &arena);
        store.upload_words("clock", &[0; 4]);
        let (mut m, mut v, mut ema) = ([0.0; 3], [0.0; 3], w);
        for n in 1..=25 {
            program.run(&mut store, &[("target", &target)], 1).unwrap();
            let mut g: [f64; 3] = std::array::from_fn(|i| 2.0 * (i as f64 + 1.0) * (w[i] - target[i]));
            let norm = g.iter().map(|g| g * g).sum::<f64>().sqrt();
            if let Some(clip) = optimizer.clip_norm
                && norm > clip
            {
                g = g.map(|g| g * clip / norm);
            }
            let schedule = optimizer.learning_rate;
            let mut rate = schedule.peak;
            if schedule.warmup_steps > 0 {
                rate *= (f64::from(n) / schedule.warmup_steps as f64).min(1.0);
            }
            if let Some(steps) = schedule.cosine_steps {
                let done = (f64::from(n - 1) / steps as f64).min(1.0);
                rate *= 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
            }
            let decay = optimizer.ema_decay.min((1.0 + f64::from(n)) / (10.0 + f64::from(n)));
            for i in 0..3 {
                m[i] = optimizer.beta1 * m[i] + (1.0 - optimizer.beta1) * g[i];
                v[i] = optimizer.beta2 * v[i] + (1.0 - optimizer.beta2) * g[i] * g[i];
                let mean = m[i] / (1.0 - optimizer.beta1.powi(n));
                let square = v[i] / (1.0 - optimizer.beta2.powi(n));
                w[i] -= rate * (mean / (square.sqrt() + optimizer.epsilon) + optimizer.weight_decay * w[i]);
                ema[i] = decay * ema[i] + (1.0 - decay) * w[i];
            }
            assert!((program.output("norm")[0] / norm - 1.0).abs() < 1e-12);
            assert!((program.output("learning_rate")[0] - rate).abs() < 1e-14);
            for (name, expected) in [("params", w), ("adam_m", m), ("adam_v", v), ("ema", ema)] {
                for (value, expected) in store.get(name).unwrap().iter().zip(expected) {
                    assert!((value - expected).abs() < 1e-11, "step {n}, {name}: {value}, {expected}");
                }
                assert!(store.get(name).unwrap()[3..].iter().all(|value| *value == 0.0), "padding stays 0");
            }
        }
    }
}

/// `tests/fixtures/make_adam.py` ran PyTorch's AdamW, its clipping and its schedule on the same quadratic.
#[test]
fn adam_follows_pytorch() {
    let fixture: serde_json::Value = serde_json::from_str(include_str!("../fixtures/adam.json")).unwrap();
    let list = |value: &serde_json::Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    };
    for case in fixture["cases"].as_array().unwrap() {
        let number = |key: &str| case[key].as_f64().unwrap();
        let whole = |key: &str| case[key].as_u64().unwrap();
        let learning_rate = LearningRate {
            peak: number("learning_rate"),
            warmup_steps: whole("warmup"),
            cosine_steps: (whole("cosine") > 0).then_some(whole("cosine")),
        };
        let optimizer = Optimizer {
            learning_rate,
            beta1: number("beta1"),
            beta2: number("beta2"),
            weight_decay: number("weight_decay"),
            clip_norm: (number("clip") > 0.0).then_some(number("clip")),
            ..Optimizer::default()
        };
        let mut program = Program::<f64>::new(&quadratic(&optimizer), "params");
        let mut store = Store::new();
        store.upload("params", &[0.5, -0.3, 0.8].into_iter().chain([0.0; 61]).collect::<Vec<_>>());
        store.upload_words("clock", &[0; 4]);
        // PyTorch adds 1e-6 to the norm that it divides by when it clips.
        let tolerance = if optimizer.clip_norm.is_some() { 5e-6 } else { 1e-12 };
        let near = |value: f64, expected: f64| (value - expected).abs() <= tolerance * expected.abs().max(1.0);
        let norms = list(&case["norms"]);
        for (step, expected) in case["weights"].as_array().unwrap().iter().enumerate() {
            program.run(&mut store, &[("target", &[1.0, 2.0, -1.0])], 1).unwrap();
            assert!(near(program.output("norm")[0], norms[step]), "step {step}");
            for (value, expected) in store.get("params").unwrap().iter().zip(list(expected)) {
                assert!(near(*value, expected), "step {step}: {value}, {expected}");
            }
        }
        for (name, key) in [("adam_m", "mean"), ("adam_v", "square")] {
            for (value, expected) in store.get(name).unwrap().iter().zip(list(&case[key])) {
                assert!(near(*value, expected), "{name}: {value}, {expected}");
            }
        }
    }
}

#[test]
fn the_bundle_fits_the_smallest_devices() {
    // WebGPU promises 8 storage buffers; the update reads and writes as many.
    let graph = quadratic(&Optimizer::default()).fused(8);
    let is_bundle = |types: &[TensorType]| types.len() == 4 && types[0].shape.fixed_elements() > 1;
    let widest = graph.nodes().iter().filter(|node| is_bundle(&node.types)).collect::<Vec<_>>();
    assert_eq!(widest.len(), 1, "one node writes weights, moments and average");
    assert_eq!(widest[0].inputs.len(), 8);
}
