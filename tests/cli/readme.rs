//! The README keeps its word: its commands run, its files and links exist.
//!
//! Commands that begin with `tweedie`, and the main job, run here in the README's order, in a folder with nothing but
//! `configs/`. Training is cut to a few steps; all else is as it stands. The commands of [`OF_CI`] are run by `.ci/run`.

use std::path::Path;
use std::process::Command;

use crate::common::gpu;

/// The main job, as the README gives it.
const MAIN_JOB: &str = "cargo run --release -- train configs/digits-unet.toml";
/// What is too long for a test, or is this test.
const OF_CI: [&str; 3] = [MAIN_JOB, "sh tests/all.sh", "cargo install --locked --path ."];
/// Added to every training.
const SHORT: &str = "--steps 20 --set sample.steps=5";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The fenced blocks of a page: language and lines.
fn blocks(page: &str) -> Vec<(&str, Vec<&str>)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            blocks.push((language, lines.by_ref().take_while(|line| *line != "```").collect()));
        }
    }
    blocks
}

/// The commands of a page's `sh` blocks, without comments.
fn commands(page: &str) -> Vec<String> {
    let lines = blocks(page).into_iter().filter(|(language, _)| *language == "sh").flat_map(|(_, lines)| lines);
    let bare = lines.map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned());
    bare.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn every_command_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let configs = folder.path().join("configs");
    std::fs::create_dir(&configs).unwrap();
    for entry in std::fs::read_dir(root().join("configs")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, configs.join(path.file_name().unwrap())).unwrap();
    }
    let mut ran = 0;
    for command in commands(&read("README.md")) {
        let arguments = command.strip_prefix("tweedie ").or(command.strip_prefix("cargo run --release -- "));
        let Some(arguments) = arguments else {
            assert!(OF_CI.contains(&command.as_str()), "README.md: who runs {command}?");
            continue;
        };
        // The page names Mesa's adapter; another machine may have another.
        let arguments = arguments.replace("--device llvmpipe", &format!("--device {}", gpu::choice()));
        let extra = if arguments.starts_with("train ") { SHORT } else { "" };
        let output = Command::new(env!("CARGO_BIN_EXE_tweedie"))
            .args(arguments.split_whitespace())
            .args(extra.split_whitespace())
            .current_dir(folder.path())
            .env("TWEEDIE_CACHE", folder.path().join("cache"))
            .output()
            .expect("the binary starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command} {extra}: {}\n{said}", output.status);
        ran += 1;
    }
    assert!(ran >= 10, "only {ran} commands found: has the README's layout changed?");
    // The tree of files that the README shows.
    let page = read("README.md");
    let tree = blocks(&page).into_iter().find(|(_, lines)| lines.first() == Some(&"runs/digits-unet/"));
    let (_, lines) = tree.expect("README.md shows what lies in runs/digits-unet/");
    for line in &lines[1..] {
        let name = line.split_whitespace().next().expect("a file on every line").replace("step-1200", "step-20");
        assert!(
            folder.path().join("runs/digits-unet").join(&name).exists(),
            "README.md: runs/digits-unet has no {name}"
        );
    }
}

#[test]
fn ci_runs_the_commands_that_this_test_does_not() {
    let (page, script) = (read("README.md"), read(".ci/run"));
    for command in OF_CI {
        assert!(commands(&page).iter().any(|line| line == command), "README.md has no {command}");
        assert!(script.contains(command), ".ci/run does not run {command}");
    }
}

#[test]
fn links_lead_to_files() {
    let pages = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned).into_iter();
    let docs = std::fs::read_dir(root().join("docs")).unwrap();
    let docs = docs.map(|entry| format!("docs/{}", entry.unwrap().file_name().to_string_lossy()));
    let mut seen = 0;
    for page in pages.chain(docs.filter(|name| name.ends_with(".md"))) {
        let folder = root().join(&page);
        let folder = folder.parent().unwrap();
        for link in read(&page).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if !file.is_empty() && !file.contains("://") {
                assert!(folder.join(file).exists(), "{page} links to {link}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 10, "only {seen} links found");
}
