//! What the operator and the caller decide, the same for all executions.

use std::fmt;
use std::sync::Arc;

use minijinja::value::Serde;
use weft_expr::Value;
use weft_flow::Task;
use weft_model::Map;

/// Settings shared by all machines of an engine.
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

/// Turns the rendered text of a templated task into a task.
pub trait TemplateParser: fmt::Debug + Send + Sync {
    /// The task that `yaml` describes, or what is wrong with it.
    fn parse_task(&self, yaml: &str) -> Result<Task, String>;
}
