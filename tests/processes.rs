//! Every process in every sampler, on Gaussian data, whose flow and whose noised laws are known.

#[path = "common/processes.rs"]
mod processes;

use processes::processes;
use tweedie::cpu::{Program, Store};
use tweedie::graph::Graph;
use tweedie::nn::Mixture;
use tweedie::sampler::{EulerMaruyama, Grid, OdeEuler, OdeHeun, Sampler, Spacing, names, sampling_step};
use tweedie::sde::{Exact, Model, Sde};

/// Standard deviation of the data.
const WIDTH: f64 = 0.5;

/// The exact score of N(0, WIDTH²).
fn exact<'a>(sde: &'a dyn Sde) -> Box<dyn Model + 'a> {
    let mixture = Mixture { components: 1, dims: 1 };
    Box::new(Exact {
        sde,
        score: move |graph: &mut Graph, x, alpha, sigma| mixture.score(graph, x, alpha, sigma),
        denoised: move |graph: &mut Graph, x, alpha, sigma| mixture.denoised(graph, x, alpha, sigma),
    })
}

fn store() -> Store<f64> {
    let mut store = Store::new();
    Mixture::states(&[1.0], &[0.0], &[WIDTH]).iter().for_each(|(name, values)| store.upload(name, values));
    store
}

/// The standard deviation of x_t.
fn spread(sde: &dyn Sde, t: f64) -> f64 {
    (sde.at(t).alpha * WIDTH).hypot(sde.at(t).sigma)
}

/// What a sampler makes of x = 1 at t_max.
fn gain(sampler: &dyn Sampler, sde: &dyn Sde, steps: usize) -> f64 {
    let grid = Grid { steps, spacing: Spacing::Linear, denoise: false };
    let table = sampler.coefficients(sde, &grid);
    assert!(table.iter().flatten().all(|value| value.is_finite()), "{sde:?}: {table:?}");
    let graph = sampling_step(sampler, 1, steps, |_| exact(sde));
    let mut store = store();
    store.upload(names::TABLE, &table.concat());
    store.upload(names::X, &[1.0]);
    store.upload_words(names::CLOCK, &[0, 0, 11, 0]);
    let mut program = Program::new(&graph, "params");
    (0..steps).for_each(|_| program.run(&mut store, &[], 1).unwrap());
    store.get(names::X).unwrap()[0]
}

#[test]
fn the_probability_flow_keeps_gaussians_gaussian_in_every_process() {
    // x_t is x_1 in the ratio of standard deviations. Where alpha is 0 at the start, only the denoised form knows how.
    for (name, sde) in processes() {
        let sde = sde.as_ref();
        let exact = spread(sde, sde.t_min()) / spread(sde, sde.t_max());
        for sampler in [&OdeEuler as &dyn Sampler, &OdeHeun] {
            let [coarse, fine] = [200, 400].map(|steps| (gain(sampler, sde, steps) / exact - 1.0).abs());
            let order = (coarse / fine).log2();
            // There alpha goes as √(1 − t), so that the first step has an error of h^1.5.
            let stated = (sampler.order() as f64).min(if name == "sigmoid to the end" { 1.5 } else { 9.0 });
            assert!(fine < 0.1, "{name} {}: {coarse}, {fine}", sampler.name());
            assert!((order - stated).abs() < 0.4, "{name} {}: {coarse} {fine} order {order}", sampler.name());
        }
    }
}

#[test]
fn the_reverse_sde_ends_in_the_law_of_the_data_in_every_process() {
    // The variance of a linear stochastic sampler: gain² and noise² of each step. Started in the prior.
    let noise = EulerMaruyama.columns().iter().position(|name| *name == "noise").unwrap();
    for (name, sde) in processes() {
        let sde = sde.as_ref();
        let exact_variance = spread(sde, sde.t_min()).powi(2);
        let variance = |steps: usize| {
            let table = EulerMaruyama.coefficients(sde, &Grid { steps, spacing: Spacing::Linear, denoise: false });
            assert!(table.iter().flatten().all(|value| value.is_finite()), "{name}: {table:?}");
            let graph = sampling_step(&EulerMaruyama, 1, steps, |_| exact(sde));
            let mut store = store();
            let silent: Vec<f64> = table
                .iter()
                .flat_map(|row| row.iter().enumerate().map(|(i, v)| if i == noise { 0.0 } else { *v }))
                .collect();
            store.upload(names::TABLE, &silent);
            let mut program = Program::new(&graph, "params");
            let mut variance = sde.prior_sigma().powi(2);
            for (step, row) in (0..).zip(&table) {
                store.upload(names::X, &[1.0]);
                store.upload_words(names::CLOCK, &[step, 0, 0, 0]);
                program.run(&mut store, &[], 1).unwrap();
                variance = (store.get(names::X).unwrap()[0] * variance.sqrt()).powi(2) + row[noise].powi(2);
            }
            (variance / exact_variance - 1.0).abs()
        };
        let (coarse, fine) = (variance(400), variance(1600));
        assert!(fine < 0.02 && fine < 0.5 * coarse + 1e-3, "{name}: {coarse}, {fine}");
    }
}
