//! A file with its last line first.

use std::io::Write;

use weft_sdk::Text;
use weft_sdk::prelude::*;

use super::files::Stored;
use super::lines;
use super::scratch::{Scratch, extension};

/// Writes the lines of a file of internal storage to a new file, the last one first.
#[derive(Deserialize, JsonSchema)]
pub struct Reverse {
    /// The file's URI.
    from: Text,
    /// What is written after each line.
    #[schemars(extend("default" = "\n"))]
    separator: Option<Text>,
    /// The file's character set. Every one will do in which a line feed is the byte 10, so not UTF-16 and UTF-32.
    #[schemars(extend("default" = "UTF-8"))]
    charset: Option<Text>,
}

impl Task for Reverse {
    const TYPE: &'static str = "io.kestra.plugin.core.storage.Reverse";
    const ALIASES: &'static [&'static str] = &["io.kestra.core.tasks.storages.Reverse"];

    fn run(self, cx: &Context) -> Result<impl Output> {
        if let Some(charset) = self.charset.as_deref().map(str::to_ascii_uppercase)
            && (charset.starts_with("UTF-16") || charset.starts_with("UTF-32"))
        {
            return Err(Error::new("storage.charset", format!("files in {charset} cannot be reversed")));
        }
        let separator = self.separator.as_deref().unwrap_or("\n");
        let scratch = Scratch::new(cx);
        let mut reversed = scratch.create()?;
        lines::backwards(scratch.fetch(&self.from)?, |line| {
            reversed.file.write_all(line)?;
            reversed.file.write_all(separator.as_bytes())
        })?;
        let extension = extension(&self.from).unwrap_or_default();
        Ok(Stored { uri: reversed.store(&["reverse", &extension].concat())? })
    }
}
