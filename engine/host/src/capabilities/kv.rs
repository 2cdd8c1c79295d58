//! `kv`: the key-value store of a namespace.

use std::time::Duration;

use weft_model::Failure as ModelFailure;

use crate::Capability;
use crate::bindings::weft::plugin::{kv::Host, types::Failure};
use crate::store::RunState;

impl RunState {
    /// Whether the values of a namespace may be used; the flow's where none is named.
    fn allow_values_of(&self, namespace: Option<&str>) -> Result<(), ModelFailure> {
        let own = self.caps.namespace();
        let namespace = namespace.unwrap_or(own);
        self.rights.allow_namespace(Capability::Kv, namespace, namespace == own)
    }
}

impl Host for RunState {
    async fn get(&mut self, namespace: Option<String>, key: String) -> Result<Option<String>, Failure> {
        self.allow_values_of(namespace.as_deref())?;
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
        self.allow_values_of(namespace.as_deref())?;
        let value = self.json(&format!("the value of key `{key}`"), &value)?;
        let ttl = ttl_ms.map(Duration::from_millis);
        Ok(self.caps.kv_set(namespace.as_deref(), &key, value, ttl, overwrite).await?)
    }

    async fn delete(&mut self, namespace: Option<String>, key: String) -> Result<bool, Failure> {
        self.allow_values_of(namespace.as_deref())?;
        Ok(self.caps.kv_delete(namespace.as_deref(), &key).await?)
    }

    async fn keys(&mut self, namespace: Option<String>, prefix: String) -> Result<Vec<String>, Failure> {
        self.allow_values_of(namespace.as_deref())?;
        Ok(self.caps.kv_keys(namespace.as_deref(), &prefix).await?)
    }
}
