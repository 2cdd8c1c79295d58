//! Messages for names that do not exist: what there is instead, and what may be meant.

use crate::Value;
use crate::error::Fault;
use crate::scope::Scopes;
use crate::suggest;
use crate::text;
use crate::tree::{Binary, Expr, Kind};
use crate::values::{self, kind_name};

/// Names that a hint lists.
const LISTED: usize = 8;

pub(crate) fn variable(name: &str, scopes: &Scopes<'_>) -> Fault {
    let fault = unable(name);
    let names = scopes.names();
    if let Some(nearest) = suggest::nearest(name, names.iter().map(String::as_str)) {
        return fault.with_hint(format!("did you mean `{nearest}`?"));
    }
    if scopes.in_macro() {
        return fault.with_hint("a macro sees nothing but its arguments: hand the value over as one");
    }
    match name {
        "True" | "False" | "None" => fault.with_hint(format!("write `{}`", name.to_lowercase())),
        _ => fault,
    }
}

fn unable(what: &str) -> Fault {
    Fault::new(format!("unable to find {}", text::quote(what)))
}

pub(crate) fn attribute(whole: &str, of: &Value, of_text: &str, name: &str) -> Fault {
    if values::is_map(of) {
        return unknown_key(whole, of, of_text, name);
    }
    let fault = unable(whole);
    if values::is_null(of) {
        return fault.with_hint(format!("`{of_text}` is null"));
    }
    let kind = kind_name(of);
    match crate::filters::method(name) {
        Ok(filter) => {
            let filter = filter.signature.name;
            fault.with_hint(format!(
                "`{of_text}` is {kind}, which has no attributes: write `{of_text} | {filter}`"
            ))
        }
        Err(_) if values::is_list(of) => {
            fault.with_hint(format!("`{of_text}` is a list: take an element first, as `{of_text}[0].{name}`"))
        }
        Err(_) => fault.with_hint(format!("`{of_text}` is {kind}, which has no attributes")),
    }
}

pub(crate) fn index(whole: &str, of: &Value, of_text: &str, key: &Value) -> Fault {
    if values::is_map(of) {
        return unknown_key(whole, of, of_text, &text::scalar(key).unwrap_or_default());
    }
    let fault = unable(whole);
    if values::is_null(of) {
        return fault.with_hint(format!("`{of_text}` is null"));
    }
    if values::is_list(of) {
        let length = values::length(of);
        return fault.with_hint(match length {
            0 => format!("`{of_text}` is an empty list"),
            _ => format!("`{of_text}` has {length} elements, from `[0]` to `[{}]`", length - 1),
        });
    }
    fault.with_hint(format!("`{of_text}` is {}, which has no elements", kind_name(of)))
}

fn unknown_key(whole: &str, map: &Value, map_text: &str, name: &str) -> Fault {
    let fault = unable(whole);
    let keys: Vec<String> =
        values::pairs(map).take(1000).filter_map(|(key, _)| Some(text::scalar(&key)?.into_owned())).collect();
    if let Some(nearest) = suggest::nearest(name, keys.iter().map(String::as_str)) {
        return fault.with_hint(format!("did you mean `{nearest}`?"));
    }
    if keys.is_empty() {
        return fault.with_hint(format!("`{map_text}` is empty"));
    }
    let mut listed = keys.iter().take(LISTED).map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    if keys.len() > LISTED {
        listed.push_str(", ...");
    }
    fault.with_hint(format!("`{map_text}` has {listed}"))
}

/// What to write instead of `outputs.my-task`, which subtracts: two paths with a dash and no blanks between them.
pub(crate) fn dash_hint(operator: Binary, left: &Expr, right: &Expr, source: &str) -> Option<String> {
    if operator != Binary::Subtract
        || source.get(left.span.range().end..right.span.range().start) != Some("-")
    {
        return None;
    }
    let mut root = right;
    while let Kind::Attribute(of, _) | Kind::Index(of, _) = &root.kind {
        root = of;
    }
    let Kind::Variable(name) = &root.kind else { return None };
    let (parent, last) = match left.span.of(source).rsplit_once('.') {
        Some((parent, last)) => (parent, last),
        // A name of the context itself.
        None => ("_context", left.span.of(source)),
    };
    let plain = |text: &str| text.chars().all(|c| c == '_' || c == '-' || c.is_alphanumeric());
    let is_path =
        matches!(left.kind, Kind::Attribute(..) | Kind::Variable(_) | Kind::Binary(Binary::Subtract, ..));
    (is_path && plain(last))
        .then(|| format!("`-` subtracts; a name with a dash is written `{parent}['{last}-{name}']`"))
}
