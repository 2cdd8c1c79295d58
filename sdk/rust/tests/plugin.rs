//! A whole plugin as an author writes it: what it says of itself, and how it answers.

use std::collections::BTreeMap;
use std::time::Duration;

use weft_sdk::prelude::*;
use weft_sdk::testing::Harness;
use weft_sdk::{InputFiles, Needs, Plugin, Text, plugin};

/// Greets somebody.
///
/// More than once, if need be.
#[derive(Deserialize, JsonSchema)]
struct Greet {
    /// Who to greet.
    name: Text,
    /// How often.
    #[serde(default)]
    times: Option<u8>,
    #[serde(default)]
    #[allow(dead_code, reason = "the engine carries it out")]
    files: InputFiles,
}

#[derive(Serialize, JsonSchema)]
struct Greeting {
    /// The text.
    text: String,
}

impl Task for Greet {
    const TYPE: &'static str = "test.Greet";
    const ALIASES: &'static [&'static str] = &["test.Salute"];
    const EXAMPLES: &'static [Example] = &[Example { title: "Greet Ada", yaml: "name: Ada\n" }];
    const DEPRECATED: Option<&'static str> = Some("use `test.Open`");
    const NEEDS: Needs = Needs { hosts: &["https://example.com"], ..Needs::NOTHING };

    fn run(self, _: &Context) -> Result<impl Output> {
        Ok(Greeting { text: format!("hello {}", self.name).repeat(self.times.unwrap_or(1).into()) })
    }
}

/// Takes any property.
#[derive(Deserialize, JsonSchema)]
struct Open {
    #[serde(flatten)]
    all: BTreeMap<String, Value>,
}

impl Task for Open {
    const TYPE: &'static str = "test.Open";
    const TITLE: &'static str = "Open";

    fn run(self, cx: &Context) -> Result<impl Output> {
        cx.output("emitted", self.all.len())?;
        Ok(json!({ "all": self.all }))
    }
}

/// Returns what is no object.
#[derive(Deserialize, JsonSchema)]
struct Wrong {}

impl Task for Wrong {
    const TYPE: &'static str = "test.Wrong";

    fn run(self, _: &Context) -> Result<impl Output> {
        Ok(vec![1])
    }
}

/// Counts its own polls.
#[derive(Deserialize, JsonSchema)]
struct Count {
    /// From which number on.
    from: u32,
}

impl Trigger for Count {
    type State = u32;
    type Event = Value;
    const TYPE: &'static str = "test.Count";

    fn poll(self, cx: &PollContext, polls: u32) -> Result<Poll<u32>> {
        cx.log().debug("looking");
        let polls = polls + 1;
        let found = Poll::nothing(polls).again_in(Duration::from_secs(1));
        Ok(if polls < self.from { found } else { found.event(json!({ "polls": polls })) })
    }
}

plugin!(Greet, Open, Wrong; triggers: Count);

#[test]
fn the_descriptor_says_all() {
    let no_needs = json!({"hosts": [], "commands": [], "images": []});
    let expected = json!({
        "apiVersion": 1,
        "plugin": {
            "name": "weft-sdk",
            "version": env!("CARGO_PKG_VERSION"),
            "description": env!("CARGO_PKG_DESCRIPTION"),
        },
        "tasks": [
            {
                "type": "test.Greet",
                "aliases": ["test.Salute"],
                "title": "Greets somebody",
                "description": "Greets somebody.\n\nMore than once, if need be.",
                "properties": {
                    "type": "object",
                    "properties": {
                        "name": { "type": ["string", "number", "boolean"], "description": "Who to greet." },
                        "times": {
                            "type": ["integer", "null"],
                            "format": "uint8",
                            "minimum": 0,
                            "maximum": 255,
                            "description": "How often.",
                        },
                        "files": {
                            "type": ["object", "string", "null"],
                            "additionalProperties": { "type": ["string", "number", "boolean", "null"] },
                            "x-weft-role": "input-files",
                        },
                    },
                    "required": ["name"],
                    "additionalProperties": false,
                },
                "outputs": {
                    "type": "object",
                    "properties": { "text": { "type": "string", "description": "The text." } },
                    "required": ["text"],
                },
                "examples": [{ "title": "Greet Ada", "yaml": "name: Ada\n" }],
                "deprecated": "use `test.Open`",
                "needs": { "hosts": ["https://example.com"], "commands": [], "images": [] },
            },
            {
                "type": "test.Open",
                "aliases": [],
                "title": "Open",
                "description": "Takes any property.",
                "properties": { "type": "object", "properties": {}, "additionalProperties": true },
                "outputs": { "type": "object" },
                "examples": [],
                "deprecated": null,
                "needs": no_needs,
            },
            {
                "type": "test.Wrong",
                "aliases": [],
                "title": "Returns what is no object",
                "description": "Returns what is no object.",
                "properties": { "type": "object", "properties": {}, "additionalProperties": false },
                "outputs": { "type": "array", "items": { "type": "integer", "format": "int32" } },
                "examples": [],
                "deprecated": null,
                "needs": no_needs,
            },
        ],
        "triggers": [{
            "type": "test.Count",
            "aliases": [],
            "title": "Counts its own polls",
            "description": "Counts its own polls.",
            "properties": {
                "type": "object",
                "properties": {
                    "from": {
                        "type": "integer",
                        "format": "uint32",
                        "minimum": 0,
                        "description": "From which number on.",
                    },
                },
                "required": ["from"],
                "additionalProperties": false,
            },
            "examples": [],
            "deprecated": null,
            "needs": no_needs,
            "outputs": { "type": "object" },
        }],
    });
    assert_eq!(WeftPlugin::describe(), expected);
}

#[test]
fn tasks_run_from_json_to_json() {
    for (type_name, properties, expected) in [
        ("test.Greet", json!({"name": "Ada"}), Ok(json!({"text": "hello Ada"}))),
        (
            "test.Salute",
            json!({"name": 7, "times": 2, "files": {"a": "b"}}),
            Ok(json!({"text": "hello 7hello 7"})),
        ),
        ("test.Greet", json!({}), Err("plugin.properties")),
        ("test.Greet", json!({"name": []}), Err("plugin.properties")),
        ("test.Greet", json!([]), Err("plugin.properties")),
        ("test.Open", json!({"a": {"b": 1}}), Ok(json!({"emitted": 1, "all": {"a": {"b": 1}}}))),
        ("test.Wrong", json!({}), Err("plugin.outputs")),
        ("test.None", json!({}), Err("plugin.unknown-type")),
    ] {
        let run = Harness::new().call::<WeftPlugin>(type_name, &properties);
        let result = run.result.as_ref().map(|_| Value::Object(run.outputs.clone())).map_err(Error::code);
        assert_eq!(result, expected, "{type_name} {properties}");
    }
}

#[test]
fn triggers_hand_on_their_state() {
    let host = Harness::new();
    let mut state = String::new();
    for (poll, expected) in
        [vec![], vec![json!({"polls": 2})], vec![json!({"polls": 3})]].into_iter().enumerate()
    {
        let found = host.call_trigger::<WeftPlugin>("test.Count", &json!({"from": 2}), &state).unwrap();
        assert_eq!(found.events, expected, "poll {poll}");
        assert_eq!(found.next, Some(Duration::from_secs(1)));
        state = found.state;
    }
    assert_eq!(state, "3");
    let same = host.call_acknowledge::<WeftPlugin>("test.Count", &json!({"from": 2}), &state).unwrap();
    assert_eq!(same, state, "nothing to follow up on");
    let error = host.call_trigger::<WeftPlugin>("test.Count", &json!({"from": 2}), "{").unwrap_err();
    assert_eq!(error.code(), "plugin.properties");
}
