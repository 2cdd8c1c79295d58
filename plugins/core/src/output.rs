//! The task that gives values names.

use serde_json::Map;
use weft_sdk::prelude::*;

/// Puts out values, for later tasks and for whoever looks at the execution.
#[derive(Deserialize, JsonSchema)]
pub struct OutputValues {
    /// The values by name.
    values: Map<String, Value>,
}

/// What `OutputValues` puts out.
#[derive(Serialize, JsonSchema)]
pub struct Values {
    /// The values by name.
    values: Map<String, Value>,
}

impl Task for OutputValues {
    const TYPE: &'static str = "io.kestra.plugin.core.output.OutputValues";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Put out two values",
        yaml: r#"id: output_values
namespace: company.team
tasks:
  - id: result
    type: io.kestra.plugin.core.output.OutputValues
    values:
      greeting: "hello {{ flow.id }}"
      count: 3
  - id: show
    type: io.kestra.plugin.core.log.Log
    message: "{{ outputs.result.values.greeting }}"
"#,
    }];

    fn run(self, _: &Context) -> Result<impl Output> {
        Ok(Values { values: self.values })
    }
}
