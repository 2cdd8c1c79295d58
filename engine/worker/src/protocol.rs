//! The lines by which a script talks to the engine: `::{"outputs": ..., "metrics": ..., "logs": ...}::`.
//!
//! One parser for every runner and both streams (compat.md §3.5). The seed documentation also promises two other forms,
//! which are taken too: a block over several lines, from `::{` to `}::`, and a bare JSON object on one line if its keys
//! are all of `outputs`, `metrics` and `logs`. Pure: bytes in, [`Item`]s out.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use weft_model::{Level, Map, MetricKind};

/// Lines a block may have; a longer one was not meant as a block and is logged.
const MAX_BLOCK_LINES: usize = 1_000;
/// Bytes a block may have.
const MAX_BLOCK_BYTES: usize = 1 << 20;

/// What a line turned out to be.
#[derive(Debug, PartialEq)]
pub enum Item<'a> {
    /// An ordinary line, to be logged as it is.
    Line(&'a [u8]),
    /// A message from the script.
    Message(Message),
    /// A line that was meant as a message and is not one; the text says why.
    Invalid(String),
}

/// What a script said in one line or block.
#[derive(Debug, Default, PartialEq)]
pub struct Message {
    /// Outputs, to be merged over earlier ones.
    pub outputs: Map,
    /// Metrics, to be added to earlier ones of the same name, type and tags.
    pub metrics: Vec<ScriptMetric>,
    /// Log lines with a level of their own.
    pub logs: Vec<(Level, String)>,
    /// Parts that were dropped, and why.
    pub problems: Vec<String>,
}

/// A metric as a script gives it, with the value in the unit in which it is stored (timers: milliseconds).
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptMetric {
    /// Its name.
    pub name: String,
    /// What the value means.
    pub kind: MetricKind,
    /// Counted things, milliseconds, or a reading.
    pub value: f64,
    /// Dimensions, values as text.
    pub tags: BTreeMap<String, String>,
}

/// Parses the lines of one stream.
#[derive(Debug, Default)]
pub struct LineParser {
    block: Vec<Vec<u8>>,
    block_bytes: usize,
}

impl LineParser {
    /// Takes the next line, and hands what became of it to `emit`: nothing while a block is open, several items when
    /// a block turned out not to be one.
    pub fn line(&mut self, line: &[u8], emit: &mut dyn FnMut(Item<'_>)) {
        if !self.block.is_empty() {
            self.continue_block(line, emit);
        } else if let Some(rest) = line.strip_prefix(b"::{") {
            if line.len() >= b"::{}::".len() && line.ends_with(b"}::") {
                emit(parse(&line[2..line.len() - 2]));
            } else if opens_block(rest) {
                self.block_bytes = line.len();
                self.block.push(line.to_vec());
            } else {
                emit(Item::Line(line));
            }
        } else if line.first() == Some(&b'{') && line.last() == Some(&b'}') {
            emit(parse_bare(line).map_or(Item::Line(line), Item::Message));
        } else {
            emit(Item::Line(line));
        }
    }

    /// Ends the stream: a block that is still open was not one.
    pub fn finish(&mut self, emit: &mut dyn FnMut(Item<'_>)) {
        self.block_bytes = 0;
        for line in self.block.drain(..) {
            emit(Item::Line(&line));
        }
    }

    fn continue_block(&mut self, line: &[u8], emit: &mut dyn FnMut(Item<'_>)) {
        self.block_bytes += line.len() + 1;
        self.block.push(line.to_vec());
        if line.ends_with(b"}::") {
            let text = self.block.join(&b'\n');
            self.block.clear();
            emit(parse(&text[2..text.len() - 2]));
        } else if self.block.len() >= MAX_BLOCK_LINES || self.block_bytes >= MAX_BLOCK_BYTES {
            self.finish(emit);
        }
    }
}

/// Whether a line whose end is not known is one of a message, or opens a block.
pub fn begins_message(line: &[u8]) -> bool {
    line.strip_prefix(b"::{").is_some_and(opens_block)
}

/// Whether what follows `::{` can be the beginning of a JSON object that goes on in the next line.
fn opens_block(rest: &[u8]) -> bool {
    matches!(rest.trim_ascii_start().first(), None | Some(b'"'))
}

/// The keys that make a message. Others are ignored, as the clients of later versions send more.
#[derive(Deserialize)]
struct RawMessage {
    #[serde(default)]
    outputs: Option<Value>,
    #[serde(default)]
    metrics: Option<Vec<Value>>,
    #[serde(default)]
    logs: Option<Vec<Value>>,
}

fn parse(json: &[u8]) -> Item<'static> {
    match serde_json::from_slice::<RawMessage>(json) {
        Ok(raw) => Item::Message(message(raw)),
        Err(error) => Item::Invalid(format!("invalid outputs: {error}")),
    }
}

fn parse_bare(line: &[u8]) -> Option<Message> {
    // Most lines in braces are a script's own JSON: look for one of the keys before parsing all of it.
    let trimmed = line[1..].trim_ascii_start();
    if !["\"outputs\"", "\"metrics\"", "\"logs\""].iter().any(|key| trimmed.starts_with(key.as_bytes())) {
        return None;
    }
    let object: Map = serde_json::from_slice(line).ok()?;
    object.keys().all(|key| matches!(key.as_str(), "outputs" | "metrics" | "logs")).then_some(())?;
    serde_json::from_value(Value::Object(object)).ok().map(message)
}

fn message(raw: RawMessage) -> Message {
    let mut message = Message::default();
    match raw.outputs {
        None | Some(Value::Null) => {}
        Some(Value::Object(outputs)) => message.outputs = outputs,
        Some(other) => message.problems.push(format!("`outputs` must be an object, not {}", kind_of(&other))),
    }
    for value in raw.metrics.unwrap_or_default() {
        match metric(&value) {
            Ok(metric) => message.metrics.push(metric),
            Err(problem) => message.problems.push(format!("invalid metric {value}: {problem}")),
        }
    }
    for value in raw.logs.unwrap_or_default() {
        match log(&value) {
            Some(log) => message.logs.push(log),
            None => message.problems.push(format!("invalid log {value}: it needs a `level` and a `message`")),
        }
    }
    message
}

fn metric(value: &Value) -> Result<ScriptMetric, String> {
    let name = value["name"].as_str().ok_or("`name` must be a text")?;
    let kind = match value["type"].as_str() {
        Some("counter") => MetricKind::Counter,
        Some("timer") => MetricKind::Timer,
        Some("gauge") => MetricKind::Gauge,
        _ => return Err("`type` must be \"counter\", \"timer\" or \"gauge\"".into()),
    };
    let number = match (&value["value"], kind) {
        (Value::Number(number), MetricKind::Timer) => number.as_f64().map(|seconds| seconds * 1_000.0),
        (Value::Number(number), _) => number.as_f64(),
        (Value::String(text), MetricKind::Timer) => {
            text.parse::<jiff::SignedDuration>().ok().map(|duration| duration.as_secs_f64() * 1_000.0)
        }
        _ => None,
    };
    let value_ok = number.ok_or("`value` must be a number, or an ISO-8601 duration for a timer")?;
    let tags = match &value["tags"] {
        Value::Object(tags) => tags.iter().map(|(key, tag)| (key.clone(), tag_text(tag))).collect(),
        Value::Null => BTreeMap::new(),
        _ => return Err("`tags` must be an object".into()),
    };
    Ok(ScriptMetric { name: name.to_owned(), kind, value: value_ok, tags })
}

fn tag_text(tag: &Value) -> String {
    match tag {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn log(value: &Value) -> Option<(Level, String)> {
    let level = Level::from_name(value["level"].as_str()?)?;
    Some((level, value["message"].as_str()?.to_owned()))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What the lines of a stream turn into, one text per item.
    fn items(lines: &[&str]) -> Vec<String> {
        let mut seen = Vec::new();
        let mut parser = LineParser::default();
        let mut emit = |item: Item<'_>| {
            seen.push(match item {
                Item::Line(line) => format!("line {}", String::from_utf8_lossy(line)),
                Item::Invalid(why) => why,
                Item::Message(message) => {
                    let metrics: Vec<_> = message
                        .metrics
                        .iter()
                        .map(|m| format!("{}={} {:?} {:?}", m.name, m.value, m.kind, m.tags))
                        .collect();
                    format!(
                        "{} {metrics:?} {:?} {:?}",
                        json!(message.outputs),
                        message.logs,
                        message.problems
                    )
                }
            });
        };
        for line in lines {
            parser.line(line.as_bytes(), &mut emit);
        }
        parser.finish(&mut emit);
        seen
    }

    #[test]
    fn lines_of_the_real_clients() {
        for (line, expected) in [
            (r#"::{"outputs": {"nr": 42, "n": null}}::"#, r#"{"nr":42,"n":null} [] [] []"#),
            (
                r#"::{"metrics": [{"name": "r", "type": "counter", "value": 10, "tags": {"x": 1}}]}::"#,
                r#"{} ["r=10 Counter {\"x\": \"1\"}"] [] []"#,
            ),
            (
                r#"::{"metrics":[{"name":"t","type":"timer","value":2.12,"tags":{}}]}::"#,
                r#"{} ["t=2120 Timer {}"] [] []"#,
            ),
            (
                r#"::{"metrics":[{"name":"t","type":"timer","value":"PT1.5S"}]}::"#,
                r#"{} ["t=1500 Timer {}"] [] []"#,
            ),
            (
                r#"::{"metrics":[{"name":"t","type":"timer","value":-0.5}]}::"#,
                r#"{} ["t=-500 Timer {}"] [] []"#,
            ),
            (
                r#"::{"metrics":[{"name":"g","type":"gauge","value":1.5}]}::"#,
                r#"{} ["g=1.5 Gauge {}"] [] []"#,
            ),
            (r#"::{"logs":[{"level":"WARN","message":"w"}]}::"#, r#"{} [] [(Warn, "w")] []"#),
            (r#"::{"assets": [], "outputs": {"a": 1}}::"#, r#"{"a":1} [] [] []"#),
        ] {
            assert_eq!(items(&[line]), [expected], "{line}");
        }
    }

    #[test]
    fn what_is_not_a_message_is_a_line() {
        for line in [
            r#" ::{"outputs":{}}::"#,
            r#"::{"outputs":{}}:: "#,
            r#"Trace: ::{"outputs":{}}::"#,
            "::{x",
            "::{:",
            r#"{"outputs": {}, "more": 1}"#,
            r#"{"rows": 1}"#,
            "{}",
            "{not json}",
            "::",
            "",
        ] {
            assert_eq!(items(&[line]), [format!("line {line}")], "{line}");
        }
    }

    #[test]
    fn forms_of_the_seed_documentation() {
        assert_eq!(items(&[r#"{"outputs": {"a": 1}}"#]), [r#"{"a":1} [] [] []"#]);
        assert_eq!(
            items(&["::{", r#""outputs": {"#, r#""a": 1"#, "}", "}::", "after"]),
            [r#"{"a":1} [] [] []"#, "line after"]
        );
        assert_eq!(items(&["::{", "never closed"]), ["line ::{", "line never closed"]);
    }

    #[test]
    fn a_block_without_end_is_bounded() {
        let lines: Vec<&str> =
            std::iter::once("::{").chain(std::iter::repeat_n("x", MAX_BLOCK_LINES)).collect();
        assert_eq!(items(&lines).len(), lines.len());
    }

    #[test]
    fn wrong_parts_are_named_and_the_rest_is_kept() {
        for (line, part) in [
            (r#"::{"outputs": [1]}::"#, "`outputs` must be an object, not a list"),
            (r#"::{"metrics": [{"name": "a", "type": "meter", "value": 1}]}::"#, "`type` must be"),
            (r#"::{"metrics": [{"type": "counter", "value": 1}]}::"#, "`name` must be a text"),
            (
                r#"::{"metrics": [{"name": "a", "type": "counter", "value": "1"}]}::"#,
                "`value` must be a number",
            ),
            (r#"::{"logs": [{"level": "LOUD", "message": "x"}]}::"#, "invalid log"),
            (r#"::{"outputs": {"a": NaN}}::"#, "invalid outputs: expected value at line 1"),
        ] {
            let seen = items(&[line]);
            assert!(seen.len() == 1 && seen[0].contains(part), "{line}: {seen:?}");
        }
    }
}
