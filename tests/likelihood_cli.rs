//! `tweedie likelihood`, as a user calls it.

#[path = "common/binary.rs"]
mod binary;
#[path = "common/gpu.rs"]
mod gpu;

use std::fs;

use binary::{good, tweedie, words};
use tempfile::TempDir;
use tweedie::data::{read_npy, write_npy};

const EXACT: &str = r#"
[data]
kind = "mixture"
weights = [0.5, 0.5]
means = [[-1.0], [1.0]]
widths = [0.25, 0.25]
n = 600
[model]
kind = "exact"
[sde]
kind = "ve"
sigma_min = 0.002
sigma_max = 80.0
t_min = 1e-9
"#;

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("exact.toml"), EXACT).expect("a file");
    folder
}

/// The densities of ½ N(±1, ¼²) that are published, on both devices, in f32.
#[test]
fn the_density_of_a_mixture_on_cpu_and_gpu() {
    let folder = folder();
    let known = [(0.0f32, -7.532_644), (0.5, -2.225_791), (1.0, -0.225_791), (1.5, -2.225_791)];
    let points: Vec<f32> = known.iter().map(|(x, _)| *x).collect();
    write_npy(&folder.path().join("x.npy"), &[4, 1], &points).expect("an array");
    for device in ["cpu".to_string(), gpu::choice().to_string()] {
        let command = format!("likelihood exact.toml --data x.npy --divergence exact --out p.npy --device {device}");
        let said = good(folder.path(), &command).stdout;
        assert!(said.contains("bits per dimension (continuous values)"), "{said}");
        let found = read_npy(&folder.path().join("p.npy")).expect("an array").values.to_f32();
        for (found, (x, density)) in found.iter().zip(known) {
            assert!((found - density).abs() < 5e-3, "{device}: log p({x}) = {found}, should be {density}");
        }
    }
}

/// What the flow makes of data, and back again by the sampler of the same flow, on both devices.
#[test]
fn what_is_encoded_leads_back() {
    let folder = folder();
    // From a little noise on, so that nothing is lost in the last steps in f32.
    fs::write(folder.path().join("exact.toml"), EXACT.replace("1e-9", "1e-3")).expect("a file");
    // In both modes. Between them there is next to no density, so that neighbours there are the same latent in f32.
    let points: Vec<f32> = (0..40).map(|i| i as f32 * 0.05 + if i < 20 { -1.5 } else { -0.45 }).collect();
    write_npy(&folder.path().join("x.npy"), &[40, 1], &points).expect("an array");
    for device in ["cpu".to_string(), gpu::choice().to_string()] {
        let there = format!("likelihood exact.toml --data x.npy --divergence exact --encoded z.npy --device {device}");
        good(folder.path(), &there);
        let back = "sample exact.toml --sampler rk45 --noise z.npy --set sample.denoise=false --out back.npy";
        good(folder.path(), &format!("{back} --device {device}"));
        let read = |name: &str| read_npy(&folder.path().join(name)).expect("an array");
        let (z, found) = (read("z.npy"), read("back.npy"));
        assert_eq!((z.shape.clone(), found.shape), (vec![40, 1], vec![40, 1]));
        // In units of the prior's standard deviation, and in the data's order, as a flow in one dimension has to be.
        let z = z.values.to_f32();
        assert!(z.windows(2).all(|pair| pair[0] < pair[1]) && z.iter().all(|z| z.abs() < 6.0), "{device}: {z:?}");
        for (found, x) in found.values.to_f32().iter().zip(&points) {
            assert!((found - x).abs() < 2e-3, "{device}: {x} comes back as {found}");
        }
    }
}

/// Over the data of an exact model the bound's mean is the entropy, 0.725698 nats.
#[test]
fn the_bound_and_the_flow_agree_in_the_mean() {
    let folder = folder();
    let mean = |command: &str| -> (f64, f64) {
        let said = good(folder.path(), command).stdout;
        let line = said.lines().find(|line| line.contains("nats")).expect("a line on nats").to_owned();
        let numbers: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        (numbers[0], numbers[1])
    };
    let (flow, error) = mean("likelihood exact.toml --data test --divergence exact --device cpu");
    assert!((flow + 0.725_697_818).abs() < 4.0 * error, "{flow} ± {error}");
    let (bound, error) = mean("likelihood exact.toml --data train --method bound --repeats 4 --device cpu");
    assert!((bound + 0.725_697_818).abs() < 4.0 * error + 0.01, "{bound} ± {error}");
}

#[test]
fn what_makes_no_sense_is_one_line_and_exit_code_2() {
    let folder = folder();
    fs::write(folder.path().join("x.txt"), "1").expect("a file");
    write_npy(&folder.path().join("wide.npy"), &[4, 3], &[0.0; 12]).expect("an array");
    let straight = EXACT.replace("kind = \"ve\"", "kind = \"rectified-flow\"");
    let straight: String = straight.lines().filter(|line| !line.starts_with("sigma_")).collect::<Vec<_>>().join("\n");
    fs::write(folder.path().join("straight.toml"), straight.replace("1e-9", "1e-3")).expect("a file");
    for (arguments, wanted) in [
        ("exact.toml --data x.txt", "--data x.txt: must be test, train or a .npy file"),
        ("exact.toml --data none.npy", "--data none.npy: no such file"),
        ("exact.toml --data wide.npy", "--data wide.npy: has shape [4, 3]; should be (N, 1)"),
        ("exact.toml --tolerance 1e-9", "must be a number ≥ 1e-6 and ≤ 0.1"),
        ("exact.toml --repeats 0", "must be a whole number ≥ 1"),
        ("exact.toml --method elbo", "--method"),
        ("exact.toml --encoded z.csv", "--encoded z.csv: must end in .npy"),
        ("exact.toml --method bound --encoded z.npy", "--encoded z.npy: must be left out with --method bound"),
        ("exact.toml --out p.csv", "--out p.csv: must end in .npy"),
        ("missing", "missing: no such file or folder"),
        ("straight.toml --method bound", "needs a process that keeps some signal"),
    ] {
        let before = fs::read_dir(folder.path()).expect("a folder").count();
        let line = format!("likelihood {arguments} --device cpu");
        let said = tweedie(folder.path(), &words(&line));
        assert_eq!(said.code, Some(2), "{line}: {}", said.stderr);
        let one_line = said.stderr.trim_end().lines().count() == 1;
        assert!(said.stderr.contains(wanted) && one_line, "{line}: {}", said.stderr);
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), before, "{arguments} left something");
    }
}
