//! What a plugin says about itself: the JSON document that `describe` returns, read and checked.
//!
//! The checks run once per file hash, before the document is stored; a stored document is only read. Schemas and
//! examples stay text until somebody asks for them, for most starts need one type of many.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use weft_schema::MAX_UNFOLDED;

use crate::{GrantError, Grants};

/// The version of the description that this engine reads. Fields it does not know are ignored.
pub(crate) const API_VERSION: u32 = 1;

/// More types than any plugin has; a bound for a description that was generated wrongly.
const MAX_TYPES: usize = 1000;

/// More other names than any type has.
const MAX_ALIASES: usize = 100;

/// Entries of each list of what a type needs.
const MAX_NEEDS: usize = 1000;

/// Bytes of a name, a version, an entry of what a type needs.
const MAX_NAME: usize = 500;

/// Bytes of a text for people.
const MAX_TEXT: usize = 100_000;

/// Schemas of all types of a plugin, with their references unfolded.
const MAX_SCHEMAS: u64 = 10 * MAX_UNFOLDED;

/// Why a description cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DescriptorError {
    #[error("`describe` did not return a valid description: {0}")]
    Shape(serde_json::Error),
    #[error("`describe` returned apiVersion `{0}`, but this engine reads `{API_VERSION}`")]
    ApiVersion(Value),
    #[error("`describe` names neither tasks nor triggers")]
    Empty,
    #[error("`describe` names {0} types; at most {MAX_TYPES} are possible")]
    TooMany(usize),
    #[error(
        "`describe` names the type `{0}`: expected words of letters, digits, `_` and `-` joined with dots, as in `examples.hello`"
    )]
    TypeName(String),
    #[error("`describe` names the type `{0}` twice")]
    Duplicate(String),
    #[error(
        "`describe`: `{part}` of type `{type_name}` is not a valid JSON Schema (2020-12) at `{at}`: {reason}"
    )]
    Schema { type_name: String, part: &'static str, at: String, reason: String },
    #[error("`describe`: `needs.capabilities` of type `{type_name}`: {error}")]
    Capabilities { type_name: String, error: GrantError },
    #[error("`describe`: the schemas of all types unfold to more than {MAX_SCHEMAS} schemas")]
    Schemas,
    #[error("`describe` gives {owner} {found} {what}; at most {bound} are possible")]
    Bound { owner: String, what: &'static str, found: usize, bound: usize },
    #[error("`describe` names {kind} types, but the component does not export `weft:plugin/{interface}`")]
    NotExported { kind: &'static str, interface: &'static str },
}

/// JSON that is parsed when it is first looked at.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Lazy {
    text: Box<RawValue>,
    #[serde(skip)]
    value: OnceLock<Value>,
}

impl Lazy {
    fn get(&self) -> &Value {
        // What is valid JSON and still not a `Value` is nested too deeply; such a document was refused before it was
        // stored.
        self.value.get_or_init(|| serde_json::from_str(self.text.get()).unwrap_or_default())
    }
}

/// What a type needs from outside, as the plugin's author declares it. It grants nothing; what it does not name, the type
/// does not get, as far as [`Self::capabilities`], [`Self::variables`] and [`Self::files`] are concerned. The rest is for
/// people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Needs {
    /// What it uses, each as in a grant: `kv`, `http=api.example.com`. None where the author does not say: then all that
    /// is granted is given.
    pub capabilities: Option<Vec<String>>,
    /// Host patterns it connects to.
    pub hosts: Vec<String>,
    /// Programs it starts.
    pub commands: Vec<String>,
    /// Container images it starts.
    pub images: Vec<String>,
    /// Variables of the engine's environment that it looks at; `AWS_*` for all that begin so.
    pub variables: Vec<String>,
    /// Files of the engine's user that it looks at: `~/.aws/config`, or `$NAME` for one that a variable names.
    pub files: Vec<String>,
}

impl Needs {
    /// What may be given of that which is granted; none for all of it. What this engine does not know is left out: it could
    /// not give it.
    pub(crate) fn grants(&self) -> Option<Grants> {
        let known = |text: &String| Grants::parse_list(text, text).ok();
        Some(self.capabilities.as_ref()?.iter().filter_map(known).fold(Grants::none(), Grants::union))
    }

    /// Finds what is written wrongly. A capability of a newer contract is not.
    fn check(&self) -> Result<(), GrantError> {
        for text in self.capabilities.iter().flatten() {
            match Grants::parse_list(text, text) {
                Err(GrantError::Unknown { name, .. }) if !name.is_empty() => {}
                result => drop(result?),
            }
        }
        Ok(())
    }
}

/// A task type or trigger type of a plugin.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskType {
    /// The canonical name.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Other names for the same type.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The plugin that provides it.
    #[serde(skip)]
    pub plugin: String,
    /// One line.
    pub title: Option<String>,
    /// Markdown.
    pub description: Option<String>,
    /// Why not to use it any more, and what instead.
    pub deprecated: Option<String>,
    /// What it needs from outside.
    #[serde(default)]
    pub needs: Needs,
    properties: Lazy,
    outputs: Option<Lazy>,
    examples: Option<Lazy>,
}

impl TaskType {
    /// JSON Schema (2020-12) of the properties.
    pub fn properties(&self) -> &Value {
        self.properties.get()
    }

    /// JSON Schema (2020-12) of the outputs; null where the plugin gives none.
    pub fn outputs(&self) -> &Value {
        self.outputs.as_ref().map_or(&Value::Null, Lazy::get)
    }

    /// Examples, a list; null where the plugin gives none.
    pub fn examples(&self) -> &Value {
        self.examples.as_ref().map_or(&Value::Null, Lazy::get)
    }

    /// The canonical name, then the aliases.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.type_name).chain(&self.aliases).map(String::as_str)
    }

    /// Checks what it says; the result is how many schemas it has, with references unfolded.
    fn check(&self) -> Result<u64, DescriptorError> {
        let owner = || format!("type `{}`", self.type_name);
        let texts = [&self.title, &self.description, &self.deprecated].into_iter().flatten();
        for text in texts {
            bounded(owner, "bytes of one text", text.len(), MAX_TEXT)?;
        }
        bounded(owner, "other names", self.aliases.len(), MAX_ALIASES)?;
        let Needs { capabilities, hosts, commands, images, variables, files } = &self.needs;
        for list in capabilities.iter().chain([hosts, commands, images, variables, files]) {
            bounded(owner, "entries in one list of needs", list.len(), MAX_NEEDS)?;
            for entry in list {
                bounded(owner, "bytes in one entry of needs", entry.len(), MAX_NAME)?;
            }
        }
        let wrong = |error| DescriptorError::Capabilities { type_name: self.type_name.clone(), error };
        self.needs.check().map_err(wrong)?;
        let mut schemas = check_schema(self.properties(), &self.type_name, "properties")?;
        if self.outputs.is_some() {
            schemas += check_schema(self.outputs(), &self.type_name, "outputs")?;
        }
        Ok(schemas)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct About {
    pub(crate) version: String,
    pub(crate) description: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Descriptor {
    pub(crate) plugin: About,
    #[serde(default)]
    pub(crate) tasks: Vec<TaskType>,
    #[serde(default)]
    pub(crate) triggers: Vec<TaskType>,
}

impl Descriptor {
    /// Reads a document that was checked before.
    pub(crate) fn read(text: &str) -> Result<Self, DescriptorError> {
        serde_json::from_str(text).map_err(DescriptorError::Shape)
    }

    /// Reads and checks what a plugin returned.
    pub(crate) fn check(text: &str) -> Result<Self, DescriptorError> {
        // `apiVersion` first: a newer document may have another shape.
        let ApiVersion { api_version } = serde_json::from_str(text).map_err(DescriptorError::Shape)?;
        if api_version != API_VERSION {
            return Err(DescriptorError::ApiVersion(api_version));
        }
        let descriptor = Self::read(text)?;
        let count = descriptor.tasks.len() + descriptor.triggers.len();
        match count {
            0 => return Err(DescriptorError::Empty),
            1..=MAX_TYPES => {}
            _ => return Err(DescriptorError::TooMany(count)),
        }
        let plugin = || "the plugin".to_owned();
        bounded(plugin, "bytes of version", descriptor.plugin.version.len(), MAX_NAME)?;
        let about = descriptor.plugin.description.as_ref().map_or(0, String::len);
        bounded(plugin, "bytes of description", about, MAX_TEXT)?;
        let mut seen = BTreeSet::new();
        let mut schemas = 0;
        for task in descriptor.tasks.iter().chain(&descriptor.triggers) {
            for name in task.names() {
                bounded(plugin, "bytes of one type name", name.len(), MAX_NAME)?;
                if !is_type_name(name) {
                    return Err(DescriptorError::TypeName(name.to_owned()));
                }
                if !seen.insert(name) {
                    return Err(DescriptorError::Duplicate(name.to_owned()));
                }
            }
            schemas += task.check()?;
            if schemas > MAX_SCHEMAS {
                return Err(DescriptorError::Schemas);
            }
        }
        Ok(descriptor)
    }

    /// The type names in a document that may be wrong in every other way, for telling a flow that names one of them
    /// what is wrong with its plugin.
    pub(crate) fn claimed_types(text: &str) -> Vec<String> {
        let document: Value = serde_json::from_str(text).unwrap_or_default();
        let types = ["tasks", "triggers"].into_iter().filter_map(|kind| document[kind].as_array()).flatten();
        types
            .flat_map(|task| {
                let aliases = task["aliases"].as_array().into_iter().flatten();
                std::iter::once(&task["type"]).chain(aliases).filter_map(Value::as_str).map(str::to_owned)
            })
            .filter(|name| !name.is_empty() && name.len() <= MAX_NAME)
            .take(MAX_TYPES)
            .collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiVersion {
    api_version: Value,
}

fn is_type_name(name: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    name.split('.').all(word)
}

/// Refuses what is more than any plugin says.
fn bounded(
    owner: impl FnOnce() -> String,
    what: &'static str,
    found: usize,
    bound: usize,
) -> Result<(), DescriptorError> {
    if found <= bound { Ok(()) } else { Err(DescriptorError::Bound { owner: owner(), what, found, bound }) }
}

/// Checks a schema; the result is how many it is with its references unfolded.
fn check_schema(schema: &Value, type_name: &str, part: &'static str) -> Result<u64, DescriptorError> {
    // A schema of properties is an object; `true` would accept what a task cannot have.
    let result = match schema {
        Value::Object(_) => {
            // First how large it is: preparing one takes as long as that says.
            let checked = weft_schema::unfolded(schema)
                .and_then(|count| weft_schema::compile(schema, &[]).map(|_| count));
            checked.map_err(|error| (error.at, error.reason))
        }
        _ => Err((String::new(), "expected an object".to_owned())),
    };
    result.map_err(|(at, reason)| DescriptorError::Schema {
        type_name: type_name.to_owned(),
        part,
        at: if at.is_empty() { "/".to_owned() } else { at },
        reason,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn describe(tasks: Value) -> String {
        json!({"apiVersion": API_VERSION, "plugin": {"name": "p", "version": "1.0.0"}, "tasks": tasks})
            .to_string()
    }

    #[test]
    fn descriptions_are_checked() {
        let schema = json!({"type": "object"});
        for (text, expected) in [
            ("".to_owned(), "`describe` did not return a valid description: EOF"),
            ("[]".to_owned(), "`describe` did not return a valid description: invalid length 0"),
            (r#"{"apiVersion": 9, "tasks": 1}"#.to_owned(), "apiVersion `9`, but this engine reads `1`"),
            (describe(json!([])), "names neither tasks nor triggers"),
            (describe(json!([{"properties": schema}])), "missing field `type`"),
            (describe(json!([{"type": "a.b"}])), "missing field `properties`"),
            (describe(json!([{"type": "", "properties": schema}])), "names the type ``"),
            (describe(json!([{"type": "a b", "properties": schema}])), "names the type `a b`"),
            (describe(json!([{"type": "a..b", "properties": schema}])), "names the type `a..b`"),
            (
                describe(
                    json!([{"type": "a", "properties": schema}, {"type": "b", "aliases": ["a"], "properties": schema}]),
                ),
                "names the type `a` twice",
            ),
            (
                describe(json!([{"type": "a", "properties": []}])),
                "`properties` of type `a` is not a valid JSON Schema",
            ),
            (
                describe(json!([{"type": "a", "properties": {"properties": {"x": {"type": "strng"}}}}])),
                "at `/properties/x/type`",
            ),
            (
                describe(json!([{"type": "a", "properties": {"$ref": "https://example.com/schema"}}])),
                "`properties` of type `a`",
            ),
            (describe(json!([{"type": "a", "properties": schema, "outputs": 1}])), "`outputs` of type `a`"),
            (
                describe(
                    json!([{"type": "a", "properties": schema, "needs": {"capabilities": ["secrets="]}}]),
                ),
                "`needs.capabilities` of type `a`: grant `secrets=`: `` is no scope of `secrets`",
            ),
            (
                describe(
                    json!([{"type": "a", "properties": {"properties": {"x": {"$ref": "#/properties/x"}}}}]),
                ),
                "`properties` of type `a` is not a valid JSON Schema (2020-12) at `/`: a reference leads back",
            ),
            (
                describe(json!([{
                    "type": "a", "properties": schema,
                    "aliases": (0..=MAX_ALIASES).map(|index| format!("b{index}")).collect::<Vec<_>>(),
                }])),
                "gives type `a` 101 other names; at most 100 are possible",
            ),
            (
                describe(json!([{"type": "a", "title": "a".repeat(MAX_TEXT + 1), "properties": schema}])),
                "gives type `a` 100001 bytes of one text; at most 100000 are possible",
            ),
            (
                describe(json!([{"type": "a".repeat(MAX_NAME + 1), "properties": schema}])),
                "gives the plugin 501 bytes of one type name; at most 500 are possible",
            ),
            (
                describe(
                    json!([{"type": "a", "needs": {"hosts": ["h".repeat(MAX_NAME + 1)]}, "properties": schema}]),
                ),
                "gives type `a` 501 bytes in one entry of needs",
            ),
        ] {
            let error = Descriptor::check(&text).expect_err(&text).to_string();
            assert!(error.contains(expected), "{text}\n  {error}\n  {expected}");
        }
    }

    #[test]
    fn a_good_description_is_read() {
        let text = describe(json!([{
            "type": "examples.Hello", "aliases": ["hello"], "title": "Says hello", "someday": {"new": 1},
            "properties": {"type": "object", "properties": {"name": {"type": "string", "x-weft-static": true}}},
            "needs": {"commands": ["git"], "capabilities": ["process=git", "someday"]},
        }]));
        let descriptor = Descriptor::check(&text).unwrap();
        let task = &descriptor.tasks[0];
        assert_eq!(task.names().collect::<Vec<_>>(), ["examples.Hello", "hello"]);
        assert_eq!(task.properties()["properties"]["name"]["type"], "string");
        assert_eq!((task.outputs(), task.examples()), (&Value::Null, &Value::Null));
        assert_eq!(task.needs.commands, ["git"]);
        assert_eq!(task.needs.grants().unwrap().texts(), ["process=git"]);
        assert_eq!(Needs::default().grants(), None);
    }

    #[test]
    fn types_are_found_in_wrong_descriptions() {
        let text = json!({"tasks": [{"type": "a", "aliases": ["b", 1]}, 2, {"type": ""}], "triggers": [{"type": "c"}]}).to_string();
        assert_eq!(Descriptor::claimed_types(&text), ["a", "b", "c"]);
        assert!(Descriptor::claimed_types("{").is_empty());
    }
}
