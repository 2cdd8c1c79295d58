//! The texts in a Rust source, unescaped: the engine's own tests are full of inputs that are worth beginning with, and its
//! keywords are the words that a fuzzer would not guess.

/// All string literals of a source, in its order. What only looks like one (in a comment, a character) is none.
pub fn of(source: &str) -> Vec<Vec<u8>> {
    let mut reader = Reader { rest: source.as_bytes() };
    let mut found = Vec::new();
    while let Some(&byte) = reader.rest.first() {
        match byte {
            b'/' if reader.rest.starts_with(b"//") => reader.skip_to(b"\n"),
            b'/' if reader.rest.starts_with(b"/*") => reader.skip_to(b"*/"),
            b'\'' => reader.character(),
            b'"' => found.push(reader.quoted()),
            b'r' if reader.is_raw() => found.push(reader.raw()),
            // A name is skipped as a whole, lest its end be taken for the beginning of a raw text.
            byte if byte.is_ascii_alphanumeric() || byte == b'_' => reader.word(),
            _ => reader.skip(1),
        }
    }
    found
}

struct Reader<'s> {
    rest: &'s [u8],
}

impl Reader<'_> {
    fn skip(&mut self, count: usize) {
        self.rest = &self.rest[count.min(self.rest.len())..];
    }

    fn skip_to(&mut self, end: &[u8]) {
        let at = self.rest.windows(end.len()).position(|part| part == end);
        self.skip(at.map_or(self.rest.len(), |at| at + end.len()));
    }

    fn word(&mut self) {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let length = self.rest.iter().position(|byte| !is_part(byte)).unwrap_or(self.rest.len());
        // `b"..."` and `br"..."`: the text is what counts.
        let prefix = matches!(&self.rest[..length], b"b" | b"br" | b"c" | b"cr");
        self.skip(if prefix && length == 2 { 1 } else { length });
    }

    /// A character, or a lifetime, which has no second quote.
    fn character(&mut self) {
        match self.rest {
            [b'\'', b'\\', _, rest @ ..] => {
                let end = rest.iter().position(|&byte| byte == b'\'').map_or(rest.len(), |at| at + 1);
                self.skip(3 + end);
            }
            _ => {
                // A character has at most four bytes.
                let end = self.rest.iter().skip(2).take(4).position(|&byte| byte == b'\'');
                self.skip(end.map_or(1, |at| at + 3));
            }
        }
    }

    fn is_raw(&self) -> bool {
        let hashes = self.rest[1..].iter().take_while(|&&byte| byte == b'#').count();
        self.rest.get(1 + hashes) == Some(&b'"')
    }

    fn raw(&mut self) -> Vec<u8> {
        let hashes = self.rest[1..].iter().take_while(|&&byte| byte == b'#').count();
        self.skip(hashes + 2);
        let end = [&b"\""[..], &b"#".repeat(hashes)].concat();
        let length = self.rest.windows(end.len()).position(|part| part == end).unwrap_or(self.rest.len());
        let text = self.rest[..length].to_vec();
        self.skip(length + end.len());
        text
    }

    fn quoted(&mut self) -> Vec<u8> {
        self.skip(1);
        let mut text = Vec::new();
        loop {
            match self.rest {
                [] => return text,
                [b'"', ..] => {
                    self.skip(1);
                    return text;
                }
                [b'\\', ..] => self.escape(&mut text),
                [byte, ..] => {
                    text.push(*byte);
                    self.skip(1);
                }
            }
        }
    }

    fn escape(&mut self, text: &mut Vec<u8>) {
        let Some(&kind) = self.rest.get(1) else { return self.skip(1) };
        self.skip(2);
        match kind {
            b'n' => text.push(b'\n'),
            b't' => text.push(b'\t'),
            b'r' => text.push(b'\r'),
            b'0' => text.push(0),
            b'\n' => {
                let blanks = self.rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                self.skip(blanks);
            }
            b'x' => {
                text.extend(self.rest.get(..2).and_then(number).and_then(|code| u8::try_from(code).ok()));
                self.skip(2);
            }
            b'u' => {
                let length = self.rest.iter().position(|&byte| byte == b'}').unwrap_or(0);
                let code = self.rest.get(1..length).and_then(number).and_then(char::from_u32);
                text.extend(code.into_iter().flat_map(|c| c.to_string().into_bytes()));
                self.skip(length + 1);
            }
            other => text.push(other),
        }
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_and_nothing_else() {
        for (source, expected) in [
            (r#"a("x", 'y', "z")"#, vec!["x", "z"]),
            (
                r#"// "no"
               /* "no" */ "yes""#,
                vec!["yes"],
            ),
            (r#"'"' "x" '\'' "y" '\u{e9}' "z""#, vec!["x", "y", "z"]),
            (r#"fn a<'a>(x: &'a str) { "x" }"#, vec!["x"]),
            (r#""a\n\t\"\\\x41\u{e9}""#, vec!["a\n\t\"\\Aé"]),
            ("\"a\\\n   b\"", vec!["ab"]),
            ("r\"a\\n\" r#\"b\"c\"# br\"d\" b\"e\"", vec!["a\\n", "b\"c", "d", "e"]),
            ("for\"x\"", vec!["x"]),
            ("\"open", vec!["open"]),
        ] {
            let found: Vec<String> =
                of(source).iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
            assert_eq!(found, expected, "{source}");
        }
    }
}
