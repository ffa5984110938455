//! `tweedie likelihood`, as a user calls it.

use std::fs;

use crate::common::binary::{good, tweedie, words};
use crate::common::gpu;
use tempfile::TempDir;
use tweedie::config::{Config, Overrides};
use tweedie::data::{Mixture, Width, digits, read_npy, write_npy};
use tweedie::engine::Device;
use tweedie::likelihood::Divergence;
use tweedie::loss::Projection;
use tweedie::sampler::dormand_prince::DormandPrince;
use tweedie::train::draw::likelihood::{Method, Question, evaluate, load};
use tweedie::train::error::TrainError;
use tweedie::train::experiment::{Classes, Experiment};

const EXACT: &str = r#"
[data]
kind = "mixture"
weights = [0.5, 0.5]
means = [[-1.0], [1.0]]
widths = [0.25, 0.25]
n = 6000
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

/// The mixture of `exact.toml` with the noise that the flow begins with.
fn log_density(x: f32) -> f64 {
    let widths = [0.25, 0.25].map(Width::Isotropic);
    let mixture = Mixture::new(&[0.5, 0.5], &[vec![-1.0], vec![1.0]], &widths).expect("a mixture");
    mixture.log_density(&[f64::from(x)], 1.0, 0.002)
}

fn floats(folder: &TempDir, name: &str) -> Vec<f32> {
    read_npy(&folder.path().join(name)).expect("an array").values.to_f32()
}

/// The densities of ½ N(±1, ¼²), the published among them, on both devices, in f32.
#[test]
fn the_density_of_a_mixture_on_cpu_and_gpu() {
    let folder = folder();
    let known = [(0.0f32, -7.532_644), (0.5, -2.225_791), (1.0, -0.225_791), (1.5, -2.225_791)];
    for (x, density) in known {
        assert!((log_density(x) - density).abs() < 1e-3, "log p({x}), published {density}");
    }
    let points: Vec<f32> = (-50..=50).map(|i| i as f32 / 25.0).chain(known.map(|(x, _)| x)).collect();
    write_npy(&folder.path().join("x.npy"), &[points.len(), 1], &points).expect("an array");
    for device in ["cpu".to_string(), gpu::choice().to_string()] {
        let command = format!("likelihood exact.toml --data x.npy --divergence exact --out p.npy --device {device}");
        let said = good(folder.path(), &command).stdout;
        assert!(said.contains("bits per dimension (continuous values)"), "{said}");
        let found = floats(&folder, "p.npy");
        assert_eq!(found.len(), points.len());
        for (found, x) in found.iter().zip(&points) {
            let wanted = log_density(*x);
            assert!((f64::from(*found) - wanted).abs() < 5e-3, "{device}: log p({x}) = {found}, should be {wanted}");
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
fn the_bound_of_an_exact_model_is_the_entropy_in_the_mean() {
    let folder = folder();
    let command = "likelihood exact.toml --data train --method bound --times 200 --out p.npy --device cpu";
    let said = good(folder.path(), command).stdout;
    let line = said.lines().find(|line| line.contains("nats")).expect("a line on nats").to_owned();
    let numbers: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let found: Vec<f64> = floats(&folder, "p.npy").into_iter().map(f64::from).collect();
    let n = found.len() as f64;
    let mean = found.iter().sum::<f64>() / n;
    let error = (found.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n / (n - 1.0)).sqrt();
    assert!((numbers[0] - mean).abs() < 1e-4 && (numbers[1] - error).abs() < 1e-4, "{line}: {mean} ± {error}");
    assert!((mean + 0.725_697_818).abs() < 4.0 * error && error < 0.015, "{mean} ± {error}");
}

#[test]
fn one_sample_has_no_standard_error() {
    let folder = folder();
    let said = good(folder.path(), "likelihood exact.toml --n 1 --device cpu").stdout;
    assert!(said.contains("test, 1 samples") && !said.contains('±') && !said.contains("NaN"), "{said}");
}

#[test]
fn a_sample_that_has_no_likelihood_costs_no_other_its_own() {
    let folder = folder();
    fs::write(folder.path().join("narrow.toml"), EXACT.replace("[0.25, 0.25]", "[0.01, 0.01]")).expect("a file");
    let narrow = Mixture::new(&[0.5, 0.5], &[vec![-1.0], vec![1.0]], &[0.01, 0.01].map(Width::Isotropic));
    // In units of the widths its square is not finite.
    write_npy(&folder.path().join("x.npy"), &[3, 1], &[0.99, 9e17, 1.0]).expect("an array");
    for (flags, reason) in [
        ("--divergence exact", "the probability flow of sample 1 (counted from 0) cannot be followed"),
        ("--method bound", "the bound of sample 1 (counted from 0) is not finite"),
    ] {
        let line = format!("likelihood narrow.toml --data x.npy {flags} --out p.npy --device cpu");
        let said = tweedie(folder.path(), &words(&line));
        let wanted = format!("error: {reason}");
        assert!(said.code == Some(1) && said.stderr.contains(&wanted), "{line}: {}", said.stderr);
        assert!(said.stderr.contains("1 of 3 samples are without a likelihood, NaN in p.npy"), "{}", said.stderr);
        assert!(said.stdout.contains("2 of 3 samples") && !said.stdout.contains("NaN"), "{}", said.stdout);
        let found = floats(&folder, "p.npy");
        assert!(found[1].is_nan() && found[0].is_finite() && found[2].is_finite(), "{found:?}");
        if flags.contains("exact") {
            let exact = narrow.as_ref().expect("a mixture").log_density(&[1.0], 1.0, 0.002);
            assert!((f64::from(found[2]) - exact).abs() < 5e-3, "{found:?}, {exact}");
        }
    }
}

#[test]
fn what_is_done_is_kept_when_it_is_stopped() {
    let folder = folder();
    let config = Config::read(&folder.path().join("exact.toml"), &Overrides::none()).expect("a config");
    let experiment = Experiment::new(&config).expect("an experiment");
    let data: Vec<f32> = experiment.train_data().values.to_f32()[..1300].to_vec();
    let solver = DormandPrince { absolute: 1e-3, relative: 1e-3 };
    let flow = Method::Flow { divergence: Divergence::Hutchinson(Projection::Rademacher), solver };
    for method in [flow, Method::Bound { times: 8 }] {
        let (bin_width, classes) = (None, Classes::Any);
        let question = Question { data: &data, bin_width, classes, method, repeats: 2, seed: 0 };
        let mut engine = load(&experiment, &Device::Cpu, &question).expect("programs");
        // 1024 samples are taken at a time: progress is reported before and after these.
        let mut reported = Vec::new();
        let mut stop_at = |most: u64| {
            let mut progress = |done: u64, total: u64| {
                assert_eq!(total, 2600);
                reported.push(done);
                done < most
            };
            evaluate(engine.as_mut(), &experiment, &question, &mut progress)
        };
        let part = stop_at(1024).expect("an answer");
        assert!(part.stopped && part.known() == 1024, "{method:?}: {}", part.known());
        assert!(part.log_density[..1024].iter().all(|nats| nats.is_finite()) && part.log_density[1024].is_nan());
        assert!(matches!(stop_at(0), Err(TrainError::Interrupted)), "{method:?}");
        let once = stop_at(1300).expect("an answer");
        let whole = stop_at(u64::MAX).expect("an answer");
        assert!(once.stopped && once.known() == 1300 && !whole.stopped && whole.known() == 1300);
        assert_eq!(part.log_density[..1024], once.log_density[..1024], "{method:?}");
        assert!(whole.faults.is_empty() && (whole.nats().value - once.nats().value).abs() < 0.1);
        assert!(reported[0] == 0 && reported.contains(&1024), "{method:?}: {reported:?}");
    }
}

#[test]
fn a_question_that_makes_no_sense_is_an_error() {
    let folder = folder();
    let two = EXACT.replace("[[-1.0], [1.0]]", "[[-1.0, 0.0], [1.0, 0.0]]");
    fs::write(folder.path().join("two.toml"), two).expect("a file");
    let config = Config::read(&folder.path().join("two.toml"), &Overrides::none()).expect("a config");
    let experiment = Experiment::new(&config).expect("an experiment");
    let method = Method::Bound { times: 4 };
    let good = Question { data: &[0.0; 4], bin_width: None, classes: Classes::Any, method, repeats: 1, seed: 0 };
    assert!(good.check(&experiment).is_ok());
    for (question, wanted) in [
        (Question { data: &[], ..good.clone() }, "0 values for samples of 2"),
        (Question { data: &[0.0; 3], ..good.clone() }, "3 values for samples of 2: must be a multiple of 2"),
        (Question { repeats: 0, ..good.clone() }, "0 repetitions: must be at least 1"),
        (Question { classes: Classes::Each(&[1]), ..good.clone() }, "1 classes for 2 samples"),
        (Question { method: Method::Bound { times: 0 }, ..good.clone() }, "0 noise levels"),
    ] {
        let error = load(&experiment, &Device::Cpu, &question).err().expect("an error").to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

/// A tiny U-Net for the digits that was told classes, trained on spread values for a moment.
fn digits_run(folder: &TempDir, name: &str, label_dropout: f64) {
    let config = format!(
        "[data]\nkind = \"digits\"\n[model]\nkind = \"unet\"\nchannels = 4\nmultipliers = [1]\ngroups = 2\n\
         conditional = true\nlabel_dropout = {label_dropout:?}\n[sde]\nkind = \"vp\"\n[loss]\nkind = \"denoising\"\n\
         [train]\nsteps = 4\nbatch = 8\nlearning_rate = 0.05\ndequantise = true\nevaluate_every = 4\n\
         [sample]\nkind = \"ode-euler\"\nsteps = 2\nn = 2\n"
    );
    fs::write(folder.path().join(format!("{name}.toml")), config).expect("a file");
    good(folder.path(), &format!("train {name}.toml --device cpu --out {name}"));
}

#[test]
fn digits_are_judged_as_intervals_and_by_their_classes() {
    let folder = folder();
    digits_run(&folder, "run", 0.3);
    digits_run(&folder, "never", 0.0);
    let n = 5;
    let asked = |run: &str, flags: &str| {
        let line = format!("likelihood {run} --n {n} --tolerance 1e-2 {flags} --out p.npy --device cpu");
        (good(folder.path(), &line).stdout, floats(&folder, "p.npy"))
    };
    let (said, own) = asked("run", "");
    assert!(said.contains("test, 5 samples told their classes") && said.contains("(17 levels)"), "{said}");
    // Bits count intervals of an eighth.
    let nats = own.iter().map(|nats| f64::from(*nats)).sum::<f64>() / n as f64;
    let bits = -(nats / 64.0 + 0.125f64.ln()) / std::f64::consts::LN_2;
    let printed: f64 = said.lines().nth(1).and_then(|line| line.split(' ').next()?.parse().ok()).expect("bits");
    assert!((printed - bits).abs() < 1e-4, "{said}: {bits}");

    let labels = digits().and_then(|digits| digits.split()).expect("digits").held_out.labels.expect("labels");
    let (said, one) = asked("run", &format!("--class {}", labels[0]));
    assert!(said.contains(&format!("told class {}", labels[0])), "{said}");
    let (_, any) = asked("run", "--class any");
    for i in 0..n {
        assert_eq!(own[i] == one[i], labels[i] == labels[0], "sample {i}: {} and {}", own[i], one[i]);
        assert_ne!(own[i], any[i], "sample {i}");
    }
    // Each draw spreads the values anew.
    assert_ne!(own, asked("run", "--seed 1").1);

    asked("never", "");
    write_npy(&folder.path().join("blank.npy"), &[1, 64], &[-1.0; 64]).expect("an array");
    let mut off = [-0.875; 64];
    off[3] = 0.03;
    write_npy(&folder.path().join("off.npy"), &[1, 64], &off).expect("an array");
    write_npy(&folder.path().join("bright.npy"), &[1, 64], &[1.125; 64]).expect("an array");
    let nothing_of_any = "(model.label_dropout = 0), and knows nothing of any class";
    for (line, wanted) in [
        ("likelihood never --class any", nothing_of_any),
        ("likelihood never --data blank.npy", "--class: must be from 0 to 9"),
        ("likelihood never --data blank.npy --class own", "--class own: of blank.npy no classes are known"),
        ("likelihood run --class 10", "--class 10: must be from 0 to 9"),
        ("likelihood exact.toml --class own", "--class own: this network knows no classes"),
        ("likelihood exact.toml --class some", "must be own, any or a whole number"),
        (
            "likelihood run --data off.npy",
            "value 3 (counted from 0) is 0.03; must be one of 17 levels from -1 to 1, 0.125",
        ),
        ("likelihood run --data bright.npy", "value 0 (counted from 0) is 1.125; must be one of 17 levels"),
        ("sample never --out s.npy", nothing_of_any),
        ("sample never --class 3 --guidance 2 --out s.npy", "--guidance 2: must be 1: this network was told"),
        ("score never --x blank.npy --t 0.5 --out s.npy", nothing_of_any),
        ("score run --x blank.npy --t 0.5 --class 10 --out s.npy", "--class 10: must be from 0 to 9"),
    ] {
        refused(&folder, line, wanted);
    }
    // What is asked for the class that a network knows is answered, and is not what it says of others.
    let scored = |class: &str| {
        good(folder.path(), &format!("score never --x blank.npy --t 0.5 --class {class} --out s.npy --device cpu"));
        floats(&folder, "s.npy")
    };
    assert_ne!(scored("3"), scored("5"));
    good(folder.path(), "sample never --class 3 --n 1 --out s.npy --device cpu");
}

/// One line, exit code 2, and nothing is left behind.
fn refused(folder: &TempDir, line: &str, wanted: &str) {
    let before = fs::read_dir(folder.path()).expect("a folder").count();
    let line = format!("{line} --device cpu");
    let said = tweedie(folder.path(), &words(&line));
    assert_eq!(said.code, Some(2), "{line}: {}", said.stderr);
    let one_line = said.stderr.trim_end().lines().count() == 1;
    assert!(said.stderr.contains(wanted) && one_line, "{line}: {}", said.stderr);
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), before, "{line} left something");
}

#[test]
fn what_makes_no_sense_is_one_line_and_exit_code_2() {
    let folder = folder();
    fs::write(folder.path().join("x.txt"), "1").expect("a file");
    write_npy(&folder.path().join("wide.npy"), &[4, 3], &[0.0; 12]).expect("an array");
    let straight = EXACT.replace("kind = \"ve\"", "kind = \"rectified-flow\"");
    let straight: String = straight.lines().filter(|line| !line.starts_with("sigma_")).collect::<Vec<_>>().join("\n");
    fs::write(folder.path().join("straight.toml"), straight.replace("1e-9", "1e-3")).expect("a file");
    let steep = EXACT.replace("kind = \"ve\"", "kind = \"sigmoid\"").replace("t_min = 1e-9", "t_max = 1.0");
    let steep: String = steep.lines().filter(|line| !line.starts_with("sigma_")).collect::<Vec<_>>().join("\n");
    fs::write(folder.path().join("steep.toml"), steep).expect("a file");
    for (arguments, wanted) in [
        ("exact.toml --data x.txt", "--data x.txt: must be test, train or a .npy file"),
        ("exact.toml --data none.npy", "--data none.npy: no such file"),
        ("exact.toml --data wide.npy", "--data wide.npy: has shape [4, 3]; should be (N, 1)"),
        ("exact.toml --tolerance 1e-9", "must be a number ≥ 1e-6 and ≤ 0.1"),
        ("exact.toml --repeats 0", "must be a whole number ≥ 1"),
        ("exact.toml --method elbo", "--method"),
        ("exact.toml --encoded z.csv", "--encoded z.csv: must end in .npy"),
        ("exact.toml --method bound --encoded z.npy", "--encoded z.npy: must be left out: the bound follows no flow"),
        ("exact.toml --out p.csv", "--out p.csv: must end in .npy"),
        ("missing", "missing: no such file or folder"),
        ("straight.toml --method bound", "needs a process that keeps some signal"),
        ("steep.toml", "the probability flow of the sigmoid process has an endless slope at t = 1"),
        ("exact.toml --times 8", "--times 8: must be left out: the flow asks for no noise levels"),
        (
            "exact.toml --method bound --divergence exact",
            "--divergence exact: must be left out: the bound follows no flow",
        ),
        (
            "exact.toml --method bound --tolerance 0.001",
            "--tolerance 0.001: must be left out: the bound follows no flow",
        ),
        ("exact.toml --divergence exact --repeats 2", "--repeats 2: must be left out: with --divergence exact nothing"),
        ("exact.toml --divergence exact --seed 2", "--seed 2: must be left out: with --divergence exact nothing"),
    ] {
        refused(&folder, &format!("likelihood {arguments}"), wanted);
    }
}
