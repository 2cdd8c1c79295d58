//! Objects in internal storage.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use futures::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _, buffered::BufWriter};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::mounts::{Mounts, stat};
use crate::private::{Access, create_folders};
use crate::{Result, StorageError, StorageUri, local};

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

    /// Stores the file at `path`. Returns its size in bytes.
    pub async fn put_file(&self, uri: &StorageUri, path: &Path) -> Result<u64> {
        if let Some(place) = self.mounts.place(uri) {
            let from = path.to_owned();
            return blocking(move || {
                local::copy_atomically(&from, &place.for_writing()?, (Access::Umask, true))
            })
            .await;
        }
        match &self.backend {
            Backend::Local(local) => {
                let (local, key, from) = (Arc::clone(local), uri.key(), path.to_owned());
                blocking(move || local::copy_atomically(&from, &local.path_for_writing(&key)?, local.how()))
                    .await
            }
            Backend::Remote(store) => upload(store, uri, path).await,
        }
    }

    /// The same, and the file at `path` is gone afterwards. Within one file system nothing is copied.
    pub async fn move_file(&self, uri: &StorageUri, path: &Path) -> Result<u64> {
        let size = match &self.backend {
            Backend::Local(local) => {
                let (local, key, from) = (Arc::clone(local), uri.key(), path.to_owned());
                blocking(move || local::move_atomically(&from, &local.path_for_writing(&key)?, local.durable))
                    .await?
            }
            Backend::Remote(store) => upload(store, uri, path).await?,
        };
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(StorageError::io("remove", path, error)),
            _ => Ok(size),
        }
    }

    /// Stores `bytes`.
    pub async fn put_bytes(&self, uri: &StorageUri, bytes: impl Into<Vec<u8>>) -> Result<()> {
        let bytes = bytes.into();
        if let Some(place) = self.mounts.place(uri) {
            return blocking(move || {
                local::put_atomically(&place.for_writing()?, &bytes, (Access::Umask, true)).map(|_| ())
            })
            .await;
        }
        match &self.backend {
            Backend::Local(local) => {
                let (local, key) = (Arc::clone(local), uri.key());
                blocking(move || {
                    local::put_atomically(&local.path_for_writing(&key)?, &bytes, local.how()).map(|_| ())
                })
                .await
            }
            Backend::Remote(store) => {
                store.put(&uri.key(), bytes.into()).await.map_err(|error| failed("store", uri, error))?;
                Ok(())
            }
        }
    }

    /// Writes the object to a new file at `path`, replacing what is there (a symbolic link itself, not its target).
    /// Returns its size in bytes.
    pub async fn get_file(&self, uri: &StorageUri, path: &Path) -> Result<u64> {
        if let Some(from) = self.mounted(uri)? {
            let to = path.to_owned();
            return blocking(move || local::copy_atomically(&from, &to, (Access::Umask, false))).await;
        }
        match &self.backend {
            Backend::Local(local) => {
                let (local, uri, to) = (Arc::clone(local), uri.clone(), path.to_owned());
                blocking(move || {
                    let from = local.path_for_reading(&uri)?;
                    local::copy_atomically(&from, &to, (Access::Umask, false))
                })
                .await
            }
            Backend::Remote(store) => download(store, uri, path).await,
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
            within(stat(&from)?.0)?;
            return blocking(move || fs::read(&from).map_err(|error| StorageError::io("read", &from, error)))
                .await;
        }
        let result = self.reader(uri)?.get(&uri.key()).await.map_err(|error| failed("read", uri, error))?;
        within(result.meta.size)?;
        let bytes = result.bytes().await.map_err(|error| failed("read", uri, error))?;
        Ok(bytes.into())
    }

    /// Size and time of last writing.
    pub async fn metadata(&self, uri: &StorageUri) -> Result<Object> {
        if let Some(path) = self.mounted(uri)? {
            let (size, modified) = stat(&path)?;
            return Ok(Object { uri: uri.clone(), size, modified });
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
    fn mounted(&self, uri: &StorageUri) -> Result<Option<PathBuf>> {
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

    /// How files are written into it.
    fn how(&self) -> (Access, bool) {
        (Access::Private, self.durable)
    }

    fn path_for_writing(&self, key: &object_store::path::Path) -> Result<PathBuf> {
        if self.store.get().is_none() {
            create_folders(&self.root)
                .map_err(|error| StorageError::io("create the directory", &self.root, error))?;
        }
        self.path(self.open()?, key)
    }

    fn path_for_reading(&self, uri: &StorageUri) -> Result<PathBuf> {
        let not_found = || StorageError::NotFound { uri: uri.to_string() };
        let path = self.path(self.existing()?.ok_or_else(not_found)?, &uri.key())?;
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(path),
            Ok(_) => Err(not_found()),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Err(not_found())
            }
            Err(error) => Err(StorageError::io("read", &path, error)),
        }
    }

    fn path(&self, store: &LocalFileSystem, key: &object_store::path::Path) -> Result<PathBuf> {
        store.path_to_filesystem(key).map_err(|error| StorageError::Store {
            action: "find",
            uri: key.to_string(),
            reason: error.to_string(),
        })
    }
}

/// Streams the file at `path` into `store`.
async fn upload(store: &Arc<dyn ObjectStore>, uri: &StorageUri, path: &Path) -> Result<u64> {
    let unreadable = |error| StorageError::io("read", path, error);
    let mut file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    if !file.metadata().await.map_err(unreadable)?.is_file() {
        let reason = "only a regular file can be stored".to_owned();
        return Err(StorageError::InvalidName { name: path.display().to_string(), reason });
    }
    let mut writer = BufWriter::new(Arc::clone(store), uri.key());
    let copied = async {
        let copied = tokio::io::copy(&mut file, &mut writer).await?;
        writer.shutdown().await?;
        Ok::<_, io::Error>(copied)
    };
    match copied.await {
        Ok(size) => Ok(size),
        Err(error) => {
            // The error that stopped the upload is what matters; unfinished parts are not an object.
            let _ = writer.abort().await;
            Err(StorageError::Store { action: "store", uri: uri.to_string(), reason: error.to_string() })
        }
    }
}

/// Streams an object of `store` into the file `path`.
async fn download(store: &Arc<dyn ObjectStore>, uri: &StorageUri, path: &Path) -> Result<u64> {
    let result = store.get(&uri.key()).await.map_err(|error| failed("read", uri, error))?;
    let size = result.meta.size;
    let mut stream = result.into_stream();
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    let target = path.to_owned();
    let writing = spawn_blocking(move || {
        local::write_atomically(&target, Some(size), (Access::Umask, false), |file| {
            write_chunks(receiver, file, size)
        })
    });
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
fn write_chunks(mut chunks: mpsc::Receiver<impl AsRef<[u8]>>, file: &mut File, size: u64) -> io::Result<u64> {
    let mut written = 0;
    while let Some(chunk) = chunks.blocking_recv() {
        file.write_all(chunk.as_ref())?;
        written += chunk.as_ref().len() as u64;
    }
    if written == size { Ok(written) } else { Err(ErrorKind::UnexpectedEof.into()) }
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
