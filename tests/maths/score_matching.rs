//! The objectives of score matching in f64: closed forms, the identities between them, PyTorch's gradients.

use serde_json::Value as Json;
use tweedie::cpu::{Program, Store};
use tweedie::data::{Mixture as Density, Width};
use tweedie::graph::{Expr, Graph, Initial, Shape, Value};
use tweedie::loss::{
    Batch, Denoising, Explicit, Field, Implicit, Matching, Noise, Objective, Projection, Projections, Reduce,
    ScoreMatching, Sliced, SlicedFd, SlicedVr, WeightingKind,
};
use tweedie::nn::{Conditioning, ExactMixture, Linear, Mlp, MlpShape};
use tweedie::sde::{Exact, Model, Network, Parameterisation, Sde, Ve, Vp};

const CLOCK: &str = "clock";

/// The score −A x with A = diag(0.7, 0.3), of N(0, diag(1, 4)) noised or not.
fn linear<'a>(sde: &'a dyn Sde) -> Box<dyn Model + 'a> {
    scored(sde, |graph, x| {
        let a = Expr::column().less(1.0).select(0.7, 0.3);
        graph.map(&[x], &-(a * Expr::input(0)))
    })
}

/// A score that is one function of x at every noise level.
fn scored<'a>(sde: &'a dyn Sde, score: impl Fn(&mut Graph, Value) -> Value + 'a) -> Box<dyn Model + 'a> {
    let score = move |graph: &mut Graph, x, _, _| score(graph, x);
    Box::new(Exact { sde, score, denoised: |_: &mut Graph, _, _, _| unreachable!("not asked for") })
}

/// A network whose output is the score, told the noise level.
fn network<'a>(graph: &mut Graph, sde: &'a dyn Sde, dims: usize) -> Box<dyn Model + 'a> {
    let mlp = Mlp::new(graph, MlpShape { dims, width: 6, depth: 1, embedding: 4, classes: 0 });
    let network = move |graph: &mut Graph, x, level| mlp.forward(graph, x, level, Conditioning::default());
    Box::new(Network { sde, parameterisation: Parameterisation::Score, sigma_data: 1.0, network })
}

/// Numbers between −1 and 1.
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..count).map(next).collect()
}

/// A store with weights of this seed, a clock, and the numbers of a mixture.
fn store(graph: &Graph, seed: u64, density: Option<&Density>) -> Store<f64> {
    let mut store = Store::new();
    store.upload("params", &numbers(graph.arena_elements(), seed));
    store.upload_words(CLOCK, &[0, 0, 5, 6]);
    if let Some(density) = density {
        let states = ExactMixture::states(density.weights(), density.means(), density.widths());
        states.iter().for_each(|(name, values)| store.upload(name, values));
    }
    store
}

/// The points at which an objective is asked, and what is known of them.
struct Points<'a> {
    dims: usize,
    x0: &'a [f64],
    /// Time and noise; `None` is data without noise.
    noisy: Option<(f64, &'a [f64])>,
    density: Option<&'a Density>,
    /// Of the weights.
    seed: u64,
}

impl Points<'_> {
    fn field<'m>(&self, graph: &mut Graph, sde: &dyn Sde, model: &'m dyn Model) -> Field<'m> {
        let x0 = graph.input("x0", Shape::batch(&[self.dims]));
        if self.noisy.is_none() {
            return Field::without_noise(graph, model, x0, &sde.at(ScoreMatching::time_without_noise(sde)));
        }
        let t = graph.input("t", Shape::batch(&[1]));
        let epsilon = graph.input("epsilon", Shape::batch(&[self.dims]));
        Field::noisy(graph, sde, model, x0, t, epsilon)
    }

    /// c² times the value of each point, `value` of the field of the model that `build` gives.
    fn values<'m>(
        &self,
        sde: &dyn Sde,
        build: impl FnOnce(&mut Graph) -> Box<dyn Model + 'm>,
        value: impl FnOnce(&mut Graph, &Field) -> Value,
    ) -> Vec<f64> {
        let mut graph = Graph::new();
        let model = build(&mut graph);
        let field = self.field(&mut graph, sde, model.as_ref());
        let values = value(&mut graph, &field);
        graph.output("values", values);
        let count = self.x0.len() / self.dims;
        let mut inputs = vec![("x0", self.x0)];
        let times = self.noisy.map(|(t, _)| vec![t; count]);
        if let (Some((_, epsilon)), Some(times)) = (&self.noisy, &times) {
            inputs.extend([("t", times.as_slice()), ("epsilon", *epsilon)]);
        }
        let mut program = Program::<f64>::new(&graph, "params");
        program.run(&mut store(&graph, self.seed, self.density), &inputs, count).unwrap();
        program.output("values").to_vec()
    }

    /// The values of an objective.
    fn of<'m>(
        &self,
        sde: &dyn Sde,
        build: impl FnOnce(&mut Graph) -> Box<dyn Model + 'm>,
        matching: &dyn Matching,
    ) -> Vec<f64> {
        self.values(sde, build, |graph, field| {
            let clock = graph.clock(CLOCK);
            matching.value(graph, field, clock)
        })
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn near(what: &str, found: f64, wanted: f64, tolerance: f64) {
    assert!((found - wanted).abs() <= tolerance * (1.0 + wanted.abs()), "{what}: {found} instead of {wanted}");
}

fn gaussian(widths: &[f64]) -> Density {
    Density::new(&[1.0], &[vec![0.0; widths.len()]], &[Width::PerAxis(widths.to_vec())]).unwrap()
}

fn explicit(density: &Density) -> Explicit {
    Explicit { density: ExactMixture { components: density.components(), dims: density.dim() } }
}

/// Of quadratics of `axes` normal numbers: the points ± 1, all combinations with equal weight, give the expectation.
fn signs(axes: usize) -> Vec<Vec<f64>> {
    (0..1 << axes).map(|i| (0..axes).map(|bit| if i >> bit & 1 == 0 { 1.0 } else { -1.0 }).collect()).collect()
}

/// Directions that are the same for the whole batch, as constants: `[k, Batch, D]`.
fn directions(graph: &mut Graph, directions: &[Vec<f64>]) -> Value {
    let dims = directions[0].len();
    let rows: Vec<Value> = directions
        .iter()
        .map(|direction| {
            let expr = (0..dims).rev().fold(Expr::constant(0.0), |rest, axis| {
                Expr::column().less(axis as f64 + 0.5).select(direction[axis], rest)
            });
            graph.map_to(&[], &expr, &Shape::batch(&[dims]).with_leading(1))
        })
        .collect();
    graph.concat(&rows, 0)
}

#[test]
fn the_closed_forms_of_a_gaussian_hold() {
    // Data N(0, diag(1, 4)), score −diag(0.7, 0.3) x, ½ and the sum over dimensions.
    let sde = Ve::default();
    let density = gaussian(&[1.0, 2.0]);
    let x0: Vec<f64> = signs(2).iter().flat_map(|s| [s[0], 2.0 * s[1]]).collect();
    let points = Points { dims: 2, x0: &x0, noisy: None, density: Some(&density), seed: 0 };
    let esm = mean(&points.of(&sde, |_| linear(&sde), &explicit(&density)));
    let ism = mean(&points.of(&sde, |_| linear(&sde), &Implicit));
    near("explicit", esm, 0.05, 1e-12);
    near("implicit", ism, -0.575, 1e-12);
    near("explicit − implicit, ½ tr Σ⁻¹", esm - ism, 0.625, 1e-12);

    // Noise of sigma 0.5, at every point ± 1 of data and noise. The objectives carry c² = sigma².
    let t = sde.t_of_sigma(0.5).unwrap();
    let all = signs(4);
    let x0: Vec<f64> = all.iter().flat_map(|s| [s[0], 2.0 * s[1]]).collect();
    let epsilon: Vec<f64> = all.iter().flat_map(|s| [s[2], s[3]]).collect();
    let points = Points { x0: &x0, noisy: Some((t, &epsilon)), ..points };
    let esm = mean(&points.of(&sde, |_| linear(&sde), &explicit(&density))) / 0.25;
    near("noised explicit", esm, 0.015_147_058_8, 1e-9);
    let ism = mean(&points.of(&sde, |_| linear(&sde), &Implicit)) / 0.25;
    // ½ tr (Σ + sigma²)⁻¹
    near("noised explicit − implicit", esm - ism, 0.5 * (1.0 / 1.25 + 1.0 / 4.25), 1e-12);
    let mut graph = Graph::new();
    let [x0_, epsilon_] = ["x0", "epsilon"].map(|name| graph.input(name, Shape::batch(&[2])));
    let t_ = graph.input("t", Shape::batch(&[1]));
    let loss = Denoising { weighting: WeightingKind::Uniform.into(), reduce: Reduce::Sum, ..Denoising::default() };
    let clock = graph.clock("clock");
    let loss = loss.loss_at(&mut graph, &Batch::new(&sde, linear(&sde).as_ref(), x0_, clock), t_, epsilon_);
    graph.output("loss", loss.mean);
    let mut program = Program::<f64>::new(&graph, "params");
    program.run(&mut Store::new(), &[("x0", &x0), ("epsilon", &epsilon), ("t", &[t; 16])], 16).unwrap();
    // ½ (d / sigma² − tr (Σ + sigma²)⁻¹)
    near("denoising − noised explicit", program.output("loss")[0] - esm, 3.482_352_941_2, 1e-10);
}

/// A grid over the plane on which sums times the cell are integrals of what decays like a Gaussian to many digits.
const CELL: f64 = 0.1;

fn grid(reach: f64) -> Vec<f64> {
    let cells = (reach / CELL) as i32;
    let axis = || (-cells..=cells).map(|i| f64::from(i) * CELL);
    axis().flat_map(|x| axis().map(move |y| [x, y])).flatten().collect()
}

#[test]
fn integration_by_parts_leaves_a_constant() {
    // A network, and data of two separate modes: E explicit − E implicit = ½ E ‖∇ log p_t‖², whatever the weights.
    let (vp, ve) = (Vp::default(), Ve { sigma_min: 0.3, sigma_max: 3.0, t_min: 0.01 });
    let widths = [Width::PerAxis(vec![0.4, 0.7]), Width::Isotropic(0.5)];
    let density = Density::new(&[0.7, 0.3], &[vec![-1.0, 0.5], vec![1.2, -0.4]], &widths).unwrap();
    let x = grid(6.0);
    let zero = vec![0.0; x.len()];
    for (sde, t) in [(&vp as &dyn Sde, None), (&vp, Some(0.2)), (&ve, Some(0.3))] {
        let (alpha, sigma) = t.map_or((1.0, 0.0), |t| (sde.at(t).alpha, sde.at(t).sigma));
        let x0: Vec<f64> = x.iter().map(|x| x / alpha).collect();
        let scale = if t.is_some() { sigma } else { 1.0 };
        let mut score = [0.0; 2];
        let weights: Vec<f64> = x.chunks(2).map(|x| CELL * CELL * density.log_density(x, alpha, sigma).exp()).collect();
        let expectation = |values: &[f64]| -> f64 { weights.iter().zip(values).map(|(p, value)| p * value).sum() };
        let squares: Vec<f64> = x
            .chunks(2)
            .map(|x| {
                density.score(x, alpha, sigma, &mut score);
                0.5 * (score[0].powi(2) + score[1].powi(2))
            })
            .collect();
        near("the density's integral", weights.iter().sum(), 1.0, 1e-9);
        let constant = expectation(&squares);
        for seed in [1, 2] {
            let points = Points { dims: 2, x0: &x0, noisy: t.map(|t| (t, &zero[..])), density: Some(&density), seed };
            let of = |matching: &dyn Matching| {
                expectation(&points.of(sde, |graph| network(graph, sde, 2), matching)) / scale.powi(2)
            };
            let (esm, ism) = (of(&explicit(&density)), of(&Implicit));
            assert!(esm > 0.1 && (esm - constant).abs() > 0.01, "a model that is neither exact nor 0: {esm}");
            near(&format!("{} at {t:?}, weights {seed}", sde.name()), esm - ism, constant, 1e-8);
        }
    }
}

#[test]
fn a_density_that_jumps_leaves_a_term_at_its_edge() {
    // Uniform on [0, 1]: ∇ log p = 0 inside, and explicit − implicit is −[s p] = s(0) − s(1), which is no constant.
    let sde = Vp::default();
    let cells = 20_000;
    let x0: Vec<f64> = (0..cells).map(|i| (f64::from(i) + 0.5) / f64::from(cells)).collect();
    let implicit = |score: &dyn Fn(&mut Graph, Value) -> Value| {
        let points = Points { dims: 1, x0: &x0, noisy: None, density: None, seed: 1 };
        mean(&points.of(&sde, |_| scored(&sde, score), &Implicit))
    };
    for (a, b) in [(0.5, -1.0), (-0.3, 2.0), (1.0, 0.0)] {
        let found = implicit(&|graph, x| graph.map_to(&[x], &(a + b * Expr::input(0)), &Shape::batch(&[1])));
        // E ½ (a + b x)² = ½ (a² + a b + b² / 3).
        let explicit = 0.5 * (a * a + a * b + b * b / 3.0);
        near("the term at the edges", explicit - found, a - (a + b), 1e-7);
    }
    // A score that is −k in a layer at the right edge: ¼ − k, and less without end.
    for k in [2.0f64, 5.0, 10.0] {
        let k2 = k * k;
        let found = implicit(&|graph, x| graph.map(&[x], &(((Expr::input(0) - 1.0) * k2).exp() * -k)));
        let expected = 0.25 * (1.0 - (-2.0 * k2).exp()) - k * (1.0 - (-k2).exp());
        near("a layer at the edge", found, expected, 1e-4);
    }
    // Half of a normal law, x > 0, where the density is √(2 / π) at the edge, and the score c − x: explicit is ½ c²,
    // implicit that less C = ½ E x² = ½, and less s(0) p(0).
    let (reach, c) = (9.0, 0.7);
    let step = reach / f64::from(cells);
    let x0: Vec<f64> = x0.iter().map(|x| x * reach).collect();
    let points = Points { dims: 1, x0: &x0, noisy: None, density: None, seed: 1 };
    let values = points.of(&sde, |_| scored(&sde, |graph, x| graph.map(&[x], &(c - Expr::input(0)))), &Implicit);
    let edge = (2.0 / std::f64::consts::PI).sqrt();
    let density = x0.iter().map(|x| edge * (-0.5 * x * x).exp() * step);
    let found: f64 = density.zip(&values).map(|(p, value)| p * value).sum();
    near("half of a normal law", 0.5 * c * c - found, 0.5 + c * edge, 1e-6);
}

#[test]
fn denoising_is_explicit_matching_of_the_noised_data_and_a_constant() {
    // One dimension, so that the integral over data and noise is one over the plane.
    let sde = Vp::default();
    let t = 0.1;
    let (alpha, sigma) = (sde.at(t).alpha, sde.at(t).sigma);
    let density =
        Density::new(&[0.4, 0.6], &[vec![-1.0], vec![0.8]], &[Width::Isotropic(0.5), Width::Isotropic(0.4)]).unwrap();
    // Far enough for the square of the noise, too.
    let plane = grid(9.0);
    let (x0, epsilon): (Vec<f64>, Vec<f64>) = plane.chunks(2).map(|pair| (pair[0], pair[1])).unzip();
    let normal = gaussian(&[1.0]);
    let weight = |pair: &[f64]| {
        CELL * CELL * (density.log_density(&pair[..1], 1.0, 0.0) + normal.log_density(&pair[1..], 1.0, 0.0)).exp()
    };
    let weights: Vec<f64> = plane.chunks(2).map(weight).collect();
    let expectation = |values: &[f64]| -> f64 { weights.iter().zip(values).map(|(p, value)| p * value).sum() };
    let mut score = [0.0];
    let squares: Vec<f64> = plane
        .chunks(2)
        .map(|pair| {
            density.score(&[alpha * pair[0] + sigma * pair[1]], alpha, sigma, &mut score);
            0.5 * score[0].powi(2)
        })
        .collect();
    let constant = 0.5 / sigma.powi(2) - expectation(&squares);
    let loss = Denoising { weighting: WeightingKind::Uniform.into(), reduce: Reduce::Sum, ..Denoising::default() };
    for seed in [1, 2] {
        let points = Points { dims: 1, x0: &x0, noisy: Some((t, &epsilon)), density: Some(&density), seed };
        let esm = expectation(&points.of(&sde, |graph| network(graph, &sde, 1), &explicit(&density))) / sigma.powi(2);
        let mut graph = Graph::new();
        let model = network(&mut graph, &sde, 1);
        let [x0_, epsilon_, t_] = ["x0", "epsilon", "t"].map(|name| graph.input(name, Shape::batch(&[1])));
        let clock = graph.clock("clock");
        let dsm = loss.loss_at(&mut graph, &Batch::new(&sde, model.as_ref(), x0_, clock), t_, epsilon_);
        graph.output("dsm", dsm.per_sample);
        let mut program = Program::<f64>::new(&graph, "params");
        let times = vec![t; x0.len()];
        let inputs = [("x0", &x0[..]), ("epsilon", &epsilon), ("t", &times)];
        program.run(&mut store(&graph, seed, None), &inputs, x0.len()).unwrap();
        let dsm = expectation(program.output("dsm"));
        assert!(esm > 0.1, "a model that is not exact: {esm}");
        near(&format!("weights {seed}"), dsm - esm, constant, 1e-8);
    }
}

/// Of random points in three dimensions, without and with noise.
fn check_points(check: impl Fn(&Points, &dyn Sde)) {
    let sde = Vp::default();
    let (x0, epsilon) = (numbers(15, 3), numbers(15, 4));
    for noisy in [None, Some((0.3, &epsilon[..]))] {
        check(&Points { dims: 3, x0: &x0, noisy, density: None, seed: 8 }, &sde);
    }
}

/// D vectors of length √D along the axes, and all vectors of coordinates ± 1: of both, the mean of v vᵀ is I.
fn isotropic(dims: usize) -> [Vec<Vec<f64>>; 2] {
    let length = (dims as f64).sqrt();
    let unit = |k: usize| (0..dims).map(|j| if j == k { length } else { 0.0 }).collect();
    [(0..dims).map(unit).collect(), signs(dims)]
}

#[test]
fn the_mean_over_directions_is_implicit_score_matching() {
    check_points(|points, sde| {
        let implicit = points.of(sde, |graph| network(graph, sde, 3), &Implicit);
        for all in isotropic(3) {
            let of = |value: &dyn Fn(&mut Graph, &Field, Value) -> Value| {
                points.values(
                    sde,
                    |graph| network(graph, sde, 3),
                    |graph, field| {
                        let v = directions(graph, &all);
                        value(graph, field, v)
                    },
                )
            };
            let sliced = of(&|graph, field, v| Sliced::along(graph, field, v));
            let vr = of(&|graph, field, v| SlicedVr::along(graph, field, v));
            let fd = |step| {
                let fd = SlicedFd { projections: Projections::default(), step };
                of(&|graph, field, v| fd.along(graph, field, v))
            };
            let (coarse, fine) = (fd(0.02), fd(0.01));
            for i in 0..implicit.len() {
                near("sliced", sliced[i], implicit[i], 1e-12);
                near("sliced-vr", vr[i], implicit[i], 1e-12);
                // The error of finite differences falls with the square of the step.
                let ratio = (coarse[i] - implicit[i]) / (fine[i] - implicit[i]);
                assert!((ratio - 4.0).abs() < 0.05, "sliced-fd: {} and {}, {ratio}", coarse[i], fine[i]);
                near("sliced-fd", fine[i], implicit[i], 1e-3);
            }
        }
    });
}

/// The symmetric M with vᵀ M v = vᵀ ∇score v + ½ (vᵀ score)² at x for the score −A x.
fn of_directions(a: [[f64; 2]; 2], x: [f64; 2], with_square: bool) -> [[f64; 2]; 2] {
    let s = a.map(|row| -(row[0] * x[0] + row[1] * x[1]));
    let square = if with_square { 0.5 } else { 0.0 };
    let entry = |i: usize, j: usize| -0.5 * (a[i][j] + a[j][i]) + square * s[i] * s[j];
    [[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]]
}

#[test]
fn estimators_have_the_variance_of_their_closed_forms() {
    let sde = Ve::default();
    let (d, n) = (2.0, 200_000);
    // Symmetric, with the published values 0, 1.16 and 0.08 at the origin; and one that is neither symmetric nor diagonal.
    for (a, x) in [([[0.7, 0.0], [0.0, 0.3]], [0.0, 0.0]), ([[0.7, 0.5], [-0.1, 0.3]], [1.5, -0.8])] {
        let model = |_: &mut Graph| {
            scored(&sde, move |graph, x| {
                let columns = [0, 1].map(|j| graph.slice(x, 1, j, 1));
                let row = |i: usize| Expr::input(0) * -a[i][0] + Expr::input(1) * -a[i][1];
                let score = Expr::column().less(0.5).select(row(0), row(1));
                graph.map_to(&columns, &score, &Shape::batch(&[2]))
            })
        };
        let x0: Vec<f64> = (0..n).flat_map(|_| x).collect();
        let points = Points { dims: 2, x0: &x0, noisy: None, density: None, seed: 0 };
        for law in Projection::ALL {
            let projections = Projections { law, count: 1 };
            let found =
                [points.of(&sde, model, &Sliced { projections }), points.of(&sde, model, &SlicedVr { projections })];
            for (values, with_square) in found.iter().zip([true, false]) {
                let m = of_directions(a, x, with_square);
                let frobenius = m.iter().flatten().map(|entry| entry * entry).sum::<f64>();
                let trace = m[0][0] + m[1][1];
                let variance = match law {
                    Projection::Gaussian => 2.0 * frobenius,
                    Projection::Rademacher => 2.0 * (m[0][1].powi(2) + m[1][0].powi(2)),
                    Projection::Sphere => 2.0 * d / (d + 2.0) * (frobenius - trace * trace / d),
                };
                if x == [0.0, 0.0] {
                    let published = match law {
                        Projection::Rademacher => 0.0,
                        Projection::Gaussian => 1.16,
                        Projection::Sphere => 0.08,
                    };
                    near("the closed form", variance, published, 1e-12);
                }
                let average = mean(values);
                let moment = |k: i32| values.iter().map(|value| (value - average).powi(k)).sum::<f64>() / n as f64;
                // Four standard errors of a sample variance.
                let slack = 4.0 * ((moment(4) - moment(2).powi(2)).max(0.0) / n as f64).sqrt() + 1e-12;
                assert!((moment(2) - variance).abs() < slack, "{law:?}, {with_square}: {} and {variance}", moment(2));
                let s = a.map(|row| -(row[0] * x[0] + row[1] * x[1]));
                let expected = -(a[0][0] + a[1][1]) + 0.5 * (s[0] * s[0] + s[1] * s[1]);
                let slack = 4.0 * (variance / n as f64).sqrt() + 1e-9;
                assert!((mean(values) - expected).abs() < slack, "{law:?}: {} and {expected}", mean(values));
            }
        }
    }
}

#[test]
fn directions_on_the_unit_sphere_are_right_for_the_plain_form_only() {
    // Data N(0, I) in three dimensions and the score −a x, whose best a is 1; directions as drawn, on the sphere of
    // radius √3, and the same divided by √3.
    let sde = Ve::default();
    let dims = 3;
    let x0: Vec<f64> = signs(dims).concat();
    let slope = |a: f64, shrink: f64, with_reduced_variance: bool| -> f64 {
        let mut graph = Graph::new();
        let a_ = graph.parameter("a", &[1], Initial::Zeros);
        let model = scored(&sde, move |graph, x| graph.map(&[x, a_], &-(Expr::input(0) * Expr::input(1))));
        let x = graph.input("x0", Shape::batch(&[dims]));
        let field = Field::without_noise(&mut graph, model.as_ref(), x, &sde.at(0.5));
        let clock = graph.clock(CLOCK);
        let v = Projections { law: Projection::Sphere, count: 50_000 }.draw(&mut graph, clock, dims);
        graph.output("v", v);
        let v = graph.scale(v, shrink);
        let values = if with_reduced_variance {
            SlicedVr::along(&mut graph, &field, v)
        } else {
            Sliced::along(&mut graph, &field, v)
        };
        let total = graph.sum_all(values);
        let gradient = graph.gradient(total, &[a_])[0];
        graph.output("slope", gradient);
        let mut store = store(&graph, 0, None);
        store.upload("params", &[vec![a], vec![0.0; graph.arena_elements() - 1]].concat());
        let mut program = Program::<f64>::new(&graph, "params");
        program.run(&mut store, &[("x0", &x0)], 1 << dims).unwrap();
        for v in program.output("v").chunks(dims) {
            near("the length of a direction", v.iter().map(|x| x * x).sum(), 3.0, 1e-12);
        }
        program.output("slope")[0] / f64::from(1 << dims)
    };
    let unit = 1.0 / 3f64.sqrt();
    // Plain: E[−a |v|² + ½ a² (vᵀx)²], the same minimum for every length of v; the (vᵀx)² are estimated.
    near("plain, rescaled", slope(1.0, 1.0, false), 0.0, 0.02);
    near("plain, unit sphere", slope(1.0, unit, false), 0.0, 0.01);
    // Reduced variance: −a |v|² + ½ a² |x|² with |v|² = 3 or 1, and |x|² = 3.
    near("reduced variance, rescaled", slope(1.0, 1.0, true), 0.0, 1e-9);
    near("reduced variance, unit sphere, at the truth", slope(1.0, unit, true), 2.0, 1e-9);
    near("reduced variance, unit sphere, where it ends", slope(1.0 / 3.0, unit, true), 0.0, 1e-9);
}

#[test]
fn the_form_with_a_gradient_of_a_projection_has_the_stated_factor_and_constant() {
    // E[(vᵀs)² + 2 vᵀ∇ₓ(vᵀs)] is twice the sliced value, and E‖s − ∇ log p‖² less E‖∇ log p‖² = tr Σ⁻¹; with unit v it is
    // 1/D of that. The gradient is taken by reverse mode here.
    let sde = Ve::default();
    let density = gaussian(&[1.0, 2.0]);
    let x0: Vec<f64> = signs(2).iter().flat_map(|s| [s[0], 2.0 * s[1]]).collect();
    let points = Points { dims: 2, x0: &x0, noisy: None, density: Some(&density), seed: 0 };
    let of = |length: f64| {
        let values = points.values(
            &sde,
            |_| linear(&sde),
            |graph, field| {
                let s = field.scaled_score(graph, field.x);
                let terms: Vec<Value> = isotropic(2)[0]
                    .iter()
                    .map(|v| {
                        let v: Vec<f64> = v.iter().map(|x| x * length).collect();
                        let v = directions(graph, &[v]);
                        let v = graph.reshape(v, Shape::batch(&[2]));
                        let projected = graph.times(s, v);
                        let projected = graph.sum(projected, &[1]);
                        let total = graph.sum_all(projected);
                        let gradient = graph.gradient(total, &[field.x])[0];
                        let along = graph.times(gradient, v);
                        let along = graph.sum(along, &[1]);
                        graph.map(&[projected, along], &(Expr::input(0).square() + Expr::input(1) * 2.0))
                    })
                    .collect();
                let sum = graph.plus(terms[0], terms[1]);
                graph.scale(sum, 0.5)
            },
        );
        mean(&values)
    };
    let distance = 2.0 * mean(&points.of(&sde, |_| linear(&sde), &explicit(&density)));
    near("E‖s − ∇ log p‖²", distance, 0.1, 1e-12);
    near("E[vvᵀ] = I", of(1.0), distance - 1.25, 1e-12);
    near("unit v", of(0.5f64.sqrt()), (distance - 1.25) / 2.0, 1e-12);
}

fn list(json: &Json, name: &str) -> Vec<f64> {
    json[name].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn values_and_gradients_are_those_of_pytorch() {
    let json: Json = serde_json::from_str(include_str!("../fixtures/sliced.json")).unwrap();
    let size = |name: &str| json[name].as_u64().unwrap() as usize;
    let (dims, hidden, batch) = (size("dims"), size("hidden"), size("batch"));
    let sde = Ve {
        sigma_min: json["sigma_min"].as_f64().unwrap(),
        sigma_max: json["sigma_max"].as_f64().unwrap(),
        t_min: 0.01,
    };
    let fd = SlicedFd { projections: Projections::default(), step: json["step"].as_f64().unwrap() };
    let inputs = ["x0", "epsilon", "t", "v"].map(|name| (name, list(&json, name)));
    for (noise, cases) in [("without noise", &json["without noise"]), ("noisy", &json["noisy"])] {
        for (name, wanted) in cases.as_object().unwrap() {
            let mut graph = Graph::new();
            let first = Linear::new(&mut graph, "first", dims, hidden);
            let second = Linear::new(&mut graph, "second", hidden, dims);
            let model = scored(&sde, move |graph, x| {
                let hidden = first.forward(graph, x);
                let hidden = graph.map(&[hidden], &Expr::input(0).silu());
                second.forward(graph, hidden)
            });
            let x0 = graph.input("x0", Shape::batch(&[dims]));
            let field = if noise == "noisy" {
                let t = graph.input("t", Shape::batch(&[1]));
                let epsilon = graph.input("epsilon", Shape::batch(&[dims]));
                Field::noisy(&mut graph, &sde, model.as_ref(), x0, t, epsilon)
            } else {
                Field::without_noise(&mut graph, model.as_ref(), x0, &sde.at(0.5))
            };
            let v = graph.input("v", Shape::batch(&[dims]).with_leading(2));
            let clock = graph.clock(CLOCK);
            let values = match name.as_str() {
                "implicit" => Implicit.value(&mut graph, &field, clock),
                "sliced" => Sliced::along(&mut graph, &field, v),
                "sliced-vr" => SlicedVr::along(&mut graph, &field, v),
                "sliced-fd" => fd.along(&mut graph, &field, v),
                other => panic!("{other} is not known"),
            };
            let total = graph.sum_all(values);
            let mean = graph.scale(total, 1.0 / batch as f64);
            let weights = graph.parameter_values();
            let gradients = graph.gradient(mean, &weights);
            let packed = graph.pack(&gradients);
            graph.output("values", values);
            graph.output("gradient", packed);
            let mut arena = vec![0.0; graph.arena_elements()];
            for parameter in graph.parameters() {
                let range = parameter.offset..parameter.offset + parameter.elements();
                arena[range].copy_from_slice(&list(&json["weights"], &parameter.name));
            }
            let mut store = store(&graph, 0, None);
            store.upload("params", &arena);
            let inputs: Vec<(&str, &[f64])> = inputs.iter().map(|(name, data)| (*name, data.as_slice())).collect();
            let mut program = Program::<f64>::new(&graph, "params");
            program.run(&mut store, &inputs, batch).unwrap();
            for (found, wanted) in program.output("values").iter().zip(list(wanted, "values")) {
                near(&format!("{name}, {noise}"), *found, wanted, 1e-12);
            }
            for parameter in graph.parameters() {
                let range = parameter.offset..parameter.offset + parameter.elements();
                let wanted = list(&wanted["gradients"], &parameter.name);
                for (found, wanted) in program.output("gradient")[range].iter().zip(wanted) {
                    near(&format!("{name}, {noise}, {}", parameter.name), *found, wanted, 1e-12);
                }
            }
        }
    }
}

#[test]
fn weightings_and_reductions_are_the_stated_factors() {
    let sde = Vp::default();
    let (x0, epsilon, t) = (numbers(12, 3), numbers(12, 4), 0.3);
    let at = sde.at(t);
    let points = Points { dims: 3, x0: &x0, noisy: Some((t, &epsilon)), density: None, seed: 8 };
    let noisy = points.of(&sde, |graph| network(graph, &sde, 3), &Implicit);
    let plain = Points { noisy: None, ..points }.of(&sde, |graph| network(graph, &sde, 3), &Implicit);
    let weightings = [
        (WeightingKind::Uniform.into(), 1.0),
        (WeightingKind::Sigma2.into(), at.sigma.powi(2)),
        (WeightingKind::Likelihood.into(), at.diffusion_squared),
    ];
    for (noise, values, unit) in [(Noise::All, &noisy, at.sigma.powi(-2)), (Noise::None, &plain, 1.0)] {
        for (weighting, lambda) in weightings {
            for (reduce, factor) in [(Reduce::Sum, 1.0), (Reduce::Mean, 2.0 / 3.0)] {
                let lambda = if noise == Noise::All { lambda } else { 1.0 };
                let objective = ScoreMatching { noise, weighting, reduce, ..ScoreMatching::new(Implicit) };
                let mut graph = Graph::new();
                let model = network(&mut graph, &sde, 3);
                let [x0_, epsilon_] = ["x0", "epsilon"].map(|name| graph.input(name, Shape::batch(&[3])));
                let t_ = graph.input("t", Shape::batch(&[1]));
                let clock = graph.clock(CLOCK);
                let loss = objective.loss_at(&mut graph, &Batch::new(&sde, model.as_ref(), x0_, clock), t_, epsilon_);
                graph.output("per_sample", loss.per_sample);
                graph.output("mean", loss.mean);
                let mut program = Program::<f64>::new(&graph, "params");
                let inputs = [("x0", &x0[..]), ("epsilon", &epsilon), ("t", &[t; 4])];
                program.run(&mut store(&graph, 8, None), &inputs, 4).unwrap();
                for (found, value) in program.output("per_sample").iter().zip(values) {
                    near(&format!("{noise:?} {weighting:?} {reduce:?}"), *found, factor * lambda * unit * value, 1e-9);
                }
                near("mean", program.output("mean")[0], factor * lambda * unit * mean(values), 1e-9);
            }
        }
    }
}

#[test]
fn directions_have_unit_covariance_and_differ_between_samples() {
    let (dims, batch, count) = (3, 20_000, 2);
    for law in Projection::ALL {
        let mut graph = Graph::new();
        let clock = graph.clock(CLOCK);
        let v = Projections { law, count }.draw(&mut graph, clock, dims);
        graph.output("v", v);
        let mut program = Program::<f64>::new(&graph, "params");
        program.run(&mut store(&graph, 0, None), &[], batch).unwrap();
        let v: Vec<&[f64]> = program.output("v").chunks(dims).collect();
        // Standard errors: 1/√n off the diagonal, at most √2/√n on it.
        let slack = 4.0 * (2.0 / (count * batch) as f64).sqrt();
        for i in 0..dims {
            for j in 0..dims {
                let moment = v.iter().map(|v| v[i] * v[j]).sum::<f64>() / v.len() as f64;
                assert!((moment - f64::from(u8::from(i == j))).abs() < slack, "{law:?} {i} {j}: {moment}");
            }
        }
        let across = (0..batch).map(|b| v[b][0] * v[batch + b][0]).sum::<f64>() / batch as f64;
        assert!(across.abs() < slack * 1.5, "{law:?}: the directions of a sample are independent, {across}");
        if law == Projection::Rademacher {
            assert!(v.iter().flat_map(|v| v.iter()).all(|x| x.abs() == 1.0));
        }
    }
}
