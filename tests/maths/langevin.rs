//! Two modes far apart (Song and Ermon 2019, section 3.2.2 and figure 3), with the exact score.

use crate::common::sampling;
use tweedie::cpu::{Program, Store};
use tweedie::graph::random;
use tweedie::nn::ExactMixture;
use tweedie::sampler::{AnnealedLangevin, Grid, Level, Sampler, flatten, sampling_step, states};
use tweedie::sde::Ve;

/// 0.8 N((5, 5), 1) + 0.2 N((−5, −5), 1) at sigma = 1; more noise makes both components wider.
const PROCESS: Ve = Ve { sigma_min: 1.0, sigma_max: 20.0, t_min: 0.0 };

/// The share of chains, started uniformly in [−8, 8]², that end in the heavy mode.
fn share(sampler: &AnnealedLangevin, table: &[Vec<f64>], chains: usize) -> f64 {
    let mixture = ExactMixture { components: 2, dims: 2 };
    let graph = sampling_step(sampler, 2, table.len(), |_| sampling::exact(mixture, &PROCESS));
    let mut store = Store::<f32>::new();
    for (name, values) in ExactMixture::states(&[0.8, 0.2], &[5.0, 5.0, -5.0, -5.0], &[1e-3; 4]) {
        store.upload(name, &values.iter().map(|value| *value as f32).collect::<Vec<_>>());
    }
    store.upload(states::TABLE, &flatten(sampler.columns(), table, &PROCESS, table.len()));
    store.upload_words(states::CLOCK, &[0, 0, 1, 0]);
    let words = (0..chains).flat_map(|chain| random::words([0, 0, 9, 0], chain as u32, 0, 1)[..2].to_vec());
    store.upload(states::X, &words.map(|word| 16.0 * random::uniform(word) - 8.0).collect::<Vec<_>>());
    let mut program = Program::new(&graph, "params");
    for _ in table {
        program.run(&mut store, &[], chains).unwrap();
    }
    let x = store.get(states::X).unwrap();
    x.chunks(2).filter(|x| x[0] + x[1] > 0.0).count() as f64 / chains as f64
}

#[test]
fn annealing_finds_the_weights_that_plain_langevin_misses() {
    // The toy's update is x + (lr / 2) score + √lr z with lr = 0.1 sigma². Known to 0.001 for both: 0.509 and 0.783.
    let chains = 2000;
    let error = 4.0 * (0.25 / chains as f64).sqrt() + 0.001;
    let annealed = AnnealedLangevin { step_size: 0.05, steps_per_level: 100 };
    let levels = Grid { denoise: false, ..Grid::linear(10) };
    let found = share(&annealed, &annealed.coefficients(&PROCESS, &levels), chains);
    assert!((found - 0.783).abs() < error, "annealed: {found}");
    let plain = AnnealedLangevin { step_size: 0.05, steps_per_level: 1000 };
    let found = share(&plain, &plain.table(&[Level::at(&PROCESS, 0.0)], false), chains);
    assert!((found - 0.509).abs() < error, "plain: {found}");
}
