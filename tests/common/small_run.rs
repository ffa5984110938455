//! A small run that tests of commands start from.

use std::fs;

use tempfile::TempDir;
use tweedie::data::write_npy;

use crate::common::{binary::good, npy};

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

/// A folder with `tiny.toml`, `exact.toml`, the points `x.npy` and one run (`run`, 30 steps).
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

/// 30 images of 4 x 5 pixels.
pub fn pixels() -> Vec<u8> {
    (0..30u32 * 20).map(|i| (i * i % 251) as u8).collect()
}

/// A folder with these as bytes in `images.npy`, `images.toml`, and a run of it (`runs/images`, 5 steps).
pub fn image_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("images.npy"), npy::npy("'|u1'", "False", "(30, 4, 5)", &pixels())).expect("images");
    let sde = "[sde]\nkind = \"vp\"\n[train]\nsteps = 5\nbatch = 7\n[sample]\nsteps = 4\nn = 6\n";
    fs::write(at("images.toml"), format!("[data]\nkind = \"file\"\npath = \"images.npy\"\n{NETWORK}{sde}"))
        .expect("a config");
    good(folder.path(), "train images.toml --device cpu");
    folder
}
