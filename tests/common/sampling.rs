//! Samplers over laws whose scores are exact, in f64 on the CPU executor.
#![allow(dead_code)]

use tweedie::cpu::{Program, Real, Store};
use tweedie::graph::Graph;
use tweedie::nn::ExactMixture;
use tweedie::sampler::{Grid, Noise, Sampler, expand, sampling_step_with, states};
use tweedie::sde::{Model, Sde};

/// A one-dimensional mixture with equal weights.
pub struct Law {
    pub means: Vec<f64>,
    pub width: f64,
}

impl Law {
    pub fn gaussian(width: f64) -> Self {
        Self { means: vec![0.0], width }
    }

    /// ½ N(±1, 0.25²)
    pub fn two_modes() -> Self {
        Self { means: vec![1.0, -1.0], width: 0.25 }
    }

    pub fn mixture(&self) -> ExactMixture {
        ExactMixture { components: self.means.len(), dims: 1 }
    }

    pub fn upload<T: Real>(&self, store: &mut Store<T>) {
        let count = self.means.len();
        for (name, values) in ExactMixture::states(&vec![1.0; count], &self.means, &vec![self.width; count]) {
            store.upload(name, &rounded(&values));
        }
    }

    /// Where the probability flow of a process takes `x` from t_max to t_min: it keeps the distribution function.
    pub fn transported(&self, sde: &dyn Sde, x: f64) -> f64 {
        let at = |t: f64| {
            let marginal = sde.at(t);
            let deviation = (marginal.alpha * self.width).hypot(marginal.sigma);
            move |x: f64| {
                let of_mean = |mean: &f64| normal_distribution((x - marginal.alpha * mean) / deviation);
                self.means.iter().map(of_mean).sum::<f64>() / self.means.len() as f64
            }
        };
        let (wanted, end) = (at(sde.t_max())(x), at(sde.t_min()));
        let (mut low, mut high) = (-50.0, 50.0);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if end(middle) < wanted { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }
}

/// Φ(z) by its series, to 1e-13 for |z| < 4; 0 or 1 where it is within 1e-9 of that.
pub fn normal_distribution(z: f64) -> f64 {
    if z.abs() > 6.0 {
        return f64::from(u8::from(z > 0.0));
    }
    let (mut term, mut sum) = (z, z);
    for n in 1..200 {
        term *= -0.5 * z * z / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    0.5 + sum / (2.0 * std::f64::consts::PI).sqrt()
}

pub fn exact<'a>(mixture: ExactMixture, sde: &'a dyn Sde) -> Box<dyn Model + 'a> {
    Box::new(mixture.model(sde))
}

/// Numbers as a store of this type holds them.
pub fn rounded<T: Real>(values: &[f64]) -> Vec<T> {
    values.iter().map(|value| T::from_f64(*value)).collect()
}

/// Zeros in what the sampler remembers.
pub fn forget<T: Real>(sampler: &dyn Sampler, store: &mut Store<T>, elements: usize) {
    sampler.states().iter().for_each(|name| store.create(name, elements));
}

/// A sampler's way: its table, and the process that gives the noise levels of its times.
pub struct Way<'a> {
    pub sampler: &'a dyn Sampler,
    pub sde: &'a dyn Sde,
    pub table: &'a [Vec<f64>],
}

/// Runs all rows of a table from `x`. `before` is called before each step, say to give it noise.
pub fn run<T: Real>(
    graph: &Graph,
    way: &Way,
    store: &mut Store<T>,
    x: &[f64],
    batch: usize,
    mut before: impl FnMut(usize, &mut Store<T>),
) -> Vec<f64> {
    let Way { sampler, sde, table } = *way;
    store.upload(states::TABLE, &rounded(&expand(sampler.columns(), table, sde)));
    store.upload(states::X, &rounded(x));
    store.upload_words(states::CLOCK, &[0, 0, 11, 0]);
    forget(sampler, store, x.len());
    let mut program = Program::new(graph, "params");
    for step in 0..table.len() {
        before(step, store);
        program.run(store, &[], batch).unwrap();
    }
    assert_eq!(store.words(states::CLOCK).unwrap()[0] as usize, table.len());
    store.get(states::X).unwrap().iter().map(|x| x.to_f64()).collect()
}

/// Where a sampler without noise takes `x` with the exact score of `law`.
pub fn transport(sampler: &dyn Sampler, sde: &dyn Sde, law: &Law, grid: Grid, x: &[f64]) -> Vec<f64> {
    transport_in::<f64>(sampler, sde, law, grid, x)
}

/// The same in f64, or in f32 as on the devices that users run.
pub fn transport_in<T: Real>(sampler: &dyn Sampler, sde: &dyn Sde, law: &Law, grid: Grid, x: &[f64]) -> Vec<f64> {
    let table = sampler.coefficients(sde, &grid);
    let graph = sampling_step_with(sampler, 1, table.len(), Noise::Drawn, |_| exact(law.mixture(), sde));
    let mut store = Store::<T>::new();
    law.upload(&mut store);
    run(&graph, &Way { sampler, sde, table: &table }, &mut store, x, x.len(), |_, _| ())
}

/// The variance at the end for Gaussian data, on which a sampler is linear in its start and in all of its noise: each sample of
/// the batch carries one of these alone.
pub fn final_variance(sampler: &dyn Sampler, sde: &dyn Sde, width: f64, grid: Grid, variance: f64) -> f64 {
    let table = sampler.coefficients(sde, &grid);
    let law = Law::gaussian(width);
    let graph = sampling_step_with(sampler, 1, table.len(), Noise::Given, |_| exact(law.mixture(), sde));
    let mut store = Store::<f64>::new();
    law.upload(&mut store);
    let batch = 1 + table.len() * sampler.draws();
    let mut x = vec![0.0; batch];
    x[0] = variance.sqrt();
    let ends = run(&graph, &Way { sampler, sde, table: &table }, &mut store, &x, batch, |step, store| {
        for draw in 0..sampler.draws() {
            let mut noise = vec![0.0; batch];
            noise[1 + step * sampler.draws() + draw] = 1.0;
            store.upload(&states::step_noise(draw), &noise);
        }
    });
    ends.iter().map(|end| end * end).sum()
}
