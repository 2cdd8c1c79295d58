//! Tasks whose YAML is rendered when they start.

use tokio::runtime::Handle;
use weft_executor::TemplateParser;
use weft_flow::{ParseOptions, Task, Validator};
use weft_host::Host;

use crate::FlowCatalogue;

/// Reads the YAML of templated tasks with the plugins of a host.
pub struct Templates {
    host: Host,
}

impl Templates {
    /// A reader that knows the plugins of `host`.
    pub fn new(host: Host) -> Self {
        Self { host }
    }
}

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Templates")
    }
}

impl TemplateParser for Templates {
    fn parse_task(&self, yaml: &str) -> Result<Task, String> {
        let host = tokio::task::block_in_place(|| Handle::current().block_on(self.host.catalogue()));
        let catalogue = FlowCatalogue::new(host);
        let (task, diagnostics) = Validator::new(&catalogue).parse_task(yaml, &ParseOptions::default());
        task.ok_or_else(|| {
            let problems = diagnostics.iter().filter(|diagnostic| diagnostic.is_fatal()).map(|diagnostic| {
                format!(
                    "line {} column {}: {}",
                    diagnostic.span.start.line, diagnostic.span.start.column, diagnostic.message
                )
            });
            problems.collect::<Vec<_>>().join("; ")
        })
    }
}
