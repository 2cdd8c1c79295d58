//! What expressions of the targets may ask of the world.

use jiff::tz::TimeZone;
use weft_expr::{Environment, Fault, Limits, Serde, Value};

/// The same answers each time, and narrow limits.
pub struct World {
    /// What `read()` gives.
    pub file: String,
}

impl Default for World {
    fn default() -> Self {
        Self { file: "{\"a\": [1, 2.5, null]}".to_owned() }
    }
}

impl Environment for World {
    fn limits(&self) -> Limits {
        Limits { depth: 30, iterations: 20_000, output_bytes: 200_000, recursion: 5 }
    }

    fn now(&self) -> Result<jiff::Zoned, Fault> {
        Ok(jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC))
    }

    fn secret(&self, key: &str) -> Result<String, Fault> {
        match key {
            "JSON" => Ok("{\"user\": \"ann\", \"port\": 5432}".to_owned()),
            _ => Ok("open sesame".to_owned()),
        }
    }

    fn read(&self, _: &str) -> Result<String, Fault> {
        Ok(self.file.clone())
    }

    fn kv(&self, key: &str, namespace: Option<&str>) -> Result<Option<Value>, Fault> {
        Ok((key != "missing")
            .then(|| Value::from(Serde(serde_json::json!({"n": 42, "namespace": namespace})))))
    }

    fn file_size(&self, uri: &str) -> Result<u64, Fault> {
        Ok(uri.len() as u64)
    }

    fn file_exists(&self, uri: &str) -> Result<bool, Fault> {
        Ok(!uri.is_empty())
    }

    fn file_uri(&self, path: &str) -> Result<String, Fault> {
        Ok(format!("kestra:///n/_files/{path}"))
    }

    fn random(&self) -> Result<u64, Fault> {
        Ok(7)
    }

    fn free_port(&self) -> Result<u16, Fault> {
        Ok(49_152)
    }

    fn encrypt(&self, key: &str, text: &str) -> Result<String, Fault> {
        Ok(format!("{key}({text})"))
    }

    fn decrypt(&self, key: &str, text: &str) -> Result<String, Fault> {
        text.strip_prefix(key).map(str::to_owned).ok_or_else(|| Fault::new("another key"))
    }

    fn error_logs(&self) -> Result<Value, Fault> {
        Ok(Value::from(Serde(serde_json::json!([{"taskId": "load", "message": "no such file"}]))))
    }

    fn http(&self, request: &Value) -> Result<Value, Fault> {
        Ok(request.clone())
    }
}
