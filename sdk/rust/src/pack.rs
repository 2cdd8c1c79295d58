//! A descriptor as it is embedded: every part that occurs more than once is written once.
//!
//! One line per such part, then the document; a number between two tabs stands for that line, counted from 0. Compact
//! JSON contains no tab of its own. Types of one plugin share most of their schemas: of 120 kB, a sixth is left.

#[cfg(not(target_family = "wasm"))]
pub(crate) use write::pack;

/// The document of packed text.
pub fn unpack(packed: &str) -> String {
    let lines: Vec<&str> = packed.lines().collect();
    let mut document = String::new();
    if let Some((last, parts)) = lines.split_last() {
        expand(parts, last, &mut document);
    }
    document
}

/// Parts refer to earlier parts only, so this ends.
fn expand(parts: &[&str], line: &str, document: &mut String) {
    for (position, piece) in line.split('\t').enumerate() {
        if position % 2 == 0 {
            document.push_str(piece);
        } else if let Some(index) = piece.parse().ok().filter(|&index: &usize| index < parts.len()) {
            expand(&parts[..index], parts[index], document);
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod write {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use crate::values::json_text;

    /// Shorter parts are repeated: referring to them would hardly be shorter.
    const LEAST: usize = 24;

    /// The packed text of a document.
    pub(crate) fn pack(document: &Value) -> String {
        let mut packer = Packer::default();
        packer.count(document);
        let last = packer.write(document);
        packer.lines.push(last);
        packer.lines.join("\n") + "\n"
    }

    #[derive(Default)]
    struct Packer {
        uses: BTreeMap<String, usize>,
        line_of: BTreeMap<String, usize>,
        lines: Vec<String>,
    }

    impl Packer {
        fn count(&mut self, value: &Value) {
            match value {
                Value::Array(items) => items.iter().for_each(|item| self.count(item)),
                Value::Object(map) => map.values().for_each(|item| self.count(item)),
                _ => return,
            }
            *self.uses.entry(json_text(value)).or_default() += 1;
        }

        fn write(&mut self, value: &Value) -> String {
            let text = json_text(value);
            if let Some(line) = self.line_of.get(&text) {
                return format!("\t{line}\t");
            }
            let written = match value {
                Value::Array(items) => {
                    let items: Vec<String> = items.iter().map(|item| self.write(item)).collect();
                    format!("[{}]", items.join(","))
                }
                Value::Object(map) => {
                    let entries: Vec<String> = map
                        .iter()
                        .map(|(key, item)| {
                            format!("{}:{}", json_text(&Value::String(key.clone())), self.write(item))
                        })
                        .collect();
                    format!("{{{}}}", entries.join(","))
                }
                _ => return text,
            };
            if text.len() < LEAST || self.uses.get(&text).is_none_or(|&uses| uses < 2) {
                return written;
            }
            let line = self.lines.len();
            self.lines.push(written);
            self.line_of.insert(text, line);
            format!("\t{line}\t")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_packed_can_be_unpacked() {
        let shared = json!({"type": "string", "description": "a tab\tand a \"quote\" and a line\nbreak"});
        for (document, lines) in [
            (json!({}), 1),
            (json!({"a": [1, 2.5, null, true], "b": "\t0\t"}), 1),
            (json!({"a": shared, "b": shared}), 2),
            (json!({"a": {"x": [shared, 1]}, "b": {"x": [shared, 1]}, "c": shared}), 4),
        ] {
            let packed = pack(&document);
            assert_eq!(unpack(&packed), document.to_string());
            assert_eq!(packed.lines().count(), lines, "{packed}");
        }
    }

    #[test]
    fn damaged_text_ends_all_the_same() {
        for (packed, expected) in
            [("", ""), ("\t0\t", ""), ("a\t0\tb", "ab"), ("\t0\t\n\t0\t", ""), ("x\n\t7\t\t", "")]
        {
            assert_eq!(unpack(packed), expected, "{packed:?}");
        }
    }
}
