//! AES-GCM, in the form of Kestra's `encrypt()` and `decrypt()`: a key in base64, and base64 of nonce, ciphertext and
//! tag. What is kept encrypted at rest (values of SECRET inputs) has this form too, under the installation's key.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use aes_gcm::aead::{Aead, Generate as _, Key};
use aes_gcm::{Aes128Gcm, Aes256Gcm, KeyInit, Nonce};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// Bytes in front of the ciphertext.
const NONCE: usize = 12;

/// What an encrypted value says it is, as Kestra names it.
const SEALED_TYPE: &str = "io.kestra.datatype:aes_encrypted";

/// Why something cannot be encrypted or decrypted.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum EncryptionError {
    /// The key is not one.
    #[error("the {what} is not base64 of 16 or 32 bytes\nhint: make one with `openssl rand -base64 32`")]
    Key {
        /// Which key.
        what: String,
    },
    /// The text was not encrypted with this key, or was changed.
    #[error("the text cannot be decrypted: it was encrypted with another key, or it is damaged")]
    Ciphertext,
    /// The key file cannot be used.
    #[error("cannot {action} the key file `{}`: {reason}", path.display())]
    File {
        /// What was being done, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// Encrypts `text` with `key`, base64 of 16 or 32 bytes.
pub fn encrypt(key: &str, text: &str) -> Result<String, EncryptionError> {
    Cipher::new(key, "key")?.encrypt(text)
}

/// The reverse of [`encrypt`].
pub fn decrypt(key: &str, text: &str) -> Result<String, EncryptionError> {
    Cipher::new(key, "key")?.decrypt(text)
}

enum Cipher {
    Aes128(Box<Aes128Gcm>),
    Aes256(Box<Aes256Gcm>),
}

impl Cipher {
    fn new(key: &str, what: &str) -> Result<Self, EncryptionError> {
        let bytes = BASE64_STANDARD.decode(key.trim()).unwrap_or_default();
        if let Ok(key) = <&Key<Aes256Gcm>>::try_from(bytes.as_slice()) {
            return Ok(Self::Aes256(Box::new(Aes256Gcm::new(key))));
        }
        match <&Key<Aes128Gcm>>::try_from(bytes.as_slice()) {
            Ok(key) => Ok(Self::Aes128(Box::new(Aes128Gcm::new(key)))),
            Err(_) => Err(EncryptionError::Key { what: what.to_owned() }),
        }
    }

    fn encrypt(&self, text: &str) -> Result<String, EncryptionError> {
        let nonce = Nonce::generate();
        let encrypted = match self {
            Self::Aes128(cipher) => cipher.encrypt(&nonce, text.as_bytes()),
            Self::Aes256(cipher) => cipher.encrypt(&nonce, text.as_bytes()),
        };
        // Only texts of more than 64 GiB cannot be encrypted.
        let encrypted = encrypted.map_err(|_| EncryptionError::Ciphertext)?;
        Ok(BASE64_STANDARD.encode([nonce.as_slice(), &encrypted].concat()))
    }

    fn decrypt(&self, text: &str) -> Result<String, EncryptionError> {
        let bytes = BASE64_STANDARD.decode(text.trim()).map_err(|_| EncryptionError::Ciphertext)?;
        let (nonce, encrypted) = bytes.split_at_checked(NONCE).ok_or(EncryptionError::Ciphertext)?;
        let nonce = nonce.try_into().map_err(|_| EncryptionError::Ciphertext)?;
        let decrypted = match self {
            Self::Aes128(cipher) => cipher.decrypt(nonce, encrypted),
            Self::Aes256(cipher) => cipher.decrypt(nonce, encrypted),
        };
        let decrypted = decrypted.map_err(|_| EncryptionError::Ciphertext)?;
        String::from_utf8(decrypted).map_err(|_| EncryptionError::Ciphertext)
    }
}

/// Encrypts what is to be kept, with the installation's key: the configured one, or one that is made when it is first
/// needed and kept in a file that only this user can read. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Vault {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    configured: Option<String>,
    file: PathBuf,
    key: OnceLock<String>,
}

impl Vault {
    /// A vault with the configured key, or with that in `file`.
    pub fn new(configured: Option<String>, file: impl Into<PathBuf>) -> Self {
        Self { inner: Arc::new(Inner { configured, file: file.into(), key: OnceLock::new() }) }
    }

    /// A text, encrypted: another one each time.
    pub fn encrypt(&self, text: &str) -> Result<String, EncryptionError> {
        self.cipher()?.encrypt(text)
    }

    /// The reverse of [`Self::encrypt`].
    pub fn decrypt(&self, sealed: &str) -> Result<String, EncryptionError> {
        self.cipher()?.decrypt(sealed)
    }

    /// A text as the value that is kept in its place.
    pub fn seal(&self, text: &str) -> Result<Value, EncryptionError> {
        Ok(json!({"type": SEALED_TYPE, "value": self.encrypt(text)?}))
    }

    /// The text that a value made by [`Self::seal`] stands for; none for any other value.
    pub fn open(&self, value: &Value) -> Option<Result<String, EncryptionError>> {
        let sealed = sealed(value)?;
        Some(self.decrypt(sealed))
    }

    fn cipher(&self) -> Result<Cipher, EncryptionError> {
        match &self.inner.configured {
            Some(key) => Cipher::new(key, "configured key `encryption.secretKey`"),
            None => Cipher::new(&self.kept()?, &format!("key in `{}`", self.inner.file.display())),
        }
    }

    fn kept(&self) -> Result<String, EncryptionError> {
        if let Some(key) = self.inner.key.get() {
            return Ok(key.clone());
        }
        let key = read_or_make(&self.inner.file)?;
        Ok(self.inner.key.get_or_init(|| key).clone())
    }
}

/// The ciphertext in a value made by [`Vault::seal`].
fn sealed(value: &Value) -> Option<&str> {
    let map = value.as_object().filter(|map| map.len() == 2)?;
    (map.get("type")? == SEALED_TYPE).then_some(())?;
    map.get("value")?.as_str()
}

fn read_or_make(path: &Path) -> Result<String, EncryptionError> {
    let failed = |action| {
        move |error: std::io::Error| EncryptionError::File {
            action,
            path: path.to_owned(),
            reason: error.to_string(),
        }
    };
    match fs::read_to_string(path) {
        Ok(key) => {
            let mode = fs::metadata(path).map_err(failed("read"))?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(EncryptionError::File {
                    action: "use",
                    path: path.to_owned(),
                    reason: format!(
                        "others can read it (mode {:03o})\nhint: `chmod 600` it, and think about whether they have",
                        mode & 0o777
                    ),
                });
            }
            return Ok(key);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed("read")(error)),
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("make"))?;
    // Written beside and linked, so that of several that make one at a time all use the same, and nobody sees half of it.
    let draft = folder.join(format!(".key-{}", weft_model::new_id()));
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(failed("make"))?;
    let key = BASE64_STANDARD.encode(Key::<Aes256Gcm>::generate());
    let written = file
        .write_all(format!("{key}\n").as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    match written {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::read_to_string(path).map_err(failed("read"))
        }
        Err(error) => Err(failed("make")(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

    #[test]
    fn texts_come_back_and_differ_each_time() {
        for key in [KEY, "MDEyMzQ1Njc4OWFiY2RlZg=="] {
            for text in ["", "s3cret", "größe\n"] {
                let (one, other) = (encrypt(key, text).unwrap(), encrypt(key, text).unwrap());
                assert_ne!(one, other, "the nonce is new each time");
                assert_eq!(decrypt(key, &one).unwrap(), text);
            }
        }
        // Made by OpenSSL with the nonce `abcdefghijkl`: nonce, ciphertext, tag of 128 bits.
        assert_eq!(decrypt(KEY, "YWJjZGVmZ2hpamtsDr4KCQh6CKJt8mShvepr0s87pwtQEng=").unwrap(), "größe");
    }

    #[test]
    fn what_cannot_be_decrypted_is_an_error() {
        for (key, text, part) in [
            ("short", "x", "32 bytes"),
            ("", "x", "32 bytes"),
            (KEY, "", "cannot be decrypted"),
            (KEY, "not base64!", "cannot be decrypted"),
            (KEY, "AAAA", "cannot be decrypted"),
            (KEY, "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXo=", "cannot be decrypted"),
        ] {
            let error = decrypt(key, text).unwrap_err().to_string();
            assert!(error.contains(part), "{key} {text}: {error}");
        }
    }

    #[test]
    fn the_key_is_made_once_and_for_this_user_only() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("data/encryption.key");
        let vaults: Vec<_> = (0..8)
            .map(|_| {
                let vault = Vault::new(None, &file);
                std::thread::spawn(move || (vault.seal("s3cret").unwrap(), vault))
            })
            .map(|thread| thread.join().unwrap())
            .collect();
        for (sealed, _) in &vaults {
            assert!(!sealed.to_string().contains("s3cret"));
            for (_, other) in &vaults {
                assert_eq!(other.open(sealed).unwrap().unwrap(), "s3cret");
            }
        }
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path().join("data")).unwrap().count(), 1, "drafts are gone");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let error = Vault::new(None, &file).seal("x").unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn only_sealed_values_are_opened() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::new(Some(KEY.to_owned()), dir.path().join("none"));
        for value in
            [json!("x"), json!({"type": SEALED_TYPE}), json!({"value": "x", "type": "other"}), json!(null)]
        {
            assert!(vault.open(&value).is_none(), "{value}");
        }
        let sealed = vault.seal("x").unwrap();
        assert_eq!(vault.open(&sealed).unwrap().unwrap(), "x");
        let other = Vault::new(None, dir.path().join("key"));
        assert!(matches!(other.open(&sealed), Some(Err(EncryptionError::Ciphertext))));
        assert!(!dir.path().join("none").exists());
    }
}
