//! Going on after text that is not YAML: the line at fault is mended, or taken out, so that the rest of the source can be
//! checked too. What is found then is told only where it cannot come from the mending.

use std::collections::{BTreeMap, HashSet};

use super::{layout, parse};
use crate::codes::{
    EMPTY_FLOW, MISSING_PROPERTY, NO_EFFECT, UNDEFINED_INPUT, UNDEFINED_OUTPUT, UNDEFINED_VARIABLE,
    UNKNOWN_DEPENDENCY, UNQUOTED_EXPRESSION, YAML_ALIAS, YAML_SYNTAX, YAML_TAB,
};
use crate::span::Lines;
use crate::{Diagnostic, ParseOptions, Position, Span};

/// Mistakes up to which a source is mended.
const MOST: usize = 10;

/// Each attempt reads all of the source again: larger ones are left as they are.
const LARGEST: usize = 256 * 1024;

/// Lines above a mistake whose indentation may have been meant.
const LINES_ABOVE: usize = 100;

/// How many spaces a TAB may have stood for, the likeliest first.
const TAB_WIDTHS: [usize; 4] = [2, 4, 8, 1];

/// Mistakes of the text that a line can be mended for.
const MENDABLE: [&str; 4] = [YAML_SYNTAX, YAML_TAB, YAML_ALIAS, UNQUOTED_EXPRESSION];

/// What may only be missing because of the mistake.
const UNCERTAIN: [&str; 3] = [MISSING_PROPERTY, NO_EFFECT, EMPTY_FLOW];

/// What may only be said because a line is not there any more.
const CONSEQUENCES: [&str; 4] = [UNDEFINED_INPUT, UNDEFINED_OUTPUT, UNDEFINED_VARIABLE, UNKNOWN_DEPENDENCY];

/// A source that was mended.
pub(crate) struct Mended {
    text: String,
    lines: BTreeMap<u32, Change>,
    /// Whether everything but values is still there.
    complete: bool,
}

/// What was done to a line.
#[derive(Debug, Clone, Copy)]
struct Change {
    /// Whether what is found in it means nothing.
    muted: bool,
    /// The column up to which the line differs, and by how many characters what follows has moved to the right.
    from: u32,
    moved: i32,
}

/// One way to mend a line.
struct Attempt {
    text: String,
    changes: Vec<(u32, Change)>,
    complete: bool,
}

/// Mends a source whose first mistake is the last of `found`. Further mistakes of the text are added to it.
pub(crate) fn mend(source: &str, options: &ParseOptions, found: &mut Vec<Diagnostic>) -> Option<Mended> {
    if source.len() > LARGEST {
        return None;
    }
    let mut mended = Mended { text: source.to_owned(), lines: BTreeMap::new(), complete: true };
    let original = Lines::new(source);
    let mut mistake = found.last()?.clone();
    for _ in 0..MOST {
        if !MENDABLE.contains(&mistake.code) {
            return None;
        }
        let line = mistake.span.start.line;
        let (attempt, next) = best(&mended.text, line, mistake.code == YAML_TAB, options)?;
        mended.text = attempt.text;
        mended.complete &= attempt.complete;
        mended.lines.extend(attempt.changes);
        let Some(next) = next else { return Some(mended) };
        // Where a line was taken out, those that belonged to it fit nowhere: that is no mistake of theirs.
        if mended.complete && !mended.lines.contains_key(&next.span.start.line) {
            found.push(mended.moved_back(next.clone(), &original));
        }
        mistake = next;
    }
    None
}

/// The first way to mend a line after which the reader gets further, and the mistake that it meets then.
fn best(text: &str, line: u32, tab: bool, options: &ParseOptions) -> Option<(Attempt, Option<Diagnostic>)> {
    let attempts = if tab { tabs(text, line) } else { attempts(text, line) };
    attempts.into_iter().find_map(|attempt| {
        let mut diagnostics = Vec::new();
        let read = parse(&Lines::new(&attempt.text), options, &mut diagnostics).is_some();
        let next = if read { None } else { Some(diagnostics.pop()?) };
        let further = next.as_ref().is_none_or(|next| next.span.start.line > line);
        further.then_some((attempt, next))
    })
}

/// Spaces in place of all TABs of the indentation, or of the blanks in the line.
fn tabs(text: &str, line: u32) -> Vec<Attempt> {
    let in_width = |width: usize| {
        let mut changes = Vec::new();
        let mut mended = String::with_capacity(text.len());
        for (index, whole) in text.split_inclusive('\n').enumerate() {
            let content = whole.trim_start_matches([' ', '\t']);
            let indentation = &whole[..whole.len() - content.len()];
            let count = indentation.matches('\t').count();
            mended.push_str(&indentation.replace('\t', &" ".repeat(width)));
            mended.push_str(content);
            if count > 0 {
                let moved = (count * (width - 1)) as i32;
                let from = indentation.chars().count() as u32;
                changes.push((index as u32 + 1, Change { muted: false, from, moved }));
            }
        }
        Attempt { text: mended, changes, complete: true }
    };
    let blanks = with_line(text, line, |content| content.replace('\t', " ")).map(|text| {
        let change = Change { muted: false, from: 0, moved: 0 };
        Attempt { text, changes: vec![(line, change)], complete: true }
    });
    TAB_WIDTHS.into_iter().map(in_width).chain(blanks).collect()
}

/// Ways to mend any other line.
fn attempts(text: &str, line: u32) -> Vec<Attempt> {
    let lines = Lines::new(text);
    let content = lines.text(line);
    let names_something =
        ["id:", "- id:", "type:", "- type:"].iter().any(|key| content.trim().starts_with(key));
    let muted = Change { muted: true, from: 0, moved: 0 };
    let mut attempts = Vec::new();
    // The space that belongs behind the `-` of an item.
    if let Some(indentation) = layout::unspaced_dash(content)
        && let Some(text) = with_line(text, line, |content| {
            format!("{}- {}", &content[..indentation], &content[indentation + 1..])
        })
    {
        let change = Change { muted: false, from: indentation as u32 + 1, moved: 1 };
        attempts.push(Attempt { text, changes: vec![(line, change)], complete: true });
    }
    // The colon that a key has lost.
    if !content.trim().is_empty()
        && layout::is_key(content.trim())
        && let Some(text) = with_line(text, line, |content| format!("{}:", content.trim_end()))
    {
        attempts.push(Attempt { text, changes: vec![(line, muted)], complete: true });
    }
    // Any text in place of the value.
    if let Some((key, value)) = content.split_once(": ").filter(|(_, value)| !value.trim().is_empty()) {
        let filled = format!("{key}: {}", "x".repeat(value.chars().count()));
        if let Some(text) = with_line(text, line, |_| filled.clone()) {
            attempts.push(Attempt { text, changes: vec![(line, muted)], complete: !names_something });
        }
    }
    // The indentation of a line above: the nearest, as it was most likely meant.
    let own = content.len() - content.trim_start().len();
    let above = (1..line).rev().map(|line| lines.text(line)).filter(|text| !text.trim().is_empty());
    if let Some(wanted) = above.take(LINES_ABOVE).map(key_column).min_by_key(|wanted| wanted.abs_diff(own))
        && wanted != own
        && let Some(text) = with_line(text, line, |content| " ".repeat(wanted) + content.trim_start())
    {
        let change = Change { muted: false, from: own as u32, moved: wanted as i32 - own as i32 };
        attempts.push(Attempt { text, changes: vec![(line, change)], complete: true });
    }
    // A text of several lines whose key has no `|`.
    if content.trim_end().ends_with(':')
        && let Some(text) = with_line(text, line, |content| format!("{} |", content.trim_end()))
    {
        attempts.push(Attempt { text, changes: vec![(line, muted)], complete: false });
    }
    // Without the line; what is below an item still is.
    let item = if content.trim_start().starts_with("- ") { "-" } else { "" };
    let indentation = &content[..content.len() - content.trim_start().len()];
    if let Some(text) = with_line(text, line, |_| format!("{indentation}{item}")) {
        attempts.push(Attempt { text, changes: vec![(line, muted)], complete: false });
    }
    attempts
}

/// Where the key of a line begins, behind the `- ` of an item.
fn key_column(line: &str) -> usize {
    let content = line.trim_start_matches([' ', '-']);
    line.len() - content.len()
}

/// The text with another content of one line.
fn with_line(text: &str, line: u32, change: impl FnOnce(&str) -> String) -> Option<String> {
    let lines = Lines::new(text);
    let content = lines.text(line);
    let start = lines.at(line, 0).offset as usize;
    let changed = change(content);
    (changed != content).then(|| [&text[..start], changed.as_str(), &text[start + content.len()..]].concat())
}

impl Mended {
    /// The text as it was mended, to be read instead of the source.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Of what was found in the mended text what does not come from the mending, with its place in the source.
    pub(crate) fn tell(&self, found: Vec<Diagnostic>, source: &str) -> Vec<Diagnostic> {
        let lines = Lines::new(source);
        let muted: HashSet<u32> =
            self.lines.iter().filter(|(_, change)| change.muted).map(|(line, _)| *line).collect();
        found
            .into_iter()
            .filter(|diagnostic| !muted.contains(&diagnostic.span.start.line))
            .filter(|diagnostic| !UNCERTAIN.contains(&diagnostic.code))
            .filter(|diagnostic| self.complete || !CONSEQUENCES.contains(&diagnostic.code))
            .map(|diagnostic| self.moved_back(diagnostic, &lines))
            .collect()
    }

    fn moved_back(&self, mut diagnostic: Diagnostic, lines: &Lines<'_>) -> Diagnostic {
        diagnostic.span = self.span(diagnostic.span, lines);
        for related in &mut diagnostic.related {
            related.span = self.span(related.span, lines);
        }
        diagnostic
    }

    fn span(&self, span: Span, lines: &Lines<'_>) -> Span {
        let place = |position: Position| {
            let characters = position.column.saturating_sub(1);
            let moved = match self.lines.get(&position.line) {
                Some(change) => {
                    characters.saturating_add_signed(-change.moved).max(change.from.min(characters))
                }
                None => characters,
            };
            lines.at(position.line, moved)
        };
        Span::new(place(span.start), place(span.end))
    }
}
