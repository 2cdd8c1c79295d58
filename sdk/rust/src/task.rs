//! The two traits that a plugin implements.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;
use serde_json::{Map, Value};

use crate::{Context, Error, Example, Needs, PollContext, Result};

/// What a task puts out: an object whose keys expressions see as `outputs.<taskId>`. `json!` values and every type
/// that is `Serialize` and `JsonSchema` will do; `()` is no outputs.
pub trait Output: Serialize + JsonSchema {}

impl<T: Serialize + JsonSchema> Output for T {}

/// A task type. The type that implements it holds the task's properties, rendered and validated.
///
/// Doc comments become the reference documentation: that of the type describes the task, those of its fields the
/// properties. The schema forbids properties that the type does not have.
pub trait Task: DeserializeOwned + JsonSchema {
    /// The name that flows use.
    const TYPE: &'static str;
    /// Other names that mean the same, such as former ones.
    const ALIASES: &'static [&'static str] = &[];
    /// A few words for lists; the first line of the description where it is empty.
    const TITLE: &'static str = "";
    /// What the task does, in Markdown; the type's doc comment where it is empty.
    const DESCRIPTION: &'static str = "";
    /// Complete flows or tasks that show its use.
    const EXAMPLES: &'static [Example] = &[];
    /// Why not to use it any more and what instead.
    const DEPRECATED: Option<&'static str> = None;
    /// What it reaches beyond the engine, for the operator to see before granting.
    const NEEDS: Needs = Needs::NOTHING;

    /// Runs once. The outputs are merged over those already given to [`Context::output`].
    fn run(self, cx: &Context) -> Result<impl Output>;

    /// Runs once, from JSON to JSON. Several types that do the same thing to the same properties may override it with
    /// one function, so that the component holds that once.
    fn run_json(properties: &str, cx: &Context) -> Result<String> {
        let task: Self = read(Self::TYPE, properties)?;
        object(Self::TYPE, serde_json::to_string(&task.run(cx)?))
    }
}

/// Properties as `T`. Parsing is the same code for all types; only the step from a map to a type is compiled per type.
pub(crate) fn read<T: DeserializeOwned>(type_name: &str, properties: &str) -> Result<T> {
    let map = parse_map(type_name, properties)?;
    T::deserialize(MapDeserializer::new(map.into_iter())).map_err(|error| misfit(type_name, &error))
}

fn parse_map(type_name: &str, properties: &str) -> Result<Map<String, Value>> {
    serde_json::from_str(properties).map_err(|error| misfit(type_name, &error))
}

/// The engine has validated what it gives, so this is a schema that does not say what the type wants.
pub(crate) fn misfit(type_name: &str, error: &serde_json::Error) -> Error {
    Error::new(
        "plugin.properties",
        format!("`{type_name}` was given what the plugin does not expect: {error}"),
    )
}

/// That outputs are an object is seen only here: no trait says so.
fn object(type_name: &str, outputs: serde_json::Result<String>) -> Result<String> {
    let text = outputs?;
    match text.as_bytes().first() {
        Some(b'{') => Ok(text),
        Some(b'n') => Ok("{}".to_owned()),
        _ => Err(Error::new(
            "plugin.outputs",
            format!("the outputs of `{type_name}` are not an object: {text}"),
        )),
    }
}

/// A trigger type: asked again and again whether something has happened. The type that implements it holds the
/// trigger's properties.
pub trait Trigger: DeserializeOwned + JsonSchema {
    /// What is remembered between two polls. The engine stores it together with the executions that the poll starts.
    type State: Default + Serialize + DeserializeOwned;
    /// What expressions see as `trigger`; `Value` will do.
    type Event: Output;
    /// The name that flows use.
    const TYPE: &'static str;
    /// Other names that mean the same, such as former ones.
    const ALIASES: &'static [&'static str] = &[];
    /// A few words for lists; the first line of the description where it is empty.
    const TITLE: &'static str = "";
    /// What the trigger waits for, in Markdown; the type's doc comment where it is empty.
    const DESCRIPTION: &'static str = "";
    /// Complete flows or triggers that show its use.
    const EXAMPLES: &'static [Example] = &[];
    /// Why not to use it any more and what instead.
    const DEPRECATED: Option<&'static str> = None;
    /// What it reaches beyond the engine, for the operator to see before granting.
    const NEEDS: Needs = Needs::NOTHING;

    /// Looks once, and changes nothing outside: what must follow from an event is for [`Trigger::acknowledge`].
    fn poll(self, cx: &PollContext, state: Self::State) -> Result<Poll<Self::State, Self::Event>>;

    /// The executions of the last poll's events are stored: deletes, moves or confirms what they were made from, which
    /// `state` remembers. It may be called again after a crash, so it must not mind what is done already. There is no
    /// poll before it has succeeded. The result is the new state.
    fn acknowledge(self, _cx: &PollContext, state: Self::State) -> Result<Self::State> {
        Ok(state)
    }
}

/// What one poll of a trigger found.
#[derive(Debug, Clone, PartialEq)]
pub struct Poll<S, E = Value> {
    /// What expressions see as `trigger`: one execution each.
    pub events: Vec<E>,
    /// What to remember.
    pub state: S,
    /// When to look again, where it should not be the trigger's own interval.
    pub next: Option<Duration>,
}

impl<S, E> Poll<S, E> {
    /// Nothing happened.
    pub fn nothing(state: S) -> Self {
        Self { events: Vec::new(), state, next: None }
    }

    /// Something happened: starts one execution.
    #[must_use]
    pub fn event(mut self, event: E) -> Self {
        self.events.push(event);
        self
    }

    /// Look again after this time.
    #[must_use]
    pub fn again_in(mut self, time: Duration) -> Self {
        self.next = Some(time);
        self
    }
}
