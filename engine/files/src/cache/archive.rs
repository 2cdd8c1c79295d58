//! Packing and unpacking of the archive.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufReader, BufWriter, Read as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use zip::extra_fields::ExtraField;
use zip::result::ZipError;
use zip::write::{FullFileOptions, SimpleFileOptions};
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::workdir::prepare;
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

/// Writes the files `names` of the directory `root` into a new archive at `target`.
pub(super) fn pack(root: &Path, names: &[String], target: &Path) -> Result<()> {
    let write_failed = |error: ZipError| StorageError::io("write", target, error.into());
    let file = File::create(target).map_err(|error| StorageError::io("write", target, error))?;
    let mut archive = ZipWriter::new(BufWriter::new(file));
    for name in names {
        let path = root.join(name);
        let read_failed = |error| StorageError::io("read", &path, error);
        let metadata = fs::symlink_metadata(&path).map_err(read_failed)?;
        let options = options(&metadata).map_err(write_failed)?;
        if metadata.is_symlink() {
            let link = fs::read_link(&path).map_err(read_failed)?;
            let link = link.to_str().ok_or_else(|| StorageError::InvalidName {
                name: name.clone(),
                reason: "it is a symbolic link to a name that is not UTF-8".to_owned(),
            })?;
            archive.add_symlink(name, link, options).map_err(write_failed)?;
        } else {
            let mut source = File::open(&path).map_err(read_failed)?;
            archive.start_file(name, options).map_err(write_failed)?;
            io::copy(&mut source, &mut archive).map_err(|error| StorageError::io("write", target, error))?;
        }
    }
    let buffered = archive.finish().map_err(write_failed)?;
    buffered.into_inner().map_err(|error| StorageError::io("write", target, error.into_error()))?;
    Ok(())
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

/// Unpacks the archive at `source` into the directory `root`. Existing files stay. If the archive turns out to be
/// broken, what was unpacked of it is removed again.
pub(super) fn unpack(source: &Path, root: &Path, uri: &StorageUri) -> Result<Unpacked> {
    let mut created = Vec::new();
    let unpacked = unpack_all(source, root, &mut created);
    if unpacked.is_err() {
        for path in created {
            // The first error is the one to report.
            let _ = fs::remove_file(path);
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

fn unpack_all(source: &Path, root: &Path, created: &mut Vec<PathBuf>) -> Result<Unpacked, Fault> {
    let file = File::open(source).map_err(|error| Fault::System(StorageError::io("read", source, error)))?;
    let mut archive = ZipArchive::new(BufReader::new(file))?;
    let mut unpacked = Unpacked::default();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let name = entry.name()?.into_owned();
        if fs::symlink_metadata(root.join(&name)).is_ok() {
            unpacked.kept.push(name);
            continue;
        }
        let path = prepare(root, &name).map_err(|error| match error {
            StorageError::Escape { .. } | StorageError::InvalidName { .. } => {
                Fault::Archive(error.to_string())
            }
            error => Fault::System(error),
        })?;
        created.push(path.clone());
        let system = |error| Fault::System(StorageError::io("write", &path, error));
        if entry.is_symlink() {
            let mut target = String::new();
            (&mut entry)
                .take(MAX_LINK)
                .read_to_string(&mut target)
                .map_err(|error| Fault::Archive(error.to_string()))?;
            symlink(target, &path).map_err(system)?;
        } else {
            let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(system)?;
            io::copy(&mut entry, &mut file).map_err(|error| {
                match StorageError::io("write", &path, error) {
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
