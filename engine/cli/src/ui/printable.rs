//! What may go to a terminal. Scripts and plugins write what they like into logs, outputs, labels and names, and a terminal
//! takes some of it for commands: to clear the screen, to name the window, to write into the clipboard, to turn the
//! direction of what stands around it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// An escape sequence for colour has no more than this between `ESC [` and `m`.
const MAX_COLOR: usize = 32;

/// Text of any number of lines. Colours, tabs and line breaks stay; all else that is no character to be seen is shown as
/// `\x1b`, `\r`, `\u{202e}`. The second byte of a line break of Windows is left out.
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t')) || !text.contains(is_command) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(at) = rest.find(is_command) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = color(rest);
        if length > 0 {
            out.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        let mut chars = rest.chars();
        let c = chars.next();
        rest = chars.as_str();
        match c {
            Some('\r') if rest.is_empty() || rest.starts_with('\n') => {}
            c => c.into_iter().for_each(|c| push_visible(&mut out, c)),
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// One line of somebody else's: like [`clean`], and a colour that is switched on in it ends with it.
pub fn line(text: &str) -> Cow<'_, str> {
    const RESET: &str = "\u{1b}[0m";
    let cleaned = clean(text);
    // What is left of `ESC` are colours.
    match cleaned.rfind('\u{1b}') {
        Some(last) if !matches!(&cleaned[last..last + color(&cleaned[last..])], RESET | "\u{1b}[m") => {
            Cow::Owned(cleaned.into_owned() + RESET)
        }
        _ => cleaned,
    }
}

/// A name or a value within a line: nothing of it is taken for colour or a line break.
pub fn inline(text: &str) -> Cow<'_, str> {
    let is_hidden = |c: char| is_command(c) || c == '\n' || c == '\t';
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) { push_visible(&mut out, c) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// JSON text in which also those characters are escaped that JSON itself lets stand.
pub fn json(text: &str) -> Cow<'_, str> {
    if text.is_ascii() && !text.contains('\u{7f}') || !text.contains(is_command) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_command(c) {
            // All are in the basic plane. Writing to a text does not fail.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Control characters, of both sets, and those that turn the direction of text.
fn is_command(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// How many bytes of `text` are one escape sequence for colour, at its beginning.
fn color(text: &str) -> usize {
    let Some(rest) = text.strip_prefix("\u{1b}[") else { return 0 };
    let parameters = rest.bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')).count();
    let is_color = parameters <= MAX_COLOR && rest.as_bytes().get(parameters) == Some(&b'm');
    if is_color { 2 + parameters + 1 } else { 0 }
}

fn push_visible(out: &mut String, c: char) {
    // Writing to a text does not fail.
    let _ = match c {
        '\r' | '\n' | '\t' => write!(out, "{}", c.escape_default()),
        '\0'..='\x7f' => write!(out, "\\x{:02x}", u32::from(c)),
        c => write!(out, "{}", c.escape_unicode()),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_colours_reach_a_terminal() {
        for (text, shown) in [
            ("plain, größe, 日本, 👩‍💻\tx\ny", "plain, größe, 日本, 👩‍💻\tx\ny"),
            ("\x1b[31mred\x1b[0m \x1b[38;5;200mx\x1b[m", "\x1b[31mred\x1b[0m \x1b[38;5;200mx\x1b[m"),
            ("\x1b[2J\x1b[H", "\\x1b[2J\\x1b[H"),
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("\x1b]8;;http://x\x1b\\text", "\\x1b]8;;http://x\\x1b\\text"),
            ("\x1b]52;c;eA==\x07", "\\x1b]52;c;eA==\\x07"),
            ("\x1b", "\\x1b"),
            ("\x1b[31", "\\x1b[31"),
            ("\x1b[1;1H", "\\x1b[1;1H"),
            ("10%\r20%\r\nnext\r", "10%\\r20%\nnext"),
            ("a\u{8}b\x7f\0", "a\\x08b\\x7f\\x00"),
            ("\u{9b}2J\u{85}", "\\u{9b}2J\\u{85}"),
            ("\u{202e}txt\u{2066}x\u{2069}", "\\u{202e}txt\\u{2066}x\\u{2069}"),
        ] {
            assert_eq!(clean(text), shown, "{text:?}");
        }
        let long = format!("\x1b[{}m", "1;".repeat(40));
        assert!(clean(&long).starts_with("\\x1b"));
    }

    #[test]
    fn colours_end_with_their_line() {
        for (text, shown) in [
            ("plain", "plain"),
            ("\x1b[31mred", "\x1b[31mred\x1b[0m"),
            ("\x1b[31mred\x1b[0m on", "\x1b[31mred\x1b[0m on"),
            ("\x1b[1mx\x1b[m", "\x1b[1mx\x1b[m"),
            ("\x1b[2J", "\\x1b[2J"),
        ] {
            assert_eq!(line(text), shown, "{text:?}");
        }
    }

    #[test]
    fn names_stay_in_their_line() {
        for (text, shown) in
            [("a name", "a name"), ("a\nb\tc", "a\\nb\\tc"), ("\x1b[31mred", "\\x1b[31mred"), ("\r", "\\r")]
        {
            assert_eq!(inline(text), shown, "{text:?}");
        }
    }

    #[test]
    fn json_stays_the_same_document() {
        let value = serde_json::json!({"k\u{9b}": "\u{1b}[2J \u{7f} \u{85} \u{202e} größe 👩"});
        let text = value.to_string();
        let shown = json(&text);
        assert!(!shown.contains(is_command), "{shown}");
        assert!(shown.contains("größe 👩") && shown.contains("\\u202e"), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
