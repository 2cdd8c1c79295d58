//! The contract (`wit/weft-plugin.wit`) as Rust types and traits, generated.

#![allow(missing_docs, clippy::all, reason = "generated")]

wasmtime::component::bindgen!({
    world: "plugin",
    path: "../../wit",
    imports: {
        // What may wait.
        "weft:plugin/secrets": async,
        "weft:plugin/kv": async,
        "weft:plugin/storage": async,
        "weft:plugin/files": async,
        "weft:plugin/environment": async,
        "weft:plugin/git": async,
        // A handle that the guest made up is a trap.
        "weft:plugin/process": async | trappable,
        "weft:plugin/container": async | trappable,
        "weft:plugin/tcp": async | trappable,
    },
    exports: { default: async },
    with: {
        "weft:plugin/process.child": crate::capabilities::process::ChildHandle,
        "weft:plugin/tcp.connection": crate::capabilities::tcp::Connection,
    },
});
