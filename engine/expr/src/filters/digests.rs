//! Hashes of the UTF-8 bytes of a text, in lower-case hexadecimal.

use std::fmt::Write as _;

use md5::Md5;
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha256, Sha512};

use super::Filter;
use crate::Value;
use crate::engine::Engine;
use crate::error::Fault;

pub(super) const FILTERS: &[Filter] = &[
    Filter::new("md5", &[], 0, |input, _, engine| hash::<Md5>(input, engine)),
    Filter::new("sha1", &[], 0, |input, _, engine| hash::<Sha1>(input, engine)),
    Filter::new("sha256", &[], 0, |input, _, engine| hash::<Sha256>(input, engine)),
    Filter::new("sha512", &[], 0, |input, _, engine| hash::<Sha512>(input, engine)),
];

fn hash<D: Digest>(input: &Value, engine: &Engine<'_>) -> Result<Value, Fault> {
    let digest = D::digest(engine.printed(input)?);
    let mut text = String::with_capacity(digest.len() * 2);
    for byte in digest.iter() {
        // Writing to a `String` does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    engine.text(text)
}
