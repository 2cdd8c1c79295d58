//! `weft namespace`: files and values that belong to a namespace and not to an execution.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use serde_json::{Value, json};
use weft_files::workdir::{Directory, Found};
use weft_files::{OpenFile, Storage, StorageError, StorageUri, namespace_files};
use weft_local::Local;
use weft_state::{KvKind, KvStore, KvValue};

use crate::app::{self, App, RunSettings, usage};
use crate::args::{KvCommand, KvType, NamespaceArgs, NamespaceCommand, NamespaceFilesCommand};
use crate::ui::text::{self, Cell};

/// The folder beside a flow whose files are those of its namespace.
const BESIDE: &str = "_files";

/// Does what is asked for.
pub fn run(app: &App, args: NamespaceArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        NamespaceCommand::Files { command } => {
            let runtime = app::runtime()?;
            runtime.block_on(async {
                let engine = app.engine(RunSettings::default())?;
                files(app, engine.storage(), command).await
            })?;
        }
        NamespaceCommand::Kv { command } => kv(app, command)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes directories stand for the files of namespaces: those that `--namespace-files` names (`DIR`, or `NAMESPACE=DIR`),
/// and `_files` beside the flow where none is named for the flow's own namespace.
pub fn mount(
    engine: &Local,
    given: &[String],
    own: &str,
    flow_directory: Option<&Path>,
) -> anyhow::Result<()> {
    let mut has_own = false;
    for text in given {
        let (namespace, directory) = match text.split_once('=') {
            Some((namespace, directory)) if !Path::new(text).is_dir() => (namespace, directory),
            _ => (own, text.as_str()),
        };
        if !Path::new(directory).is_dir() {
            return Err(usage(format!(
                "--namespace-files: `{directory}` is not a directory\nhint: name one, for the flow's own namespace or as \
                 `namespace=directory`"
            )));
        }
        has_own |= namespace == own;
        engine.storage().mount(place(namespace)?, absolute(directory.as_ref())?);
    }
    let beside =
        flow_directory.map(|directory| directory.join(BESIDE)).filter(|directory| directory.is_dir());
    if let Some(directory) = beside.filter(|_| !has_own) {
        engine.storage().mount(place(own)?, absolute(&directory)?);
    }
    Ok(())
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::fs::canonicalize(path).with_context(|| format!("cannot use `{}`", path.display()))
}

fn place(namespace: &str) -> anyhow::Result<StorageUri> {
    let first =
        namespace.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    if !first || !namespace.bytes().all(rest) {
        return Err(usage(format!(
            "`{namespace}` is not a namespace: expected lower-case letters, digits, `.`, `_` and `-`, as in `company.team`"
        )));
    }
    Ok(namespace_files(namespace)?)
}

async fn files(app: &App, storage: &Storage, command: NamespaceFilesCommand) -> anyhow::Result<()> {
    match command {
        NamespaceFilesCommand::List { namespace, json } => {
            let root = place(&namespace)?;
            let objects = storage.list(&root).await?;
            let named = || objects.iter().filter_map(|object| Some((object.uri.relative_to(&root)?, object)));
            let time = |object: &weft_files::Object| Timestamp::try_from(object.modified).ok();
            if json {
                let rows: Vec<Value> = named()
                    .map(|(path, object)| {
                        json!({"path": path, "size": object.size, "modified": time(object), "uri": object.uri.to_string()})
                    })
                    .collect();
                return app::print_json(&rows);
            }
            let rows: Vec<Vec<Cell>> = named()
                .map(|(path, object)| {
                    let modified = time(object).map(text::moment).unwrap_or_default();
                    vec![
                        Cell::plain(path),
                        Cell::plain(text::size(object.size)),
                        Cell::styled(modified, text::DIM),
                    ]
                })
                .collect();
            app::print(&text::table(&["PATH", "SIZE", "CHANGED"], &rows, app.terminal.stdout_color))
        }
        NamespaceFilesCommand::Put { namespace, source, path } => {
            let root = place(&namespace)?;
            for (name, file) in sources(&source, path.as_deref())? {
                let uri = root.join(name.trim_matches('/'))?;
                storage.put_file(&uri, file.open()?).await?;
                app::print(&format!("{uri}\n"))?;
            }
            Ok(())
        }
        NamespaceFilesCommand::Get { namespace, path, output } => {
            let uri = place(&namespace)?.join(path.trim_matches('/'))?;
            if !storage.exists(&uri).await? {
                return Err(anyhow!(
                    "namespace `{namespace}` has no file `{path}`\nhint: `weft namespace files list {namespace}` lists them"
                ));
            }
            super::executions::write_out(storage, &uri, output.as_deref()).await
        }
        NamespaceFilesCommand::Delete { namespace, paths } => {
            let root = place(&namespace)?;
            for path in paths {
                let uri = root.join(path.trim_matches('/'))?;
                let deleted = match path.ends_with('/') {
                    true => storage.delete_prefix(&uri).await? > 0,
                    false => storage.delete(&uri).await?,
                };
                if !deleted {
                    return Err(anyhow!(
                        "namespace `{namespace}` has no file `{path}`\nhint: `weft namespace files list {namespace}` lists \
                         them; a folder is written with a `/` at its end"
                    ));
                }
            }
            Ok(())
        }
    }
}

/// A file to put.
enum Source {
    Named(PathBuf),
    Found(Found),
}

impl Source {
    fn open(&self) -> Result<OpenFile, StorageError> {
        match self {
            Self::Named(path) => OpenFile::open(path),
            Self::Found(found) => found.open(),
        }
    }
}

/// The files to put, with their paths in the namespace.
fn sources(source: &Path, path: Option<&str>) -> anyhow::Result<Vec<(String, Source)>> {
    if !source.exists() {
        return Err(usage(format!("there is no file or folder `{}`", source.display())));
    }
    if source.is_dir() {
        let found = Directory::open(source)?.collect_tree(".")?;
        let below = path.map(|path| format!("{}/", path.trim_matches('/'))).unwrap_or_default();
        let named = |found: Found| (format!("{below}{}", found.name), Source::Found(found));
        return Ok(found.into_iter().map(named).collect());
    }
    let own = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = match path {
        Some(folder) if folder.ends_with('/') => format!("{folder}{own}"),
        Some(path) => path.to_owned(),
        None => own,
    };
    Ok(vec![(name, Source::Named(source.to_owned()))])
}

fn kv(app: &App, command: KvCommand) -> anyhow::Result<()> {
    let store = KvStore::new(app.layout()?.root());
    let now = Timestamp::now();
    let missing = |namespace: &str, key: &str| {
        anyhow!(
            "the key `{key}` has no value in the namespace `{namespace}`\nhint: `weft namespace kv list {namespace}` lists \
             the keys"
        )
    };
    match command {
        KvCommand::List { namespace, prefix, json } => {
            place(&namespace)?;
            let mut rows = Vec::new();
            let mut documents = Vec::new();
            for key in store.keys(&namespace, &prefix, now)? {
                // One that has been deleted meanwhile is not listed.
                let Some(value) = store.get(&namespace, &key, now)? else { continue };
                let mut document = serde_json::to_value(&value)?;
                document["key"] = Value::from(key.as_str());
                let expires = value.expires.map(text::moment).unwrap_or_default();
                let kind = document["type"].as_str().unwrap_or_default().to_owned();
                rows.push(vec![Cell::plain(key), Cell::plain(kind), Cell::styled(expires, text::DIM)]);
                documents.push(document);
            }
            if json {
                return app::print_json(&documents);
            }
            app::print(&text::table(&["KEY", "TYPE", "EXPIRES"], &rows, app.terminal.stdout_color))
        }
        KvCommand::Get { namespace, key, json } => {
            place(&namespace)?;
            let found = store.get(&namespace, &key, now)?.ok_or_else(|| missing(&namespace, &key))?;
            match found.value {
                _ if json => app::print_json(&found),
                Value::String(text) => app::print_data(&(text + "\n")),
                value => app::print_json(&value),
            }
        }
        KvCommand::Set { namespace, key, value, kind, ttl, no_overwrite } => {
            place(&namespace)?;
            check_key(&key)?;
            let (value, kind) = typed(value, kind)?;
            let expires = match ttl {
                Some(ttl) => {
                    let duration =
                        weft_flow::parse_duration(&ttl).map_err(|error| usage(format!("--ttl: {error}")))?;
                    // A time to live beyond the end of time is for ever.
                    now.checked_add(duration).ok()
                }
                None => None,
            };
            Ok(store.set(&namespace, &key, &KvValue { value, kind, expires, updated: now }, !no_overwrite)?)
        }
        KvCommand::Delete { namespace, keys } => {
            place(&namespace)?;
            for key in keys {
                if !store.delete(&namespace, &key, now)? {
                    return Err(missing(&namespace, &key));
                }
            }
            Ok(())
        }
    }
}

/// The rule of the kv tasks.
fn check_key(key: &str) -> anyhow::Result<()> {
    let first = key.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        return Ok(());
    }
    Err(usage(format!(
        "`{key}` is not a key: expected letters, digits, `.`, `_` and `-`, the first a letter or digit"
    )))
}

/// A text as a value of a type; without one, as what it looks like.
fn typed(text: String, kind: Option<KvType>) -> anyhow::Result<(Value, KvKind)> {
    let bad = |expected: &str| usage(format!("`{text}` is not {expected}"));
    let parsed = serde_json::from_str::<Value>(&text).ok();
    Ok(match (kind, parsed) {
        (Some(KvType::Number) | None, Some(value @ Value::Number(_))) => (value, KvKind::Number),
        (Some(KvType::Boolean) | None, Some(value @ Value::Bool(_))) => (value, KvKind::Boolean),
        (None, Some(value @ (Value::Object(_) | Value::Array(_)))) => (value, KvKind::Json),
        (Some(KvType::Json), Some(value)) => (value, KvKind::Json),
        (Some(KvType::Number), _) => return Err(bad("a number")),
        (Some(KvType::Boolean), _) => return Err(bad("`true` or `false`")),
        (Some(KvType::Json), None) => return Err(bad("JSON")),
        (Some(KvType::Duration), _) => match weft_flow::parse_duration(&text) {
            Ok(_) => (text.into(), KvKind::Duration),
            Err(_) => return Err(bad("an ISO-8601 duration such as `PT1H30M`")),
        },
        (Some(KvType::Date), _) => match text.parse::<jiff::civil::Date>() {
            Ok(_) => (text.into(), KvKind::Date),
            Err(_) => return Err(bad("a date such as `2026-01-31`")),
        },
        (Some(KvType::Datetime), _) => match text.parse::<Timestamp>() {
            Ok(_) => (text.into(), KvKind::Datetime),
            Err(_) => return Err(bad("a point in time such as `2026-01-31T12:00:00Z`")),
        },
        (Some(KvType::String) | None, _) => (text.into(), KvKind::String),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_is_asked_for_or_what_they_look_like() {
        for (text, kind, expected) in [
            ("42", None, Some((json!(42), KvKind::Number))),
            ("42", Some(KvType::String), Some((json!("42"), KvKind::String))),
            ("true", None, Some((json!(true), KvKind::Boolean))),
            ("[1]", None, Some((json!([1]), KvKind::Json))),
            ("\"a\"", None, Some((json!("\"a\""), KvKind::String))),
            ("\"a\"", Some(KvType::Json), Some((json!("a"), KvKind::Json))),
            ("null", None, Some((json!("null"), KvKind::String))),
            ("abc", None, Some((json!("abc"), KvKind::String))),
            ("abc", Some(KvType::Number), None),
            ("PT1H", Some(KvType::Duration), Some((json!("PT1H"), KvKind::Duration))),
            ("1h", Some(KvType::Duration), None),
            ("2026-01-31", Some(KvType::Date), Some((json!("2026-01-31"), KvKind::Date))),
            ("2026-13-31", Some(KvType::Date), None),
            (
                "2026-01-31T00:00:00Z",
                Some(KvType::Datetime),
                Some((json!("2026-01-31T00:00:00Z"), KvKind::Datetime)),
            ),
            ("{", Some(KvType::Json), None),
        ] {
            assert_eq!(typed(text.to_owned(), kind).ok(), expected, "{text} {kind:?}");
        }
    }
}
