//! The plugins that are part of the `weft` binary, as bytes.
//!
//! `build.rs` compiles the guest crates under `plugins/` for `wasm32-wasip2` and this crate carries the result, so that
//! one file is a whole installation. It knows nothing of what is inside a plugin: weft-cli hands the bytes to weft-host,
//! which compiles and describes them.
//!
//! `WEFT_BUNDLE_DIR`, set when this crate is compiled, names a directory of ready-made `weft_plugin_NAME.wasm` files to
//! carry instead: for packagers whose build machine has no `wasm32-wasip2` target.

/// One plugin of the bundle.
#[derive(Clone, Copy)]
pub struct Bundled {
    /// The name of the plugin's folder under `plugins/`: `core`.
    pub name: &'static str,
    /// The WASI component, in the binary format.
    pub wasm: &'static [u8],
    /// SHA-256 of `wasm` in lower-case hexadecimal, computed at build time: what grants and the cache of compiled code
    /// go by.
    pub sha256: &'static str,
    /// What the plugin's `describe` answers, unpacked from the file that its own tests keep current; so the first start
    /// need not compile a plugin to ask it. None for plugins of `WEFT_BUNDLE_DIR`, which may be others.
    pub descriptor: Option<&'static str>,
}

include!(concat!(env!("OUT_DIR"), "/plugins.rs"));

/// Every plugin of the bundle, in the order of the list in `build.rs`.
pub fn plugins() -> &'static [Bundled] {
    &PLUGINS
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// The preamble of a component: magic number, version 13, layer 1 (a core module has layer 0).
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn plugins_are_components_with_their_hash() {
        assert!(!plugins().is_empty());
        for plugin in plugins() {
            assert!(plugin.wasm.starts_with(COMPONENT), "{}", plugin.name);
            let hash: String = Sha256::digest(plugin.wasm).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(plugin.sha256, hash, "{}", plugin.name);
        }
    }
}
