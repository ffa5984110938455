//! The program as a user runs it: its exit code, what it says, and what it leaves on the disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How a command ended.
#[derive(Debug)]
pub struct Said {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it told the person in front of it.
    pub stderr: String,
}

/// `tweedie args…`, called in `folder`, with no user cache and as little chatter from drivers as they allow.
pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tweedie"));
    command.args(args).current_dir(folder).env("TWEEDIE_CACHE", "").env("XDG_RUNTIME_DIR", std::env::temp_dir());
    command
}

/// Runs a command to its end.
pub fn say(command: &mut Command) -> Said {
    let output = command.stdin(Stdio::null()).output().expect("the binary was built for these tests");
    Said {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("stdout is text"),
        stderr: String::from_utf8(output.stderr).expect("stderr is text"),
    }
}

/// Runs `tweedie args…` in `folder` to its end.
pub fn tweedie(folder: &Path, args: &[&str]) -> Said {
    say(&mut command(folder, args))
}

/// The words of a command line that has no quotes.
pub fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Runs `tweedie line` in `folder` and expects that it succeeds.
pub fn good(folder: &Path, line: &str) -> Said {
    let said = tweedie(folder, &words(line));
    assert_eq!(said.code, Some(0), "tweedie {line}: {}", said.stderr);
    said
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

/// Starts `tweedie line` in `folder`, its stderr going to `folder/stderr.txt`.
pub fn start(folder: &Path, line: &str) -> Child {
    let stderr = fs::File::create(folder.join("stderr.txt")).expect("a file for stderr");
    let mut command = command(folder, &words(line));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().expect("the binary was built")
}

/// Every file below a folder with its content; folders with none.
pub fn everything_in(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut left = vec![folder.to_path_buf()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(&next).expect("a folder that can be read") {
            let path = entry.expect("an entry that can be read").path();
            if path.is_dir() {
                left.push(path.clone());
                found.insert(path, None);
            } else {
                let content = fs::read(&path).expect("a file that can be read");
                found.insert(path, Some(content));
            }
        }
    }
    found
}
