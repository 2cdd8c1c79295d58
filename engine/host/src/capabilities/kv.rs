//! `kv`: the key-value store of a namespace.

use std::time::Duration;

use weft_model::{Failure as ModelFailure, abridged};

use crate::Capability;
use crate::bindings::weft::plugin::{kv::Host, types::Failure};
use crate::store::RunState;

impl RunState {
    /// Whether `key`, or keys that begin so, may be used in a namespace; the flow's where none is named.
    fn place(&self, namespace: Option<&str>, key: &str) -> Result<(), ModelFailure> {
        let own = self.caps.namespace();
        let namespace = namespace.unwrap_or(own);
        self.name("the namespace", namespace)?;
        self.name("the key", key)?;
        self.rights.allow_namespace(Capability::Kv, namespace, namespace == own)
    }
}

impl Host for RunState {
    async fn get(&mut self, namespace: Option<String>, key: String) -> Result<Option<String>, Failure> {
        self.place(namespace.as_deref(), &key)?;
        let value = self.caps.kv_get(namespace.as_deref(), &key).await?;
        Ok(value.map(|value| value.to_string()))
    }

    async fn set(
        &mut self,
        namespace: Option<String>,
        key: String,
        value: String,
        ttl_ms: Option<u64>,
        overwrite: bool,
    ) -> Result<(), Failure> {
        self.place(namespace.as_deref(), &key)?;
        let value = self.json(&format!("the value of key `{}`", abridged(&key)), &value)?;
        let ttl = ttl_ms.map(Duration::from_millis);
        Ok(self.caps.kv_set(namespace.as_deref(), &key, value, ttl, overwrite).await?)
    }

    async fn delete(&mut self, namespace: Option<String>, key: String) -> Result<bool, Failure> {
        self.place(namespace.as_deref(), &key)?;
        Ok(self.caps.kv_delete(namespace.as_deref(), &key).await?)
    }

    async fn keys(&mut self, namespace: Option<String>, prefix: String) -> Result<Vec<String>, Failure> {
        self.place(namespace.as_deref(), &prefix)?;
        Ok(self.caps.kv_keys(namespace.as_deref(), &prefix).await?)
    }
}
