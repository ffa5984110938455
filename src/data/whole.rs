//! Files that are written whole or not at all.

use super::DataError;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes a file through `fill`: to a temporary file beside it, synced, and then renamed over `path`. If anything fails,
/// the temporary file is removed and what stood at `path` is untouched.
///
/// # Errors
/// What `fill` or the file system said.
pub fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<(), DataError> {
    let temporary = beside(path);
    let written = (|| {
        let mut out = BufWriter::new(File::create(&temporary)?);
        fill(&mut out)?;
        out.flush()?;
        out.get_ref().sync_all()?;
        fs::rename(&temporary, path)
    })();
    written.map_err(|source| {
        // The first error is the one to tell; a file that was never created cannot be removed either.
        let _ = fs::remove_file(&temporary);
        DataError::io(path, source)
    })
}

/// A hidden name in the same folder that no other writer uses: the process and a counter are in it.
fn beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unique = NEXT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{}-{unique}.part", std::process::id()))
}
