//! One file as several.

use std::fs::File;
use std::io::Write;

use weft_sdk::Text;
use weft_sdk::prelude::*;

use super::lines;
use super::scratch::{Draft, Scratch, extension};

/// More files at once than a worker's machine can be expected to open.
const MOST_PARTITIONS: u32 = 500;

/// Splits a file of internal storage into several, between lines: by size, by number of files or by number of lines.
#[derive(Deserialize, JsonSchema)]
pub struct Split {
    /// The file's URI.
    from: Text,
    /// A new file begins when one has at least this size, such as `10MB`.
    bytes: Option<Text>,
    /// The number of files; lines are dealt out to them in turn.
    #[schemars(range(min = 1, max = MOST_PARTITIONS))]
    partitions: Option<u32>,
    /// A new file begins when one has this many lines.
    #[schemars(range(min = 1))]
    rows: Option<u64>,
    /// What is written after each line.
    #[schemars(extend("default" = "\n"))]
    separator: Option<Text>,
}

/// What `Split` puts out.
#[derive(Serialize, JsonSchema)]
pub struct Parts {
    /// The new files' URIs, in order.
    uris: Vec<String>,
}

impl Task for Split {
    const TYPE: &'static str = "io.kestra.plugin.core.storage.Split";
    const ALIASES: &'static [&'static str] = &["io.kestra.core.tasks.storages.Split"];
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Files of two lines each",
        yaml: r#"id: split_file
namespace: company.team
tasks:
  - id: rows
    type: io.kestra.plugin.core.storage.Write
    content: "a\nb\nc\n"
    extension: .txt
  - id: split
    type: io.kestra.plugin.core.storage.Split
    from: "{{ outputs.rows.uri }}"
    rows: 2
  - id: show
    type: io.kestra.plugin.core.log.Log
    message: "{{ outputs.split.uris }}"
"#,
    }];

    fn run(self, cx: &Context) -> Result<impl Output> {
        let rule = self.rule()?;
        let separator = self.separator.as_deref().unwrap_or("\n");
        let scratch = Scratch::new(cx);
        let from = scratch.fetch(&self.from)?;
        let parts = match rule {
            Rule::Deal(count) => deal(from, separator, count, &scratch)?,
            Rule::Fill { bytes, rows } => fill(from, separator, bytes, rows, &scratch)?,
        };
        let extension = extension(&self.from).unwrap_or_else(|| ".tmp".to_owned());
        let uris = parts
            .into_iter()
            .enumerate()
            .map(|(index, part)| part.store(&format!("split-{}{extension}", index + 1)))
            .collect::<Result<_>>()?;
        Ok(Parts { uris })
    }
}

/// When to go on to the next file.
enum Rule {
    /// Files of at least so many bytes or rows.
    Fill { bytes: u64, rows: u64 },
    /// So many files in turn.
    Deal(u32),
}

impl Split {
    fn rule(&self) -> Result<Rule> {
        let rule = match (&self.bytes, self.partitions, self.rows) {
            (Some(bytes), ..) => Rule::Fill { bytes: read_size(bytes)?, rows: u64::MAX },
            (None, Some(count), _) => Rule::Deal(count),
            (None, None, Some(rows)) => Rule::Fill { bytes: u64::MAX, rows },
            (None, None, None) => {
                return Err(Error::new("property.missing", "one of `bytes`, `partitions`, `rows` is needed"));
            }
        };
        match rule {
            Rule::Deal(0) | Rule::Fill { bytes: 0, .. } | Rule::Fill { rows: 0, .. } => {
                Err(Error::new("property.invalid", "`bytes`, `partitions` and `rows` must not be 0"))
            }
            Rule::Deal(count) if count > MOST_PARTITIONS => {
                Err(Error::new("property.invalid", format!("`partitions` is at most {MOST_PARTITIONS}")))
            }
            rule => Ok(rule),
        }
    }
}

fn fill<'a>(
    from: File,
    separator: &str,
    bytes: u64,
    rows: u64,
    scratch: &'a Scratch<'_>,
) -> Result<Vec<Draft<'a>>> {
    let mut parts: Vec<Draft<'a>> = Vec::new();
    let (mut bytes_written, mut rows_written) = (0, 0);
    lines::forwards(from, |line| {
        if parts.is_empty() || bytes_written >= bytes || rows_written >= rows {
            (bytes_written, rows_written) = (0, 0);
            // A file that is full is not written to again, so it need not stay in memory.
            if let Some(full) = parts.last_mut() {
                full.file.flush()?;
            }
            parts.push(scratch.create()?);
        }
        if let Some(part) = parts.last_mut() {
            part.file.write_all(line)?;
            part.file.write_all(separator.as_bytes())?;
        }
        bytes_written += (line.len() + separator.len()) as u64;
        rows_written += 1;
        Ok::<(), Error>(())
    })?;
    Ok(parts)
}

/// Files that get no line are left out.
fn deal<'a>(from: File, separator: &str, count: u32, scratch: &'a Scratch<'_>) -> Result<Vec<Draft<'a>>> {
    let mut parts: Vec<Draft<'a>> = Vec::new();
    let mut next = 0;
    lines::forwards(from, |line| {
        if parts.len() < count as usize && next == parts.len() {
            parts.push(scratch.create()?);
        }
        parts[next].file.write_all(line)?;
        parts[next].file.write_all(separator.as_bytes())?;
        next = (next + 1) % count as usize;
        Ok::<(), Error>(())
    })?;
    Ok(parts)
}

/// `10MB`, `512 kb`, `100`: units are powers of 1024.
fn read_size(text: &str) -> Result<u64> {
    let upper = text.trim().to_ascii_uppercase();
    let (number, unit) = upper.split_at(upper.find(|c: char| !c.is_ascii_digit()).unwrap_or(upper.len()));
    let factor = match unit.trim() {
        "" | "B" => Some(1),
        "KB" => Some(1 << 10),
        "MB" => Some(1 << 20),
        "GB" => Some(1 << 30),
        _ => None,
    };
    let size = number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    size.ok_or_else(|| {
        Error::new(
            "property.invalid",
            format!("`bytes` is `{text}`, which is not a size\nhint: write `10MB`"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_sdk::testing::Harness;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("100", Some(100)),
            ("100B", Some(100)),
            ("1 KB", Some(1024)),
            ("10mb", Some(10 << 20)),
            ("2GB", Some(2 << 30)),
            ("", None),
            ("MB", None),
            ("-1", None),
            ("1.5MB", None),
            ("1 parsec", None),
            ("99999999999999999999", None),
            ("99999999999999GB", None),
        ] {
            assert_eq!(read_size(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn lines_go_where_the_rule_says() {
        for (properties, expected) in [
            (json!({"rows": 2}), Ok(vec!["a\nbb\n", "c\nd\n", "e\n"])),
            (json!({"rows": 9}), Ok(vec!["a\nbb\nc\nd\ne\n"])),
            (json!({"partitions": 2}), Ok(vec!["a\nc\ne\n", "bb\nd\n"])),
            (json!({"partitions": 9}), Ok(vec!["a\n", "bb\n", "c\n", "d\n", "e\n"])),
            (json!({"bytes": "4"}), Ok(vec!["a\nbb\n", "c\nd\n", "e\n"])),
            (json!({"bytes": 1}), Ok(vec!["a\n", "bb\n", "c\n", "d\n", "e\n"])),
            (json!({"bytes": "4", "rows": 1}), Ok(vec!["a\nbb\n", "c\nd\n", "e\n"])),
            (json!({"rows": 3, "separator": ";"}), Ok(vec!["a;bb;c;", "d;e;"])),
            (json!({}), Err("property.missing")),
            (json!({"rows": 0}), Err("property.invalid")),
            (json!({"partitions": 501}), Err("property.invalid")),
            (json!({"from": "kestra:///none.csv", "rows": 1}), Err("storage.not-found")),
        ] {
            let host = Harness::new().stored("kestra:///a.csv", "a\r\nbb\nc\nd\ne");
            let mut all = json!({"from": "kestra:///a.csv"});
            all.as_object_mut().unwrap().extend(properties.as_object().unwrap().clone());
            let run = host.call::<crate::WeftPlugin>(Split::TYPE, &all);
            let parts = run.result.as_ref().map_err(Error::code).map(|outputs| {
                let uris = outputs["uris"].as_array().unwrap();
                assert!(uris.iter().all(|uri| uri.as_str().unwrap().ends_with(".csv")), "{uris:?}");
                uris.iter().map(|uri| host.stored_text(uri.as_str().unwrap()).unwrap()).collect::<Vec<_>>()
            });
            let expected = expected.map(|parts| parts.into_iter().map(str::to_owned).collect());
            assert_eq!(parts, expected, "{properties}");
            assert_eq!(std::fs::read_dir(host.directory()).unwrap().count(), 0, "{properties} leaves files");
        }
    }
}
