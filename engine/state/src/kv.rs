//! The key-value store: one file for each key, written as a whole.
//!
//! Readers need no lock. Writers of one namespace take turns by a lock that the system releases when a process ends, so
//! that of several who set a key that must not exist exactly one succeeds.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use percent_encoding::{
    AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode_byte, utf8_percent_encode,
};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::journal::VERSION;
use crate::{Result, StateError, disk, json};

/// The longest name of a file, less what stands around the key.
const MAX_NAME: usize = 240;
const EXTENSION: &str = ".json";
/// What is percent-encoded in the name of a file, beside all that is not ASCII. A dot that it begins with is, too.
const UNSAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum KvKind {
    /// Text.
    String,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// An instant, as text.
    Datetime,
    /// A date, as text.
    Date,
    /// An ISO-8601 duration, as text.
    Duration,
    /// Anything.
    Json,
}

/// A value with its type and times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KvValue {
    /// The value.
    pub value: Value,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: KvKind,
    /// From when on it is as if it had never been set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// When it was set.
    pub updated: Timestamp,
}

impl KvValue {
    fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// The content of a file.
#[derive(Serialize, Deserialize)]
struct Record<V> {
    v: u32,
    #[serde(flatten)]
    value: V,
}

/// The values in one data directory.
#[derive(Debug, Clone)]
pub struct KvStore {
    root: PathBuf,
}

impl KvStore {
    /// The values in the data directory `data`. Nothing is touched before the first is set.
    pub fn new(data: &Path) -> Self {
        Self { root: data.join("kv") }
    }

    /// The value of `key`, unless it expired before `now`.
    pub fn get(&self, namespace: &str, key: &str, now: Timestamp) -> Result<Option<KvValue>> {
        let value = read(&self.path(namespace, key)?)?;
        Ok(value.filter(|value| !value.is_expired(now)))
    }

    /// Sets `key`. With `overwrite` false it fails with [`StateError::KeyExists`] if the key has a value that did not
    /// expire before `value.updated`.
    pub fn set(&self, namespace: &str, key: &str, value: &KvValue, overwrite: bool) -> Result<()> {
        let path = self.path(namespace, key)?;
        let json = serde_json::to_vec(&Record { v: VERSION, value })
            .map_err(|error| StateError::io("encode for", &path, error.into()))?;
        let _turn = self.lock(namespace)?;
        if !overwrite && read(&path)?.is_some_and(|old| !old.is_expired(value.updated)) {
            return Err(StateError::KeyExists { namespace: namespace.to_owned(), key: key.to_owned() });
        }
        disk::write_atomically(&path, &json, true)
    }

    /// Deletes `key`. Returns whether it had a value at `now`.
    pub fn delete(&self, namespace: &str, key: &str, now: Timestamp) -> Result<bool> {
        let path = self.path(namespace, key)?;
        if !path.exists() {
            return Ok(false);
        }
        let _turn = self.lock(namespace)?;
        let had_value = read(&path)?.is_some_and(|value| !value.is_expired(now));
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(StateError::io("delete", &path, error)),
            _ => Ok(had_value),
        }
    }

    /// The keys that begin with `prefix` and have a value at `now`, in order.
    pub fn keys(&self, namespace: &str, prefix: &str, now: Timestamp) -> Result<Vec<String>> {
        let directory = self.directory(namespace)?;
        let mut keys = Vec::new();
        for name in disk::names(&directory)? {
            let Some(key) = name.strip_suffix(EXTENSION).and_then(decode) else { continue };
            if !key.starts_with(prefix) {
                continue;
            }
            if read(&directory.join(&name))?.is_some_and(|value| !value.is_expired(now)) {
                keys.push(key);
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    /// The namespaces that hold values, or once did, in order.
    pub fn namespaces(&self) -> Result<Vec<String>> {
        let mut namespaces: Vec<String> =
            disk::names(&self.root)?.iter().filter_map(|name| decode(name)).collect();
        namespaces.sort_unstable();
        Ok(namespaces)
    }

    /// Waits for this writer's turn, which lasts until the returned file is dropped.
    fn lock(&self, namespace: &str) -> Result<File> {
        let directory = self.directory(namespace)?;
        disk::create_folders(&directory)?;
        let path = directory.join(".lock");
        let file = disk::private()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| StateError::io("open", &path, error))?;
        flock(&file, FlockOperation::LockExclusive)
            .map_err(|error| StateError::io("lock", &path, error.into()))?;
        Ok(file)
    }

    fn directory(&self, namespace: &str) -> Result<PathBuf> {
        Ok(self.root.join(encode(namespace, "namespace")?))
    }

    fn path(&self, namespace: &str, key: &str) -> Result<PathBuf> {
        let name = encode(key, "key")? + EXTENSION;
        Ok(self.directory(namespace)?.join(name))
    }
}

fn read(path: &Path) -> Result<Option<KvValue>> {
    let Some(bytes) = disk::read_if_there(path)? else { return Ok(None) };
    let corrupt = |error: serde_json::Error| StateError::Corrupt {
        path: path.to_owned(),
        line: None,
        reason: error.to_string(),
    };
    let record: Record<Value> = json::read(&bytes).map_err(corrupt)?;
    if record.v != VERSION {
        return Err(StateError::NewerVersion { path: path.to_owned(), found: record.v, known: VERSION });
    }
    serde_json::from_value(record.value).map(Some).map_err(corrupt)
}

/// `name` as the name of a file: all but letters, digits, `-`, `_` and inner dots is percent-encoded.
pub(crate) fn encode(name: &str, what: &'static str) -> Result<String> {
    let invalid = |reason| StateError::InvalidKey { key: name.to_owned(), what, reason };
    if name.is_empty() {
        return Err(invalid("it is empty"));
    }
    let encoded = match name.strip_prefix('.') {
        Some(rest) => format!("{}{}", percent_encode_byte(b'.'), utf8_percent_encode(rest, UNSAFE)),
        None => utf8_percent_encode(name, UNSAFE).to_string(),
    };
    if encoded.len() > MAX_NAME {
        return Err(invalid("it is too long; 240 letters are possible"));
    }
    Ok(encoded)
}

/// What [`encode`] made the name from; none if it did not make it.
pub(crate) fn decode(encoded: &str) -> Option<String> {
    let name = percent_decode_str(encoded).decode_utf8().ok()?;
    encode(&name, "name").is_ok_and(|again| again == encoded).then(|| name.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_so_that_they_stay_in_their_directory() {
        for (name, encoded) in [
            ("key", "key"),
            ("My.Key_1-x", "My.Key_1-x"),
            ("a/b", "a%2Fb"),
            ("..", "%2E."),
            (".hidden", "%2Ehidden"),
            ("größe", "gr%C3%B6%C3%9Fe"),
            ("50%", "50%25"),
        ] {
            assert_eq!(encode(name, "key").unwrap(), encoded);
            assert_eq!(decode(encoded).as_deref(), Some(name));
        }
        for name in ["", &"x".repeat(241)] {
            assert_eq!(encode(name, "key").unwrap_err().code(), "kv.invalid-key");
        }
    }
}
