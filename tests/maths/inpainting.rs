//! Samples around what is known, against closed forms: what a mixture's other coordinates are, given some.

use crate::common::sampling::exact;
use tweedie::cpu::{Program, Store};
use tweedie::nn::ExactMixture;
use tweedie::sampler::{
    Ancestral, Grid, ParticleWeights, Sampler, Spacing, Twisted, expand, prior_draw, sampling_step, states,
};
use tweedie::sde::{RectifiedFlow, Sde, Ve, Vp};

/// Three modes in three dimensions.
struct Law;

impl Law {
    const WEIGHTS: [f64; 3] = [0.5, 0.3, 0.2];
    const MEANS: [f64; 9] = [-1.0, 0.5, 1.0, 1.0, -0.3, 0.2, 0.3, 0.8, -1.5];
    const WIDTHS: [f64; 9] = [0.5, 0.5, 0.5, 0.3, 0.3, 0.3, 0.4, 0.6, 0.2];
    const MIXTURE: ExactMixture = ExactMixture { components: 3, dims: 3 };

    fn store() -> Store<f64> {
        let mut store = Store::new();
        for (name, values) in ExactMixture::states(&Self::WEIGHTS, &Self::MEANS, &Self::WIDTHS) {
            store.upload(name, &values);
        }
        store
    }

    /// The mean square of all coordinates.
    fn mean_square() -> f64 {
        let squares = Self::MEANS.iter().zip(&Self::WIDTHS).map(|(mean, width)| mean * mean + width * width);
        squares.enumerate().map(|(i, square)| Self::WEIGHTS[i / 3] * square / 3.0).sum()
    }
}

/// A store with what a step of particles reads, at the beginning of `table`.
fn ready(store: &mut Store<f64>, sde: &dyn Sde, table: &[Vec<f64>], x: &[f64], known: &[f64; 3], mask: &[f64; 3]) {
    let sampler = Twisted { mean_square: Law::mean_square() };
    store.upload(states::TABLE, &expand(sampler.columns(), table, sde));
    store.upload(states::X, x);
    store.create(states::SHIFT, x.len());
    store.upload(states::KNOWN, &known.repeat(x.len() / 3));
    store.upload(states::MASK, mask);
}

#[test]
fn particles_are_moved_by_the_gradient_of_the_twist() {
    let sampler = Twisted { mean_square: Law::mean_square() };
    let (known, mask) = ([0.4, 77.0, -0.8], [1.0, 0.0, 1.0]);
    for (sde, spacing) in [
        (&Vp::default() as &dyn Sde, Spacing::Linear),
        (&Ve::default(), Spacing::LogSnr),
        (&RectifiedFlow::default(), Spacing::Linear),
    ] {
        let grid = Grid { steps: 8, spacing, denoise: true };
        let table = sampler.coefficients(sde, &grid);
        let graph = sampling_step(&sampler, 3, table.len(), |_| exact(Law::MIXTURE, sde));
        let mut program = Program::new(&graph, "params");
        let mut store = Law::store();
        for (row, numbers) in (0..).zip(&table) {
            // The row's own draw would blur x.
            let mut still = table.clone();
            still[row][1] = 0.0;
            let at = sde.at(numbers[0]);
            let centre: Vec<f64> =
                (0..3).map(|d| at.alpha * [0.3, 0.1, -0.6][d] + at.sigma * [0.4, -1.1, 0.7][d]).collect();
            let step = 1e-5 * (at.alpha * 0.3).hypot(at.sigma);
            let x: Vec<f64> = [(0, 0.0)]
                .into_iter()
                .chain((0..3).flat_map(|d| [(d, step), (d, -step)]))
                .flat_map(|(d, by)| {
                    let mut x = centre.clone();
                    x[d] += by;
                    x
                })
                .collect();
            ready(&mut store, sde, &still, &x, &known, &mask);
            store.upload_words(states::CLOCK, &[row as u32, 0, 3, 0]);
            program.run(&mut store, &[], 7).unwrap();
            let shift = store.get(states::SHIFT).unwrap()[..3].to_vec();
            let twist = store.get(states::LOG_TWIST).unwrap();
            let pull = numbers[5];
            assert_eq!(pull == 0.0, at.alpha == 0.0 || row + 1 == table.len(), "{} row {row}: {pull}", sde.name());
            for d in 0..3 {
                let slope = (twist[1 + 2 * d] - twist[2 + 2 * d]) / (2.0 * step);
                let (found, wanted) = (shift[d], pull * slope);
                let error = (found - wanted).abs();
                assert!(error < 1e-6 * (1.0 + wanted.abs()), "{} row {row}, x{d}: {found}, {wanted}", sde.name());
            }
            // Of the draw: the ancestral step with a denoised value moved by sigma² / alpha times the gradient.
            let ancestral = &Ancestral.coefficients(sde, &grid)[row];
            let moved = (ancestral[3] * pull - ancestral[2] * at.sigma.powi(2) / at.alpha).abs();
            assert!(pull == 0.0 || moved < 1e-12 * ancestral[3] * pull, "{} row {row}: {moved}", sde.name());
        }
    }
}

/// The mean weight of particles that are never resampled is the density of what is known.
#[test]
fn the_mean_weight_is_the_density_of_what_is_known() {
    let sde = Vp::default();
    let sampler = Twisted { mean_square: Law::mean_square() };
    let table = sampler.coefficients(&sde, &Grid { steps: 200, spacing: Spacing::LogSnr, denoise: true });
    let graph = sampling_step(&sampler, 3, table.len(), |_| exact(Law::MIXTURE, &sde));
    let mut program = Program::new(&graph, "params");
    let mut prior = Program::new(&prior_draw(&sde, 3), "params");
    let n = 20_000;
    for (known, mask) in [([0.2, 0.0, 0.0], [1.0, 0.0, 0.0]), ([-0.8, 0.6, 0.0], [1.0, 1.0, 0.0])] {
        let mut store = Law::store();
        ready(&mut store, &sde, &table, &vec![0.0; 3 * n], &known, &mask);
        store.upload_words(states::CLOCK, &[0, 0, 11, 0]);
        prior.run(&mut store, &[], n).unwrap();
        let mut log = vec![0.0; n];
        for _ in &table {
            let old = store.get(states::LOG_TWIST).map_or_else(|| vec![0.0; n], <[f64]>::to_vec);
            program.run(&mut store, &[], n).unwrap();
            let [ratio, new] = [states::LOG_RATIO, states::LOG_TWIST].map(|name| store.get(name).unwrap());
            for (i, log) in log.iter_mut().enumerate() {
                *log += ratio[i] + new[i] - old[i];
            }
        }
        // The last twist is a normal density of tau, but for its factor.
        let tau = 1.0 / table[table.len() - 1][2];
        let coordinates = mask.iter().sum::<f64>();
        let factor = (tau * (2.0 * std::f64::consts::PI).sqrt()).powf(-coordinates);
        let weights: Vec<f64> = log.iter().map(|log| log.exp() * factor).collect();
        let mean = weights.iter().sum::<f64>() / n as f64;
        let variance = weights.iter().map(|weight| (weight - mean).powi(2)).sum::<f64>() / n as f64;
        let error = (variance / n as f64).sqrt();
        let density: f64 = (0..3).map(|k| Law::WEIGHTS[k] * likelihood(k, &known, &mask)).sum();
        println!("{known:?}: {mean} +- {error}, should be {density}");
        // Four standard errors, and 2 % for the number of steps.
        assert!(error < 0.02 * density, "{error}: tells nothing");
        assert!((mean - density).abs() < 4.0 * error + 0.02 * density, "{mean} +- {error}, should be {density}");
    }
}

/// The density of the known coordinates in mode k.
fn likelihood(k: usize, known: &[f64; 3], mask: &[f64; 3]) -> f64 {
    (0..3)
        .filter(|d| mask[*d] > 0.5)
        .map(|d| {
            let (mean, width) = (Law::MEANS[3 * k + d], Law::WIDTHS[3 * k + d]);
            (-0.5 * ((known[d] - mean) / width).powi(2)).exp() / (width * (2.0 * std::f64::consts::PI).sqrt())
        })
        .product()
}

#[test]
fn without_a_denoised_end_there_is_a_row_for_the_last_level() {
    let sde = Vp::default();
    let sampler = Twisted { mean_square: 1.0 };
    for denoise in [true, false] {
        let grid = Grid { denoise, ..Grid::linear(20) };
        let table = sampler.coefficients(&sde, &grid);
        assert_eq!((table.len(), sampler.rows(&grid)), (20 + usize::from(!denoise), table.len()));
        assert_eq!(sampler.evaluations(&grid), table.len());
        let last = &table[table.len() - 1];
        // The sample is the denoised mean, or x itself.
        assert_eq!(last[3..5], if denoise { [0.0, 1.0] } else { [1.0, 0.0] });
        assert!((last[0] - sde.t_min()).abs() < 1e-15 && table[0][1] == 0.0, "from t_max to t_min");
    }
}

#[test]
fn heirs_are_as_many_as_weights_say() {
    // ln of 0.55, 0.02, 0.38, 0.05, up to a constant; and a group in which weights differ by more than numbers hold.
    let shares: [f64; 4] = [0.55, 0.02, 0.38, 0.05];
    let log: Vec<f32> = shares.iter().map(|share| share.ln() as f32 - 300.0).chain([-1e30, -5e7, -5e7, -6e7]).collect();
    let mut weights = ParticleWeights::new(2, 4);
    weights.advance(&[0.0; 8], &log);
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    assert!((weights.effective(0) - 1.0 / squares).abs() < 1e-5 && weights.effective(1) == 2.0);
    // 2.2 of 4 and 2 of 4: nothing is resampled, for both are at least half.
    assert_eq!(weights.clone().resample(|_| 0.5), None);
    weights.advance(&[0.0; 8], &[log[0] + 0.5, log[1], log[2], log[3], log[4], log[5] + 4.0, log[6], log[7]]);
    let shares: Vec<f64> =
        shares.iter().enumerate().map(|(i, share)| share * if i == 0 { 0.5f64.exp() } else { 1.0 }).collect();
    let shares: Vec<f64> = shares.iter().map(|share| share / shares.iter().sum::<f64>()).collect();
    let (mut heirs, mut chosen, places) = ([0.0; 4], [0.0; 4], 20_000);
    for i in 0..places {
        let place = (f64::from(i) + 0.5) / f64::from(places);
        let mut resampled = weights.clone();
        let rows = resampled.resample(|_| place).expect("the groups are poor");
        assert!(rows[..4].iter().all(|row| *row < 4) && rows[4..].iter().all(|row| [5, 6].contains(row)), "{rows:?}");
        assert_eq!([resampled.effective(0), resampled.effective(1)], [4.0; 2], "heirs weigh the same");
        for (row, share) in shares.iter().enumerate() {
            let count = rows[..4].iter().filter(|heir| **heir == row).count() as f64;
            assert!((count - 4.0 * share).abs() < 1.0, "{count} heirs of {row} at {place}, whose weight is {share}");
            heirs[row] += count / f64::from(places);
        }
        chosen[weights.choose(|_| place)[0]] += 1.0 / f64::from(places);
    }
    for (row, share) in shares.iter().enumerate() {
        assert!((heirs[row] - 4.0 * share).abs() < 1e-3, "{heirs:?}, should be 4 times {shares:?}");
        assert!((chosen[row] - share).abs() < 1e-3, "{chosen:?}, should be {shares:?}");
    }
}

#[test]
fn what_a_resampled_particle_was_is_taken_off_its_next_weight() {
    // Three particles, the second of which has all heirs: its twist of 50 is in the weights no more.
    let mut weights = ParticleWeights::new(1, 3);
    weights.advance(&[0.0; 3], &[0.0, 50.0, 0.0]);
    assert_eq!(weights.resample(|_| 0.5), Some(vec![1, 1, 1]));
    weights.advance(&[0.0; 3], &[50.0; 3]);
    assert_eq!(weights.effective(0), 3.0);
    // Shares of 2, 1 and 1 out of 4.
    weights.advance(&[0.0; 3], &[50.0 + 2f32.ln(), 50.0, 50.0]);
    assert!((weights.effective(0) - 1.0 / 0.375).abs() < 1e-5);
}
