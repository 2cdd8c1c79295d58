//! Parts of `weft-host` that stand for themselves.
#![allow(dead_code, missing_docs, reason = "the host uses all of it, and its crate brings wasmtime along")]

#[path = "../../engine/host/src/descriptor.rs"]
pub mod descriptor;
#[path = "../../engine/host/src/grants/mod.rs"]
pub mod grants;

pub use grants::{GrantError, Grants};
