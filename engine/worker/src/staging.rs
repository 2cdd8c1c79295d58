//! Files into the working directory before a task, and out of it afterwards.

use serde_json::Value;
use weft_expr::Environment;
use weft_files::workdir::{Directory, ENGINE_FOLDER};
use weft_files::{PatternSet, Storage, StorageError, TaskRunFiles};
use weft_model::{Failure, Map};

use crate::reach::FlowReach;
use crate::render;

/// A file name without what a shell takes for more than a letter: whoever named the object (an uploader, a web server)
/// must not write a part of the script.
fn harmless(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || "-._+=".contains(c) { c } else { '_' }).collect()
}

/// A failure of storage as a failure of the task.
pub fn storage_failure(error: &StorageError) -> Failure {
    Failure::new(error.code(), error.to_string())
}

/// Renders an `inputFiles` value (a map of name to content or URI, or a JSON text of one) and writes the files.
pub async fn put_input_files(
    value: &Value,
    (property, reach): (&str, &FlowReach),
    directory: &Directory,
    storage: &Storage,
    (context, env): (&weft_expr::Value, &dyn Environment),
) -> Result<(), Failure> {
    for (name, content) in file_map(value, property, context, env)? {
        let content = match content {
            // An input that was not given (`required: false`) leaves its file out.
            Value::Null => continue,
            Value::String(text) => text,
            other => other.to_string(),
        };
        let named = |failure: Failure| Failure {
            message: format!("property `{property}`: {}", failure.message),
            ..failure
        };
        let place = |error: StorageError| named(storage_failure(&error));
        let address = match content.contains(char::is_whitespace) {
            true => None,
            false => reach.address(&content),
        };
        if let Some(uri) = address {
            let uri = uri.map_err(named)?;
            storage.get_into(&uri, directory, &name).await.map_err(place)?;
        } else {
            let directory = directory.clone();
            let written =
                tokio::task::spawn_blocking(move || directory.write(&name, content.as_bytes())).await;
            match written {
                Ok(written) => written.map_err(place)?,
                Err(error) => return Err(Failure::new("engine.panic", error.to_string())),
            }
        }
    }
    Ok(())
}

/// The files that an `inputFiles` value names, rendered.
fn file_map(
    value: &Value,
    property: &str,
    context: &weft_expr::Value,
    env: &dyn Environment,
) -> Result<Map, Failure> {
    let wrong = || {
        let message = format!(
            "property `{property}`: expected a map of file name to content, or a JSON text of one\n\
             hint: write `{property}: {{data.csv: \"...\"}}`"
        );
        Failure::new("property.invalid", message)
    };
    match value {
        Value::Null => Ok(Map::new()),
        Value::Object(files) => {
            let mut rendered = Map::new();
            for (name, content) in files {
                let path = format!("{property}.{name}");
                let content = match content {
                    // Only an expression of nothing is no file; text stays text, also if it looks like a number.
                    Value::String(text) => match render::native(text, &path, context, env)? {
                        Value::Null => Value::Null,
                        Value::String(text) => Value::String(text),
                        _ => Value::String(render::text(text, &path, context, env)?),
                    },
                    other => other.clone(),
                };
                rendered.insert(render::text(name, &path, context, env)?, content);
            }
            Ok(rendered)
        }
        Value::String(text) => match render::native(text, property, context, env)? {
            Value::Object(files) => Ok(files),
            Value::Null => Ok(Map::new()),
            Value::String(text) => serde_json::from_str(&text).map_err(|_| wrong()),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    }
}

/// Replaces each address of a stored file in the texts of `value` by the path of a local copy, made below the folder `copies`
/// of the directory. `nsfile:///` is a file of the flow's namespace.
pub async fn localize(
    value: &mut Value,
    reach: &FlowReach,
    (directory, copies): (&Directory, &str),
    storage: &Storage,
) -> Result<(), Failure> {
    match value {
        Value::String(text) => {
            let mut localized = String::new();
            let mut end = 0;
            for (start, found) in weft_files::addresses(text) {
                let Some(uri) = reach.address(found) else { continue };
                let uri = uri?;
                let (id, name) = (weft_model::child_id("copy", found), harmless(uri.file_name()));
                let copy = format!("{copies}/{id}/{name}");
                storage.get_into(&uri, directory, &copy).await.map_err(|error| storage_failure(&error))?;
                localized.push_str(&text[end..start]);
                localized.push_str(&directory.path().join(copy).to_string_lossy());
                end = start + found.len();
            }
            if end > 0 {
                localized.push_str(&text[end..]);
                *text = localized;
            }
        }
        Value::Array(items) => {
            for item in items {
                Box::pin(localize(item, reach, (directory, copies), storage)).await?;
            }
        }
        Value::Object(members) => {
            for (_, member) in members {
                Box::pin(localize(member, reach, (directory, copies), storage)).await?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Stores the files of `directory` that match the globs; a map of relative path to URI.
pub async fn take_output_files(
    globs: &[String],
    property: &str,
    directory: &Directory,
    files: &TaskRunFiles,
    storage: &Storage,
) -> Result<Map, Failure> {
    let place = |error: StorageError| {
        let failure = storage_failure(&error);
        Failure { message: format!("property `{property}`: {}", failure.message), ..failure }
    };
    let patterns = PatternSet::in_directory(directory.path(), globs).map_err(place)?;
    let mut uris = Map::new();
    for found in directory.collect(&patterns).map_err(place)? {
        let name = &found.name;
        if name.starts_with(ENGINE_FOLDER) && name[ENGINE_FOLDER.len()..].starts_with('/') {
            continue;
        }
        let uri = files.output_file(name).map_err(place)?;
        storage.put_file(&uri, found.open().map_err(place)?).await.map_err(place)?;
        uris.insert(found.name, Value::String(uri.to_string()));
    }
    Ok(uris)
}

/// Stores every file below the folder `output` of the directory; a map of path relative to it to URI.
pub async fn take_output_directory(
    directory: &Directory,
    output: &str,
    files: &TaskRunFiles,
    storage: &Storage,
) -> Result<Map, Failure> {
    let failed = |error: StorageError| storage_failure(&error);
    let mut uris = Map::new();
    for found in directory.collect_tree(output).map_err(failed)? {
        let uri = files.file(&found.name).map_err(failed)?;
        storage.put_file(&uri, found.open().map_err(failed)?).await.map_err(failed)?;
        uris.insert(found.name, Value::String(uri.to_string()));
    }
    Ok(uris)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;
    use weft_expr::NoEnvironment;
    use weft_files::StorageUri;

    use crate::reach::NoRelatives;

    fn reach() -> FlowReach {
        FlowReach { namespace: "n".to_owned(), relatives: Arc::new(NoRelatives) }
    }

    #[tokio::test]
    async fn the_name_of_a_stored_file_is_no_part_of_the_script() {
        let home = tempfile::tempdir().unwrap();
        let storage = Storage::local(home.path().join("storage"));
        let files = weft_files::namespace_files("n").unwrap();
        for (name, expected) in [
            ("x;touch $(id) `id`.csv", "x_touch___id___id_.csv"),
            ("ä b+c.csv", "ä_b+c.csv"),
            ("a\n'\"b", "a___b"),
            ("plain-1.tar.gz", "plain-1.tar.gz"),
        ] {
            let uri = files.join(name).unwrap();
            storage.put_bytes(&uri, b"content".to_vec()).await.unwrap();
            let mut script = json!([format!("cat {uri}")]);
            let directory = Directory::open(home.path()).unwrap();
            localize(&mut script, &reach(), (&directory, "copies"), &storage).await.unwrap();
            let path = script[0].as_str().unwrap().strip_prefix("cat ").unwrap();
            assert_eq!(std::path::Path::new(path).file_name().unwrap(), expected, "{name}");
            assert_eq!(std::fs::read_to_string(path).unwrap(), "content");
        }
    }

    #[tokio::test]
    async fn input_files_are_written_from_maps_and_texts() {
        let home = tempfile::tempdir().unwrap();
        let storage = Storage::local(home.path().join("storage"));
        let stored = StorageUri::parse("kestra:///n/data.bin").unwrap();
        storage.put_bytes(&stored, b"stored".to_vec()).await.unwrap();
        let file = weft_files::namespace_files("n").unwrap().join("s.txt").unwrap();
        storage.put_bytes(&file, b"of the namespace".to_vec()).await.unwrap();
        let context = weft_expr::Value::from(weft_expr::Serde(json!({
            "name": "b", "nothing": null, "number": 42, "uri": "kestra:///n/data.bin", "map": {"m.txt": "from map"},
        })));
        for (value, name, expected) in [
            (json!({"a.txt": "text"}), "a.txt", Some("text")),
            (json!({"sub/{{ name }}.txt": "{{ number }}"}), "sub/b.txt", Some("42")),
            (json!({"c": "{{ uri }}"}), "c", Some("stored")),
            (json!({"c": "nsfile:///s.txt"}), "c", Some("of the namespace")),
            (json!({"c": "nsfile://n/s.txt"}), "c", Some("of the namespace")),
            (json!({"d": "{{ nothing }}"}), "d", None),
            (json!({"e": null}), "e", None),
            (json!({"f": {"json": [1]}}), "f", Some("{\"json\":[1]}")),
            (json!("{\"g\": \"from text\"}"), "g", Some("from text")),
            (json!("{{ map }}"), "m.txt", Some("from map")),
        ] {
            let directory = tempfile::tempdir_in(home.path()).unwrap();
            let with: (_, &dyn Environment) = (&context, &NoEnvironment);
            let into = Directory::open(directory.path()).unwrap();
            put_input_files(&value, ("inputFiles", &reach()), &into, &storage, with).await.unwrap();
            let content = std::fs::read_to_string(directory.path().join(name)).ok();
            assert_eq!(content.as_deref(), expected, "{value}");
        }
    }

    #[tokio::test]
    async fn input_files_that_lead_elsewhere_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let storage = Storage::local(home.path().join("storage"));
        let context = weft_expr::Value::from(weft_expr::Serde(json!({})));
        for (value, code) in [
            (json!({"../x": "1"}), "files.escape"),
            (json!({"/etc/x": "1"}), "files.escape"),
            (json!({"a": "kestra:///missing"}), "storage.not-found"),
            (json!({"a": "kestra:///o/f/executions/5vX2dFqYb0kT8mJ3nPaL1c/x"}), "storage.not-allowed"),
            (json!(["a"]), "property.invalid"),
            (json!("[1]"), "property.invalid"),
        ] {
            let with: (_, &dyn Environment) = (&context, &NoEnvironment);
            let into = Directory::open(home.path()).unwrap();
            let failure =
                put_input_files(&value, ("inputFiles", &reach()), &into, &storage, with).await.unwrap_err();
            assert_eq!(failure.code, code, "{value}: {}", failure.message);
            assert!(failure.message.starts_with("property `inputFiles`"), "{}", failure.message);
        }
    }
}
