//! The `cache` of `WorkingDirectory` tasks: restored when the directory is opened, saved when it is closed.

use std::time::Duration;

use serde_json::Value;
use weft_expr::Environment;
use weft_files::cache::{Cache, Outcome, Restored, Saved};
use weft_files::workdir::Directory;
use weft_files::{Storage, cache_archive};
use weft_model::{Failure, Level, TaskRunRequest};

use crate::records::TaskLog;
use crate::render;
use crate::schema::Schema;
use crate::staging::storage_failure;

/// The cache of a directory that is open, and what was restored from it.
#[derive(Debug)]
pub struct DirectoryCache {
    cache: Cache,
    restored: Restored,
}

impl DirectoryCache {
    /// Puts what was saved before into the directory of `request`. `cache` is the property as written; without patterns
    /// there is nothing to be restored and saved.
    pub async fn restore(
        cache: &Value,
        request: &TaskRunRequest,
        (directory, storage): (&Directory, &Storage),
        (context, env): (&weft_expr::Value, &dyn Environment),
        log: &TaskLog,
    ) -> Result<Option<Self>, Failure> {
        let cache = render::property(cache, Schema::root(&Value::Null), "cache", context, env)?;
        let patterns: Vec<String> = match &cache["patterns"] {
            Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => return Ok(None),
        };
        let ttl = match &cache["ttl"] {
            Value::String(text) => Some(time_to_live(text)?),
            _ => None,
        };
        let value = context.get_attr("taskrun").and_then(|taskrun| taskrun.get_attr("value")).ok();
        let uri = cache_archive(
            &request.namespace,
            &request.flow_id,
            &request.task_id,
            value.as_ref().and_then(weft_expr::Value::as_str),
        )
        .map_err(|error| storage_failure(&error))?;
        let cache = Cache::new(storage.clone(), uri, patterns, ttl);
        let restored = cache.restore(directory).await.map_err(|error| storage_failure(&error))?;
        match &restored.outcome {
            Outcome::Absent => log.write(Level::Debug, "the cache is empty"),
            Outcome::Expired => log.write(Level::Info, "the cache was older than its `ttl` and was deleted"),
            Outcome::Restored(files) => {
                log.write(Level::Debug, &format!("{files} files restored from the cache"));
            }
            Outcome::Broken(reason) => {
                log.write(Level::Warn, &format!("the cache cannot be read and was deleted: {reason}"));
            }
        }
        for name in &restored.kept {
            log.write(Level::Error, &format!("`{name}` of the cache is in the working directory already"));
        }
        Ok(Some(Self { cache, restored }))
    }

    /// Saves the directory's cache if its files changed. A cache that cannot be saved is built again next time: that is
    /// in the log and fails nothing.
    pub async fn save(&self, directory: &Directory, log: &TaskLog) {
        match self.cache.save(directory, &self.restored).await {
            Ok(Saved::Unchanged) => log.write(Level::Debug, "the files of the cache are unchanged"),
            Ok(Saved::Stored { files, bytes }) => {
                log.write(Level::Debug, &format!("{files} files saved to the cache, {bytes} bytes"));
            }
            Err(error) => log.write(Level::Error, &format!("the cache cannot be saved: {error}")),
        }
    }
}

fn time_to_live(text: &str) -> Result<Duration, Failure> {
    let duration =
        weft_flow::parse_duration(text).ok().and_then(|duration| Duration::try_from(duration).ok());
    duration.ok_or_else(|| {
        let message =
            format!("property `cache.ttl`: expected an ISO-8601 duration like `PT1H`, found `{text}`");
        Failure::new("property.invalid", message)
    })
}
