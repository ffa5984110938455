//! Files that are written whole or not at all.

use super::DataError;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Ends the names of files and folders that are not finished yet.
pub(crate) const UNFINISHED: &str = ".unfinished";

/// Writes a file through `fill`: to a temporary file beside it, synced, and then renamed over `path`. If anything fails,
/// the temporary file is removed and what stood at `path` is untouched. Where `path` is a symbolic link, what it leads to
/// is written, and the link stays.
///
/// # Errors
/// What `fill` or the file system said.
pub fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<(), DataError> {
    replace(&followed(path), fill).map_err(|source| DataError::Write { path: path.to_path_buf(), source })
}

/// Says whether a file could be written at `path`: makes a temporary file beside it, and removes it.
#[cfg(feature = "cli")]
pub(crate) fn try_beside(path: &Path) -> std::io::Result<()> {
    let temporary = beside(&followed(path));
    File::create(&temporary)?;
    fs::remove_file(&temporary)
}

/// Where the symbolic links at `path` lead, whether or not something is there.
fn followed(path: &Path) -> PathBuf {
    // As many links as Linux follows.
    const LINKS: usize = 40;
    let mut path = path.to_path_buf();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            // `with_file_name` of an absolute path is that path.
            Ok(target) => path = path.with_file_name(target),
            Err(_) => break,
        }
    }
    path
}

/// [`write_whole`] with the file system's own error; a symbolic link at `path` is replaced.
pub(crate) fn replace(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let temporary = beside(path);
    let written = (|| {
        let mut out = BufWriter::new(File::create(&temporary)?);
        fill(&mut out)?;
        out.flush()?;
        out.get_ref().sync_all()?;
        fs::rename(&temporary, path)
    })();
    written.inspect_err(|_| {
        // The first error is the one to tell; a file that was never created cannot be removed either.
        let _ = fs::remove_file(&temporary);
    })
}

/// The name of the file that the temporary file of this name was to become.
pub(crate) fn target(temporary: &str) -> Option<&str> {
    let (file, unique) = temporary.strip_prefix('.')?.strip_suffix(UNFINISHED)?.rsplit_once('.')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    unique.split_once('-').is_some_and(|(process, count)| is_number(process) && is_number(count)).then_some(file)
}

/// A hidden name in the same folder that no other writer uses: the process and a counter are in it.
fn beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unique = NEXT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{}-{unique}{UNFINISHED}", std::process::id()))
}
