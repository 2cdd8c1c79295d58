//! Log lines of an execution: one file of JSON lines, each a [`weft_model::LogEntry`].
//!
//! Built for programs that write half a million lines a second: lines are encoded by hand into one buffer, many under
//! one lock, and reach the file at 64 KiB or after a tenth of a second. A log is not waited for on the disk: what a
//! failure of power loses is the end of it.

mod encode;
mod flush;
mod reader;
mod writer;

pub use encode::push_json_text;
pub use reader::{LogFilter, LogReader};
pub use writer::{AttemptLog, LogBatch, LogWriter, MAX_ATTEMPT_BYTES, MAX_MESSAGE_BYTES};
