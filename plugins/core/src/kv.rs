//! Tasks on the key-value store.

use weft_sdk::prelude::*;
use weft_sdk::{IsoDuration, Text};

/// Sets the value of a key.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Set {
    /// The key: letters, digits, `.`, `_` and `-`, the first a letter or digit.
    #[schemars(extend("pattern" = KEY_PATTERN))]
    key: Text,
    /// The value. A text is stored as `kvType` says.
    value: Value,
    /// The type that a text is converted to first.
    #[schemars(with = "Option<KvType>")]
    kv_type: Option<Text>,
    /// The namespace; the flow's own where none is given.
    namespace: Option<Text>,
    /// Whether a value that the key has is replaced. If not, it is an error.
    #[serde(default = "yes")]
    overwrite: bool,
    /// How long the value is kept, as an ISO-8601 duration; for ever where none is given.
    ttl: Option<IsoDuration>,
    /// A note for people. It is not stored.
    #[allow(dead_code, reason = "it is not stored")]
    kv_description: Option<Text>,
}

const KEY_PATTERN: &str = "^[a-zA-Z0-9][a-zA-Z0-9._-]*$|\\{\\{";

#[derive(JsonSchema)]
#[schemars(rename_all = "UPPERCASE")]
#[allow(dead_code, reason = "only its schema is used")]
enum KvType {
    String,
    Number,
    Boolean,
    Datetime,
    Date,
    Duration,
    Json,
}

fn yes() -> bool {
    true
}

impl Task for Set {
    const TYPE: &'static str = "io.kestra.plugin.core.kv.Set";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Keep a value for the next execution",
        yaml: r#"id: keep_a_value
namespace: company.team
tasks:
  - id: set
    type: io.kestra.plugin.core.kv.Set
    key: last_run
    value: "{{ execution.startDate }}"
    kvType: DATETIME
    ttl: P30D
  - id: get
    type: io.kestra.plugin.core.kv.Get
    key: last_run
  - id: show
    type: io.kestra.plugin.core.log.Log
    message: "{{ outputs.get.value }}"
"#,
    }];

    fn run(self, cx: &Context) -> Result<impl Output> {
        check_key(&self.key)?;
        let value = match self.value {
            Value::String(text) => convert(text, self.kv_type.as_deref())?,
            other => other,
        };
        cx.kv_in(self.namespace.as_deref()).set(&self.key, &value, self.ttl.map(|ttl| ttl.0), self.overwrite)
    }
}

fn check_key(key: &str) -> Result<()> {
    let first = key.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if first && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
        return Ok(());
    }
    Err(Error::new(
        "kv.key",
        format!(
            "`{key}` is not a key: expected letters, digits, `.`, `_` and `-`, the first a letter or digit"
        ),
    ))
}

/// A text as the type says. Points and lengths of time stay texts, but must be such.
fn convert(text: String, kv_type: Option<&str>) -> Result<Value> {
    let bad = |expected: &str| Error::new("kv.value", format!("`{text}` is not {expected}"));
    match kv_type {
        Some("NUMBER") => match serde_json::from_str(&text) {
            Ok(number @ Value::Number(_)) => Ok(number),
            _ => Err(bad("a number")),
        },
        Some("BOOLEAN") => Ok(text.eq_ignore_ascii_case("true").into()),
        Some("JSON") => serde_json::from_str(&text).map_err(|error| bad(&format!("JSON: {error}"))),
        Some("DURATION") => match text.parse::<IsoDuration>() {
            Ok(_) => Ok(text.into()),
            Err(_) => Err(bad("a duration such as `PT1H30M`")),
        },
        Some("DATE") if is_date(&text) => Ok(text.into()),
        Some("DATE") => Err(bad("a date such as `2025-01-31`")),
        Some("DATETIME") if is_datetime(&text) => Ok(text.into()),
        Some("DATETIME") => Err(bad("a point in time such as `2025-01-31T12:00:00Z`")),
        _ => Ok(text.into()),
    }
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else { return false };
    within(year, 4, 0, 9999) && within(month, 2, 1, 12) && within(day, 2, 1, 31)
}

/// A date, `T`, a time to the minute or finer, and `Z` or an offset.
fn is_datetime(text: &str) -> bool {
    let Some((date, rest)) = text.split_once('T') else { return false };
    let zone = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (time, offset) = rest.split_at(zone);
    let offset_fits = offset == "Z" || offset.get(1..).is_some_and(is_time);
    is_date(date) && is_time(time) && offset_fits
}

fn is_time(text: &str) -> bool {
    let (text, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let parts: Vec<&str> = text.split(':').collect();
    let fraction_fits = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
    let (hour, minute, second) = match parts[..] {
        [hour, minute] => (hour, minute, "00"),
        [hour, minute, second] => (hour, minute, second),
        _ => return false,
    };
    within(hour, 2, 0, 23) && within(minute, 2, 0, 59) && within(second, 2, 0, 59) && fraction_fits
}

/// Whether a text has this many digits and lies within bounds.
fn within(text: &str, digits: usize, least: u32, most: u32) -> bool {
    let number =
        text.parse().ok().filter(|_| text.len() == digits && text.bytes().all(|b| b.is_ascii_digit()));
    number.is_some_and(|number: u32| (least..=most).contains(&number))
}

/// Reads the value of a key.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Get {
    /// The key.
    key: Text,
    /// The namespace; the flow's own where none is given.
    namespace: Option<Text>,
    /// Whether a key without a value is an error. If not, the value is null.
    #[serde(default)]
    error_on_missing: bool,
}

/// What `Get` puts out.
#[derive(Serialize, JsonSchema)]
pub struct Found {
    /// The value; null where the key has none.
    value: Value,
}

impl Task for Get {
    const TYPE: &'static str = "io.kestra.plugin.core.kv.Get";

    fn run(self, cx: &Context) -> Result<impl Output> {
        match cx.kv_in(self.namespace.as_deref()).get(&self.key)? {
            None if self.error_on_missing => Err(missing(&self.key)),
            value => Ok(Found { value: value.unwrap_or_default() }),
        }
    }
}

fn missing(key: &str) -> Error {
    Error::new("kv.not-found", format!("the key `{key}` has no value"))
}

/// Lists keys.
#[derive(Deserialize, JsonSchema)]
pub struct GetKeys {
    /// What the keys begin with; all keys where it is not given.
    prefix: Option<Text>,
    /// The namespace; the flow's own where none is given.
    namespace: Option<Text>,
}

/// What `GetKeys` puts out.
#[derive(Serialize, JsonSchema)]
pub struct Keys {
    /// The keys.
    keys: Vec<String>,
}

impl Task for GetKeys {
    const TYPE: &'static str = "io.kestra.plugin.core.kv.GetKeys";

    fn run(self, cx: &Context) -> Result<impl Output> {
        let keys = cx.kv_in(self.namespace.as_deref()).keys(self.prefix.as_deref().unwrap_or_default())?;
        Ok(Keys { keys })
    }
}

/// Removes a key and its value.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delete {
    /// The key.
    key: Text,
    /// The namespace; the flow's own where none is given.
    namespace: Option<Text>,
    /// Whether a key without a value is an error.
    #[serde(default)]
    error_on_missing: bool,
}

/// What `Delete` puts out.
#[derive(Serialize, JsonSchema)]
pub struct Deleted {
    /// Whether there was a value.
    deleted: bool,
}

impl Task for Delete {
    const TYPE: &'static str = "io.kestra.plugin.core.kv.Delete";

    fn run(self, cx: &Context) -> Result<impl Output> {
        let deleted = cx.kv_in(self.namespace.as_deref()).delete(&self.key)?;
        if !deleted && self.error_on_missing {
            return Err(missing(&self.key));
        }
        Ok(Deleted { deleted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_sdk::testing::Harness;

    #[test]
    fn texts_are_converted_to_the_type() {
        for (text, kv_type, expected) in [
            ("1", None, Some(json!("1"))),
            ("1", Some("STRING"), Some(json!("1"))),
            ("1", Some("NUMBER"), Some(json!(1))),
            ("1.5", Some("NUMBER"), Some(json!(1.5))),
            ("one", Some("NUMBER"), None),
            ("TRUE", Some("BOOLEAN"), Some(json!(true))),
            ("yes", Some("BOOLEAN"), Some(json!(false))),
            ("{\"a\":[1]}", Some("JSON"), Some(json!({"a": [1]}))),
            ("{", Some("JSON"), None),
            ("PT5M", Some("DURATION"), Some(json!("PT5M"))),
            ("5m", Some("DURATION"), None),
            ("2025-01-31", Some("DATE"), Some(json!("2025-01-31"))),
            ("2025-13-31", Some("DATE"), None),
            ("2025-1-31", Some("DATE"), None),
            ("2025-01-31T12:00:00Z", Some("DATETIME"), Some(json!("2025-01-31T12:00:00Z"))),
            ("2025-01-31T12:00:00.123+02:00", Some("DATETIME"), Some(json!("2025-01-31T12:00:00.123+02:00"))),
            ("2025-01-31T12:00Z", Some("DATETIME"), Some(json!("2025-01-31T12:00Z"))),
            ("2025-01-31T12:00:00", Some("DATETIME"), None),
            ("2025-01-31 12:00:00Z", Some("DATETIME"), None),
            ("2025-01-31T24:00:00Z", Some("DATETIME"), None),
        ] {
            assert_eq!(convert(text.to_owned(), kv_type).ok(), expected, "{text} as {kv_type:?}");
        }
    }

    #[test]
    fn keys() {
        for (key, expected) in [
            ("a", true),
            ("0.a_b-C", true),
            ("", false),
            (".a", false),
            ("-a", false),
            ("a b", false),
            ("ä", false),
            ("a/b", false),
        ] {
            assert_eq!(check_key(key).is_ok(), expected, "{key}");
        }
    }

    #[test]
    fn set_get_list_and_delete() {
        let host = Harness::new().kv("other", "a", json!(1));
        let call = |type_name: &str, properties: Value| {
            host.call::<crate::WeftPlugin>(&format!("io.kestra.plugin.core.kv.{type_name}"), &properties)
        };
        let set = call("Set", json!({"key": "a", "value": "2", "kvType": "NUMBER", "ttl": "PT1M"}));
        assert_eq!(set.result, Ok(json!({})));
        assert_eq!((host.kv_value("test", "a"), host.kv_ttl("a")), (Some(json!(2)), Some(60_000)));
        let again = call("Set", json!({"key": "a", "value": 3, "overwrite": false}));
        assert_eq!(again.code(), Some("kv.key-exists"));

        for (type_name, properties, expected) in [
            ("Get", json!({"key": "a"}), Ok(json!({"value": 2}))),
            ("Get", json!({"key": "a", "namespace": "other"}), Ok(json!({"value": 1}))),
            ("Get", json!({"key": "b"}), Ok(json!({"value": null}))),
            ("Get", json!({"key": "b", "errorOnMissing": true}), Err("kv.not-found")),
            ("GetKeys", json!({}), Ok(json!({"keys": ["a"]}))),
            ("GetKeys", json!({"prefix": "b"}), Ok(json!({"keys": []}))),
            ("Delete", json!({"key": "a"}), Ok(json!({"deleted": true}))),
            ("Delete", json!({"key": "a"}), Ok(json!({"deleted": false}))),
            ("Delete", json!({"key": "a", "errorOnMissing": true}), Err("kv.not-found")),
            ("Set", json!({"key": "a b", "value": 1}), Err("kv.key")),
        ] {
            let run = call(type_name, properties.clone());
            let result = run.result.as_ref().map_err(Error::code).cloned();
            assert_eq!(result, expected, "{type_name} {properties}");
        }
    }
}
