//! Samplers against the schedulers of diffusers (tests/fixtures/make_schedulers.py says how) and the solvers of torchsde
//! (tests/fixtures/make_sde.py).
//!
//! The models of diffusers are linear in x, so that denoised is a gain times x, one for each evaluation.

use std::cell::Cell;

use crate::common::sampling;
use serde_json::Value as Json;
use tweedie::cpu::Store;
use tweedie::graph::{Expr, Graph, Shape, TensorType, Value};
use tweedie::sampler::{Ancestral, Ddim, Deis, Dpm2m, Dpm2mSde, Level, Lms, Norms, OdeEuler, OdeHeun, Pndm};
use tweedie::sampler::{EulerMaruyama, Grid, Spacing, Sra1};
use tweedie::sampler::{Noise, PredictorCorrector, ReverseDiffusion, Sampler, UniPc, sampling_step_with, states};
use tweedie::sde::{Coefficients, Model, NoiseLevel, Quantity, Ve, Vp, conversion::convert};

/// Of each row, for its first and second evaluation: gain, alpha, sigma.
type Gains = Vec<[[f64; 3]; 2]>;

/// denoised = gain x.
struct Linear {
    rows: usize,
    asked: Cell<usize>,
}

impl Model for Linear {
    fn predict(&self, graph: &mut Graph, x: Value, _: &NoiseLevel, quantity: Quantity) -> Value {
        let evaluation = self.asked.replace(self.asked.get() + 1) % 2;
        let gains = graph.state("test.gains", TensorType::f32(Shape::fixed(&[self.rows, 6])));
        let clock = graph.clock(states::CLOCK);
        let entries = [0, 1, 2].map(|i| {
            let entry = graph.table_entry(gains, clock, 3 * evaluation + i);
            graph.map_to(&[entry], &Expr::input(0), &Shape::fixed(&[1, 1]))
        });
        let [x_, gain, alpha, sigma] = [0, 1, 2, 3].map(Expr::input);
        let expr = convert(Quantity::Denoised, quantity, &(gain * &x_), &x_, &Coefficients::new(&alpha, &sigma));
        graph.map(&[x, entries[0], entries[1], entries[2]], &expr)
    }
}

/// Runs a table from `start` (`[batch, D]`); before each step x is divided by that row's entry of `divided`, if any.
fn follow(
    sampler: &dyn Sampler,
    table: &[Vec<f64>],
    gains: &Gains,
    start: &[f64],
    noise: &[Vec<f64>],
    batch: usize,
    divided: &[f64],
) -> Vec<f64> {
    let model = |_: &mut Graph| Box::new(Linear { rows: table.len(), asked: Cell::new(0) }) as Box<dyn Model>;
    let graph = sampling_step_with(sampler, start.len() / batch, table.len(), Noise::Given, model);
    let mut store = Store::<f64>::new();
    store.upload("test.gains", gains.as_flattened().as_flattened());
    // The model knows its gains by row; the levels are not asked for.
    sampling::run(
        &graph,
        &sampling::Way { sampler, sde: &Vp::default(), table },
        &mut store,
        start,
        batch,
        |step, store| {
            if let Some(divisor) = divided.get(step) {
                store.get_mut(states::X).unwrap().iter_mut().for_each(|x| *x /= divisor);
            }
            for draw in 0..sampler.draws() {
                store.upload(&states::step_noise(draw), &noise[step * sampler.draws() + draw]);
            }
        },
    )
}

fn fixture() -> Json {
    serde_json::from_str(include_str!("../fixtures/schedulers.json")).unwrap()
}

/// What the network of a test predicts.
#[derive(Clone, Copy, PartialEq)]
enum Predicts {
    Epsilon,
    Velocity,
}
use Predicts::{Epsilon, Velocity};

/// model(x, t) = x t / (t + 1) at a level.
fn gain(level: &Level, predicts: Predicts) -> f64 {
    let m = level.t / (level.t + 1.0);
    match predicts {
        Epsilon => (1.0 - level.sigma * m) / level.alpha,
        Velocity => level.alpha - level.sigma * m,
    }
}

fn gains(levels: &[Level], predicts: Predicts) -> Gains {
    let of =
        |level: &Level| if level.sigma > 0.0 { [gain(level, predicts), level.alpha, level.sigma] } else { [0.0; 3] };
    levels.windows(2).map(|pair| [of(&pair[0]), of(&pair[1])]).collect()
}

/// The discrete process with linear β: its alphas_cumprod.
fn cumulative(beta_start: f64, count: usize) -> Vec<f64> {
    let beta = |i: usize| beta_start + (0.02 - beta_start) * i as f64 / (count - 1) as f64;
    let mut product = 1.0;
    (0..count)
        .map(|i| {
            product *= 1.0 - beta(i);
            product
        })
        .collect()
}

fn preserving(cumulative: &[f64], t: f64) -> Level {
    let kept = cumulative[t as usize];
    Level::new(t, kept.sqrt(), (1.0 - kept).sqrt())
}

/// From sigma / alpha.
fn preserving_at(t: f64, s: f64) -> Level {
    let alpha = 1.0 / (1.0 + s * s).sqrt();
    Level::new(t, alpha, s * alpha)
}

/// 900, 800, …, 0 and then t = 0 again or no noise.
fn leading(cumulative: &[f64], to_one: bool) -> Vec<Level> {
    let mut levels: Vec<Level> = (0..10).rev().map(|i| preserving(cumulative, 100.0 * f64::from(i))).collect();
    levels.push(if to_one { Level::clean(0.0) } else { preserving(cumulative, 0.0) });
    levels
}

/// Ten times evenly from 999 to 0, rounded, and t = 0.
fn spread(cumulative: &[f64]) -> Vec<Level> {
    let times = [999.0, 899.0, 799.0, 699.0, 599.0, 500.0, 400.0, 300.0, 200.0, 100.0, 0.0];
    times.map(|t| preserving(cumulative, t)).into()
}

fn ratios(cumulative: &[f64]) -> Vec<f64> {
    cumulative.iter().map(|kept| ((1.0 - kept) / kept).sqrt()).collect()
}

/// Ten values of sigma / alpha evenly in their seventh root, with the times that have them.
fn karras(ratios: &[f64], most: f64, least: f64, rounded: bool) -> Vec<(f64, f64)> {
    let root = |s: f64| s.powf(1.0 / 7.0);
    let value = |i: usize| (root(most) + i as f64 / 9.0 * (root(least) - root(most))).powi(7);
    let time = |s: f64| {
        let above = ratios.partition_point(|known| *known < s).clamp(1, ratios.len() - 1);
        let [low, high] = [ratios[above - 1].ln(), ratios[above].ln()];
        let t = (above - 1) as f64 + ((s.ln() - low) / (high - low)).clamp(0.0, 1.0);
        if rounded { t.round() } else { t }
    };
    (0..10).map(value).map(|s| (time(s), s)).collect()
}

/// The last row as a solver of order 1 has it, from column `first` on.
fn lower_last(table: &mut [Vec<f64>], low: &[Vec<f64>], first: usize) {
    let (row, low) = (table.last_mut().unwrap(), low.last().unwrap());
    row[first..].copy_from_slice(&low[first..]);
}

#[test]
fn deterministic_samplers_are_those_of_diffusers() {
    let fixture = fixture();
    let mut compared = 0;
    let mut check = |name: &str, found: f64| {
        let expected = fixture["deterministic"][name].as_f64().unwrap_or_else(|| panic!("no {name}"));
        println!("{name}: {found}, diffusers {expected}");
        assert!((found / expected - 1.0).abs() < 1e-4, "{name}: {found}, diffusers {expected}");
        compared += 1;
    };
    let run = |sampler: &dyn Sampler, table: &[Vec<f64>], gains: &Gains| {
        follow(sampler, table, gains, &[1.0], &[], 1, &[])[0]
    };
    let (usual, coarse) = (cumulative(1e-4, 1000), cumulative(0.01, 1000));

    for (name, process, to_one, predicts) in [
        ("", &usual, true, Epsilon),
        (" v", &usual, true, Velocity),
        (" 0.01 one", &coarse, true, Epsilon),
        (" 0.01", &coarse, false, Epsilon),
    ] {
        let levels = leading(process, to_one);
        let ddim = Ddim { eta: 0.0 };
        check(&format!("ddim{name}"), run(&ddim, &ddim.table(&levels), &gains(&levels, predicts)));

        if predicts == Velocity {
            continue;
        }
        // PNDM's own default stops at t = 0.
        let levels = leading(process, name.ends_with("one"));
        let middles = [850.0, 750.0, 650.0].map(|t| preserving(process, t));
        let pndm = Pndm { published_end: true };
        let table = pndm.table(&levels, &middles);
        let asked: Vec<Level> = table.iter().map(|row| preserving(process, row[0])).chain([levels[10]]).collect();
        check(&format!("pndm{name}"), run(&pndm, &table, &gains(&asked, predicts)));
    }

    let of_ratios = ratios(&usual);
    let rounded: Vec<(f64, f64)> = karras(&of_ratios, of_ratios[999], of_ratios[0], true);
    let mut karras_levels: Vec<Level> = rounded.iter().map(|(t, s)| preserving_at(*t, *s)).collect();
    karras_levels.push(karras_levels[9]);
    let even = spread(&usual);
    for (name, levels, predicts) in [
        ("", &even, Epsilon),
        (" v", &even, Velocity),
        (" karras", &karras_levels, Epsilon),
        (" karras v", &karras_levels, Velocity),
    ] {
        let gains = gains(levels, predicts);
        if name != " karras" {
            check(&format!("dpm++2m{name}"), run(&Dpm2m, &Dpm2m.table(levels), &gains));
        }
        let (unipc, low) = (UniPc { order: 2 }, UniPc { order: 1 });
        let mut table = unipc.table(levels);
        lower_last(&mut table, &low.table(levels), 7);
        check(&format!("unipc{name}"), run(&unipc, &table, &gains));
        if name.starts_with(" karras") {
            continue;
        }
        let (deis, low) = (Deis { order: 2 }, Deis { order: 1 });
        let mut table = deis.table(levels);
        lower_last(&mut table, &low.table(levels), 3);
        check(&format!("deis{name}"), run(&deis, &table, &gains));
    }
    let epsilon = gains(&even, Epsilon);
    // Below fifteen steps the last but one is of order 2, the last of order 1.
    let unipc = UniPc { order: 3 };
    let mut table = unipc.table(&even);
    let [second, first] = [2, 1].map(|order| UniPc { order }.table(&even));
    table[8][7..].copy_from_slice(&second[8][7..]);
    table[9][1..7].copy_from_slice(&second[9][1..7]);
    table[9][7..].copy_from_slice(&first[9][7..]);
    check("unipc 3", run(&unipc, &table, &epsilon));
    let deis = Deis { order: 3 };
    let mut table = deis.table(&even);
    table[8] = Deis { order: 2 }.table(&even)[8].clone();
    table[9] = Deis { order: 1 }.table(&even)[9].clone();
    check("deis 3", run(&deis, &table, &epsilon));

    // Noise alone, in steps of s = sigma / alpha, where the tests divide x itself by √(1 + s²) before each step.
    let ratios = ratios(&cumulative(1e-4, 1100));
    let at = |t: f64| {
        let (low, part) = ((t.floor() as usize).min(1098), t - t.floor().min(1098.0));
        ratios[low] + part * (ratios[low + 1] - ratios[low])
    };
    let even: Vec<(f64, f64)> = (0..10).rev().map(|i| 1099.0 * f64::from(i) / 9.0).map(|t| (t, at(t))).collect();
    let karras = karras(&ratios, even[0].1, even[9].1, false);
    for (name, path) in [("", &even), (" karras", &karras)] {
        let mut levels: Vec<Level> = path.iter().map(|(t, s)| Level::new(*t, 1.0, *s)).collect();
        levels.push(Level::clean(0.0));
        let divided: Vec<f64> = path.iter().map(|(_, s)| (1.0 + s * s).sqrt()).collect();
        let mut gains = gains(&levels, Epsilon);
        // The second evaluation sees the divided x, and its epsilon is that.
        for (row, level) in levels[1..10].iter().enumerate() {
            let m = level.t / (level.t + 1.0) / (1.0 + level.sigma.powi(2)).sqrt();
            gains[row][1][0] = 1.0 - level.sigma * m;
        }
        // What Euler's and Heun's schedulers start from is √(1 + s²) there, and s for grids that end below it.
        let start = [divided[0].max(path[0].1)];
        let run =
            |sampler: &dyn Sampler, table: &[Vec<f64>]| follow(sampler, table, &gains, &start, &[], 1, &divided)[0];
        check(&format!("euler{name}"), run(&OdeEuler, &OdeEuler.table(&levels)));
        let lms = Lms { order: 4, published_end: true };
        check(&format!("lms{name}"), run(&lms, &lms.table(&levels)));
        if name.is_empty() {
            check("heun", run(&OdeHeun, &OdeHeun.table(&levels)));
        }
    }

    // Preconditioned, with t = ¼ ln sigma.
    let root = |s: f64| s.powf(1.0 / 7.0);
    let sigma = |i: usize| (root(80.0) + i as f64 / 9.0 * (root(0.002) - root(80.0))).powi(7);
    let mut levels: Vec<Level> = (0..10).map(sigma).map(|s| Level::new(0.25 * s.ln(), 1.0, s)).collect();
    levels.push(Level::clean(0.0));
    let preconditioned = |level: &Level| {
        let (s, v) = (level.sigma, 0.25 + level.sigma.powi(2));
        0.25 / v + s * 0.5 / v * level.t / (level.t + 1.0)
    };
    let gains: Gains = levels[..10].iter().map(|level| [[preconditioned(level), 1.0, level.sigma]; 2]).collect();
    let start = [80f64.hypot(1.0)];
    check("edm euler", follow(&OdeEuler, &OdeEuler.table(&levels), &gains, &start, &[], 1, &[])[0]);
    assert_eq!(compared, fixture["deterministic"].as_object().unwrap().len(), "all of the file is compared");
}

#[test]
fn stochastic_samplers_follow_diffusers_with_its_noise() {
    let numbers = |json: &Json| -> Vec<f64> { json.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect() };
    let fixture = fixture();
    for (name, case) in fixture["stochastic"].as_object().unwrap() {
        let levels: Vec<Level> =
            case["levels"].as_array().unwrap().iter().map(numbers).map(|n| Level::new(n[0], n[1], n[2])).collect();
        let gains: Gains =
            numbers(&case["gains"]).iter().zip(&levels).map(|(gain, at)| [[*gain, at.alpha, at.sigma]; 2]).collect();
        let noise: Vec<Vec<f64>> = case["noise"].as_array().unwrap().iter().map(numbers).collect();
        let corrected = PredictorCorrector { snr: 0.15, corrector_steps: 1, norms: Norms::Batch, published_end: true };
        let (sampler, table): (Box<dyn Sampler>, _) = match name.strip_suffix(" v").unwrap_or(name) {
            "ancestral" => (Box::new(Ancestral), Ancestral.table(&levels)),
            "dpm++2m-sde" => (Box::new(Dpm2mSde { eta: 1.0 }), Dpm2mSde { eta: 1.0 }.table(&levels)),
            "reverse-diffusion" => (
                Box::new(ReverseDiffusion { published_end: true }),
                ReverseDiffusion { published_end: true }.table(&levels),
            ),
            "predictor-corrector" => (Box::new(corrected), corrected.table(&levels)),
            name => {
                let eta = name.strip_prefix("ddim ").and_then(|eta| eta.parse().ok()).expect("a known sampler");
                (Box::new(Ddim { eta }), Ddim { eta }.table(&levels))
            }
        };
        let ends = follow(sampler.as_ref(), &table, &gains, &numbers(&case["start"]), &noise, 2, &[]);
        for (end, expected) in ends.iter().zip(numbers(&case["end"])) {
            assert!((end - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{name}: {end}, diffusers {expected}");
        }
    }
}

#[test]
fn reverse_sdes_follow_torchsde_along_its_brownian_paths() {
    let fixture: Json = serde_json::from_str(include_str!("../fixtures/sde.json")).unwrap();
    let numbers = |json: &Json| -> Vec<f64> { json.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect() };
    let noise = ["first", "second"]
        .map(|name| fixture[name].as_array().unwrap().iter().map(numbers).collect::<Vec<Vec<f64>>>());
    let law = sampling::Law { means: vec![1.0, -1.0], width: 0.5 };
    let start = numbers(&fixture["reverse"]["start"]);
    let [sigma_min, sigma_max] = [-1.0, 1.0].map(f64::exp);
    // Euler-Maruyama's N times are those at which its steps begin, as published: the last of 8 begins at 1/8.
    let cases: [(&str, &dyn Sampler, f64, Spacing); 2] = [
        ("euler", &EulerMaruyama { published_end: true }, 0.125, Spacing::Linear),
        ("sra1", &Sra1, 0.0, Spacing::LogSnr),
    ];
    for (name, sampler, t_min, spacing) in cases {
        let sde = Ve { sigma_min, sigma_max, t_min };
        let table = sampler.coefficients(&sde, &Grid { steps: 8, spacing, denoise: false });
        let model = |_: &mut Graph| sampling::exact(law.mixture(), &sde);
        let graph = sampling_step_with(sampler, 1, table.len(), Noise::Given, model);
        let mut store = Store::<f64>::new();
        law.upload(&mut store);
        let ends = sampling::run(
            &graph,
            &sampling::Way { sampler, sde: &sde, table: &table },
            &mut store,
            &start,
            start.len(),
            |step, store| {
                for (draw, noise) in noise.iter().take(sampler.draws()).enumerate() {
                    store.upload(&states::step_noise(draw), &noise[step]);
                }
            },
        );
        for (end, expected) in ends.iter().zip(numbers(&fixture["reverse"]["ends"][name])) {
            assert!((end - expected).abs() < 1e-9, "{name}: {end}, torchsde {expected}");
        }
    }
}
