//! Files of namespaces into the working directory: the first thing that is put there (compat.md §3.2).

use serde_json::Value;
use weft_expr::Environment;
use weft_files::workdir::Directory;
use weft_files::{FileFilter, Storage, StorageError};
use weft_model::{Failure, Level, Map};

use crate::records::TaskLog;
use crate::render;
use crate::schema::Schema;
use crate::staging::storage_failure;

/// Puts the files that `value`, a `namespaceFiles` property as written, asks for into `directory`.
pub async fn put(
    value: &Value,
    (property, namespace): (&str, &str),
    directory: &Directory,
    storage: &Storage,
    (context, env): (&weft_expr::Value, &dyn Environment),
    log: &TaskLog,
) -> Result<(), Failure> {
    let rendered = render::property(value, Schema::root(&Value::Null), property, context, env)?;
    let Some(wanted) = Wanted::read(&rendered, property, namespace)? else { return Ok(()) };
    let place = |error: StorageError| {
        let failure = storage_failure(&error);
        Failure { message: format!("property `{property}`: {}", failure.message), ..failure }
    };
    let filter = FileFilter::new(&wanted.include, &wanted.exclude).map_err(place)?;
    let mut count = 0;
    for namespace in &wanted.namespaces {
        let root = weft_files::namespace_files(namespace).map_err(place)?;
        for object in storage.list(&root).await.map_err(place)? {
            let Some(name) = object.uri.relative_to(&root).filter(|name| filter.matches(name)) else {
                continue;
            };
            let name = match wanted.folder_per_namespace {
                true => format!("{namespace}/{name}"),
                false => name.to_owned(),
            };
            if wanted.may_write(directory, &name, log)? {
                storage.get_into(&object.uri, directory, &name).await.map_err(place)?;
                count += 1;
            }
        }
    }
    let from = wanted.namespaces.join("`, `");
    log.write(
        Level::Debug,
        &format!("{count} files of the namespace `{from}` put into the working directory"),
    );
    Ok(())
}

/// What a `namespaceFiles` property asks for.
#[derive(Debug, PartialEq)]
struct Wanted {
    include: Vec<String>,
    exclude: Vec<String>,
    namespaces: Vec<String>,
    folder_per_namespace: bool,
    if_exists: IfExists,
}

/// What becomes of a file that is in the directory already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IfExists {
    Overwrite,
    Fail,
    Warn,
    Ignore,
}

const KEYS: [&str; 6] = ["enabled", "include", "exclude", "namespaces", "folderPerNamespace", "ifExists"];

impl Wanted {
    /// Reads the rendered property; nothing where it is absent or switched off.
    fn read(value: &Value, property: &str, namespace: &str) -> Result<Option<Self>, Failure> {
        let wrong = |place: &str, expected: &str, found: &Value| {
            let message = format!("property `{property}{place}`: expected {expected}, found `{found}`");
            Failure::new("property.invalid", message)
        };
        let map = match value {
            Value::Null => return Ok(None),
            Value::Bool(false) => return Ok(None),
            Value::Bool(true) => &Map::new(),
            Value::Object(map) => map,
            other => return Err(wrong("", "a map with `enabled`, `include`, `exclude`", other)),
        };
        if let Some((key, _)) = map.iter().find(|(key, _)| !KEYS.contains(&key.as_str())) {
            let message = format!(
                "property `{property}`: `{key}` is not a part of it\nhint: it can have `{}`",
                KEYS.join("`, `")
            );
            return Err(Failure::new("property.invalid", message));
        }
        let flag = |key: &str, default: bool| match map.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::String(text)) if matches!(text.as_str(), "true" | "false") => Ok(text == "true"),
            Some(other) => Err(wrong(&format!(".{key}"), "`true` or `false`", other)),
        };
        let list = |key: &str| match map.get(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(one)) => Ok(vec![one.clone()]),
            Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
                Ok(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            }
            Some(other) => Err(wrong(&format!(".{key}"), "a list of texts", other)),
        };
        if !flag("enabled", true)? {
            return Ok(None);
        }
        let mut namespaces: Vec<String> = list("namespaces")?;
        if namespaces.is_empty() {
            namespaces.push(namespace.to_owned());
        }
        let if_exists = match map.get("ifExists") {
            None | Some(Value::Null) => IfExists::Overwrite,
            Some(found) => match found.as_str().map(str::to_ascii_uppercase).as_deref() {
                Some("OVERWRITE") => IfExists::Overwrite,
                Some("FAIL" | "ERROR") => IfExists::Fail,
                Some("WARN") => IfExists::Warn,
                Some("IGNORE") => IfExists::Ignore,
                _ => return Err(wrong(".ifExists", "one of OVERWRITE, FAIL, WARN, IGNORE", found)),
            },
        };
        Ok(Some(Self {
            include: list("include")?,
            exclude: list("exclude")?,
            namespaces,
            folder_per_namespace: flag("folderPerNamespace", false)?,
            if_exists,
        }))
    }

    /// Whether the file is to be written, given what is there.
    fn may_write(&self, directory: &Directory, name: &str, log: &TaskLog) -> Result<bool, Failure> {
        if self.if_exists == IfExists::Overwrite || !directory.has(name) {
            return Ok(true);
        }
        let message = format!("the namespace file `{name}` is in the working directory already");
        match self.if_exists {
            IfExists::Fail => return Err(Failure::new("files.exists", message)),
            IfExists::Warn => log.write(Level::Warn, &format!("{message} and is left as it is")),
            IfExists::Overwrite | IfExists::Ignore => {}
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wanted_is_read() {
        let all = Wanted {
            include: vec![],
            exclude: vec![],
            namespaces: vec!["own".into()],
            folder_per_namespace: false,
            if_exists: IfExists::Overwrite,
        };
        let read = |value: &Value| Wanted::read(value, "namespaceFiles", "own");
        assert_eq!(read(&json!({})), Ok(Some(Wanted { ..all })));
        for value in [json!(null), json!(false), json!({"enabled": false}), json!({"enabled": "false"})] {
            assert_eq!(read(&value), Ok(None), "{value}");
        }
        let value = json!({
            "enabled": "true", "include": "a.py", "exclude": ["b*"], "namespaces": ["x", "y"],
            "folderPerNamespace": true, "ifExists": "warn",
        });
        assert_eq!(
            read(&value),
            Ok(Some(Wanted {
                include: vec!["a.py".into()],
                exclude: vec!["b*".into()],
                namespaces: vec!["x".into(), "y".into()],
                folder_per_namespace: true,
                if_exists: IfExists::Warn,
            }))
        );
        for (value, place) in [
            (json!("yes"), "`namespaceFiles`"),
            (json!({"enabled": 1}), "`namespaceFiles.enabled`"),
            (json!({"include": {"a": 1}}), "`namespaceFiles.include`"),
            (json!({"ifExists": "REPLACE"}), "`namespaceFiles.ifExists`"),
            (json!({"includes": []}), "`includes` is not a part of it"),
        ] {
            let failure = read(&value).unwrap_err();
            assert!(failure.message.contains(place), "{value}: {}", failure.message);
        }
    }
}
