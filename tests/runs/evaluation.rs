//! The held-out loss of given weights is one number: level and noise of a sample go by its number, not by its batch.

use crate::common::gpu;
use tempfile::TempDir;
use tweedie::config::{Config, Overrides};
use tweedie::data::write_npy;
use tweedie::engine::{self, Device};
use tweedie::gpu::OpenOptions;
use tweedie::train::evaluation::{self, HeldOut};
use tweedie::train::experiment::{Experiment, LEVELS};

/// A U-Net for the digits that is told their class.
const UNET: &str = "[data]\nkind = \"digits\"\n[model]\nkind = \"unet\"\nchannels = 4\nmultipliers = [1, 2]\ngroups = 2\n\
                    conditional = true\n[sde]\nkind = \"vp\"\n[train]\ndequantise = true\n";

/// A network in the plane, by an objective that draws directions of its own.
const MLP: &str = "[data]\nkind = \"two-moons\"\nn = 1999\n[model]\nkind = \"mlp\"\nwidth = 8\ndepth = 1\nembedding = 8\n\
                   [sde]\nkind = \"vp\"\n[loss]\nkind = \"sliced\"\nprojections = 2\n[train]\nlearning_rate = 1e-3\n";

fn experiment(text: &str, batch: usize, accumulate: usize, seed: u64) -> Experiment {
    let text = format!("{text}batch = {batch}\naccumulate = {accumulate}\nseed = {seed}\n");
    let config = Config::parse(&text, "c.toml", &Overrides::none()).expect("a good config");
    Experiment::new(&config).expect("an experiment")
}

/// The held-out loss of weights that are the same for every batch, and no first weights, some of which are 0.
fn held_out(experiment: &Experiment, device: &Device) -> HeldOut {
    let evaluate = experiment.training_programs().evaluate;
    let mut engine = engine::load(device, &[evaluate], experiment.evaluation_batch()).expect("an engine");
    experiment.fill_store(engine.as_mut()).expect("a store");
    let weights: Vec<f32> = (0..experiment.arena_elements()).map(|i| 0.2 * (i as f32 * 1.7).sin()).collect();
    engine.set_floats("ema", &weights).expect("weights");
    evaluation::held_out(engine.as_mut(), experiment).expect("an evaluation")
}

fn assert_same(what: &str, found: &HeldOut, wanted: &HeldOut) {
    let close = |a: f32, b: f32| (f64::from(a) / f64::from(b) - 1.0).abs() < 1e-6;
    assert!(close(found.loss, wanted.loss), "{what}: {} instead of {}", found.loss, wanted.loss);
    assert_eq!(found.levels.len(), wanted.levels.len());
    for (found, wanted) in found.levels.iter().zip(&wanted.levels) {
        assert!(close(found.loss, wanted.loss), "{what}, t = {}: {} instead of {}", found.t, found.loss, wanted.loss);
    }
}

#[test]
fn the_held_out_loss_depends_on_neither_batch_nor_accumulation() {
    let device = Device::Cpu;
    let whole = held_out(&experiment(UNET, 1030, 1, 5), &device);
    for (batch, accumulate) in [(64, 1), (64, 4), (7, 1), (300, 3)] {
        let experiment = experiment(UNET, batch, accumulate, 5);
        assert_eq!(experiment.evaluation_batch() as usize, batch / accumulate, "as many at a time as in training");
        assert_same(&format!("U-Net, {batch} / {accumulate}"), &held_out(&experiment, &device), &whole);
    }
    let whole = held_out(&experiment(MLP, 256, 1, 5), &device);
    for (batch, accumulate) in [(64, 4), (1999, 1)] {
        let found = held_out(&experiment(MLP, batch, accumulate, 5), &device);
        assert_same(&format!("MLP, {batch} / {accumulate}"), &found, &whole);
    }
}

/// Images of 4 x 4 pixels in a file, for a GPU that may be software.
fn small_images() -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("images.npy");
    let pixels: Vec<f32> = (0..30 * 16).map(|i| (i as f32 * 0.37).sin()).collect();
    write_npy(&path, &[30, 4, 4], &pixels).expect("images");
    let text = format!(
        "[data]\nkind = \"file\"\npath = {path:?}\n[model]\nkind = \"unet\"\nchannels = 2\nmultipliers = [1, 1]\n\
         groups = 1\n[sde]\nkind = \"vp\"\n[train]\nema_decay = 0.9\n"
    );
    (folder, text)
}

#[test]
fn nor_does_it_on_a_gpu() {
    let (_folder, text) = small_images();
    let device = Device::Gpu(gpu::open(&OpenOptions::default()));
    let [whole, split] = [1030, 350].map(|batch| experiment(&text, batch, 1, 0));
    let [on_cpu, on_gpu] = [Device::Cpu, device].map(|device| {
        let found = held_out(&split, &device);
        assert_same("batch 350", &found, &held_out(&whole, &device));
        found
    });
    assert!((on_gpu.loss / on_cpu.loss - 1.0).abs() < 1e-4, "{} and {}", on_gpu.loss, on_cpu.loss);
}

#[test]
fn evaluations_of_a_run_compare_and_other_seeds_see_other_noise() {
    let experiment = |seed| experiment(UNET, 64, 1, seed);
    let first = held_out(&experiment(1), &Device::Cpu);
    assert_eq!(first.loss.to_bits(), held_out(&experiment(1), &Device::Cpu).loss.to_bits());
    let other = held_out(&experiment(2), &Device::Cpu);
    assert!(first.loss != other.loss && (first.loss / other.loss - 1.0).abs() < 0.1, "{} {}", first.loss, other.loss);
    assert_ne!(experiment(1).evaluation_levels(), experiment(2).evaluation_levels());
}

#[test]
fn levels_are_as_well_covered_as_before_and_cost_no_more() {
    for (text, held_out) in [(UNET, 299), (MLP, 333)] {
        let experiment = experiment(text, 64, 1, 0);
        assert_eq!((experiment.held_out().len(), experiment.evaluation_samples()), (held_out, 1030));
        let levels = experiment.evaluation_levels();
        for level in 0..LEVELS {
            assert_eq!(levels.iter().filter(|found| **found == level).count(), 103);
        }
        // Whatever the classes that take turns in the file: each row at another level in each round.
        for (i, level) in levels.iter().enumerate() {
            let again = levels[i..].iter().step_by(held_out).filter(|other| *other == level).count();
            assert_eq!(again, 1, "row {}", i % held_out);
        }
    }
}

#[test]
fn the_irreducible_loss_of_each_level_is_what_it_is() {
    // Data N(0, 0.8²) in 16 dimensions: the exact score leaves 0.64 alpha² / (0.64 alpha² + sigma²) of epsilon. The mean of
    // 1000 samples times 16 coordinates has a relative standard error of √(2 / 16000) if all are normal, and evaluations
    // over seeds are independent but for the data.
    let text = "[data]\nkind = \"mixture\"\nweights = [1]\nmeans = [[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]]\nwidths = [0.8]\n\
                n = 60000\n[model]\nkind = \"mlp\"\nwidth = 8\ndepth = 1\nembedding = 8\n[sde]\nkind = \"vp\"\n[train]\n\
                ema_decay = 0.9\n";
    let mut ratios = Vec::new();
    for seed in 0..5 {
        let experiment = experiment(text, 256, 1, seed);
        for level in held_out(&experiment, &Device::Cpu).levels {
            let at = experiment.sde().at(f64::from(level.t));
            let signal = 0.64 * at.alpha.powi(2);
            let expected = signal / (signal + at.sigma.powi(2));
            let ratio = f64::from(level.irreducible.expect("it is known")) / expected;
            assert!((ratio - 1.0).abs() < 4.0 * (2.0f64 / 16_000.0).sqrt(), "seed {seed}, t = {}: {ratio}", level.t);
            ratios.push(ratio);
        }
    }
    let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
    assert!((mean - 1.0).abs() < 4.0 * (2.0f64 / 160_000.0).sqrt(), "{mean}");
}
