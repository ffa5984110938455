//! The command line: bad input is one line with the way out and touches nothing; good input does what it says.
#![cfg(feature = "cli")]

#[path = "common/binary.rs"]
mod binary;
#[path = "common/gpu.rs"]
mod gpu;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use binary::{everything_in, good, tweedie, words};
use tempfile::TempDir;
use tweedie::data::{read_csv, read_npy, write_npy};
use tweedie::plan::Plan;

/// Two modes in the plane.
const WEIGHTS: [f64; 2] = [0.7, 0.3];
const MEANS: [[f64; 2]; 2] = [[-1.0, 0.5], [1.0, -0.5]];
const WIDTHS: [f64; 2] = [0.3, 0.2];

const DATA: &str = r#"
[data]
kind = "mixture"
weights = [0.7, 0.3]
means = [[-1.0, 0.5], [1.0, -0.5]]
widths = [0.3, 0.2]
n = 600
[sde]
kind = "vp"
[train]
steps = 30
batch = 16
checkpoint_every = 10
evaluate_every = 15
[sample]
kind = "ode-heun"
steps = 8
n = 8
"#;

const NETWORK: &str = "[model]\nkind = \"mlp\"\nwidth = 8\ndepth = 1\nembedding = 8\n";
const EXACT: &str = "[model]\nkind = \"exact\"\n";

/// A `.npy` file with this header and data, as the format says: magic, version, length, padded header.
fn npy(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).expect("a short header").to_le_bytes();
    [&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes(), data].concat()
}

/// A folder with configs, arrays and one run (`run`, 30 steps).
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect("a file");
    write("tiny.toml", format!("{DATA}{NETWORK}").as_bytes());
    write("exact.toml", format!("{DATA}{EXACT}").as_bytes());
    let points = [0.3f32, -0.2, 1.1, -0.4, -1.2, 0.7, 0.0, 0.0, -2.5, 3.0];
    write_npy(&folder.path().join("x.npy"), &[5, 2], &points).expect("points");
    good(folder.path(), "train tiny.toml --device cpu --out run");
    folder
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for (path, content) in everything_in(from) {
        let target = to.join(path.strip_prefix(from).expect("a path below"));
        match content {
            None => fs::create_dir_all(&target).expect("a folder"),
            Some(bytes) => {
                fs::create_dir_all(target.parent().expect("a folder above")).expect("a folder");
                fs::write(&target, bytes).expect("a file");
            }
        }
    }
}

/// Runs lines that are bad and expects of each one line on stderr with all the words, exit code 2, and no trace.
fn expect_bad(folder: &Path, lines: &[(&str, &[&str])]) {
    let before = everything_in(folder);
    let mut faults = Vec::new();
    for (line, wanted) in lines {
        let said = tweedie(folder, &words(line));
        let mut fault =
            |what: String| faults.push(format!("tweedie {line}\n    {what}\n    {}", said.stderr.trim_end()));
        if said.code != Some(2) {
            fault(format!("exit code {:?}", said.code));
        }
        if said.stderr.lines().count() != 1 || !said.stderr.starts_with("error: ") || !said.stdout.is_empty() {
            fault(format!("is not one line on stderr; stdout: {:?}", said.stdout));
        }
        let missing: Vec<_> = wanted.iter().filter(|word| !said.stderr.contains(**word)).collect();
        if !missing.is_empty() {
            fault(format!("does not say {missing:?}"));
        }
        let after = everything_in(folder);
        if after != before {
            let names = |all: &BTreeMap<PathBuf, _>| all.keys().cloned().collect::<Vec<_>>();
            panic!("tweedie {line} has left traces: {:?}, was {:?}", names(&after), names(&before));
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), lines.len(), faults.join("\n"));
}

#[test]
fn bad_arguments_are_one_line_and_touch_nothing() {
    let folder = folder();
    #[cfg(unix)]
    std::os::unix::fs::symlink("/dev/null", folder.path().join("device.npy")).expect("a link");
    expect_bad(
        folder.path(),
        &[
            ("", &["train", "--help"]),
            ("trian tiny.toml", &["trian", "train"]),
            ("train", &["CONFIG"]),
            ("train tiny.toml --wrong 3", &["--wrong"]),
            ("train tiny.toml --steps 0 --out new", &["--steps", "0"]),
            ("train tiny.toml --steps -3 --out new", &["-3", "--steps", "≥ 1"]),
            ("train tiny.toml --seed -1 --out new", &["-1", "--seed", "≥ 0", "2^63 - 1"]),
            ("sample run --n -1 --out a.npy", &["-1", "--n", "≥ 1"]),
            ("score run --x x.npy --t -1 --out s.npy", &["-1", "--t", "> 0"]),
            ("train . --out new", &[".: is a folder; a config is a .toml file"]),
            ("train run --out new", &["run: is a folder", "run/config.toml"]),
            ("train tiny.toml --steps 1.5 --out new", &["--steps", "1.5"]),
            ("train tiny.toml --steps 99999999999 --out new", &["--steps", "99999999999"]),
            ("train tiny.toml --seed x --out new", &["--seed", "x"]),
            ("train tiny.toml --resume --overwrite --out run", &["--resume", "--overwrite"]),
            ("train tiny.toml --device no-such-card --out new", &["no-such-card", "cpu"]),
            ("train missing.toml", &["missing.toml", "no such file", ".toml"]),
            #[cfg(unix)]
            ("train /dev/zero --out new", &["/dev/zero", "is longer than", ".toml"]),
            ("train exact.toml --out new", &["exact.toml", "model.kind", "sample"]),
            ("train tiny.toml --out new --resume", &["new", "no such folder"]),
            ("train tiny.toml --out run", &["run", "--resume", "--overwrite", "--out"]),
            ("train tiny.toml --out x.npy", &["x.npy", "folder", "--out"]),
            ("train tiny.toml --out x.npy/run", &["x.npy", "folder", "--out"]),
            ("train tiny.toml --out .", &[".", "--out", "config.toml"]),
            ("train tiny.toml --out run --resume --set train.batch=32", &["run", "train.batch", "16", "32", "--out"]),
            ("train tiny.toml --out run --resume --set sde.kind=ve", &["run", "sde.kind", "vp", "ve"]),
            ("sample run", &["--out"]),
            ("sample --out a.npy", &["RUN_OR_CONFIG"]),
            ("sample run --n 0 --out a.npy", &["--n", "0"]),
            ("sample run --steps 0 --out a.npy", &["--steps", "0"]),
            ("sample run --sampler euler --out a.npy", &["--sampler", "euler", "euler-maruyama", "ode-heun"]),
            ("sample run --out a.jpg", &["--out", "a.jpg", ".png", ".gif", ".npy", ".csv"]),
            ("sample run --out a", &["--out", ".npy"]),
            ("sample run --out nowhere/a.npy", &["--out", "nowhere"]),
            #[cfg(unix)]
            ("sample run --out device.npy", &["--out", "device.npy", "no regular file"]),
            #[cfg(unix)]
            ("score run --x device.npy --t 0.5 --out s.npy", &["--x", "device.npy", "no regular file"]),
            ("sample run --noise x.npy --out x.npy", &["--out", "x.npy", "--noise"]),
            ("score run --x x.npy --t 0.5 --out ./x.npy", &["--out", "x.npy", "--x"]),
            ("likelihood run --out a.npy --encoded ./a.npy", &["--encoded", "a.npy", "--out"]),
            ("likelihood run --data x.npy --out x.npy", &["--out", "x.npy", "--data"]),
            ("sample run/config.toml --out a.npy", &["run/config.toml", "the folder"]),
            ("sample nothing --out a.npy", &["nothing", "no such file or folder"]),
            ("sample run/step-7 --out a.npy", &["step-7"]),
            ("sample . --out a.npy", &["config.toml"]),
            ("sample tiny.toml --out a.npy", &["tiny.toml", "model.kind", "tweedie train"]),
            ("sample run --device no-such-card --out a.npy", &["no-such-card", "cpu"]),
            ("sample run --noise x.npy --n 5 --out a.npy", &["--noise", "--n"]),
            ("sample run --noise missing.npy --out a.npy", &["--noise", "missing.npy", "no such file"]),
            ("sample run --noise tiny.toml --out a.npy", &["--noise", "tiny.toml", ".npy"]),
            ("score run --x x.npy --out s.npy", &["--t", "--sigma", "--noise-to-signal"]),
            ("score run --x x.npy --t 0.5 --sigma 0.5 --out s.npy", &["--t", "--sigma"]),
            ("score run --x x.npy --t 0 --out s.npy", &["--t", "0", "1"]),
            ("score run --x x.npy --t 1.5 --out s.npy", &["--t", "1.5", "1"]),
            ("score run --x x.npy --t nan --out s.npy", &["--t", "nan"]),
            (
                "score run --x x.npy --sigma 1.5 --out s.npy",
                &["--sigma 1.5: the vp process has sigma from 0 (t = 0) to 0.9999"],
            ),
            ("score run --x x.npy --sigma inf --out s.npy", &["--sigma", "inf"]),
            ("score run --x x.npy --noise-to-signal 1e9 --out s.npy", &["--noise-to-signal", "1000000000", "vp"]),
            ("score run --x x.npy --t 0.5 --output noise --out s.npy", &["--output", "noise", "denoised", "epsilon"]),
            ("score run --x x.npy --t 0.5 --out s.csv", &["--out", "s.csv", "must end in .npy"]),
            ("score run --x missing.npy --t 0.5 --out s.npy", &["--x", "missing.npy"]),
            ("score tiny.toml --x x.npy --t 0.5 --out s.npy", &["tiny.toml", "model.kind", "tweedie train"]),
            ("plan missing.toml", &["missing.toml"]),
            ("plan tiny.toml --json plan.txt", &["--json", "plan.txt", ".json"]),
            ("plan tiny.toml --json nowhere/plan.json", &["--json", "nowhere"]),
            ("plan tiny.toml --wgsl x.npy", &["--wgsl", "x.npy", "folder"]),
        ],
    );
}

#[test]
fn bad_configs_are_one_line_and_touch_nothing() {
    let folder = folder();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    let whole = format!("{DATA}{NETWORK}");
    write("key.toml", &whole.replace("batch = 16", "bacth = 16"));
    write("type.toml", &whole.replace("batch = 16", "batch = \"16\""));
    write("range.toml", &whole.replace("batch = 16", "batch = 0"));
    write("kind.toml", &whole.replace("kind = \"vp\"", "kind = \"vpp\""));
    write("no-kind.toml", &whole.replace("kind = \"vp\"", ""));
    write("no-table.toml", DATA);
    write("table.toml", &format!("{whole}[sampel]\nn = 3\n"));
    write("broken.toml", &whole.replace("[sde]", "[sde"));
    write("binary.toml", "\0\u{1}");
    write("sum.toml", &whole.replace("[0.7, 0.3]", "[0.7, 0.4]"));
    write("means.toml", &whole.replace("[1.0, -0.5]]", "[1.0]]"));
    write("exact-file.toml", &format!("[data]\nkind = \"file\"\npath = \"x.npy\"\n[sde]\nkind = \"vp\"\n{EXACT}"));
    fs::write(folder.path().join("latin.toml"), b"# \xe9\n").expect("a file");
    write("ve.toml", &whole.replace("kind = \"vp\"", "kind = \"ve\"\nsigma_min = 2.0\nsigma_max = 1.0"));
    let train = |name: &str| format!("train {name}.toml --device cpu --out new");
    let lines: Vec<(String, &[&str])> = vec![
        (train("key"), &["key.toml", "train.bacth", "batch"]),
        (train("type"), &["type.toml", "train.batch", "16", "whole number"]),
        (train("range"), &["range.toml", "train.batch", "0", "≥ 1"]),
        (train("kind"), &["kind.toml", "sde.kind", "vpp", "vp, ve"]),
        (train("no-kind"), &["no-kind.toml", "sde", "kind", "vp"]),
        (train("no-table"), &["no-table.toml", "model"]),
        (train("table"), &["table.toml", "sampel", "sample"]),
        (train("broken"), &["broken.toml", "line 8", "TOML"]),
        (train("binary"), &["binary.toml", "TOML"]),
        (train("sum"), &["sum.toml", "weights", "1"]),
        (train("means"), &["means.toml", "means[1]"]),
        (train("ve"), &["ve.toml", "sigma_max"]),
        (train("latin"), &["latin.toml", "not UTF-8"]),
        (
            format!("{} --set data.kind=file --set data.path=nosuch", train("tiny")),
            &["tiny.toml with --set: data.path: nosuch: No such file"],
        ),
        (
            format!("{} --set train.flip=true", train("tiny")),
            &["tiny.toml with --set: train.flip = true: samples of shape [2]"],
        ),
        (
            "plan tiny.toml --set train.dequantise=true".into(),
            &["tiny.toml with --set: train.dequantise = true", "continuous"],
        ),
        (
            "plan tiny.toml --set model.kind=unet".into(),
            &["tiny.toml with --set: model.kind = \"unet\": needs images, but mixture"],
        ),
        (format!("{} --set loss.t_min=0.5", train("tiny")), &["loss.t_min", "at most sde.t_min"]),
        (format!("{} --set loss.noise=none", train("tiny")), &["loss.noise", "none", "\"all\"", "loss.kind"]),
        (
            format!("{} --set loss.kind=implicit --set loss.noise=none", train("tiny")),
            &["loss.parameterisation", "\"score\"", "loss.noise"],
        ),
        (
            format!("{} --set data.kind=checkerboard --set loss.kind=explicit", train("tiny")),
            &["loss.kind", "explicit", "mixture", "eight-gaussians"],
        ),
        ("sample exact-file.toml --out a.npy".into(), &["exact-file.toml", "model.kind", "mixture"]),
        (format!("{} --set train.batch", train("tiny")), &["--set", "table.key=value"]),
        (format!("{} --set train.batch=", train("tiny")), &["--set", "train.batch"]),
        (format!("{} --set train.batch=many", train("tiny")), &["--set", "train.batch", "many"]),
        (format!("{} --set trian.batch=3", train("tiny")), &["--set", "trian", "train"]),
        (format!("{} --set data.kind=file", train("tiny")), &["data.path"]),
        (format!("{} --set model.embedding=7", train("tiny")), &["model.embedding", "7", "even"]),
        ("plan key.toml --wgsl w --json p.json".into(), &["key.toml", "train.bacth"]),
        ("sample broken.toml --out a.npy".into(), &["broken.toml", "line 8"]),
        ("score key.toml --x x.npy --t 0.5 --out s.npy".into(), &["key.toml", "train.bacth"]),
    ];
    let lines: Vec<(&str, &[&str])> = lines.iter().map(|(line, wanted)| (line.as_str(), *wanted)).collect();
    expect_bad(folder.path(), &lines);
}

#[test]
fn bad_files_are_one_line_and_touch_nothing() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, bytes: &[u8]| fs::write(at(name), bytes).expect("a file");
    let floats = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    write("int.npy", &npy("<i4", "False", "(2, 2)", &[0; 16]));
    write("big.npy", &npy(">f4", "False", "(2, 2)", &[0; 16]));
    write("fortran.npy", &npy("<f4", "True", "(2, 2)", &[0; 16]));
    write("short.npy", &npy("<f4", "False", "(9, 2)", &[0; 16]));
    write("three.npy", &npy("<f4", "False", "(2, 3)", &[0; 24]));
    write("flat.npy", &npy("<f4", "False", "(4,)", &[0; 16]));
    write("empty.npy", &npy("<f4", "False", "(0, 2)", &[]));
    write("nan.npy", &npy("<f4", "False", "(2, 2)", &floats(&[0.0, 1.0, f32::NAN, 2.0])));
    write("inf.npy", &npy("<f4", "False", "(2, 2)", &floats(&[0.0, f32::INFINITY, 0.0, 2.0])));
    write("huge.npy", &npy("<f4", "False", "(18446744073709551615, 2)", &[0; 16]));
    write("text.npy", b"1,2\n3,4\n");
    write("same.npy", &npy("<f4", "False", "(12, 2)", &floats(&[0.5, 0.25].repeat(12))));
    write("latin.csv", b"1,2\n\xe9,3\n");
    write("one.npy", &npy("<f4", "False", "(1, 2)", &[0; 8]));
    write("word.csv", b"1,2\n3,x\n");
    write("ragged.csv", b"1,2\n3\n");
    write("data.txt", b"1 2\n");
    // Runs that are not whole.
    fs::create_dir(at("fresh")).expect("a folder");
    fs::copy(at("run/config.toml"), at("fresh/config.toml")).expect("a config");
    for name in ["cut", "lost", "other", "format", "pointer", "metrics", "reshaped", "out", "bytes", "folder", "nan"] {
        copy_folder(&at("run"), &at(name));
    }
    let ema = fs::read(at("run/step-30/ema.safetensors")).expect("weights");
    write("cut/step-30/ema.safetensors", &ema[..ema.len() / 2]);
    fs::remove_file(at("lost/step-30/state.json")).expect("a file");
    let optimizer = fs::read(at("run/step-30/optimizer.safetensors")).expect("moments");
    write("other/step-30/optimizer.safetensors", &[&optimizer[..], b"x"].concat());
    let state = fs::read_to_string(at("run/step-30/state.json")).expect("a state");
    write("format/step-30/state.json", state.replace("\"format\": 1", "\"format\": 99").as_bytes());
    write("pointer/latest", b"step-31\n");
    write("out/latest", b"../run/step-30\n");
    write("bytes/latest", b"\xff\xfe");
    fs::remove_file(at("folder/latest")).expect("a file");
    fs::create_dir(at("folder/latest")).expect("a folder");
    // Damaged within: as long as before, the last weight no number.
    let end = ema.len() - 4;
    write("nan/step-30/ema.safetensors", &[&ema[..end], &f32::NAN.to_le_bytes()[..]].concat());
    let metrics = fs::read_to_string(at("run/metrics.jsonl")).expect("metrics");
    write("metrics/metrics.jsonl", format!("nonsense\n{metrics}").as_bytes());
    let config = fs::read_to_string(at("run/config.toml")).expect("a config");
    write("reshaped/config.toml", config.replace("width = 8", "width = 12").as_bytes());

    let score = |x: &str| format!("score run --device cpu --x {x}.npy --t 0.5 --out s.npy");
    let train =
        |file: &str| format!("train tiny.toml --device cpu --out new --set data.kind=file --set data.path={file}");
    let resume = |run: &str| format!("train {run}/config.toml --device cpu --out {run} --resume --steps 60");
    let sample = |run: &str| format!("sample {run} --device cpu --out a.npy");
    let lines: Vec<(String, &[&str])> = vec![
        (score("int"), &["--x int.npy", "<i4", "<f4"]),
        (score("big"), &["big.npy", ">f4", "<f4"]),
        (score("fortran"), &["fortran.npy", "Fortran", "C order"]),
        (score("short"), &["short.npy", "16 bytes", "72 bytes"]),
        (score("three"), &["--x", "three.npy", "[2, 3]", "should be (N, 2) with N at least 1"]),
        (score("flat"), &["--x", "flat.npy", "[4]", "(N, 2)"]),
        (score("empty"), &["--x", "empty.npy", "[0, 2]", "at least 1"]),
        (score("nan"), &["--x", "nan.npy", "value 2", "NaN", "finite"]),
        (score("inf"), &["--x", "inf.npy", "value 1", "inf", "finite"]),
        (score("huge"), &["huge.npy", "shape"]),
        (score("text"), &["text.npy", "NumPy"]),
        (format!("{} --noise nan.npy", sample("run")), &["--noise", "nan.npy", "value 2", "finite"]),
        (format!("{} --noise three.npy", sample("exact.toml")), &["--noise", "three.npy", "[2, 3]", "(N, 2)"]),
        (train("missing.npy"), &["data.path", "missing.npy", "No such file"]),
        (train("int.npy"), &["data.path", "int.npy", "<i4", "<f4"]),
        (train("nan.npy"), &["data.path", "nan.npy", "NaN", "finite"]),
        (train("one.npy"), &["data.path", "one.npy"]),
        (train("empty.npy"), &["data.path", "empty.npy"]),
        (train("text.npy"), &["data.path", "text.npy", "NumPy"]),
        (train("word.csv"), &["data.path", "word.csv", "line 2", "column 2"]),
        (train("ragged.csv"), &["data.path", "ragged.csv", "line 2"]),
        (train("data.txt"), &["data.path", "data.txt", ".npy"]),
        (train("fresh"), &["data.path", "fresh"]),
        (sample("fresh"), &["fresh", "no checkpoint"]),
        ("score fresh --x x.npy --t 0.5 --out s.npy".into(), &["fresh", "no checkpoint"]),
        (sample("cut"), &["cut/step-30/ema.safetensors", "bytes", "truncated"]),
        (sample("cut/step-30"), &["cut/step-30/ema.safetensors", "bytes", "truncated"]),
        (
            resume("cut"),
            &[
                "cut/step-30/ema.safetensors",
                "truncated",
                "cut/step-20 is whole: to take it, write step-20 into cut/latest",
            ],
        ),
        (sample("lost"), &["lost/step-30/state.json", "missing"]),
        (resume("lost"), &["lost/step-30/state.json", "missing"]),
        (resume("other"), &["other/step-30/optimizer.safetensors", "bytes"]),
        (sample("format"), &["format/step-30/state.json", "99", "1"]),
        (sample("pointer"), &["pointer/latest", "step-31"]),
        (sample("out"), &["out/latest", "../run/step-30", "should hold a name such as step-"]),
        (sample("bytes"), &["bytes/latest", "is not text"]),
        (sample("folder"), &["folder/latest", "cannot be read"]),
        (sample("nan"), &["nan/step-30/ema.safetensors", "NaN", "damaged"]),
        (resume("nan"), &["nan/step-30/ema.safetensors", "NaN", "damaged"]),
        (train("same.npy"), &["tiny.toml with --set: [data]: all samples are the same in same"]),
        (train("latin.csv"), &["data.path", "latin.csv", "UTF-8"]),
        (resume("pointer"), &["pointer/latest", "step-31"]),
        (resume("metrics"), &["metrics/metrics.jsonl: line 1: is none", "column 2); remove the line"]),
        (sample("reshaped"), &["reshaped/step-30/ema.safetensors", "12", "8"]),
        (resume("reshaped"), &["reshaped/step-30/params.safetensors", "12", "8"]),
    ];
    let lines: Vec<(&str, &[&str])> = lines.iter().map(|(line, wanted)| (line.as_str(), *wanted)).collect();
    expect_bad(folder.path(), &lines);
    // What the complaint says is a way out.
    write("cut/latest", b"step-20");
    let said = good(folder.path(), &resume("cut"));
    assert!(said.stderr.contains("going on from step 20\n"), "{}", said.stderr);
    good(folder.path(), &sample("cut/step-60"));
}

/// The score of the two modes at one noise level, from the densities' own formula.
fn exact_score(x: [f64; 2], alpha: f64, sigma: f64) -> [f64; 2] {
    let variance = |k: usize| (alpha * WIDTHS[k]).powi(2) + sigma * sigma;
    let density = |k: usize| {
        let squared: f64 = (0..2).map(|d| (x[d] - alpha * MEANS[k][d]).powi(2)).sum();
        WEIGHTS[k] / variance(k) * (-0.5 * squared / variance(k)).exp()
    };
    let all = density(0) + density(1);
    [0, 1].map(|d| (0..2).map(|k| density(k) / all * (alpha * MEANS[k][d] - x[d]) / variance(k)).sum())
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
fn samples_of_a_run_come_as_pictures_and_as_numbers() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for source in ["run", "run/step-30", "exact.toml"] {
        for file in ["a.png", "a.gif", "a.npy", "a.csv"] {
            let _ = fs::remove_file(at(file));
            let said = good(folder.path(), &format!("sample {source} --device cpu --n 12 --out {file}"));
            assert!(said.stderr.contains("12 samples from ") && said.stderr.contains("ode-heun"), "{}", said.stderr);
        }
        let array = read_npy(&at("a.npy")).expect("samples");
        assert_eq!(array.shape, [12, 2]);
        assert_eq!(read_csv(&at("a.csv")).expect("samples"), (2, array.values.to_f32()));
        assert!(image::open(at("a.png")).expect("a picture").width() > 100);
        let gif = std::io::BufReader::new(fs::File::open(at("a.gif")).expect("an animation"));
        let gif = image::codecs::gif::GifDecoder::new(gif).expect("an animation");
        let frames = image::AnimationDecoder::into_frames(gif).collect_frames().expect("whole frames");
        // Eight steps have nine moments.
        assert_eq!(frames.len(), 9);
        assert_ne!(frames[0].buffer(), frames[8].buffer());
    }
    let said = good(folder.path(), "sample exact.toml --device cpu --n 1030 --out many.npy");
    for words in ["sample (2 batches of 8 steps) 16/16", "1030 samples from the exact score of exact.toml by ode-heun"]
    {
        assert!(said.stderr.contains(words), "{}", said.stderr);
    }
    // An older checkpoint is another network.
    good(folder.path(), "sample run/step-10 --device cpu --n 12 --out old.npy");
    good(folder.path(), "sample run --device cpu --n 12 --out new.npy");
    good(folder.path(), "sample run/step-30 --device cpu --n 12 --out last.npy");
    assert_ne!(fs::read(at("old.npy")).expect("samples"), fs::read(at("new.npy")).expect("samples"));
    assert_eq!(fs::read(at("last.npy")).expect("samples"), fs::read(at("new.npy")).expect("samples"));
    // A run in the plane has all its pictures.
    for name in ["loss.png", "samples.png", "trajectory.png", "trajectory.gif", "scores.png"] {
        image::open(at("run").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
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
fn a_sample_does_not_depend_on_how_many_are_drawn() {
    let folder = folder();
    let draw = |source: &str, sampler: &str, n: usize, seed: u64| {
        let line =
            format!("sample {source} --device cpu --sampler {sampler} --steps 5 --seed {seed} --n {n} --out {n}.npy");
        good(folder.path(), &line);
        read_npy(&folder.path().join(format!("{n}.npy"))).expect("samples").values.to_f32()
    };
    for source in ["run", "exact.toml"] {
        for sampler in ["euler-maruyama", "ode-euler", "ode-heun"] {
            // 1,030 are more than are drawn at a time.
            let many = draw(source, sampler, 1030, 3);
            for n in [1, 8, 64] {
                assert_eq!(draw(source, sampler, n, 3)[..], many[..2 * n], "{source}, {sampler}, {n}");
            }
            assert_ne!(draw(source, sampler, 8, 4)[..], many[..16], "{source}, {sampler}: another seed");
            assert_ne!(many[..12], many[2048..], "{source}, {sampler}: the second lot is the first again");
        }
    }
}

#[test]
fn the_users_own_noise_makes_the_probability_flow_reproducible() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let noise: Vec<f32> = (0..32).map(|i| ((i * 37 % 64) as f32 - 31.5) / 16.0).collect();
    write_npy(&at("z.npy"), &[16, 2], &noise).expect("noise");
    let other: Vec<f32> = noise.iter().map(|z| -z).collect();
    write_npy(&at("minus.npy"), &[16, 2], &other).expect("noise");
    let draw = |sampler: &str, noise: &str, seed: u64| {
        let line = format!(
            "sample run --device cpu --sampler {sampler} --steps 6 --seed {seed} --noise {noise}.npy --out drawn.npy"
        );
        good(folder.path(), &line);
        let array = read_npy(&at("drawn.npy")).expect("samples");
        assert_eq!(array.shape, [16, 2]);
        array.values.to_f32()
    };
    for sampler in ["ode-euler", "ode-heun"] {
        let first = draw(sampler, "z", 1);
        assert_eq!(first, draw(sampler, "z", 2));
        assert_ne!(first, draw(sampler, "minus", 1));
    }
    assert_eq!(draw("euler-maruyama", "z", 1), draw("euler-maruyama", "z", 1));
    assert_ne!(draw("euler-maruyama", "z", 1), draw("euler-maruyama", "z", 2));
}

#[test]
fn the_exact_config_that_comes_along_has_its_weights() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/exact-mixture.toml");
    good(folder.path(), &format!("sample {} --device cpu --n 2000 --out samples.csv", config.display()));
    let (columns, values) = read_csv(&folder.path().join("samples.csv")).expect("samples");
    assert_eq!((columns, values.len()), (2, 4000));
    // Half of the weight lies around x = -2, three tenths at the upper right, a fifth at the lower right.
    let share = |inside: fn(&[f32]) -> bool| values.chunks(2).filter(|x| inside(x)).count() as f64 / 2000.0;
    let shares = [
        (share(|x| x[0] < -0.2), 0.5),
        (share(|x| x[0] >= -0.2 && x[1] > 0.2), 0.3),
        (share(|x| x[0] >= -0.2 && x[1] <= 0.2), 0.2),
    ];
    for (found, weight) in shares {
        let standard_error = f64::sqrt(weight * (1.0 - weight) / 2000.0);
        assert!((found - weight).abs() < 3.0 * standard_error, "{found} of the samples, not {weight}");
    }
}

#[test]
fn what_is_known_stays_and_the_rest_is_drawn() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    write_npy(&at("known.npy"), &[1, 2], &[1.0, 9.0]).unwrap();
    write_npy(&at("mask.npy"), &[1, 2], &[1.0, 0.0]).unwrap();
    write_npy(&at("masks.npy"), &[2, 2], &[1.0; 4]).unwrap();
    let line = "sample exact.toml --device cpu --steps 40 --known known.npy";
    good(folder.path(), &format!("{line} --mask mask.npy --n 20 --out o.npy"));
    let drawn = read_npy(&at("o.npy")).unwrap().values.to_f32();
    assert_eq!(drawn.len(), 40);
    for x in drawn.chunks(2) {
        // The mode whose first coordinate is 1 has its second at −0.5, of width 0.2.
        assert!(x[0] == 1.0 && (x[1] + 0.5).abs() < 1.2, "{x:?}");
    }
    expect_bad(
        folder.path(),
        &[
            (&format!("{line} --out b.npy"), &["--mask"]),
            (&format!("{line} --mask masks.npy --out b.npy"), &["--mask", "masks.npy", "2 samples", "one"]),
            (&format!("{line} --mask missing.npy --out b.npy"), &["missing.npy"]),
            ("sample exact.toml --class 3 --out b.npy", &["--class 3", "no classes"]),
            ("sample exact.toml --guidance 2 --out b.npy", &["--class"]),
            ("sample exact.toml --class 0 --guidance -1 --out b.npy", &["--guidance", "-1", "≥ 0"]),
        ],
    );
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

/// A run of the digits whose network knows classes: a tiny U-Net, two steps.
#[test]
fn a_class_can_be_asked_for_and_guided_to() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = "[data]\nkind = \"digits\"\n[model]\nkind = \"unet\"\nchannels = 4\nmultipliers = [1]\ngroups = 2\n\
                  conditional = true\ndropout = 0.1\n[sde]\nkind = \"vp\"\n[loss]\nkind = \"denoising\"\n[train]\n\
                  steps = 4\nbatch = 8\naccumulate = 2\nflip = true\ncheckpoint_activations = true\n\
                  sample_every = 2\nevaluate_every = 4\nlearning_rate = 0.05\n\
                  [sample]\nkind = \"ode-euler\"\nsteps = 3\nn = 4\n";
    fs::write(folder.path().join("u.toml"), config).unwrap();
    good(folder.path(), "train u.toml --device cpu --out run");
    for picture in ["samples/step-2.png", "samples/step-4.png", "samples.png"] {
        assert!(folder.path().join("run").join(picture).exists(), "{picture}");
    }
    let draw = |flags: &str| -> Vec<f32> {
        good(folder.path(), &format!("sample run --device cpu --n 2 {flags} --out o.npy"));
        read_npy(&folder.path().join("o.npy")).unwrap().values.to_f32()
    };
    let (any, three, five) = (draw(""), draw("--class 3"), draw("--class 5"));
    assert!(any != three && three != five, "the class matters");
    assert_eq!(three, draw("--class 3 --guidance 1"));
    assert_ne!(three, draw("--class 3 --guidance 2"));
    let guided_to_none = draw("--class 3 --guidance 0");
    assert!(any.iter().zip(&guided_to_none).all(|(a, b)| (a - b).abs() < 1e-4), "no guidance is no class");
    expect_bad(folder.path(), &[("sample run --class 10 --out b.png", &["--class 10", "0 to 9"])]);
    // Samples with steps of their own are told the class and guided likewise, and are drawn while training.
    let own_steps = "--set sample.rtol=0.05 --set sample.atol=0.05";
    for sampler in ["rk45", "adaptive-sde"] {
        let draw = |flags: &str| draw(&format!("--sampler {sampler} {own_steps} {flags}"));
        assert!(draw("") != draw("--class 3") && draw("--class 3") != draw("--class 3 --guidance 2"), "{sampler}");
    }
    good(folder.path(), &format!("train u.toml --device cpu --out own --set sample.kind=rk45 {own_steps}"));
    assert!(folder.path().join("own/samples.png").exists() && !folder.path().join("own/trajectory.gif").exists());
    // A run with dropout, flips and parts that was stopped ends as the one that was not.
    good(folder.path(), "train u.toml --device cpu --out parts --steps 2");
    good(folder.path(), "train u.toml --device cpu --out parts --resume");
    let read = |run: &str| fs::read(folder.path().join(run).join("step-4/params.safetensors")).unwrap();
    assert!(read("run") == read("parts"), "the weights have the same bits");
}

#[test]
fn images_are_scored_in_either_shape() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let pixels: Vec<u8> = (0..30u32 * 20).map(|i| (i * i % 251) as u8).collect();
    fs::write(at("images.npy"), npy("|u1", "False", "(30, 4, 5)", &pixels)).expect("images");
    let sde = "[sde]\nkind = \"vp\"\n[train]\nsteps = 5\nbatch = 7\n[sample]\nsteps = 4\nn = 6\n";
    fs::write(at("images.toml"), format!("[data]\nkind = \"file\"\npath = \"images.npy\"\n{NETWORK}{sde}"))
        .expect("a config");
    good(folder.path(), "train images.toml --device cpu");
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
    for file in ["a.png", "a.gif"] {
        good(folder.path(), &format!("sample runs/images --device cpu --n 5 --out {file}"));
        image::open(at(file)).expect("a picture");
    }
    good(folder.path(), "sample runs/images --device cpu --n 5 --out a.npy");
    assert_eq!(read_npy(&at("a.npy")).expect("samples").shape, [5, 4, 5]);
    // Without an axis of channels there is one: a U-Net takes them as well.
    let unet = "--set model.kind=unet --set model.channels=4 --set model.groups=2 --set model.multipliers=[1] \
                --set model.attention=[] --set train.flip=true --steps 2";
    good(folder.path(), &format!("train images.toml --device cpu --out unet {unet}"));
    good(folder.path(), "sample unet --device cpu --n 2 --out u.npy");
    assert_eq!(read_npy(&at("u.npy")).expect("samples").shape, [2, 4, 5]);
    // 49 moments of so many pictures of 80 bytes, 16 terabytes, are beyond any machine that runs tests.
    expect_bad(
        folder.path(),
        &[("sample runs/images --device cpu --n 4294967295 --out a.gif", &["--n 4294967295", "memory", "fewer"])],
    );
    // Images are told by their last axis; others are trained on, and the user hears of it.
    fs::write(at("planes.npy"), npy("|u1", "False", "(6, 5, 2, 10)", &pixels)).expect("images");
    let said = good(folder.path(), "train images.toml --device cpu --out planes --set data.path=planes.npy");
    assert!(said.stderr.contains("no pictures are drawn of samples of shape [5, 2, 10]"), "{}", said.stderr);
    // Points of three coordinates have no picture, and say so before any work.
    let cube = "train images.toml --device cpu --out cube --set data.kind=mixture --set data.weights=[1.0] \
                --set data.means=[[0,0,0]] --set data.widths=[1.0]";
    good(folder.path(), cube);
    expect_bad(
        folder.path(),
        &[
            ("sample cube --device cpu --out a.png", &["--out", "a.png", "[3]", ".npy", ".csv"]),
            ("sample cube --device cpu --out a.gif", &["--out", "a.gif", "[3]", ".npy", ".csv"]),
            ("score runs/images --device cpu --x a.toml --t 0.4 --out s.npy", &["--x", "a.toml", ".npy"]),
        ],
    );
}

#[test]
fn the_plan_is_plain_data_and_its_kernels_are_wgsl() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    for config in ["tiny.toml", "exact.toml"] {
        let said = good(folder.path(), &format!("plan {config} --wgsl kernels-{config} --json plan.json"));
        assert!(said.stdout.contains("sample"), "{}", said.stdout);
        let plan: Plan = serde_json::from_slice(&fs::read(at("plan.json")).expect("a plan")).expect("a plan");
        let names: Vec<&str> = plan.programs.iter().map(|program| program.name.as_str()).collect();
        for name in ["prior", "sample", "score"] {
            assert!(names.contains(&name), "{names:?}");
        }
        assert_eq!(names.contains(&"train"), config == "tiny.toml");
        let again: Plan = serde_json::from_str(&serde_json::to_string(&plan).expect("JSON")).expect("a plan");
        assert_eq!(again, plan);
        let files = everything_in(&at(&format!("kernels-{config}")));
        let mut texts: Vec<String> =
            files.into_values().map(|text| String::from_utf8(text.expect("a file")).expect("text")).collect();
        let mut shaders: Vec<String> = plan.shaders.into_iter().map(|shader| shader.wgsl).collect();
        texts.sort();
        shaders.sort();
        assert_eq!(texts, shaders);
        for text in texts {
            let module = naga::front::wgsl::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(module.entry_points.len(), 1);
        }
    }
}

#[test]
fn a_score_that_is_no_number_is_named() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    write_npy(&at("far.npy"), &[3, 2], &[0.0, 1.0, 3e38, 3e38, 0.0, 0.0]).expect("points");
    let line = "score exact.toml --device cpu --x far.npy --t 0.25 --out far-score.npy";
    let said = tweedie(folder.path(), &words(line));
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    let last = said.stderr.lines().last().expect("a line");
    assert!(last.starts_with("error: the score of point 1 ") && last.contains("t = 0.25"), "{last}");
    assert!(!at("far-score.npy").exists());
}

/// A disk that cannot be written to is nobody's input.
#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_no_bad_input() {
    let folder = folder();
    for line in [
        "score exact.toml --device cpu --x x.npy --t 0.25 --out /proc/score.npy",
        "sample exact.toml --device cpu --out /proc/samples.csv",
        "plan tiny.toml --json /proc/plan.json",
        "train tiny.toml --device cpu --out /proc/run",
    ] {
        let said = tweedie(folder.path(), &words(line));
        assert_eq!(said.code, Some(1), "{line}: {}", said.stderr);
        // Before the work: the device is not named yet.
        assert!(said.stderr.contains("/proc/") && said.stderr.lines().count() == 1, "{line}: {}", said.stderr);
    }
}

#[cfg(unix)]
#[test]
fn links_and_what_cannot_be_read_are_told_from_runs() {
    use std::os::unix::fs::symlink;
    let folder = folder();
    symlink("gone", folder.path().join("dangling")).expect("a link");
    for line in ["train tiny.toml --device cpu --out dangling", "sample dangling --device cpu --out a.npy"] {
        let said = tweedie(folder.path(), &words(line));
        assert_eq!(said.code, Some(2), "{line}: {}", said.stderr);
        assert!(said.stderr.contains("dangling: is a symbolic link to something that is not there"), "{}", said.stderr);
    }
    // What nobody can read, root neither: a link to itself.
    fs::create_dir(folder.path().join("round")).expect("a folder");
    symlink("config.toml", folder.path().join("round/config.toml")).expect("a link");
    let said = tweedie(folder.path(), &words("sample round --device cpu --out a.npy"));
    assert_eq!(said.code, Some(2), "{}", said.stderr);
    assert!(said.stderr.contains("round: cannot be read: "), "{}", said.stderr);
}

/// `tweedie train … 2>&1 | head -1`, and a full disk behind stderr: nobody listens, and the work goes on.
#[cfg(target_os = "linux")]
#[test]
fn training_goes_on_when_stderr_goes_away() {
    let folder = folder();
    let (reader, closed) = std::io::pipe().expect("a pipe");
    drop(reader);
    let full = fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    for (run, stderr) in [("closed", std::process::Stdio::from(closed)), ("full", full.into())] {
        let line = format!("train tiny.toml --device cpu --out {run}");
        let status = binary::command(folder.path(), &words(&line)).stderr(stderr).status().expect("it was built");
        assert_eq!(status.code(), Some(0), "{line}");
        assert_eq!(fs::read_to_string(folder.path().join(run).join("latest")).expect("a pointer"), "step-30\n");
    }
}

/// On a terminal, what follows the progress bar has a line of its own. (util-linux's `script` is a terminal.)
#[cfg(target_os = "linux")]
#[test]
fn the_bar_on_a_terminal_ends_its_line() {
    let folder = folder();
    let line = format!("{} sample exact.toml --device cpu --out a.npy", env!("CARGO_BIN_EXE_tweedie"));
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).current_dir(folder.path()).env("TERM", "xterm").env("TWEEDIE_CACHE", "");
    let Ok(output) = script.stdin(std::process::Stdio::null()).output() else { return };
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("8/8") && shown.lines().any(|line| line.starts_with("a.npy: 8 samples")), "{shown:?}");
}

#[test]
fn what_no_memory_holds_is_one_line() {
    let folder = folder();
    let before = everything_in(folder.path());
    for (line, wanted) in [
        ("train tiny.toml --device cpu --out huge --set model.width=65536 --set model.depth=1024", "[model]"),
        (
            "train tiny.toml --device cpu --out huge --set model.width=1024 --set model.depth=64 --set train.batch=1048576",
            "batch of 1048576",
        ),
        ("sample exact.toml --device cpu --out many.csv --steps 4294967295", "--steps"),
        ("sample exact.toml --device cpu --out many.csv --n 4294967295000", "--n"),
    ] {
        let said = tweedie(folder.path(), &words(line));
        assert_eq!(said.code, Some(2), "{line}: {}", said.stderr);
        assert!(said.stderr.contains(wanted) && said.stderr.lines().count() == 1, "{line}: {}", said.stderr);
    }
    assert_eq!(everything_in(folder.path()), before);
}

#[test]
fn a_damaged_pipeline_cache_is_mentioned() {
    let folder = folder();
    let cache = folder.path().join("cache");
    let run = || {
        let line = format!("score exact.toml --device {} --x x.npy --t 0.5 --out score.npy", gpu::choice());
        let said = binary::say(binary::command(folder.path(), &words(&line)).env("TWEEDIE_CACHE", &cache));
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        said.stderr
    };
    assert!(!run().contains("cache"));
    let Ok(files) = fs::read_dir(&cache) else {
        assert_ne!(gpu::choice(), "llvmpipe", "Mesa's driver keeps a cache");
        return;
    };
    for file in files {
        fs::write(file.expect("an entry").path(), "something else").expect("a file");
    }
    assert!(run().contains("damaged pipeline cache"));
    assert!(!run().contains("cache"));
}

/// `tweedie plan … | head -1`: a reader that leaves early is no error.
#[test]
fn a_closed_pipe_is_no_error() {
    let folder = folder();
    for line in ["plan tiny.toml", "docs", "sample --list", "--help", "bench --device cpu --suite train"] {
        let (stdout, stdin) = std::io::pipe().expect("a pipe");
        drop(stdout);
        let mut command = binary::command(folder.path(), &words(line));
        let output = command.stdout(stdin).stderr(std::process::Stdio::piped()).output().expect("the binary was built");
        let stderr = String::from_utf8_lossy(&output.stderr);
        // What is measured is measured on a device, which is named.
        let said = stderr.lines().filter(|line| !line.starts_with("device: ")).count();
        assert!(output.status.code() == Some(0) && said == 0, "tweedie {line}: {stderr}");
    }
}

#[test]
fn devices_and_samplers_are_listed_and_the_documentation_is_printed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let said = good(folder.path(), "devices --json");
    let list: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    let adapters = list["adapters"].as_array().expect("a list");
    assert!(!adapters.is_empty(), "no adapter: on Debian or Ubuntu `apt-get install mesa-vulkan-drivers` brings one");
    for adapter in adapters {
        for key in ["name", "backend", "driver", "tier", "limits"] {
            assert!(!adapter[key].is_null(), "{key} of {adapter}");
        }
    }
    assert!(list["auto"]["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{list}");
    let text = good(folder.path(), "devices").stdout;
    for adapter in adapters {
        assert!(text.contains(adapter["name"].as_str().expect("a name")), "{text}");
    }
    assert!(text.contains("--device auto takes"), "{text}");

    let samplers = good(folder.path(), "sample --list").stdout;
    for name in ["euler-maruyama", "ode-euler", "ode-heun"] {
        assert!(samplers.contains(name), "{samplers}");
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let same = good(folder.path(), "docs").stdout == fs::read_to_string(docs).expect("the documentation");
    assert!(same, "tweedie docs prints something else than docs/configuration.md has");
    let help = good(folder.path(), "--help").stdout;
    assert!(help.contains("train") && help.contains("docs/configuration.md"), "{help}");
    assert!(everything_in(folder.path()).is_empty());
}
