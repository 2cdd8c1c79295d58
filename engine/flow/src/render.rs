//! Diagnostics as text for a terminal: message, place, the line with what is meant underlined, and what to do.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthChar;

use crate::span::Lines;
use crate::{Diagnostic, Severity, Span};

/// How diagnostics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderOptions {
    /// Whether to use ANSI colours.
    pub color: bool,
    /// Columns of the terminal; longer lines are cut around what is meant.
    pub width: usize,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self { color: false, width: 120 }
    }
}

/// Columns that a TAB takes in a snippet.
const TAB_WIDTH: usize = 4;

/// Stands for the part of a line that was cut.
const CUT: &str = "...";

/// Writes diagnostics one after the other, with an empty line between them. `file` is what the reader calls the source.
pub fn render(diagnostics: &[Diagnostic], source: &str, file: &str, options: RenderOptions) -> String {
    let lines = Lines::new(source);
    let mut renderer = Renderer { lines: &lines, file, options, out: String::new() };
    for (index, diagnostic) in diagnostics.iter().enumerate() {
        if index > 0 {
            renderer.out.push('\n');
        }
        renderer.diagnostic(diagnostic);
    }
    renderer.out
}

struct Renderer<'r> {
    lines: &'r Lines<'r>,
    file: &'r str,
    options: RenderOptions,
    out: String,
}

impl Renderer<'_> {
    fn diagnostic(&mut self, diagnostic: &Diagnostic) {
        let color = match diagnostic.severity {
            Severity::Error => AnsiColor::Red,
            Severity::Warning => AnsiColor::Yellow,
        };
        let accent = color.on_default().bold();
        let title = format!("{}[{}]", diagnostic.severity.as_str(), diagnostic.code);
        self.styled(&title, accent);
        self.styled(&format!(": {}", printable(&diagnostic.message)), Style::new().bold());
        self.out.push('\n');
        let deepest = diagnostic.related.iter().map(|related| related.span.start.line);
        let gutter = deepest.chain([diagnostic.span.start.line]).max().unwrap_or(0).to_string().len();
        self.place(diagnostic.span, "-->", gutter);
        self.snippet(diagnostic.span, ('^', accent), "", gutter);
        for related in &diagnostic.related {
            self.place(related.span, ":::", gutter);
            self.snippet(related.span, ('-', AnsiColor::Blue.on_default().bold()), &related.message, gutter);
        }
        if !diagnostic.path.is_empty() {
            let path = format!("{} = in `{}`", " ".repeat(gutter), printable(&diagnostic.path));
            self.styled(&path, Style::new().dimmed());
            self.out.push('\n');
        }
        if let Some(hint) = &diagnostic.hint {
            self.styled("hint", AnsiColor::Cyan.on_default().bold());
            let _ = writeln!(self.out, ": {}", printable(hint));
        }
    }

    fn styled(&mut self, text: &str, style: Style) {
        // Writing to a string cannot fail.
        let _ = match self.options.color {
            true => write!(self.out, "{style}{text}{style:#}"),
            false => write!(self.out, "{text}"),
        };
    }

    fn place(&mut self, span: Span, arrow: &str, gutter: usize) {
        self.styled(&format!("{}{arrow}", " ".repeat(gutter)), AnsiColor::Blue.on_default().bold());
        let _ = writeln!(self.out, " {}:{}:{}", printable(self.file), span.start.line, span.start.column);
    }

    /// The first line of a span with marks below it. A span of no length is marked as one character.
    fn snippet(&mut self, span: Span, (mark, style): (char, Style), label: &str, gutter: usize) {
        let frame = AnsiColor::Blue.on_default().bold();
        let text = self.lines.text(span.start.line);
        let first = span.start.column.saturating_sub(1) as usize;
        let last = match span.end.line == span.start.line {
            true => span.end.column.saturating_sub(1) as usize,
            false => text.trim_end().chars().count(),
        };
        let line = Line::new(text, first, last.max(first + 1));
        let line = line.cut(self.options.width.saturating_sub(gutter + 3));
        self.styled(&format!("{} |", " ".repeat(gutter)), frame);
        self.out.push('\n');
        self.styled(&format!("{:>gutter$} |", span.start.line), frame);
        let _ = writeln!(self.out, " {}", line.text.trim_end());
        self.styled(&format!("{} |", " ".repeat(gutter)), frame);
        let _ = write!(self.out, " {}", " ".repeat(line.from));
        self.styled(&mark.to_string().repeat(line.to - line.from), style);
        if !label.is_empty() {
            self.out.push(' ');
            self.styled(&printable(label), style);
        }
        self.out.push('\n');
    }
}

/// A line as it is shown, with the columns of the terminal that are marked.
struct Line {
    text: String,
    from: usize,
    to: usize,
}

impl Line {
    /// Marks the characters from `first` to before `last`.
    fn new(text: &str, first: usize, last: usize) -> Self {
        let (mut shown, mut width) = (String::with_capacity(text.len()), 0);
        let (mut from, mut to) = (None, None);
        for (index, c) in text.chars().enumerate() {
            if index == first {
                from = Some(width);
            }
            if index == last {
                to = Some(width);
            }
            match c {
                '\t' => {
                    shown.push_str(&" ".repeat(TAB_WIDTH));
                    width += TAB_WIDTH;
                }
                c => {
                    let c = visible(c);
                    shown.push(c);
                    width += c.width().unwrap_or(1);
                }
            }
        }
        // Behind the end of the line is where something is missing.
        let from = from.unwrap_or(width);
        Self { text: shown, from, to: to.unwrap_or(width).max(from + 1) }
    }

    /// The part that fits in `width` columns and has as much of what is marked as possible.
    fn cut(self, width: usize) -> Self {
        let width = width.max(4 * CUT.len());
        let total: usize = self.text.chars().map(|c| c.width().unwrap_or(0)).sum();
        if total <= width {
            return self;
        }
        let room = width - 2 * CUT.len();
        let marked = (self.to - self.from).min(room);
        // Some of the line before and after, as long as there is any.
        let start = self.from.saturating_sub((room - marked) / 2).min(total - room);
        let mut text = String::new();
        let (mut column, mut skipped) = (0, 0);
        for c in self.text.chars() {
            let wide = c.width().unwrap_or(0);
            if column < start {
                skipped += wide;
            } else if column + wide <= start + room {
                text.push(c);
            }
            column += wide;
        }
        let before = if start > 0 { CUT } else { "" };
        let after = if start + room < total { CUT } else { "" };
        let from = self.from - skipped + before.len();
        let to = (self.to.min(start + room)).saturating_sub(skipped) + before.len();
        Self { text: format!("{before}{text}{after}"), from, to: to.max(from + 1) }
    }
}

/// What a terminal would take for a command becomes a replacement character.
fn visible(c: char) -> char {
    if c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { c } else { visible(c) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str, first: usize, last: usize, width: usize) -> String {
        let line = Line::new(text, first, last).cut(width);
        format!("{}\n{}{}", line.text, " ".repeat(line.from), "^".repeat(line.to - line.from))
    }

    #[test]
    fn marks_stand_below_what_is_meant() {
        for (text, first, last, expected) in [
            ("key: value", 5, 10, "key: value\n     ^^^^^"),
            ("\tkey", 0, 1, "    key\n^^^^"),
            ("日本: x", 4, 5, "日本: x\n      ^"),
            ("日本: x", 0, 2, "日本: x\n^^^^"),
            ("e\u{301}x", 2, 3, "e\u{301}x\n ^"),
            ("short", 9, 12, "short\n     ^"),
            ("a\u{1b}[31mb", 1, 2, "a\u{fffd}[31mb\n ^"),
        ] {
            assert_eq!(marked(text, first, last, 80), expected, "{text:?}");
        }
    }

    #[test]
    fn long_lines_are_cut_around_what_is_meant() {
        let text = format!("{}HERE{}", "a".repeat(100), "b".repeat(100));
        for (first, last, expected) in [
            (100, 104, "...aaaaaHEREbbbbb...\n        ^^^^"),
            (0, 2, "aaaaaaaaaaaaaa...\n^^"),
            (202, 204, "...bbbbbbbbbbbbbb\n               ^^"),
            (100, 204, "...HEREbbbbbbbbbb...\n   ^^^^^^^^^^^^^^"),
        ] {
            let found = marked(&text, first, last, 20);
            assert_eq!(found, expected, "{first}..{last}");
        }
    }
}
