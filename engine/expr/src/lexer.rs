//! Cuts a template into text and delimited pieces, and the pieces into tokens, by Pebble's rules (3.2.2).
//!
//! Whitespace trim needs a blank after an opening dash (`{{- x }}` trims, `{{-x}}` is a minus); `raw` is taken on a
//! single line only, before anything else; `verbatim` drops the blanks its text begins with.

use crate::error::Fault;
use crate::tree::Span;

/// Bytes of the longest template.
const MAX_SOURCE: usize = 16 * 1024 * 1024;
/// How deep `"#{"#{...}"}"` may nest.
const MAX_INTERPOLATION: usize = 8;

/// Delimiters that begin something other than text.
pub(crate) const OPENERS: [&str; 3] = ["{{", "{%", "{#"];

#[derive(Debug)]
pub(crate) enum Piece<'s> {
    Text(Span),
    Raw { whole: Span, inside: Span },
    Print(Vec<Token<'s>>, Span),
    Tag(Vec<Token<'s>>, Span),
}

#[derive(Debug, Clone)]
pub(crate) struct Token<'s> {
    pub kind: Lexeme<'s>,
    pub span: Span,
}

#[derive(Debug, Clone)]
pub(crate) enum Lexeme<'s> {
    /// Names, keywords and the operators that are words.
    Name(&'s str),
    Integer(i64),
    Float(f64),
    Text(String),
    Interpolated(Vec<Part<'s>>),
    Symbol(&'static str),
}

#[derive(Debug, Clone)]
pub(crate) enum Part<'s> {
    Text(String, Span),
    Tokens(Vec<Token<'s>>, Span),
}

/// Longest first: the first that matches is taken.
const SYMBOLS: [&str; 26] = [
    "???", "??", "..", "==", "!=", ">=", "<=", ">", "<", "+", "-", "*", "/", "%", "|", "~", "(", ")", "[",
    "]", "{", "}", "?", ":", ".", ",",
];

pub(crate) type Lexed<T> = Result<T, (Fault, Span)>;

pub(crate) fn pieces(source: &str) -> Lexed<Vec<Piece<'_>>> {
    if source.len() > MAX_SOURCE {
        let fault = Fault::new(format!("the template is longer than {} MiB", MAX_SOURCE >> 20));
        return Err((fault, Span::new(0, 0)));
    }
    let mut lexer = Lexer { source, at: 0, trim: false, pieces: Vec::new() };
    while lexer.at < source.len() {
        lexer.piece()?;
    }
    Ok(lexer.pieces)
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
    /// The piece before ended with a dash: blanks that the next text begins with are dropped.
    trim: bool,
    pieces: Vec<Piece<'s>>,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn text(&mut self, start: usize, end: usize) {
        let text = self.source.get(start..end).unwrap_or_default();
        let start = if std::mem::take(&mut self.trim) { end - text.trim_start().len() } else { start };
        if start < end {
            self.pieces.push(Piece::Text(Span::new(start, end)));
        }
    }

    /// Drops the blanks at the end of the text that an opener with a dash follows.
    fn trim_end(&mut self, open: usize) {
        if let Some(Piece::Text(span)) = self.pieces.last_mut()
            && span.range().end == open
        {
            let kept = span.of(self.source).trim_end().len();
            *span = Span::new(span.range().start, span.range().start + kept);
        }
    }

    fn piece(&mut self) -> Lexed<()> {
        let start = self.at;
        let rest = self.rest();
        let Some(open) = find_opener(rest) else {
            self.text(start, self.source.len());
            self.at = self.source.len();
            return Ok(());
        };
        let open = start + open;
        self.text(start, open);
        if let Some(inside) = raw_tag(self.source, open, "raw") {
            let end = self.raw(open, inside)?;
            self.at = end;
            return Ok(());
        }
        self.at = open + 2;
        let kind = &self.source[open..self.at];
        if let Some(after) = self.rest().strip_prefix('-')
            // `{%-if` trims nothing in Pebble and then fails: the dash has no other meaning in a tag.
            && (kind == "{%" || after.starts_with(char::is_whitespace))
        {
            self.trim_end(open);
            self.at += 1;
        }
        match kind {
            "{#" => self.comment(open),
            "{{" => {
                let (tokens, span) = self.tokens(open, "}}")?;
                self.pieces.push(Piece::Print(tokens, span));
                Ok(())
            }
            _ if self.verbatim(open)? => Ok(()),
            _ => {
                let (tokens, span) = self.tokens(open, "%}")?;
                self.pieces.push(Piece::Tag(tokens, span));
                Ok(())
            }
        }
    }

    fn raw(&mut self, open: usize, inside: usize) -> Lexed<usize> {
        let Some((inside, end)) = raw_end(self.source, inside) else {
            let fault = Fault::new("`raw` is not closed on its own line").with_hint(
                "add `{% endraw %}`, or use `{% verbatim %}...{% endverbatim %}` for several lines",
            );
            return Err((fault, Span::new(open, inside)));
        };
        self.pieces.push(Piece::Raw { whole: Span::new(open, end), inside });
        Ok(end)
    }

    fn comment(&mut self, open: usize) -> Lexed<()> {
        let Some(length) = self.rest().find("#}") else {
            // Shells count characters this way.
            let is_shell = self.source[..open].ends_with('$');
            let hint = match is_shell {
                true => "`{#` begins a comment; for the shell's `${#name}` write `${{ '{#' }}name}`",
                false => "close it with `#}`",
            };
            let fault = Fault::new("the comment has no end").with_hint(hint);
            return Err((fault, Span::new(open, open + 2)));
        };
        self.trim = self.rest()[..length].ends_with('-');
        self.at += length + 2;
        Ok(())
    }

    fn verbatim(&mut self, open: usize) -> Lexed<bool> {
        let Some(after) = tag_end(self.source, self.at, "verbatim") else { return Ok(false) };
        let mut from = after;
        while let Some(found) = self.source[from..].find("{%") {
            let tag = from + found;
            let dashed = self.source[tag + 2..].starts_with('-');
            let name = tag + 2 + usize::from(dashed);
            if let Some(end) = tag_end(self.source, name, "endverbatim") {
                let start = tag - self.source[after..tag].trim_start().len();
                let stop = if dashed { start + self.source[start..tag].trim_end().len() } else { tag };
                if start < stop {
                    self.pieces.push(Piece::Text(Span::new(start, stop)));
                }
                self.trim = self.source[..end].ends_with("-%}");
                self.at = end;
                return Ok(true);
            }
            from = tag + 2;
        }
        let fault = Fault::new("`verbatim` has no end").with_hint("close it with `{% endverbatim %}`");
        Err((fault, Span::new(open, after)))
    }

    /// The tokens up to the closing delimiter, which ends an expression only outside of brackets.
    fn tokens(&mut self, open: usize, close: &'static str) -> Lexed<(Vec<Token<'s>>, Span)> {
        let mut cursor = Cursor { source: self.source, at: self.at, depth: 0 };
        let tokens = cursor.until(close, open)?;
        self.at = cursor.at;
        self.trim = self.source[..self.at - 2].ends_with('-');
        Ok((tokens, Span::new(open, self.at)))
    }
}

/// What to do about a bracket that closes nothing before `close`.
fn unopened(symbol: &str, close: &str) -> Option<String> {
    let hint = match (symbol, close) {
        ("}", "}}") => "end the expression with `}}`",
        ("}", "%}") => "end the tag with `%}`; for a text that has `{%` in it write `{{ '{%' }}`",
        _ => return None,
    };
    Some(hint.to_string())
}

/// Reads tokens.
struct Cursor<'s> {
    source: &'s str,
    at: usize,
    /// Strings inside interpolations inside strings.
    depth: usize,
}

impl<'s> Cursor<'s> {
    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    /// Tokens until `close`, which is consumed. `open` is where what is being closed began.
    fn until(&mut self, close: &'static str, open: usize) -> Lexed<Vec<Token<'s>>> {
        let mut tokens = Vec::new();
        let mut brackets: Vec<(&'static str, usize)> = Vec::new();
        loop {
            self.at += self.rest().len() - self.rest().trim_start().len();
            let rest = self.rest();
            if rest.is_empty() {
                return Err(unclosed(&brackets, close, open));
            }
            if brackets.is_empty() {
                if rest.starts_with(close) {
                    self.at += close.len();
                    return Ok(tokens);
                }
                if close != "}" && rest.starts_with('-') && rest[1..].starts_with(close) {
                    self.at += 1 + close.len();
                    return Ok(tokens);
                }
            }
            let start = self.at;
            let kind = self.token()?;
            let span = Span::new(start, self.at);
            match kind {
                Lexeme::Symbol(symbol @ ("(" | "[" | "{")) => brackets.push((symbol, start)),
                Lexeme::Symbol(symbol @ (")" | "]" | "}")) => match brackets.pop() {
                    Some((bracket, _)) if closing(bracket) == symbol => {}
                    Some((bracket, at)) => {
                        let fault = Fault::new(format!("expected `{}`, found `{symbol}`", closing(bracket)));
                        return Err((fault, Span::new(at, at + 1).to(span)));
                    }
                    None => {
                        let fault = Fault::new(format!("`{symbol}` closes nothing"));
                        return Err((Fault { hint: unopened(symbol, close), ..fault }, span));
                    }
                },
                _ => {}
            }
            tokens.push(Token { kind, span });
        }
    }

    fn token(&mut self) -> Lexed<Lexeme<'s>> {
        let rest = self.rest();
        let first = rest.chars().next().unwrap_or_default();
        if first == '_' || first.is_alphabetic() {
            let length = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
            self.at += length;
            return Ok(Lexeme::Name(&rest[..length]));
        }
        if first.is_ascii_digit() {
            return self.number();
        }
        if first == '\'' || first == '"' {
            return self.string(first);
        }
        if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            self.at += symbol.len();
            return Ok(Lexeme::Symbol(symbol));
        }
        if first == '=' {
            self.at += 1;
            return Ok(Lexeme::Symbol("="));
        }
        let hint = match first {
            '&' => Some("use `and`"),
            '!' => Some("use `not`"),
            '$' => Some("variables have no `$`: write the name alone"),
            '\\' => Some("a backslash has a meaning only inside of quotes"),
            _ => None,
        };
        let fault = Fault { message: format!("unexpected `{first}`"), hint: hint.map(String::from) };
        Err((fault, Span::new(self.at, self.at + first.len_utf8())))
    }

    fn number(&mut self) -> Lexed<Lexeme<'s>> {
        let rest = self.rest();
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let whole = digits(rest);
        // `1..3` is a range and `1.` is no number, so a point counts only with a digit behind it.
        let fraction = match rest[whole..].strip_prefix('.').map(digits) {
            Some(count) if count > 0 => 1 + count,
            _ => 0,
        };
        let text = &rest[..whole + fraction];
        let span = Span::new(self.at, self.at + text.len());
        self.at += text.len();
        if fraction > 0 {
            return text
                .parse()
                .map(Lexeme::Float)
                .map_err(|_| (Fault::new(format!("`{text}` is not a number")), span));
        }
        if self.rest().starts_with('L') {
            self.at += 1;
        }
        text.parse().map(Lexeme::Integer).map_err(|_| {
            let fault = Fault::new(format!("`{text}` is too large for a 64-bit integer"));
            (fault.with_hint("write it as a decimal, `1.0`, or in quotes"), span)
        })
    }

    /// A string in either quotes. A backslash escapes the quote it is in and nothing else (`\n` stays two
    /// characters); `#{...}` in double quotes is an expression.
    fn string(&mut self, quote: char) -> Lexed<Lexeme<'s>> {
        let open = self.at;
        self.at += 1;
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut from = self.at;
        loop {
            let rest = self.rest();
            let Some(c) = rest.chars().next() else {
                let fault =
                    Fault::new("the text in quotes has no end").with_hint(format!("close it with {quote}"));
                return Err((fault, Span::new(open, open + 1)));
            };
            if c == quote {
                break;
            }
            if c == '\\' {
                let escaped = rest[1..].chars().next();
                match escaped {
                    Some(next) if next == quote => text.push(next),
                    Some(next) => text.extend(['\\', next]),
                    None => text.push('\\'),
                }
                self.at += 1 + escaped.map_or(0, char::len_utf8);
            } else if quote == '"' && rest.starts_with("#{") {
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text), Span::new(from, self.at)));
                }
                parts.push(self.interpolation()?);
                from = self.at;
            } else {
                text.push(c);
                self.at += c.len_utf8();
            }
        }
        if parts.is_empty() {
            self.at += 1;
            return Ok(Lexeme::Text(text));
        }
        if !text.is_empty() {
            parts.push(Part::Text(text, Span::new(from, self.at)));
        }
        self.at += 1;
        Ok(Lexeme::Interpolated(parts))
    }

    fn interpolation(&mut self) -> Lexed<Part<'s>> {
        let open = self.at;
        if self.depth == MAX_INTERPOLATION {
            let fault = Fault::new(format!("`#{{}}` is nested more than {MAX_INTERPOLATION} deep"));
            return Err((fault, Span::new(open, open + 2)));
        }
        let mut inner = Cursor { source: self.source, at: open + 2, depth: self.depth + 1 };
        let tokens = inner.until("}", open)?;
        self.at = inner.at;
        Ok(Part::Tokens(tokens, Span::new(open, self.at)))
    }
}

fn closing(bracket: &str) -> &'static str {
    match bracket {
        "(" => ")",
        "[" => "]",
        _ => "}",
    }
}

fn unclosed(brackets: &[(&'static str, usize)], close: &str, open: usize) -> (Fault, Span) {
    match brackets.last() {
        Some((bracket, at)) => {
            let fault = Fault::new(format!("`{bracket}` is not closed"))
                .with_hint(format!("add `{}`", closing(bracket)));
            (fault, Span::new(*at, at + 1))
        }
        None => {
            let fault = Fault::new("the expression is not closed").with_hint(format!("add `{close}`"));
            (fault, Span::new(open, open + 2))
        }
    }
}

fn find_opener(text: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(found) = text[from..].find('{') {
        let at = from + found;
        if OPENERS.iter().any(|opener| text[at..].starts_with(opener)) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// The end of `name -? %}` with blanks anywhere, if that is what stands at `at`.
fn tag_end(source: &str, at: usize, name: &str) -> Option<usize> {
    let rest = source.get(at..)?.trim_start().strip_prefix(name)?.trim_start();
    let rest = rest.strip_prefix('-').unwrap_or(rest).strip_prefix("%}")?;
    Some(source.len() - rest.len())
}

/// Where a `raw` that begins at `inside` ends: Kestra takes out `{%-* raw -*%}`, one line, `{%-* endraw -*%}` before
/// Pebble sees the template.
fn raw_end(source: &str, inside: usize) -> Option<(Span, usize)> {
    let line_end = inside + line_length(&source[inside..]);
    let mut from = inside;
    while let Some(found) = source[from..line_end].find("{%") {
        let tag = from + found;
        if let Some(end) = raw_tag(source, tag, "endraw") {
            return Some((Span::new(inside, tag), end));
        }
        from = tag + 2;
    }
    None
}

fn line_length(text: &str) -> usize {
    text.find(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).unwrap_or(text.len())
}

/// The end of `{% name %}` as Kestra matches it: any number of dashes, blanks around the name.
fn raw_tag(source: &str, open: usize, name: &str) -> Option<usize> {
    let rest = source.get(open..)?.strip_prefix("{%")?.trim_start_matches('-').trim_start();
    let rest = rest.strip_prefix(name)?.trim_start().trim_start_matches('-').strip_prefix("%}")?;
    Some(source.len() - rest.len())
}

/// Replaces every `{% raw %}...{% endraw %}` of a rendered text by its inside, when `render()` kept them for later
/// passes.
pub(crate) fn strip_raw(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    while let Some(found) = text[from..].find("{%") {
        let at = from + found;
        out.push_str(&text[from..at]);
        from = match raw_tag(text, at, "raw").map(|inside| (inside, raw_end(text, inside))) {
            Some((_, Some((inside, end)))) => {
                out.push_str(inside.of(text));
                end
            }
            // Nothing else on this line can end it either.
            Some((inside, None)) => {
                let end = inside + line_length(&text[inside..]);
                out.push_str(&text[at..end]);
                end
            }
            None => {
                out.push_str("{%");
                at + 2
            }
        };
    }
    out.push_str(&text[from..]);
    out
}
