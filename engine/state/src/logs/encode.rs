//! JSON by hand, for log lines.

use jiff::Timestamp;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Appends `text` to `out` as the inside of a JSON string, without the quotes. What is not UTF-8 becomes U+FFFD.
pub fn push_json_text(out: &mut Vec<u8>, text: &[u8]) {
    match std::str::from_utf8(text) {
        Ok(text) => push_escaped(out, text.as_bytes()),
        Err(_) => {
            for chunk in text.utf8_chunks() {
                push_escaped(out, chunk.valid().as_bytes());
                if !chunk.invalid().is_empty() {
                    out.extend_from_slice("\u{FFFD}".as_bytes());
                }
            }
        }
    }
}

/// Appends UTF-8, escaping quotes, backslashes and control characters.
fn push_escaped(out: &mut Vec<u8>, mut text: &[u8]) {
    out.reserve(text.len());
    while let Some(position) = first_special(text) {
        out.extend_from_slice(&text[..position]);
        match text[position] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                out.extend_from_slice(b"\\u00");
                out.push(hex(control >> 4));
                out.push(hex(control & 0xF));
            }
        }
        text = &text[position + 1..];
    }
    out.extend_from_slice(text);
}

fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Where the first byte is that cannot stand for itself. Eight bytes at a time, for most text has none.
fn first_special(text: &[u8]) -> Option<usize> {
    // In each byte that is less than `limit`, the high bit. Bytes above such a one may be false alarms, never below.
    let less = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS;
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = less(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = less(word ^ (ONES * u64::from(b'\\')), 1);
        let special = less(word, 0x20) | quote | backslash;
        if special != 0 {
            return Some(8 * index + special.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|&byte| is_special(byte)).map(|found| text.len() - rest.len() + found)
}

/// Writes times as `2026-01-31T12:00:00.123456Z`, keeping the text of the second it wrote last.
#[derive(Debug)]
pub(super) struct TimeText {
    second: i64,
    /// Room for the longest, which has a sign and six digits of year.
    text: [u8; 24],
    length: usize,
}

impl TimeText {
    pub(super) fn new() -> Self {
        Self { second: i64::MIN, text: [0; 24], length: 0 }
    }

    pub(super) fn push(&mut self, out: &mut Vec<u8>, time: Timestamp) {
        let second = time.as_nanosecond().div_euclid(1_000_000_000) as i64;
        let micros = time.as_nanosecond().rem_euclid(1_000_000_000) as u32 / 1000;
        if self.second != second || self.length == 0 {
            self.write_second(second);
        }
        out.extend_from_slice(&self.text[..self.length]);
        let mut fraction = *b".000000Z";
        let mut rest = micros;
        for digit in fraction[1..7].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        out.extend_from_slice(&fraction);
    }

    fn write_second(&mut self, second: i64) {
        // The seconds of a `Timestamp` are those of one.
        let text = Timestamp::from_second(second).unwrap_or_default().to_string();
        let text = text.trim_end_matches('Z').as_bytes();
        self.length = text.len().min(self.text.len());
        self.text[..self.length].copy_from_slice(&text[..self.length]);
        self.second = second;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &[u8]) -> String {
        let mut out = Vec::new();
        push_json_text(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_is_escaped() {
        for (text, expected) in [
            (&b""[..], ""),
            (b"plain text of more than eight bytes", "plain text of more than eight bytes"),
            (b"a\"b\\c\nd\re\tf", r#"a\"b\\c\nd\re\tf"#),
            (b"\0\x1b[31m\x7f", "\\u0000\\u001b[31m\u{7f}"),
            ("größe €".as_bytes(), "größe €"),
            (b"ok \xff\xfe end", "ok \u{FFFD}\u{FFFD} end"),
            (b"cut \xe2\x82", "cut \u{FFFD}"),
            (b"12345678\"2345678", "12345678\\\"2345678"),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }

    #[test]
    fn times_have_six_digits_and_read_back() {
        let mut text = TimeText::new();
        for (time, expected) in [
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000000Z"),
            ("2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.500000Z"),
            ("2026-01-31T12:00:00.123456789Z", "2026-01-31T12:00:00.123456Z"),
            ("2026-01-31T12:00:01.000001Z", "2026-01-31T12:00:01.000001Z"),
            ("1969-12-31T23:59:59.25Z", "1969-12-31T23:59:59.250000Z"),
            ("-000001-01-01T00:00:00Z", "-000001-01-01T00:00:00.000000Z"),
        ] {
            let time: Timestamp = time.parse().unwrap();
            let mut out = Vec::new();
            text.push(&mut out, time);
            let written = String::from_utf8(out).unwrap();
            assert_eq!(written, expected);
            let back: Timestamp = written.parse().unwrap();
            assert!((time.as_nanosecond() - back.as_nanosecond()).abs() < 1000);
        }
    }

    proptest! {
        #[test]
        fn json_readers_see_the_text(text in proptest::collection::vec(any::<u8>(), 0..60)) {
            let json = format!("\"{}\"", escaped(&text));
            let read: String = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&text));
        }

        #[test]
        fn ascii_with_quotes_survives(text in "[ -~\\n\"\\\\\u{0}-\u{1f}é]{0,40}") {
            let read: String = serde_json::from_str(&format!("\"{}\"", escaped(text.as_bytes()))).unwrap();
            prop_assert_eq!(read, text);
        }
    }
}
