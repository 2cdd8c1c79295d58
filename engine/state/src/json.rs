//! Reading JSON that this crate has written.

use serde::Deserialize;
use serde::de::Error as _;
use serde_json::{Deserializer, Error, Result};

/// How deep what is stored may nest, records around it included. A value from outside has 127 levels at most, for so many
/// `serde_json` reads; what goes from subflow to subflow gets a few more from each. The stack has room for these.
const MAX_DEPTH: usize = 512;

/// Reads a document. Unlike `serde_json` itself, it reads what nests more than 127 deep: what was written once must be read
/// again, and a record around a value is deeper than the value.
pub(crate) fn read<'de, T: Deserialize<'de>>(text: &'de [u8]) -> Result<T> {
    let usual = serde_json::from_slice(text);
    match usual {
        // Only what fails is looked at twice.
        Err(_) if depth(text) > MAX_DEPTH => {
            Err(Error::custom(format_args!("it nests more than {MAX_DEPTH} deep")))
        }
        Err(_) => {
            let mut reader = Deserializer::from_slice(text);
            reader.disable_recursion_limit();
            let value = T::deserialize(&mut reader)?;
            reader.end()?;
            Ok(value)
        }
        usual => usual,
    }
}

/// How deep lists and objects nest in a text; never less than that in what is not JSON.
fn depth(text: &[u8]) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for &byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' if !in_text => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_nests_is_read_up_to_the_bound() {
        for (levels, is_read) in
            [(0, true), (127, true), (128, true), (MAX_DEPTH, true), (MAX_DEPTH + 1, false)]
        {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let text = [open.repeat(levels), "1".to_owned(), close.repeat(levels)].concat();
                assert_eq!(depth(text.as_bytes()), levels);
                let found: Result<Value> = read(text.as_bytes());
                assert_eq!(found.is_ok(), is_read, "{levels}");
                if let Ok(value) = found {
                    assert_eq!(value.to_string(), text);
                }
            }
        }
        let error = read::<Value>("[".repeat(1_000_000).as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "it nests more than 512 deep");
    }

    #[test]
    fn other_mistakes_are_told_as_ever() {
        for text in ["", "{", "[1,]", "{\"a\": \"[[[\\\"[\" x}", "1 2"] {
            let told = read::<Value>(text.as_bytes()).unwrap_err().to_string();
            assert_eq!(told, serde_json::from_str::<Value>(text).unwrap_err().to_string(), "{text}");
        }
        assert_eq!(depth(br#"{"a": "[[\"[", "b": [{}]}"#), 3);
    }
}
