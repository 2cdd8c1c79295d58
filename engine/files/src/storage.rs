//! Objects in internal storage.

use std::error::Error;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::{GetResult, ObjectMeta, ObjectStore, ObjectStoreExt as _, buffered::BufWriter};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::local::{self, Slot};
use crate::mounts::Mounts;
use crate::private::{Access, create_folders};
use crate::workdir::Directory;
use crate::{OpenFile, Result, StorageError, StorageUri};

/// How many pieces of a download wait in memory to be written.
const CHUNKS_AHEAD: usize = 4;

/// One object, as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub uri: StorageUri,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written.
    pub modified: SystemTime,
}

/// Internal storage: a local directory, or any store that `object_store` speaks to. Cheap to clone.
///
/// An object is there as a whole or not at all: a write that fails or is interrupted leaves what was there before.
///
/// A directory can be made to stand for a part of it ([`Storage::mount`]): its files are objects there, before those of
/// the store itself, and what is written or deleted there is written to and deleted from the directory.
#[derive(Debug, Clone)]
pub struct Storage {
    backend: Backend,
    mounts: Arc<Mounts>,
}

#[derive(Debug, Clone)]
enum Backend {
    Local(Arc<Local>),
    Remote(Arc<dyn ObjectStore>),
}

/// A directory that is made by the first write.
#[derive(Debug)]
struct Local {
    root: PathBuf,
    durable: bool,
    store: OnceLock<LocalFileSystem>,
}

impl Storage {
    /// Storage in the directory `root`. Nothing is touched before the first write; each write is on the disk when it
    /// returns.
    pub fn local(root: impl Into<PathBuf>) -> Self {
        Self::in_directory(root.into(), true)
    }

    /// The same without waiting for the disk: a file may be lost, though never half there, if the power fails.
    pub fn local_relaxed(root: impl Into<PathBuf>) -> Self {
        Self::in_directory(root.into(), false)
    }

    /// Storage in a store that somebody else configured.
    pub fn with_store(store: Arc<dyn ObjectStore>) -> Self {
        Self { backend: Backend::Remote(store), mounts: Arc::default() }
    }

    fn in_directory(root: PathBuf, durable: bool) -> Self {
        let local = Local { root, durable, store: OnceLock::new() };
        Self { backend: Backend::Local(Arc::new(local)), mounts: Arc::default() }
    }

    /// Makes `directory`, which must be absolute, stand for what is below `prefix`, for all clones of this storage.
    pub fn mount(&self, prefix: StorageUri, directory: impl Into<PathBuf>) {
        self.mounts.add(prefix, directory.into());
    }

    /// Stores a file. Returns its size in bytes.
    pub async fn put_file(&self, uri: &StorageUri, file: OpenFile) -> Result<u64> {
        if let Some(place) = self.mounts.place(uri) {
            return blocking(move || local::copy_atomically(&file, &place.for_writing()?, true)).await;
        }
        match &self.backend {
            Backend::Local(local) => {
                let (local, key) = (Arc::clone(local), uri.key());
                blocking(move || local::copy_atomically(&file, &local.slot(&key)?, local.durable)).await
            }
            Backend::Remote(store) => upload(store, uri, file).await.map(|(size, _)| size),
        }
    }

    /// Stores the file `name` of a working directory, where it is gone afterwards. Within one file system nothing is copied.
    pub async fn move_file(&self, uri: &StorageUri, directory: &Directory, name: &str) -> Result<u64> {
        let file = directory.open_file(name)?;
        let (directory, name, inode) = (directory.clone(), name.to_owned(), inode(file.metadata()));
        let size = match &self.backend {
            Backend::Local(local) => {
                let (local, key) = (Arc::clone(local), uri.key());
                blocking(move || local::link_atomically(&file, &local.slot(&key)?, local.durable)).await?
            }
            Backend::Remote(store) => {
                // The file stays open: its number cannot be given to another one.
                let (size, _file) = upload(store, uri, file).await?;
                size
            }
        };
        // What somebody has put there since is another file.
        blocking(move || directory.remove_file(&name, inode).map(|()| size)).await
    }

    /// Stores `bytes`.
    pub async fn put_bytes(&self, uri: &StorageUri, bytes: impl Into<Vec<u8>>) -> Result<()> {
        let bytes = bytes.into();
        if let Some(place) = self.mounts.place(uri) {
            return blocking(move || local::put_atomically(&place.for_writing()?, &bytes, true).map(|_| ()))
                .await;
        }
        match &self.backend {
            Backend::Local(local) => {
                let (local, key) = (Arc::clone(local), uri.key());
                blocking(move || local::put_atomically(&local.slot(&key)?, &bytes, local.durable).map(|_| ()))
                    .await
            }
            Backend::Remote(store) => {
                store.put(&uri.key(), bytes.into()).await.map_err(|error| failed("store", uri, error))?;
                Ok(())
            }
        }
    }

    /// Writes the object to a new file at `path`, replacing what is there (a symbolic link itself, not its target).
    /// Returns its size in bytes. For paths that nobody can change meanwhile but the engine's user.
    pub async fn get_file(&self, uri: &StorageUri, path: &Path) -> Result<u64> {
        self.get_to(uri, Slot::at(path.to_owned(), Access::Umask)).await
    }

    /// Writes the object to the file `name` of a working directory, in place of what is there. Folders are made as needed.
    /// Returns its size in bytes.
    pub async fn get_into(&self, uri: &StorageUri, directory: &Directory, name: &str) -> Result<u64> {
        self.get_to(uri, directory.slot(name)?).await
    }

    async fn get_to(&self, uri: &StorageUri, slot: Slot) -> Result<u64> {
        if let Some(from) = self.mounted(uri)? {
            return blocking(move || local::copy_atomically(&from, &slot, false)).await;
        }
        match &self.backend {
            Backend::Local(local) => {
                let (local, uri) = (Arc::clone(local), uri.clone());
                blocking(move || local::copy_atomically(&local.open_file(&uri)?, &slot, false)).await
            }
            Backend::Remote(store) => {
                let (result, size) = asked(store, uri).await?;
                received(uri, result, move |chunks| {
                    local::write_atomically(&slot, Some(size), false, |file| write_chunks(chunks, file, size))
                })
                .await
            }
        }
    }

    /// Opens the object to be read. Of a remote store it is a copy without a name, made in the directory `temporary`.
    pub async fn open(&self, uri: &StorageUri, temporary: &Path) -> Result<File> {
        if let Some(from) = self.mounted(uri)? {
            return Ok(from.into_file());
        }
        match &self.backend {
            Backend::Local(local) => Ok(local.open_file(uri)?.into_file()),
            Backend::Remote(store) => {
                let (result, size) = asked(store, uri).await?;
                let folder = temporary.to_owned();
                received(uri, result, move |chunks| {
                    let failed = |error| StorageError::io("create a file in", &folder.join("."), error);
                    let mut file = tempfile::tempfile_in(&folder).map_err(failed)?;
                    let written = write_chunks(chunks, &mut file, size).and_then(|_| file.rewind());
                    written.map(|()| file).map_err(|error| StorageError::io("write", &folder, error))
                })
                .await
            }
        }
    }

    /// The object's bytes, if there are no more than `max_bytes`.
    pub async fn read(&self, uri: &StorageUri, max_bytes: u64) -> Result<Vec<u8>> {
        let within = |size: u64| match size {
            size if size > max_bytes => {
                Err(StorageError::TooLarge { uri: uri.to_string(), size, limit: max_bytes })
            }
            _ => Ok(()),
        };
        if let Some(from) = self.mounted(uri)? {
            within(from.size())?;
            return blocking(move || {
                let mut bytes = Vec::new();
                let path = from.path().to_owned();
                let read = from.into_file().take(max_bytes).read_to_end(&mut bytes);
                read.map(|_| bytes).map_err(|error| StorageError::io("read", &path, error))
            })
            .await;
        }
        let result = self.reader(uri)?.get(&uri.key()).await.map_err(|error| failed("read", uri, error))?;
        within(result.meta.size)?;
        let bytes = result.bytes().await.map_err(|error| failed("read", uri, error))?;
        Ok(bytes.into())
    }

    /// Size and time of last writing.
    pub async fn metadata(&self, uri: &StorageUri) -> Result<Object> {
        if let Some(file) = self.mounted(uri)? {
            let modified = file.metadata().modified();
            let modified = modified.map_err(|error| StorageError::io("read", file.path(), error))?;
            return Ok(Object { uri: uri.clone(), size: file.size(), modified });
        }
        let meta = self.reader(uri)?.head(&uri.key()).await.map_err(|error| failed("read", uri, error))?;
        object(meta)
    }

    /// The object's size in bytes.
    pub async fn size(&self, uri: &StorageUri) -> Result<u64> {
        Ok(self.metadata(uri).await?.size)
    }

    /// Whether there is an object.
    pub async fn exists(&self, uri: &StorageUri) -> Result<bool> {
        match self.metadata(uri).await {
            Ok(_) => Ok(true),
            Err(StorageError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes the object. Returns whether there was one.
    pub async fn delete(&self, uri: &StorageUri) -> Result<bool> {
        let mounted = match self.mounts.place(uri) {
            Some(place) => blocking(move || place.remove()).await?,
            None => false,
        };
        // What the directory hid must not come to light by this.
        Ok(self.delete_stored(uri).await? || mounted)
    }

    async fn delete_stored(&self, uri: &StorageUri) -> Result<bool> {
        if self.existing()?.is_none() {
            return Ok(false);
        }
        // Object stores do not say whether there was something to delete.
        let store = self.reader(uri)?;
        let deleted = match store.head(&uri.key()).await {
            Ok(_) => store.delete(&uri.key()).await,
            Err(error) => Err(error),
        };
        match deleted.map_err(|error| failed("delete", uri, error)) {
            Ok(()) => Ok(true),
            Err(StorageError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Every object below `prefix`, in the order of their names.
    pub async fn list(&self, prefix: &StorageUri) -> Result<Vec<Object>> {
        let (mounts, of) = (Arc::clone(&self.mounts), prefix.clone());
        let mut objects = blocking(move || mounts.list(&of)).await?;
        if let Some(store) = self.existing()? {
            let metas: Vec<ObjectMeta> = store
                .list(Some(&prefix.key()))
                .try_collect()
                .await
                .map_err(|error| failed("list", prefix, error))?;
            for meta in metas {
                objects.push(object(meta)?);
            }
        }
        // The sort is stable, and files of directories come first.
        objects.sort_by(|a, b| a.uri.cmp(&b.uri));
        objects.dedup_by(|later, first| later.uri == first.uri);
        Ok(objects)
    }

    /// The file that stands for the object, if a directory has one.
    fn mounted(&self, uri: &StorageUri) -> Result<Option<OpenFile>> {
        self.mounts.place(uri).map_or(Ok(None), |place| place.file())
    }

    /// Deletes every object below `prefix`. Returns how many there were.
    pub async fn delete_prefix(&self, prefix: &StorageUri) -> Result<u64> {
        let mut deleted = 0;
        for object in self.list(prefix).await? {
            deleted += u64::from(self.delete(&object.uri).await?);
        }
        Ok(deleted)
    }

    /// The store, if it exists; a local directory may not yet.
    fn existing(&self) -> Result<Option<&dyn ObjectStore>> {
        match &self.backend {
            Backend::Local(local) => Ok(local.existing()?.map(|store| store as &dyn ObjectStore)),
            Backend::Remote(store) => Ok(Some(store.as_ref())),
        }
    }

    fn reader(&self, uri: &StorageUri) -> Result<&dyn ObjectStore> {
        self.existing()?.ok_or_else(|| StorageError::NotFound { uri: uri.to_string() })
    }
}

impl Local {
    fn existing(&self) -> Result<Option<&LocalFileSystem>> {
        if self.store.get().is_none() && !self.root.is_dir() {
            return Ok(None);
        }
        self.open().map(Some)
    }

    fn open(&self) -> Result<&LocalFileSystem> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let store = LocalFileSystem::new_with_prefix(&self.root)
            .map_err(|error| StorageError::Store {
                action: "open",
                uri: self.root.display().to_string(),
                reason: error.to_string(),
            })?
            .with_automatic_cleanup(true);
        Ok(self.store.get_or_init(|| store))
    }

    fn slot(&self, key: &object_store::path::Path) -> Result<Slot> {
        if self.store.get().is_none() {
            create_folders(&self.root)
                .map_err(|error| StorageError::io("create the directory", &self.root, error))?;
        }
        self.path(self.open()?, key).map(|path| Slot::at(path, Access::Private))
    }

    fn open_file(&self, uri: &StorageUri) -> Result<OpenFile> {
        let not_found = || StorageError::NotFound { uri: uri.to_string() };
        let path = self.path(self.existing()?.ok_or_else(not_found)?, &uri.key())?;
        // A folder, or a link, which the engine has not put there, is no object.
        let is_link = rustix::io::Errno::LOOP.raw_os_error();
        OpenFile::open_itself(&path).map_err(|error| match &error {
            StorageError::InvalidName { .. } => not_found(),
            StorageError::Io { source, .. } if source.raw_os_error() == Some(is_link) => not_found(),
            _ if error.is_missing() => not_found(),
            _ => error,
        })
    }

    fn path(&self, store: &LocalFileSystem, key: &object_store::path::Path) -> Result<PathBuf> {
        store.path_to_filesystem(key).map_err(|error| StorageError::Store {
            action: "find",
            uri: key.to_string(),
            reason: error.to_string(),
        })
    }
}

/// Streams a file into `store`. Returns its size, and the file again.
async fn upload(
    store: &Arc<dyn ObjectStore>,
    uri: &StorageUri,
    file: OpenFile,
) -> Result<(u64, tokio::fs::File)> {
    let limit = file.limit();
    let mut file = tokio::fs::File::from_std(file.into_file());
    let mut writer = BufWriter::new(Arc::clone(store), uri.key());
    let copied = async {
        let copied = tokio::io::copy(&mut (&mut file).take(limit), &mut writer).await?;
        writer.shutdown().await?;
        Ok::<_, io::Error>(copied)
    };
    match copied.await {
        Ok(size) => Ok((size, file)),
        Err(error) => {
            // The error that stopped the upload is what matters; unfinished parts are not an object.
            let _ = writer.abort().await;
            Err(StorageError::Store { action: "store", uri: uri.to_string(), reason: error.to_string() })
        }
    }
}

/// The answer of `store` for an object, and the object's size.
async fn asked(store: &Arc<dyn ObjectStore>, uri: &StorageUri) -> Result<(GetResult, u64)> {
    let result = store.get(&uri.key()).await.map_err(|error| failed("read", uri, error))?;
    let size = result.meta.size;
    Ok((result, size))
}

/// Hands an object piece by piece to `write`, which blocks.
async fn received<T: Send + 'static>(
    uri: &StorageUri,
    result: GetResult,
    write: impl FnOnce(mpsc::Receiver<Bytes>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let mut stream = result.into_stream();
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    let writing = spawn_blocking(move || write(receiver));
    let streaming = async {
        while let Some(chunk) = stream.try_next().await? {
            if sender.send(chunk).await.is_err() {
                // The writer went away, with an error of its own.
                break;
            }
        }
        Ok::<_, object_store::Error>(())
    };
    let streamed = streaming.await;
    drop(sender);
    let written = joined(writing.await);
    streamed.map_err(|error| failed("read", uri, error))?;
    written
}

/// Writes chunks as they come; that they stop before there are `size` bytes is an error, or half a file would be taken
/// for the whole.
fn write_chunks(mut chunks: mpsc::Receiver<Bytes>, file: &mut File, size: u64) -> io::Result<u64> {
    let mut written = 0;
    while let Some(chunk) = chunks.blocking_recv() {
        file.write_all(&chunk)?;
        written += chunk.len() as u64;
    }
    if written == size { Ok(written) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

/// Which file it is.
fn inode(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    joined(spawn_blocking(work).await)
}

pub(crate) fn joined<T>(result: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    result.unwrap_or_else(|error| {
        // Only when the runtime shuts down: the work itself does not panic.
        Err(StorageError::Store {
            action: "finish",
            uri: "a file operation".to_owned(),
            reason: error.to_string(),
        })
    })
}

fn object(meta: ObjectMeta) -> Result<Object> {
    Ok(Object {
        uri: StorageUri::from_key(&meta.location)?,
        size: meta.size,
        modified: meta.last_modified.into(),
    })
}

fn failed(action: &'static str, uri: &StorageUri, error: object_store::Error) -> StorageError {
    // A local store knows no object below an object, but the system calls it something else.
    let not_found = matches!(error, object_store::Error::NotFound { .. })
        || io_kind(&error).is_some_and(|kind| kind == ErrorKind::NotADirectory);
    if not_found {
        return StorageError::NotFound { uri: uri.to_string() };
    }
    StorageError::Store { action, uri: uri.to_string(), reason: error.to_string() }
}

/// The kind of the system's error behind `error`, if there is one.
fn io_kind(error: &(dyn Error + 'static)) -> Option<ErrorKind> {
    std::iter::successors(Some(error), |&error| error.source())
        .find_map(|error| error.downcast_ref::<io::Error>())
        .map(io::Error::kind)
}
