//! Filters on texts. Positions and lengths count characters.

use super::Filter;
use crate::Value;
use crate::arguments::Args;
use crate::engine::{Engine, wrong_input};
use crate::error::Fault;
use crate::values::{self, Entries};

pub(super) const FILTERS: &[Filter] = &[
    Filter::new("abbreviate", &["length"], 1, abbreviate),
    Filter::new("capitalize", &[], 0, capitalize),
    Filter::new("condenseString", &[], 0, |input, _, engine| {
        engine.text(engine.printed(input)?.replace('\n', ""))
    }),
    Filter::new("endsWith", &["value"], 1, |input, args, engine| {
        Ok(Value::from(engine.printed(input)?.ends_with(&*args.text(0)?)))
    }),
    Filter::new("escapeChar", &["type"], 1, escape_char),
    Filter::new("indent", &["amount", "prefix"], 1, indent),
    Filter::new("lower", &[], 0, |input, _, engine| engine.text(engine.printed(input)?.to_lowercase())),
    Filter::new("nindent", &["amount", "prefix"], 1, nindent),
    Filter::new("sh", &[], 0, |input, _, engine| engine.text(engine.printed(input)?.replace('\'', "'\\''"))),
    Filter::new("slugify", &[], 0, |input, _, engine| engine.text(slug(&engine.printed(input)?))),
    Filter::new("startsWith", &["value"], 1, |input, args, engine| {
        Ok(Value::from(engine.printed(input)?.starts_with(&*args.text(0)?)))
    }),
    Filter::new("substringAfter", &["separator"], 1, |input, args, engine| {
        part(input, args, engine, |text, separator| text.split_once(separator).map_or("", |(_, after)| after))
    }),
    Filter::new("substringAfterLast", &["separator"], 1, |input, args, engine| {
        part(input, args, engine, |text, separator| match separator {
            "" => "",
            _ => text.rsplit_once(separator).map_or("", |(_, after)| after),
        })
    }),
    Filter::new("substringBefore", &["separator"], 1, |input, args, engine| {
        part(input, args, engine, |text, separator| {
            text.split_once(separator).map_or(text, |(before, _)| before)
        })
    }),
    Filter::new("substringBeforeLast", &["separator"], 1, |input, args, engine| {
        part(input, args, engine, |text, separator| {
            text.rsplit_once(separator).map_or(text, |(before, _)| before)
        })
    }),
    Filter::new("title", &[], 0, title),
    Filter::new("trim", &[], 0, |input, _, engine| engine.text(engine.printed(input)?.trim())),
    Filter::new("upper", &[], 0, |input, _, engine| engine.text(engine.printed(input)?.to_uppercase())),
];

fn abbreviate(input: &Value, args: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    let text = engine.printed(input)?;
    let width = usize::try_from(args.integer(0)?)
        .map_err(|_| Fault::new("`abbreviate` needs a length of 0 or more"))?;
    let length = text.chars().count();
    if length < width || length <= 3 {
        return engine.text(text);
    }
    let (kept, ellipsis) = if width <= 3 { (width, "") } else { (width - 3, "...") };
    engine.text(text.chars().take(kept).collect::<String>() + ellipsis)
}

/// The first character that is no blank in upper case, the rest as it is.
fn capitalize(input: &Value, _: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    let text = engine.printed(input)?;
    let blanks = text.len() - text.trim_start().len();
    let mut chars = text[blanks..].chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    engine.text(format!("{}{first}{}", &text[..blanks], chars.as_str()))
}

fn title(input: &Value, _: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    let text = engine.printed(input)?;
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    for c in text.chars() {
        if begins && !c.is_whitespace() {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        begins = c.is_whitespace();
    }
    engine.text(out)
}

fn part(
    input: &Value,
    args: &Args<'_>,
    engine: &Engine<'_>,
    cut: for<'t> fn(&'t str, &str) -> &'t str,
) -> Result<Value, Fault> {
    let text = engine.printed(input)?;
    engine.text(cut(&text, &args.text(0)?))
}

/// Whether a text is a list's or a map's element too: `escapeChar` and `replace` go down to every text.
pub(super) fn each_text(
    input: &Value,
    engine: &Engine<'_>,
    change: &dyn Fn(&str) -> Result<Value, Fault>,
) -> Result<Value, Fault> {
    engine.enter()?;
    let result = (|| {
        if values::is_list(input) {
            let items: Result<_, _> =
                engine.items(input)?.iter().map(|item| each_text(item, engine, change)).collect();
            return engine.list(items?);
        }
        if values::is_map(input) {
            let entries: Result<Entries, _> = engine
                .entries(input)?
                .into_iter()
                .map(|(key, value)| Ok((key, each_text(&value, engine, change)?)))
                .collect();
            return engine.map(entries?);
        }
        if values::is_null(input) {
            return Ok(values::null());
        }
        change(&engine.printed(input)?)
    })();
    engine.leave();
    result
}

fn escape_char(input: &Value, args: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    let (original, replacement) = match args.text(0)?.to_lowercase().as_str() {
        "single" => ("'", "\\'"),
        "double" => ("\"", "\\\""),
        "shell" => ("'", "'\\''"),
        other => {
            return Err(Fault::new(format!("`escapeChar` knows no type `{other}`"))
                .with_hint("the types are `single`, `double` and `shell`"));
        }
    };
    each_text(input, engine, &|text| engine.text(text.replace(original, replacement)))
}

/// What ends the lines of a text: the first of these that it has.
fn line_end(text: &str) -> &'static str {
    ["\r\n", "\n\r", "\n", "\r"].into_iter().find(|end| text.contains(end)).unwrap_or("\n")
}

/// Indents every line but the first.
fn indent(input: &Value, args: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    indented(engine.printed(input)?, args, engine)
}

/// Puts a line end before the text, and indents every line of it.
fn nindent(input: &Value, args: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    let text = engine.printed(input)?;
    if text.is_empty() {
        return engine.text(text);
    }
    indented(format!("{}{text}", line_end(&text)), args, engine)
}

fn indented(text: String, args: &Args<'_>, engine: &Engine<'_>) -> Result<Value, Fault> {
    let amount = args.integer(0)?;
    let amount = usize::try_from(amount).map_err(|_| {
        Fault::new(format!("`{}` needs an amount of 0 or more, not {amount}", args.signature.name))
    })?;
    let prefix = args.opt_text(1)?.unwrap_or(" ".into());
    let end = line_end(&text);
    let lines = text.matches(end).count();
    let added = lines.saturating_mul(amount).saturating_mul(prefix.len());
    engine
        .check_length(text.len().saturating_add(added).saturating_add(amount.saturating_mul(prefix.len())))?;
    engine.text(text.replace(end, &format!("{end}{}", prefix.repeat(amount))))
}

/// Letters with marks in Latin scripts, which Kestra's normal form D takes apart; others lose the whole letter.
const MARKED: [(char, &str); 22] = [
    ('a', "àáâãäåāăąǎ"),
    ('c', "çćĉċč"),
    ('d', "ď"),
    ('e', "èéêëēĕėęě"),
    ('g', "ĝğġģǧ"),
    ('h', "ĥ"),
    ('i', "ìíîïĩīĭįǐ"),
    ('j', "ĵ"),
    ('k', "ķǩ"),
    ('l', "ĺļľ"),
    ('n', "ñńņňǹ"),
    ('o', "òóôõöōŏőǒơ"),
    ('r', "ŕŗř"),
    ('s', "śŝşšș"),
    ('t', "ţťț"),
    ('u', "ùúûüũūŭůűųǔư"),
    ('w', "ŵẁẃẅ"),
    ('y', "ýÿŷỳ"),
    ('z', "źżž"),
    ('b', "ḃḅḇ"),
    ('f', "ḟ"),
    ('m', "ḿṁṃ"),
];

/// A text as part of a path: lower-case ASCII letters and digits, single dashes between words.
fn slug(text: &str) -> String {
    let mut slug = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        let c = match c {
            '_' | '-' => '-',
            c if c.is_whitespace() => '-',
            c if c.is_ascii() => c,
            c => match MARKED.iter().find(|(_, marked)| marked.contains(c)) {
                Some((plain, _)) => *plain,
                None => continue,
            },
        };
        if c.is_ascii_alphanumeric() || (c == '-' && !slug.is_empty() && !slug.ends_with('-')) {
            slug.push(c);
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

/// The text of an input that has to be one.
pub(super) fn text_input<'v>(filter: &str, input: &'v Value) -> Result<&'v str, Fault> {
    input.as_str().ok_or_else(|| wrong_input(filter, "a text", input))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_ascii_words_joined_by_dashes() {
        for (text, expected) in [
            ("My Test_Flow", "my-test-flow"),
            ("  été -- Noël! ", "ete-noel"),
            ("a/b.c", "abc"),
            ("Łódź", "odz"),
            ("", ""),
        ] {
            assert_eq!(slug(text), expected, "{text}");
        }
    }
}
