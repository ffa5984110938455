//! `tweedie score`: scores of exact models and of runs, by every name of a noise level.

use std::fs;

use crate::common::binary::{expect_bad, good, tweedie, words};
use crate::common::gpu;
use crate::common::small_run::{DATA, EXACT, folder, image_folder};
use tweedie::data::{read_npy, write_npy};

/// The two modes of [`small_run::DATA`].
const WEIGHTS: [f64; 2] = [0.7, 0.3];
const MEANS: [[f64; 2]; 2] = [[-1.0, 0.5], [1.0, -0.5]];
const WIDTHS: [f64; 2] = [0.3, 0.2];

/// The score of the two modes at one noise level, from the densities' own formula.
fn exact_score(x: [f64; 2], alpha: f64, sigma: f64) -> [f64; 2] {
    score_of(MEANS, x, alpha, sigma)
}

/// The same for other means.
fn score_of(means: [[f64; 2]; 2], x: [f64; 2], alpha: f64, sigma: f64) -> [f64; 2] {
    let variance = |k: usize| (alpha * WIDTHS[k]).powi(2) + sigma * sigma;
    let density = |k: usize| {
        let squared: f64 = (0..2).map(|d| (x[d] - alpha * means[k][d]).powi(2)).sum();
        WEIGHTS[k] / variance(k) * (-0.5 * squared / variance(k)).exp()
    };
    let all = density(0) + density(1);
    [0, 1].map(|d| (0..2).map(|k| density(k) / all * (alpha * means[k][d] - x[d]) / variance(k)).sum())
}

#[test]
fn the_score_of_an_exact_model_is_the_closed_form_by_every_name_of_a_noise_level() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    // Linear β from 0.1 to 20: B = ∫β, alpha = exp(-B/2), sigma² = 1 - exp(-B).
    let t: f64 = 0.37;
    let integral = t * (0.1 + 0.5 * 19.9 * t);
    let (alpha, sigma) = ((-0.5 * integral).exp(), (1.0 - (-integral).exp()).sqrt());
    let x = read_npy(&at("x.npy")).expect("points").values.to_f32();
    let levels = [format!("--t {t}"), format!("--sigma {sigma}"), format!("--noise-to-signal {}", sigma / alpha)];
    for level in levels {
        let said = good(folder.path(), &format!("score exact.toml --device cpu --x x.npy {level} --out score.npy"));
        assert!(said.stderr.contains("t = 0.37, sigma = "), "{}", said.stderr);
        good(
            folder.path(),
            &format!("score exact.toml --device cpu --x x.npy {level} --output denoised --out den.npy"),
        );
        good(folder.path(), &format!("score exact.toml --device cpu --x x.npy {level} --output epsilon --out eps.npy"));
        let [score, denoised, epsilon] = ["score.npy", "den.npy", "eps.npy"].map(|name| {
            let array = read_npy(&at(name)).expect("an answer");
            assert_eq!(array.shape, [5, 2]);
            array.values.to_f32()
        });
        for (i, x) in x.chunks(2).enumerate() {
            let x = [f64::from(x[0]), f64::from(x[1])];
            let exact = exact_score(x, alpha, sigma);
            for d in 0..2 {
                let tweedie = (x[d] + sigma * sigma * exact[d]) / alpha;
                let found = [score[2 * i + d], denoised[2 * i + d], epsilon[2 * i + d]].map(f64::from);
                for (found, exact) in found.into_iter().zip([exact[d], tweedie, -sigma * exact[d]]) {
                    assert!((found - exact).abs() < 2e-5 * (1.0 + exact.abs()), "{level}, {x:?}: {found}, not {exact}");
                }
            }
        }
    }
}

#[test]
fn levels_near_the_noisy_end_are_those_that_were_asked_for() {
    // alpha is 1 − t, and an f32 time says 1e-4 of it to three digits. Of means as far as 1e4, alpha decides the score.
    let folder = folder();
    let means = MEANS.map(|mean| mean.map(|m| 1e4 * m));
    let flow = format!(
        "[data]\nkind = \"mixture\"\nweights = {WEIGHTS:?}\nmeans = {means:?}\nwidths = {WIDTHS:?}\n\n\
         [sde]\nkind = \"rectified-flow\"\n{EXACT}"
    );
    fs::write(folder.path().join("flow.toml"), flow).expect("a file");
    let x = read_npy(&folder.path().join("x.npy")).expect("points").values.to_f32();
    for alpha in [1.234567e-4f64, 7.654321e-5] {
        let sigma = 1.0 - alpha;
        for level in
            [format!("--sigma {sigma}"), format!("--noise-to-signal {}", sigma / alpha), format!("--t {sigma}")]
        {
            for device in ["cpu", gpu::choice()] {
                let line = format!("score flow.toml --device {device} --x x.npy {level} --out score.npy");
                good(folder.path(), &line);
                let found = read_npy(&folder.path().join("score.npy")).expect("an answer").values.to_f32();
                for (i, x) in x.chunks(2).enumerate() {
                    let exact = score_of(means, [f64::from(x[0]), f64::from(x[1])], alpha, sigma);
                    for d in 0..2 {
                        let error = (f64::from(found[2 * i + d]) - exact[d]).abs();
                        assert!(error < 1e-5 * (1.0 + exact[d].abs()), "{device} {level} {x:?}: off by {error}");
                    }
                }
            }
        }
    }
}

#[test]
fn epsilon_is_not_asked_for_where_nothing_of_the_data_is_left() {
    let folder = folder();
    let data = DATA.replace("\"vp\"", "\"rectified-flow\"").replace("ode-heun", "ode-euler");
    fs::write(folder.path().join("flow.toml"), format!("{data}{EXACT}")).expect("a file");
    let line = |output: &str| format!("score flow.toml --device cpu --x x.npy --t 1 --output {output} --out s.npy");
    expect_bad(folder.path(), &[(&line("epsilon"), &["--output epsilon", "t = 1", "rectified-flow", "velocity"])]);
    for output in ["velocity", "denoised", "score"] {
        good(folder.path(), &line(output));
    }
}

#[test]
fn a_time_after_the_end_of_the_process_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = "[data]\nkind = \"eight-gaussians\"\n[model]\nkind = \"exact\"\n[sde]\nkind = \"cosine\"\n";
    fs::write(folder.path().join("cosine.toml"), config).unwrap();
    write_npy(&folder.path().join("x.npy"), &[1, 2], &[0.1, 0.2]).unwrap();
    expect_bad(
        folder.path(),
        &[(
            "score cosine.toml --x x.npy --t 1 --out s.npy",
            &["--t 1: must be at most 0.9946, where the cosine process of this model ends"],
        )],
    );
    good(folder.path(), "score cosine.toml --x x.npy --t 0.9946 --out s.npy --device cpu");
}

#[test]
fn a_score_that_is_no_number_is_named() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    write_npy(&at("far.npy"), &[3, 2], &[0.0, 1.0, 9e17, 9e17, 0.0, 0.0]).expect("points");
    fs::write(at("narrow.toml"), format!("{DATA}{EXACT}").replace("[0.3, 0.2]", "[0.001, 0.001]")).expect("a config");
    let line = "score narrow.toml --device cpu --x far.npy --t 0.01 --out far-score.npy";
    let said = tweedie(folder.path(), &words(line));
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    let last = said.stderr.lines().last().expect("a line");
    assert!(last.starts_with("error: the score of point 1 ") && last.contains("t = 0.01"), "{last}");
    assert!(!at("far-score.npy").exists());
    // A GPU once made zeros of squares that are not finite.
    write_npy(&at("far.npy"), &[3, 2], &[0.0, 1.0, 0.0, -1e30, 0.0, 0.0]).expect("points");
    for device in ["cpu", gpu::choice()] {
        let score = format!("score exact.toml --device {device} --x far.npy --t 0.25 --out s.npy");
        let sample = format!("sample exact.toml --device {device} --noise far.npy --out s.npy");
        expect_bad(
            folder.path(),
            &[
                (&score, &["--x far.npy: value 3", "-1e30", "at most 1e18", "32 bits"]),
                (&sample, &["--noise far.npy: value 3", "-1e30", "at most 1e18", "32 bits"]),
            ],
        );
    }
}

#[test]
fn a_run_without_noise_has_a_score_and_no_samples() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let set = "--set loss.kind=sliced-vr --set loss.noise=none --set loss.parameterisation=score --set loss.weighting=uniform";
    let said = good(folder.path(), &format!("train tiny.toml {set} --device cpu --out plain"));
    assert!(said.stderr.contains("no samples are drawn: with loss.noise = \"none\""), "{}", said.stderr);
    for (name, there) in [("loss.png", true), ("scores.png", true), ("samples.png", false), ("trajectory.gif", false)] {
        assert_eq!(at("plain").join(name).exists(), there, "{name}");
    }
    let metrics = fs::read_to_string(at("plain").join("metrics.jsonl")).expect("metrics");
    let last = metrics.lines().last().expect("an evaluation");
    assert!(last.matches("\"sigma\":").count() == 1 && last.contains("\"sigma\":0.0"), "one level, no noise: {last}");
    good(folder.path(), "score plain --x x.npy --sigma 0 --device cpu --out s.npy");
    assert_eq!(read_npy(&at("s.npy")).expect("scores").shape, [5, 2]);
    expect_bad(
        folder.path(),
        &[
            ("sample plain --out a.png", &["plain", "loss.noise", "--sigma 0"]),
            ("score plain --x x.npy --t 0.3 --out t.npy", &["--t 0.3", "loss.noise", "--sigma 0"]),
            ("score plain --x x.npy --sigma 0.5 --out t.npy", &["--sigma 0.5", "loss.noise", "--sigma 0"]),
            ("score plain --x x.npy --sigma 0 --output denoised --out t.npy", &["--output", "loss.noise", "score"]),
            ("score run --x x.npy --sigma 0 --out t.npy", &["--sigma 0", "above 0", "loss.noise"]),
        ],
    );
}

#[test]
fn images_are_scored_in_either_shape() {
    let folder = image_folder();
    let at = |name: &str| folder.path().join(name);
    let x: Vec<f32> = (0..60).map(|i| (i as f32 * 0.7).sin()).collect();
    let mut answers = Vec::new();
    for (name, shape) in [("flat", vec![3, 20]), ("shaped", vec![3, 4, 5])] {
        write_npy(&at(&format!("{name}.npy")), &shape, &x).expect("points");
        good(folder.path(), &format!("score runs/images --device cpu --x {name}.npy --t 0.4 --out s.npy"));
        let answer = read_npy(&at("s.npy")).expect("an answer");
        assert_eq!(answer.shape, shape);
        answers.push(answer.values.to_f32());
    }
    assert_eq!(answers[0], answers[1]);
    expect_bad(
        folder.path(),
        &[("score runs/images --device cpu --x a.toml --t 0.4 --out s.npy", &["--x", "a.toml", ".npy"])],
    );
}

/// `--t 0` was once refused for `edm`, whose t_min is 0.
#[test]
fn time_zero_is_asked_where_there_is_noise_at_it() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let x = read_npy(&at("x.npy")).expect("points").values.to_f32();
    for device in ["cpu", gpu::choice()] {
        // The least noise of each process, where alpha is 1.
        for (kind, sigma) in [("ve", 0.01), ("edm", 0.002)] {
            fs::write(at("zero.toml"), format!("{DATA}{EXACT}").replace("\"vp\"", &format!("\"{kind}\"")))
                .expect("a config");
            let line = format!("score zero.toml --device {device} --x x.npy --t 0 --out s.npy");
            let said = good(folder.path(), &line);
            assert!(said.stderr.contains(&format!("t = 0, sigma = {sigma}")), "{}", said.stderr);
            let found = read_npy(&at("s.npy")).expect("scores").values.to_f32();
            for (found, x) in found.chunks(2).zip(x.chunks(2)) {
                let exact = exact_score([f64::from(x[0]), f64::from(x[1])], 1.0, sigma);
                for (found, exact) in found.iter().zip(exact) {
                    let error = (f64::from(*found) - exact).abs();
                    assert!(error < 2e-5 * (1.0 + exact.abs()), "{kind} on {device}: {found}, not {exact}");
                }
            }
        }
    }
    let learned = "--set sde.kind=learned --set loss.time=stratified --steps 1";
    good(folder.path(), &format!("train tiny.toml {learned} --device cpu --out learned"));
    good(folder.path(), "score learned --device cpu --x x.npy --t 0 --out s.npy");
    for kind in ["vp", "sub-vp", "cosine", "sigmoid", "rectified-flow"] {
        let data = DATA.replace("\"vp\"", &format!("\"{kind}\"")).replace("ode-heun", "ode-euler");
        fs::write(at("zero.toml"), format!("{data}{EXACT}")).expect("a config");
        let wanted = ["--t 0: must be larger", kind, "sigma = 0"];
        expect_bad(folder.path(), &[("score zero.toml --x x.npy --t 0 --out t.npy", &wanted)]);
    }
    expect_bad(folder.path(), &[("score run --x x.npy --t -0.1 --out t.npy", &["--t", "-0.1", "≥ 0 and ≤ 1"])]);
}
