//! Error against evaluations of samples around what is known, on two modes whose answer is known: the table of
//! docs/images.md.
//!
//! ```sh
//! cargo run --release --example inpainting
//! ```

use tweedie::config::{Config, Overrides};
use tweedie::engine::Device;
use tweedie::sampler::Grid;
use tweedie::train::draw::request::{Known, SampleRequest};
use tweedie::train::draw::samples::Samples;
use tweedie::train::draw::sampling;
use tweedie::train::experiment::{Classes, Experiment};

/// Modes of width ½ at (−1, −1) and (1, 1).
const CONFIG: &str = "[data]\nkind = \"mixture\"\nweights = [0.5, 0.5]\nmeans = [[-1.0, -1.0], [1.0, 1.0]]\n\
                      widths = [0.5, 0.5]\n[model]\nkind = \"exact\"\n[sde]\nkind = \"vp\"\n\
                      [sample]\nkind = \"ancestral\"\n";
/// The first coordinate.
const KNOWN: f32 = 0.3;
/// P(x2 > 0 | x1 = 0.3).
const RIGHT: f64 = 0.897_861_551_2;
/// Samples: a standard error of 0.003.
const SAMPLES: usize = 10_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let experiment = Experiment::new(&Config::parse(CONFIG, "two modes", &Overrides::none())?)?;
    println!("P(x2 > 0 | x1 = {KNOWN}): {RIGHT:.3} is right; {SAMPLES} samples\n");
    println!("| method | steps | evaluations | P | error |\n|---|---|---|---|---|");
    for steps in [20, 50, 200, 1000, 5000] {
        row("replacement", steps, &drawn(&experiment, steps, None)?);
    }
    for steps in [20, 50, 200] {
        for particles in [1, 2, 4, 8, 16, 32] {
            row(&format!("{particles} particles"), steps, &drawn(&experiment, steps, Some(particles))?);
        }
    }
    Ok(())
}

/// Samples by particles, or by replacement.
fn drawn(
    experiment: &Experiment,
    steps: usize,
    particles: Option<usize>,
) -> Result<Samples, Box<dyn std::error::Error>> {
    let sampler = experiment.config().sample.sampler();
    let draw = SampleRequest {
        n: SAMPLES,
        grid: Grid::linear(steps),
        seed: 1,
        noise: None,
        step_noise: None,
        classes: Classes::Any,
        guidance: 1.0,
        known: Some(Known { values: [KNOWN, 0.0].repeat(SAMPLES), mask: vec![1.0, 0.0], particles }),
        frames: 0,
    };
    let mut engine = sampling::load(experiment, &Device::Cpu, &sampler, &draw)?;
    Ok(sampling::draw(engine.as_mut(), experiment, &sampler, &draw, &mut |_, _| true)?)
}

fn row(method: &str, steps: usize, drawn: &Samples) {
    let upper = drawn.samples.chunks(2).filter(|x| x[1] > 0.0).count() as f64 / SAMPLES as f64;
    println!("| {method} | {steps} | {} | {upper:.3} | {:+.3} |", drawn.evaluations.most, upper - RIGHT);
}
