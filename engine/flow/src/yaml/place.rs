//! From an offset in a text's value back to the source: escapes, quotes, indentation and folded lines make them differ.

use std::ops::Range;

use super::{Node, Style, Text};
use crate::Span;
use crate::span::Lines;

/// Finds places of one text. Asking in ascending order costs one pass over the text.
pub(crate) struct Locator<'n> {
    lines: &'n Lines<'n>,
    node: Span,
    text: &'n Text,
    /// Where the text begins in the source, after an opening quote.
    begin: usize,
    /// Source of the text, without quotes.
    raw: &'n str,
    /// Whether the text is written as it is.
    same: bool,
    /// How far value and source have been walked.
    value_at: usize,
    raw_at: usize,
}

impl<'n> Locator<'n> {
    /// For a text; `None` for any other node.
    pub(crate) fn new(lines: &'n Lines<'n>, node: &'n Node) -> Option<Self> {
        let super::Kind::String(text) = &node.kind else { return None };
        let quote = match text.style {
            Style::SingleQuoted | Style::DoubleQuoted => 1,
            Style::Plain | Style::Block => 0,
        };
        let begin = node.span.start.offset as usize + quote;
        let end = node.span.end.offset as usize;
        let raw = lines.source().get(begin..end.saturating_sub(quote)).unwrap_or_default();
        let same = raw == text.value;
        Some(Self { lines, node: node.span, text, begin, raw, same, value_at: 0, raw_at: 0 })
    }

    /// The place of some bytes of the value. Where value and source cannot be aligned, the nearest place before.
    pub(crate) fn span(&mut self, range: Range<usize>) -> Span {
        if self.raw.is_empty() {
            return self.node;
        }
        let start = self.offset(range.start);
        let end = self.offset(range.end.max(range.start));
        Span::new(self.lines.at_byte(start), self.lines.at_byte(end.max(start)))
    }

    /// The byte of the source at which the byte of the value is written.
    fn offset(&mut self, value_offset: usize) -> usize {
        if self.same {
            return self.begin + value_offset.min(self.raw.len());
        }
        if value_offset < self.value_at {
            (self.value_at, self.raw_at) = (0, 0);
        }
        while self.value_at < value_offset && self.step() {}
        self.skip_folded();
        self.begin + self.raw_at
    }

    /// Walks over one character of the value. False at the end, and where nothing fits.
    fn step(&mut self) -> bool {
        let Some(expected) = self.text.value[self.value_at..].chars().next() else { return false };
        let Some(found) = self.raw[self.raw_at..].chars().next() else { return false };
        if let Some(width) = self.escape(found) {
            // An escaped line break stands for nothing in the value.
            if !self.raw[self.raw_at + 1..].starts_with(['\n', '\r']) {
                self.value_at += expected.len_utf8();
            }
            self.raw_at += width;
        } else if expected == found {
            self.value_at += expected.len_utf8();
            self.raw_at += found.len_utf8();
        } else if expected.is_whitespace() {
            // A line break that was folded, or an empty line before a block.
            self.value_at += expected.len_utf8();
        } else if found.is_whitespace() {
            self.raw_at += found.len_utf8();
        } else {
            return false;
        }
        true
    }

    /// Passes over the indentation before the next character of the value.
    fn skip_folded(&mut self) {
        let expected = self.text.value[self.value_at..].chars().next();
        if expected.is_none_or(char::is_whitespace) {
            return;
        }
        let rest = &self.raw[self.raw_at..];
        self.raw_at += rest.len() - rest.trim_start().len();
    }

    /// Bytes of the escape that begins here, if one does.
    fn escape(&self, found: char) -> Option<usize> {
        let rest = &self.raw.as_bytes()[self.raw_at..];
        match (self.text.style, found) {
            (Style::SingleQuoted, '\'') => (rest.get(1) == Some(&b'\'')).then_some(2),
            (Style::DoubleQuoted, '\\') => {
                let width = match rest.get(1)? {
                    b'x' => 4,
                    b'u' => 6,
                    b'U' => 10,
                    b'\r' if rest.get(2) == Some(&b'\n') => 3,
                    _ => 1 + self.raw[self.raw_at + 1..].chars().next()?.len_utf8(),
                };
                Some(width.min(rest.len()))
            }
            _ => None,
        }
    }
}
