//! The command line around its commands: listings, plans, pipes, terminals, disks, caches.

use std::fs;
use std::path::Path;

use crate::common::binary::{self, everything_in, good, tweedie, words};
use crate::common::gpu;
use crate::common::skip::skip;
use crate::common::small_run::folder;
use tweedie::plan::Plan;

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

/// A disk that cannot be written to is nobody's input.
#[test]
fn what_cannot_be_written_is_no_bad_input() {
    if !cfg!(target_os = "linux") {
        return skip("what cannot be written is no bad input (cli)", "it needs /proc, of Linux");
    }
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

/// `tweedie train … 2>&1 | head -1`, and a full disk behind stderr: nobody listens, and the work goes on.
#[test]
fn training_goes_on_when_stderr_goes_away() {
    if !cfg!(target_os = "linux") {
        return skip("training goes on when stderr goes away (cli)", "it needs /dev/full, of Linux");
    }
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
#[test]
fn the_bar_on_a_terminal_ends_its_line() {
    if !cfg!(target_os = "linux") {
        return skip("the bar on a terminal ends its line (cli)", "it needs util-linux's `script`, of Linux");
    }
    let folder = folder();
    let line = format!("{} sample exact.toml --device cpu --out a.npy", env!("CARGO_BIN_EXE_tweedie"));
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).current_dir(folder.path()).env("TERM", "xterm").env("TWEEDIE_CACHE", "");
    let output = script.stdin(std::process::Stdio::null()).output();
    let output = output.expect("`script`, of util-linux (Debian: bsdutils, Fedora: util-linux-script)");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("8/8") && shown.lines().any(|line| line.starts_with("a.npy: 8 samples")), "{shown:?}");
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
        return skip("a damaged pipeline cache is mentioned (cli)", "this driver keeps no cache");
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
        for key in ["name", "backend", "driver", "limits"] {
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
