//! Arguments that several commands share.

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::error::CliError;
use crate::config::{Config, Origin, Overrides};
use crate::data::whole;
use crate::gpu::Choice;

/// A config file and what overrides it.
#[derive(Debug, Args)]
pub(super) struct ConfigArguments {
    /// The experiment's TOML file; docs/configuration.md lists its keys
    pub config: PathBuf,
    /// Override a key of the config; may be given several times
    #[arg(long, value_name = "TABLE.KEY=VALUE")]
    pub set: Vec<String>,
}

impl ConfigArguments {
    /// The overrides of `--set`.
    pub fn overrides(&self) -> Result<Overrides, CliError> {
        let mut overrides = Overrides::none();
        self.set.iter().try_for_each(|text| overrides.set(text))?;
        Ok(overrides)
    }

    /// The config with `overrides` applied, and where it comes from.
    pub fn read(&self, overrides: &Overrides) -> Result<(Config, Origin), CliError> {
        let origin = Origin::new(self.config.display().to_string(), overrides);
        Ok((Config::read(&self.config, overrides)?, origin))
    }
}

/// Where to compute.
#[derive(Debug, Args)]
pub(super) struct DeviceArguments {
    /// auto (a hardware GPU, else the CPU), gpu, cpu, or a part of an adapter's name (see tweedie devices)
    #[arg(long, default_value = "auto", value_name = "auto|gpu|cpu|NAME")]
    pub device: Choice,
}

/// Seeds are TOML integers too.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    whole_number(text, 0, i64::MAX as u64).ok_or_else(|| "must be a whole number ≥ 0 and ≤ 2^63 - 1".to_string())
}

/// A count that a 32-bit counter of the device can hold.
pub(super) fn count(text: &str) -> Result<u64, String> {
    whole_number(text, 1, u64::from(u32::MAX)).ok_or_else(|| "must be a whole number ≥ 1 and ≤ 4294967295".to_string())
}

/// A number of a class.
pub(super) fn class(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "must be a whole number ≥ 0".to_string())
}

fn whole_number(text: &str, least: u64, most: u64) -> Option<u64> {
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

/// The lower-case extension of `path`, which has to be one of `allowed`.
pub(super) fn extension(flag: &str, path: &Path, allowed: &[&'static str]) -> Result<&'static str, CliError> {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    allowed.iter().find(|known| **known == extension).copied().ok_or_else(|| {
        let known = allowed.iter().map(|known| format!(".{known}")).collect::<Vec<_>>().join(", ");
        let one_of = if allowed.len() > 1 { "one of " } else { "" };
        CliError::bad_input(format!("{flag} {}: must end in {one_of}{known}", path.display()))
    })
}

/// A file that is to be read has to be there.
pub(super) fn expect_file(flag: &str, path: &Path) -> Result<(), CliError> {
    let what = match path.metadata() {
        Ok(there) if there.is_file() => return Ok(()),
        Ok(_) => "is no regular file",
        Err(_) => "no such file",
    };
    Err(CliError::bad_input(format!("{flag} {}: {what}", path.display())))
}

/// A file that is to be written: its folder has to be there and to take a file, so that no work is lost at the end; and it
/// may neither be one of `inputs`, each with its flag, nor something else than a file, which would be replaced by one.
pub(super) fn expect_output(flag: &str, path: &Path, inputs: &[(&str, Option<&Path>)]) -> Result<(), CliError> {
    let parent = |path: &Path| match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let folder = parent(path);
    if !folder.is_dir() {
        return Err(CliError::bad_input(format!("{flag} {}: there is no folder {}", path.display(), folder.display())));
    }
    if path.is_dir() {
        return Err(CliError::bad_input(format!("{flag} {}: is a folder, and should be a file", path.display())));
    }
    if path.metadata().is_ok_and(|there| !there.is_file()) {
        return Err(CliError::bad_input(format!(
            "{flag} {}: is no regular file; should be one, or none yet",
            path.display()
        )));
    }
    // What is not there yet lies in a folder that is.
    let place = |path: &Path| {
        let beside = || Ok(parent(path).canonicalize()?.join(path.file_name().unwrap_or_default()));
        path.canonicalize().or_else(|_: std::io::Error| beside()).unwrap_or_else(|_: std::io::Error| path.to_path_buf())
    };
    let own = place(path);
    for (input, read) in inputs {
        if read.is_some_and(|read| place(read) == own) {
            let text = format!("{flag} {}: is the file of {input} too; should be another", path.display());
            return Err(CliError::bad_input(text));
        }
    }
    whole::try_beside(path)
        .map_err(|error| CliError::failed(format!("{flag} {}: cannot be written: {error}", path.display())))
}

/// Where compiled pipelines are kept between processes: `TWEEDIE_CACHE`, or a folder of the user's cache.
pub(super) fn cache_folder() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("TWEEDIE_CACHE") {
        return Some(PathBuf::from(folder)).filter(|folder| !folder.as_os_str().is_empty());
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").or_else(|| std::env::var_os("LOCALAPPDATA")).map(PathBuf::from);
    cache.or_else(|| home().map(|home| home.join(".cache"))).map(|cache| cache.join("tweedie"))
}

/// Writes a line to stderr. Where nobody listens any more, as in `tweedie train CONFIG 2>&1 | head`, the work goes on.
pub(super) fn note(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Replaces the line on the terminal in front of the user.
pub(super) fn note_in_place(line: impl Display) {
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "\r\x1b[2K{line}").and_then(|()| err.flush());
}

/// Writes to stdout. A reader that has had enough, as in `tweedie plan CONFIG | head`, is no error.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CliError::failed(format!("stdout: {error}")))
        }
        _ => Ok(()),
    }
}
