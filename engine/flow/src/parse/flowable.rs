//! Tasks that run other tasks (compat.md §2.7).

use std::collections::HashSet;

use indexmap::IndexMap;
use weft_expr::Template;
use weft_model::{FileHandling, Map as JsonMap};

use super::id::IdKind;
use super::input::InputsOf;
use super::path::Path;
use super::task::ReadTask;
use super::{Fields, Reader, is_dynamic};
use crate::aliases::Structure;
use crate::codes::{INVALID_VALUE, MISPLACED_TASK, MISSING_PROPERTY, RECURSIVE_SUBFLOW, WRONG_TYPE};
use crate::validate::{DagChild, Order, Scope, Stage, TaskIndex};
use crate::yaml::{Kind, Node};
use crate::{
    DagTask, Diagnostic, Flowable, ForEachItem, LoopUntil, Pause, PauseBehavior, Shape, Subflow, Task,
};

/// The task that is being read.
#[derive(Clone, Copy)]
pub(crate) struct Here<'p> {
    pub(crate) index: TaskIndex,
    pub(crate) path: &'p Path<'p>,
    /// For messages: "task `hello`".
    pub(crate) what: &'p str,
}

/// What stands in a list of tasks.
pub(super) const TASK_EXAMPLE: &str = "`- id: hello` and, below it, its `type`";

const PAUSE_BEHAVIORS: &[(&str, PauseBehavior)] = &[
    ("RESUME", PauseBehavior::Resume),
    ("WARN", PauseBehavior::Warn),
    ("FAIL", PauseBehavior::Fail),
    ("CANCEL", PauseBehavior::Cancel),
];

/// Pause between two rounds of a loop, where it is not said.
const LOOP_INTERVAL: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);

impl Reader<'_> {
    /// What a flowable runs.
    pub(crate) fn flowable(
        &mut self,
        structure: Structure,
        fields: &mut Fields<'_>,
        here: Here<'_>,
    ) -> Option<Flowable> {
        self.check_place(structure, fields, here);
        let shape = self.shape(structure, fields, here);
        let errors = self.branch("errors", Stage::Errors, Order::Sequential, fields, here);
        let finally = self.branch("finally", Stage::Finally, Order::Sequential, fields, here);
        Some(Flowable {
            shape: shape?,
            errors: errors.unwrap_or_default(),
            finally: finally.unwrap_or_default(),
        })
    }

    fn shape(&mut self, structure: Structure, fields: &mut Fields<'_>, here: Here<'_>) -> Option<Shape> {
        match structure {
            Structure::Sequential => {
                Some(Shape::Sequential { tasks: self.children(Order::Sequential, fields, here)? })
            }
            Structure::AllowFailure => {
                Some(Shape::AllowFailure { tasks: self.children(Order::Sequential, fields, here)? })
            }
            Structure::Parallel => {
                let concurrent = self.at_a_time("concurrent", 0, fields, here);
                Some(Shape::Parallel { tasks: self.children(Order::Parallel, fields, here)?, concurrent })
            }
            Structure::Dag => {
                let concurrent = self.at_a_time("concurrent", 0, fields, here);
                Some(Shape::Dag { tasks: self.dag(fields, here)?, concurrent })
            }
            Structure::If => self.if_(fields, here),
            Structure::Switch => self.switch(fields, here),
            Structure::EachSequential => self.for_each("value", 1, false, fields, here),
            Structure::EachParallel => {
                let concurrent = self.at_a_time("concurrent", 0, fields, here);
                self.for_each("value", concurrent, true, fields, here)
            }
            Structure::ForEach => {
                let concurrency = self.at_a_time("concurrencyLimit", 1, fields, here);
                self.for_each("values", concurrency, false, fields, here)
            }
            Structure::WorkingDirectory => self.working_directory(fields, here),
            Structure::LoopUntil => self.loop_until(fields, here),
            Structure::Pause => self.pause(fields, here),
            Structure::Subflow => self.subflow(true, fields, here).map(Shape::Subflow),
            Structure::DetachedSubflow => self.subflow(false, fields, here).map(Shape::Subflow),
            Structure::ForEachItem => self.for_each_item(fields, here),
            Structure::TemplatedTask => {
                let spec = self.required(fields, "spec", (here.path, here.what), Self::template);
                Some(Shape::Templated { spec: spec? })
            }
        }
    }

    /// What ends on another worker, or not for days, has no business in a directory that somebody holds open.
    fn check_place(&mut self, structure: Structure, fields: &Fields<'_>, here: Here<'_>) {
        let Some(directory) = &self.directory else { return };
        let name = match structure {
            Structure::Pause => "Pause",
            Structure::Subflow | Structure::DetachedSubflow => "Subflow",
            Structure::ForEachItem => "ForEachItem",
            Structure::WorkingDirectory => "WorkingDirectory",
            _ => return,
        };
        let message = format!(
            "only runnable tasks, and flowables of them, are allowed inside a WorkingDirectory; `{name}` is not"
        );
        let hint = format!("move it out of the WorkingDirectory `{directory}`");
        let span = fields.span_of("type").unwrap_or_else(|| fields.head());
        self.push(Diagnostic::error(MISPLACED_TASK, span, message).at(here.path.key("type")).hint(hint));
    }

    /// A list of tasks that must be there.
    fn children(&mut self, order: Order, fields: &mut Fields<'_>, here: Here<'_>) -> Option<Vec<Task>> {
        let group = self.outline.group(Some(here.index), Stage::Main, order);
        self.required(fields, "tasks", (here.path, here.what), |reader, node, path| {
            reader.not_empty(node, path, ("tasks", TASK_EXAMPLE));
            reader.tasks(node, path, group)
        })
    }

    /// A list of tasks that may be absent.
    fn branch(
        &mut self,
        key: &'static str,
        stage: Stage,
        order: Order,
        fields: &mut Fields<'_>,
        here: Here<'_>,
    ) -> Option<Vec<Task>> {
        self.optional(fields, key, here.path, |reader, node, path| {
            let group = reader.outline.group(Some(here.index), stage, order);
            reader.tasks(node, path, group)
        })
    }

    /// Reports a list with nothing in it, with an example of what could be.
    pub(crate) fn not_empty(&mut self, node: &Node, path: &Path<'_>, (of, example): (&str, &str)) {
        if node.as_list().is_some_and(<[Node]>::is_empty) {
            let message = format!("expected at least one of {of}, found an empty list");
            let hint = format!("add one: {example}");
            self.push(Diagnostic::error(MISSING_PROPERTY, node.span, message).at(path).hint(hint));
        }
    }

    /// How many children at a time; 0 is no limit.
    fn at_a_time(&mut self, key: &'static str, default: u32, fields: &mut Fields<'_>, here: Here<'_>) -> u32 {
        let count = |reader: &mut Self, node: &Node, path: &Path<'_>| reader.count(node, path, 0);
        self.optional(fields, key, here.path, count).unwrap_or(default)
    }

    fn dag(&mut self, fields: &mut Fields<'_>, here: Here<'_>) -> Option<Vec<DagTask>> {
        let group = self.outline.group(Some(here.index), Stage::Main, Order::Dag);
        self.required(fields, "tasks", (here.path, here.what), |reader, node, path| {
            reader.not_empty(node, path, ("tasks", TASK_EXAMPLE));
            let items = reader.list(node, path, "tasks with `dependsOn`")?;
            let children: Vec<DagChild<'_>> = items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| {
                    let at = path.index(index);
                    let what = "this task of a Dag";
                    let mut fields = reader.fields(item, &at)?;
                    if fields.span_of("task").is_none() && fields.span_of("type").is_some() {
                        let message = "a task of a Dag stands below the key `task`";
                        let hint =
                            "write `- task:` and indent the task below it; `dependsOn` stands beside `task`";
                        reader.push(
                            Diagnostic::error(MISSING_PROPERTY, fields.head(), message).at(at).hint(hint),
                        );
                        // The task is known to the others all the same.
                        let read = reader.task(item, &at, group)?;
                        return Some(DagChild { task: read.task, index: read.index, depends_on: Vec::new() });
                    }
                    let task = reader.required(&mut fields, "task", (&at, what), |reader, node, path| {
                        reader.task(node, path, group)
                    });
                    let depends_on = reader.optional(&mut fields, "dependsOn", &at, Self::depends_on_tasks);
                    reader.finish(fields, &at, what);
                    let ReadTask { task, index } = task?;
                    Some(DagChild { task, index, depends_on: depends_on.unwrap_or_default() })
                })
                .collect();
            // A cycle among some tasks says nothing if others could not be read, or have the same id.
            let ids: HashSet<&str> = children.iter().map(|child| child.task.id.as_str()).collect();
            if ids.len() == items.len() {
                reader.check_dag(&children, path);
            }
            Some(children.into_iter().map(DagChild::into_task).collect())
        })
    }

    /// Names of tasks, each with its node.
    fn depends_on_tasks<'n>(&mut self, node: &'n Node, path: &Path<'_>) -> Option<Vec<(String, &'n Node)>> {
        let items = self.list(node, path, "ids of tasks")?;
        let names = items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| self.text(item, &path.index(index)).map(|name| (name, item)));
        Some(names.collect())
    }

    fn if_(&mut self, fields: &mut Fields<'_>, here: Here<'_>) -> Option<Shape> {
        let condition = self.required(fields, "condition", (here.path, here.what), Self::condition);
        let group = self.outline.group(Some(here.index), Stage::Main, Order::Sequential);
        let then = self.required(fields, "then", (here.path, here.what), |reader, node, path| {
            reader.tasks(node, path, group)
        });
        let otherwise = self.branch("else", Stage::Main, Order::Sequential, fields, here);
        Some(Shape::If { condition: condition?, then: then?, otherwise: otherwise.unwrap_or_default() })
    }

    fn switch(&mut self, fields: &mut Fields<'_>, here: Here<'_>) -> Option<Shape> {
        let value = self.required(fields, "value", (here.path, here.what), Self::condition);
        let mut cases = IndexMap::new();
        self.optional(fields, "cases", here.path, |reader, node, path| {
            for entry in &reader.map(node, path)?.entries {
                let group = reader.outline.group(Some(here.index), Stage::Main, Order::Sequential);
                let tasks = reader.tasks(&entry.value, &path.key(&entry.key), group);
                cases.insert(entry.key.clone(), tasks.unwrap_or_default());
            }
            Some(())
        });
        let defaults = self.branch("defaults", Stage::Main, Order::Sequential, fields, here);
        Some(Shape::Switch { value: value?, cases, defaults })
    }

    fn for_each(
        &mut self,
        values: &'static str,
        concurrency: u32,
        parallel_tasks: bool,
        fields: &mut Fields<'_>,
        here: Here<'_>,
    ) -> Option<Shape> {
        self.outline.task_mut(here.index).repeats = true;
        let values =
            self.required(fields, values, (here.path, here.what), |reader, node, path| match &node.kind {
                Kind::List(_) => reader.rendered(node, path),
                Kind::String(text) => {
                    reader.check_values(&text.value, node, path);
                    reader.rendered(node, path)
                }
                _ => {
                    reader.wrong_type(node, path, "a list, or an expression of one");
                    None
                }
            });
        let order = if parallel_tasks { Order::Parallel } else { Order::Sequential };
        let tasks = self.children(order, fields, here);
        Some(Shape::ForEach { values: values?, tasks: tasks?, concurrency, parallel_tasks })
    }

    /// A fixed text of a loop's values must be a JSON list.
    fn check_values(&mut self, text: &str, node: &Node, path: &Path<'_>) {
        if is_dynamic(text) || serde_json::from_str::<Vec<serde_json::Value>>(text).is_ok() {
            return;
        }
        let message = format!("expected a list, or an expression of one, found the text `{text}`");
        let hint = "write a list, as in `[a, b]`, or an expression, as in `\"{{ inputs.values }}\"`";
        let diagnostic = Diagnostic::error(INVALID_VALUE, self.head(node), message).at(path);
        self.push(diagnostic.hint(hint).at_runtime());
    }

    fn working_directory(&mut self, fields: &mut Fields<'_>, here: Here<'_>) -> Option<Shape> {
        let id = self.outline.task(here.index).id.clone();
        let around = self.directory.replace(id);
        let tasks = self.children(Order::Sequential, fields, here);
        self.directory = around;
        let files = FileHandling {
            input_files: self.optional(fields, "inputFiles", here.path, Self::files_by_name),
            namespace_files: self.optional(fields, "namespaceFiles", here.path, Self::rendered),
            output_files: self.within(Scope::TaskEnd(here.index), |reader| {
                reader.optional(fields, "outputFiles", here.path, Self::globs)
            }),
            cache: self.optional(fields, "cache", here.path, Self::cache),
        };
        Some(Shape::WorkingDirectory { tasks: tasks?, files })
    }

    /// Files to put into a directory, by name: a map, or an expression (or JSON text) of one.
    fn files_by_name(&mut self, node: &Node, path: &Path<'_>) -> Option<serde_json::Value> {
        if let Kind::Map(_) | Kind::String(_) = node.kind {
            return self.rendered(node, path);
        }
        let message = format!("expected a map of contents by file name, found {}", node.describe());
        let hint = "write each as `name.txt: \"{{ outputs.a_task.uri }}\"`, without `- `";
        self.push(Diagnostic::error(WRONG_TYPE, self.head(node), message).at(path).hint(hint));
        None
    }

    /// Globs of files: a list, or a text.
    fn globs(&mut self, node: &Node, path: &Path<'_>) -> Option<serde_json::Value> {
        if let Kind::String(_) = node.kind {
            return self.rendered(node, path);
        }
        self.list(node, path, "globs")?;
        self.rendered(node, path)
    }

    /// `{patterns, ttl}`.
    fn cache(&mut self, node: &Node, path: &Path<'_>) -> Option<serde_json::Value> {
        let what = "`cache`";
        let mut fields = self.fields(node, path)?;
        self.required(&mut fields, "patterns", (path, what), |reader, node, path| {
            reader.check_expressions(node, path);
            reader.texts(node, path)
        });
        self.optional(&mut fields, "ttl", path, Self::dynamic_duration);
        self.finish(fields, path, what);
        Some(node.to_json())
    }

    fn loop_until(&mut self, fields: &mut Fields<'_>, here: Here<'_>) -> Option<Shape> {
        let tasks = self.children(Order::Sequential, fields, here);
        let condition = self.within(Scope::TaskEnd(here.index), |reader| {
            reader.required(fields, "condition", (here.path, here.what), Self::condition)
        });
        let fail = self.optional(fields, "failOnMaxReached", here.path, Self::boolean).unwrap_or(false);
        let (mut max_iterations, mut max_duration, mut interval) = (None, None, None);
        self.optional(fields, "checkFrequency", here.path, |reader, node, path| {
            let mut fields = reader.fields(node, path)?;
            let count = |reader: &mut Self, node: &Node, path: &Path<'_>| reader.count(node, path, 1);
            max_iterations = reader.optional(&mut fields, "maxIterations", path, count);
            max_duration = reader.optional(&mut fields, "maxDuration", path, Self::positive_duration);
            interval = reader.optional(&mut fields, "interval", path, Self::positive_duration);
            reader.finish(fields, path, "`checkFrequency`");
            Some(())
        });
        Some(Shape::LoopUntil(LoopUntil {
            tasks: tasks?,
            condition: condition?,
            max_iterations,
            max_duration,
            interval: interval.unwrap_or(LOOP_INTERVAL),
            fail_on_max_reached: fail,
        }))
    }

    fn pause(&mut self, fields: &mut Fields<'_>, here: Here<'_>) -> Option<Shape> {
        let delay = self.optional(fields, "pauseDuration", here.path, Self::dynamic_duration);
        let old_delay = self.optional(fields, "delay", here.path, Self::dynamic_duration);
        let behavior = self.optional(fields, "behavior", here.path, |reader, node, path| {
            reader.choice(node, path, PAUSE_BEHAVIORS)
        });
        let on_pause = self.optional(fields, "onPause", here.path, |reader, node, path| {
            let group = reader.outline.group(Some(here.index), Stage::Before, Order::Sequential);
            reader.task(node, path, group).map(|read| Box::new(read.task))
        });
        let on_resume = self.optional(fields, "onResume", here.path, |reader, node, path| {
            Some(reader.inputs(node, path, InputsOf::Pause).inputs)
        });
        let tasks = self.branch("tasks", Stage::Main, Order::Sequential, fields, here);
        Some(Shape::Pause(Pause {
            tasks: tasks.unwrap_or_default(),
            on_pause,
            delay: delay.or(old_delay),
            behavior: behavior.unwrap_or(PauseBehavior::Resume),
            on_resume: on_resume.unwrap_or_default(),
        }))
    }

    /// `waits` is what `wait` and `transmitFailed` are where they are not said.
    fn subflow(&mut self, waits: bool, fields: &mut Fields<'_>, here: Here<'_>) -> Option<Subflow> {
        let named = |kind: IdKind| {
            move |reader: &mut Self, node: &Node, path: &Path<'_>| match node.as_str() {
                Some(text) if is_dynamic(text) => {
                    reader.template(node, path).map(|template| (template.source().to_owned(), node.span))
                }
                _ => reader.id(node, path, kind),
            }
        };
        let namespace = self.required(fields, "namespace", (here.path, here.what), named(IdKind::Namespace));
        let flow_id = self.required(fields, "flowId", (here.path, here.what), named(IdKind::Flow));
        if let (Some((namespace, _)), Some((flow_id, span))) = (&namespace, &flow_id)
            && self
                .flow
                .as_ref()
                .is_some_and(|(own_namespace, own_id)| own_namespace == namespace && own_id == flow_id)
        {
            let message = "recursive call: this flow would start itself without end";
            self.push(Diagnostic::error(RECURSIVE_SUBFLOW, *span, message).at(here.path.key("flowId")));
        }
        let count = |reader: &mut Self, node: &Node, path: &Path<'_>| reader.count(node, path, 1);
        let revision = self.optional(fields, "revision", here.path, count);
        let inputs = self.optional(fields, "inputs", here.path, Self::rendered_map);
        let labels = self.optional(fields, "labels", here.path, Self::labels);
        let wait = self.optional(fields, "wait", here.path, Self::boolean);
        let transmit_failed = self.optional(fields, "transmitFailed", here.path, Self::boolean);
        let inherit_labels = self.optional(fields, "inheritLabels", here.path, Self::boolean);
        // Rendered in the other flow, of which nothing is known here: only the syntax is checked.
        let outputs = fields
            .take("outputs")
            .and_then(|entry| self.foreign_map(&entry.value, &here.path.key("outputs")));
        let schedule_date = self.optional(fields, "scheduleDate", here.path, Self::template);
        Some(Subflow {
            namespace: namespace?.0,
            flow_id: flow_id?.0,
            revision,
            inputs: inputs.unwrap_or_default(),
            labels: labels.unwrap_or_default(),
            wait: wait.unwrap_or(waits),
            transmit_failed: transmit_failed.unwrap_or(waits),
            inherit_labels: inherit_labels.unwrap_or(false),
            outputs,
            schedule_date: schedule_date.map(|template: Template| template.source().to_owned()),
        })
    }

    fn foreign_map(&mut self, node: &Node, path: &Path<'_>) -> Option<JsonMap> {
        let noted = self.uses.len();
        let map = self.rendered_map(node, path);
        self.uses.truncate(noted);
        map
    }

    fn for_each_item(&mut self, fields: &mut Fields<'_>, here: Here<'_>) -> Option<Shape> {
        let items = self.required(fields, "items", (here.path, here.what), Self::template);
        let batch = self.optional(fields, "batch", here.path, |reader, node, path| {
            let mut batch = reader.fields(node, path)?;
            for key in ["rows", "bytes", "partitions", "separator"] {
                batch.take(key);
            }
            reader.finish(batch, path, "`batch`");
            reader.rendered_map(node, path)
        });
        let subflow = self.subflow(true, fields, here);
        Some(Shape::ForEachItem(ForEachItem {
            items: items?.source().to_owned(),
            batch: batch.unwrap_or_default(),
            subflow: subflow?,
        }))
    }
}
