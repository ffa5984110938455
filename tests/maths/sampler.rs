//! Samplers against closed forms and published values, in f64 on the CPU executor.

use crate::common::sampling::{self, Law, Way, exact, run, transport};
use tweedie::cpu::{Program, Store};
use tweedie::graph::{Expr, Graph, Shape, TensorType};
use tweedie::nn::ExactMixture;
use tweedie::sampler::{AnySampler, Guided, Inpainting, LangevinSteps, Norms, Obstacle, PredictorCorrector};
use tweedie::sampler::{Column, expand, flatten, obstacle, prior_draw, sampler, sampling_step, score_graph, states};
use tweedie::sampler::{
    Dpm2m, EulerMaruyama, Grid, OdeEuler, OdeHeun, Sampler, SamplerOptions, Spacing, adaptive_samplers,
    stepwise_samplers,
};
use tweedie::sde::{Exact, Model, RectifiedFlow, Sde, SubVp, Ve, Vp};

/// The score −(1 + delta) x, which for standard normal data under VP is exact at delta = 0.
fn wrong_score<'a>(delta: f64, sde: &'a dyn Sde) -> Box<dyn Model + 'a> {
    let factor = -(1.0 + delta);
    Box::new(Exact {
        sde,
        score: move |graph: &mut Graph, x, _, _| graph.scale(x, factor),
        denoised: move |graph: &mut Graph, x, alpha, sigma| {
            let [x_, alpha_, sigma_] = [0, 1, 2].map(Expr::input);
            graph.map(&[x, alpha, sigma], &((&x_ + sigma_.square() * (&x_ * factor)) / alpha_))
        },
    })
}

/// As in the published experiments, of which the closed forms below are.
const EULER_MARUYAMA: EulerMaruyama = EulerMaruyama { published_end: true };

/// The setting of Karras et al.: sigma itself is the variable, from 80 to 0.002 and then 0.
const KARRAS: Ve = Ve { sigma_min: 0.002, sigma_max: 80.0, t_min: 0.0 };

fn karras(steps: usize) -> Grid {
    Grid { steps, spacing: Spacing::Karras { rho: 7.0 }, denoise: true }
}

#[test]
fn the_karras_grid_is_the_published_one() {
    let published = [
        80.0, 57.586, 40.7856, 28.3746, 19.3525, 12.9101, 8.40094, 5.31519, 3.25682, 1.92334, 1.08817, 0.585348,
        0.296442, 0.139516, 0.0599473, 0.0229345, 0.00752802, 0.002,
    ];
    let times = karras(18).times(&KARRAS, 18);
    for (t, expected) in times.iter().zip(published) {
        let sigma = KARRAS.at(*t).sigma;
        assert!((sigma / expected - 1.0).abs() < 6e-6, "{sigma}, published {expected}");
    }
}

#[test]
fn grids_are_even_in_what_they_say() {
    for sde in [&Vp::default() as &dyn Sde, &KARRAS, &Ve::default()] {
        for spacing in SPACINGS {
            let times = Grid { steps: 9, spacing, denoise: true }.times(sde, 9);
            assert_eq!((times[0], times[8]), (sde.t_max(), sde.t_min()));
            let even = |t: &f64| {
                let log_ratio = sde.at(*t).noise_to_signal().ln();
                let [least, most] = [sde.t_min(), sde.t_max()].map(|t| sde.at(t).noise_to_signal().ln());
                match spacing {
                    Spacing::Linear | Spacing::EqualWork => *t,
                    Spacing::Quadratic => t.sqrt(),
                    Spacing::LogSnr => sde.at(*t).log_snr,
                    Spacing::Arsinh => (2.0 * (-0.5 * log_ratio).exp()).asinh(),
                    Spacing::Karras { rho } => (log_ratio / rho).exp(),
                    Spacing::Exponential { rho } => ((log_ratio - least) / (most - least)).max(0.0).powf(1.0 / rho),
                }
            };
            let values: Vec<f64> = times.iter().map(even).collect();
            for (i, value) in values.iter().enumerate() {
                let expected = values[0] + i as f64 / 8.0 * (values[8] - values[0]);
                let scale = values[0].abs().max(values[8].abs());
                assert!((value - expected).abs() < 1e-6 * scale, "{} {spacing:?} {i}: {value}, {expected}", sde.name());
            }
        }
    }
}

#[test]
fn the_gain_on_gaussian_data_is_the_published_one() {
    let table = [
        (9, 0.00436866132, 0.00798825011, 0.00723256947),
        (18, 0.00528789296, 0.00659530796, 0.00663925093),
        (36, 0.0057624527, 0.00632621365, 0.00633177068),
        (72, 0.00600461862, 0.00626782033, 0.00626842474),
        (144, 0.00612685286, 0.00625419654, 0.00625426633),
    ];
    for (steps, euler, heun, dpm) in table {
        for (sampler, expected) in [(&OdeEuler as &dyn Sampler, euler), (&OdeHeun, heun), (&Dpm2m, dpm)] {
            let gain = transport(sampler, &KARRAS, &Law::gaussian(0.5), karras(steps), &[80.0])[0] / 80.0;
            assert!((gain / expected - 1.0).abs() < 2e-9, "{} {steps}: {gain}, {expected}", sampler.name());
        }
    }
}

#[test]
fn a_mixture_is_transported_as_published() {
    // z, then x_0 for x = 80 z: Euler 18, Heun 18, Heun 64, Heun 256 steps, 2M 18 steps; data ½ N(±1, 0.25²).
    let table = [
        [0.01, 0.167708605, 0.362888316, 0.393456416, 0.397225282, 0.303032287],
        [0.1, 0.517987422, 0.661622103, 0.648687329, 0.648178195, 0.671114307],
        [0.3, 0.737732512, 0.842830276, 0.821220293, 0.820105916, 0.861188233],
        [0.5, 0.860301445, 0.950727263, 0.926821091, 0.925604178, 0.970461100],
        [1.0, 1.054377877, 1.146525477, 1.120349433, 1.118866525, 1.161402189],
        [2.0, 1.328801848, 1.462186044, 1.424924200, 1.422618947, 1.471945895],
    ];
    let law = Law { means: vec![1.0, -1.0], width: 0.25 };
    let start: Vec<f64> = table.iter().map(|row| 80.0 * row[0]).collect();
    let runs: [(&dyn Sampler, usize); 5] =
        [(&OdeEuler, 18), (&OdeHeun, 18), (&OdeHeun, 64), (&OdeHeun, 256), (&Dpm2m, 18)];
    for (column, (sampler, steps)) in (1..).zip(runs) {
        let ends = transport(sampler, &KARRAS, &law, karras(steps), &start);
        for (row, end) in table.iter().zip(ends) {
            assert!((end - row[column]).abs() < 2e-9, "{} {steps}, z = {}: {end}", sampler.name(), row[0]);
        }
    }
}

#[test]
fn a_mixture_is_transported_along_its_quantiles() {
    // In one dimension the flow keeps the distribution function: x_0 = F_data⁻¹(F_80(80 z)).
    let exact = [
        (0.01, 0.397520598),
        (0.1, 0.648141023),
        (0.3, 0.820033580),
        (0.5, 0.925528902),
        (1.0, 1.118780031),
        (2.0, 1.422488988),
    ];
    let law = Law { means: vec![1.0, -1.0], width: 0.25 };
    let start: Vec<f64> = exact.iter().map(|row| 80.0 * row.0).collect();
    // The last step, a denoised one, is wrong by the order of sigma_min²: 2e-5 at the usual 0.002.
    let sde = Ve { sigma_min: 2e-5, ..KARRAS };
    let coarse = transport(&OdeHeun, &sde, &law, karras(1024), &start);
    let fine = transport(&OdeHeun, &sde, &law, karras(2048), &start);
    for (i, (z, expected)) in exact.into_iter().enumerate() {
        // Richardson: the error of order 2 taken out.
        let limit = fine[i] + (fine[i] - coarse[i]) / 3.0;
        assert!((limit - expected).abs() < 3e-7, "z = {z}: {limit}, exactly {expected}");
    }
}

#[test]
fn the_denoised_end_is_the_mean_given_the_last_state() {
    let (sde, width) = (Vp::default(), 0.5);
    let noisy = Grid { steps: 20, spacing: Spacing::Linear, denoise: false };
    let clean = Grid { steps: 21, spacing: Spacing::Linear, denoise: true };
    let x = transport(&OdeEuler, &sde, &Law::gaussian(width), noisy, &[0.8])[0];
    let denoised = transport(&OdeEuler, &sde, &Law::gaussian(width), clean, &[0.8])[0];
    let at = sde.at(sde.t_min());
    let expected = at.alpha * width.powi(2) / ((at.alpha * width).powi(2) + at.sigma.powi(2)) * x;
    assert!((denoised / expected - 1.0).abs() < 1e-12, "{denoised}, {expected}");
}

/// The variance at the end of a linear stochastic sampler, from the gain of each step as the graph computes it and the
/// noise of its table.
fn final_variance(graph: &Graph, sde: &dyn Sde, store: &mut Store<f64>, table: &[Vec<f64>], mut variance: f64) -> f64 {
    let noise = EULER_MARUYAMA.columns().iter().position(|column| column.name() == "noise").unwrap();
    let mut silent = table.to_vec();
    silent.iter_mut().for_each(|row| row[noise] = 0.0);
    store.upload(states::TABLE, &expand(EULER_MARUYAMA.columns(), &silent, sde));
    let mut program = Program::new(graph, "params");
    for (step, row) in (0..).zip(table) {
        store.upload(states::X, &[1.0]);
        store.upload_words(states::CLOCK, &[step, 0, 0, 0]);
        program.run(store, &[], 1).unwrap();
        let gain = store.get(states::X).unwrap()[0];
        variance = gain * gain * variance + row[noise] * row[noise];
    }
    variance
}

#[test]
fn the_reverse_vp_variance_is_the_published_one() {
    // Data N(0, 0.25): variance of x and of x_mean after N Euler-Maruyama steps from a standard normal.
    let table =
        [(100, 0.254206, 0.253007), (500, 0.250762, 0.250522), (1000, 0.250353, 0.250233), (2000, 0.250150, 0.250090)];
    let sde = Vp::default();
    for (steps, of_x, of_mean) in table {
        for (denoise, expected) in [(false, of_x), (true, of_mean)] {
            let grid = Grid { steps, spacing: Spacing::Linear, denoise };
            let graph =
                sampling_step(&EULER_MARUYAMA, 1, steps, |_| exact(ExactMixture { components: 1, dims: 1 }, &sde));
            let mut store = Store::new();
            Law::gaussian(0.5).upload(&mut store);
            let coefficients = EULER_MARUYAMA.coefficients(&sde, &grid);
            let variance = final_variance(&graph, &sde, &mut store, &coefficients, 1.0);
            assert!((variance - expected).abs() < 6e-7, "N = {steps}, denoise {denoise}: {variance}, {expected}");
        }
    }
}

#[test]
fn reverse_vp_samples_have_that_variance() {
    let (sde, steps, count) = (Vp::default(), 100, 20_000);
    let graph = sampling_step(&EULER_MARUYAMA, 1, steps, |_| exact(ExactMixture { components: 1, dims: 1 }, &sde));
    let mut store = Store::<f32>::new();
    for (name, values) in ExactMixture::states(&[1.0], &[0.0], &[0.5]) {
        store.upload(name, &values.iter().map(|value| *value as f32).collect::<Vec<_>>());
    }
    store.upload(
        states::TABLE,
        &flatten(EULER_MARUYAMA.columns(), &EULER_MARUYAMA.coefficients(&sde, &Grid::linear(steps)), &sde, steps),
    );
    store.upload_words(states::CLOCK, &[0, 0, 3, 0]);
    Program::<f32>::new(&prior_draw(&sde, 1), "params").run(&mut store, &[], count).unwrap();
    let mut program = Program::<f32>::new(&graph, "params");
    for _ in 0..steps {
        program.run(&mut store, &[], count).unwrap();
    }
    let x = store.get(states::X).unwrap();
    let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / count as f64;
    let variance = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / count as f64 - mean * mean;
    let standard_error = 0.253007 * (2.0 / count as f64).sqrt();
    assert!((variance - 0.253007).abs() < 3.0 * standard_error, "{variance}");
    assert!(mean.abs() < 3.0 * (0.25 / count as f64).sqrt(), "{mean}");
}

#[test]
fn the_flow_suffers_more_from_score_error_than_the_reverse_process() {
    // Standard normal data under VP, score −(1 + delta) x, integrated from t = 1 to 0.
    let table = [(-0.05, 1.111098, 1.652848), (0.05, 0.909092, 0.605016)];
    let sde = Vp { t_min: 1e-8, ..Vp::default() };
    let b = 10.05f64;
    for (delta, of_sde, of_ode) in table {
        // The closed forms behind the table.
        let rate = 1.0 + 2.0 * delta;
        assert!((1.0 / rate + (1.0 - 1.0 / rate) * (-rate * b).exp() - of_sde).abs() < 1e-6);
        assert!(((-delta * b).exp() - of_ode).abs() < 1e-6);

        let variance = |steps| {
            let grid = Grid { steps, spacing: Spacing::Linear, denoise: false };
            let graph = sampling_step(&EULER_MARUYAMA, 1, steps, |_| wrong_score(delta, &sde));
            final_variance(&graph, &sde, &mut Store::new(), &EULER_MARUYAMA.coefficients(&sde, &grid), 1.0)
        };
        let limit = 2.0 * variance(2000) - variance(1000);
        assert!((limit - of_sde).abs() < 1e-4, "SDE, delta = {delta}: {limit}, {of_sde}");

        let gain = |steps| {
            let grid = Grid { steps, spacing: Spacing::Karras { rho: 7.0 }, denoise: false };
            let graph = sampling_step(&OdeHeun, 1, steps, |_| wrong_score(delta, &sde));
            let table = OdeHeun.coefficients(&sde, &grid);
            run(
                &graph,
                &Way { sampler: &OdeHeun, sde: &sde, table: &table },
                &mut Store::<f64>::new(),
                &[1.0],
                1,
                |_, _| (),
            )[0]
        };
        // Richardson: the error of order 2 taken out.
        let (coarse, fine) = (gain(400), gain(800));
        let variance = (fine + (fine - coarse) / 3.0).powi(2);
        assert!((variance - of_ode).abs() < 1e-5, "ODE, delta = {delta}: {variance}, {of_ode}");
    }
    // Known for the discrete sampler at delta = 0.1 and N = 1000.
    let sde = Vp { t_min: 1e-3, ..Vp::default() };
    let grid = Grid { steps: 1000, spacing: Spacing::Linear, denoise: false };
    let graph = sampling_step(&EULER_MARUYAMA, 1, 1000, |_| wrong_score(0.1, &sde));
    let table = EULER_MARUYAMA.coefficients(&sde, &grid);
    let variance = final_variance(&graph, &sde, &mut Store::new(), &table, 1.0);
    assert!((variance - 0.834612).abs() < 1e-6, "{variance}");
}

#[test]
fn a_sample_does_not_depend_on_its_batch() {
    let (sde, steps, dims) = (Ve::default(), 5, 3);
    let mixture = ExactMixture { components: 2, dims };
    let langevin = LangevinSteps { steps_per_level: Some(2), ..LangevinSteps::default() };
    for sampler in stepwise_samplers(&SamplerOptions { langevin, ..SamplerOptions::default() }) {
        let name = sampler.name();
        let table = sampler.coefficients(&sde, &Grid::linear(steps));
        let graph = sampling_step(sampler.as_ref(), dims, table.len(), |_| exact(mixture, &sde));
        let draw = |count: usize, base: u32| {
            let mut store = Store::<f32>::new();
            let means = [1.0, 2.0, 3.0, -1.0, 0.0, 1.0];
            for (name, values) in ExactMixture::states(&[0.3, 0.7], &means, &[0.5; 6]) {
                store.upload(name, &values.iter().map(|value| *value as f32).collect::<Vec<_>>());
            }
            store.upload(states::TABLE, &flatten(sampler.columns(), &table, &sde, table.len()));
            sampler.states().iter().for_each(|name| store.create(name, count * dims));
            store.upload_words(states::CLOCK, &[0, base, 5, 6]);
            Program::<f32>::new(&prior_draw(&sde, dims), "params").run(&mut store, &[], count).unwrap();
            let mut program = Program::<f32>::new(&graph, "params");
            for _ in &table {
                program.run(&mut store, &[], count).unwrap();
            }
            store.get(states::X).unwrap().to_vec()
        };
        let (whole, part) = (draw(8, 0), draw(3, 5));
        assert_eq!(whole[15..], part, "{name}");
        assert_ne!(whole[..9], part, "{name}");
    }
}

const SPACINGS: [Spacing; 6] = [
    Spacing::Linear,
    Spacing::Arsinh,
    Spacing::Quadratic,
    Spacing::LogSnr,
    Spacing::Karras { rho: 7.0 },
    Spacing::Exponential { rho: 1.5 },
];

#[test]
fn samplers_are_found_by_name_and_fill_their_tables() {
    for made in stepwise_samplers(&SamplerOptions::default()) {
        let name = made.name();
        let sampler = sampler(name).unwrap();
        assert_eq!(sampler.name(), name);
        for steps in [sampler.least_steps(), 7] {
            for denoise in [false, true] {
                for sde in [&Vp::default() as &dyn Sde, &Ve::default()] {
                    for spacing in SPACINGS {
                        let grid = Grid { steps, spacing, denoise };
                        let rows = sampler.coefficients(sde, &grid);
                        assert_eq!(rows.len(), sampler.rows(&grid), "{name}");
                        for row in &rows {
                            assert_eq!(row.len(), sampler.columns().len(), "{name}");
                            assert!(row.iter().all(|value| value.is_finite()), "{name} {row:?}");
                        }
                        assert_eq!((sampler.columns()[0], rows[0][0]), (Column::Time("t"), sde.t_max()), "{name}");
                        assert_eq!(obstacle(sampler.as_ref(), sde, &grid), None, "{name}");
                    }
                }
            }
        }
    }
    assert!(sampler("heun").is_none());
}

#[test]
fn grids_whose_levels_are_equal_are_an_obstacle_of_their_own() {
    let grid = |rho, steps| Grid { steps, spacing: Spacing::Exponential { rho }, denoise: true };
    for name in ["dpm++2m", "ode-euler", "euler-maruyama"] {
        let sampler = sampler(name).unwrap();
        let found = |rho, steps| obstacle(sampler.as_ref(), &Vp::default(), &grid(rho, steps));
        assert_eq!((found(5.0, 50), found(20.0, 4)), (None, None), "{name}");
        for (rho, steps) in [(20.0, 50), (100.0, 50)] {
            assert_eq!(found(rho, steps), Some(Obstacle::Levels), "{name} {rho} {steps}");
        }
    }
    // Powers beyond what numbers hold, and a process that has no signal.
    let karras = Grid { steps: 20, spacing: Spacing::Karras { rho: 0.01 }, denoise: true };
    let wide = Ve { sigma_max: 1e4, ..Ve::default() };
    assert_eq!(obstacle(&OdeEuler, &wide, &karras), Some(Obstacle::Levels));
    assert_eq!(obstacle(&OdeEuler, &RectifiedFlow::default(), &karras), Some(Obstacle::Spacing));
    let (linear, sra1) = (Grid::linear(20), sampler("sra1").unwrap());
    assert_eq!(obstacle(sra1.as_ref(), &RectifiedFlow::default(), &linear), Some(Obstacle::Sampler));
}

#[test]
fn corrections_stay_finite_in_f32_where_the_score_is_0() {
    // In the middle of two equal modes, where every sample starts and the first score is 0.
    for norms in [Norms::Sample, Norms::Batch] {
        let sampler = PredictorCorrector { norms, ..PredictorCorrector::DEFAULT };
        for sde in [&Vp::default() as &dyn Sde, &Ve::default()] {
            let (law, table) = (Law::two_modes(), sampler.coefficients(sde, &Grid::linear(50)));
            let graph = sampling_step(&sampler, 1, table.len(), |_| exact(law.mixture(), sde));
            let mut store = Store::<f32>::new();
            for (name, values) in ExactMixture::states(&[1.0; 2], &law.means, &[law.width; 2]) {
                store.upload(name, &values.iter().map(|value| *value as f32).collect::<Vec<_>>());
            }
            store.upload(states::TABLE, &flatten(sampler.columns(), &table, sde, table.len()));
            store.upload(states::X, &[0.0; 16]);
            store.upload_words(states::CLOCK, &[0, 0, 3, 0]);
            let mut program = Program::<f32>::new(&graph, "params");
            for _ in &table {
                program.run(&mut store, &[], 16).unwrap();
            }
            let x = store.get(states::X).unwrap();
            // At one of the modes, six of their widths around.
            assert!(x.iter().all(|x| x.is_finite() && (x.abs() - 1.0).abs() < 1.5), "{} {norms:?}: {x:?}", sde.name());
        }
    }
}

#[test]
fn the_prior_is_scaled_by_its_standard_deviation() {
    let draw = |sde: &dyn Sde| {
        let mut store = Store::<f64>::new();
        store.upload_words(states::CLOCK, &[0, 0, 1, 2]);
        Program::new(&prior_draw(sde, 4), "params").run(&mut store, &[], 5000).unwrap();
        store.get(states::X).unwrap().to_vec()
    };
    let (vp, ve) = (draw(&Vp::default()), draw(&Ve::default()));
    assert!(vp.iter().zip(&ve).all(|(vp, ve)| (50.0 * vp - ve).abs() < 1e-9));
    let second_moment = vp.iter().map(|x| x * x).sum::<f64>() / vp.len() as f64;
    assert!((second_moment - 1.0).abs() < 4.0 * (2.0 / vp.len() as f64).sqrt(), "{second_moment}");
}

#[test]
fn mixture_scores_are_gradients_of_the_log_density() {
    let (weights, means, widths) = ([0.2, 0.5, 0.3], [1.0, -2.0, 0.5, 0.5, -1.5, 2.0], [0.3, 0.7, 1.1, 0.2, 0.5, 0.5]);
    for sde in [&Vp::default() as &dyn Sde, &Ve::default()] {
        for t in [0.01, 0.2, 0.6] {
            let at = sde.at(t);
            let log_density = |x: [f64; 2]| {
                let component = |k: usize| {
                    (0..2).fold(weights[k], |product, d| {
                        let variance = (at.alpha * widths[2 * k + d]).powi(2) + at.sigma.powi(2);
                        let distance = x[d] - at.alpha * means[2 * k + d];
                        product * (-0.5 * distance * distance / variance).exp() / variance.sqrt()
                    })
                };
                (0..3).map(component).sum::<f64>().ln()
            };
            let graph = score_graph(2, |_| exact(ExactMixture { components: 3, dims: 2 }, sde));
            let mut program = Program::<f64>::new(&graph, "params");
            let mut store = Store::new();
            ExactMixture::states(&weights, &means, &widths)
                .iter()
                .for_each(|(name, values)| store.upload(name, values));
            let x = [0.3, -0.4, 1.2, 1.9, -0.8, 0.1];
            program.run(&mut store, &[("x", &x), ("level", &at.level())], 3).unwrap();
            for (i, point) in x.chunks(2).enumerate() {
                for d in 0..2 {
                    let moved = |h: f64| {
                        let mut point = [point[0], point[1]];
                        point[d] += h;
                        log_density(point)
                    };
                    let h = 1e-4;
                    let slope = (moved(h) - moved(-h)) / (2.0 * h);
                    let curve = (8.0 * (moved(h) - moved(-h)) - (moved(2.0 * h) - moved(-2.0 * h))) / (12.0 * h);
                    let [score, epsilon, denoised] =
                        ["score", "epsilon", "denoised"].map(|name| program.output(name)[2 * i + d]);
                    assert!((score - curve).abs() < 1e-6 * (1.0 + score.abs()), "{score}, {curve} ({slope})");
                    assert!((epsilon + at.sigma * score).abs() < 1e-12 * (1.0 + epsilon.abs()));
                    let tweedie = (x[2 * i + d] + at.sigma.powi(2) * score) / at.alpha;
                    assert!((denoised - tweedie).abs() < 1e-9, "{denoised}, {tweedie}");
                }
            }
        }
    }
}

#[test]
fn mixture_scores_are_finite_far_from_the_data() {
    let sde = Vp::default();
    let graph = score_graph(2, |_| exact(ExactMixture { components: 2, dims: 2 }, &sde));
    let mut program = Program::<f32>::new(&graph, "params");
    let mut store = Store::new();
    for (name, values) in ExactMixture::states(&[0.5, 0.5], &[1.0, 1.0, -1.0, -1.0], &[0.01; 4]) {
        store.upload(name, &values.iter().map(|value| *value as f32).collect::<Vec<_>>());
    }
    let level = sde.at(1e-3).level().map(|number| number as f32);
    program.run(&mut store, &[("x", &[300.0, -200.0, 0.0, 0.0]), ("level", &level)], 2).unwrap();
    for name in ["score", "epsilon", "denoised"] {
        assert!(program.output(name).iter().all(|value| value.is_finite()), "{name}: {:?}", program.output(name));
    }
    assert!(program.output("denoised")[2..].iter().all(|value| value.abs() < 1e-6), "between two equal components");
}

#[test]
fn guidance_extrapolates_from_no_class_to_a_class() {
    // Scores −(1 + d) x with d = 0.5 (conditional) and 0.1 (unconditional): guided by w it is −(1 + 0.1 + 0.4 w) x.
    let sde = Vp::default();
    let graph = score_graph(1, |graph| {
        let weight = graph.state("weight", TensorType::f32(Shape::fixed(&[1])));
        Box::new(Guided { with: wrong_score(0.5, &sde), without: wrong_score(0.1, &sde), weight })
    });
    let mut program = Program::<f64>::new(&graph, "params");
    for weight in [0.0, 1.0, 2.5] {
        let mut store = Store::new();
        store.upload("weight", &[weight]);
        program.run(&mut store, &[("x", &[0.7, -2.0]), ("level", &sde.at(0.4).level())], 2).unwrap();
        for (x, score) in [0.7, -2.0].iter().zip(program.output("score")) {
            assert!((score + (1.1 + 0.4 * weight) * x).abs() < 1e-12, "weight {weight}: {score} at {x}");
        }
        let sigma = sde.at(0.4).sigma;
        for (score, epsilon) in program.output("score").iter().zip(program.output("epsilon")) {
            assert!((epsilon + sigma * score).abs() < 1e-12, "all quantities agree");
        }
    }
}

#[test]
fn what_is_known_decides_what_is_drawn() {
    // Two modes at (−1, −1) and (1, 1): who knows that the first coordinate is 1 knows the second.
    let sde = Vp::default();
    let law = ExactMixture { components: 2, dims: 2 };
    let inner = EulerMaruyama::default();
    let sampler = Inpainting { sampler: &inner };
    let table = sampler.coefficients(&sde, &Grid::linear(300));
    let graph = sampling_step(&sampler, 2, table.len(), |_| exact(law, &sde));
    let n = 500;
    let mut store = Store::new();
    for (name, values) in ExactMixture::states(&[0.5, 0.5], &[-1.0, -1.0, 1.0, 1.0], &[0.2; 4]) {
        store.upload(name, &values);
    }
    store.upload(states::KNOWN, &[1.0, 77.0].repeat(n));
    store.upload(states::TABLE, &expand(sampler.columns(), &table, &sde));
    let mut program = Program::new(&graph, "params");
    let mut upper = |mask: [f64; 2]| {
        let mut random = Program::new(&prior_draw(&sde, 2), "params");
        store.upload(states::MASK, &mask);
        store.upload_words(states::CLOCK, &[0, 0, 11, 0]);
        store.upload(states::X, &vec![0.0; 2 * n]);
        random.run(&mut store, &[], n).unwrap();
        for _ in &table {
            program.run(&mut store, &[], n).unwrap();
        }
        let x = store.get(states::X).unwrap();
        x.chunks(2).filter(|x| x[1] > 0.0).count() as f64 / n as f64
    };
    // 4 standard errors; and almost all: imputation only comes near to the law given what is known.
    assert!((upper([0.0, 0.0]) - 0.5).abs() < 4.0 * 0.5 / (n as f64).sqrt());
    assert!(upper([1.0, 0.0]) > 0.97);
}

#[test]
fn what_needs_signal_is_refused_where_there_is_none_and_the_rest_works() {
    // alpha = 0 at the start. Data N(0, ¼): the law at the end, N(0, alpha² ¼ + sigma²), is known.
    let (sde, width) = (RectifiedFlow::default(), 0.5);
    let at = sde.at(sde.t_min());
    let wanted = (at.alpha * width).powi(2) + at.sigma.powi(2);
    let mut refused = Vec::new();
    for sampler in stepwise_samplers(&SamplerOptions::default()) {
        let name = sampler.name();
        for spacing in SPACINGS {
            let by_noise = !matches!(spacing, Spacing::Linear | Spacing::Arsinh | Spacing::Quadratic);
            let found = obstacle(sampler.as_ref(), &sde, &Grid { steps: 200, spacing, denoise: false });
            assert_eq!(by_noise, found == Some(Obstacle::Spacing), "{name} {spacing:?}: {found:?}");
        }
        let grid = Grid { steps: 200, spacing: Spacing::Linear, denoise: false };
        if obstacle(sampler.as_ref(), &sde, &grid).is_some() {
            refused.push(name);
            continue;
        }
        // Corrections have an error of their own, and go by norms that one coordinate does not have.
        if ["predictor-corrector", "annealed-langevin"].contains(&name) {
            continue;
        }
        let variance = sampling::final_variance(sampler.as_ref(), &sde, width, grid, 1.0);
        println!("{name}: variance {variance}, should be {wanted}");
        assert!((variance / wanted - 1.0).abs() < 0.05, "{name}: variance {variance}, should be {wanted}");
    }
    println!("refused: {refused:?}");
    // Their variable is ln s, which is infinite there.
    assert!(refused.contains(&"sra1") && refused.contains(&"pndm"), "{refused:?}");
    for sampler in adaptive_samplers(&SamplerOptions::default()) {
        let (name, sampler) = (sampler.name(), AnySampler::Adaptive(sampler));
        let found = sampler.obstacle(&sde, &Grid::linear(1));
        assert_eq!(found, (name == "adaptive-sde").then_some(Obstacle::Sampler), "{name}");
    }
}

#[test]
fn corrections_keep_the_law_under_sub_vp() {
    // Data N(0, ¼); sub-VP has noise of its own at every alpha.
    let (sde, dims, n) = (SubVp::default(), 64, 200);
    let law = ExactMixture { components: 1, dims };
    let grid = Grid { steps: 300, spacing: Spacing::Linear, denoise: true };
    for corrector_steps in [1, 2] {
        // Small corrections, whose own error is about snr². With norms of each sample their steps would depend on the sample,
        // which makes its variance larger by some 2 / D whatever snr is.
        let sampler = PredictorCorrector { snr: 0.05, corrector_steps, norms: Norms::Batch, published_end: false };
        let table = sampler.coefficients(&sde, &grid);
        let graph = sampling_step(&sampler, dims, table.len(), |_| exact(law, &sde));
        let mut store = Store::<f64>::new();
        for (name, values) in ExactMixture::states(&[1.0], &vec![0.0; dims], &vec![0.5; dims]) {
            store.upload(name, &values);
        }
        store.upload(states::TABLE, &expand(sampler.columns(), &table, &sde));
        store.upload_words(states::CLOCK, &[0, 0, 11, 0]);
        Program::new(&prior_draw(&sde, dims), "params").run(&mut store, &[], n).unwrap();
        let mut program = Program::new(&graph, "params");
        for _ in &table {
            program.run(&mut store, &[], n).unwrap();
        }
        let x = store.get(states::X).unwrap();
        let variance = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        println!("{corrector_steps} corrections: variance {variance}");
        // Four standard errors.
        assert!((variance - 0.25).abs() < 0.0125, "{corrector_steps} corrections: variance {variance}");
    }
}
