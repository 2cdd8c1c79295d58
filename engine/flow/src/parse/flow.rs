//! The flow itself (compat.md §1.1).

use std::rc::Rc;

use super::flowable::TASK_EXAMPLE;
use super::id::IdKind;
use super::input::InputsOf;
use super::path::Path;
use super::{Fields, InputNames, Reader};
use crate::codes::INVALID_ID;
use crate::validate::{AT_END, Ids, Names, Order, Scope, Stage, check_references};
use crate::yaml::{Entry, Node};
use crate::{
    Concurrency, ConcurrencyBehavior, Diagnostic, Flow, OutputDefinition, Sla, SlaBehavior, SlaPromise, Task,
};

const WHAT: &str = "the flow";

/// Flow ids that are words of the API's addresses.
const RESERVED_IDS: [&str; 10] = [
    "pause",
    "resume",
    "force-run",
    "change-status",
    "kill",
    "executions",
    "search",
    "source",
    "disable",
    "enable",
];

const CONCURRENCY_BEHAVIORS: &[(&str, ConcurrencyBehavior)] = &[
    ("QUEUE", ConcurrencyBehavior::Queue),
    ("CANCEL", ConcurrencyBehavior::Cancel),
    ("FAIL", ConcurrencyBehavior::Fail),
];

const SLA_BEHAVIORS: &[(&str, SlaBehavior)] =
    &[("FAIL", SlaBehavior::Fail), ("CANCEL", SlaBehavior::Cancel), ("NONE", SlaBehavior::None)];

/// Kinds of promises.
#[derive(Clone, Copy)]
enum SlaKind {
    MaxDuration,
    Assertion,
}

const SLA_KINDS: &[(&str, SlaKind)] =
    &[("MAX_DURATION", SlaKind::MaxDuration), ("EXECUTION_ASSERTION", SlaKind::Assertion)];

/// Properties that all tasks have and flows do not.
const COMMON_TASK_PROPERTIES: [&str; 4] = ["timeout", "runIf", "allowFailure", "logLevel"];

/// Properties that do nothing here, with what to do instead.
const NO_EFFECT: &[(&str, &str)] = &[
    (
        "listeners",
        "use `afterExecution`, or a flow with a trigger of type `io.kestra.plugin.core.trigger.Flow`",
    ),
    ("checks", "begin the flow with a task that fails where the check does not hold"),
    ("policyRefs", "there are no policies to refer to"),
    ("quotas", "use `concurrency`"),
    ("assets", "use `labels` to say what the flow is about"),
    ("workerSelector", "use `workerGroup: {key: ...}` of the tasks"),
    ("workerGroup", "use `workerGroup: {key: ...}` of the tasks"),
    ("tenantId", "there are no tenants"),
    ("deleted", "remove it"),
    ("source", "remove it"),
    ("updated", "remove it"),
];

impl<'a> Reader<'a> {
    /// Reads and checks a whole flow.
    pub(crate) fn flow(&mut self, root: &'a Node) -> Option<Flow> {
        let path = &Path::ROOT;
        let mut fields = self.fields(root, path)?;
        let id = self.required(&mut fields, "id", (path, WHAT), Self::flow_id);
        let namespace = self.required(&mut fields, "namespace", (path, WHAT), |reader, node, path| {
            reader.id(node, path, IdKind::Namespace).map(|(namespace, _)| namespace)
        });
        self.flow = namespace.clone().zip(id.clone());
        for key in ["taskDefaults", "pluginDefaults"] {
            if let Some(entry) = fields.take(key) {
                self.read_defaults(&entry.value, &path.key(key));
            }
        }
        let inputs = fields
            .take("inputs")
            .or_else(|| self.misspelt(&mut fields, "inputs", (path, WHAT)))
            .map(|entry| self.inputs(&entry.value, &path.key("inputs"), InputsOf::Flow))
            .unwrap_or_default();
        self.input_names = Some(Rc::new(InputNames::new(inputs.ids.clone())));
        let variables = fields.take("variables").or_else(|| self.former_variables(&mut fields));
        let variables = variables.map(|entry| self.rendered_map(&entry.value, &path.key("variables")));
        // Of variables that cannot be read nobody knows which there are.
        let variables_known = variables.as_ref().is_none_or(Option::is_some);
        let variables = variables.flatten().unwrap_or_default();

        let tasks_group = self.outline.group(None, Stage::Main, Order::Sequential);
        let tasks = self.required(&mut fields, "tasks", (path, WHAT), |reader, node, path| {
            reader.not_empty(node, path, ("tasks", TASK_EXAMPLE));
            reader.tasks(node, path, tasks_group)
        });
        let errors = self.section("errors", Stage::Errors, &mut fields);
        let finally = self.section("finally", Stage::Finally, &mut fields);
        let after_execution = self.section("afterExecution", Stage::AfterExecution, &mut fields);

        let count = |reader: &mut Self, node: &Node, path: &Path<'_>| reader.count(node, path, 1);
        let revision = self.optional(&mut fields, "revision", path, count);
        let description = self.optional(&mut fields, "description", path, Self::text);
        let labels = self.optional(&mut fields, "labels", path, Self::labels);
        let triggers =
            fields.take("triggers").and_then(|entry| self.triggers(&entry.value, &path.key("triggers")));
        let concurrency = self.optional(&mut fields, "concurrency", path, Self::concurrency);
        let retry = self.optional(&mut fields, "retry", path, Self::retry);
        let outputs = self.optional(&mut fields, "outputs", path, Self::outputs);
        let sla = self.optional(&mut fields, "sla", path, Self::slas);
        let disabled = self.optional(&mut fields, "disabled", path, Self::boolean);
        for (key, instead) in NO_EFFECT {
            self.no_effect(&mut fields, key, path, instead);
        }
        self.properties_of_tasks(&mut fields);
        self.finish(fields, path, WHAT);

        let names = Names {
            inputs: inputs.ids,
            depends_on: inputs.depends_on,
            variables: variables.keys().cloned().collect(),
            variables_known,
        };
        self.check_defaults_used();
        self.check_given(triggers.as_deref().unwrap_or_default(), &inputs.inputs);
        check_references(self, &names);
        Some(Flow {
            id: id?,
            namespace: namespace?,
            revision,
            description,
            labels: labels.unwrap_or_default(),
            inputs: inputs.inputs,
            variables,
            tasks: tasks?,
            errors,
            finally,
            after_execution,
            triggers: triggers.unwrap_or_default(),
            concurrency,
            retry,
            outputs: outputs.unwrap_or_default(),
            sla: sla.unwrap_or_default(),
            disabled: disabled.unwrap_or(false),
        })
    }

    /// `vars`, as expressions call them.
    fn former_variables<'n>(&mut self, fields: &mut Fields<'n>) -> Option<&'n Entry> {
        let entry = fields.take_unknown("vars")?;
        let hint = "write `variables`: only expressions call them `vars`";
        self.push_unknown_property(entry, (&Path::ROOT, WHAT), Some(hint.to_owned()));
        Some(entry)
    }

    /// Reports properties that only tasks have.
    fn properties_of_tasks(&mut self, fields: &mut Fields<'_>) {
        let catalogue = self.catalogue;
        let names = catalogue.type_names();
        let has_it = |key: &str| {
            COMMON_TASK_PROPERTIES.contains(&key)
                || names.iter().filter_map(|name| catalogue.task(name)).any(|info| {
                    info.properties.get("properties").is_some_and(|properties| properties.get(key).is_some())
                })
        };
        let rest: Vec<&Entry> = fields.rest().collect();
        for entry in rest {
            if self.did_you_mean(&entry.key, fields.known()).is_none() && has_it(&entry.key) {
                fields.take_unknown(&entry.key);
                let key = &entry.key;
                let hint = format!(
                    "move it to the tasks, or write it once for a type as `{key}: ...` in `pluginDefaults`"
                );
                self.push_unknown_property(entry, (&Path::ROOT, WHAT), Some(hint));
            }
        }
    }

    fn flow_id(&mut self, node: &Node, path: &Path<'_>) -> Option<String> {
        let (id, span) = self.id(node, path, IdKind::Flow)?;
        if RESERVED_IDS.contains(&id.as_str()) {
            let message = format!("the flow id `{id}` is a word of the API's addresses; Kestra refuses it");
            self.push(Diagnostic::warning(INVALID_ID, span, message).at(path));
        }
        Some(id)
    }

    /// One of the flow's lists of tasks that may be absent.
    fn section(&mut self, key: &'static str, stage: Stage, fields: &mut Fields<'_>) -> Vec<Task> {
        let group = self.outline.group(None, stage, Order::Sequential);
        let tasks =
            self.optional(fields, key, &Path::ROOT, |reader, node, path| reader.tasks(node, path, group));
        tasks.unwrap_or_default()
    }

    fn concurrency(&mut self, node: &Node, path: &Path<'_>) -> Option<Concurrency> {
        let what = "`concurrency`";
        let mut fields = self.fields(node, path)?;
        let limit = self
            .required(&mut fields, "limit", (path, what), |reader, node, path| reader.count(node, path, 1));
        let behavior = self.optional(&mut fields, "behavior", path, |reader, node, path| {
            reader.choice(node, path, CONCURRENCY_BEHAVIORS)
        });
        self.finish(fields, path, what);
        Some(Concurrency { limit: limit?, behavior: behavior.unwrap_or(ConcurrencyBehavior::Queue) })
    }

    fn outputs(&mut self, node: &Node, path: &Path<'_>) -> Option<Vec<OutputDefinition>> {
        let mut ids = Ids::new("output");
        let items = self.list(node, path, "outputs")?;
        let outputs = items.iter().enumerate().filter_map(|(index, item)| {
            self.within(AT_END, |reader| reader.output(item, &path.index(index), &mut ids))
        });
        Some(outputs.collect())
    }

    fn output(&mut self, node: &Node, path: &Path<'_>, ids: &mut Ids) -> Option<OutputDefinition> {
        let mut fields = self.fields(node, path)?;
        let id = self.required(&mut fields, "id", (path, "this output"), |reader, node, path| {
            reader.id(node, path, IdKind::Input)
        });
        let what = id.as_ref().map_or_else(|| "this output".to_owned(), |(id, _)| format!("output `{id}`"));
        if let Some((id, span)) = &id {
            let duplicate = ids.add(id, *span, path);
            self.diagnostics.extend(duplicate);
        }
        let kind = self.input_type(&mut fields, (path, &what), false);
        let value = self.required(&mut fields, "value", (path, &what), Self::rendered);
        let description = self.optional(&mut fields, "description", path, Self::text);
        let display_name = self.optional(&mut fields, "displayName", path, Self::display_name);
        let required = self.optional(&mut fields, "required", path, Self::boolean).unwrap_or(true);
        if kind.is_some() {
            self.finish(fields, path, &what);
        }
        let (id, _) = id?;
        Some(OutputDefinition { id, kind: kind?, value: value?, description, display_name, required })
    }

    fn slas(&mut self, node: &Node, path: &Path<'_>) -> Option<Vec<Sla>> {
        let mut ids = Ids::new("SLA");
        let items = self.list(node, path, "SLAs")?;
        let slas = items.iter().enumerate().filter_map(|(index, item)| {
            self.within(AT_END, |reader| reader.sla(item, &path.index(index), &mut ids))
        });
        Some(slas.collect())
    }

    fn sla(&mut self, node: &Node, path: &Path<'_>, ids: &mut Ids) -> Option<Sla> {
        let what = "this SLA";
        let mut fields = self.fields(node, path)?;
        let id = self.required(&mut fields, "id", (path, what), |reader, node, path| {
            reader.id(node, path, IdKind::Input)
        });
        if let Some((id, span)) = &id {
            let duplicate = ids.add(id, *span, path);
            self.diagnostics.extend(duplicate);
        }
        fields.set_example_type("MAX_DURATION");
        let kind = self.required(&mut fields, "type", (path, what), |reader, node, path| {
            reader.choice(node, path, SLA_KINDS)
        });
        let promise = kind.and_then(|kind| match kind {
            SlaKind::MaxDuration => self
                .required(&mut fields, "duration", (path, what), Self::positive_duration)
                .map(SlaPromise::MaxDuration),
            SlaKind::Assertion => {
                self.required(&mut fields, "assert", (path, what), Self::condition).map(SlaPromise::Assertion)
            }
        });
        let behavior = self.required(&mut fields, "behavior", (path, what), |reader, node, path| {
            reader.choice(node, path, SLA_BEHAVIORS)
        });
        let labels = self.optional(&mut fields, "labels", path, Self::labels);
        if kind.is_some() {
            self.finish(fields, path, what);
        }
        let (id, _) = id?;
        Some(Sla { id, promise: promise?, behavior: behavior?, labels: labels.unwrap_or_default() })
    }
}

impl Reader<'_> {
    /// Reads one task on its own, as `TemplatedTask` renders it.
    pub(crate) fn lone_task(&mut self, root: &Node) -> Option<Task> {
        let group = self.outline.group(None, Stage::Main, Order::Sequential);
        let task = self.within(Scope::Anywhere, |reader| reader.task(root, &Path::ROOT, group));
        task.map(|read| read.task)
    }
}
