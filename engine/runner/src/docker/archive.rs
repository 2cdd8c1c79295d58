//! Working directories that are copied through the daemon, because it does not see the engine's files.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use bollard::models::{ContainerCreateBody, HostConfig, Mount};
use bollard::query_parameters::{
    CreateContainerOptions, DownloadFromContainerOptionsBuilder, RemoveContainerOptionsBuilder,
    UploadToContainerOptionsBuilder,
};
use futures::{StreamExt, stream};
use tar::EntryType;
use weft_files::StorageError;
use weft_files::workdir::{Directory, Entry};

use super::ContainerError;
use super::daemon::Daemon;
use super::error::{is_no_space, reason};

/// Bytes of an archive that are sent at once.
const CHUNK: usize = 256 << 10;

/// Copies a directory into a container, to the same path.
pub(super) async fn upload(daemon: &Daemon, id: &str, directory: &Directory) -> Result<(), ContainerError> {
    let directory = directory.clone();
    let packed = blocking("into", move || pack(&directory)).await?;
    send(daemon, id, packed).await
}

/// Copies a directory out of a container: afterwards the engine's has what the container's has, and nothing else.
pub(super) async fn download(daemon: &Daemon, id: &str, directory: &Directory) -> Result<(), ContainerError> {
    let packed = fetch(daemon, id, directory.path()).await?;
    let directory = directory.clone();
    blocking("out of", move || replace(packed, &directory)).await
}

/// Lets the daemon write a mounted directory again, with everything in it belonging to `owner`.
pub(super) async fn rewrite_owner(
    daemon: &Daemon,
    image: &str,
    directory: &Path,
    mount: Mount,
    owner: (u32, u32),
) -> Result<(), ContainerError> {
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(vec!["/never-started".to_owned()]),
        host_config: Some(HostConfig { mounts: Some(vec![mount]), ..HostConfig::default() }),
        ..ContainerCreateBody::default()
    };
    let created = daemon.api.create_container(None::<CreateContainerOptions>, body).await;
    let id = created.map_err(|error| failed("out of", reason(&error)))?.id;
    let result = async {
        let packed = fetch(daemon, &id, directory).await?;
        let above = directory.parent().unwrap_or(Path::new("/")).to_owned();
        let packed = blocking("out of", move || with_owner(packed, &above, owner)).await?;
        send(daemon, &id, packed).await
    };
    let result = result.await;
    let remove = RemoveContainerOptionsBuilder::default().force(true).build();
    let _ = daemon.api.remove_container(&id, Some(remove)).await;
    result
}

async fn blocking<T: Send + 'static>(
    way: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ContainerError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| failed(way, error.to_string())),
        Err(_) => Err(ContainerError::Lost),
    }
}

fn failed(way: &'static str, reason: String) -> ContainerError {
    if is_no_space(&reason) {
        ContainerError::NoSpace { reason }
    } else {
        ContainerError::Copy { way, reason }
    }
}

/// Sends an archive of absolute paths.
async fn send(daemon: &Daemon, id: &str, mut packed: File) -> Result<(), ContainerError> {
    packed.rewind().map_err(|error| failed("into", error.to_string()))?;
    let chunks = stream::unfold(packed, |mut file| async {
        // A local temporary file: reading it is not worth a thread.
        let mut chunk = vec![0; CHUNK];
        match file.read(&mut chunk) {
            Ok(0) => None,
            Ok(length) => {
                chunk.truncate(length);
                Some((Ok(chunk.into()), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    });
    let options = UploadToContainerOptionsBuilder::default().path("/").build();
    let sent = daemon.api.upload_to_container(id, Some(options), bollard::body_try_stream(chunks)).await;
    sent.map_err(|error| failed("into", reason(&error)))
}

/// Fetches a directory as an archive; its entries begin with the directory's own name.
async fn fetch(daemon: &Daemon, id: &str, directory: &Path) -> Result<File, ContainerError> {
    let mut packed = tempfile::tempfile().map_err(|error| failed("out of", error.to_string()))?;
    let options = DownloadFromContainerOptionsBuilder::default().path(&directory.to_string_lossy()).build();
    let mut chunks = daemon.api.download_from_container(id, Some(options)).boxed();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| failed("out of", reason(&error)))?;
        packed.write_all(&chunk).map_err(|error| failed("out of", error.to_string()))?;
    }
    packed.rewind().map_err(|error| failed("out of", error.to_string()))?;
    Ok(packed)
}

/// Everything in a directory but sockets and devices, which are nothing that a container is given.
fn pack(directory: &Directory) -> io::Result<File> {
    let path = directory.path();
    let mut archive = tar::Builder::new(tempfile::tempfile()?);
    let root = relative(path);
    append(&mut archive, EntryType::Directory, &directory.metadata(".").map_err(io::Error::other)?, &root)?;
    let walked = directory.walk(".", &mut |entry| {
        append_entry(&mut archive, &entry, &root.join(entry.path)).map_err(|source| StorageError::Io {
            action: "read",
            path: path.join(entry.path),
            source,
        })
    });
    walked.map_err(io::Error::other)?;
    archive.into_inner()
}

fn append_entry(archive: &mut tar::Builder<File>, entry: &Entry<'_>, path: &Path) -> io::Result<()> {
    let metadata = match entry.metadata() {
        // It was removed meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    let kind = metadata.file_type();
    if kind.is_dir() {
        return append(archive, EntryType::Directory, &metadata, path);
    }
    if kind.is_fifo() {
        return append(archive, EntryType::Fifo, &metadata, path);
    }
    if kind.is_symlink() {
        let mut header = tar::Header::new_gnu();
        header.set_metadata(&metadata);
        return archive.append_link(&mut header, path, entry.read_link()?);
    }
    if !kind.is_file() {
        return Ok(());
    }
    // Another one may have its name by now.
    let file = entry.open().map_err(io::Error::other)?;
    let (metadata, size) = (file.metadata(), file.size());
    if metadata.blocks().saturating_mul(512) < size {
        // Holes stay holes.
        return archive.append_file(path, &mut file.into_file());
    }
    let mut header = tar::Header::new_gnu();
    header.set_metadata(metadata);
    // As long as the header says, whoever writes to it meanwhile.
    let content = file.bounded().chain(io::repeat(0)).take(size);
    archive.append_data(&mut header, path, content)
}

fn append(
    archive: &mut tar::Builder<File>,
    kind: EntryType,
    metadata: &Metadata,
    path: &Path,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_metadata(metadata);
    header.set_entry_type(kind);
    header.set_size(0);
    archive.append_data(&mut header, path, io::empty())
}

fn relative(path: &Path) -> PathBuf {
    path.strip_prefix("/").unwrap_or(path).to_owned()
}

/// The same archive with other owners, and with absolute paths.
fn with_owner(packed: File, above: &Path, (user, group): (u32, u32)) -> io::Result<File> {
    let mut result = tar::Builder::new(tempfile::tempfile()?);
    let mut archive = tar::Archive::new(packed);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = relative(&above.join(entry.path()?));
        // A hard link names another entry; a symbolic one says whatever it says.
        let is_hard = entry.header().entry_type().is_hard_link();
        let link =
            entry.link_name()?.map(|link| if is_hard { relative(&above.join(link)) } else { link.into() });
        let mut header = entry.header().clone();
        header.set_uid(user.into());
        header.set_gid(group.into());
        match link {
            Some(link) => result.append_link(&mut header, path, link)?,
            None => result.append_data(&mut header, path, &mut entry)?,
        }
    }
    result.into_inner()
}

/// Unpacks beside the directory, where no path in the archive can do harm and no task comes, and puts the result in its
/// place. The directory itself stays: it is open elsewhere.
fn replace(packed: File, directory: &Directory) -> io::Result<()> {
    let path = directory.path();
    let above = path.parent().unwrap_or(Path::new("/"));
    let fresh = tempfile::Builder::new().prefix(".copy-").tempdir_in(above)?;
    let mut archive = tar::Archive::new(packed);
    archive.set_preserve_permissions(true);
    // The files become the engine's: nothing of them must run with its rights.
    archive.set_mask(0o7000);
    for entry in archive.entries()? {
        let mut entry = entry?;
        // Devices and the like are nothing that a task hands on.
        let kind = entry.header().entry_type();
        if kind.is_file() || kind.is_dir() || kind.is_symlink() || kind.is_hard_link() {
            entry.unpack_in(fresh.path())?;
        }
    }
    let Some(name) = path.file_name() else { return Ok(()) };
    let put = || {
        let fresh = Directory::open(fresh.path())?.open_directory(&name.to_string_lossy())?;
        directory.clear()?;
        fresh.move_all_to(directory)
    };
    put().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn open(path: &Path) -> Directory {
        Directory::open(path).unwrap()
    }

    fn archive(entries: &[(&str, EntryType, &str)]) -> File {
        let mut builder = tar::Builder::new(tempfile::tempfile().unwrap());
        for (path, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(if kind.is_dir() { 0o755 } else { 0o640 });
            // By hand: the library refuses to write paths that it would refuse to read.
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            if kind.is_symlink() || kind.is_hard_link() {
                header.as_gnu_mut().unwrap().linkname[..content.len()].copy_from_slice(content.as_bytes());
                header.set_size(0);
                header.set_cksum();
                builder.append(&header, io::empty()).unwrap();
            } else {
                header.set_size(content.len() as u64);
                header.set_cksum();
                builder.append(&header, content.as_bytes()).unwrap();
            }
        }
        let mut file = builder.into_inner().unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn a_directory_goes_there_and_back() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("work");
        fs::create_dir_all(directory.join("sub")).unwrap();
        fs::write(directory.join("sub/a"), "text").unwrap();
        fs::set_permissions(directory.join("sub/a"), fs::Permissions::from_mode(0o750)).unwrap();
        symlink("sub/a", directory.join("link")).unwrap();
        let mut packed = pack(&open(&directory)).unwrap();
        packed.rewind().unwrap();
        let names: Vec<_> = tar::Archive::new(packed)
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().into_owned())
            .collect();
        assert!(names.contains(&relative(&directory.join("sub/a"))), "{names:?}");

        let back = archive(&[
            ("work/", EntryType::Directory, ""),
            ("work/new", EntryType::Regular, "1"),
            ("work/link", EntryType::Symlink, "new"),
        ]);
        replace(back, &open(&directory)).unwrap();
        assert!(!directory.join("sub").exists());
        assert_eq!(fs::read_to_string(directory.join("link")).unwrap(), "1");
        assert_eq!(fs::metadata(directory.join("new")).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn an_archive_cannot_write_elsewhere() {
        for entries in [
            &[("work/../../evil", EntryType::Regular, "x")][..],
            &[("work/l", EntryType::Symlink, "../.."), ("work/l/evil", EntryType::Regular, "x")],
        ] {
            let home = tempfile::tempdir().unwrap();
            let base = home.path().join("base");
            let directory = base.join("work");
            fs::create_dir_all(&directory).unwrap();
            let all: Vec<_> = [("work/", EntryType::Directory, "")].iter().chain(entries).copied().collect();
            let _ = replace(archive(&all), &open(&directory));
            assert!(!home.path().join("evil").exists() && !base.join("evil").exists(), "{entries:?}");
        }
    }

    #[test]
    fn owners_are_replaced_and_hard_links_lead_to_where_the_file_is() {
        let packed = archive(&[
            ("work/", EntryType::Directory, ""),
            ("work/a", EntryType::Regular, "1"),
            ("work/hard", EntryType::Link, "work/a"),
            ("work/soft", EntryType::Symlink, "a"),
        ]);
        let mut packed = with_owner(packed, Path::new("/tmp/x"), (7, 8)).unwrap();
        packed.rewind().unwrap();
        let mut archive = tar::Archive::new(packed);
        let seen: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (7, 8));
                let link = entry.link_name().unwrap().unwrap_or_default().display().to_string();
                (entry.path().unwrap().display().to_string(), link)
            })
            .collect();
        let seen: Vec<_> = seen.iter().map(|(path, link)| (path.as_str(), link.as_str())).collect();
        let expected = [
            ("tmp/x/work", ""),
            ("tmp/x/work/a", ""),
            ("tmp/x/work/hard", "tmp/x/work/a"),
            ("tmp/x/work/soft", "a"),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_cannot_be_handed_on_is_left_out() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("work");
        fs::create_dir_all(directory.join("empty")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(directory.join("socket")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, directory.join("pipe"), 0o600.into()).unwrap();
        symlink("/nowhere", directory.join("link")).unwrap();
        // A terabyte that takes no room takes none in the archive.
        File::create(directory.join("sparse")).unwrap().set_len(1 << 40).unwrap();
        let mut packed = pack(&open(&directory)).unwrap();
        assert!(packed.metadata().unwrap().len() < 1 << 20);
        packed.rewind().unwrap();
        let root = relative(&directory);
        let mut seen: Vec<_> = tar::Archive::new(packed)
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.path().unwrap().strip_prefix(&root).unwrap().display().to_string();
                (name, entry.header().entry_type(), entry.size())
            })
            .collect();
        seen.sort_by(|a, b| a.0.cmp(&b.0));
        let expected = [
            ("", EntryType::Directory, 0),
            ("empty", EntryType::Directory, 0),
            ("link", EntryType::Symlink, 0),
            ("pipe", EntryType::Fifo, 0),
            ("sparse", EntryType::GNUSparse, 1 << 40),
        ];
        assert_eq!(seen, expected.map(|(name, kind, size)| (name.to_owned(), kind, size)));

        let back = archive(&[
            ("work/", EntryType::Directory, ""),
            ("work/file", EntryType::Regular, "1"),
            ("work/device", EntryType::Char, ""),
            ("work/pipe", EntryType::Fifo, ""),
        ]);
        replace(back, &open(&directory)).unwrap();
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    }

    #[test]
    fn nothing_that_comes_back_runs_with_the_engines_rights() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("work");
        fs::create_dir(&directory).unwrap();
        let mut builder = tar::Builder::new(tempfile::tempfile().unwrap());
        for (path, kind) in [("work/", EntryType::Directory), ("work/run", EntryType::Regular)] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(0o6755);
            header.set_size(0);
            builder.append_data(&mut header, path, io::empty()).unwrap();
        }
        let mut packed = builder.into_inner().unwrap();
        packed.rewind().unwrap();
        replace(packed, &open(&directory)).unwrap();
        assert_eq!(fs::metadata(directory.join("run")).unwrap().permissions().mode() & 0o7777, 0o755);
    }

    /// Somebody in another container swaps folders with links that lead out.
    #[test]
    fn a_directory_that_is_changed_meanwhile_leads_nowhere_else() {
        use std::sync::atomic::{AtomicBool, Ordering};
        const SECRET: &str = "what nobody may see";
        let home = tempfile::tempdir().unwrap();
        let (directory, outside) = (home.path().join("work"), home.path().join("outside"));
        for folder in [&directory, &outside] {
            fs::create_dir_all(folder.join("d")).unwrap();
        }
        fs::write(directory.join("d/f"), "inside").unwrap();
        fs::write(directory.join("f"), "inside").unwrap();
        fs::write(outside.join("f"), SECRET).unwrap();
        symlink("../outside", directory.join("way")).unwrap();
        symlink(outside.join("f"), directory.join("leak")).unwrap();
        let stop = AtomicBool::new(false);
        let swapped = std::thread::scope(|scope| {
            let swapper = scope.spawn(|| {
                let mut swapped = 0_u64;
                let folder = File::open(&directory).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    for (one, other) in [("d", "way"), ("f", "leak")] {
                        let flags = rustix::fs::RenameFlags::EXCHANGE;
                        let done = rustix::fs::renameat_with(&folder, one, &folder, other, flags);
                        swapped += u64::from(done.is_ok());
                    }
                }
                swapped
            });
            let mut packed_files = 0;
            for _ in 0..2000 {
                let Ok(mut packed) = pack(&open(&directory)) else { continue };
                packed.rewind().unwrap();
                let mut packed = tar::Archive::new(packed);
                for entry in packed.entries().unwrap() {
                    let mut entry = entry.unwrap();
                    let mut content = String::new();
                    if entry.header().entry_type().is_file() {
                        entry.read_to_string(&mut content).unwrap();
                        assert_eq!(content, "inside");
                        packed_files += 1;
                    }
                }
            }
            for _ in 0..500 {
                let back = archive(&[
                    ("work/", EntryType::Directory, ""),
                    ("work/d/", EntryType::Directory, ""),
                    ("work/d/f", EntryType::Regular, "inside"),
                    ("work/f", EntryType::Regular, "inside"),
                    ("work/way", EntryType::Symlink, "../outside"),
                    ("work/leak", EntryType::Symlink, "../outside/f"),
                ]);
                let _ = replace(back, &open(&directory));
                assert_eq!(fs::read_dir(&outside).unwrap().count(), 2);
            }
            stop.store(true, Ordering::Relaxed);
            assert!(packed_files > 500, "{packed_files}");
            swapper.join().unwrap()
        });
        assert!(swapped > 1000, "{swapped}");
        assert_eq!(fs::read_to_string(outside.join("f")).unwrap(), SECRET);
        assert_eq!(fs::read_dir(outside.join("d")).unwrap().count(), 0);
    }
}
