//! Any text on its way to a terminal: nothing that stays in it is taken for a command, and what is text stays as it is.

use crate::text;
use crate::ui::printable::{clean, inline, json, line};

pub fn run(input: &[u8]) -> Option<()> {
    let text = text(input)?;
    let cleaned = clean(text);
    obeys_nobody(&without_colours(&cleaned));
    assert_eq!(clean(&cleaned), cleaned, "what is clean stays as it is");
    let of_line = line(text);
    obeys_nobody(&without_colours(&of_line));
    assert!(of_line.starts_with(&*cleaned), "a line is what is clean, and the end of its colours");
    let shown = inline(text);
    obeys_nobody(&shown);
    assert!(!shown.contains(['\n', '\t']), "a name is within its line: {shown:?}");
    if text.chars().all(|c| c.is_alphanumeric() || c == ' ') {
        assert_eq!((&*cleaned, &*of_line, &*shown), (text, text, text), "what is text stays as it is");
    }
    let document = serde_json::to_string(text).expect("a text is data");
    let shown = json(&document);
    obeys_nobody(&shown);
    assert_eq!(serde_json::from_str::<String>(&shown).ok().as_deref(), Some(text), "the same document");
    Some(())
}

/// The text without what may stay of control sequences: those for colour, and nothing longer than any of them.
fn without_colours(text: &str) -> String {
    let mut rest = text;
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        let end = after.find(|c: char| !(c.is_ascii_digit() || c == ';' || c == ':')).unwrap_or(after.len());
        assert!(end < 40 && after[end..].starts_with('m'), "a sequence that is no colour: {text:?}");
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    out
}

fn obeys_nobody(text: &str) {
    let is_command = |c: char| match c {
        '\n' | '\t' => false,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' => true,
        // Directions: embeddings, overrides, isolates.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => false,
    };
    assert_eq!(text.chars().find(|c| is_command(*c)), None, "{text:?}");
}
