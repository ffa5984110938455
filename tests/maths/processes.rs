//! Every process in every sampler, on Gaussian data, whose flow and whose noised laws are known.

use crate::common::processes::processes;
use crate::common::sampling::{Law, Way, exact, final_variance, run, transport};
use tweedie::cpu::Store;
use tweedie::graph::random;
use tweedie::nn::ExactMixture;
use tweedie::sampler::{Churn, Norms, PredictorCorrector, obstacle, sampling_step, stepwise_samplers};
use tweedie::sampler::{EulerMaruyama, Grid, OdeEuler, OdeHeun, Sampler, SamplerOptions, Spacing};
use tweedie::sde::{Paced, Sde, Vp};

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
            let end = final_variance(&EulerMaruyama::default(), sde, WIDTH, linear(steps), sde.prior_sigma().powi(2));
            (end / exact - 1.0).abs()
        };
        // Few steps are where a beta that grows without bound shows.
        let [few, fine] = [50, 400].map(error);
        assert!(few < 0.1 && fine < 0.02, "{name}: {few}, {fine}");
    }
}

#[test]
fn the_reverse_sde_follows_a_schedule() {
    // Half of the steps in the first fifth of time. Each is as long as the way to the next time, and not as in even times.
    let vp = Vp::default();
    let sde = Paced { process: &vp, times: vec![1e-3, 0.2, 1.0] };
    let error = |steps| {
        let end = final_variance(&EulerMaruyama::default(), &sde, WIDTH, linear(steps), 1.0);
        end / spread(&vp, vp.t_min()).powi(2) - 1.0
    };
    let [coarse, fine] = [100, 400].map(|steps| error(steps).abs());
    assert!(coarse < 0.05 && fine < 0.02, "{coarse}, {fine}");
}

#[test]
fn every_sampler_that_takes_a_process_ends_in_the_law_of_the_data() {
    let options = SamplerOptions {
        churn: Churn { churn: Some(4.0), churn_noise: Some(1.0), ..Churn::default() },
        ..SamplerOptions::default()
    };
    // Without an order, what Langevin's steps do depends on the data's norms: below, and in tests/maths/langevin.rs.
    let samplers: Vec<Box<dyn Sampler>> =
        stepwise_samplers(&options).into_iter().filter(|sampler| sampler.order().is_some()).collect();
    let mut without_signal = 0;
    for (name, sde) in processes() {
        let sde = sde.as_ref();
        let exact = spread(sde, sde.t_min()).powi(2);
        // Spacings by the noise need some signal at the start.
        let spacing = if sde.loses_all_signal() { Spacing::Linear } else { Spacing::LogSnr };
        let grid = Grid { steps: 100, spacing, denoise: false };
        for sampler in &samplers {
            if obstacle(sampler.as_ref(), sde, &grid).is_some() {
                // Runge-Kutta in the log-SNR, and in alpha itself.
                assert!(
                    sde.loses_all_signal() && ["sra1", "pndm"].contains(&sampler.name()),
                    "{name} {}",
                    sampler.name()
                );
                continue;
            }
            let end = final_variance(sampler.as_ref(), sde, WIDTH, grid, spread(sde, sde.t_max()).powi(2));
            // In even times the last steps are longer than 1 in ln(sigma / alpha).
            let most = if sampler.order() == Some(1) || sde.loses_all_signal() { 0.15 } else { 0.03 };
            assert!((end / exact - 1.0).abs() < most, "{name} {}: {end}, exactly {exact}", sampler.name());
            without_signal += usize::from(sde.loses_all_signal());
        }
    }
    assert!(without_signal > 50, "{without_signal}");
}

/// Mean square of normal data's D coordinates at the end of predictor-corrector sampling, over what it should be.
fn corrected(sde: &dyn Sde, sampler: PredictorCorrector, grid: Grid, dims: usize, count: usize) -> f64 {
    let (law, table) = (ExactMixture { components: 1, dims }, sampler.coefficients(sde, &grid));
    let graph = sampling_step(&sampler, dims, table.len(), |_| exact(law, sde));
    let mut store = Store::<f64>::new();
    for (name, values) in ExactMixture::states(&[1.0], &vec![0.0; dims], &vec![WIDTH; dims]) {
        store.upload(name, &values);
    }
    let words = |i: usize| random::words([0, 0, 7, 0], i as u32, 0, 1);
    let normals = (0..count * dims / 4).flat_map(|i| random::normals_f64(words(i)));
    let start: Vec<f64> = normals.map(|z| z * spread(sde, sde.t_max())).collect();
    let ends = run(&graph, &Way { sampler: &sampler, sde, table: &table }, &mut store, &start, count, |_, _| ());
    ends.iter().map(|x| x * x).sum::<f64>() / ends.len() as f64 / spread(sde, sde.t_min()).powi(2)
}

#[test]
fn corrections_by_norms_of_a_batch_keep_the_law_in_every_process() {
    let sampler = PredictorCorrector { norms: Norms::Batch, ..PredictorCorrector::DEFAULT };
    for (name, sde) in processes() {
        let ratio = corrected(sde.as_ref(), sampler, linear(100), 1, 2000);
        // Four standard errors are 0.13; the rest is the steps'.
        assert!((ratio - 1.0).abs() < 0.2, "{name}: {ratio}");
    }
}

#[test]
fn corrections_by_norms_of_single_samples_go_to_the_law_that_they_have() {
    // Steps in proportion to 1 / ‖g‖² keep the density p ‖g‖², whose mean square for normal data is (D + 2) / D times theirs;
    // a least norm makes that less.
    let sampler = PredictorCorrector { corrector_steps: 3, ..PredictorCorrector::DEFAULT };
    let sde = Vp { t_min: 0.2, ..Vp::default() };
    for dims in [1, 2, 4, 16, 64] {
        let grid = Grid { steps: 50, spacing: Spacing::LogSnr, denoise: false };
        let ratio = corrected(&sde, sampler, grid, dims, 8192 / dims);
        let limit = 1.0 + 2.0 / dims as f64;
        // Some 6 % more are the steps' own, as with norms of a batch.
        assert!((ratio / limit - 1.0).abs() < 0.15, "{dims}: {ratio}, in the limit {limit}");
    }
}
