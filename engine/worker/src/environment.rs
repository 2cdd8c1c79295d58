//! What expressions of one execution may ask of the world.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use jiff::{Timestamp, Zoned};
use tokio::runtime::Handle;
use weft_expr::{Environment, Fault, Value};
use weft_files::{Storage, StorageUri};
use weft_state::KvStore;

use crate::encryption;
use crate::mask::Masker;
use crate::reach::{Access, FlowReach};
use crate::records::Records;
use crate::secrets::Secrets;

/// The largest file that `read()` puts into a text.
const MAX_READ: u64 = 16 << 20;

/// The world as the expressions of one execution see it. Cheap to make; used by the worker for properties and by the
/// engine's loop for conditions and loop values.
///
/// Its methods block for storage, so they must be called on a thread of a multi-threaded runtime.
#[derive(Clone)]
pub struct ExecutionEnvironment {
    /// What of internal storage the flow may reach, and its namespace.
    pub reach: FlowReach,
    /// Internal storage, for `read()`, `fileSize()` and the like.
    pub storage: Storage,
    /// Where `kv()` looks.
    pub kv: KvStore,
    /// Where `secret()` looks.
    pub secrets: Arc<dyn Secrets>,
    /// Told of each secret that is resolved.
    pub masker: Masker,
    /// Where `errorLogs()` looks.
    pub records: Arc<dyn Records>,
    /// Where storage is waited for.
    pub runtime: Handle,
}

impl ExecutionEnvironment {
    /// The flow's namespace.
    pub fn namespace(&self) -> &str {
        &self.reach.namespace
    }

    fn wait<T>(&self, work: impl Future<Output = weft_files::Result<T>>) -> Result<T, Fault> {
        tokio::task::block_in_place(|| self.runtime.block_on(work))
            .map_err(|error| Fault::new(error.to_string()))
    }

    /// Refuses what belongs to a namespace where there is none.
    fn needs_namespace(&self, namespace: &str) -> Result<(), Fault> {
        if !namespace.is_empty() {
            return Ok(());
        }
        Err(Fault::new("there is no namespace here to look in")
            .with_hint("name one as the argument `namespace`, or have `flow.namespace` in the context"))
    }

    fn locate(&self, path_or_uri: &str) -> Result<StorageUri, Fault> {
        let uri = match weft_files::address(path_or_uri, self.namespace()) {
            Some(uri) => uri,
            None => {
                self.needs_namespace(self.namespace())?;
                let path = path_or_uri.trim_start_matches('/');
                weft_files::namespace_files(self.namespace()).and_then(|files| files.join(path))
            }
        };
        let uri = uri.map_err(|error| Fault::new(error.to_string()))?;
        match self.reach.check(&uri, Access::Read) {
            Ok(()) => Ok(uri),
            Err(error) => Err(Fault::new(error.what()).with_hint(error.hint())),
        }
    }
}

impl Environment for ExecutionEnvironment {
    fn now(&self) -> Result<Zoned, Fault> {
        Ok(Zoned::now())
    }

    fn time_zone(&self) -> jiff::tz::TimeZone {
        jiff::tz::TimeZone::system()
    }

    fn secret(&self, key: &str) -> Result<String, Fault> {
        // A file or a program may be waited for.
        match tokio::task::block_in_place(|| self.secrets.get(key)) {
            Ok(Some(secret)) => {
                self.masker.add(&secret);
                Ok(secret)
            }
            Ok(None) => Err(Fault::new(format!("cannot find secret for key `{key}`")).with_hint(format!(
                "set it with `export SECRET_{}=$(printf %s 'the secret' | base64)`",
                key.to_uppercase()
            ))),
            Err(error) => Err(Fault::new(error.to_string())),
        }
    }

    fn read(&self, path_or_uri: &str) -> Result<String, Fault> {
        let uri = self.locate(path_or_uri)?;
        let bytes = self.wait(self.storage.read(&uri, MAX_READ))?;
        String::from_utf8(bytes).map_err(|_| Fault::new(format!("`{path_or_uri}` is not UTF-8 text")))
    }

    fn kv(&self, key: &str, namespace: Option<&str>) -> Result<Option<Value>, Fault> {
        let namespace = namespace.unwrap_or(self.namespace());
        self.needs_namespace(namespace)?;
        let found =
            self.kv.get(namespace, key, Timestamp::now()).map_err(|error| Fault::new(error.to_string()))?;
        Ok(found.map(|found| Value::from(weft_expr::Serde(&found.value))))
    }

    fn file_size(&self, uri: &str) -> Result<u64, Fault> {
        let uri = self.locate(uri)?;
        self.wait(self.storage.size(&uri))
    }

    fn file_exists(&self, uri: &str) -> Result<bool, Fault> {
        let uri = self.locate(uri)?;
        self.wait(self.storage.exists(&uri))
    }

    fn file_uri(&self, path: &str) -> Result<String, Fault> {
        Ok(self.locate(path)?.to_string())
    }

    fn random(&self) -> Result<u64, Fault> {
        // Keys of `RandomState` are random and differ each time: enough for `uuid()`, and no crate for it.
        Ok(RandomState::new().build_hasher().finish())
    }

    fn free_port(&self) -> Result<u16, Fault> {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map(|address| address.port())
            .map_err(|error| Fault::new(format!("no free port: {error}")))
    }

    fn encrypt(&self, key: &str, text: &str) -> Result<String, Fault> {
        encryption::encrypt(key, text).map_err(|error| Fault::new(error.to_string()))
    }

    fn decrypt(&self, key: &str, text: &str) -> Result<String, Fault> {
        let decrypted = encryption::decrypt(key, text).map_err(|error| Fault::new(error.to_string()))?;
        self.masker.add(&decrypted);
        Ok(decrypted)
    }

    fn hide(&self, secret: &str) {
        self.masker.add(secret);
    }

    fn error_logs(&self) -> Result<Value, Fault> {
        Ok(Value::from(weft_expr::Serde(self.records.errors())))
    }
}
