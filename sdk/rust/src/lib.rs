//! Write a task or trigger type for Weft as one small WebAssembly component.
//!
//! ```
//! use weft_sdk::prelude::*;
//!
//! /// Says hello.
//! #[derive(Deserialize, JsonSchema)]
//! struct Hello {
//!     /// Who to greet.
//!     name: String,
//! }
//! impl Task for Hello {
//!     const TYPE: &'static str = "examples.hello";
//!     fn run(self, cx: &Context) -> Result<impl Output> {
//!         cx.log().info(format!("hello {}", self.name));
//!         Ok(json!({ "length": self.name.len() }))
//!     }
//! }
//! plugin!(Hello);
//! # let run = weft_sdk::testing::Harness::new().run(Hello { name: "Ada".to_owned() });
//! # assert_eq!(run.logs[0].message, "hello Ada");
//! ```
//!
//! Owns: the Rust face of the plugin contract (`wit/weft-plugin.wit`): traits, the [`plugin!`] macro, what a plugin may
//! ask of its host ([`Context`]), the descriptor, and a fake host for unit tests ([`testing`], native builds only).
//! Never does: rendering of expressions, validation of properties, collection of files; the engine has done or will do
//! these. Called by: plugins. `docs/plugins.md` is the guide.

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;
#[cfg(target_family = "wasm")]
mod component;
mod context;
mod describe;
mod error;
mod files;
mod host;
pub mod http;
mod pack;
mod plugin;
mod process;
mod task;
mod tcp;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod values;

pub use context::{Context, Environment, Execution, Kv, Level, Log, PollContext, Secrets, Storage};
pub use describe::{Example, Needs};
pub use error::{Error, Result};
pub use files::{InputFiles, Interval, NamespaceFiles, OutputDirectory, OutputFiles};
pub use plugin::{Plugin, TaskEntry, TriggerEntry};
pub use process::{Child, Command, Container, Exit, Process};
pub use task::{Output, Poll, Task, Trigger};
pub use tcp::{Tcp, TcpConnection, TcpOptions};
/// What [`Command::options`] may say to the container runner.
pub use weft_contract::container;
pub use weft_contract::{IsoDuration, Text};

/// What [`plugin!`] expands to needs these, and nobody else.
#[doc(hidden)]
pub mod internal {
    #[cfg(target_family = "wasm")]
    pub use crate::component::Component;
    pub use crate::describe::{describe_task, describe_trigger, descriptor};
    pub use crate::pack::unpack;
    pub use serde_json::Value;
}

/// All that a plugin with one task needs: `use weft_sdk::prelude::*;`.
pub mod prelude {
    pub use crate::{Context, Error, Example, Output, Poll, PollContext, Result, Task, Trigger, plugin};
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
    pub use serde_json::{Value, json};
}
