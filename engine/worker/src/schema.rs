//! Reading a plugin's JSON Schema: which kinds of value a place takes, and what the engine is asked to do with a
//! property (the `x-weft-*` keywords of docs/plugins.md).

use serde_json::Value;

/// How many `$ref`s and alternatives are followed before a schema is taken as permissive. Bounds cyclic schemas.
const MAX_DEPTH: usize = 16;

/// A place in a schema. Cheap to copy; a place that the schema says nothing about takes everything.
#[derive(Debug, Clone, Copy)]
pub struct Schema<'a> {
    root: &'a Value,
    node: Option<&'a Value>,
}

impl<'a> Schema<'a> {
    /// The whole schema.
    pub fn root(root: &'a Value) -> Self {
        Self { root, node: Some(root) }
    }

    /// Where the members named `name` of an object are described.
    pub fn property(self, name: &str) -> Schema<'a> {
        self.descend(|node| {
            node["properties"]
                .get(name)
                .or_else(|| node.get("additionalProperties").filter(|more| more.is_object()))
        })
    }

    /// Where the items of a list are described.
    pub fn items(self) -> Schema<'a> {
        self.descend(|node| node.get("items").filter(|items| items.is_object()))
    }

    /// Whether a value of this JSON Schema type (`string`, `boolean`, ...) may stand here.
    pub fn takes(self, kind: &str) -> bool {
        match self.node {
            None => true,
            Some(node) => self.alternatives(node, 0).any(|node| takes(node, kind)),
        }
    }

    fn descend(self, step: impl Fn(&'a Value) -> Option<&'a Value>) -> Schema<'a> {
        let node = self.node.and_then(|node| self.alternatives(node, 0).find_map(step));
        Schema { root: self.root, node }
    }

    /// The node itself, or what it refers to, or its `anyOf`/`oneOf` members: every node that may apply.
    fn alternatives(self, node: &'a Value, depth: usize) -> Box<dyn Iterator<Item = &'a Value> + 'a> {
        if depth < MAX_DEPTH {
            if let Some(target) = node["$ref"].as_str().and_then(|reference| self.resolve(reference)) {
                return self.alternatives(target, depth + 1);
            }
            if let Some(members) = node["anyOf"].as_array().or_else(|| node["oneOf"].as_array()) {
                return Box::new(members.iter().flat_map(move |member| self.alternatives(member, depth + 1)));
            }
        }
        Box::new(std::iter::once(node))
    }

    fn resolve(self, reference: &str) -> Option<&'a Value> {
        self.root.pointer(reference.strip_prefix('#')?)
    }
}

fn takes(node: &Value, kind: &str) -> bool {
    match &node["type"] {
        Value::String(only) => only == kind || (kind == "integer" && only == "number"),
        Value::Array(kinds) => kinds.iter().any(|one| one == kind),
        // `enum` and `const` of texts come without a type.
        _ => match node["enum"].as_array() {
            Some(values) => kind == "string" && values.iter().any(Value::is_string),
            None => node["const"].is_null() || (kind == "string" && node["const"].is_string()),
        },
    }
}

/// What the engine does with a task's properties around the plugin's run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles {
    /// Files put into the working directory before the run.
    pub input_files: Vec<String>,
    /// Globs of files taken out after the run, with the output that gets the map of path to URI.
    pub output_files: Vec<(String, String)>,
    /// Selection of namespace files put into the working directory.
    pub namespace_files: Option<String>,
    /// Switch of the output directory, whose files are taken out after the run.
    pub output_directory: Option<String>,
    /// Texts in which URIs of storage are replaced by local paths.
    pub localize: Vec<String>,
    /// Properties that are not rendered.
    pub unrendered: Vec<String>,
    /// How long a trigger waits between two polls.
    pub interval: Option<String>,
}

impl Roles {
    /// Reads the keywords of each property.
    pub fn of(schema: &Value) -> Self {
        let mut roles = Self::default();
        let Some(properties) = schema["properties"].as_object() else { return roles };
        for (name, property) in properties {
            if property["x-weft-static"] == true {
                roles.unrendered.push(name.clone());
            }
            match property["x-weft-role"].as_str() {
                Some("input-files") => roles.input_files.push(name.clone()),
                Some("output-files") => {
                    let output = property["x-weft-output"].as_str().unwrap_or("outputFiles");
                    roles.output_files.push((name.clone(), output.to_owned()));
                }
                Some("namespace-files") => roles.namespace_files = Some(name.clone()),
                Some("output-directory") => roles.output_directory = Some(name.clone()),
                Some("localize") => roles.localize.push(name.clone()),
                Some("interval") => roles.interval = Some(name.clone()),
                _ => {}
            }
        }
        roles
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn kinds_are_found_through_references_and_alternatives() {
        let schema = json!({
            "properties": {
                "text": {"type": "string"},
                "maybe": {"type": ["boolean", "null"]},
                "count": {"$ref": "#/$defs/Count"},
                "either": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]},
                "level": {"enum": ["A", "B"]},
                "loop": {"$ref": "#/properties/loop"},
            },
            "additionalProperties": {"type": "number"},
            "$defs": {"Count": {"type": "integer"}},
        });
        let root = Schema::root(&schema);
        for (name, kind, expected) in [
            ("text", "string", true),
            ("text", "boolean", false),
            ("maybe", "boolean", true),
            ("maybe", "string", false),
            ("count", "integer", true),
            ("count", "string", false),
            ("either", "string", true),
            ("either", "array", true),
            ("either", "object", false),
            ("level", "string", true),
            ("loop", "string", true),
            ("other", "number", true),
            ("other", "string", false),
        ] {
            assert_eq!(root.property(name).takes(kind), expected, "{name} {kind}");
        }
        assert!(root.property("either").items().takes("integer"));
        assert!(!root.property("either").items().takes("string"));
        assert!(root.property("text").property("unknown").takes("object"), "nothing said, everything taken");
    }

    #[test]
    fn roles_are_read_from_keywords() {
        let roles = Roles::of(&json!({"properties": {
            "inputs": {"x-weft-role": "input-files"},
            "outputs": {"x-weft-role": "output-files", "x-weft-output": "uris"},
            "outputFiles": {"x-weft-role": "output-files"},
            "script": {"x-weft-role": "localize"},
            "runner": {"x-weft-static": true},
            "namespaceFiles": {"x-weft-role": "namespace-files"},
            "outputDirectory": {"x-weft-role": "output-directory"},
            "interval": {"x-weft-role": "interval"},
        }}));
        assert_eq!(
            roles,
            Roles {
                input_files: vec!["inputs".into()],
                output_files: vec![
                    ("outputs".into(), "uris".into()),
                    ("outputFiles".into(), "outputFiles".into())
                ],
                namespace_files: Some("namespaceFiles".into()),
                output_directory: Some("outputDirectory".into()),
                localize: vec!["script".into()],
                unrendered: vec!["runner".into()],
                interval: Some("interval".into()),
            }
        );
    }
}
