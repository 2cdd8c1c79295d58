//! Values that are written as text and mean something else.

use std::marker::PhantomData;

use serde::de::{Deserializer, Error, Visitor};

/// Reads a text with `parse`. The reader of the file only knows where a value stands while it hands it out, so a mistake must
/// be found there.
pub(crate) fn parsed<'de, T, D: Deserializer<'de>>(
    deserializer: D,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Text { parse, value: PhantomData })
}

struct Text<T, F> {
    parse: F,
    value: PhantomData<T>,
}

impl<T, F: Fn(&str) -> Result<T, String>> Visitor<'_> for Text<T, F> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }
}
