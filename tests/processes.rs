//! Every process in every sampler, on Gaussian data, whose flow and whose noised laws are known.

#[path = "common/processes.rs"]
mod processes;
#[path = "common/sampling.rs"]
mod sampling;

use processes::processes;
use sampling::{Law, exact, final_variance, run, transport};
use tweedie::cpu::Store;
use tweedie::sampler::{EulerMaruyama, Grid, OdeEuler, OdeHeun, Options, SAMPLERS, Sampler, Spacing};
use tweedie::sampler::{Noise, PredictorCorrector, obstacle, sampling_step_with};
use tweedie::sde::Sde;

/// Standard deviation of the data.
const WIDTH: f64 = 0.5;

/// The standard deviation of x_t.
fn spread(sde: &dyn Sde, t: f64) -> f64 {
    (sde.at(t).alpha * WIDTH).hypot(sde.at(t).sigma)
}

fn linear(steps: usize) -> Grid {
    Grid { steps, spacing: Spacing::Linear, denoise: false }
}

#[test]
fn the_probability_flow_keeps_gaussians_gaussian_in_every_process() {
    // x_t is x_1 in the ratio of standard deviations. Where alpha is 0 at the start, only the denoised form knows how.
    for (name, sde) in processes() {
        let sde = sde.as_ref();
        let exact = spread(sde, sde.t_min()) / spread(sde, sde.t_max());
        for (sampler, order) in [(&OdeEuler as &dyn Sampler, 1.0), (&OdeHeun, 2.0)] {
            assert_eq!(sampler.order(), Some(order as usize));
            let gain = |steps| transport(sampler, sde, &Law::gaussian(WIDTH), linear(steps), &[1.0])[0];
            let [coarse, fine] = [200, 400].map(|steps| (gain(steps) / exact - 1.0).abs());
            // There alpha goes as √(1 − t), so that the first step has an error of h^1.5.
            let stated = f64::min(order, if name == "sigmoid to the end" { 1.5 } else { 9.0 });
            let order = (coarse / fine).log2();
            assert!(fine < 0.1, "{name} {}: {coarse}, {fine}", sampler.name());
            assert!((order - stated).abs() < 0.4, "{name} {}: {coarse} {fine} order {order}", sampler.name());
        }
    }
}

#[test]
fn the_reverse_sde_ends_in_the_law_of_the_data_in_every_process() {
    for (name, sde) in processes() {
        let sde = sde.as_ref();
        let exact = spread(sde, sde.t_min()).powi(2);
        let error = |steps| {
            let end = final_variance(&EulerMaruyama, sde, WIDTH, linear(steps), sde.prior_sigma().powi(2));
            (end / exact - 1.0).abs()
        };
        let [few, coarse, fine] = [50, 200, 800].map(error);
        println!("{name}: {few:.4}, {coarse:.5}, {fine:.5}");
        assert!(few < 0.1 && fine < 0.02 && fine < 0.5 * coarse + 1e-3, "{name}: {few}, {coarse}, {fine}");
    }
}

#[test]
fn every_sampler_that_takes_a_process_ends_in_the_law_of_the_data() {
    let options = Options { churn: Some(4.0), churn_noise: Some(1.0), ..Options::default() };
    for (name, sde) in processes() {
        let sde = sde.as_ref();
        let exact = spread(sde, sde.t_min()).powi(2);
        // Spacings by the noise need some signal at the start.
        let spacing = if sde.loses_all_signal() { Spacing::Linear } else { Spacing::LogSnr };
        let grid = Grid { steps: 100, spacing, denoise: false };
        for (kind, make) in SAMPLERS {
            let sampler = make(&options);
            if sampler.order().is_none() || obstacle(sampler.as_ref(), sde, &grid).is_some() {
                println!("{name} {kind}: -");
                continue;
            }
            let end = final_variance(sampler.as_ref(), sde, WIDTH, grid, spread(sde, sde.t_max()).powi(2));
            println!("{name} {kind}: {:.5}", end / exact - 1.0);
        }
    }
}

#[test]
fn corrections_of_single_samples_leave_the_law_where_it_is() {
    for (name, sde) in processes() {
        let sde = sde.as_ref();
        let grid = linear(200);
        if obstacle(&PredictorCorrector::DEFAULT, sde, &grid).is_some() {
            println!("{name} -");
            continue;
        }
        let table = PredictorCorrector::DEFAULT.coefficients(sde, &grid);
        let law = Law::gaussian(WIDTH);
        let model = |_: &mut tweedie::graph::Graph| exact(law.mixture(), sde);
        let graph = sampling_step_with(&PredictorCorrector::DEFAULT, 1, table.len(), Noise::Drawn, model);
        let mut store = Store::new();
        law.upload(&mut store);
        let n = 2000;
        let words = |i: usize| tweedie::graph::random::words([0, 0, 7, 0], i as u32, 0, 1);
        let start: Vec<f64> = (0..n / 4)
            .flat_map(|i| tweedie::graph::random::normals_f64(words(i)))
            .map(|z| z * sde.prior_sigma())
            .collect();
        let ends = run(&graph, &PredictorCorrector::DEFAULT, &mut store, &table, &start, start.len(), |_, _| ());
        let variance = ends.iter().map(|x| x * x).sum::<f64>() / ends.len() as f64;
        println!("{name}: {:.4}", variance / spread(sde, sde.t_min()).powi(2));
    }
}
