//! Compiled pipelines on disk (Vulkan), so that a driver compiles a kernel once and not in every process.
//!
//! The file is this room's header line, a checksum and what the driver gave. A file that is missing, damaged or of
//! another driver is left aside and written anew: the cache saves time and decides nothing.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::device::Device;

const MAGIC: &[u8] = b"tweedie pipelines 1\n";

pub(super) struct CacheFile {
    raw: wgpu::PipelineCache,
    path: PathBuf,
}

impl CacheFile {
    /// `None` where the backend keeps no cache.
    pub fn open(device: &Device, dir: &Path) -> Option<Self> {
        if !device.raw().features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let key = wgpu::util::pipeline_cache_key(&device.raw().adapter_info())?;
        let path = dir.join(format!("{key}.bin"));
        let data = match fs::read(&path) {
            Ok(file) => {
                let data = unwrap(&file).map(<[u8]>::to_vec);
                if data.is_none() {
                    device.note(format!("{}: damaged pipeline cache, compiling anew", path.display()));
                }
                data
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                device.note(format!("{}: cannot read the pipeline cache: {error}", path.display()));
                None
            }
        };
        let made = device.guarded("the pipeline cache", |raw| {
            let descriptor =
                wgpu::PipelineCacheDescriptor { label: Some("tweedie"), data: data.as_deref(), fallback: true };
            // SAFETY: the data is what `get_data` returned, for an adapter with the same key: the checksum says
            // that nothing has changed it since, and wgpu and the driver check their own headers.
            unsafe { raw.create_pipeline_cache(&descriptor) }
        });
        match made {
            Ok(raw) => Some(Self { raw, path }),
            Err(error) => {
                device.note(format!("{}: no pipeline cache: {error}", path.display()));
                None
            }
        }
    }

    pub fn raw(&self) -> &wgpu::PipelineCache {
        &self.raw
    }

    /// Writes the cache beside its file and renames it, so that no reader ever sees half of it.
    pub fn save(&self, device: &Device) {
        let Some(data) = self.raw.get_data() else { return };
        if let Err(error) = write_atomically(&self.path, &wrap(&data)) {
            device.note(format!("{}: cannot keep the pipeline cache: {error}", self.path.display()));
        }
    }
}

fn checksum(data: &[u8]) -> [u8; 4] {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    crc.sum().to_le_bytes()
}

fn wrap(data: &[u8]) -> Vec<u8> {
    [MAGIC, &checksum(data), data].concat()
}

fn unwrap(file: &[u8]) -> Option<&[u8]> {
    let (sum, data) = file.strip_prefix(MAGIC)?.split_at_checked(4)?;
    (sum == checksum(data)).then_some(data)
}

fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let draft = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = fs::File::create(&draft).and_then(|mut file| file.write_all(bytes));
    written.and_then(|()| fs::rename(&draft, path)).inspect_err(|_| {
        let _ = fs::remove_file(&draft);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_seen() {
        let file = wrap(b"compiled");
        assert_eq!(unwrap(&file), Some(&b"compiled"[..]));
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 1;
            assert_eq!(unwrap(&damaged), None, "byte {at}");
        }
        assert_eq!(unwrap(&file[..file.len() - 1]), None);
        assert_eq!(unwrap(b""), None);
    }
}
