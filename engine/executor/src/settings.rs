//! What the operator and the caller decide, the same for all executions.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use minijinja::value::Serde;
use serde_json::Value as Json;
use weft_expr::Value;
use weft_flow::{NoPlaces, Places, Task};
use weft_model::{Amount, Map};

/// Settings, shared by all machines of an engine but for what a flow's own source says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What expressions see as `globals`.
    pub globals: Value,
    /// What expressions see as `envs`.
    pub envs: Value,
    /// What expressions see as `kestra`: `environment` and `url`, if they are configured.
    pub instance: Value,
    /// What becomes of tasks that were running when the engine stopped.
    pub lost_tasks: LostTasks,
    /// Reads the YAML of templated tasks; without one they fail.
    pub templates: Option<Arc<dyn TemplateParser>>,
    /// Opens inputs that are kept encrypted; without one, expressions see them as they are kept.
    pub seals: Option<Arc<dyn Seals>>,
    /// How many labels an execution may have by what its tasks set.
    pub max_labels: u64,
    /// How much its tasks may set as variables, all of them together.
    pub max_variables: Amount,
    /// Finds what failed in the flow's source.
    pub places: Arc<dyn Places>,
}

impl Settings {
    /// Settings with these values for expressions.
    pub fn new(globals: &Map, envs: &Map, environment: Option<&str>, url: Option<&str>) -> Self {
        let instance = [("environment", environment), ("url", url)];
        Self {
            globals: Value::from(Serde(globals)),
            envs: Value::from(Serde(envs)),
            instance: Value::from_pairs(instance.into_iter().filter_map(|(key, value)| Some((key, value?)))),
            lost_tasks: LostTasks::default(),
            templates: None,
            seals: None,
            max_labels: 1_000,
            max_variables: Amount { bytes: 16 << 20, nodes: 1_000_000 },
            places: Arc::new(NoPlaces),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(&Map::new(), &Map::new(), None, None)
    }
}

/// What becomes of a task that was running when the engine stopped and took the task down with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LostTasks {
    /// It is run again, as the same attempt.
    #[default]
    RunAgain,
    /// The attempt ends as FAILED; the task's own retry decides about another.
    Fail,
}

/// Opens what is kept encrypted in an execution: the values of SECRET inputs.
pub trait Seals: fmt::Debug + Send + Sync {
    /// The text that `value` stands for; none if it is no sealed value, or cannot be opened.
    fn open(&self, value: &Json) -> Option<String>;
}

impl Settings {
    /// A map of inputs with everything opened that is kept sealed.
    pub(crate) fn opened<'m>(&self, map: &'m Map) -> Cow<'m, Map> {
        match &self.seals {
            Some(seals) if map.values().any(|value| value.is_object() || value.is_array()) => {
                Cow::Owned(open_all(map, &**seals))
            }
            _ => Cow::Borrowed(map),
        }
    }
}

fn open_all(map: &Map, seals: &dyn Seals) -> Map {
    map.iter().map(|(key, value)| (key.clone(), open_value(value, seals))).collect()
}

fn open_value(value: &Json, seals: &dyn Seals) -> Json {
    match (seals.open(value), value) {
        (Some(text), _) => Json::String(text),
        (None, Json::Object(inner)) => Json::Object(open_all(inner, seals)),
        (None, Json::Array(items)) => items.iter().map(|item| open_value(item, seals)).collect(),
        (None, value) => value.clone(),
    }
}

/// Turns the rendered text of a templated task into a task.
pub trait TemplateParser: fmt::Debug + Send + Sync {
    /// The task that `yaml` describes, or what is wrong with it.
    fn parse_task(&self, yaml: &str) -> Result<Task, String>;
}
