//! `fixtures`: what an execution is started with, and what stands in for its tasks.

use std::collections::{BTreeMap, HashMap, HashSet};

use indexmap::IndexMap;
use serde_json::Value;
use weft_model::{Level, MetricKind, State};

use super::model::{
    Answer, FileFixture, FixtureTarget, Fixtures, InputFixture, KvFixture, MetricFixture, Others,
    TaskFixture, TriggerFixture,
};
use crate::codes::{DUPLICATE_ID, INVALID_VALUE};
use crate::parse::{Fields, Path, Reader};
use crate::yaml::{Kind, Node};
use crate::{Diagnostic, Span};

const OTHERS: &[(&str, Others)] =
    &[("RUN", Others::Run), ("SUCCEED", Others::Succeed), ("FAIL", Others::Fail)];

/// States in which a stand-in can end.
const ANSWER_STATES: &[State] = &[State::Success, State::Warning, State::Failed, State::Killed];

const LEVELS: &[(&str, Level)] = &[
    ("TRACE", Level::Trace),
    ("DEBUG", Level::Debug),
    ("INFO", Level::Info),
    ("WARN", Level::Warn),
    ("ERROR", Level::Error),
];

const METRIC_KINDS: &[(&str, MetricKind)] =
    &[("counter", MetricKind::Counter), ("timer", MetricKind::Timer), ("gauge", MetricKind::Gauge)];

/// What an attempt comes to.
const ANSWER: [&str; 6] = ["state", "outputs", "outputFiles", "error", "logs", "metrics"];

/// Where the content of a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSource {
    /// In the test file.
    Inline(String),
    /// In a file, named relative to the test file.
    Path(String),
    /// In internal storage already, under a `kestra://` address.
    Stored(String),
}

/// The file that a value stands for: a text is the content or a `kestra://` address, a map is `{path: ...}` or
/// `{content: ...}`. The error says what was expected.
pub fn file_source(value: &Value) -> Result<FileSource, String> {
    let expected = || "expected the file's content as text, or `path: FILE`".to_owned();
    match value {
        Value::String(text) if text.starts_with("kestra://") => Ok(FileSource::Stored(text.clone())),
        Value::String(text) => Ok(FileSource::Inline(text.clone())),
        Value::Object(map) if map.len() == 1 => match (map.get("path"), map.get("content")) {
            (Some(Value::String(path)), _) => Ok(FileSource::Path(path.clone())),
            (_, Some(Value::String(content))) => Ok(FileSource::Inline(content.clone())),
            _ => Err(expected()),
        },
        _ => Err(expected()),
    }
}

/// Adds what the fixtures of the file say to those of a case, which win.
pub(super) fn add_common(case: &mut Fixtures, common: &Fixtures) {
    fn add<T: Clone>(case: &mut IndexMap<String, T>, common: &IndexMap<String, T>) {
        for (key, value) in common {
            case.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    add(&mut case.inputs, &common.inputs);
    add(&mut case.files, &common.files);
    add(&mut case.secrets, &common.secrets);
    for (key, value) in &common.envs {
        case.envs.entry(key.clone()).or_insert_with(|| value.clone());
    }
    case.tasks.extend(common.tasks.iter().cloned());
    case.others = case.others.or(common.others);
    if case.trigger.is_none() {
        case.trigger.clone_from(&common.trigger);
    }
    let own: HashSet<String> = case.labels.iter().map(|label| label.key.clone()).collect();
    case.labels.extend(common.labels.iter().filter(|label| !own.contains(&label.key)).cloned());
    let name = |fixture: &KvFixture| (fixture.namespace.clone(), fixture.key.clone());
    let own: HashSet<_> = case.kv.iter().map(name).collect();
    case.kv.extend(common.kv.iter().filter(|fixture| !own.contains(&name(fixture))).cloned());
}

/// How many fixtures there are.
pub(super) fn count(fixtures: &Fixtures) -> usize {
    let Fixtures { inputs, files, tasks, others: _, trigger: _, labels, secrets, kv, envs } = fixtures;
    inputs.len() + files.len() + tasks.len() + labels.len() + secrets.len() + kv.len() + envs.len()
}

impl Reader<'_> {
    /// What an execution is started with, and what stands in for its tasks.
    pub(super) fn fixtures(&mut self, node: &Node, path: &Path<'_>) -> Option<Fixtures> {
        let what = "`fixtures`";
        let mut fields = self.fields(node, path)?;
        let inputs = self.optional(&mut fields, "inputs", path, Self::input_fixtures);
        let files = self.optional(&mut fields, "files", path, Self::file_fixtures);
        let tasks = self.optional(&mut fields, "tasks", path, Self::task_fixtures);
        let others = self
            .optional(&mut fields, "others", path, |reader, node, path| reader.choice(node, path, OTHERS));
        let trigger = self.optional(&mut fields, "trigger", path, Self::trigger_fixture);
        let triggers = self.optional(&mut fields, "triggers", path, Self::trigger_fixtures);
        let labels = self.optional(&mut fields, "labels", path, Self::labels);
        let secrets = self.optional(&mut fields, "secrets", path, Self::text_map);
        let kv = self.optional(&mut fields, "kv", path, Self::kv_fixtures);
        let envs = self.optional(&mut fields, "envs", path, |reader, node, path| {
            reader.map(node, path).map(crate::yaml::Map::to_json)
        });
        self.finish(fields, path, what);
        Some(Fixtures {
            inputs: inputs.unwrap_or_default(),
            files: files.unwrap_or_default(),
            tasks: tasks.unwrap_or_default(),
            others,
            trigger: trigger.or(triggers),
            labels: labels.unwrap_or_default(),
            secrets: secrets.unwrap_or_default(),
            kv: kv.unwrap_or_default(),
            envs: envs.unwrap_or_default(),
        })
    }

    fn input_fixtures(&mut self, node: &Node, path: &Path<'_>) -> Option<IndexMap<String, InputFixture>> {
        self.check_expressions(node, path);
        let inputs = self.map(node, path)?.entries.iter().map(|entry| {
            let fixture = InputFixture {
                value: entry.value.to_json(),
                span: self.head(&entry.value),
                path: path.key(&entry.key).to_string(),
            };
            // The name is what is wrong if the flow has no such input.
            let span = Span::new(entry.key_span.start, fixture.span.end);
            (entry.key.clone(), InputFixture { span, ..fixture })
        });
        Some(inputs.collect())
    }

    /// Files by name: content, or where it is.
    fn file_fixtures(&mut self, node: &Node, path: &Path<'_>) -> Option<IndexMap<String, FileFixture>> {
        let mut files = IndexMap::new();
        for entry in &self.map(node, path)?.entries {
            let at = path.key(&entry.key);
            // What looks like an expression in a file is its content.
            let source = match &entry.value.kind {
                Kind::Map(_) => file_source(&entry.value.to_json()),
                _ => match entry.value.scalar_text(self.lines.source()) {
                    Some(text) => Ok(FileSource::Inline(text.to_owned())),
                    None if entry.value.is_null() => Ok(FileSource::Inline(String::new())),
                    None => file_source(&entry.value.to_json()),
                },
            };
            match source {
                Ok(source) => {
                    let span = self.head(&entry.value);
                    files.insert(entry.key.clone(), FileFixture { source, span, path: at.to_string() });
                }
                Err(message) => self.invalid(&entry.value, &at, message),
            }
        }
        Some(files)
    }

    fn task_fixtures(&mut self, node: &Node, path: &Path<'_>) -> Option<Vec<TaskFixture>> {
        let mut fixtures: Vec<TaskFixture> = Vec::new();
        let mut seen: HashMap<_, Span> = HashMap::new();
        for (index, item) in self.list(node, path, "fixtures of tasks")?.iter().enumerate() {
            let Some(fixture) = self.task_fixture(item, &path.index(index)) else { continue };
            let runs = (fixture.target.clone(), fixture.values.clone(), fixture.iteration);
            if let Some(first) = seen.get(&runs) {
                let diagnostic =
                    Diagnostic::error(DUPLICATE_ID, fixture.span, "a second fixture for the same task");
                let diagnostic = diagnostic.related(*first, "the other one").at(&fixture.path);
                self.push(diagnostic.hint(
                    "remove one of the two, say for which loop `value` each is, or list what the attempts come to in `attempts`",
                ));
                continue;
            }
            seen.insert(runs, fixture.span);
            fixtures.push(fixture);
        }
        Some(fixtures)
    }

    fn task_fixture(&mut self, node: &Node, path: &Path<'_>) -> Option<TaskFixture> {
        let mut fields = self.fields(node, path)?;
        let id = self.optional(&mut fields, "id", path, Self::reference);
        let type_name = self.optional(&mut fields, "type", path, Self::reference);
        let _ = self.optional(&mut fields, "description", path, Self::text);
        let values = self.optional(&mut fields, "value", path, Self::loop_values).unwrap_or_default();
        let iteration =
            self.optional(&mut fields, "iteration", path, |reader, node, path| reader.count(node, path, 0));
        let answers = match fields.take("attempts") {
            Some(entry) => {
                self.nothing_beside_attempts(&mut fields, path);
                self.attempts(&entry.value, &path.key("attempts"))
            }
            None => self.answer(&mut fields, path).map(|answer| vec![answer]),
        };
        let (target, span) = match (id, type_name) {
            (Some((id, span)), None) => (FixtureTarget::Id(id), span),
            (None, Some((name, span))) => (FixtureTarget::Type(name), span),
            (Some((_, first)), Some((_, second))) => {
                self.one_of(&[("id", first), ("type", second)], path, "the fixture of a task");
                return None;
            }
            (None, None) => {
                let message = "this fixture names no task";
                self.missing_any(
                    &fields,
                    path,
                    message,
                    "add `id: TASK`, or `type: TYPE` for all tasks of a type",
                );
                self.finish(fields, path, "this fixture");
                return None;
            }
        };
        let what = match &target {
            FixtureTarget::Id(id) => format!("the fixture of `{id}`"),
            FixtureTarget::Type(name) => format!("the fixture of the type `{name}`"),
        };
        self.finish(fields, path, &what);
        Some(TaskFixture { target, values, iteration, answers: answers?, span, path: path.to_string() })
    }

    fn loop_values(&mut self, node: &Node, path: &Path<'_>) -> Option<Vec<String>> {
        match &node.kind {
            Kind::List(_) => self.texts(node, path),
            _ => self.text(node, path).map(|value| vec![value]),
        }
    }

    fn nothing_beside_attempts(&mut self, fields: &mut Fields<'_>, path: &Path<'_>) {
        for key in ANSWER {
            if let Some(entry) = fields.take(key) {
                let message = format!("`{key}` stands beside `attempts`");
                let diagnostic = Diagnostic::error(INVALID_VALUE, entry.key_span, message);
                let hint = "move it into each attempt that it is for; the last attempt is also what further ones come to";
                self.push(diagnostic.at(path.key(key)).hint(hint));
            }
        }
    }

    fn attempts(&mut self, node: &Node, path: &Path<'_>) -> Option<Vec<Answer>> {
        self.not_empty(node, path, ("attempts", "`- state: FAILED`"));
        let items = self.list(node, path, "attempts")?;
        let mut answers = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let at = path.index(index);
            let mut fields = self.fields(item, &at)?;
            answers.extend(self.answer(&mut fields, &at));
            self.finish(fields, &at, "this attempt");
        }
        (!answers.is_empty()).then_some(answers)
    }

    fn answer(&mut self, fields: &mut Fields<'_>, path: &Path<'_>) -> Option<Answer> {
        let state = self
            .optional(fields, "state", path, |reader, node, path| reader.state(node, path, ANSWER_STATES));
        let outputs_node = fields.take("outputs").map(|entry| &entry.value);
        let outputs = outputs_node.and_then(|node| self.rendered_map(node, &path.key("outputs")));
        let names = outputs_node.and_then(Node::as_map).map(|map| &map.entries[..]).unwrap_or_default();
        let output_spans = names.iter().map(|entry| (entry.key.clone(), entry.key_span)).collect();
        let output_files = self.optional(fields, "outputFiles", path, Self::file_fixtures);
        let error_span = fields.span_of("error");
        let error = self.optional(fields, "error", path, Self::text);
        let logs = self.optional(fields, "logs", path, Self::log_fixtures);
        let metrics = self.optional(fields, "metrics", path, Self::metric_fixtures);
        let state = match (state, error_span) {
            (Some(state @ (State::Success | State::Warning)), Some(span)) => {
                let message = format!("a task that ends in {state} has no `error`");
                self.push(Diagnostic::error(INVALID_VALUE, span, message).at(path.key("error")));
                state
            }
            (Some(state), _) => state,
            (None, Some(_)) => State::Failed,
            (None, None) => State::Success,
        };
        Some(Answer {
            state,
            outputs: outputs.unwrap_or_default(),
            output_files: output_files.unwrap_or_default(),
            error,
            logs: logs.unwrap_or_default(),
            metrics: metrics.unwrap_or_default(),
            output_spans,
        })
    }

    /// Texts, or maps with `level` and `message`.
    fn log_fixtures(&mut self, node: &Node, path: &Path<'_>) -> Option<Vec<(Level, String)>> {
        let mut logs = Vec::new();
        for (index, item) in self.list(node, path, "log lines")?.iter().enumerate() {
            let at = path.index(index);
            if item.as_map().is_none() {
                logs.extend(self.text(item, &at).map(|message| (Level::Info, message)));
                continue;
            }
            let mut fields = self.fields(item, &at)?;
            let level = self.optional(&mut fields, "level", &at, Self::level).unwrap_or(Level::Info);
            let message = self.required(&mut fields, "message", (&at, "this log line"), Self::text);
            self.finish(fields, &at, "this log line");
            logs.extend(message.map(|message| (level, message)));
        }
        Some(logs)
    }

    pub(super) fn level(&mut self, node: &Node, path: &Path<'_>) -> Option<Level> {
        self.choice(node, path, LEVELS)
    }

    fn metric_fixtures(&mut self, node: &Node, path: &Path<'_>) -> Option<Vec<MetricFixture>> {
        let what = "this metric";
        let mut metrics = Vec::new();
        for (index, item) in self.list(node, path, "metrics")?.iter().enumerate() {
            let at = path.index(index);
            let mut fields = self.fields(item, &at)?;
            let name = self.required(&mut fields, "name", (&at, what), Self::text);
            let kind = self.optional(&mut fields, "type", &at, |reader, node, path| {
                reader.choice(node, path, METRIC_KINDS)
            });
            let value = self.required(&mut fields, "value", (&at, what), Self::number);
            let tags = self.optional(&mut fields, "tags", &at, Self::tags).unwrap_or_default();
            self.finish(fields, &at, what);
            if let (Some(name), Some(value)) = (name, value) {
                metrics.push(MetricFixture { name, kind: kind.unwrap_or(MetricKind::Counter), value, tags });
            }
        }
        Some(metrics)
    }

    pub(super) fn tags(&mut self, node: &Node, path: &Path<'_>) -> Option<BTreeMap<String, String>> {
        self.text_map(node, path).map(|tags| tags.into_iter().collect())
    }

    /// A map of texts that are not rendered.
    fn text_map(&mut self, node: &Node, path: &Path<'_>) -> Option<IndexMap<String, String>> {
        let mut texts = IndexMap::new();
        for entry in &self.map(node, path)?.entries {
            if let Some(text) = self.text(&entry.value, &path.key(&entry.key)) {
                texts.insert(entry.key.clone(), text);
            }
        }
        Some(texts)
    }

    /// A map of keys of the flow's namespace, or a list of maps with `key`, `value` and perhaps `namespace`.
    fn kv_fixtures(&mut self, node: &Node, path: &Path<'_>) -> Option<Vec<KvFixture>> {
        let what = "this value";
        let Some(items) = node.as_list() else {
            let entries = &self.map(node, path)?.entries;
            let own = entries.iter().map(|entry| KvFixture {
                namespace: None,
                key: entry.key.clone(),
                value: entry.value.to_json(),
            });
            return Some(own.collect());
        };
        let mut values = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let at = path.index(index);
            let mut fields = self.fields(item, &at)?;
            let namespace = self.optional(&mut fields, "namespace", &at, Self::text);
            let key = self.required(&mut fields, "key", (&at, what), Self::text);
            let value = self.required(&mut fields, "value", (&at, what), |_, node, _| Some(node.to_json()));
            self.finish(fields, &at, what);
            if let (Some(key), Some(value)) = (key, value) {
                values.push(KvFixture { namespace, key, value });
            }
        }
        Some(values)
    }

    fn trigger_fixture(&mut self, node: &Node, path: &Path<'_>) -> Option<TriggerFixture> {
        let mut fields = self.fields(node, path)?;
        let id = self.optional(&mut fields, "id", path, Self::reference);
        let type_name = self.optional(&mut fields, "type", path, Self::text);
        let variables = self.optional(&mut fields, "variables", path, Self::rendered_map);
        self.finish(fields, path, "the fixture of a trigger");
        Some(TriggerFixture { id, type_name, variables: variables.unwrap_or_default() })
    }

    /// A list with the one trigger that started the execution.
    fn trigger_fixtures(&mut self, node: &Node, path: &Path<'_>) -> Option<TriggerFixture> {
        match self.list(node, path, "triggers")? {
            [] => None,
            [one] => self.trigger_fixture(one, &path.index(0)),
            [_, second, ..] => {
                let message = "an execution is started by one trigger, found several";
                self.invalid(second, &path.index(1), message);
                None
            }
        }
    }
}
