//! `tweedie sample --known --mask --particles`: the law of what is not known, in f32 as users run it.

use std::fs;
use std::path::Path;

use crate::common::binary::{expect_bad, good};
use crate::common::gpu;
use crate::common::sampling::normal_distribution;
use crate::common::small_run;
use tweedie::data::{read_npy, write_npy};

/// Modes of width ½ at (−1, −1) and (1, 1).
const TWO_MODES: &str = "[data]\nkind = \"mixture\"\nweights = [0.5, 0.5]\nmeans = [[-1.0, -1.0], [1.0, 1.0]]\n\
                         widths = [0.5, 0.5]\nn = 600\n[model]\nkind = \"exact\"\n[sde]\nkind = \"vp\"\n\
                         [sample]\nkind = \"ancestral\"\nsteps = 50\n";
/// The first coordinate.
const KNOWN: f64 = 0.3;

/// P(x2 > 0 | x1 = KNOWN) of the two modes.
fn upper_share() -> f64 {
    let mode = |mean: f64| (-0.5 * ((KNOWN - mean) / 0.5).powi(2)).exp();
    let share = mode(1.0) / (mode(1.0) + mode(-1.0));
    share * normal_distribution(2.0) + (1.0 - share) * normal_distribution(-2.0)
}

/// A folder with `two.toml`, and that the first coordinate is known.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("two.toml"), TWO_MODES).expect("a config");
    write_npy(&folder.path().join("known.npy"), &[1, 2], &[KNOWN as f32, 77.0]).expect("a sample");
    write_npy(&folder.path().join("mask.npy"), &[2], &[1.0, 0.0]).expect("a mask");
    folder
}

/// Samples, and what was said of them.
fn draw(folder: &Path, line: &str) -> (Vec<f32>, String) {
    let said = good(folder, &format!("sample {line} --known known.npy --mask mask.npy --out o.npy"));
    (read_npy(&folder.join("o.npy")).expect("samples").values.to_f32(), said.stderr)
}

/// The share of samples whose second coordinate is above 0. The first is what is known.
fn upper(x: &[f32]) -> f64 {
    assert!(x.chunks(2).all(|x| x[0] == KNOWN as f32), "what is known stays");
    x.chunks(2).filter(|x| x[1] > 0.0).count() as f64 / (x.len() / 2) as f64
}

#[test]
fn particles_draw_the_rest_by_its_law_given_what_is_known() {
    let folder = folder();
    let wanted = upper_share();
    assert!((wanted - 0.898).abs() < 5e-4, "{wanted}");
    // A standard error of 0.0034.
    let (x, said) = draw(folder.path(), "two.toml --device cpu --n 8000 --particles 16");
    let found = upper(&x);
    println!("{found}, should be {wanted}");
    assert!((found - wanted).abs() < 0.02, "{found}, should be {wanted}");
    assert!(said.contains("by ancestral with 16 particles each, 800 evaluations and as many gradients each"), "{said}");
    // Fewer come less near: one particle goes where it is drawn, and nothing weighs it.
    let alone = upper(&draw(folder.path(), "two.toml --device cpu --n 4000 --particles 1").0);
    assert!((alone - wanted).abs() > 0.1, "{alone}, which would make particles useless");
}

#[test]
fn replacement_converges_to_another_law() {
    let folder = folder();
    for (sampler, steps) in [("ancestral", 50), ("ancestral", 400), ("euler-maruyama", 400)] {
        let line = format!("two.toml --device cpu --n 8000 --sampler {sampler} --steps {steps}");
        let found = upper(&draw(folder.path(), &line).0);
        println!("{sampler}, {steps} steps: {found}, and {} is right", upper_share());
        // The documentation says so. Four standard errors of 0.0054.
        assert!((found - 0.645).abs() < 0.025, "{sampler}, {steps} steps: {found}");
    }
}

#[test]
fn particles_on_a_gpu_follow_the_same_law() {
    let folder = folder();
    let line = |device: &str| format!("two.toml --device {device} --n 250 --particles 8 --seed 3");
    let on_gpu = draw(folder.path(), &line(gpu::choice())).0;
    let on_cpu = draw(folder.path(), &line("cpu")).0;
    let (found, wanted) = (upper(&on_gpu), upper_share());
    // Four standard errors of 0.019.
    assert!((found - wanted).abs() < 0.076, "{found}, should be {wanted}");
    // Where a group is resampled on one device and not on the other by a hair, samples differ; else by rounding alone.
    let alike = on_gpu.chunks(2).zip(on_cpu.chunks(2)).filter(|(a, b)| (a[1] - b[1]).abs() < 1e-3).count();
    println!("{found} on the GPU; {alike} of 250 are those of the CPU");
    assert!(alike > 225, "{alike} of 250");
}

#[test]
fn two_of_three_coordinates_decide_the_modes_of_the_third() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let weights: [f64; 3] = [0.5, 0.3, 0.2];
    let means: [[f64; 3]; 3] = [[-1.0, 0.5, 1.5], [1.0, -0.3, 0.0], [0.3, 0.8, -1.5]];
    let widths: [f64; 3] = [0.5, 0.4, 0.6];
    let config = format!(
        "[data]\nkind = \"mixture\"\nweights = {weights:?}\nmeans = {means:?}\nwidths = {widths:?}\nn = 600\n\
         [model]\nkind = \"exact\"\n[sde]\nkind = \"ve\"\nsigma_min = 0.02\nsigma_max = 10.0\n\
         [sample]\nkind = \"ancestral\"\nsteps = 150\nspacing = \"log-snr\"\n"
    );
    fs::write(folder.path().join("three.toml"), config).expect("a config");
    let n = 2000;
    // The second coordinate is unknown; of every other sample others are known.
    let known: [[f64; 3]; 2] = [[0.3, 77.0, 0.7], [0.5, 77.0, -0.6]];
    let rows: Vec<f32> = (0..2 * n).flat_map(|i| known[i % 2].map(|x| x as f32)).collect();
    write_npy(&folder.path().join("known.npy"), &[2 * n, 3], &rows).expect("samples");
    write_npy(&folder.path().join("mask.npy"), &[3], &[1.0, 0.0, 1.0]).expect("a mask");
    let (x, _) = draw(folder.path(), "three.toml --device cpu --particles 32");
    for (parity, known) in known.into_iter().enumerate() {
        let x: Vec<&[f32]> = x.chunks(3).skip(parity).step_by(2).collect();
        assert!(x.iter().all(|x| x[0] == known[0] as f32 && x[2] == known[2] as f32), "what is known stays");
        let density = |k: usize| -> f64 {
            let square: f64 = [0, 2].iter().map(|d: &usize| (known[*d] - means[k][*d]).powi(2)).sum();
            weights[k] * (-0.5 * square / widths[k].powi(2)).exp() / widths[k].powi(2)
        };
        let total: f64 = (0..3).map(density).sum();
        let shares = [0, 1, 2].map(|k| density(k) / total);
        let mean: f64 = (0..3).map(|k| shares[k] * means[k][1]).sum();
        let square: f64 = (0..3).map(|k| shares[k] * (means[k][1].powi(2) + widths[k].powi(2))).sum();
        let deviation = (square - mean * mean).sqrt();
        let below =
            |x: f64| -> f64 { (0..3).map(|k| shares[k] * normal_distribution((x - means[k][1]) / widths[k])).sum() };
        let values: Vec<f64> = x.iter().map(|x| f64::from(x[1])).collect();
        let average = |of: &dyn Fn(f64) -> f64| values.iter().map(|x| of(*x)).sum::<f64>() / n as f64;
        let found = average(&|x| x);
        let spread = average(&|x| (x - found).powi(2)).sqrt();
        println!("shares {shares:?}: mean {found}, should be {mean}; deviation {spread}, should be {deviation}");
        // Four standard errors, and what 150 steps and 32 particles are off by.
        let error = deviation / (n as f64).sqrt();
        assert!((found - mean).abs() < 4.0 * error + 0.02, "mean {found}, should be {mean}");
        assert!((spread / deviation - 1.0).abs() < 0.06, "deviation {spread}, should be {deviation}");
        for edge in [-0.6, 0.0, 0.3, 0.8, 1.3] {
            let share = average(&|x| f64::from(u8::from(x < edge)));
            let error = (below(edge) * (1.0 - below(edge)) / n as f64).sqrt();
            assert!(
                (share - below(edge)).abs() < 4.0 * error + 0.02,
                "{share} below {edge}, should be {}",
                below(edge)
            );
        }
    }
}

#[test]
fn a_sample_of_particles_does_not_depend_on_how_many_are_drawn() {
    let folder = folder();
    // 341 groups of three, 204 of five are taken at a time.
    for particles in [3, 5] {
        let line = |n: usize, seed: usize| {
            format!("two.toml --device cpu --steps 6 --particles {particles} --n {n} --seed {seed}")
        };
        let many = draw(folder.path(), &line(700, 1)).0;
        for n in [1, 8, 400] {
            assert_eq!(draw(folder.path(), &line(n, 1)).0[..], many[..2 * n], "{n} of {particles} particles");
        }
        assert_ne!(draw(folder.path(), &line(8, 2)).0[..], many[..16], "another seed");
        let lot = 2 * (1024 / particles);
        assert_ne!(many[..16], many[lot..lot + 16], "the second lot is the first again");
    }
}

#[test]
fn particles_go_with_networks_and_every_end_and_spacing() {
    let folder = small_run::folder();
    write_npy(&folder.path().join("known.npy"), &[1, 2], &[0.9, 77.0]).expect("a sample");
    write_npy(&folder.path().join("mask.npy"), &[2], &[1.0, 0.0]).expect("a mask");
    let flags = "--device cpu --sampler ancestral --particles 4 --n 300";
    for (more, evaluations) in
        [("", 32), ("--set sample.denoise=false", 36), ("--spacing equal-work", 32), ("--spacing karras", 32)]
    {
        let (x, said) = draw(folder.path(), &format!("run {flags} {more}"));
        assert!(x.len() == 600 && x.chunks(2).all(|x| x[0] == 0.9 && x[1].is_finite()), "{more}");
        assert!(said.contains(&format!("{evaluations} evaluations and as many gradients each")), "{more}: {said}");
    }
    // Without any signal at the start.
    let flow = format!("{}{}", small_run::DATA, small_run::EXACT).replace("\"vp\"", "\"rectified-flow\"");
    fs::write(folder.path().join("flow.toml"), flow).expect("a config");
    let (x, _) = draw(folder.path(), &format!("flow.toml {flags} --steps 40"));
    // Whose first coordinate is 0.9 is of the mode at (1, −½), of width 0.2.
    let mean = x.chunks(2).map(|x| f64::from(x[1])).sum::<f64>() / 300.0;
    assert!((mean + 0.5).abs() < 0.05, "{mean}");
}

#[test]
fn particles_are_told_the_class_of_their_sample() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = "[data]\nkind = \"digits\"\n[model]\nkind = \"unet\"\nchannels = 4\nmultipliers = [1]\ngroups = 2\n\
                  conditional = true\n[sde]\nkind = \"vp\"\n[loss]\nkind = \"denoising\"\n[train]\nsteps = 6\nbatch = 8\n\
                  checkpoint_activations = true\nlearning_rate = 0.05\nevaluate_every = 6\n\
                  [sample]\nkind = \"ancestral\"\nsteps = 3\nn = 4\n";
    fs::write(folder.path().join("u.toml"), config).expect("a config");
    good(folder.path(), "train u.toml --device cpu --out run");
    let known: Vec<f32> = (0..64).map(|i| ((i * 37 % 64) as f32 - 31.5) / 32.0).collect();
    let mask: Vec<f32> = (0..64).map(|i| f32::from(u8::from(i < 32))).collect();
    write_npy(&folder.path().join("known.npy"), &[1, 8, 8, 1], &known).expect("a picture");
    write_npy(&folder.path().join("mask.npy"), &[8, 8, 1], &mask).expect("a mask");
    // More particles than the eight samples of a training batch.
    for particles in [3, 11] {
        let draw =
            |flags: &str| draw(folder.path(), &format!("run --device cpu --n 3 --particles {particles} {flags}")).0;
        let (any, three, guided) = (draw(""), draw("--class 3"), draw("--class 3 --guidance 2"));
        assert!(any != three && three != guided, "class and guidance matter");
        for x in any.chunks(64).chain(guided.chunks(64)) {
            assert_eq!(x[..32], known[..32], "what is known stays");
        }
    }
}

#[test]
fn what_does_not_go_with_particles_is_one_line() {
    let folder = folder();
    let noise = |name: &str, shape: &[usize]| {
        let values = vec![0.5; shape.iter().product()];
        write_npy(&folder.path().join(name), shape, &values).expect("noise");
    };
    noise("z.npy", &[4, 2]);
    noise("steps.npy", &[50, 1, 4, 2]);
    let known = "sample two.toml --device cpu --known known.npy --mask mask.npy";
    let with = |flags: &str| format!("{known} {flags}");
    let sampler = "add --sampler ancestral";
    let several = ["must be left out", "several paths"];
    expect_bad(
        folder.path(),
        &[
            (&with("--particles 0 --out b.npy"), &["--particles", "0", "≥ 1 and ≤ 256"]),
            (&with("--particles 257 --out b.npy"), &["--particles", "257", "≥ 1 and ≤ 256"]),
            (&with("--particles -3 --out b.npy"), &["--particles", "-3", "≥ 1 and ≤ 256"]),
            (&with("--particles many --out b.npy"), &["--particles", "many", "≥ 1 and ≤ 256"]),
            ("sample two.toml --particles 4 --out b.npy", &["--particles 4", "--known", "--mask"]),
            (
                &with("--particles 4 --sampler ode-heun --out b.npy"),
                &["--particles 4", "of ancestral, not of ode-heun", sampler],
            ),
            (&with("--particles 4 --sampler ddim --set sample.eta=1 --out b.npy"), &["--particles 4", "ddim", sampler]),
            (&with("--particles 4 --sampler rk45 --out b.npy"), &["--particles 4", "rk45", sampler]),
            (&with("--particles 4 --noise z.npy --out b.npy"), &["--noise z.npy", several[0], several[1]]),
            (&with("--particles 4 --step-noise steps.npy --out b.npy"), &["--step-noise steps.npy", several[0]]),
            (&with("--particles 4 --out b.gif"), &["--out b.gif", "no single trajectory", ".png, .npy or .csv"]),
        ],
    );
}
