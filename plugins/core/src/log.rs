//! The task that writes to the log.

use weft_sdk::Text;
use weft_sdk::prelude::*;

use crate::values::{LevelName, Texts, level};

/// Writes one or several lines to the log.
#[derive(Deserialize, JsonSchema)]
pub struct Log {
    /// A text, or a list of texts: one line each.
    message: Texts,
    /// The level.
    #[schemars(with = "Option<LevelName>", extend("default" = "INFO"))]
    level: Option<Text>,
}

impl Task for Log {
    const TYPE: &'static str = "io.kestra.plugin.core.log.Log";
    const ALIASES: &'static [&'static str] = &["io.kestra.core.tasks.log.Log"];
    const EXAMPLES: &'static [Example] = &[
        Example {
            title: "Write a line",
            yaml: r#"id: hello
namespace: company.team
tasks:
  - id: log
    type: io.kestra.plugin.core.log.Log
    message: "hello from {{ flow.id }}"
"#,
        },
        Example {
            title: "Write several lines at one level",
            yaml: r#"id: log
type: io.kestra.plugin.core.log.Log
level: WARN
message:
  - "the first line of {{ execution.id }}"
  - the second line
"#,
        },
    ];

    fn run(self, cx: &Context) -> Result<impl Output> {
        let level = level(self.level.as_ref());
        for line in self.message.lines() {
            cx.log().write(level, &line, None);
        }
        Ok(())
    }
}
