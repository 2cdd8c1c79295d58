//! `run`: outputs, metrics and facts of the task run.

use weft_model::{Level, MetricKind, abridged};

use crate::bindings::weft::plugin::{run::Host, types::Failure};
use crate::store::RunState;

impl Host for RunState {
    fn emit_output(&mut self, key: String, value: String) -> Result<(), Failure> {
        let value = self.json(&format!("output `{}`", abridged(&key)), &value)?;
        Ok(self.caps.emit_output(&key, value)?)
    }

    fn emit_metric(&mut self, name: String, kind: String, value: f64, tags: Vec<(String, String)>) {
        let kind = match kind.as_str() {
            "counter" => MetricKind::Counter,
            "timer" => MetricKind::Timer,
            "gauge" => MetricKind::Gauge,
            _ => {
                let message = format!(
                    "metric `{}` is left out: its kind is `{}`, expected `counter`, `timer` or `gauge`",
                    abridged(&name),
                    abridged(&kind),
                );
                return self.caps.log(Level::Warn, &message, None);
            }
        };
        self.caps.emit_metric(&name, kind, value, tags);
    }

    fn mark_warning(&mut self, reason: String) {
        self.caps.mark_warning(&reason);
    }

    fn working_dir(&mut self) -> String {
        self.caps.working_dir().to_string_lossy().into_owned()
    }

    fn cancel_requested(&mut self) -> bool {
        self.caps.cancel_requested()
    }
}
