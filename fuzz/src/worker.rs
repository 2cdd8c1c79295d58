//! Parts of `weft-worker` that stand for themselves.
#![allow(
    dead_code,
    missing_docs,
    reason = "the worker uses all of it, and its crate brings the whole engine along"
)]

#[path = "../../engine/worker/src/protocol.rs"]
pub mod protocol;
#[path = "../../engine/worker/src/render.rs"]
pub mod render;
#[path = "../../engine/worker/src/schema.rs"]
pub mod schema;
