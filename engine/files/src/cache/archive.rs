//! Packing and unpacking of the archive.

use std::fs::{self, File, Permissions};
use std::io::{self, BufReader, BufWriter, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use zip::extra_fields::ExtraField;
use zip::result::ZipError;
use zip::write::{FullFileOptions, SimpleFileOptions};
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::workdir::{Directory, Opened};
use crate::{Result, StorageError, StorageUri};

/// From 1601, where times in an archive begin, to 1970.
const NTFS_TO_UNIX: Duration = Duration::from_secs(11_644_473_600);
/// Times in an archive count tenths of a microsecond.
const TICKS_PER_SECOND: u64 = 10_000_000;
/// The longest target of a symbolic link on Linux.
const MAX_LINK: u64 = 4096;

/// What [`unpack`] did.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    pub(super) files: usize,
    pub(super) kept: Vec<String>,
}

/// Writes the files and symbolic links `names` of a directory into a new archive. Returns how many there are; what is no
/// longer one of them is left out.
pub(super) fn pack(directory: &Directory, names: &[String], target: &File) -> Result<usize> {
    let write_failed = |error: ZipError| StorageError::io("write", directory.path(), error.into());
    let mut archive = ZipWriter::new(BufWriter::new(target));
    let mut packed = 0;
    for name in names {
        match directory.open_or_read_link(name)? {
            Some(Opened::File(file)) => {
                let metadata = file.metadata();
                archive.start_file(name, options(metadata).map_err(write_failed)?).map_err(write_failed)?;
                let mut source = file.bounded();
                io::copy(&mut source, &mut archive)
                    .map_err(|error| StorageError::io("write", directory.path(), error))?;
            }
            Some(Opened::Link { target, metadata }) => {
                let target = target.to_str().ok_or_else(|| StorageError::InvalidName {
                    name: name.clone(),
                    reason: "it is a symbolic link to a name that is not UTF-8".to_owned(),
                })?;
                archive
                    .add_symlink(name, target, options(&metadata).map_err(write_failed)?)
                    .map_err(write_failed)?;
            }
            None => continue,
        }
        packed += 1;
    }
    let mut buffered = archive.finish().map_err(write_failed)?;
    io::Write::flush(&mut buffered).map_err(|error| StorageError::io("write", directory.path(), error))?;
    Ok(packed)
}

fn options(metadata: &fs::Metadata) -> Result<FullFileOptions<'static, 'static>, ZipError> {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let since_1601 = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + NTFS_TO_UNIX;
    let ticks = since_1601.as_secs() * TICKS_PER_SECOND + u64::from(since_1601.subsec_nanos() / 100);
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        // The fastest: what is saved is mostly the time of downloading and building it again.
        .compression_level(Some(1))
        .unix_permissions(metadata.permissions().mode() & 0o777)
        // Known before the first byte is compressed; a little less than 4 GiB for what deflate may add.
        .large_file(metadata.len() > u64::from(u32::MAX) - (1 << 24))
        .with_ntfs_times(ticks, ticks, ticks)
}

/// Unpacks an archive into a directory. Existing files stay. If the archive turns out to be broken, what was unpacked of it
/// is removed again.
pub(super) fn unpack(source: File, directory: &Directory, uri: &StorageUri) -> Result<Unpacked> {
    let mut created = Vec::new();
    let unpacked = unpack_all(source, directory, &mut created);
    if unpacked.is_err() {
        for name in created {
            // The first error is the one to report.
            let _ = directory.remove(&name);
        }
    }
    unpacked.map_err(|fault| match fault {
        Fault::Archive(reason) => StorageError::BrokenArchive { uri: uri.to_string(), reason },
        Fault::System(error) => error,
    })
}

/// Whose fault it is that unpacking stopped.
enum Fault {
    Archive(String),
    System(StorageError),
}

impl From<ZipError> for Fault {
    fn from(error: ZipError) -> Self {
        Self::Archive(error.to_string())
    }
}

fn unpack_all(source: File, directory: &Directory, created: &mut Vec<String>) -> Result<Unpacked, Fault> {
    let mut archive = ZipArchive::new(BufReader::new(source))?;
    let mut unpacked = Unpacked::default();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let name = entry.name()?.into_owned();
        let slot = directory.own_slot(&name, true).map_err(|error| match error {
            StorageError::Escape { .. } | StorageError::InvalidName { .. } => {
                Fault::Archive(error.to_string())
            }
            error => Fault::System(error),
        })?;
        let Some(slot) = slot.filter(|slot| !slot.is_taken()) else {
            unpacked.kept.push(name);
            continue;
        };
        let system = |error| Fault::System(StorageError::io("write", slot.path(), error));
        if entry.is_symlink() {
            let mut target = String::new();
            (&mut entry)
                .take(MAX_LINK)
                .read_to_string(&mut target)
                .map_err(|error| Fault::Archive(error.to_string()))?;
            slot.create_link(&target).map_err(|error| system(error.into()))?;
            created.push(name);
        } else {
            let mut file = slot.create_new().map_err(|error| system(error.into()))?;
            created.push(name);
            io::copy(&mut entry, &mut file).map_err(|error| {
                match StorageError::io("write", slot.path(), error) {
                    full @ StorageError::Full { .. } => Fault::System(full),
                    error => Fault::Archive(error.to_string()),
                }
            })?;
            let modified = entry.extra_data_fields().find_map(|field| match field {
                ExtraField::Ntfs(times) => time(times.mtime()),
                _ => None,
            });
            if let Some(modified) = modified {
                file.set_modified(modified).map_err(system)?;
            }
            if let Some(mode) = entry.unix_mode() {
                file.set_permissions(Permissions::from_mode(mode & 0o777)).map_err(system)?;
            }
        }
        unpacked.files += 1;
    }
    Ok(unpacked)
}

/// A time of the archive; none if it lies before 1970 or beyond what the system knows.
fn time(ticks: u64) -> Option<SystemTime> {
    let since_1601 =
        Duration::new(ticks / TICKS_PER_SECOND, u32::try_from(ticks % TICKS_PER_SECOND * 100).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(since_1601.checked_sub(NTFS_TO_UNIX)?)
}
