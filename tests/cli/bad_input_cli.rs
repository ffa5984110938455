//! Bad input on the command line: one line with the way out, exit code 2, and nothing touched.

use std::fs;
use std::path::Path;

use crate::common::binary::{everything_in, expect_bad, good, tweedie, words};
use crate::common::gpu;
use crate::common::npy::npy;
use crate::common::small_run::{DATA, EXACT, NETWORK, folder};

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
            ("score run --x x.npy --t -1 --out s.npy", &["-1", "--t", "≥ 0"]),
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
            ("score run --x x.npy --t 0 --out s.npy", &["--t 0", "vp", "sigma = 0", "larger"]),
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
        (
            "plan tiny.toml --set model.kind=dit".into(),
            &["tiny.toml with --set: model.kind = \"dit\": needs images, but mixture"],
        ),
        (
            "plan tiny.toml --set data.kind=digits --set model.kind=dit --set model.patch=3".into(),
            &["tiny.toml with --set: model.patch = 3: does not divide images of 8 x 8; must be of [1, 2, 4, 8]"],
        ),
        (
            format!("{} --set data.kind=swiss-roll --set model.conditional=true", train("tiny")),
            &["tiny.toml with --set: model.conditional = true: swiss-roll has no labels; must be false"],
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
    write("int.npy", &npy("'<i4'", "False", "(2, 2)", &[0; 16]));
    write("big.npy", &npy("'>f4'", "False", "(2, 2)", &[0; 16]));
    write("fortran.npy", &npy("'<f4'", "True", "(2, 2)", &[0; 16]));
    write("short.npy", &npy("'<f4'", "False", "(9, 2)", &[0; 16]));
    write("three.npy", &npy("'<f4'", "False", "(2, 3)", &[0; 24]));
    write("flat.npy", &npy("'<f4'", "False", "(4,)", &[0; 16]));
    write("empty.npy", &npy("'<f4'", "False", "(0, 2)", &[]));
    write("nan.npy", &npy("'<f4'", "False", "(2, 2)", &floats(&[0.0, 1.0, f32::NAN, 2.0])));
    write("inf.npy", &npy("'<f4'", "False", "(2, 2)", &floats(&[0.0, f32::INFINITY, 0.0, 2.0])));
    write("huge.npy", &npy("'<f4'", "False", "(18446744073709551615, 2)", &[0; 16]));
    write("text.npy", b"1,2\n3,4\n");
    write("same.npy", &npy("'<f4'", "False", "(12, 2)", &floats(&[0.5, 0.25].repeat(12))));
    write("latin.csv", b"1,2\n\xe9,3\n");
    write("one.npy", &npy("'<f4'", "False", "(1, 2)", &[0; 8]));
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
        ("train tiny.toml --device cpu --out huge --set sample.n=10000001", "sample.n = 10000001"),
    ] {
        let said = tweedie(folder.path(), &words(line));
        assert_eq!(said.code, Some(2), "{line}: {}", said.stderr);
        assert!(said.stderr.contains(wanted) && said.stderr.lines().count() == 1, "{line}: {}", said.stderr);
    }
    assert_eq!(everything_in(folder.path()), before);
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

/// `--n` once took 4294967295 samples, where `sample.n` ends at ten million.
#[test]
fn a_flag_takes_what_its_key_takes() {
    let folder = folder();
    let (sample, train) = ("sample exact.toml --device cpu --out a.npy", "train tiny.toml --device cpu --out new");
    // What follows `file with --flag: `.
    let reason = |line: &str| {
        let said = tweedie(folder.path(), &words(line));
        assert_eq!(said.code, Some(2), "{line}: {}", said.stderr);
        said.stderr.splitn(3, ": ").nth(2).expect("a reason").to_owned()
    };
    for (line, flag, key, too_many) in [
        (sample, "--n", "sample.n", "10000001"),
        (sample, "--steps", "sample.steps", "1000001"),
        (sample, "--seed", "sample.seed", "9223372036854775808"),
        (train, "--steps", "train.steps", "4294967296"),
        (train, "--seed", "train.seed", "9223372036854775808"),
    ] {
        for value in ["-1", "1.5", "1e3", "word", too_many] {
            let by_key = reason(&format!("{line} --set {key}={value}"));
            assert!(by_key.starts_with(key) && by_key.contains('≤'), "{by_key}");
            assert_eq!(reason(&format!("{line} {flag} {value}")), by_key, "{flag} {value}");
        }
    }
    expect_bad(
        folder.path(),
        &[
            ("sample exact.toml --n 10000001 --out a.npy", &["--n", "sample.n = 10000001", "≥ 1 and ≤ 10000000"]),
            ("sample run --class 0 --guidance 1e39 --out a.npy", &["--guidance", "1e39", "≤ 1000000"]),
        ],
    );
    good(folder.path(), "sample exact.toml --device cpu --n 5 --steps 3 --seed 9223372036854775807 --out a.npy");
}

/// Data × 1e30 once gave zeros on a GPU, and a gradient of 0.
#[test]
fn data_whose_squares_32_bits_do_not_hold_are_refused_on_every_device() {
    let folder = folder();
    let scaled = |scale: f32| -> Vec<f32> { (0..60).map(|i| scale * (i as f32 * 0.7).sin()).collect() };
    for (name, scale) in [("huge", 1e30), ("tiny", 1e-25), ("good", 1.0)] {
        tweedie::data::write_npy(&folder.path().join(format!("{name}.npy")), &[20, 3], &scaled(scale)).expect("data");
    }
    let file = |device: &str, name: &str| {
        format!("train tiny.toml --device {device} --out new --set data.kind=file --set data.path={name}.npy")
    };
    for (name, from, to) in [
        ("far", "[[-1.0, 0.5]", "[[-1e30, 0.5]"),
        ("wide", "[0.3, 0.2]", "[0.3, 1e30]"),
        ("narrow", "[0.3, 0.2]", "[[0.3, 1e-30], 0.2]"),
    ] {
        let text = format!("{DATA}{EXACT}").replace(from, to);
        fs::write(folder.path().join(format!("{name}.toml")), text).expect("a config");
    }
    for device in ["cpu", gpu::choice()] {
        let mixture = |name: &str| format!("sample {name}.toml --device {device} --out a.npy");
        expect_bad(
            folder.path(),
            &[
                (
                    &file(device, "huge"),
                    &["tiny.toml", "data.path", "huge.npy", "in sample", "at most 1e18", "32 bits"],
                ),
                (&file(device, "tiny"), &["tiny.toml", "data.path", "tiny.npy", "at least 1e-18", "32 bits"]),
                (&mixture("far"), &["far.toml", "data.means[0]", "-1e30", "at most 1e17", "32 bits"]),
                (&mixture("wide"), &["wide.toml", "data.widths[1]", "1e30", "1e-18 to 1e17", "32 bits"]),
                (&mixture("narrow"), &["narrow.toml", "data.widths[0]", "1e-30", "1e-18 to 1e17", "32 bits"]),
            ],
        );
    }
    good(folder.path(), &file("cpu", "good"));
}
