//! What a test file says about its flow: do the tasks, inputs and files that it names exist?

use std::collections::HashSet;

use indexmap::{IndexMap, IndexSet};
use serde_json::Value;

use super::fixtures::file_source;
use super::model::{FixtureTarget, FlowTests, TaskFixture, TestCase, TestUse};
use super::{FileFixture, FileSource};
use crate::aliases::canonical;
use crate::codes::{
    INVALID_VALUE, MISSING_FILE, UNDEFINED_INPUT, UNDEFINED_OUTPUT, UNDEFINED_VARIABLE, UNKNOWN_FLOW,
    UNKNOWN_TASK,
};
use crate::inputs::check_fixed;
use crate::parse::{all_if_few, has_expression, is_dynamic};
use crate::suggest::Budget;
use crate::validate::roots;
use crate::{Catalogue, Diagnostic, Flow, Input, InputType, Span, Task, TaskKind, in_order, suggest};

/// What only expressions of assertions see.
const ROOTS_AT_END: [&str; 3] = ["taskruns", "logs", "metrics"];

/// The files that a test file names.
pub trait TestFiles {
    /// Why the file cannot be used, if so. `path` is relative to the test file.
    fn problem(&self, path: &str) -> Option<String>;
}

/// Checks tests against the flow that they are for.
pub fn check_tests(
    tests: &FlowTests,
    flow: &Flow,
    catalogue: &dyn Catalogue,
    files: &dyn TestFiles,
) -> Vec<Diagnostic> {
    let mut checker = Checker::new(flow, catalogue, files);
    checker.reference(tests);
    for case in &tests.cases {
        checker.case(case);
    }
    for found in &tests.uses {
        checker.used(found);
    }
    // What the fixtures of the file say is in every case.
    in_order(&mut checker.found);
    checker.found
}

/// What is wrong with a test file whose flow cannot be had.
pub fn unknown_flow(tests: &FlowTests, message: impl Into<String>, hint: impl Into<String>) -> Diagnostic {
    Diagnostic::error(UNKNOWN_FLOW, tests.flow.span, message).hint(hint)
}

/// The tasks with work of their own that are of a type, under any of its names. `*` at the end of `type_name` stands
/// for any type that begins so.
pub fn tasks_of_type<'f>(tasks: &[&'f Task], type_name: &str, catalogue: &dyn Catalogue) -> Vec<&'f Task> {
    let wanted = canonical(type_name, catalogue);
    let fits = |task: &&&Task| match type_name.strip_suffix('*') {
        Some(beginning) => {
            matches!(task.kind, TaskKind::Run { .. })
                && (task.type_name.starts_with(beginning)
                    || canonical(&task.type_name, catalogue).starts_with(beginning))
        }
        None => task.type_name == type_name || canonical(&task.type_name, catalogue) == wanted,
    };
    tasks.iter().filter(fits).copied().collect()
}

/// A flow, by the names that tests use. A test file may name thousands of tasks of a flow that has thousands.
struct Checker<'c> {
    flow: &'c Flow,
    /// In the order of the flow.
    tasks: IndexMap<&'c str, &'c Task>,
    /// The first task of each type.
    by_type: IndexMap<&'c str, &'c Task>,
    inputs: IndexMap<&'c str, &'c Input>,
    /// The parts of their ids before each dot.
    beginnings: HashSet<&'c str>,
    triggers: IndexSet<&'c str>,
    catalogue: &'c dyn Catalogue,
    files: &'c dyn TestFiles,
    suggestions: Budget,
    found: Vec<Diagnostic>,
}

impl<'c> Checker<'c> {
    fn new(flow: &'c Flow, catalogue: &'c dyn Catalogue, files: &'c dyn TestFiles) -> Self {
        let (mut tasks, mut by_type) = (IndexMap::new(), IndexMap::new());
        for task in flow.all_tasks() {
            tasks.entry(task.id.as_str()).or_insert(task);
            by_type.entry(task.type_name.as_str()).or_insert(task);
        }
        let beginnings = |input: &'c Input| input.id.match_indices('.').map(|(dot, _)| &input.id[..dot]);
        Self {
            flow,
            tasks,
            by_type,
            inputs: flow.inputs.iter().map(|input| (input.id.as_str(), input)).collect(),
            beginnings: flow.inputs.iter().flat_map(beginnings).collect(),
            triggers: flow.triggers.iter().map(|trigger| trigger.id.as_str()).collect(),
            catalogue,
            files,
            suggestions: Budget::default(),
            found: Vec::new(),
        }
    }

    /// The namespace and the id, where the flow's file is named too.
    fn reference(&mut self, tests: &FlowTests) {
        let reference = &tests.flow;
        let wrong = [
            ("namespace", &reference.namespace, &self.flow.namespace),
            ("flowId", &reference.id, &self.flow.id),
        ];
        let wrong = wrong.into_iter().filter(|(_, said, is)| said.as_ref().is_some_and(|said| said != *is));
        let right: Vec<String> = wrong.map(|(key, _, is)| format!("`{key}: {is}`")).collect();
        if !right.is_empty() {
            let message = format!("the flow in this file is `{}.{}`", self.flow.namespace, self.flow.id);
            let diagnostic = Diagnostic::error(INVALID_VALUE, reference.span, message);
            let hint = format!("write {}, or leave it out: `flow` names the flow", right.join(" and "));
            self.found.push(diagnostic.at("flow").hint(hint));
        }
    }

    fn case(&mut self, case: &TestCase) {
        self.inputs(case);
        for file in case.fixtures.files.values() {
            self.file(file);
        }
        for fixture in &case.fixtures.tasks {
            self.fixture(fixture);
        }
        if let Some((id, span)) = case.fixtures.trigger.as_ref().and_then(|trigger| trigger.id.as_ref())
            && !self.triggers.contains(id.as_str())
        {
            let hint = self.suggestions.did_you_mean(id, self.triggers.iter().copied());
            let message = format!("the flow has no trigger `{id}`");
            self.found.push(Diagnostic::error(INVALID_VALUE, *span, message).maybe_hint(hint));
        }
        for assertion in &case.assertions {
            if let Some((id, span)) = &assertion.task_id {
                self.task(id, *span, &format!("{}.taskId", assertion.path));
            }
        }
    }

    fn inputs(&mut self, case: &TestCase) {
        for (name, fixture) in &case.fixtures.inputs {
            let Some(&input) = self.inputs.get(name.as_str()) else {
                if case.refused.is_none() {
                    self.unknown_input(name, fixture.span, &fixture.path);
                }
                continue;
            };
            if let InputType::File { .. } = input.kind {
                match file_source(&fixture.value) {
                    Ok(source) => self.source(&source, fixture.span, &fixture.path),
                    Err(_) if fixture.value.is_null() || has_expression(&fixture.value) => {}
                    Err(message) => self.invalid(fixture.span, &fixture.path, message),
                }
            } else if case.refused.is_none() {
                self.input_value(input, &fixture.value, (fixture.span, &fixture.path));
            }
        }
    }

    fn unknown_input(&mut self, name: &str, span: Span, path: &str) {
        let ids = || self.inputs.keys().copied();
        let hint = self.suggestions.did_you_mean(name, ids()).or_else(|| all_if_few(ids(), "it has"));
        let message = format!("the flow has no input `{name}`");
        self.found.push(Diagnostic::error(UNDEFINED_INPUT, span, message).at(path).maybe_hint(hint));
    }

    fn input_value(&mut self, input: &Input, value: &Value, (span, path): (Span, &str)) {
        if value.is_null() || has_expression(value) {
            return;
        }
        if let Err(message) = check_fixed(&input.kind, value) {
            let hint = "a case for inputs that the flow does not take says `refused: true`";
            let message = format!("the flow does not take this value for `{}`: {message}", input.id);
            self.found.push(Diagnostic::error(INVALID_VALUE, span, message).at(path).hint(hint));
        }
    }

    fn file(&mut self, file: &FileFixture) {
        self.source(&file.source, file.span, &file.path);
    }

    fn source(&mut self, source: &FileSource, span: Span, path: &str) {
        if let FileSource::Path(name) = source
            && !is_dynamic(name)
            && let Some(problem) = self.files.problem(name)
        {
            let hint = "paths are relative to the folder of the test file";
            self.found.push(Diagnostic::error(MISSING_FILE, span, problem).at(path).hint(hint));
        }
    }

    fn fixture(&mut self, fixture: &TaskFixture) {
        let tasks: Vec<&'c Task> = match &fixture.target {
            FixtureTarget::Id(id) => {
                self.task(id, fixture.span, &format!("{}.id", fixture.path)).into_iter().collect()
            }
            // What is said of them depends on their types.
            FixtureTarget::Type(name) => {
                let tasks: Vec<&'c Task> = self.by_type.values().copied().collect();
                tasks_of_type(&tasks, name, self.catalogue)
            }
        };
        if let (FixtureTarget::Type(name), true) = (&fixture.target, tasks.is_empty()) {
            let known: Vec<&str> = self.by_type.keys().copied().collect();
            let message = format!("the flow has no task of the type `{name}`");
            let diagnostic = Diagnostic::error(UNKNOWN_TASK, fixture.span, message);
            self.found.push(
                diagnostic.at(format!("{}.type", fixture.path)).maybe_hint(suggest::type_hint(name, &known)),
            );
        }
        for answer in &fixture.answers {
            for file in answer.output_files.values() {
                self.file(file);
            }
            for (name, span) in &answer.output_spans {
                if let Some(diagnostic) = tasks.iter().find_map(|task| self.output(task, name, *span)) {
                    self.found.push(diagnostic.at(format!("{}.outputs.{name}", fixture.path)));
                }
            }
        }
    }

    /// An output of a fixture that the task's type does not put out.
    fn output(&self, task: &Task, name: &str, span: Span) -> Option<Diagnostic> {
        let info = self.catalogue.task(&task.type_name)?;
        let properties = info.outputs.get("properties")?.as_object()?;
        let open = info.outputs.get("additionalProperties").is_some_and(|more| *more != false);
        if open || properties.is_empty() || properties.contains_key(name) {
            return None;
        }
        let known = || properties.keys().map(String::as_str);
        let hint = self
            .suggestions
            .did_you_mean(name, known())
            .unwrap_or_else(|| format!("it has {}", suggest::enumerate(known(), "and")));
        let message = format!("the task `{}` has no output `{name}`", task.id);
        Some(Diagnostic::warning(UNDEFINED_OUTPUT, span, message).hint(hint))
    }

    fn task(&mut self, id: &str, span: Span, path: &str) -> Option<&'c Task> {
        let found = self.tasks.get(id).copied();
        if found.is_none() {
            let message = format!("the flow has no task `{id}`");
            let diagnostic = Diagnostic::error(UNKNOWN_TASK, span, message).at(path);
            self.found.push(diagnostic.maybe_hint(self.nearest_task(id)));
        }
        found
    }

    fn nearest_task(&self, id: &str) -> Option<String> {
        self.suggestions.did_you_mean(id, self.tasks.keys().copied())
    }

    /// Something that an expression reads.
    fn used(&mut self, found: &TestUse) {
        let at_end = found.at_end;
        let diagnostic = match (found.names[0].as_str(), found.names.get(1)) {
            ("outputs", Some(id)) => self.unknown_task_in(UNDEFINED_OUTPUT, id, found.span),
            ("tasks", Some(id)) => self.unknown_task_in(UNKNOWN_TASK, id, found.span),
            ("taskruns", Some(id)) if at_end => self.unknown_task_in(UNKNOWN_TASK, id, found.span),
            ("inputs", Some(name)) => {
                let name = name.as_str();
                let is_known = self.inputs.contains_key(name) || self.beginnings.contains(name);
                (!is_known).then(|| {
                    let ids = self.inputs.keys().copied();
                    let message = format!("the flow has no input `{name}`");
                    Diagnostic::error(UNDEFINED_INPUT, found.span, message)
                        .maybe_hint(self.suggestions.did_you_mean(name, ids))
                })
            }
            (root, _) if roots().any(|known| known == root) || (at_end && ROOTS_AT_END.contains(&root)) => {
                None
            }
            (root, _) => {
                let hint = match self.tasks.contains_key(root) {
                    true => Some(format!("for what the task `{root}` put out write `outputs.{root}`")),
                    false => self.suggestions.did_you_mean(root, roots().chain(ROOTS_AT_END)),
                };
                let message = format!("nothing is known of a variable `{root}`");
                Some(Diagnostic::warning(UNDEFINED_VARIABLE, found.root, message).maybe_hint(hint))
            }
        };
        self.found.extend(diagnostic.map(|diagnostic| diagnostic.at(&found.path)));
    }

    fn unknown_task_in(&self, code: &'static str, id: &str, span: Span) -> Option<Diagnostic> {
        if self.tasks.contains_key(id) {
            return None;
        }
        let message = format!("the flow has no task `{id}`");
        Some(Diagnostic::error(code, span, message).maybe_hint(self.nearest_task(id)))
    }

    fn invalid(&mut self, span: Span, path: &str, message: String) {
        self.found.push(Diagnostic::error(INVALID_VALUE, span, message).at(path));
    }
}
