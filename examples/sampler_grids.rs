//! What f32 adds to the error of samplers without noise over many steps, and what their grids do to few: two tables of
//! docs/samplers.md.
//!
//! cargo run --release --example sampler_grids

#[path = "../tests/common/sampling.rs"]
mod sampling;

use sampling::{Law, transport, transport_in};
use tweedie::sampler::{Grid, Sampler, SamplerOptions, Spacing, obstacle, stepwise_samplers};
use tweedie::sde::{Cosine, Edm, RectifiedFlow, Sde, Sigmoid, Vp, ZeroTerminalSnr};

/// Quantiles of the prior from which paths start, in units of its standard deviation.
const STARTS: [f64; 8] = [-1.53, -0.89, -0.49, -0.16, 0.16, 0.49, 0.89, 1.53];

fn starts(sde: &dyn Sde) -> Vec<f64> {
    STARTS.iter().map(|z| z * sde.prior_sigma()).collect()
}

fn without_noise() -> Vec<Box<dyn Sampler>> {
    let all = stepwise_samplers(&SamplerOptions::default());
    all.into_iter().filter(|sampler| sampler.draws() == 0 && sampler.name() != "ddim").collect()
}

/// The largest difference between f32 and f64.
fn rounding(sampler: &dyn Sampler, sde: &dyn Sde, law: &Law, grid: Grid) -> f64 {
    let x = starts(sde);
    let [single, double] = [transport_in::<f32>, transport].map(|run| run(sampler, sde, law, grid, &x));
    single.iter().zip(&double).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// The root mean square of the distance to where the flow ends.
fn error(sampler: &dyn Sampler, sde: &dyn Sde, law: &Law, grid: Grid) -> f64 {
    let x = starts(sde);
    let ends = transport(sampler, sde, law, grid, &x);
    let squares = ends.iter().zip(&x).map(|(end, x)| (end - law.transported(sde, *x)).powi(2));
    (squares.sum::<f64>() / x.len() as f64).sqrt()
}

fn main() {
    let law = Law::two_modes();
    println!("f32 against f64, the largest difference over {} paths", STARTS.len());
    let [vp, edm] = [Box::new(Vp::default()) as Box<dyn Sde>, Box::new(Edm::default())];
    for (sde, spacing) in [(&vp, Spacing::Linear), (&vp, Spacing::LogSnr), (&edm, Spacing::Linear)] {
        for sampler in without_noise() {
            let of = |steps| rounding(sampler.as_ref(), sde.as_ref(), &law, Grid { steps, spacing, denoise: true });
            let cells = [128, 1024, 4096, 100_000].map(|steps| format!("{:.1e}", of(steps)));
            println!("| `{}`, `{}` | `{}` | {} |", sde.name(), spacing.name(), sampler.name(), cells.join(" | "));
        }
    }

    println!("\nf64 against the flow, the root mean square over {} paths; evaluations 16, 32, 64, 256", STARTS.len());
    let processes: [(&str, Box<dyn Sde>); 5] = [
        ("vp", vp),
        ("cosine", Box::new(Cosine::default())),
        ("sigmoid", Box::new(Sigmoid::default())),
        ("zero_terminal_snr", Box::new(ZeroTerminalSnr::new(Vp::default()))),
        ("rectified-flow", Box::new(RectifiedFlow::default())),
    ];
    for (process, sde) in &processes {
        for sampler in without_noise() {
            for spacing in [Spacing::Linear, Spacing::Arsinh] {
                let grid = |evaluations: usize| {
                    let steps = evaluations / sampler.evaluations_per_step();
                    Grid {
                        steps: steps - (sampler.evaluations(&Grid::linear(steps)) - evaluations),
                        spacing,
                        denoise: false,
                    }
                };
                if obstacle(sampler.as_ref(), sde.as_ref(), &grid(64)).is_some() {
                    continue;
                }
                let cells = [16, 32, 64, 256]
                    .map(|count| format!("{:.1e}", error(sampler.as_ref(), sde.as_ref(), &law, grid(count))));
                println!("| `{process}` | `{}` | `{}` | {} |", sampler.name(), spacing.name(), cells.join(" | "));
            }
        }
    }
}
