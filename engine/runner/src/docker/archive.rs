//! Working directories that are copied through the daemon, because it does not see the engine's files.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use bollard::models::{ContainerCreateBody, HostConfig, Mount};
use bollard::query_parameters::{
    CreateContainerOptions, DownloadFromContainerOptionsBuilder, RemoveContainerOptionsBuilder,
    UploadToContainerOptionsBuilder,
};
use futures::{StreamExt, stream};

use super::ContainerError;
use super::daemon::Daemon;
use super::error::{is_no_space, reason};

/// Bytes of an archive that are sent at once.
const CHUNK: usize = 256 << 10;

/// Copies a directory into a container, to the same path.
pub(super) async fn upload(daemon: &Daemon, id: &str, directory: &Path) -> Result<(), ContainerError> {
    let path = directory.to_owned();
    let packed = blocking("into", move || pack(&path)).await?;
    send(daemon, id, packed).await
}

/// Copies a directory out of a container: afterwards the engine's has what the container's has, and nothing else.
pub(super) async fn download(daemon: &Daemon, id: &str, directory: &Path) -> Result<(), ContainerError> {
    let packed = fetch(daemon, id, directory).await?;
    let path = directory.to_owned();
    blocking("out of", move || replace(packed, &path)).await
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

fn pack(directory: &Path) -> io::Result<File> {
    let mut archive = tar::Builder::new(tempfile::tempfile()?);
    archive.follow_symlinks(false);
    archive.append_dir_all(relative(directory), directory)?;
    archive.into_inner()
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

/// Unpacks beside the directory, where no path in the archive can do harm, and puts the result in its place. The directory
/// itself stays: it is open elsewhere.
fn replace(packed: File, directory: &Path) -> io::Result<()> {
    let above = directory.parent().unwrap_or(Path::new("/"));
    let fresh = tempfile::Builder::new().prefix(".copy-").tempdir_in(above)?;
    let mut archive = tar::Archive::new(packed);
    archive.set_preserve_permissions(true);
    for entry in archive.entries()? {
        let mut entry = entry?;
        // Devices and the like are nothing that a task hands on.
        let kind = entry.header().entry_type();
        if kind.is_file() || kind.is_dir() || kind.is_symlink() || kind.is_hard_link() {
            entry.unpack_in(fresh.path())?;
        }
    }
    let Some(name) = directory.file_name() else { return Ok(()) };
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    for entry in std::fs::read_dir(fresh.path().join(name))? {
        let entry = entry?;
        std::fs::rename(entry.path(), directory.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn archive(entries: &[(&str, tar::EntryType, &str)]) -> File {
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
        let mut packed = pack(&directory).unwrap();
        packed.rewind().unwrap();
        let names: Vec<_> = tar::Archive::new(packed)
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().into_owned())
            .collect();
        assert!(names.contains(&relative(&directory.join("sub/a"))), "{names:?}");

        let back = archive(&[
            ("work/", tar::EntryType::Directory, ""),
            ("work/new", tar::EntryType::Regular, "1"),
            ("work/link", tar::EntryType::Symlink, "new"),
        ]);
        replace(back, &directory).unwrap();
        assert!(!directory.join("sub").exists());
        assert_eq!(fs::read_to_string(directory.join("link")).unwrap(), "1");
        assert_eq!(fs::metadata(directory.join("new")).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn an_archive_cannot_write_elsewhere() {
        for entries in [
            &[("work/../../evil", tar::EntryType::Regular, "x")][..],
            &[("work/l", tar::EntryType::Symlink, "../.."), ("work/l/evil", tar::EntryType::Regular, "x")],
        ] {
            let home = tempfile::tempdir().unwrap();
            let base = home.path().join("base");
            let directory = base.join("work");
            fs::create_dir_all(&directory).unwrap();
            let all: Vec<_> =
                [("work/", tar::EntryType::Directory, "")].iter().chain(entries).copied().collect();
            let _ = replace(archive(&all), &directory);
            assert!(!home.path().join("evil").exists() && !base.join("evil").exists(), "{entries:?}");
        }
    }

    #[test]
    fn owners_are_replaced_and_hard_links_lead_to_where_the_file_is() {
        let packed = archive(&[
            ("work/", tar::EntryType::Directory, ""),
            ("work/a", tar::EntryType::Regular, "1"),
            ("work/hard", tar::EntryType::Link, "work/a"),
            ("work/soft", tar::EntryType::Symlink, "a"),
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
}
