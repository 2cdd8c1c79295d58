//! `test`, `match`, `capture`, `sub` and their kin: jaq's own regular expressions know letters of ASCII only.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use jaq_core::native::{Fun, v};
use jaq_core::{Cv, Error, Exn, Native, ValXs};
use jaq_json::Val;
use jaq_std::ValT as _;
use regex::{Match, Regex, RegexBuilder};

use super::json::{Json, JsonR};
use super::steps::Kind;

/// Steps that compiling a regular expression costs.
const STEPS: usize = 200;
/// Bytes of the largest compiled regular expression.
const MOST_BYTES: usize = 1 << 20;
/// Compiled regular expressions that are kept.
const KEPT: usize = 64;

thread_local! {
    /// Compiled regular expressions of the program, by their source and flags. A clone would lose what it has cached.
    static COMPILED: RefCell<HashMap<(String, String), Rc<Regex>>> = RefCell::default();
}

/// The builtins that jaq's definitions of the others use.
pub(super) fn natives() -> impl Iterator<Item = Fun<Kind>> {
    [
        ("matches", v(2), Native::<Kind>::new(|cv| parts(cv, false, true))),
        ("split_matches", v(2), Native::<Kind>::new(|cv| parts(cv, true, true))),
        ("split_", v(2), Native::<Kind>::new(|cv| parts(cv, true, false))),
    ]
    .into_iter()
}

/// Yields a list of what is between the matches, of the matches, or of both in turn.
fn parts(mut cv: Cv<'_, Kind>, between: bool, matches: bool) -> ValXs<'_, Json> {
    let (flags, regex) = (cv.0.pop_var(), cv.0.pop_var());
    let steps = cv.0.data().steps;
    let list = || {
        let flags = if matches!(flags.0, Val::Null) { String::new() } else { text(&flags)? };
        let key = (text(&regex)?, flags);
        let known = COMPILED.with_borrow(|compiled| compiled.get(&key).cloned());
        let regex = match known {
            Some(regex) => regex,
            None if !steps.take(STEPS) => return Err(Exn::halt(1)),
            None => {
                let regex = Rc::new(compile(&key.0, &key.1)?);
                COMPILED.with_borrow_mut(|compiled| {
                    if compiled.len() >= KEPT {
                        compiled.clear();
                    }
                    compiled.insert(key.clone(), Rc::clone(&regex));
                });
                regex
            }
        };
        let subject = text(&cv.1)?;
        Ok(found(&subject, &regex, &key.1, between, matches)?)
    };
    jaq_core::box_iter::box_once(list())
}

fn text(value: &Json) -> Result<String, Error<Json>> {
    let bytes = value.as_bytes().ok_or_else(|| Error::typ(value.clone(), "text"))?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn compile(source: &str, flags: &str) -> Result<Regex, Error<Json>> {
    let mut builder = RegexBuilder::new(source);
    builder.size_limit(MOST_BYTES);
    for flag in flags.chars() {
        match flag {
            'i' => builder.case_insensitive(true),
            'x' => builder.ignore_whitespace(true),
            'p' => builder.dot_matches_new_line(true),
            // What they ask for is done while searching, is how it is anyway, or cannot be seen in a result.
            'g' | 'n' | 's' | 'l' => &mut builder,
            flag => {
                return Err(Error::str(format_args!(
                    "{flag} is not a valid modifier of a regular expression"
                )));
            }
        };
    }
    builder.build().map_err(|error| Error::str(format_args!("{source} is not a regular expression: {error}")))
}

fn found(subject: &str, regex: &Regex, flags: &str, between: bool, matches: bool) -> JsonR {
    let mut list = Vec::new();
    let mut end = 0;
    let mut characters = Characters { of: subject, bytes: 0, count: 0 };
    for captures in regex.captures_iter(subject) {
        let groups: Vec<_> = captures.iter().collect();
        let Some(Some(whole)) = groups.first().copied() else { continue };
        if flags.contains('n') && whole.is_empty() {
            continue;
        }
        if between {
            list.push(Json::from(subject[end..whole.start()].to_string()));
            end = whole.end();
        }
        if matches {
            let before = characters.before(whole.start());
            let groups =
                groups.iter().zip(regex.capture_names()).enumerate().map(|(index, (group, name))| {
                    let name = (index > 0).then_some(name);
                    described(subject, *group, name, whole.start(), before)
                });
            list.push(groups.collect::<Result<_, _>>()?);
        }
        if !flags.contains('g') {
            break;
        }
    }
    if between {
        list.push(Json::from(subject[end..].to_string()));
    }
    Ok(list.into_iter().collect())
}

/// A group of a match as jq describes it; the whole match has no name. The group's offset is counted from a place whose
/// offset is known.
fn described(
    subject: &str,
    group: Option<Match<'_>>,
    name: Option<Option<&str>>,
    from: usize,
    before: usize,
) -> JsonR {
    let (offset, length, string) = match group {
        Some(group) => {
            let offset = before + subject[from..group.start()].chars().count();
            (Json::from(offset), group.as_str().chars().count(), Json::from(group.as_str().to_string()))
        }
        None => (Json::from(-1_isize), 0, Json(Val::Null)),
    };
    let name = name.map(|name| name.map_or(Json(Val::Null), |name| Json::from(name.to_string())));
    let entries = [
        ("offset", Some(offset)),
        ("length", Some(Json::from(length))),
        ("string", Some(string)),
        ("name", name),
    ];
    let entries = entries.into_iter().filter_map(|(key, value)| Some((Json::from(key.to_string()), value?)));
    jaq_core::ValT::from_map(entries)
}

/// Counts characters from left to right.
struct Characters<'a> {
    of: &'a str,
    bytes: usize,
    count: usize,
}

impl Characters<'_> {
    fn before(&mut self, bytes: usize) -> usize {
        self.count += self.of[self.bytes..bytes].chars().count();
        self.bytes = bytes;
        self.count
    }
}
