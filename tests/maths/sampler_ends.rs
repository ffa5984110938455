//! How samplers end: with the denoised mean at the last noise level, or with the noise of that level.

use crate::common::processes::processes;
use crate::common::sampling::{Law, Way, exact, final_variance, run, transport, transport_in};
use tweedie::cpu::Store;
use tweedie::sampler::{Churn, LangevinSteps, obstacle, sampler, sampling_step_with, states, stepwise_samplers};
use tweedie::sampler::{EulerMaruyama, Grid, Level, Noise, Sampler, SamplerOptions, Spacing};
use tweedie::sde::{Edm, RectifiedFlow, Sde, Ve, Vp};

const fn linear(steps: usize, denoise: bool) -> Grid {
    Grid { steps, spacing: Spacing::Linear, denoise }
}

/// E[x_0 | x] for N(0, width²).
fn denoised(sde: &dyn Sde, width: f64, x: f64) -> f64 {
    let at = sde.at(sde.t_min());
    at.alpha * width * width / ((at.alpha * width).powi(2) + at.sigma.powi(2)) * x
}

/// Where a sampler without any noise takes 0.8.
fn end(sampler: &dyn Sampler, sde: &dyn Sde, width: f64, grid: Grid) -> f64 {
    let (law, table) = (Law::gaussian(width), sampler.coefficients(sde, &grid));
    let graph = sampling_step_with(sampler, 1, table.len(), Noise::Given, |_| exact(law.mixture(), sde));
    let mut store = Store::<f64>::new();
    law.upload(&mut store);
    (0..sampler.draws()).for_each(|draw| store.upload(&states::step_noise(draw), &[0.0]));
    run(&graph, &Way { sampler, sde, table: &table }, &mut store, &[0.8], 1, |_, _| ())[0]
}

#[test]
fn every_sampler_ends_with_the_mean_given_its_last_state() {
    let width = 0.5;
    for sde in
        [&Vp { t_min: 0.02, ..Vp::default() } as &dyn Sde, &Ve::default(), &Edm { sigma_min: 0.1, ..Edm::default() }]
    {
        let churn = Churn { churn_min: Some(1.0), ..Churn::default() };
        let langevin = LangevinSteps { steps_per_level: Some(3), ..LangevinSteps::default() };
        for sampler in stepwise_samplers(&SamplerOptions { churn, langevin, ..SamplerOptions::default() }) {
            let name = sampler.name();
            // Langevin's dynamics takes its steps at all levels whatever comes after; a corrector moves the last state.
            let steps = match name {
                "annealed-langevin" => 21,
                "predictor-corrector" => continue,
                _ => 20,
            };
            let x = end(sampler.as_ref(), sde, width, linear(steps, false));
            let mean = end(sampler.as_ref(), sde, width, linear(21, true));
            let expected = denoised(sde, width, x);
            assert!((mean / expected - 1.0).abs() < 1e-9, "{} {name}: {mean}, {expected}", sde.name());
        }
    }
}

#[test]
fn a_corrector_is_followed_by_the_mean_too() {
    // What is known of the last row: x, score and noise in the step to no noise, after the correction.
    let sde = Vp { t_min: 0.02, ..Vp::default() };
    let sampler = sampler("predictor-corrector").unwrap();
    let row = sampler.coefficients(&sde, &linear(5, true))[4].clone();
    let at = sde.at(sde.t_min());
    let expected = [1.0 / at.alpha, at.sigma.powi(2) / at.alpha, 0.0];
    assert!(row[3..].iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{row:?}, {expected:?}");
}

#[test]
fn few_steps_of_the_default_sampler_do_not_amplify_noise() {
    // Data of standard deviation 0.005. One more Euler step at t_min multiplied what noise was left by up to −20: 2.17 at 50 steps,
    // 0.499 at 100. The mean given the last state, whose noise is 0.0105, is at 0.002 to 0.005 of deviation.
    let (sde, width) = (Vp::default(), 0.005);
    for steps in [50, 100, 250, 500, 1000] {
        let deviation = |sampler: &dyn Sampler| final_variance(sampler, &sde, width, linear(steps, true), 1.0).sqrt();
        let found = deviation(&EulerMaruyama::default());
        assert!((0.00195..0.005).contains(&found), "euler-maruyama, {steps} steps: {found}");
        let ancestral = deviation(sampler("ancestral").unwrap().as_ref());
        assert!((0.00195..0.0022).contains(&ancestral), "ancestral, {steps} steps: {ancestral}");
    }
    let published = EulerMaruyama { published_end: true };
    let found = final_variance(&published, &sde, width, linear(50, true), 1.0).sqrt();
    assert!((found - 2.17).abs() < 0.01, "the published end: {found}");
}

#[test]
fn without_denoising_the_noise_of_t_min_is_left() {
    // Also with the widest last step, 1.4 times sigma² of the level before it at 100 steps.
    for (width, steps, most) in [(0.005, 100, 0.35), (0.005, 4000, 0.15), (0.5, 100, 0.01), (0.5, 4000, 0.002)] {
        let sde = Vp::default();
        let at = sde.at(sde.t_min());
        let exact = (at.alpha * width).powi(2) + at.sigma.powi(2);
        let found = final_variance(&EulerMaruyama::default(), &sde, width, linear(steps, false), 1.0);
        println!("width {width}, {steps} steps: {found}, {exact}");
        assert!((found / exact - 1.0).abs() < most, "width {width}, {steps} steps: {found}, {exact}");
    }
}

#[test]
fn no_step_of_euler_maruyama_goes_beyond_the_clean_data() {
    // The factors of x and of denoised are not negative, whatever the process, its grid and its number of steps: so data of no width
    // are approached from where x is.
    for (process, sde) in processes() {
        for spacing in [Spacing::Linear, Spacing::Quadratic, Spacing::Arsinh] {
            for steps in [1, 2, 3, 7, 20, 100, 1000] {
                for denoise in [false, true] {
                    let grid = Grid { steps, spacing, denoise };
                    for row in EulerMaruyama::default().coefficients(sde.as_ref(), &grid) {
                        let [t, of_x, of_denoised, noise] = row[..] else { panic!("{row:?}") };
                        let fits = of_x >= -1e-12 && of_denoised >= 0.0 && noise >= 0.0 && noise.is_finite();
                        assert!(fits, "{process} {}, {steps} steps, t = {t}: {row:?}", spacing.name());
                    }
                }
            }
        }
    }
}

#[test]
fn a_path_from_no_signal_starts_at_the_mean_of_the_data() {
    // Where alpha is 0, x says nothing: the next state is alpha′ E[x_0] and noise, and one step gives E[x_0].
    let (sde, law) = (RectifiedFlow::default(), Law { means: vec![3.0], width: 0.5 });
    for sampler in stepwise_samplers(&SamplerOptions::default()) {
        let name = sampler.name();
        let grid = Grid { steps: 1, spacing: Spacing::Arsinh, denoise: true };
        if sampler.least_steps() > 1 || obstacle(sampler.as_ref(), &sde, &grid).is_some() {
            continue;
        }
        let table = sampler.coefficients(&sde, &grid);
        let graph = sampling_step_with(sampler.as_ref(), 1, table.len(), Noise::Given, |_| exact(law.mixture(), &sde));
        let mut store = Store::<f64>::new();
        law.upload(&mut store);
        (0..sampler.draws()).for_each(|draw| store.upload(&states::step_noise(draw), &[0.3]));
        let end =
            run(&graph, &Way { sampler: sampler.as_ref(), sde: &sde, table: &table }, &mut store, &[0.8], 1, |_, _| ())
                [0];
        println!("{name}: {end}");
        assert!((end - 3.0).abs() < 1e-9, "{name}: {end}");
    }
    let table =
        EulerMaruyama::default().coefficients(&sde, &Grid { steps: 10, spacing: Spacing::Arsinh, denoise: true });
    let next = Grid { steps: 10, spacing: Spacing::Arsinh, denoise: true }.levels(&sde)[1];
    let [_, of_x, of_denoised, noise] = table[0][..] else { panic!("{:?}", table[0]) };
    assert!(of_x.abs() < 1e-12 && (of_denoised - next.alpha).abs() < 1e-12 && (noise - next.sigma).abs() < 1e-12);
}

#[test]
fn many_steps_in_f32_stay_at_the_flow() {
    // An extrapolation to no noise over levels that lie close together made 0.1 of these 0.3 at 4096 steps of lms.
    let law = Law { means: vec![0.7], width: 0.25 };
    let (sde, z) = (Vp::default(), [-2.0, -1.5, -1.0, -0.5, 0.1, 0.5, 1.0, 1.5, 2.0]);
    let edm = Edm::default();
    for sampler in stepwise_samplers(&SamplerOptions::default()) {
        let name = sampler.name();
        if sampler.draws() > 0 {
            continue;
        }
        for sde in [&sde as &dyn Sde, &edm, &Ve::default()] {
            for spacing in [Spacing::Linear, Spacing::LogSnr, Spacing::Karras { rho: 7.0 }] {
                let x: Vec<f64> = z.iter().map(|z| z * sde.prior_sigma()).collect();
                let grid = Grid { steps: 4096, spacing, denoise: true };
                let single = transport_in::<f32>(sampler.as_ref(), sde, &law, grid, &x);
                let double = transport(sampler.as_ref(), sde, &law, grid, &x);
                let most = single.iter().zip(&double).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                println!("{} {name} {}: {most:.1e}", sde.name(), spacing.name());
                assert!(most < 1e-5, "{} {name} {}: {most:.1e}", sde.name(), spacing.name());
            }
        }
        // The first three paths of the flow, and where they end: measured by an independent solver to four digits.
        let grid = Grid { steps: 4096, spacing: Spacing::LogSnr, denoise: true };
        let ends = transport_in::<f32>(sampler.as_ref(), &sde, &law, grid, &z[..3]);
        for (end, known) in ends.iter().zip([0.1993, 0.3242, 0.4491]) {
            assert!((end - known).abs() < 3e-3, "{name}: {end}, {known}");
        }
    }
}

#[test]
fn a_level_without_noise_is_reached_from_the_last_time() {
    let levels = linear(3, true).levels(&Vp::default());
    assert_eq!((levels.len(), levels[3], levels[2].t), (4, Level::clean(1e-3), 1e-3));
}

#[test]
fn a_problem_scaled_up_has_ends_scaled_up() {
    // Large noise of a process that scales nothing (alpha = 1) is no lack of signal, whatever its units.
    let ends = |make: &dyn Sampler, k: f64| {
        let sde = Edm { sigma_min: 0.002 * k, sigma_max: 10.0 * k, ..Edm::default() };
        let law = Law { means: vec![k, -k], width: 0.25 * k };
        let grid = linear(20, true);
        assert_eq!(obstacle(make, &sde, &grid), None, "{} at {k}", make.name());
        let x: Vec<f64> = [-1.5, -0.3, 0.4, 1.0].iter().map(|z| z * sde.prior_sigma()).collect();
        transport(make, &sde, &law, grid, &x).into_iter().map(|end| end / k).collect::<Vec<f64>>()
    };
    for sampler in stepwise_samplers(&SamplerOptions::default()) {
        let name = sampler.name();
        if sampler.draws() > 0 {
            continue;
        }
        let unscaled = ends(sampler.as_ref(), 1.0);
        for k in [1e-6, 1e6, 1e8] {
            for (a, b) in ends(sampler.as_ref(), k).iter().zip(&unscaled) {
                assert!((a - b).abs() < 1e-6, "{name} at {k}: {a}, unscaled {b}");
            }
        }
    }
}
