//! Ion text to JSON values, as tasks hand rows on: structs, lists, texts, numbers, symbols, and timestamps, decimals and
//! blobs as the text that other tasks make of them. JSON is such text, too.

use serde_json::{Map, Number, Value};

/// Lists and structs in each other.
const MAX_DEPTH: usize = 100;

/// Why a text is no value.
#[derive(Debug, PartialEq, Eq)]
pub enum Problem {
    /// It ends in the middle of one.
    End,
    /// Something else is expected at this byte.
    Wrong { at: usize, expected: &'static str },
}

type Result<T> = std::result::Result<T, Problem>;

/// The first value of a text, and how many bytes it takes with what stands before it; none where there is nothing but
/// blanks and comments.
///
/// `whole` says that nothing follows `text`: only then does a number or a word at its end count.
pub fn first(text: &str, whole: bool) -> Result<Option<(Value, usize)>> {
    let mut reader = Reader { text, at: 0, depth: 0, whole };
    reader.blanks()?;
    // The mark of the format's version, in which tools write it.
    if reader.takes("$ion_1_0") {
        reader.blanks()?;
    }
    if reader.rest().is_empty() {
        return Ok(None);
    }
    let value = reader.value()?;
    Ok(Some((value, reader.at)))
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    whole: bool,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn takes(&mut self, token: &str) -> bool {
        let is = self.rest().starts_with(token);
        if is {
            self.at += token.len();
        }
        is
    }

    fn wrong<T>(&self, expected: &'static str) -> Result<T> {
        if self.rest().is_empty() { Err(Problem::End) } else { Err(Problem::Wrong { at: self.at, expected }) }
    }

    fn blanks(&mut self) -> Result<()> {
        loop {
            self.at += self.rest().len() - self.rest().trim_start().len();
            if self.rest().starts_with("//") {
                self.at += self.rest().find('\n').unwrap_or(self.rest().len());
            } else if self.rest().starts_with("/*") {
                self.at += self.rest().find("*/").ok_or(Problem::End)? + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn value(&mut self) -> Result<Value> {
        self.blanks()?;
        if self.depth > MAX_DEPTH {
            return self.wrong("fewer lists and structs in each other");
        }
        match self.peek() {
            None => Err(Problem::End),
            Some('{') if self.rest().starts_with("{{") => self.blob(),
            Some('{') => self.strukt(),
            Some('[') => self.list(']'),
            Some('(') => self.list(')'),
            Some('"') => {
                self.at += 1;
                self.quoted("\"").map(Value::String)
            }
            Some('\'') if self.rest().starts_with("'''") => self.long_text(),
            Some('\'') => {
                self.at += 1;
                let symbol = self.quoted("'")?;
                self.annotated(symbol)
            }
            Some(c) if c.is_ascii_digit() || c == '-' || c == '+' => self.number(),
            Some(c) if is_word(c) => self.word(),
            Some(_) => self.wrong("a value"),
        }
    }

    /// After a symbol: `::` makes it a note on the value that follows, of which nothing is kept.
    fn annotated(&mut self, symbol: String) -> Result<Value> {
        self.blanks()?;
        if self.takes("::") { self.value() } else { Ok(Value::String(symbol)) }
    }

    fn strukt(&mut self) -> Result<Value> {
        self.at += 1;
        self.depth += 1;
        let mut members = Map::new();
        loop {
            self.blanks()?;
            if self.takes("}") {
                self.depth -= 1;
                return Ok(Value::Object(members));
            }
            let name = match self.peek() {
                Some('"') => {
                    self.at += 1;
                    self.quoted("\"")?
                }
                Some('\'') => {
                    self.at += 1;
                    self.quoted("'")?
                }
                Some(c) if is_word(c) && !c.is_ascii_digit() => self.letters().to_owned(),
                _ => return self.wrong("a field's name or `}`"),
            };
            self.blanks()?;
            if !self.takes(":") {
                return self.wrong("`:` after a field's name");
            }
            let value = self.value()?;
            members.insert(name, value);
            self.blanks()?;
            if !self.takes(",") && self.peek() != Some('}') {
                return self.wrong("`,` or `}`");
            }
        }
    }

    fn list(&mut self, end: char) -> Result<Value> {
        self.at += 1;
        self.depth += 1;
        let mut items = Vec::new();
        loop {
            self.blanks()?;
            if self.peek() == Some(end) {
                self.at += 1;
                self.depth -= 1;
                return Ok(Value::Array(items));
            }
            items.push(self.value()?);
            self.blanks()?;
            if end == ']' && !self.takes(",") && self.peek() != Some(end) {
                return self.wrong("`,` or `]`");
            }
        }
    }

    /// Text up to the mark, which is not closed by an escaped one.
    fn quoted(&mut self, mark: &str) -> Result<String> {
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let stop = rest.find(['\\', mark.as_bytes()[0] as char]).ok_or(Problem::End)?;
            text.push_str(&rest[..stop]);
            self.at += stop;
            if self.takes(mark) {
                return Ok(text);
            }
            if self.takes("\\") {
                self.escape(&mut text)?;
            } else {
                // One quote inside of three.
                text.push('\'');
                self.at += 1;
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Result<()> {
        let Some(c) = self.peek() else { return Err(Problem::End) };
        self.at += c.len_utf8();
        let plain = match c {
            'a' => '\u{7}',
            'b' => '\u{8}',
            't' => '\t',
            'n' => '\n',
            'f' => '\u{c}',
            'r' => '\r',
            'v' => '\u{b}',
            '0' => '\0',
            '\n' => return Ok(()),
            'x' => self.code(2)?,
            'u' => self.code(4)?,
            'U' => self.code(8)?,
            '"' | '\'' | '\\' | '/' | '?' => c,
            _ => {
                self.at -= c.len_utf8();
                return self.wrong("an escape such as `\\n`");
            }
        };
        text.push(plain);
        Ok(())
    }

    fn code(&mut self, digits: usize) -> Result<char> {
        let Some(hex) = self.rest().get(..digits) else { return self.wrong("hexadecimal digits") };
        let Ok(code) = u32::from_str_radix(hex, 16) else { return self.wrong("hexadecimal digits") };
        self.at += digits;
        // The first half of a pair, as JSON writes letters beyond the first 65,536.
        if (0xd800..0xdc00).contains(&code) && self.takes("\\u") {
            let low = self.rest().get(..4).and_then(|hex| u32::from_str_radix(hex, 16).ok());
            if let Some(low @ 0xdc00..0xe000) = low {
                self.at += 4;
                let both = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                return char::from_u32(both).map_or_else(|| self.wrong("a letter's code"), Ok);
            }
        }
        char::from_u32(code).map_or_else(|| self.wrong("a letter's code"), Ok)
    }

    /// Texts in three quotes that follow each other are one.
    fn long_text(&mut self) -> Result<Value> {
        let mut text = String::new();
        while self.takes("'''") {
            text.push_str(&self.quoted("'''")?);
            self.blanks()?;
        }
        Ok(Value::String(text))
    }

    /// Blobs and clobs stay in base64, or as the text they are.
    fn blob(&mut self) -> Result<Value> {
        self.at += 2;
        self.blanks()?;
        let value = match self.peek() {
            Some('"' | '\'') => self.value()?,
            _ => {
                let end = self.rest().find("}}").ok_or(Problem::End)?;
                let text: String = self.rest()[..end].chars().filter(|c| !c.is_whitespace()).collect();
                self.at += end;
                Value::String(text)
            }
        };
        self.blanks()?;
        if self.takes("}}") { Ok(value) } else { self.wrong("`}}`") }
    }

    fn letters(&mut self) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// What may go on after the end of this piece of the text.
    fn may_go_on(&self) -> bool {
        self.rest().is_empty() && !self.whole
    }

    fn word(&mut self) -> Result<Value> {
        let word = self.letters();
        if self.may_go_on() {
            return Err(Problem::End);
        }
        match word {
            "null" => {
                if self.takes(".") {
                    self.letters();
                }
                Ok(Value::Null)
            }
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "nan" => Ok(Value::Null),
            symbol => self.annotated(symbol.to_owned()),
        }
    }

    /// Integers, floats, decimals (`1.5d3`), hexadecimals, and timestamps, which begin with digits too.
    fn number(&mut self) -> Result<Value> {
        let start = self.at;
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_' | ':')))
            .unwrap_or(rest.len());
        self.at += end;
        if self.may_go_on() {
            return Err(Problem::End);
        }
        let text = rest[..end].replace('_', "");
        if is_timestamp(&text) {
            return Ok(Value::String(text));
        }
        if let Some(hex) = text.trim_start_matches('-').strip_prefix("0x")
            && let Ok(number) = i64::from_str_radix(hex, 16)
        {
            return Ok(Value::from(if text.starts_with('-') { -number } else { number }));
        }
        if let Ok(number) = text.parse::<i64>() {
            return Ok(Value::from(number));
        }
        let float = text.replace(['d', 'D'], "e");
        let float = if float.ends_with('.') { float + "0" } else { float };
        match float.parse::<f64>().ok().and_then(Number::from_f64) {
            Some(number) => Ok(Value::Number(number)),
            None if matches!(text.as_str(), "+inf" | "-inf") => Ok(Value::Null),
            None => {
                self.at = start;
                self.wrong("a number or a timestamp")
            }
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

/// `2026T`, `2026-01-01`, `2026-01-01T10:00:00.000Z`.
fn is_timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() > 4 && bytes[..4].iter().all(u8::is_ascii_digit) && matches!(bytes[4], b'-' | b'T')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Value {
        first(text, true).unwrap_or_else(|problem| panic!("{text}: {problem:?}")).unwrap().0
    }

    #[test]
    fn values_of_all_kinds() {
        for (text, expected) in [
            ("{a:1, 'b c':2.5, \"d\":\"x\",}", json!({"a": 1, "b c": 2.5, "d": "x"})),
            ("$ion_1_0 {a:null.string}", json!({"a": null})),
            ("[1, true, symbol, 'quoted symbol']", json!([1, true, "symbol", "quoted symbol"])),
            ("(a b 3)", json!(["a", "b", 3])),
            ("note::other::{x:-5}", json!({"x": -5})),
            ("// first\n/* second */ 0x1F", json!(31)),
            ("2026-01-02T03:04:05.678Z", json!("2026-01-02T03:04:05.678Z")),
            ("1.5d2", json!(150.0)),
            ("1_000", json!(1000)),
            ("7.", json!(7.0)),
            ("'''one ''' '''tw'o'''", json!("one tw'o")),
            ("{{ aGVs bG8= }}", json!("aGVsbG8=")),
            ("{{ \"clob\" }}", json!("clob")),
            (r#""a\n\x41ä😀""#, json!("a\nAä😀")),
            ("nan", json!(null)),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn values_follow_each_other() {
        let text = "{a:1}\n{a:2} 3";
        let mut at = 0;
        let mut found = Vec::new();
        while let Some((value, length)) = first(&text[at..], true).unwrap() {
            found.push(value);
            at += length;
        }
        assert_eq!(found, [json!({"a": 1}), json!({"a": 2}), json!(3)]);
    }

    #[test]
    fn an_end_in_the_middle_is_told_from_a_mistake() {
        for text in ["{a:1", "[1,", "\"abc", "'''x", "{{abc", "/* never", "12", "tru"] {
            assert_eq!(first(text, false), Err(Problem::End), "{text}");
        }
        for (text, at) in [("{a 1}", 3), ("[1 2]", 3), ("}", 0), ("{a:1 b:2}", 5), ("12x", 0)] {
            assert!(
                matches!(first(text, true), Err(Problem::Wrong { at: found, .. }) if found == at),
                "{text}"
            );
        }
        assert_eq!(first(" // nothing", true), Ok(None));
        assert!(first(&"[".repeat(200), true).is_err());
    }
}
