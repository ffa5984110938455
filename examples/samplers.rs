//! Error against evaluations for every sampler in f32, on mixtures whose answers are known: the pictures and the table of
//! docs/samplers.md.
//!
//! cargo run --release --example samplers [FOLDER]

#[path = "../tests/common/sampling.rs"]
mod sampling;

use std::path::Path;

use sampling::{normal_distribution, rounded};
use tweedie::cpu::{Program, Store};
use tweedie::graph::random;
use tweedie::nn::ExactMixture;
use tweedie::sampler::{
    AdaptiveSampler, Correction, Grid, LangevinSteps, Noise, Sampler, SamplerOptions, Spacing, Tolerances,
    adaptive_begin, adaptive_samplers, adaptive_step, denoised_end, sampling_step_with, states, stepwise_samplers,
};
use tweedie::sde::{Sde, Vp};

/// A mixture in D dimensions.
struct Law {
    weights: Vec<f64>,
    means: Vec<f64>,
    widths: Vec<f64>,
    dims: usize,
}

impl Law {
    fn mixture(&self) -> ExactMixture {
        ExactMixture { components: self.weights.len(), dims: self.dims }
    }

    /// What its model reads.
    fn store(&self) -> Store<f32> {
        let mut store = Store::new();
        for (name, values) in ExactMixture::states(&self.weights, &self.means, &self.widths) {
            store.upload(name, &rounded(&values));
        }
        store
    }

    /// Quantiles at (i + ½) / n of the coordinate along a direction.
    fn quantiles(&self, direction: &[f64], n: usize) -> Vec<f64> {
        let parts: Vec<[f64; 3]> = (0..self.weights.len())
            .map(|k| {
                let at = |values: &[f64], d: usize| values[k * self.dims + d];
                let mean = (0..self.dims).map(|d| direction[d] * at(&self.means, d)).sum();
                let variance: f64 = (0..self.dims).map(|d| (direction[d] * at(&self.widths, d)).powi(2)).sum();
                [self.weights[k], mean, variance.sqrt()]
            })
            .collect();
        let distribution =
            |x: f64| parts.iter().map(|[w, mean, width]| w * normal_distribution((x - mean) / width)).sum::<f64>();
        let mut quantiles = Vec::with_capacity(n);
        for i in 0..n {
            let wanted = (i as f64 + 0.5) / n as f64;
            let (mut low, mut high) = (-20.0, 20.0);
            for _ in 0..60 {
                let middle = 0.5 * (low + high);
                if distribution(middle) < wanted { low = middle } else { high = middle }
            }
            quantiles.push(0.5 * (low + high));
        }
        quantiles
    }
}

/// Samples from `x` with the exact score.
fn samples(sampler: &dyn Sampler, sde: &dyn Sde, law: &Law, grid: Grid, x: &[f64]) -> Vec<f64> {
    let table = sampler.coefficients(sde, &grid);
    let graph =
        sampling_step_with(sampler, law.dims, table.len(), Noise::Drawn, |_| Box::new(law.mixture().model(sde)));
    let mut store = law.store();
    sampling::run(&graph, &sampling::Way { sampler, sde, table: &table }, &mut store, x, x.len() / law.dims, |_, _| ())
}

/// The same for a sampler whose samples choose their steps, denoised at the end; and the evaluations of each in the mean.
fn adaptive_samples(sampler: &dyn AdaptiveSampler, sde: &dyn Sde, law: &Law, x: &[f64]) -> (Vec<f64>, f64) {
    let batch = x.len() / law.dims;
    let mut store = law.store();
    store.upload(states::X, &rounded(x));
    store.upload_words(states::CLOCK, &[0, 0, 3, 0]);
    let run = |graph, store: &mut Store<f32>| Program::new(&graph, "params").run(store, &[], batch).expect("it fits");
    run(adaptive_begin(sampler, sde, law.dims, |_| Box::new(law.mixture().model(sde))), &mut store);
    let step = adaptive_step(sampler, sde, law.dims, |_| Box::new(law.mixture().model(sde)));
    let mut step = Program::new(&step, "params");
    let state = |store: &Store<f32>, name| -> Vec<f64> {
        store.get(name).expect("a state of the sampler").iter().map(|value| f64::from(*value)).collect()
    };
    while state(&store, states::LEFT)[0] > 0.0 {
        step.run(&mut store, &[], batch).expect("it fits");
    }
    let tries = state(&store, states::TRIES).iter().sum::<f64>() / batch as f64;
    run(denoised_end(sde, law.dims, |_| Box::new(law.mixture().model(sde))), &mut store);
    let spent = sampler.evaluations_to_begin() as f64 + tries * sampler.evaluations_per_try() as f64 + 1.0;
    (state(&store, states::X), spent)
}

fn normals(count: usize, stream: u32) -> Vec<f64> {
    let words = |i: usize| random::words([0, 0, 3, 0], i as u32, 0, stream);
    (0..count.div_ceil(4)).flat_map(|i| random::normals_f64(words(i))).take(count).collect()
}

/// Mean over directions of the distance of Wasserstein (order 1) between samples and the law.
fn distance(law: &Law, x: &[f64], directions: &[(Vec<f64>, Vec<f64>)]) -> f64 {
    let along = |(direction, quantiles): &(Vec<f64>, Vec<f64>)| {
        let project = |x: &[f64]| x.iter().zip(direction).map(|(x, d)| x * d).sum::<f64>();
        let mut values: Vec<f64> = x.chunks(law.dims).map(project).collect();
        values.sort_by(f64::total_cmp);
        values.iter().zip(quantiles).map(|(a, b)| (a - b).abs()).sum::<f64>() / values.len() as f64
    };
    directions.iter().map(along).sum::<f64>() / directions.len() as f64
}

/// Samples of a law from prior draws, and the evaluations of each.
type Draw<'a> = dyn Fn(&Law, &[f64]) -> (Vec<f64>, f64) + 'a;

/// One picture's curves: of each sampler its errors over evaluations.
type Errors = Vec<(String, Vec<(f64, f64)>)>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "assets/pictures".to_owned());
    let sde = Vp { t_min: 1e-4, ..Vp::default() };
    let count = 4096;
    let one = Law { weights: vec![0.5, 0.5], means: vec![1.0, -1.0], widths: vec![0.25; 2], dims: 1 };
    let two = Law {
        weights: vec![0.5, 0.3, 0.2],
        means: vec![-1.0, 0.5, 1.0, -0.5, 0.6, 1.0],
        widths: vec![0.3, 0.3, 0.2, 0.1, 0.1, 0.2],
        dims: 2,
    };
    let directions = |law: &Law| -> Vec<(Vec<f64>, Vec<f64>)> {
        let angles = if law.dims == 1 { 1 } else { 6 };
        let direction = |i: usize| {
            let angle = std::f64::consts::PI * i as f64 / angles as f64;
            [angle.cos(), angle.sin()][..law.dims].to_vec()
        };
        (0..angles).map(direction).map(|direction| (direction.clone(), law.quantiles(&direction, count))).collect()
    };
    let (in_one, in_two) = (directions(&one), directions(&two));
    // Quantiles of the prior, so that paths end at those of the data.
    let prior = Law { weights: vec![1.0], means: vec![0.0], widths: vec![1.0], dims: 1 };
    let quantiles = prior.quantiles(&[1.0], 512);
    let ends = one.quantiles(&[1.0], 512);

    let (mut paths, mut laws, mut plane) = (Errors::new(), Errors::new(), Errors::new());
    // Runs a sampler, which gives samples from these and the evaluations of each, and notes its errors.
    let mut measure = |name: &str, stochastic: bool, draw: &Draw| {
        let add = |errors: &mut Errors, spent: f64, error: f64| match errors.iter_mut().find(|(known, _)| known == name)
        {
            Some((_, points)) => points.push((spent, error)),
            None => errors.push((name.to_owned(), vec![(spent, error)])),
        };
        if stochastic {
            let (x, spent) = draw(&one, &normals(count, 1));
            add(&mut laws, spent, distance(&one, &x, &in_one));
        } else {
            let (x, spent) = draw(&one, &quantiles);
            let squares: f64 = x.iter().zip(&ends).map(|(a, b)| (a - b).powi(2)).sum();
            add(&mut paths, spent, (squares / x.len() as f64).sqrt());
        }
        let (x, spent) = draw(&two, &normals(2 * count, 2));
        add(&mut plane, spent, distance(&two, &x, &in_two));
    };
    // Langevin's dynamics wants many steps a level, whatever is to be had; and in one or two dimensions the norms of a
    // single sample have no mean.
    let langevin = LangevinSteps { steps_per_level: Some(8), ..LangevinSteps::default() };
    let correction = Correction { batch_norms: Some(true), ..Correction::default() };
    for sampler in stepwise_samplers(&SamplerOptions { langevin, correction, ..SamplerOptions::default() }) {
        for evaluations in [8, 16, 32, 64, 128, 256] {
            let fits = |steps: &usize| {
                let grid = Grid { steps: *steps, spacing: Spacing::LogSnr, denoise: true };
                *steps >= sampler.least_steps() && sampler.evaluations(&grid) <= evaluations
            };
            let Some(steps) = (1..=evaluations).rev().find(fits) else { continue };
            let grid = Grid { steps, spacing: Spacing::LogSnr, denoise: true };
            measure(sampler.name(), sampler.draws() > 0, &|law, x| {
                (samples(sampler.as_ref(), &sde, law, grid, x), sampler.evaluations(&grid) as f64)
            });
        }
    }
    for tolerance in [1e-1, 3e-2, 1e-2, 1e-3, 1e-4, 1e-5] {
        let tolerances = Tolerances { atol: Some(tolerance), rtol: Some(tolerance) };
        for sampler in adaptive_samplers(&SamplerOptions { tolerances, ..SamplerOptions::default() }) {
            let stochastic = sampler.draws() > 0;
            // Smaller ones change a stochastic sampler's paths, not its law.
            if !stochastic || tolerance >= 1e-3 {
                measure(sampler.name(), stochastic, &|law, x| adaptive_samples(sampler.as_ref(), &sde, law, x));
            }
        }
    }
    print_table("1-D, deterministic: root mean square error of the path's end", &paths);
    print_table("1-D, stochastic: distance of the laws", &laws);
    print_table("2-D: distance of the laws", &plane);
    write(Path::new(&folder), paths, laws, plane)
}

fn print_table(title: &str, errors: &Errors) {
    println!("\n{title}");
    for (name, points) in errors {
        let cells: Vec<String> =
            points.iter().map(|(evaluations, error)| format!("{evaluations:.0} {error:.2e}")).collect();
        println!("{name:20} {}", cells.join("  "));
    }
}

#[cfg(feature = "cli")]
fn write(folder: &Path, paths: Errors, laws: Errors, plane: Errors) -> Result<(), Box<dyn std::error::Error>> {
    use tweedie::picture::{Curves, write_curves};
    // Errors of the data's own size tell nothing more.
    let shown = |errors: Errors| -> Vec<(String, Vec<(f64, f64)>)> {
        let small = |points: Vec<(f64, f64)>| points.into_iter().filter(|(_, error)| *error < 1.5).collect();
        errors.into_iter().map(|(name, points)| (name, small(points))).collect()
    };
    let (paths, laws) = (shown(paths), shown(laws));
    let deterministic = |name: &str| paths.iter().any(|(known, _)| known == name);
    let (flows, noises): (Vec<_>, Vec<_>) = shown(plane).into_iter().partition(|(name, _)| deterministic(name));
    let panel = |title, y, curves| Curves { title, axes: ["evaluations", y], log: [true, true], curves };
    let in_one = [
        panel("1-D mixture: paths", "error of the end", &paths),
        panel("1-D mixture: laws", "Wasserstein distance", &laws),
    ];
    let in_two = [
        panel("2-D mixture: without noise", "Wasserstein distance", &flows),
        panel("2-D mixture: with noise", "Wasserstein distance", &noises),
    ];
    write_curves(&folder.join("samplers-1d.png"), &in_one)?;
    write_curves(&folder.join("samplers-2d.png"), &in_two)?;
    Ok(())
}

#[cfg(not(feature = "cli"))]
fn write(_: &Path, _: Errors, _: Errors, _: Errors) -> Result<(), Box<dyn std::error::Error>> {
    Err("pictures need the feature cli".into())
}
