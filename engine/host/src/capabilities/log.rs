//! `log`: lines of the execution's log.

use serde_json::Value;
use weft_model::{Failure, Level};

use crate::bindings::weft::plugin::log::Host;
use crate::store::RunState;

/// A longer message is cut, and longer fields are left out.
const MAX_MESSAGE: usize = 256 << 10;

impl RunState {
    fn fields(&self, fields: &str) -> Result<Value, Failure> {
        if fields.len() > MAX_MESSAGE {
            let message =
                format!("the fields of the line above are left out: they have {} bytes", fields.len());
            return Err(Failure::new("plugin.bad-output", message));
        }
        self.json("a log line's fields", fields)
    }
}

impl Host for RunState {
    fn write(&mut self, level: u8, mut message: String, fields: Option<String>) {
        if message.len() > MAX_MESSAGE {
            let end = message.floor_char_boundary(MAX_MESSAGE);
            message.truncate(end);
            message.push_str("... (cut)");
        }
        let level = Level::from_number(level);
        // There is nobody to report to: a log line must not fail. What cannot be read is left out, and that is said.
        match fields.map(|fields| self.fields(&fields)).transpose() {
            Ok(fields) => self.caps.log(level, &message, fields),
            Err(failure) => {
                self.caps.log(level, &message, None);
                self.caps.log(Level::Warn, &failure.message, None);
            }
        }
    }
}
