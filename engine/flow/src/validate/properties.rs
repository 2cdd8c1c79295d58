//! A plugin's properties against its JSON Schema, in words that say what to change.
//!
//! As Kestra does, a number or boolean is taken where a string is wanted, as it is written, and a string where a number
//! or boolean is wanted. A string with an expression is taken for anything: it is checked again when it is rendered.

use std::cell::RefCell;
use std::collections::HashMap;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{JsonType, ValidationError, Validator};
use serde_json::Value;
use weft_model::Map as JsonMap;

use super::schema::Compiled;
use super::{shapes, words};
use crate::codes::{
    INVALID_DURATION, INVALID_VALUE, MISSING_PROPERTY, PLUGIN_SCHEMA, UNKNOWN_PROPERTY, WRONG_TYPE,
};
use crate::parse::{Path, Reader, has_expression, is_dynamic, shown_key};
use crate::yaml::{Entry, Kind, Map, Node};
use crate::{Diagnostic, Span, duration, suggest};

/// What comes of an error of the schema: values to put in place, or diagnostics.
#[derive(Default)]
struct Judgement {
    repairs: Vec<(String, Value)>,
    findings: Vec<Diagnostic>,
}

impl Judgement {
    fn add(&mut self, other: Judgement) {
        self.repairs.extend(other.repairs);
        self.findings.extend(other.findings);
    }
}

impl Reader<'_> {
    /// Checks a plugin's properties; the result is what the plugin is given, not rendered. `common` are properties
    /// that every task has, for suggestions; `head` is where to point for something missing.
    pub(crate) fn check_properties(
        &mut self,
        schema: &Compiled,
        own: &[&Entry],
        common: &[&'static str],
        (path, what): (&Path<'_>, &str),
        head: Span,
    ) -> JsonMap {
        let mut properties = JsonMap::new();
        for entry in own.iter().filter(|entry| !entry.value.is_null()) {
            if schema.open || schema.names.contains(&entry.key) {
                properties.insert(entry.key.clone(), entry.value.to_json());
            } else {
                let hint = self.plugin_property_hint(&entry.key, schema, common);
                self.push_unknown_property(entry, (path, what), Some(hint));
            }
        }
        if let Some(fault) = &schema.fault {
            let message = format!("the plugin's description of {what} cannot be used: {fault}");
            self.push(Diagnostic::warning(PLUGIN_SCHEMA, head, message).at(path));
        }
        let Some(validator) = &schema.validator else { return properties };
        let judge = Judge {
            reader: self,
            schema,
            own: Keys::of(own),
            what,
            head,
            base: path,
            maps: RefCell::default(),
        };
        let mut value = Value::Object(properties);
        let mut verdict = judge.all(validator, &value);
        // What was put in place is checked too, once.
        if !verdict.repairs.is_empty() {
            for (pointer, repaired) in verdict.repairs {
                if let Some(target) = value.pointer_mut(&pointer) {
                    *target = repaired;
                }
            }
            verdict = judge.all(validator, &value);
        }
        self.diagnostics.extend(verdict.findings);
        match value {
            Value::Object(properties) => properties,
            _ => JsonMap::new(),
        }
    }
}

impl Reader<'_> {
    /// What to write in place of a property that a plugin's type does not have: one with a similar name, or another
    /// type of the package that has it.
    fn plugin_property_hint(&self, key: &str, schema: &Compiled, common: &[&str]) -> String {
        let names: Vec<&str> = schema.names.iter().map(String::as_str).collect();
        let package = schema.type_name.rsplit_once('.').map_or("", |(package, _)| package);
        let has_it = |name: &&str| {
            let info = self.catalogue.task(name);
            let properties = info.and_then(|info| info.properties.get("properties")?.as_object());
            properties.is_some_and(|properties| properties.contains_key(key))
        };
        let in_package = |name: &&str| {
            name.rsplit_once('.').is_some_and(|(other, _)| !package.is_empty() && other == package)
        };
        if let Some(other) = self.catalogue.type_names().into_iter().filter(in_package).find(has_it) {
            return format!("`{other}` has it, this type does not");
        }
        if let Some(nearest) = self.did_you_mean(key, names.iter().chain(common).copied()) {
            return nearest;
        }
        let lower = key.to_lowercase();
        if lower.len() >= suggest::SHORTEST_PART
            && let Some(longer) = names.iter().find(|name| name.to_lowercase().ends_with(&lower))
        {
            return format!("did you mean `{longer}`?");
        }
        if let Some(related) = suggest::related(key, names.iter().copied()) {
            return format!("did you mean `{related}`?");
        }
        let type_name = &schema.type_name;
        self.unknown_property_hint(key, &names, common)
            .unwrap_or_else(|| format!("`weft plugins show {type_name}` lists what it can have"))
    }
}

/// The words of a JSON pointer.
fn segments(pointer: &str) -> impl Iterator<Item = String> + '_ {
    pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~"))
}

/// Keys of a map up to which it is searched; of larger ones a table is made, since each mistake looks one of them up.
const FEW_KEYS: usize = 16;

/// The entries of a map by key.
enum Keys<'j> {
    Few(Vec<&'j Entry>),
    Many(HashMap<&'j str, &'j Entry>),
}

impl<'j> Keys<'j> {
    fn of(entries: &[&'j Entry]) -> Self {
        match entries.len() <= FEW_KEYS {
            true => Keys::Few(entries.to_vec()),
            false => Keys::Many(entries.iter().map(|entry| (entry.key.as_str(), *entry)).collect()),
        }
    }

    fn get(&self, key: &str) -> Option<&'j Entry> {
        match self {
            Keys::Few(entries) => entries.iter().find(|entry| entry.key == key).copied(),
            Keys::Many(entries) => entries.get(key).copied(),
        }
    }

    fn names(&self) -> Box<dyn Iterator<Item = &'j str> + '_> {
        match self {
            Keys::Few(entries) => Box::new(entries.iter().map(|entry| entry.key.as_str())),
            Keys::Many(entries) => Box::new(entries.keys().copied()),
        }
    }
}

struct Judge<'j, 'a> {
    reader: &'j Reader<'a>,
    schema: &'j Compiled,
    own: Keys<'j>,
    what: &'j str,
    head: Span,
    base: &'j Path<'j>,
    /// Tables of the large maps in which something was looked up, by address.
    maps: RefCell<HashMap<*const Map, Keys<'j>>>,
}

impl<'j> Judge<'j, '_> {
    /// The entry of a map with a key.
    fn entry(&self, map: &'j Map, key: &str) -> Option<&'j Entry> {
        if map.entries.len() <= FEW_KEYS {
            return map.get(key);
        }
        let mut maps = self.maps.borrow_mut();
        let keys = maps
            .entry(std::ptr::from_ref(map))
            .or_insert_with(|| Keys::of(&map.entries.iter().collect::<Vec<_>>()));
        keys.get(key)
    }

    fn all(&self, validator: &Validator, properties: &Value) -> Judgement {
        let mut verdict = Judgement::default();
        for error in validator.iter_errors(properties) {
            verdict.add(self.judge(&error));
        }
        verdict
    }

    fn judge(&self, error: &ValidationError<'_>) -> Judgement {
        let pointer = error.instance_path().as_str();
        let node = self.node(pointer);
        if let Value::String(text) = error.instance().as_ref()
            && is_dynamic(text)
        {
            return self.dynamic(pointer, node);
        }
        match error.kind() {
            ValidationErrorKind::Type { kind } => self.wrong_type(error, kind, node, pointer),
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                self.no_form(error, context, node, pointer)
            }
            ValidationErrorKind::OneOfMultipleValid { .. } if has_expression(error.instance()) => {
                Judgement::default()
            }
            _ => Judgement { repairs: Vec::new(), findings: self.findings(error, node, pointer) },
        }
    }

    /// The node at a JSON pointer into the properties.
    fn node(&self, pointer: &str) -> Option<&'j Node> {
        let mut segments = segments(pointer);
        let first = segments.next()?;
        let first = self.own.get(&first).map(|entry| &entry.value)?;
        segments.try_fold(first, |node, segment| match &node.kind {
            Kind::Map(map) => self.entry(map, &segment).map(|entry| &entry.value),
            Kind::List(items) => segment.parse().ok().and_then(|index: usize| items.get(index)),
            _ => None,
        })
    }

    /// `tasks[0].env.KEY`.
    fn path(&self, pointer: &str) -> String {
        segments(pointer).fold(self.base.to_string(), |path, segment| {
            if segment.bytes().all(|byte| byte.is_ascii_digit()) {
                format!("{path}[{segment}]")
            } else {
                format!("{path}.{}", shown_key(&segment))
            }
        })
    }

    fn span(&self, node: Option<&Node>) -> Span {
        node.map_or(self.head, |node| self.reader.head(node))
    }

    fn finding(&self, code: &'static str, message: String, node: Option<&Node>, pointer: &str) -> Diagnostic {
        Diagnostic::error(code, self.span(node), message).at(self.path(pointer))
    }

    /// An expression where something else is wanted.
    fn dynamic(&self, pointer: &str, node: Option<&Node>) -> Judgement {
        let property = segments(pointer).next().unwrap_or_default();
        if !self.schema.is_static(&property) {
            return Judgement::default();
        }
        let message = format!("`{property}` is not rendered, so an expression is not allowed here");
        Judgement { repairs: Vec::new(), findings: vec![self.finding(WRONG_TYPE, message, node, pointer)] }
    }

    fn wrong_type(
        &self,
        error: &ValidationError<'_>,
        kind: &TypeKind,
        node: Option<&Node>,
        pointer: &str,
    ) -> Judgement {
        let allows = |json_type| match kind {
            TypeKind::Single(single) => *single == json_type,
            TypeKind::Multiple(several) => several.contains(json_type),
        };
        if let Some(repaired) = node.and_then(|node| self.converted(node, allows)) {
            return Judgement { repairs: vec![(pointer.to_owned(), repaired)], findings: Vec::new() };
        }
        let schema = self.parent_schema(error);
        let message = words::problem(error, schema);
        let key = segments(pointer).last().unwrap_or_default();
        let hint = node.and_then(|node| shapes::hint(node, &key, schema, allows, self.reader.lines));
        let finding = self.finding(WRONG_TYPE, message, node, pointer).maybe_hint(hint);
        Judgement { repairs: Vec::new(), findings: vec![finding] }
    }

    /// The same scalar as another type.
    fn converted(&self, node: &Node, allows: impl Fn(JsonType) -> bool) -> Option<Value> {
        let text = node.scalar_text(self.reader.lines.source())?;
        match &node.kind {
            Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => {
                allows(JsonType::String).then(|| Value::String(text.to_owned()))
            }
            Kind::String(_) => {
                let value: Value = serde_json::from_str(text.trim()).ok()?;
                let fits = match &value {
                    Value::Bool(_) => allows(JsonType::Boolean),
                    Value::Number(number) if number.is_i64() || number.is_u64() => {
                        allows(JsonType::Integer) || allows(JsonType::Number)
                    }
                    Value::Number(_) => allows(JsonType::Number),
                    _ => false,
                };
                fits.then_some(value)
            }
            Kind::Null | Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// None of several forms fits: the one that nearly does is explained.
    fn no_form(
        &self,
        error: &ValidationError<'_>,
        context: &[Vec<ValidationError<'static>>],
        node: Option<&Node>,
        pointer: &str,
    ) -> Judgement {
        let schema = self.parent_schema(error);
        if let Some(options) = schema.and_then(words::options)
            && node.is_some_and(|node| node.scalar_text(self.reader.lines.source()).is_some())
        {
            let found = words::plain(error.instance());
            let message = format!("expected {}, found `{found}`", words::one_of(&options));
            let hint = self.reader.did_you_mean(&found, options.iter().filter_map(Value::as_str));
            let finding = self.finding(INVALID_VALUE, message, node, pointer).maybe_hint(hint);
            return Judgement { repairs: Vec::new(), findings: vec![finding] };
        }
        let mut best: Option<(usize, Judgement)> = None;
        for branch in context {
            let mut judged = Judgement::default();
            let mut distance = 0;
            for error in branch {
                let judgement = self.judge(error);
                if !judgement.findings.is_empty() {
                    distance += self.distance(error, pointer);
                }
                judged.add(judgement);
            }
            if judged.findings.is_empty() {
                return judged;
            }
            if best.as_ref().is_none_or(|(least, _)| distance < *least) {
                best = Some((distance, judged));
            }
        }
        match best {
            Some((distance, judged)) if distance < WRONG_FORM => judged,
            _ => {
                let wanted = self.parent_schema(error).map(words::describe).unwrap_or_default();
                let found = node.map_or("a map", Node::describe);
                let (code, message) = match wanted.is_empty() {
                    true => (INVALID_VALUE, "this fits none of the allowed forms".to_owned()),
                    false => (WRONG_TYPE, format!("expected {wanted}, found {found}")),
                };
                Judgement { repairs: Vec::new(), findings: vec![self.finding(code, message, node, pointer)] }
            }
        }
    }

    /// How much an error says that another form was meant.
    fn distance(&self, error: &ValidationError<'_>, pointer: &str) -> usize {
        let at = error.instance_path().as_str();
        match error.kind() {
            ValidationErrorKind::Type { .. } if at == pointer => WRONG_FORM,
            ValidationErrorKind::Constant { .. } | ValidationErrorKind::Enum { .. }
                if at.ends_with("/type") =>
            {
                WRONG_FORM / 2
            }
            _ => 1,
        }
    }

    /// The schema that has the keyword of an error.
    fn parent_schema(&self, error: &ValidationError<'_>) -> Option<&'j Value> {
        let (parent, _) = error.schema_path().as_str().rsplit_once('/')?;
        self.schema.at(parent)
    }

    /// Everything that is said in one way whatever the schema.
    fn findings(
        &self,
        error: &ValidationError<'_>,
        node: Option<&'j Node>,
        pointer: &str,
    ) -> Vec<Diagnostic> {
        match error.kind() {
            ValidationErrorKind::Required { property } => {
                let name = words::plain(property);
                if self.is_misspelt(&name, self.parent_schema(error), node) {
                    return Vec::new();
                }
                let owner = match node {
                    None => self.what.to_owned(),
                    Some(_) => format!("`{}`", self.path(pointer)),
                };
                let message = format!("{owner} has no property `{name}`");
                let schema =
                    self.parent_schema(error).and_then(|schema| schema.get("properties")?.get(&name));
                let wanted = schema.map(words::describe).filter(|wanted| !wanted.is_empty());
                let hint = wanted.map_or_else(
                    || format!("add `{name}: ...`"),
                    |wanted| format!("add `{name}: ...` with {wanted}"),
                );
                vec![self.finding(MISSING_PROPERTY, message, node, pointer).hint(hint)]
            }
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                unexpected.iter().map(|name| self.unexpected(error, name, node, pointer)).collect()
            }
            ValidationErrorKind::Enum { options } => {
                let names = options.as_array().into_iter().flatten().filter_map(Value::as_str);
                let hint = self.reader.did_you_mean(&words::plain(error.instance()), names);
                vec![self.invalid(error, node, pointer).maybe_hint(hint)]
            }
            ValidationErrorKind::Format { format } if format == "duration" => {
                let found = words::plain(error.instance());
                let hint = duration::suggestion(&found).map(|written| format!("write `{written}`"));
                let message = words::problem(error, None);
                vec![self.finding(INVALID_DURATION, message, node, pointer).maybe_hint(hint)]
            }
            ValidationErrorKind::MinItems { limit: 1 } => {
                let hint = "add an item, or remove the property if it can be left out";
                vec![self.invalid(error, node, pointer).hint(hint)]
            }
            _ => vec![self.invalid(error, node, pointer)],
        }
    }

    fn invalid(&self, error: &ValidationError<'_>, node: Option<&Node>, pointer: &str) -> Diagnostic {
        self.finding(INVALID_VALUE, words::problem(error, self.parent_schema(error)), node, pointer)
    }

    /// Whether a missing property is there with a typing mistake: that is reported as unknown, and once is enough.
    fn is_misspelt(&self, name: &str, schema: Option<&Value>, node: Option<&Node>) -> bool {
        let known: Vec<&str> = match node {
            None if self.schema.open => return false,
            None => self.schema.names.iter().map(String::as_str).collect(),
            Some(_) => match schema.and_then(|schema| schema.get("properties")?.as_object()) {
                Some(properties)
                    if schema.is_some_and(|schema| {
                        schema.get("additionalProperties") == Some(&Value::Bool(false))
                    }) =>
                {
                    properties.keys().map(String::as_str).collect()
                }
                _ => return false,
            },
        };
        let mut keys: Box<dyn Iterator<Item = &str>> = match node.and_then(Node::as_map) {
            Some(map) => Box::new(map.entries.iter().map(|entry| entry.key.as_str())),
            None => self.own.names(),
        };
        keys.any(|key| !known.contains(&key) && suggest::nearest(key, known.iter().copied()) == Some(name))
    }

    /// A property inside a map that does not exist there.
    fn unexpected(
        &self,
        error: &ValidationError<'_>,
        name: &str,
        node: Option<&'j Node>,
        pointer: &str,
    ) -> Diagnostic {
        let key = node.and_then(Node::as_map).and_then(|map| self.entry(map, name));
        let span = key.map_or_else(|| self.span(node), |entry| entry.key_span);
        let known = self.parent_schema(error).and_then(|schema| schema.get("properties")?.as_object());
        let names = || known.into_iter().flat_map(|properties| properties.keys()).map(String::as_str);
        let hint = self
            .reader
            .did_you_mean(name, names())
            .or_else(|| known.map(|_| format!("allowed: {}", suggest::enumerate(names(), "and"))));
        let owner =
            if pointer.is_empty() { self.what.to_owned() } else { format!("`{}`", self.path(pointer)) };
        Diagnostic::error(UNKNOWN_PROPERTY, span, format!("unknown property `{name}` of {owner}"))
            .at(self.path(&format!("{pointer}/{name}")))
            .maybe_hint(hint)
    }
}

/// Distance of a form that was certainly not meant.
const WRONG_FORM: usize = 1_000;
