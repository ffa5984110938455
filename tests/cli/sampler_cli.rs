//! `tweedie sample` and its samplers, as a user calls them.

use std::fs;

use crate::common::binary::{good, tweedie, words};
use crate::common::gpu;
use tempfile::TempDir;
use tweedie::config::{Config, Overrides};
use tweedie::data::{read_npy, write_npy};
use tweedie::engine::Device;
use tweedie::sampler::SAMPLERS;
use tweedie::train::draw::request::SampleRequest;
use tweedie::train::draw::sampling;
use tweedie::train::error::TrainError;
use tweedie::train::experiment::{Classes, Experiment};

const EXACT: &str = r#"
[data]
kind = "mixture"
weights = [0.7, 0.3]
means = [[-1.0, 0.5], [1.0, -0.5]]
widths = [0.3, 0.2]
n = 600
[model]
kind = "exact"
[sde]
kind = "vp"
[sample]
kind = "ode-heun"
steps = 8
n = 8
"#;

/// A folder with `exact.toml`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("exact.toml"), EXACT).expect("a file");
    folder
}

#[test]
fn what_does_not_fit_a_sampler_is_one_line_before_anything_runs() {
    let folder = folder();
    let write = |name: &str, shape: &[usize]| {
        let count = shape.iter().product();
        write_npy(&folder.path().join(name), shape, &vec![0.5; count]).expect("an array");
    };
    write("steps.npy", &[8, 1, 4, 2]);
    write("fewer.npy", &[7, 1, 4, 2]);
    write("draws.npy", &[8, 2, 4, 2]);
    write("wide.npy", &[8, 1, 4, 3]);
    write("prior.npy", &[5, 2]);
    let mut bad = vec![0.0; 64];
    bad[9] = f32::NAN;
    write_npy(&folder.path().join("nan.npy"), &[8, 1, 4, 2], &bad).expect("an array");
    let cases: [(&str, &[&str]); 33] = [
        ("--sampler ode-heun --set sample.eta=0.5", &["sample.eta = 0.5", "ode-heun takes no options", "ddim"]),
        ("--sampler ddim --set sample.churn=3", &["sample.churn", "ddim takes eta", "edm-stochastic"]),
        ("--sampler ddim --set sample.eta=1.5", &["sample.eta = 1.5", "≥ 0 and ≤ 1"]),
        ("--sampler ancestral --set sample.snr=0.1", &["sample.snr", "predictor-corrector"]),
        ("--sampler dpm++3m --steps 2", &["--steps", "sample.steps = 2", "at least 3"]),
        ("--sampler pndm --steps 3", &["sample.steps = 3", "at least 4"]),
        ("--sampler lms --set sample.order=4 --steps 3", &["sample.steps = 3", "at least 4"]),
        ("--sampler unipc --set sample.order=4", &["sample.order = 4", "1, 2 or 3"]),
        ("--set sample.rho=3", &["sample.rho", "without sample.spacing", "karras"]),
        ("--set sample.spacing=exponential --set sample.rho=20", &["sample.rho = 20", "at most 10", "exponential"]),
        (
            "--set sample.spacing=exponential --set sample.rho=10 --steps 500",
            &["sample.rho = 10", "sample.steps = 500", "levels are equal"],
        ),
        ("--set sample.spacing=karas", &["sample.spacing", "karras"]),
        ("--spacing equal", &["--spacing", "equal-work", "log-snr"]),
        ("--sampler edm-stochastic --set sample.churn_min=3 --set sample.churn_max=2", &["churn_min", "churn_max"]),
        ("--sampler dpm-solver", &["--sampler", "dpm++2m"]),
        ("--set train.steps=3", &["--set train", "[sample]"]),
        ("--sampler ode-heun --step-noise steps.npy", &["--step-noise", "deterministic"]),
        ("--sampler ancestral --step-noise fewer.npy", &["fewer.npy", "[7, 1, 4, 2]", "(8, 1, N, 2)"]),
        ("--sampler ancestral --step-noise draws.npy", &["draws.npy", "[8, 2, 4, 2]", "(8, 1, N, 2)"]),
        ("--sampler ancestral --step-noise wide.npy", &["wide.npy", "[8, 1, 4, 3]"]),
        ("--sampler ancestral --step-noise steps.npy --noise prior.npy", &["steps.npy", "(8, 1, 5, 2)"]),
        ("--sampler ancestral --step-noise nan.npy", &["nan.npy", "value 9", "NaN"]),
        ("--sampler rk45 --steps 20", &["--steps", "left out", "sample.rtol and sample.atol"]),
        ("--sampler rk45 --set sample.steps=20", &["--set sample.steps", "left out"]),
        ("--sampler rk45 --set sample.spacing=karras", &["--set sample.spacing", "left out"]),
        ("--sampler rk45 --step-noise steps.npy", &["--step-noise steps.npy", "left out", "its own steps"]),
        ("--sampler rk45 --known prior.npy --mask prior.npy", &["--known prior.npy", "left out"]),
        ("--sampler rk45 --out a.gif", &["--out a.gif", "no moments in common", ".npy or .csv"]),
        ("--sampler rk45 --set sample.eta=1", &["sample.eta", "rk45 takes rtol, atol"]),
        ("--sampler rk45 --set sample.rtol=0.5", &["sample.rtol = 0.5", "≥ 1e-6 and ≤ 0.1"]),
        ("--sampler adaptive-sde --step-noise steps.npy", &["--step-noise steps.npy", "left out", "its own steps"]),
        ("--sampler adaptive-sde --steps 9", &["--steps", "left out", "adaptive-sde"]),
        ("--set sample.atol=1e-3", &["sample.atol", "ode-heun takes no options", "rk45"]),
    ];
    let flow = EXACT.replace("kind = \"vp\"", "kind = \"rectified-flow\"");
    fs::write(folder.path().join("flow.toml"), flow).expect("a file");
    for (flags, wanted) in [
        (
            "--set sample.spacing=karras",
            "flow.toml with --set: sample.spacing = \"karras\": needs some signal at time 1",
        ),
        ("--sampler sra1", "flow.toml with --sampler: sample.kind = \"sra1\": needs some signal at time 1"),
        (
            "--sampler adaptive-sde",
            "flow.toml with --sampler: sample.kind = \"adaptive-sde\": needs some signal at time 1",
        ),
    ] {
        let line = format!("sample flow.toml --device cpu --out a.npy {flags}");
        let said = tweedie(folder.path(), &words(&line));
        assert_eq!((said.code, said.stderr.trim_end().lines().count()), (Some(2), 1), "{line}: {}", said.stderr);
        assert!(said.stderr.contains(wanted) && !folder.path().join("a.npy").exists(), "{line}: {}", said.stderr);
    }
    good(folder.path(), "sample flow.toml --device cpu --out flow.npy --sampler rk45");
    for (flags, wanted) in cases {
        let out = if flags.contains("--out") { "" } else { "--out a.npy" };
        let line = format!("sample exact.toml --device cpu {out} {flags}");
        let said = tweedie(folder.path(), &words(&line));
        assert_eq!((said.code, said.stderr.trim_end().lines().count()), (Some(2), 1), "{line}: {}", said.stderr);
        for word in wanted {
            assert!(said.stderr.contains(word), "{line}: no {word} in {}", said.stderr);
        }
        assert!(!folder.path().join("a.npy").exists());
    }
}

#[test]
fn every_sampler_is_listed_and_says_what_it_spent() {
    let folder = folder();
    let list = good(folder.path(), "sample --list").stdout;
    for kind in SAMPLERS {
        let line = list.lines().find(|line| line.split_whitespace().next() == Some(kind.name));
        let line = line.unwrap_or_else(|| panic!("{} is not listed", kind.name));
        assert!(line.ends_with(kind.about), "{line}");
    }
    let row = |name: &str| -> Vec<&str> {
        list.lines().find(|line| line.starts_with(name)).expect("listed").split_whitespace().take(4).collect()
    };
    assert_eq!(row("dpm++3m "), ["dpm++3m", "3", "1", "0"]);
    assert_eq!(row("sra1 "), ["sra1", "2", "2", "2"]);
    assert_eq!(row("rk45 "), ["rk45", "5", "6", "0"]);
    assert_eq!(row("adaptive-sde "), ["adaptive-sde", "2", "2", "1"]);
    for (flags, evaluations) in [
        ("--sampler dpm++2m", 8),
        ("--sampler ode-heun", 16),
        ("--sampler pndm", 17),
        ("--sampler predictor-corrector --set sample.corrector_steps=2", 24),
        ("--sampler annealed-langevin --set sample.steps_per_level=3", 25),
    ] {
        let said = good(folder.path(), &format!("sample exact.toml --device cpu --out a.npy {flags}"));
        assert!(said.stderr.contains(&format!("{evaluations} evaluations each")), "{flags}: {}", said.stderr);
    }
}

#[test]
fn noise_from_a_file_is_what_the_samplers_use() {
    let folder = folder();
    let (steps, n) = (6, 1030);
    let number = |i: usize, salt: usize| ((i * 7919 + salt) % 1000) as f32 / 250.0 - 2.0;
    let prior: Vec<f32> = (0..n * 2).map(|i| number(i, 1)).collect();
    for (sampler, draws) in [("ancestral", 1), ("sra1", 2), ("predictor-corrector", 2)] {
        let noise: Vec<f32> = (0..steps * draws * n * 2).map(|i| number(i, 2)).collect();
        // All samples in two lots, and the last six alone.
        let last = n - 6;
        let part: Vec<f32> = noise.chunks(2 * n).flat_map(|lot| &lot[2 * last..]).copied().collect();
        let draw = |name: &str, count: usize, prior: &[f32], noise: &[f32], seed: u64| {
            let at = |name: &str| folder.path().join(name);
            write_npy(&at("z.npy"), &[count, 2], prior).expect("noise");
            write_npy(&at("steps.npy"), &[steps, draws, count, 2], noise).expect("noise");
            good(
                folder.path(),
                &format!(
                    "sample exact.toml --device cpu --sampler {sampler} --steps {steps} --seed {seed} --noise z.npy \
                     --step-noise steps.npy --out {name}.npy"
                ),
            );
            read_npy(&at(&format!("{name}.npy"))).expect("samples").values.to_f32()
        };
        let whole = draw("whole", n, &prior, &noise, 1);
        assert_eq!(
            whole[2 * last..],
            draw("part", 6, &prior[2 * last..], &part, 2),
            "{sampler}: nothing else is random"
        );
        let other: Vec<f32> = part.iter().map(|z| -z).collect();
        assert_ne!(whole[2 * last..], draw("other", 6, &prior[2 * last..], &other, 1), "{sampler}");
    }
}

#[test]
fn a_value_that_is_not_finite_ends_a_long_run_early() {
    let folder = folder();
    let config = EXACT.replace("ode-heun", "euler-maruyama").replace("steps = 8", "steps = 200000");
    let path = folder.path().join("long.toml");
    fs::write(&path, config).expect("a file");
    let config = Config::read(&path, &Overrides::none()).expect("a config");
    let experiment = Experiment::new(&config).expect("an experiment");
    let sampler = config.sample.sampler();
    let mut engine =
        experiment.drawing_engine(&Device::Cpu, &experiment.drawing(&sampler), 8).expect("an engine for the CPU");
    let mut noise = vec![0.5; 16];
    // Its square is not finite in f32.
    noise[5] = 1e30;
    let draw = SampleRequest {
        n: 8,
        grid: config.grid(),
        seed: 1,
        noise: Some(noise),
        step_noise: None,
        classes: Classes::Any,
        guidance: 1.0,
        known: None,
        frames: 0,
    };
    let mut seen = (0, 0);
    let drawn = sampling::draw(engine.as_mut(), &experiment, &sampler, &draw, &mut |done, total| {
        seen = (done, total);
        true
    });
    assert!(matches!(drawn, Err(TrainError::SampleNotFinite { step: 1, .. })), "{drawn:?}");
    assert!(seen.1 == 200_000 && seen.0 < seen.1, "{} of {} steps", seen.0, seen.1);
}

/// The paths of the prior's quantiles to those of the data, ½ N(±1, ¼²), by every sample's own steps.
#[test]
fn adaptive_samples_on_cpu_and_gpu() {
    let folder = folder();
    let mixture = EXACT.replace("[0.7, 0.3]", "[0.5, 0.5]").replace("[[-1.0, 0.5], [1.0, -0.5]]", "[[-1.0], [1.0]]");
    let mixture = mixture.replace("[0.3, 0.2]", "[0.25, 0.25]").replace("kind = \"vp\"", "kind = \"ve\"");
    fs::write(folder.path().join("one.toml"), mixture + "denoise = false\n").expect("a file");
    let known = [(0.1f32, 0.648_141), (0.3, 0.820_034), (0.5, 0.925_529), (1.0, 1.118_78), (2.0, 1.422_489)];
    // The end at sigma = 0.01 is next to that at 0: x √(1 + (0.01 / 0.25)²) at most.
    let n = 1030;
    let z: Vec<f32> = (0..n).map(|i| known[i % known.len()].0).collect();
    write_npy(&folder.path().join("z.npy"), &[n, 1], &z).expect("noise");
    let draw = |flags: &str| {
        let sampler = if flags.contains("--sampler") { "" } else { "--sampler rk45" };
        let line = format!("sample one.toml {sampler} --out x.npy {flags}");
        let said = good(folder.path(), &line).stderr;
        (read_npy(&folder.path().join("x.npy")).expect("samples").values.to_f32(), said)
    };
    let (on_cpu, said) = draw("--noise z.npy --device cpu");
    let words: Vec<&str> = said.lines().last().unwrap_or_default().split_whitespace().collect();
    let number = |word: &str| -> f64 { word.parse().unwrap_or_else(|_| panic!("{said}")) };
    let [mean, .., most] = words[words.len() - 6..] else { panic!("{said}") };
    let (mean, most) = (number(mean), number(most));
    assert!(mean > 20.0 && mean < most && (most - 1.0) % 6.0 == 0.0, "{said}");
    for (found, (z, end)) in on_cpu.iter().zip(known) {
        assert!((found - end).abs() < 4e-3, "{z} ends at {found}, should at {end}");
    }
    // Whatever the number of samples that are taken at a time, and with a denoised end, which is one evaluation more.
    assert_eq!(on_cpu[..5], on_cpu[1025..]);
    let (denoised, said_more) = draw("--noise z.npy --device cpu --set sample.denoise=true");
    assert!(said_more.contains(&format!("at most {}", most + 1.0)), "{said_more}");
    assert!(denoised.iter().zip(&on_cpu).all(|(a, b)| (a - b).abs() < 2e-3 && a != b));
    write_npy(&folder.path().join("few.npy"), &[40, 1], &z[..40]).expect("noise");
    let (on_gpu, _) = draw(&format!("--noise few.npy --device {}", gpu::choice()));
    assert_eq!(on_gpu.len(), 40);
    for (a, b) in on_gpu.iter().zip(&on_cpu) {
        assert!((a - b).abs() < 1e-3, "{a} and {b}");
    }
    assert_eq!(draw("--n 3 --seed 5 --device cpu").0[..], draw("--n 1030 --seed 5 --device cpu").0[..3]);
    assert_ne!(draw("--n 3 --seed 5 --device cpu").0, draw("--n 3 --seed 6 --device cpu").0);
    // The Brownian paths are those of the seed, and both devices walk along the same.
    let sde = |flags: &str| draw(&format!("--sampler adaptive-sde {flags}")).0;
    let on_cpu = sde("--noise z.npy --seed 5 --device cpu");
    assert_ne!(on_cpu[..5], on_cpu[1025..], "each sample has a path of its own");
    assert_ne!(on_cpu[..40], sde("--noise few.npy --seed 6 --device cpu"));
    assert_eq!(on_cpu[..40], sde("--noise few.npy --seed 5 --device cpu"));
    let on_gpu = sde(&format!("--noise few.npy --seed 5 --device {}", gpu::choice()));
    let alike = on_gpu.iter().zip(&on_cpu).filter(|(a, b)| (*a - *b).abs() < 1e-3).count();
    // Where one device takes a step and the other refuses it, ends differ by the tolerance or a mode.
    assert!(alike > 34, "{alike} of 40");
}
