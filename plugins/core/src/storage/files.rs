//! One file, or the files of the working directory.

use std::io::Write as _;

use serde_json::Map;
use weft_sdk::prelude::*;
use weft_sdk::{InputFiles, OutputFiles, Text};

use super::scratch::Scratch;

/// What tasks put out that make a file.
#[derive(Serialize, JsonSchema)]
pub struct Stored {
    /// The new file's URI.
    pub uri: String,
}

/// Puts files into the working directory, and keeps files of it.
///
/// Made for the children of a `WorkingDirectory`, which share one. Script tasks and `WorkingDirectory` itself have
/// `inputFiles` and `outputFiles` for the same purpose.
#[derive(Deserialize, JsonSchema)]
pub struct LocalFiles {
    /// Files to put in: a map from name to content, or to the `kestra://` URI of a stored file; or a JSON text of such
    /// a map.
    #[serde(default)]
    #[allow(dead_code, reason = "the engine carries it out")]
    inputs: InputFiles,
    /// Globs of files to keep. Later tasks find them as `{{ outputs.<taskId>.uris['<path>'] }}`.
    #[serde(default)]
    #[schemars(extend("x-weft-output" = "uris"))]
    #[allow(dead_code, reason = "the engine carries it out")]
    outputs: OutputFiles,
}

/// What `LocalFiles` puts out.
#[derive(Serialize, JsonSchema)]
pub struct Kept {
    /// The kept files' URIs by path.
    uris: Map<String, Value>,
}

impl Task for LocalFiles {
    const TYPE: &'static str = "io.kestra.plugin.core.storage.LocalFiles";
    const ALIASES: &'static [&'static str] = &["io.kestra.core.tasks.storages.LocalFiles"];
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Give a file to a script, and keep what it writes",
        yaml: r#"id: local_files
namespace: company.team
tasks:
  - id: directory
    type: io.kestra.plugin.core.flow.WorkingDirectory
    tasks:
      - id: in
        type: io.kestra.plugin.core.storage.LocalFiles
        inputs:
          query.sql: SELECT 1
      - id: script
        type: io.kestra.plugin.scripts.shell.Commands
        runner: PROCESS
        commands:
          - wc -c query.sql > size.txt
      - id: out
        type: io.kestra.plugin.core.storage.LocalFiles
        outputs:
          - "*.txt"
  - id: show
    type: io.kestra.plugin.core.log.Log
    message: "{{ outputs.out.uris['size.txt'] }}"
"#,
    }];

    fn run(self, _: &Context) -> Result<impl Output> {
        Ok(Kept { uris: Map::new() })
    }
}

/// Writes a text to a file of internal storage.
#[derive(Deserialize, JsonSchema)]
pub struct Write {
    /// The text.
    content: Text,
    /// The file's extension, such as `.txt`.
    extension: Option<Text>,
}

impl Task for Write {
    const TYPE: &'static str = "io.kestra.plugin.core.storage.Write";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Write a text",
        yaml: r#"id: write
type: io.kestra.plugin.core.storage.Write
content: "made by {{ execution.id }}"
extension: .txt
"#,
    }];

    fn run(self, cx: &Context) -> Result<impl Output> {
        let scratch = Scratch::new(cx);
        let mut draft = scratch.create()?;
        draft.file.write_all(self.content.as_bytes())?;
        Ok(Stored { uri: draft.store(&["write", self.extension.as_deref().unwrap_or_default()].concat())? })
    }
}

/// Tells the size of a file of internal storage.
#[derive(Deserialize, JsonSchema)]
pub struct Size {
    /// The file's URI.
    uri: Text,
}

/// What `Size` puts out.
#[derive(Serialize, JsonSchema)]
pub struct Measured {
    /// The size in bytes.
    size: u64,
}

impl Task for Size {
    const TYPE: &'static str = "io.kestra.plugin.core.storage.Size";
    const ALIASES: &'static [&'static str] = &["io.kestra.core.tasks.storages.Size"];

    fn run(self, cx: &Context) -> Result<impl Output> {
        Ok(Measured { size: cx.storage().size(&self.uri)? })
    }
}

/// Deletes a file of internal storage.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delete {
    /// The file's URI.
    uri: Text,
    /// Whether a file that does not exist is an error.
    #[serde(default)]
    error_on_missing: bool,
}

/// What `Delete` puts out.
#[derive(Serialize, JsonSchema)]
pub struct Gone {
    /// The file's URI.
    uri: Text,
    /// Whether there was such a file.
    deleted: bool,
}

impl Task for Delete {
    const TYPE: &'static str = "io.kestra.plugin.core.storage.Delete";
    const ALIASES: &'static [&'static str] = &["io.kestra.core.tasks.storages.Delete"];

    fn run(self, cx: &Context) -> Result<impl Output> {
        let deleted = cx.storage().delete(&self.uri)?;
        if !deleted && self.error_on_missing {
            return Err(Error::new("storage.not-found", format!("there is no file `{}`", self.uri)));
        }
        Ok(Gone { uri: self.uri, deleted })
    }
}
