//! A task: what every task may say (compat.md §1.2), and whether the engine or a plugin does it.

use weft_model::{Level, Map as JsonMap};

use super::flowable::Here;
use super::id::IdKind;
use super::path::Path;
use super::{Fields, Reader, is_dynamic};
use crate::aliases::{self, Structure};
use crate::codes::{DEPRECATED, NO_EFFECT, UNKNOWN_TYPE, WRONG_TYPE};
use crate::validate::{Found, GroupIndex, Order, Scope, Stage, TaskIndex, duplicate};
use crate::yaml::{Entry, Node};
use crate::{Catalogue, Diagnostic, Span, Task, TaskKind, TypeInfo};

const LEVELS: &[(&str, Level)] = &[
    ("TRACE", Level::Trace),
    ("DEBUG", Level::Debug),
    ("INFO", Level::Info),
    ("WARN", Level::Warn),
    ("ERROR", Level::Error),
];

/// Properties that do nothing here, with what to do instead.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("version", "there is one version of each plugin"),
    ("taskCache", "outputs of earlier executions are not used again"),
    ("pluginDefaultsRef", "use `pluginDefaults` of the flow"),
    ("assets", "use `labels` to say what an execution is about"),
    ("workerSelector", "use `workerGroup: {key: ...}`"),
];

/// A task, and which one it is in the outline.
pub(crate) struct ReadTask {
    pub(crate) task: Task,
    pub(crate) index: TaskIndex,
}

impl<'a> Reader<'a> {
    /// A list of tasks.
    pub(crate) fn tasks(&mut self, node: &Node, path: &Path<'_>, group: GroupIndex) -> Option<Vec<Task>> {
        let items = self.list(node, path, "tasks")?;
        let tasks = items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| self.task(item, &path.index(index), group).map(|read| read.task));
        Some(tasks.collect())
    }

    /// One task. `None` if something that it cannot do without is wrong; that has been reported then.
    pub(crate) fn task(&mut self, node: &Node, path: &Path<'_>, group: GroupIndex) -> Option<ReadTask> {
        let map = self.map(node, path)?;
        let map = self.defaults.apply(map, self.catalogue);
        let mut fields = Fields::new(&map, node.span);
        let id = self.required(&mut fields, "id", (path, "this task"), |reader, node, path| {
            reader.id(node, path, IdKind::Task)
        });
        let what = id.as_ref().map_or_else(|| "this task".to_owned(), |(id, _)| format!("task `{id}`"));
        let disabled = self.optional(&mut fields, "disabled", path, Self::boolean).unwrap_or(false);
        let index = self.enter(id.clone(), disabled, path, group);
        let task = self.within(Scope::Task(index), |reader| {
            let type_name = reader.required(&mut fields, "type", (path, &what), |reader, node, path| {
                reader.text(node, path).map(|text| (text, node.span))
            });
            let info = type_name.as_ref().and_then(|(name, _)| reader.catalogue.task(name));
            let mut task = reader.common(&mut fields, path, info);
            let (type_name, type_span) = type_name?;
            let here = Here { index, path, what: &what };
            task.kind = reader.kind((&type_name, type_span), fields, here)?;
            task.type_name = type_name;
            Some(task)
        })?;
        let (id, _) = id?;
        Some(ReadTask { task: Task { id, disabled, span: node.span, ..task }, index })
    }

    /// Adds a task to the outline; one without id too, so that what is in it has a place.
    fn enter(
        &mut self,
        id: Option<(String, Span)>,
        disabled: bool,
        path: &Path<'_>,
        group: GroupIndex,
    ) -> TaskIndex {
        let (id, id_span) = id.unwrap_or_default();
        if let Some(first) = self.outline.find(&id).filter(|_| !id.is_empty()) {
            let first = self.outline.task(first);
            let diagnostic = duplicate("task", (&id, id_span, path), (first.id_span, &first.path));
            self.push(diagnostic);
        }
        self.outline.add(Found { id, id_span, path: path.to_string(), disabled }, group)
    }

    /// What every task may say. The rest of the result is filled in by the caller.
    fn common(&mut self, fields: &mut Fields<'_>, path: &Path<'_>, info: Option<&TypeInfo>) -> Task {
        let description = self.optional(fields, "description", path, Self::text);
        let retry = self.optional(fields, "retry", path, Self::retry);
        let timeout = self.optional(fields, "timeout", path, Self::dynamic_duration);
        let worker_group = self.optional(fields, "workerGroup", path, Self::worker_group);
        let log_level =
            self.optional(fields, "logLevel", path, |reader, node, path| reader.choice(node, path, LEVELS));
        let allow_failure = self.optional(fields, "allowFailure", path, Self::boolean);
        let allow_warning = self.optional(fields, "allowWarning", path, Self::boolean);
        let log_to_file = self.optional(fields, "logToFile", path, Self::boolean);
        let run_if = self.optional(fields, "runIf", path, Self::condition);
        // Newer names give way to a plugin that had the name first.
        let schema = info.map(|info| self.schemas.get(info));
        let is_own = |key: &str| schema.as_ref().is_some_and(|schema| schema.names.contains(key));
        let when = if is_own("when") { None } else { self.optional(fields, "when", path, Self::condition) };
        for (key, instead) in WITHOUT_EFFECT.iter().filter(|(key, _)| !is_own(key)) {
            self.no_effect(fields, key, path, instead);
        }
        fields.end_common();
        Task {
            id: String::new(),
            type_name: String::new(),
            description,
            retry,
            timeout,
            disabled: false,
            worker_group,
            log_level,
            allow_failure: allow_failure.unwrap_or(false),
            allow_warning: allow_warning.unwrap_or(false),
            log_to_file: log_to_file.unwrap_or(false),
            run_if: run_if.or(when),
            kind: TaskKind::Run { properties: JsonMap::new() },
            span: Span::default(),
        }
    }

    fn worker_group(&mut self, node: &Node, path: &Path<'_>) -> Option<String> {
        let what = "`workerGroup`";
        if let Some(key) = node.as_str() {
            let message = "expected a map, found a string";
            let hint = format!("write `workerGroup:` and, indented below it, `key: {key}`");
            self.push(Diagnostic::error(WRONG_TYPE, node.span, message).at(path).hint(hint));
            return None;
        }
        let mut fields = self.fields(node, path)?;
        let key = self.required(&mut fields, "key", (path, what), |reader, node, path| match node.as_str() {
            Some(text) if is_dynamic(text) => {
                reader.template(node, path).map(|template| template.source().to_owned())
            }
            _ => reader.id(node, path, IdKind::Task).map(|(id, _)| id),
        });
        self.no_effect(&mut fields, "fallback", path, "a task waits until a worker of its group is there");
        self.finish(fields, path, what);
        key
    }

    fn kind(
        &mut self,
        (type_name, span): (&str, Span),
        mut fields: Fields<'_>,
        here: Here<'_>,
    ) -> Option<TaskKind> {
        if let Some(names) = aliases::structure(type_name) {
            // A pause ends by it. What other structures do takes no time of its own.
            if let Some(span) = fields.span_of("timeout").filter(|_| names.what != Structure::Pause) {
                let diagnostic = Diagnostic::warning(NO_EFFECT, span, "`timeout` has no effect here");
                let hint = "set it on the tasks that do the work";
                self.push(diagnostic.at(here.path.key("timeout")).hint(hint));
            }
            let flowable = self.flowable(names.what, &mut fields, here);
            self.finish(fields, here.path, here.what);
            return flowable.map(|flowable| TaskKind::Flowable(Box::new(flowable)));
        }
        let catalogue = self.catalogue;
        let Some(info) = catalogue.task(type_name) else {
            self.unknown_task((type_name, span), fields, here);
            return None;
        };
        self.outline.task_mut(here.index).info = Some(info);
        if let Some(instead) = &info.deprecated {
            let message = format!("the task type `{type_name}` is deprecated");
            let diagnostic = Diagnostic::warning(DEPRECATED, span, message);
            self.push(diagnostic.at(here.path.key("type")).hint(instead.as_str()));
        }
        let own: Vec<&Entry> = fields.rest().collect();
        let properties =
            self.plugin_properties(info, &own, fields.common(), (here.path, here.what), fields.head());
        Some(TaskKind::Run { properties })
    }

    /// Properties that a plugin says what they are, as JSON; `common` are those that it need not know.
    pub(crate) fn plugin_properties(
        &mut self,
        info: &TypeInfo,
        own: &[&Entry],
        common: &[&'static str],
        (path, what): (&Path<'_>, &str),
        head: Span,
    ) -> JsonMap {
        let schema = self.schemas.get(info);
        for entry in own {
            if schema.is_static(&entry.key) {
                continue;
            }
            self.check_expressions(&entry.value, &path.key(&entry.key));
            if schema.sets_variables(&entry.key) {
                let names = entry.value.as_map().map_or(&[][..], |map| &map.entries);
                self.set_variables.extend(names.iter().map(|name| name.key.clone()));
            }
        }
        self.check_properties(&schema, own, common, (path, what), head)
    }

    fn unknown_task(&mut self, (type_name, span): (&str, Span), mut fields: Fields<'_>, here: Here<'_>) {
        self.unknown_type("task", (type_name, span), here.path, |catalogue| {
            let tasks = catalogue.type_names().into_iter().filter(|name| catalogue.task(name).is_some());
            tasks.chain(aliases::STRUCTURES.iter().map(|names| names.canonical())).collect()
        });
        // What is inside is checked as far as possible, and its ids are known to the other tasks.
        for (key, stage) in [("tasks", Stage::Main), ("errors", Stage::Errors), ("finally", Stage::Finally)] {
            if let Some(entry) = fields.take(key).filter(|entry| entry.value.as_list().is_some()) {
                let group = self.outline.group(Some(here.index), stage, Order::Sequential);
                self.tasks(&entry.value, &here.path.key(key), group);
            }
        }
        for entry in fields.rest() {
            self.check_expressions(&entry.value, &here.path.key(&entry.key));
        }
    }

    /// Reports a type that nobody knows. `what` is the kind of thing: "task"; `known` has the types that there are.
    pub(crate) fn unknown_type(
        &mut self,
        what: &str,
        (type_name, span): (&str, Span),
        path: &Path<'_>,
        known: impl FnOnce(&'a dyn Catalogue) -> Vec<&'a str>,
    ) {
        let is_trigger =
            aliases::engine_trigger(type_name).is_some() || self.catalogue.trigger(type_name).is_some();
        let is_task = aliases::structure(type_name).is_some() || self.catalogue.task(type_name).is_some();
        let hint = match aliases::instead(type_name) {
            Some(instead) => Some(instead.to_owned()),
            None if is_trigger => {
                Some("it is the type of a trigger: move it to the flow's `triggers`".to_owned())
            }
            None if is_task => Some("it is the type of a task: move it to the flow's `tasks`".to_owned()),
            None => self.type_hint(type_name, || known(self.catalogue)),
        };
        let mut message = format!("unknown {what} type `{type_name}`");
        let elsewhere = self.catalogue.not_looked_at();
        if let Some(elsewhere) = &elsewhere {
            message = format!("{message}; {}", elsewhere.why);
        }
        let hint = match (hint, elsewhere) {
            (Some(hint), Some(elsewhere)) => format!("{hint}; or {}", elsewhere.hint),
            (Some(hint), None) => hint,
            (None, Some(elsewhere)) => elsewhere.hint,
            (None, None) => "no plugin brings this type".to_owned(),
        };
        self.push(Diagnostic::error(UNKNOWN_TYPE, span, message).at(path.key("type")).hint(hint));
    }
}
