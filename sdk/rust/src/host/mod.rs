//! The host's functions as the SDK calls them: the component's imports in a plugin, a fake in native unit tests.
//! Both files have the same functions; everything above them is the same code.

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod wasm;
#[cfg(target_family = "wasm")]
mod wasm_http;

#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{Handle, Host, Incoming, Socket, World};
#[cfg(target_family = "wasm")]
pub(crate) use wasm::{Handle, Host, Socket};
#[cfg(target_family = "wasm")]
pub(crate) use wasm_http::Incoming;
