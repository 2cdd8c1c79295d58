//! `inputs` (also those of `onResume`) and the types of `outputs` (compat.md §1.3).

use std::collections::HashMap;

use jiff::SignedDuration;

use super::id::IdKind;
use super::path::Path;
use super::{Fields, Reader, has_expression};
use crate::codes::{
    DEPENDENCY_CYCLE, INVALID_REGEX, INVALID_VALUE, MISSING_PROPERTY, NO_EFFECT, UNKNOWN_DEPENDENCY,
};
use crate::inputs;
use crate::validate::{Ids, Scope, cycle_message, find_cycle};
use crate::yaml::Node;
use crate::{Choice, DependsOn, Diagnostic, Input, InputType, Span};

/// Names of types, without what belongs to each.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TypeName {
    String,
    Int,
    Float,
    Bool,
    DateTime,
    Date,
    Time,
    Duration,
    File,
    Json,
    Yaml,
    Uri,
    Secret,
    Array,
    Select,
    MultiSelect,
    Email,
}

/// Every name of a type; newer names first.
pub(crate) const TYPES: &[(&str, TypeName)] = &[
    ("STRING", TypeName::String),
    ("INT", TypeName::Int),
    ("FLOAT", TypeName::Float),
    ("BOOL", TypeName::Bool),
    ("BOOLEAN", TypeName::Bool),
    ("DATETIME", TypeName::DateTime),
    ("DATE", TypeName::Date),
    ("TIME", TypeName::Time),
    ("DURATION", TypeName::Duration),
    ("FILE", TypeName::File),
    ("JSON", TypeName::Json),
    ("YAML", TypeName::Yaml),
    ("URI", TypeName::Uri),
    ("SECRET", TypeName::Secret),
    ("ARRAY", TypeName::Array),
    ("SELECT", TypeName::Select),
    ("ENUM", TypeName::Select),
    ("MULTISELECT", TypeName::MultiSelect),
    ("EMAIL", TypeName::Email),
];

/// What a stored file's name ends with, where the upload has no name.
const DEFAULT_EXTENSION: &str = ".upl";

/// Characters of a display name.
const LONGEST_DISPLAY_NAME: usize = 64;

/// Whose inputs are read: those of `onResume` are not what expressions see as `inputs`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum InputsOf {
    Flow,
    Pause,
}

/// What is known of inputs while they are read.
#[derive(Default)]
pub(crate) struct ReadInputs {
    pub(crate) inputs: Vec<Input>,
    /// Ids in the order of the source, also of inputs that could not be read.
    pub(crate) ids: Vec<String>,
    /// For each of `ids`, what it depends on.
    pub(crate) depends_on: Vec<Vec<usize>>,
}

/// A name in `dependsOn`, to be looked up when all inputs are known.
struct Dependency {
    of: usize,
    name: String,
    span: Span,
}

impl Reader<'_> {
    /// A list of inputs.
    pub(crate) fn inputs(&mut self, node: &Node, path: &Path<'_>, of: InputsOf) -> ReadInputs {
        let mut ids = Ids::new("input");
        let mut read = ReadInputs::default();
        let mut dependencies = Vec::new();
        for (index, item) in self.list(node, path, "inputs").unwrap_or_default().iter().enumerate() {
            let at = path.index(index);
            let scope = if of == InputsOf::Flow { Scope::Input(read.ids.len()) } else { self.scope };
            let noted = dependencies.len();
            let input = self.within(scope, |reader| reader.input(item, &at, &mut ids, &mut dependencies));
            if let Some((id, input)) = input {
                dependencies[noted..].iter_mut().for_each(|dependency| dependency.of = read.ids.len());
                read.ids.push(id);
                read.inputs.extend(input);
            }
        }
        read.depends_on = self.check_dependencies(&dependencies, &read.ids, path);
        read
    }

    /// Looks up what inputs depend on: it may stand before or after them, but never in a circle.
    fn check_dependencies(
        &mut self,
        found: &[Dependency],
        ids: &[String],
        path: &Path<'_>,
    ) -> Vec<Vec<usize>> {
        let mut edges: Vec<Vec<(usize, Span)>> = vec![Vec::new(); ids.len()];
        // Of two inputs with one id, the first counts.
        let by_id: HashMap<&str, usize> =
            ids.iter().enumerate().rev().map(|(index, id)| (id.as_str(), index)).collect();
        for Dependency { of, name, span } in found {
            let at = path.index(*of);
            match by_id.get(name.as_str()) {
                Some(&other) => edges[*of].push((other, *span)),
                None => {
                    let names = ids.iter().map(String::as_str);
                    let hint = self.nearest_or_all(name, names, "the inputs are");
                    let diagnostic = Diagnostic::error(
                        UNKNOWN_DEPENDENCY,
                        *span,
                        format!("there is no input `{name}` to depend on"),
                    );
                    self.push(diagnostic.at(at.key("dependsOn")).maybe_hint(hint));
                }
            }
        }
        if let Some(cycle) = find_cycle(&edges)
            && let Some(&(first, span)) = cycle.first()
        {
            let message = cycle_message(&cycle, |index| format!("`{}`", ids[index]));
            self.push(
                Diagnostic::error(DEPENDENCY_CYCLE, span, message)
                    .at(path.index(first).key("dependsOn"))
                    .hint("remove one of these dependencies"),
            );
        }
        edges.into_iter().map(|edges| edges.into_iter().map(|(other, _)| other).collect()).collect()
    }

    /// One input: its id, and the rest if all of that can be used.
    fn input(
        &mut self,
        node: &Node,
        path: &Path<'_>,
        ids: &mut Ids,
        dependencies: &mut Vec<Dependency>,
    ) -> Option<(String, Option<Input>)> {
        let mut fields = self.fields(node, path)?;
        let read_id = |reader: &mut Self, node: &Node, path: &Path<'_>| reader.id(node, path, IdKind::Input);
        let id = self.optional(&mut fields, "id", path, read_id);
        let old_name = self.optional(&mut fields, "name", path, read_id);
        let id = id.or(old_name);
        if id.is_none() && fields.span_of("id").or(fields.span_of("name")).is_none() {
            self.missing(&mut fields, "id", (path, "this input"));
        }
        let what = id.as_ref().map_or_else(|| "this input".to_owned(), |(id, _)| format!("input `{id}`"));
        if let Some((id, span)) = &id {
            let duplicate = ids.add(id, *span, path);
            self.diagnostics.extend(duplicate);
        }
        let kind = self.input_type(&mut fields, (path, &what), true);
        let required = self.optional(&mut fields, "required", path, Self::boolean).unwrap_or(true);
        let defaults = self.optional(&mut fields, "defaults", path, |reader, node, path| {
            reader.default_value(node, path, kind.as_ref())
        });
        let description = self.optional(&mut fields, "description", path, Self::text);
        let display_name = self.optional(&mut fields, "displayName", path, Self::display_name);
        let depends_on = self.optional(&mut fields, "dependsOn", path, |reader, node, path| {
            reader.depends_on(node, path, dependencies)
        });
        self.no_effect(&mut fields, "prefill", path, "only a form that asks for values could use it");
        if kind.is_some() {
            self.finish(fields, path, &what);
        }
        let (id, _) = id?;
        let input = kind.map(|kind| Input {
            id: id.clone(),
            kind,
            required,
            defaults,
            description,
            display_name,
            depends_on,
            span: node.span,
        });
        Some((id, input))
    }

    /// The default, rendered when it is needed; a fixed one is checked now.
    fn default_value(
        &mut self,
        node: &Node,
        path: &Path<'_>,
        kind: Option<&InputType>,
    ) -> Option<serde_json::Value> {
        self.check_expressions(node, path);
        // Where text is wanted, `1.10` is what is written and not a number.
        let value = match (kind.is_some_and(is_text), node.scalar_text(self.lines.source())) {
            (true, Some(text)) => serde_json::Value::String(text.to_owned()),
            _ => node.to_json(),
        };
        if let (false, Some(kind)) = (has_expression(&value), kind)
            && let Err(problem) = inputs::check_fixed(kind, &value)
        {
            let message = format!("the default value does not fit the input: {problem}");
            let hint = "change the default, or the input's `type`";
            self.push(Diagnostic::error(INVALID_VALUE, self.head(node), message).at(path).hint(hint));
        }
        Some(value)
    }

    pub(crate) fn display_name(&mut self, node: &Node, path: &Path<'_>) -> Option<String> {
        let name = self.text(node, path)?;
        let length = name.chars().count();
        if length > LONGEST_DISPLAY_NAME {
            let message = format!("this name has {length} characters, {LONGEST_DISPLAY_NAME} are allowed");
            self.invalid(node, path, message);
        }
        Some(name)
    }

    fn depends_on(
        &mut self,
        node: &Node,
        path: &Path<'_>,
        dependencies: &mut Vec<Dependency>,
    ) -> Option<DependsOn> {
        let what = "`dependsOn`";
        let mut fields = self.fields(node, path)?;
        let inputs = self.required(&mut fields, "inputs", (path, what), |reader, node, path| {
            let items = reader.list(node, path, "names of inputs")?;
            let names = items.iter().enumerate().filter_map(|(index, item)| {
                let name = reader.text(item, &path.index(index))?;
                // Which input it is of is filled in when its place in the list is known.
                dependencies.push(Dependency { of: 0, name: name.clone(), span: item.span });
                Some(name)
            });
            Some(names.collect())
        });
        let condition = self.optional(&mut fields, "condition", path, Self::condition);
        self.finish(fields, path, what);
        Some(DependsOn { inputs: inputs?, condition })
    }

    /// `type`, and the properties that belong to it. `needs_items` says whether a list must say what is in it.
    pub(crate) fn input_type(
        &mut self,
        fields: &mut Fields<'_>,
        (path, what): (&Path<'_>, &str),
        needs_items: bool,
    ) -> Option<InputType> {
        fields.set_example_type("STRING");
        let name = self
            .required(fields, "type", (path, what), |reader, node, path| reader.choice(node, path, TYPES))?;
        Some(match name {
            TypeName::String => InputType::String { validator: self.validator(fields, path) },
            TypeName::Secret => InputType::Secret { validator: self.validator(fields, path) },
            TypeName::Int => {
                let (min, max) = self.bounds(fields, path, ["min", "max"], |reader, node, path| {
                    reader.integer(node, path, i64::MIN..=i64::MAX)
                });
                InputType::Int { min, max }
            }
            TypeName::Float => {
                let (min, max) = self.bounds(fields, path, ["min", "max"], Self::number);
                InputType::Float { min, max }
            }
            TypeName::Duration => {
                let (min, max): (Option<SignedDuration>, Option<SignedDuration>) =
                    self.bounds(fields, path, ["min", "max"], Self::duration);
                InputType::Duration { min, max }
            }
            TypeName::DateTime => {
                let (after, before) =
                    self.instants(fields, path, &InputType::DateTime { after: None, before: None });
                InputType::DateTime { after, before }
            }
            TypeName::Date => {
                let (after, before) =
                    self.instants(fields, path, &InputType::Date { after: None, before: None });
                InputType::Date { after, before }
            }
            TypeName::Time => {
                let (after, before) =
                    self.instants(fields, path, &InputType::Time { after: None, before: None });
                InputType::Time { after, before }
            }
            TypeName::Bool => InputType::Bool,
            TypeName::Json => InputType::Json,
            TypeName::Yaml => InputType::Yaml,
            TypeName::Uri => InputType::Uri,
            TypeName::Email => InputType::Email,
            TypeName::File => self.file(fields, path),
            TypeName::Array => {
                InputType::Array { items: Box::new(self.item_type(fields, (path, what), needs_items)) }
            }
            TypeName::Select => InputType::Select(self.choices(fields, (path, what))),
            TypeName::MultiSelect => {
                self.optional(fields, "itemType", path, Self::text);
                InputType::MultiSelect(self.choices(fields, (path, what)))
            }
        })
    }

    /// What is in a list; anything where it is not said.
    fn item_type(
        &mut self,
        fields: &mut Fields<'_>,
        (path, what): (&Path<'_>, &str),
        is_needed: bool,
    ) -> InputType {
        let name = self.optional(fields, "itemType", path, |reader, node, path| {
            let name = reader.choice(node, path, TYPES)?;
            if name == TypeName::Array {
                reader.invalid(node, path, "a list of lists is not possible; use the type JSON");
            }
            Some(name)
        });
        if is_needed && fields.span_of("itemType").is_none() {
            self.missing(fields, "itemType", (path, what));
        }
        name.map_or(InputType::Json, plain_type)
    }

    fn file(&mut self, fields: &mut Fields<'_>, path: &Path<'_>) -> InputType {
        let extension = self.optional(fields, "extension", path, Self::text);
        let new = self.optional(fields, "allowedFileExtensions", path, Self::texts);
        let old = self.optional(fields, "accept", path, Self::texts);
        InputType::File {
            allowed_extensions: new.or(old).unwrap_or_default(),
            extension: extension.unwrap_or_else(|| DEFAULT_EXTENSION.to_owned()),
        }
    }

    /// A regular expression that compiles.
    fn validator(&mut self, fields: &mut Fields<'_>, path: &Path<'_>) -> Option<String> {
        self.optional(fields, "validator", path, |reader, node, path| {
            let pattern = reader.text(node, path)?;
            if let Err(reason) = inputs::full_match(&pattern) {
                let message = format!("this is not a regular expression: {reason}");
                let hint =
                    "a `\\` before a character with a meaning, such as `[` or `(`, makes it stand for itself";
                reader.push(Diagnostic::error(INVALID_REGEX, reader.head(node), message).at(path).hint(hint));
                return None;
            }
            Some(pattern)
        })
    }

    /// Two bounds, the first not above the second.
    fn bounds<T: PartialOrd + Copy>(
        &mut self,
        fields: &mut Fields<'_>,
        path: &Path<'_>,
        [low_key, high_key]: [&'static str; 2],
        read: impl Fn(&mut Self, &Node, &Path<'_>) -> Option<T>,
    ) -> (Option<T>, Option<T>) {
        let with_span = |reader: &mut Self, node: &Node, path: &Path<'_>| -> Option<(T, Span)> {
            read(reader, node, path).map(|value| (value, node.span))
        };
        let low = self.optional(fields, low_key, path, with_span);
        let high = self.optional(fields, high_key, path, with_span);
        if let (Some((low, low_span)), Some((high, high_span))) = (low, high)
            && low > high
        {
            let message = format!("`{high_key}` must not be less than `{low_key}`");
            let diagnostic = Diagnostic::error(INVALID_VALUE, high_span, message).at(path.key(high_key));
            self.push(diagnostic.related(low_span, "greater than this"));
        }
        (low.map(|(low, _)| low), high.map(|(high, _)| high))
    }

    /// `after` and `before`, in the form of the type.
    fn instants(
        &mut self,
        fields: &mut Fields<'_>,
        path: &Path<'_>,
        kind: &InputType,
    ) -> (Option<String>, Option<String>) {
        let mut bound = |key: &'static str| {
            self.optional(fields, key, path, |reader, node, path| {
                let text = reader.text(node, path)?;
                if let Err(problem) = inputs::check_fixed(kind, &serde_json::Value::String(text.clone())) {
                    reader.invalid(node, path, problem);
                }
                Some(text)
            })
        };
        (bound("after"), bound("before"))
    }

    fn choices(&mut self, fields: &mut Fields<'_>, (path, what): (&Path<'_>, &str)) -> Choice {
        let values = self.optional(fields, "values", path, Self::texts);
        let options = self.optional(fields, "options", path, Self::texts);
        let expression = self.optional(fields, "expression", path, Self::template);
        let allow_custom = self.optional(fields, "allowCustomValue", path, Self::boolean);
        let auto_select_first = self.optional(fields, "autoSelectFirst", path, Self::boolean);
        self.optional(fields, "isRadio", path, Self::boolean);
        let values = values.or(options);
        // Values that cannot be read have been reported: the default may be one of them.
        let unreadable = fields.span_of("values").or(fields.span_of("options")).is_some() && values.is_none();
        if values.is_none() && expression.is_none() && !unreadable {
            let message = format!("{what} has neither `values` nor `expression` to choose from");
            let span = fields.head();
            let hint = "add `values:` with a list, or `expression:` with an expression of one";
            self.push(Diagnostic::error(MISSING_PROPERTY, span, message).at(path).hint(hint));
        }
        Choice {
            values: values.unwrap_or_default(),
            expression,
            allow_custom: allow_custom.unwrap_or(unreadable),
            auto_select_first: auto_select_first.unwrap_or(false),
        }
    }

    /// Takes a property that is accepted and does nothing here.
    pub(crate) fn no_effect(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        path: &Path<'_>,
        instead: &str,
    ) {
        if let Some(entry) = fields.take(key) {
            let message = format!("`{key}` has no effect");
            self.push(
                Diagnostic::warning(NO_EFFECT, entry.key_span, message).at(path.key(key)).hint(instead),
            );
        }
    }
}

/// Whether values of a type are text.
fn is_text(kind: &InputType) -> bool {
    !matches!(
        kind,
        InputType::Int { .. }
            | InputType::Float { .. }
            | InputType::Bool
            | InputType::Json
            | InputType::Yaml
            | InputType::Array { .. }
            | InputType::MultiSelect(_)
    )
}

/// A type with nothing that belongs to it.
fn plain_type(name: TypeName) -> InputType {
    match name {
        TypeName::String => InputType::String { validator: None },
        TypeName::Int => InputType::Int { min: None, max: None },
        TypeName::Float => InputType::Float { min: None, max: None },
        TypeName::Bool => InputType::Bool,
        TypeName::DateTime => InputType::DateTime { after: None, before: None },
        TypeName::Date => InputType::Date { after: None, before: None },
        TypeName::Time => InputType::Time { after: None, before: None },
        TypeName::Duration => InputType::Duration { min: None, max: None },
        TypeName::File => {
            InputType::File { allowed_extensions: Vec::new(), extension: DEFAULT_EXTENSION.to_owned() }
        }
        TypeName::Yaml => InputType::Yaml,
        TypeName::Uri => InputType::Uri,
        TypeName::Secret => InputType::Secret { validator: None },
        TypeName::Email => InputType::Email,
        // Items of these types have nothing to be checked against.
        TypeName::Json | TypeName::Array | TypeName::Select | TypeName::MultiSelect => InputType::Json,
    }
}
