//! How much a JSON value is, for whoever bounds what is kept.

use std::io;
use std::ops::Add;

use serde_json::Value;

use crate::Map;

/// An amount of JSON. Bytes alone say little of the memory it takes: a number of one digit is two bytes in a text and some
/// eighty as a [`Value`]. So nodes are counted too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd)]
pub struct Amount {
    /// Bytes of the text, without white space.
    pub bytes: u64,
    /// Values, and names of members of objects.
    pub nodes: u64,
}

impl Amount {
    /// That of a value.
    pub fn of(value: &Value) -> Self {
        let mut bytes = Counter(0);
        // Neither writing to a counter nor a `Value` as such can fail.
        let _ = serde_json::to_writer(&mut bytes, value);
        Self { bytes: bytes.0, nodes: nodes(value) }
    }

    /// That of a member of an object.
    pub fn of_member(name: &str, value: &Value) -> Self {
        Self { bytes: name.len() as u64, nodes: 1 } + Self::of(value)
    }

    /// That of the members of an object.
    pub fn of_members(map: &Map) -> Self {
        map.iter().fold(Self::default(), |sum, (name, value)| sum + Self::of_member(name, value))
    }
}

impl Add for Amount {
    type Output = Self;

    /// The sum; what does not fit into a number is the largest one.
    fn add(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(other.bytes), nodes: self.nodes.saturating_add(other.nodes) }
    }
}

/// Whether reading these texts as JSON gives more than `limit` nodes in all: told without making any. A name that an object
/// has twice counts twice. Of a text that is not JSON nothing is promised.
pub fn have_more_nodes<'t>(texts: impl Iterator<Item = &'t str> + Clone, limit: u64) -> bool {
    // A node has at least one byte, and another one beside it. So most texts are too short to be looked at.
    let most = texts.clone().fold(0_u64, |sum, text| sum.saturating_add(text.len() as u64 / 2 + 1));
    most > limit && texts.map(|text| nodes_of_text(text.as_bytes())).sum::<u64>() > limit
}

fn nodes_of_text(text: &[u8]) -> u64 {
    let (mut nodes, mut in_text, mut escaped, mut in_word) = (0_u64, false, false, false);
    for &byte in text {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        // A number, `true`, `false` or `null` is whatever stands between the signs of the grammar.
        let is_word =
            !matches!(byte, b'"' | b'[' | b'{' | b']' | b'}' | b',' | b':') && !byte.is_ascii_whitespace();
        in_text = byte == b'"';
        if in_text || matches!(byte, b'[' | b'{') || (is_word && !in_word) {
            nodes += 1;
        }
        in_word = is_word;
    }
    nodes
}

fn nodes(value: &Value) -> u64 {
    match value {
        Value::Array(items) => 1 + items.iter().map(nodes).sum::<u64>(),
        Value::Object(members) => 1 + members.values().map(|member| 1 + nodes(member)).sum::<u64>(),
        _ => 1,
    }
}

/// Counts what is written.
struct Counter(u64);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn amounts() {
        for (value, bytes, nodes) in [
            (json!(null), 4, 1),
            (json!(-12.5), 5, 1),
            (json!("a\"b"), 6, 1),
            (json!([]), 2, 1),
            (json!([1, 1, 1]), 7, 4),
            (json!({"a": {"b": "[1,{"}, "c": true}), 27, 7),
        ] {
            assert_eq!(Amount::of(&value), Amount { bytes, nodes }, "{value}");
            assert_eq!(nodes_of_text(value.to_string().as_bytes()), nodes, "{value}");
            assert_eq!(nodes_of_text(format!("{value:#}").as_bytes()), nodes, "{value:#}");
        }
        assert_eq!(Amount::of_member("key", &json!(1)), Amount { bytes: 4, nodes: 2 });
        let members = json!({"a": 1, "b": [2]});
        assert_eq!(Amount::of_members(members.as_object().unwrap()), Amount { bytes: 6, nodes: 5 });
    }

    #[test]
    fn the_bound_itself_is_not_more() {
        for (text, nodes) in
            [("1", 1), ("[1,1]", 3), ("[[[]]]", 3), ("{\"a\":1}", 3), ("[1,2,3,4,5,6,7,8]", 9)]
        {
            for times in 1..4 {
                let texts = std::iter::repeat_n(text, times as usize);
                assert!(!have_more_nodes(texts.clone(), times * nodes), "{text}");
                assert!(have_more_nodes(texts, times * nodes - 1), "{text}");
            }
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::vec((".{0,5}", inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// A text has the nodes of the value that it stands for, however it is laid out.
        #[test]
        fn a_text_is_counted_like_its_value(value in json()) {
            let amount = Amount::of(&value);
            prop_assert_eq!(amount.bytes, value.to_string().len() as u64);
            for text in [value.to_string(), format!("{value:#}")] {
                prop_assert_eq!(nodes_of_text(text.as_bytes()), amount.nodes);
                for limit in amount.nodes.saturating_sub(2)..amount.nodes + 2 {
                    prop_assert_eq!(have_more_nodes([text.as_str()].into_iter(), limit), amount.nodes > limit);
                }
            }
        }
    }
}
