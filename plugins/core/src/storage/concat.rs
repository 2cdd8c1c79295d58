//! Several files as one.

use std::io::Write;

use weft_sdk::Text;
use weft_sdk::prelude::*;

use super::files::Stored;
use super::scratch::Scratch;
use crate::values::Texts;

/// Puts files of internal storage together as one.
#[derive(Deserialize, JsonSchema)]
pub struct Concat {
    /// Their URIs: a list, or a JSON text of one.
    files: Texts,
    /// What is written after each file; nothing by default.
    separator: Option<Text>,
    /// The new file's extension.
    #[schemars(extend("default" = ".tmp"))]
    extension: Option<Text>,
}

impl Task for Concat {
    const TYPE: &'static str = "io.kestra.plugin.core.storage.Concat";
    const ALIASES: &'static [&'static str] = &["io.kestra.core.tasks.storages.Concat"];
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Put two files together",
        yaml: r#"id: concat_files
namespace: company.team
tasks:
  - id: head
    type: io.kestra.plugin.core.storage.Write
    content: "id,total\n"
  - id: rows
    type: io.kestra.plugin.core.storage.Write
    content: "1,9.5\n"
  - id: table
    type: io.kestra.plugin.core.storage.Concat
    files:
      - "{{ outputs.head.uri }}"
      - "{{ outputs.rows.uri }}"
    extension: .csv
"#,
    }];

    fn run(self, cx: &Context) -> Result<impl Output> {
        let scratch = Scratch::new(cx);
        let mut whole = scratch.create()?;
        for uri in self.files.list("files")? {
            std::io::copy(&mut scratch.fetch(&uri)?, &mut whole.file)?;
            if let Some(separator) = &self.separator {
                whole.file.write_all(separator.as_bytes())?;
            }
        }
        let extension = self.extension.as_deref().unwrap_or(".tmp");
        Ok(Stored { uri: whole.store(&["concat", extension].concat())? })
    }
}
