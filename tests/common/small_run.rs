//! A small run that tests of commands start from, and what every bad line has to look like.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tweedie::data::write_npy;

use crate::binary::{everything_in, good, tweedie, words};

pub const DATA: &str = r#"
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

pub const NETWORK: &str = "[model]\nkind = \"mlp\"\nwidth = 8\ndepth = 1\nembedding = 8\n";
pub const EXACT: &str = "[model]\nkind = \"exact\"\n";

/// A folder with configs, arrays and one run (`run`, 30 steps).
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect("a file");
    write("tiny.toml", format!("{DATA}{NETWORK}").as_bytes());
    write("exact.toml", format!("{DATA}{EXACT}").as_bytes());
    let points = [0.3f32, -0.2, 1.1, -0.4, -1.2, 0.7, 0.0, 0.0, -2.5, 3.0];
    write_npy(&folder.path().join("x.npy"), &[5, 2], &points).expect("points");
    good(folder.path(), "train tiny.toml --device cpu --out run");
    folder
}

/// Runs lines that are bad and expects of each one line on stderr with all the words, exit code 2, and no trace.
pub fn expect_bad(folder: &Path, lines: &[(&str, &[&str])]) {
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
