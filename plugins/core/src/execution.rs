//! Tasks that change or end the execution they are part of.

use serde_json::Map;
use weft_sdk::Text;
use weft_sdk::prelude::*;

use crate::values::{Texts, is_false, plain};

/// Fails, if a condition holds or in any case.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fail {
    /// Fails only if this is true: rendered, it is neither empty nor `false`, `0` or `-0`. Without it, it always fails.
    condition: Option<Text>,
    /// What the failure says.
    #[schemars(extend("default" = "Task failure"))]
    error_message: Option<Text>,
}

impl Task for Fail {
    const TYPE: &'static str = "io.kestra.plugin.core.execution.Fail";
    const ALIASES: &'static [&'static str] = &["io.kestra.core.tasks.executions.Fail"];
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Fail when an input is not as expected",
        yaml: r#"id: fail_on_input
namespace: company.team
inputs:
  - id: rows
    type: INT
    defaults: 3
tasks:
  - id: check
    type: io.kestra.plugin.core.execution.Fail
    condition: "{{ inputs.rows < 1 }}"
    errorMessage: "expected at least one row, got {{ inputs.rows }}"
"#,
    }];

    fn run(self, _: &Context) -> Result<impl Output> {
        if self.condition.is_some_and(|condition| is_false(&condition)) {
            return Ok(());
        }
        Err(Error::new(
            "task.fail",
            self.error_message.map_or_else(|| "Task failure".to_owned(), |text| text.0),
        ))
    }
}

/// Fails unless all conditions hold.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Assert {
    /// The conditions. One holds if, rendered, it is neither empty nor `false`, `0` or `-0`.
    conditions: Vec<Text>,
    /// What the failure says besides.
    error_message: Option<Text>,
}

impl Task for Assert {
    const TYPE: &'static str = "io.kestra.plugin.core.execution.Assert";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Check values before going on",
        yaml: r#"id: check_values
namespace: company.team
inputs:
  - id: count
    type: INT
    defaults: 3
tasks:
  - id: check
    type: io.kestra.plugin.core.execution.Assert
    conditions:
      - "{{ inputs.count > 0 }}"
      - "{{ inputs.count < 10 }}"
    errorMessage: "count is {{ inputs.count }}"
"#,
    }];

    fn run(self, cx: &Context) -> Result<impl Output> {
        let mut failed = 0;
        for (index, condition) in self.conditions.iter().enumerate() {
            if is_false(condition) {
                failed += 1;
                cx.log().error(format!(
                    "condition {} of {} is `{condition}`",
                    index + 1,
                    self.conditions.len()
                ));
            }
        }
        cx.counter("success", (self.conditions.len() - failed) as f64, &[]);
        cx.counter("failed", failed as f64, &[]);
        if failed == 0 {
            return Ok(());
        }
        let mut message = format!("{failed} of {} conditions do not hold", self.conditions.len());
        if let Some(text) = self.error_message {
            message = [&message, "\n", &text.0].concat();
        }
        Err(Error::new("task.assert", message))
    }
}

/// Adds labels to the execution, or replaces them.
#[derive(Deserialize, JsonSchema)]
pub struct Labels {
    /// A map of labels, a list of entries with `key` and `value`, or a JSON text of a map.
    #[schemars(with = "LabelsForm")]
    labels: Value,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
enum LabelsForm {
    Map(Map<String, Value>),
    List(Vec<LabelEntry>),
    Json(String),
}

#[derive(JsonSchema)]
#[schemars(extend("additionalProperties" = false))]
#[allow(dead_code, reason = "only its schema is used")]
struct LabelEntry {
    key: Text,
    value: Value,
}

impl Task for Labels {
    const TYPE: &'static str = "io.kestra.plugin.core.execution.Labels";
    const ALIASES: &'static [&'static str] = &["io.kestra.core.tasks.executions.Labels"];
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Label the execution with the result of a task",
        yaml: r#"id: label_result
namespace: company.team
tasks:
  - id: result
    type: io.kestra.plugin.core.debug.Return
    format: good
  - id: label
    type: io.kestra.plugin.core.execution.Labels
    labels:
      quality: "{{ outputs.result.value }}"
"#,
    }];

    fn run(self, cx: &Context) -> Result<impl Output> {
        cx.execution().labels(&read_labels(self.labels)?)?;
        Ok(())
    }
}

fn read_labels(labels: Value) -> Result<Vec<(String, String)>> {
    let labels = match labels {
        Value::String(text) => serde_json::from_str(&text)
            .map_err(|error| bad_labels(&format!("a text that is not JSON ({error})")))?,
        other => other,
    };
    let labels: Vec<(String, String)> = match labels {
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, plain(value))).collect(),
        Value::Array(entries) => entries.into_iter().map(read_entry).collect::<Result<_>>()?,
        _ => return Err(bad_labels("neither a map nor a list")),
    };
    match labels.iter().find(|(key, _)| key.starts_with("system.")) {
        Some((key, _)) => {
            Err(bad_labels(&format!("a label `{key}`, but only the engine sets labels of `system.`")))
        }
        None => Ok(labels),
    }
}

fn read_entry(entry: Value) -> Result<(String, String)> {
    match entry {
        Value::Object(mut entry) => match (entry.remove("key"), entry.remove("value")) {
            (Some(key), Some(value)) => Ok((plain(key), plain(value))),
            _ => Err(bad_labels("an entry without `key` and `value`")),
        },
        _ => Err(bad_labels("an entry that is no map")),
    }
}

fn bad_labels(what: &str) -> Error {
    Error::new("property.invalid", ["`labels` is or contains ", what].concat())
}

/// Ends the execution in a given state. What waits is not started; what runs is ended for `KILLED`, and goes on otherwise.
#[derive(Deserialize, JsonSchema)]
pub struct Exit {
    /// The state.
    #[schemars(with = "Option<ExitState>", extend("default" = "SUCCESS"))]
    state: Option<Text>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "UPPERCASE")]
#[allow(dead_code, reason = "only its schema is used")]
enum ExitState {
    Success,
    Warning,
    Failed,
    Killed,
    // As upstream spells it.
    Canceled,
    Cancelled,
}

impl Task for Exit {
    const TYPE: &'static str = "io.kestra.plugin.core.execution.Exit";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "End early when there is nothing to do",
        yaml: r#"id: end_early
namespace: company.team
inputs:
  - id: rows
    type: INT
    defaults: 0
tasks:
  - id: nothing
    type: io.kestra.plugin.core.flow.If
    condition: "{{ inputs.rows == 0 }}"
    then:
      - id: end
        type: io.kestra.plugin.core.execution.Exit
        state: WARNING
  - id: work
    type: io.kestra.plugin.core.log.Log
    message: working
"#,
    }];

    fn run(self, cx: &Context) -> Result<impl Output> {
        cx.execution().exit(match self.state.as_deref() {
            None => "SUCCESS",
            Some("CANCELED") => "CANCELLED",
            Some(state) => state,
        })
    }
}

/// Sets variables of the execution, which expressions of later tasks see as `vars`.
#[derive(Deserialize, JsonSchema)]
pub struct SetVariables {
    /// The variables. Those that the flow or an earlier task has set are replaced.
    #[schemars(extend("x-weft-role" = "set-variables"))]
    variables: Map<String, Value>,
    /// Only `true`: that a variable which exists is an error is not supported.
    #[allow(dead_code, reason = "one value only")]
    #[serde(default)]
    #[schemars(with = "bool", extend("enum" = [true], "default" = true))]
    overwrite: bool,
}

impl Task for SetVariables {
    const TYPE: &'static str = "io.kestra.plugin.core.execution.SetVariables";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Set a variable and use it",
        yaml: r#"id: set_variables
namespace: company.team
variables:
  name: World
tasks:
  - id: set
    type: io.kestra.plugin.core.execution.SetVariables
    variables:
      message: Hello
  - id: show
    type: io.kestra.plugin.core.log.Log
    message: "{{ vars.message }} {{ vars.name }}"
"#,
    }];

    fn run(self, cx: &Context) -> Result<impl Output> {
        cx.execution().set_variables(self.variables)
    }
}

/// Removes variables of the execution.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnsetVariables {
    /// Their names.
    variables: Texts,
    /// Has no effect: a variable that does not exist is no error.
    #[allow(dead_code, reason = "has no effect")]
    ignore_missing: Option<bool>,
}

impl Task for UnsetVariables {
    const TYPE: &'static str = "io.kestra.plugin.core.execution.UnsetVariables";

    fn run(self, cx: &Context) -> Result<impl Output> {
        cx.execution().unset_variables(&self.variables.lines())
    }
}
