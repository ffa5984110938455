//! Checks that this machine cannot run: said, never passed in silence.

use std::io::Write;

/// Says that a check does not run here, and why: on stderr, past libtest's capture, and in the list that `tests/all.sh`
/// prints at its end.
pub fn skip(what: &str, why: &str) {
    let line = format!("{what}: {why}\n");
    let _ = write!(std::io::stderr(), "skipped: {line}");
    if let Some(list) = std::env::var_os("TWEEDIE_SKIPPED") {
        // One write of an open file: lines of tests that run side by side do not mix.
        let file = std::fs::File::options().append(true).create(true).open(&list);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("TWEEDIE_SKIPPED names a file");
    }
}
