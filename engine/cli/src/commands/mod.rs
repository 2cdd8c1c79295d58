//! One module for each command: arguments in, text out.

pub mod completions;
pub mod executions;
pub mod explain;
pub mod expr;
pub mod flow;
pub mod namespace;
pub mod plugins;
pub mod run;
pub mod schema;
pub mod store;
pub mod test;
pub mod triggers;
pub mod trust;
pub mod validate;

mod diagnostics;
mod files;
mod watch;
