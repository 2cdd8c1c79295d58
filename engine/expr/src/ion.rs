//! Reads the part of Ion text that tasks write: structs, lists, strings, numbers, booleans, nulls, symbols and
//! timestamps (as texts). JSON is such text. Rows follow each other with blanks or line ends between them.

use crate::Value;
use crate::engine::Engine;
use crate::error::Fault;
use crate::values::{self, Entries};

/// All rows of a text.
pub(crate) fn read(text: &str, engine: &Engine<'_>) -> Result<Vec<Value>, Fault> {
    engine.check_length(text.len())?;
    let mut reader = Reader { text, at: 0, depth: 0, engine };
    let mut rows = Vec::new();
    loop {
        reader.blanks()?;
        if reader.rest().is_empty() {
            return Ok(rows);
        }
        engine.charge(1)?;
        rows.push(reader.value()?);
    }
}

struct Reader<'t, 'e> {
    text: &'t str,
    at: usize,
    /// Lists and structs around the next value.
    depth: usize,
    engine: &'e Engine<'e>,
}

impl<'t> Reader<'t, '_> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn wrong(&self, expected: &str) -> Fault {
        let line = self.text[..self.at].matches('\n').count() + 1;
        let found = match self.rest().chars().next() {
            Some(c) => format!("`{}`", c.escape_debug()),
            None => "the end".to_string(),
        };
        Fault::new(format!("the text is not Ion: expected {expected}, found {found} in line {line}"))
    }

    fn takes(&mut self, token: &str) -> bool {
        let is = self.rest().starts_with(token);
        if is {
            self.at += token.len();
        }
        is
    }

    /// Skips blanks and comments.
    fn blanks(&mut self) -> Result<(), Fault> {
        loop {
            self.at += self.rest().len() - self.rest().trim_start().len();
            if self.rest().starts_with("//") {
                self.at += self.rest().find('\n').unwrap_or(self.rest().len());
            } else if self.rest().starts_with("/*") {
                let end = self.rest().find("*/").ok_or_else(|| self.wrong("the end of a comment"))?;
                self.at += end + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn value(&mut self) -> Result<Value, Fault> {
        let most = self.engine.limits.depth;
        if self.depth > most {
            return Err(Fault::new(format!("lists and maps are nested more than {most} deep")));
        }
        self.engine.enter()?;
        self.depth += 1;
        let value = self.entered_value();
        self.depth -= 1;
        self.engine.leave();
        value
    }

    fn entered_value(&mut self) -> Result<Value, Fault> {
        let first = self.rest().chars().next().ok_or_else(|| self.wrong("a value"))?;
        match first {
            '{' if self.rest().starts_with("{{") => Err(self.wrong("a value that is no blob or clob")),
            '{' => self.map(),
            '[' => self.list(),
            '"' => self.quoted('"').map(Value::from),
            '\'' if self.rest().starts_with("'''") => self.long_text(),
            '\'' => {
                let symbol = self.quoted('\'')?;
                self.annotated(symbol)
            }
            '+' | '-' | '0'..='9' => self.number(),
            c if is_word(c) => {
                let word = self.word();
                self.annotated(word.to_string())
            }
            _ => Err(self.wrong("a value")),
        }
    }

    /// A symbol, or the value that it annotates.
    fn annotated(&mut self, symbol: String) -> Result<Value, Fault> {
        self.blanks()?;
        if self.takes("::") {
            self.blanks()?;
            return self.value();
        }
        Ok(match symbol.as_str() {
            "true" => Value::from(true),
            "false" => Value::from(false),
            "nan" => Value::from(f64::NAN),
            "null" => {
                // `null.string` says which type it is the null of.
                if self.takes(".") {
                    self.word();
                }
                values::null()
            }
            _ => Value::from(symbol),
        })
    }

    fn word(&mut self) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn map(&mut self) -> Result<Value, Fault> {
        self.at += 1;
        let mut entries = Entries::new();
        loop {
            self.blanks()?;
            if self.takes("}") {
                return self.engine.map(entries);
            }
            let name = match self.rest().chars().next() {
                Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
                Some(c) if is_word(c) => self.word().to_string(),
                _ => return Err(self.wrong("the name of a field")),
            };
            self.blanks()?;
            if !self.takes(":") {
                return Err(self.wrong("`:`"));
            }
            self.blanks()?;
            let value = self.value()?;
            entries.insert(name, value);
            self.blanks()?;
            if !self.takes(",") && !self.rest().starts_with('}') {
                return Err(self.wrong("`,` or `}`"));
            }
        }
    }

    fn list(&mut self) -> Result<Value, Fault> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.blanks()?;
            if self.takes("]") {
                return self.engine.list(items);
            }
            items.push(self.value()?);
            self.blanks()?;
            if !self.takes(",") && !self.rest().starts_with(']') {
                return Err(self.wrong("`,` or `]`"));
            }
        }
    }

    /// `'''text'''`, several of which in a row are one.
    fn long_text(&mut self) -> Result<Value, Fault> {
        let mut text = String::new();
        while self.takes("'''") {
            let end = self.rest().find("'''").ok_or_else(|| self.wrong("`'''`"))?;
            text.push_str(&self.rest()[..end]);
            self.at += end + 3;
            self.blanks()?;
        }
        self.engine.text(text)
    }

    fn quoted(&mut self, quote: char) -> Result<String, Fault> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let c = self.rest().chars().next().ok_or_else(|| self.wrong("the end of a text in quotes"))?;
            self.at += c.len_utf8();
            match c {
                '\\' => text.extend(self.escape()?),
                c if c == quote => return Ok(text),
                c => text.push(c),
            }
        }
    }

    /// What follows a backslash; an escaped line end is nothing.
    fn escape(&mut self) -> Result<Option<char>, Fault> {
        let c = self.rest().chars().next().ok_or_else(|| self.wrong("an escaped character"))?;
        self.at += c.len_utf8();
        Ok(Some(match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            '0' => '\0',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            '\n' => return Ok(None),
            'x' => self.code_point(2)?,
            'U' => self.code_point(8)?,
            'u' => {
                let high = self.code_unit(4)?;
                // Characters beyond 16 bits are written as two.
                if (0xd800..0xdc00).contains(&high) && self.takes("\\u") {
                    let low = self.code_unit(4)?;
                    let code = 0x1_0000 + ((high - 0xd800) << 10) + low.wrapping_sub(0xdc00) % 0x400;
                    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
                } else {
                    char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER)
                }
            }
            c => c,
        }))
    }

    fn code_unit(&mut self, digits: usize) -> Result<u32, Fault> {
        let code = self.rest().get(..digits).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let code = code.ok_or_else(|| self.wrong("hexadecimal digits"))?;
        self.at += digits;
        Ok(code)
    }

    fn code_point(&mut self, digits: usize) -> Result<char, Fault> {
        let code = self.code_unit(digits)?;
        Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    /// An integer, a decimal, a float or a timestamp.
    fn number(&mut self) -> Result<Value, Fault> {
        let rest = self.rest();
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_' | ':');
        let length = rest.find(|c| !part(c)).unwrap_or(rest.len());
        let written = &rest[..length];
        let digits = written.replace('_', "");
        let value = if let Ok(number) = digits.parse::<i64>() {
            Value::from(number)
        } else if let Ok(number) = digits.parse::<i128>() {
            Value::from(number)
        } else if let Some(number) = float(&digits) {
            Value::from(number)
        } else if digits.get(4..5).is_some_and(|c| c == "-" || c == "T") {
            Value::from(written)
        } else {
            return Err(self.wrong("a number"));
        };
        self.at += length;
        Ok(value)
    }
}

/// `1.5`, `1.5e3` (float) and `1.5d3` (decimal).
fn float(text: &str) -> Option<f64> {
    match text {
        "+inf" => Some(f64::INFINITY),
        "-inf" => Some(f64::NEG_INFINITY),
        text => {
            let plain = text.trim_end_matches('.').replace(['d', 'D'], "e");
            plain.parse::<f64>().ok().filter(|number| number.is_finite())
        }
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c == '$' || c.is_ascii_alphanumeric()
}
