//! Mistakes that are seen by looking at lines: where a text, a key or an item begins. The scanner notices them somewhere
//! below, and in other words.

use crate::Diagnostic;
use crate::Span;
use crate::codes::YAML_SYNTAX;
use crate::span::Lines;

/// Lines above a mistake that are searched for its cause.
const LINES_ABOVE: u32 = 200;

fn indentation(text: &str) -> usize {
    text.len() - text.trim_start_matches(' ').len()
}

/// Whether a text can be the key of a map that a person wrote.
pub(super) fn is_key(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '$'))
}

/// The lines above, the nearest first, without empty ones.
fn above<'l>(line: u32, lines: &'l Lines<'_>) -> impl Iterator<Item = (u32, &'l str)> {
    (line.saturating_sub(LINES_ABOVE).max(1)..line)
        .rev()
        .map(|line| (line, lines.text(line)))
        .filter(|(_, text)| !text.trim().is_empty())
}

/// The nearest line above that is indented less.
pub(super) fn owner(line: u32, lines: &Lines<'_>) -> Option<u32> {
    let own = indentation(lines.text(line));
    above(line, lines).find(|(_, text)| indentation(text) < own).map(|(line, _)| line)
}

/// The content of a line, without indentation.
fn whole(line: u32, lines: &Lines<'_>) -> Span {
    let text = lines.text(line);
    let end = text.trim_end().chars().count() as u32;
    Span::new(lines.at(line, indentation(text) as u32), lines.at(line, end))
}

/// The key of a line that ends with the sign of a block, and that sign: `script` and `|`.
fn opens_text(line: &str) -> Option<(&str, &str)> {
    let (key, sign) = line.trim_end().trim_start_matches([' ', '-']).split_once(": ")?;
    let sign = sign.trim();
    let is_sign = sign.starts_with(['|', '>'])
        && sign[1..].chars().all(|c| matches!(c, '+' | '-') || c.is_ascii_digit());
    is_sign.then_some((key, sign))
}

/// Text right below `script: |` at the indentation of the key itself. `line` is where the scanner gave up: at the first
/// line of the text that is no key.
pub(super) fn unindented_text(line: u32, lines: &Lines<'_>) -> Option<Diagnostic> {
    let first = |line: u32| {
        let (opener, text) = above(line, lines).next()?;
        let (key, sign) = opens_text(text)?;
        // Behind `- `, the key begins further to the right.
        let column = text.len() - text.trim_start_matches([' ', '-']).len();
        let is_key = lines.text(line).trim_start().split_once(':').is_some_and(|(key, _)| is_key(key));
        (opener < line && !is_key && indentation(lines.text(line)) == column)
            .then(|| (line, key.to_owned(), sign.to_owned()))
    };
    let (line, key, sign) =
        first(line).or_else(|| above(line, lines).next().and_then(|(line, _)| first(line)))?;
    let message = format!("the text of `{key}: {sign}` must be indented");
    let hint = format!("indent the text below `{sign}` by two spaces more than `{key}`");
    Some(Diagnostic::error(YAML_SYNTAX, whole(line, lines), message).hint(hint))
}

/// A text of several lines below `script:`, where a colon ends what can be text without `|`.
pub(super) fn text_without_bar(line: u32, lines: &Lines<'_>) -> Option<Diagnostic> {
    let owner = owner(line, lines)?;
    let text = lines.text(owner);
    let key = text.trim_end().trim_start_matches([' ', '-']).strip_suffix(':').filter(|key| is_key(key))?;
    let first = lines.text((owner + 1..=line).find(|&line| !lines.text(line).trim().is_empty())?).trim();
    // Keys and items below it are what they are.
    if first.starts_with("- ") || first.split_once(':').is_some_and(|(key, _)| is_key(key)) {
        return None;
    }
    let message = format!("the text of `{key}` has several lines and a `: `, so it needs a `|`");
    let hint = format!("write `{key}: |` and leave the text indented below it");
    Some(Diagnostic::error(YAML_SYNTAX, whole(owner, lines), message).hint(hint))
}

/// Where the `-` of an item is that lacks the space behind it.
pub(super) fn unspaced_dash(line: &str) -> Option<usize> {
    let content = line.trim_start_matches(' ');
    let key = content.strip_prefix('-')?.split_once(':')?.0;
    (key.starts_with(|c: char| c.is_alphanumeric()) && is_key(key)).then_some(line.len() - content.len())
}

/// `-id: a` above a line that is indented as if there were a space.
pub(super) fn unspaced_item(line: u32, lines: &Lines<'_>) -> Option<Diagnostic> {
    let (item, text) = above(line, lines).next()?;
    let dash = unspaced_dash(text)?;
    let key = text[dash + 1..].split_once(':')?.0;
    let place = lines.at(item, dash as u32);
    let span = Span::new(place, lines.at(item, (dash + 1) as u32));
    let message = "an item begins with `-` and a space";
    let hint = format!("put a space after the `-`: `- {key}: ...`");
    Some(Diagnostic::error(YAML_SYNTAX, span, message).hint(hint))
}
