//! The bundled plugin of HTTP tasks: `Request`, whose answer is an output, and `Download`, whose answer is a file.
//!
//! Owns: what flows of both eras may write about a request, forms, the names of downloaded files, which answers are
//! failures. Never does: opening connections, TLS, proxies, rules about addresses; the host does. `properties` is the
//! documentation of what flows may write, `ask` sends it, `form` makes bodies, `names` makes file names.

mod ask;
mod download;
mod form;
mod names;
mod properties;
mod request;

weft_sdk::plugin!(
    descriptor: "../descriptor.packed";
    download::Download,
    request::Request
);

#[cfg(test)]
mod tests;
