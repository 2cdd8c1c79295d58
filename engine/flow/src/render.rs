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

/// Characters of a message, a hint or a place that are shown: they may quote a text of the source, which may be long.
const LONGEST: usize = 1_000;

/// Writes diagnostics one after the other, with an empty line between them. `file` is what the reader calls the source.
/// The work is linear in their number and in the length of the source.
pub fn render<'d>(
    diagnostics: impl IntoIterator<Item = &'d Diagnostic>,
    source: &str,
    file: &str,
    options: RenderOptions,
) -> String {
    let lines = Lines::new(source);
    let mut renderer = Renderer { lines: &lines, file, options, out: String::new() };
    for (index, diagnostic) in diagnostics.into_iter().enumerate() {
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
        let (number, text) = (span.start.line, self.lines.text(span.start.line));
        let begin = self.lines.at(number, 0).offset as usize;
        let byte = |column: u32| {
            let place = self.lines.at(number, column.saturating_sub(1)).offset as usize;
            place.saturating_sub(begin).min(text.len())
        };
        let first = byte(span.start.column);
        let last = match span.end.line == number {
            true => byte(span.end.column),
            false => text.trim_end().len(),
        };
        let line = Line::of(text, first, last, self.options.width.saturating_sub(gutter + 3));
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
    /// Marks the bytes from `first` to before `last`, but at least one character, in as much of a line as fits in `width`
    /// columns. The line may be as long as the source, so no more of it is looked at than can be shown.
    fn of(text: &str, first: usize, last: usize, width: usize) -> Self {
        let width = width.max(4 * CUT.len());
        let (begin, end) = window(text, first, width);
        let last =
            last.clamp(first, end).max(text[first..].chars().next().map_or(first, |c| first + c.len_utf8()));
        Self::new(&text[begin..end], first - begin, last - begin).cut(width)
    }

    /// Lays a line out, with the bytes from `first` to before `last` marked.
    fn new(text: &str, first: usize, last: usize) -> Self {
        let (mut shown, mut width) = (String::with_capacity(text.len()), 0);
        let (mut from, mut to) = (None, None);
        for (index, c) in text.char_indices() {
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

/// The bytes of a line that decide what is shown of it around `first`: what fills the width before it, and the width twice
/// from it on, so that [`Line::cut`] finds more on a side where there is more.
fn window(text: &str, first: usize, width: usize) -> (usize, usize) {
    // Characters without width of their own count too: a line may have any number of them.
    let columns = |c: char| if c == '\t' { TAB_WIDTH } else { c.width().unwrap_or(1) };
    let reach = |columns_wanted: usize| {
        let (mut taken, mut count) = (0, 0);
        move |c: char| {
            let more = taken <= columns_wanted && count < 4 * columns_wanted;
            (taken, count) = (taken + columns(c), count + 1);
            more
        }
    };
    let (mut before, mut after) = (reach(width), reach(2 * width));
    let begin = text[..first].char_indices().rev().take_while(|(_, c)| before(*c)).last();
    let end = text[first..].char_indices().take_while(|(_, c)| after(*c)).last();
    (begin.map_or(first, |(at, _)| at), end.map_or(first, |(at, c)| first + at + c.len_utf8()))
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
    let mut characters = text.chars();
    let shown = characters.by_ref().take(LONGEST).map(|c| if c == '\n' { c } else { visible(c) });
    let mut shown: String = shown.collect();
    if characters.next().is_some() {
        shown.push_str(CUT);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str, first: usize, last: usize, width: usize) -> String {
        let byte = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(byte, _)| byte);
        let line = Line::of(text, byte(first), byte(last), width);
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
    fn no_more_of_a_line_is_laid_out_than_is_shown() {
        let long = "é".repeat(100_000);
        for (text, first) in
            [(&long, 0), (&long, 100_000), (&long, 200_000), (&"\u{301}".repeat(100_000), 100_000)]
        {
            let (begin, end) = window(text, first, 80);
            assert!(begin <= first && first <= end, "{first}");
            assert!(
                text[begin..end].chars().count() <= 12 * 80 + 2,
                "{} characters",
                text[begin..end].chars().count()
            );
            assert_eq!(begin == 0, first == 0);
            assert_eq!(end == text.len(), first == text.len());
        }
        assert_eq!(window("short", 2, 80), (0, 5));
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
