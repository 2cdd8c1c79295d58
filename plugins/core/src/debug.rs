//! Tasks that show a value.

use std::time::Instant;

use weft_sdk::Text;
use weft_sdk::prelude::*;

use crate::values::{LevelName, level};

/// Puts out a text, usually one made by an expression.
///
/// For trying out expressions, and for giving a value a name that later tasks use.
#[derive(Deserialize, JsonSchema)]
pub struct Return {
    /// The text.
    format: Option<Text>,
}

/// What `Return` puts out.
#[derive(Serialize, JsonSchema)]
pub struct Returned {
    /// The text; null where there was none.
    value: Option<Text>,
}

impl Task for Return {
    const TYPE: &'static str = "io.kestra.plugin.core.debug.Return";
    const ALIASES: &'static [&'static str] = &["io.kestra.core.tasks.debugs.Return"];
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Pass a value to the next task",
        yaml: r#"id: pass_a_value
namespace: company.team
tasks:
  - id: greeting
    type: io.kestra.plugin.core.debug.Return
    format: "hello from {{ flow.id }}"
  - id: show
    type: io.kestra.plugin.core.log.Log
    message: "{{ outputs.greeting.value }}"
"#,
    }];

    fn run(self, cx: &Context) -> Result<impl Output> {
        let start = Instant::now();
        let text = self.format.as_deref().unwrap_or_default();
        if self.format.is_some() {
            cx.log().debug(text);
        }
        let tags = [("format", text)];
        // UTF-16 units, as upstream counts.
        cx.counter("length", text.encode_utf16().count() as f64, &tags);
        cx.timer("duration", start.elapsed(), &tags);
        Ok(Returned { value: self.format })
    }
}

/// Writes a text to the log.
#[derive(Deserialize, JsonSchema)]
pub struct Echo {
    /// The text.
    format: Option<Text>,
    /// The level.
    #[schemars(with = "Option<LevelName>", extend("default" = "INFO"))]
    level: Option<Text>,
}

impl Task for Echo {
    const TYPE: &'static str = "io.kestra.plugin.core.debug.Echo";
    const ALIASES: &'static [&'static str] = &["io.kestra.core.tasks.debugs.Echo"];
    const DEPRECATED: Option<&'static str> = Some("use `io.kestra.plugin.core.log.Log`");

    fn run(self, cx: &Context) -> Result<impl Output> {
        cx.log().write(level(self.level.as_ref()), self.format.as_deref().unwrap_or_default(), None);
        Ok(())
    }
}
