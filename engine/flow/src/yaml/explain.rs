//! What a YAML parser means, in words that say what to change.

use saphyr_parser::ScanError;

use crate::Diagnostic;
use crate::Span;
use crate::codes::{UNQUOTED_EXPRESSION, YAML_ALIAS, YAML_LIMIT, YAML_SYNTAX, YAML_TAB};
use crate::span::Lines;

use super::layout;

const INDENTATION: &str = "the indentation of this line fits nothing above it";
const ALIGN: &str = "give it the same indentation as the keys or items that it belongs to";

const LOST_COLON: &str = "illegal placement of ':' indicator";

/// The scanner's words for the start of a message, ours, and what to do.
const KNOWN: &[(&str, &str, &str)] = &[
    (
        "while scanning a quoted scalar, found unexpected end of stream",
        "this quoted text has no closing quote",
        "close the quote, or use `|` for a text of several lines",
    ),
    (
        "invalid indentation in quoted scalar",
        "this quoted text has no closing quote, or its later lines are not indented",
        "close the quote, or use `|` for a text of several lines",
    ),
    (
        "while scanning a quoted scalar, found unexpected document indicator",
        "this quoted text has no closing quote before the `---`",
        "close the quote",
    ),
    ("while parsing a block mapping, did not find expected key", INDENTATION, ALIGN),
    ("while parsing a block collection, did not find expected '-' indicator", INDENTATION, ALIGN),
    ("did not find expected <document start>", INDENTATION, ALIGN),
    ("invalid indentation", INDENTATION, ALIGN),
    (
        "wrongly indented line in block scalar",
        "this line is indented less than the first line of the text",
        "indent all lines of the text at least as much as the first",
    ),
    (
        "block sequence entries are not allowed in this context",
        "a list cannot begin here",
        "begin the list on a line of its own",
    ),
    (
        "while parsing a flow mapping, did not find expected ',' or '}'",
        "expected `,` or `}` here",
        "quote a text that has `{`, `}`, `,` or `: ` in it",
    ),
    (
        "while parsing a flow sequence, expected ',' or ']'",
        "expected `,` or `]` here",
        "quote a text that has `[`, `]`, `,` or `: ` in it",
    ),
    (
        "while scanning a block scalar, did not find expected comment or line break",
        "a text cannot stand behind its `|` or `>`",
        "begin the text on the next line, indented more than its key",
    ),
    (LOST_COLON, "a `:` cannot stand here", "quote the text if the colon belongs to it"),
    ("misplaced bracket", "this bracket closes nothing", "quote the text if the bracket belongs to it"),
    (
        "while scanning an anchor or alias",
        "a `*` or `&` at the start of a value begins an alias or an anchor, and a name must follow",
        "quote the text, as in `\"* * * * *\"`",
    ),
    (
        "comment intercepting the multiline text",
        "a comment cannot stand between the lines of a text",
        "move the comment, or quote the text if the `#` belongs to it",
    ),
    (
        "a byte order mark must not appear inside a document",
        "there is a byte order mark (U+FEFF) in the text",
        "remove the invisible character",
    ),
    ("found unprintable character", "there is a NUL character in the text", "remove the character"),
];

/// Lines above a mistake that are searched for the bracket that began it.
const BRACKET_LINES: usize = 30;

/// The diagnostic for an error of the scanner.
pub(super) fn explain(error: &ScanError, lines: &Lines<'_>) -> Diagnostic {
    let line = error.marker().line() as u32;
    let info = error.info();
    if let Some(diagnostic) = tab_near(info, line, lines)
        .or_else(|| layout::unindented_text(line, lines))
        .or_else(|| unquoted_expression(line, lines))
    {
        return diagnostic;
    }
    let place = lines.at(line, error.marker().col() as u32);
    let span = Span::at(place);
    if info.starts_with("recursion limit") {
        return Diagnostic::error(YAML_LIMIT, span, "brackets are nested too deep");
    }
    if info.ends_with("must be followed by a valid YAML whitespace") {
        return tab_between(span, lines);
    }
    if info.starts_with("mapping values are not allowed") {
        return layout::unspaced_item(line, lines)
            .or_else(|| layout::text_without_bar(line, lines))
            .unwrap_or_else(|| colon(span, lines));
    }
    if info.starts_with("invalid trailing content") {
        return after_quote(span, lines);
    }
    if info.starts_with("simple key expect") || info.starts_with("unexpected eof") {
        return lonely_key(span, lines);
    }
    if info.contains("found unknown anchor") {
        return unknown_anchor(span, lines);
    }
    if info.contains("found unknown escape character") || info.contains("hexadecimal number") {
        return escape(span, lines);
    }
    if let Some(c) = info.strip_prefix("unexpected character: `").and_then(|rest| rest.chars().next()) {
        return Diagnostic::error(YAML_SYNTAX, span, format!("a value cannot begin with `{c}`"))
            .hint("quote the text");
    }
    let in_brackets = info.starts_with("while parsing a flow") || info.starts_with(LOST_COLON);
    if let Some(diagnostic) = in_brackets.then(|| never_closed(line, lines)).flatten() {
        return diagnostic;
    }
    match KNOWN.iter().find(|(start, ..)| info.starts_with(start)) {
        Some((_, message, hint)) => Diagnostic::error(YAML_SYNTAX, span, *message).hint(*hint),
        None => Diagnostic::error(YAML_SYNTAX, span, format!("this is not YAML: {info}")),
    }
}

/// The diagnostic for the first TAB in the indentation of a line.
pub(super) fn tab(line: u32, lines: &Lines<'_>) -> Option<Diagnostic> {
    let text = lines.text(line);
    let indentation = &text[..text.len() - text.trim_start_matches([' ', '\t']).len()];
    let first = indentation.find('\t')?;
    let run = indentation[first..].bytes().take_while(|&byte| byte == b'\t').count();
    let span = Span::new(lines.at(line, first as u32), lines.at(line, (first + run) as u32));
    Some(
        Diagnostic::error(YAML_TAB, span, "YAML does not allow TAB for indentation; replace it with spaces")
            .hint("most editors have a command for it: \"convert indentation to spaces\""),
    )
}

/// A TAB that the scanner complains of may stand some lines below the start of what it was reading.
fn tab_near(info: &str, line: u32, lines: &Lines<'_>) -> Option<Diagnostic> {
    if info.contains("tab") {
        return (line..=lines.count()).find_map(|line| tab(line, lines));
    }
    tab(line, lines)
}

/// `key:\tvalue`.
fn tab_between(span: Span, lines: &Lines<'_>) -> Diagnostic {
    let before: Vec<char> =
        lines.text(span.start.line).chars().take(span.start.column as usize - 1).collect();
    let blanks = before.iter().rev().take_while(|c| matches!(c, ' ' | '\t')).count();
    let start = lines.at(span.start.line, (before.len() - blanks) as u32);
    Diagnostic::error(
        YAML_TAB,
        Span::new(start, span.start),
        "YAML does not allow a TAB here; replace it with a space",
    )
}

/// `key: {{ x }} y`: YAML takes the brace for the start of a map.
fn unquoted_expression(line: u32, lines: &Lines<'_>) -> Option<Diagnostic> {
    [line, line.saturating_sub(1)].into_iter().find_map(|line| {
        let text = lines.text(line);
        let column = text.find("{{")?;
        let before = text[..column].trim_end();
        let opens_value = before.len() < column && before.ends_with([':', '-']);
        // `print("a: {{ x }}")` and `message: Total: {{ x }}` have a colon too many, not an expression.
        let key = before.trim_start_matches([' ', '-']).trim_end_matches(':');
        (opens_value && layout::is_key(key)).then(|| {
            let characters = text[..column].chars().count() as u32;
            expression_needs_quotes(Span::new(lines.at(line, characters), lines.at(line, characters + 2)))
        })
    })
}

/// The diagnostic for an expression without quotes.
pub(super) fn expression_needs_quotes(span: Span) -> Diagnostic {
    Diagnostic::error(UNQUOTED_EXPRESSION, span, "a value that begins with `{{` must be quoted")
        .hint("write `\"{{ ... }}\"`; without quotes YAML takes the brace for the start of a map")
}

/// A second `: ` in a line, or a line that is indented too far.
fn colon(span: Span, lines: &Lines<'_>) -> Diagnostic {
    let before: String = lines.text(span.start.line).chars().take(span.start.column as usize - 1).collect();
    if before.contains(": ") {
        Diagnostic::error(YAML_SYNTAX, span, "there is a second `: ` in this value")
            .hint("quote the whole value if the colon belongs to it")
    } else {
        let indentation = before.chars().take_while(|c| *c == ' ').count() as u32;
        let span = Span::new(lines.at(span.start.line, indentation), span.start);
        Diagnostic::error(YAML_SYNTAX, span, "a key cannot begin here: the line above has a value already")
            .hint("check the indentation: give the line that of the key above")
    }
}

/// A key without `:`. The scanner notices it at the next line.
fn lonely_key(span: Span, lines: &Lines<'_>) -> Diagnostic {
    let here = lines.text(span.start.line);
    let begins_line = here.chars().take(span.start.column as usize - 1).all(|c| c == ' ');
    let last = if begins_line { span.start.line.saturating_sub(1) } else { span.start.line };
    let line = (1..=last).rev().find(|&line| !lines.text(line).trim().is_empty()).unwrap_or(span.start.line);
    // What is indented below a key that lost its `:` belongs to it.
    let line = layout::owner(line, lines).filter(|&line| !lines.text(line).contains(':')).unwrap_or(line);
    let text = lines.text(line);
    let start = text.len() - text.trim_start_matches(' ').len();
    let end = text.trim_end().chars().count() as u32;
    let span = Span::new(lines.at(line, start as u32), lines.at(line, end.max(start as u32)));
    let hint = match text.trim().split_once(':') {
        Some((key, value)) if !key.contains(' ') && !value.is_empty() => {
            format!("put a space after the colon: `{key}: ...`")
        }
        _ => "is there a `:` missing?".to_owned(),
    };
    Diagnostic::error(YAML_SYNTAX, span, "expected `key: value` here").hint(hint)
}

/// Text behind the closing quote, most often because the quote was meant to be part of the text.
fn after_quote(span: Span, lines: &Lines<'_>) -> Diagnostic {
    let before: String = lines.text(span.start.line).chars().take(span.start.column as usize - 1).collect();
    let after: String = lines.text(span.start.line).chars().skip(span.start.column as usize - 1).collect();
    let value = before.rsplit_once(": ").map_or(before.as_str(), |(_, value)| value);
    let value = value.trim_start_matches([' ', '-']);
    let hint = if value.starts_with('\'') {
        "write `''` for a single quote in single quotes, or put double quotes around the whole value"
    } else if value.contains('\'') || after.contains('\'') {
        "write `\\\"` for a double quote in double quotes, and in expressions use single quotes"
    } else {
        "quote the whole value, for example with single quotes around it"
    };
    Diagnostic::error(YAML_SYNTAX, span, "there is more text after the closing quote").hint(hint)
}

/// A bracket in a line above that nothing closes: the scanner complains of the first thing that cannot be in a list.
fn never_closed(line: u32, lines: &Lines<'_>) -> Option<Diagnostic> {
    let indentation = |text: &str| text.len() - text.trim_start().len();
    let here = lines.text(line);
    (1..line).rev().take(BRACKET_LINES).find_map(|line| {
        let text = lines.text(line);
        // What is indented more may be in the list, and be the mistake itself.
        if !here.trim().is_empty() && indentation(here) > indentation(text) {
            return None;
        }
        let (mut open, mut quote) = (Vec::new(), None);
        for (column, c) in text.chars().enumerate() {
            match (quote, c) {
                (Some(other), c) if c == other => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') => quote = Some(c),
                (None, '#') => break,
                (None, '[' | '{') => open.push((column as u32, c)),
                (None, ']' | '}') => drop(open.pop()),
                (None, _) => {}
            }
        }
        let (column, bracket) = open.into_iter().next()?;
        let closing = if bracket == '[' { ']' } else { '}' };
        let span = Span::new(lines.at(line, column), lines.at(line, column + 1));
        Some(
            Diagnostic::error(YAML_SYNTAX, span, format!("this `{bracket}` is never closed"))
                .hint(format!("add the `{closing}`, or quote the text if the bracket belongs to it")),
        )
    })
}

/// `*.csv` and the like.
fn unknown_anchor(span: Span, lines: &Lines<'_>) -> Diagnostic {
    let rest = &lines.source()[span.start.offset as usize..];
    let name: String = rest.chars().skip(1).take_while(|c| !c.is_whitespace()).take(40).collect();
    let end = lines.at(span.start.line, span.start.column + name.chars().count() as u32);
    Diagnostic::error(YAML_ALIAS, Span::new(span.start, end), format!("there is no anchor `&{name}` above"))
        .hint(format!("quote a text that begins with `*`: `\"*{name}\"`"))
}

/// A backslash in double quotes with nothing that YAML knows after it.
fn escape(span: Span, lines: &Lines<'_>) -> Diagnostic {
    let start = span.start.offset as usize;
    let mut characters = lines.source()[start..].char_indices().skip(1);
    let mut found = span;
    while let Some((at, c)) = characters.next() {
        if c != '\\' {
            continue;
        }
        let Some((after, next)) = characters.next() else { break };
        let digits = match next {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let rest = lines.source()[start + after..].chars().skip(1).take(digits);
        let well_formed = rest.filter(char::is_ascii_hexdigit).count() == digits;
        if !well_formed || !"0abt\tnvfre \"/\\N_LPxuU\n\r".contains(next) {
            found = Span::new(lines.at_byte(start + at), lines.at_byte(start + after + next.len_utf8()));
            break;
        }
    }
    Diagnostic::error(YAML_SYNTAX, found, "this escape does not exist in double quotes")
        .hint("write `\\\\` for a backslash, or use single quotes, which know no escapes")
}
