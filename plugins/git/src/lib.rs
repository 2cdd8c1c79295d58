//! The bundled plugin of Git tasks.
//!
//! Owns: what flows may write about a clone. Never does: the clone itself, which is the host's (`git` of the contract):
//! so credentials do not stay here, and no C code has to run in a component.

mod clone;

weft_sdk::plugin!(descriptor: "../descriptor.packed"; clone::Clone);

#[cfg(test)]
mod tests;
