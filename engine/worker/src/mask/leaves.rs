//! The values in a secret that is JSON: whoever has the secret takes it apart by a subkey, `fromJson` or `jq`.

use serde_json::Value;

/// The shortest text that is hidden although nobody asked for it by its key: a host's name or a user's is often shorter.
const MIN_TEXT: usize = 4;
/// The least digits of a number that is hidden so: a port has fewer.
const MIN_DIGITS: usize = 6;
/// More of them are no secret but data.
const MAX_LEAVES: usize = 1_000;

/// The texts and numbers in `secret`, at any depth, that are long enough; none if it is no JSON object or list.
pub(super) fn leaves(secret: &str) -> Vec<String> {
    let mut found = Vec::new();
    if secret.trim_start().starts_with(['{', '['])
        && let Ok(value) = serde_json::from_str::<Value>(secret)
    {
        collect(&value, &mut found);
    }
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    if found.len() >= MAX_LEAVES {
        return;
    }
    match value {
        Value::String(text) if text.trim().len() >= MIN_TEXT => found.push(text.clone()),
        Value::Number(number) => {
            let text = number.to_string();
            if text.bytes().filter(u8::is_ascii_digit).count() >= MIN_DIGITS {
                found.push(text);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(members) => members.values().for_each(|member| collect(member, found)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_secret_is_taken_out() {
        for (secret, expected) in [
            ("plain text", &[][..]),
            ("\"text\"", &[]),
            ("{broken", &[]),
            (r#"{"a": "long enough", "b": "abc", "c": {"d": ["deeper"]}}"#, &["long enough", "deeper"]),
            (r#"[1, 5432, 123456, -12345.5, true, null]"#, &["123456", "-12345.5"]),
            (" {\"password\": \"   \"}", &[]),
        ] {
            assert_eq!(leaves(secret), expected, "{secret}");
        }
    }
}
