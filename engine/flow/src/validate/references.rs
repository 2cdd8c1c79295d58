//! What expressions read: does it exist, and does it exist by then? What only an execution can know is an error "at
//! runtime": the flow is wrong, but it can be run up to there.

use std::collections::{HashMap, HashSet};

use weft_model::{EXECUTION_ROOTS, TASK_ROOTS};

use super::outline::{Before, Stage};
use super::{Scope, TaskIndex, Use};
use crate::codes::{UNDEFINED_INPUT, UNDEFINED_OUTPUT, UNDEFINED_VARIABLE};
use crate::parse::Reader;
use crate::{Diagnostic, Span, suggest};

/// Names that expressions of other editions and versions begin with: nothing fills them here, and whoever writes them
/// has not made a typing mistake.
const FOREIGN_ROOTS: [&str; 4] = ["namespace", "outputFiles", "iteration", "item"];

/// What the engine fills into roots that are the same for every flow.
const ATTRIBUTES: [(&str, &[&str]); 3] = [
    ("flow", &["id", "namespace", "revision", "tenantId"]),
    ("execution", &["id", "startDate", "originalId", "state", "outputs", "tenantId"]),
    ("taskrun", &["id", "startDate", "attemptsCount", "parentId", "value", "iteration", "items"]),
];

/// What expressions can read without being told more: compat.md §5.4, and what tasks of some types add.
pub(crate) fn roots() -> impl Iterator<Item = &'static str> {
    EXECUTION_ROOTS.into_iter().chain(TASK_ROOTS)
}

/// What the flow says exists.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Ids of inputs in their order.
    pub(crate) inputs: Vec<String>,
    /// For each input, those that it depends on.
    pub(crate) depends_on: Vec<Vec<usize>>,
    /// Names of variables.
    pub(crate) variables: HashSet<String>,
    /// Whether these are all of them.
    pub(crate) variables_known: bool,
}

/// Checks everything that expressions read.
pub(crate) fn check_references(reader: &mut Reader<'_>, names: &Names) {
    let inputs = InputTree::new(&names.inputs);
    // Where a name with a dash ends: what follows a dash outside of quotes is no name of its own.
    let mut dashed = Span::default();
    for found in std::mem::take(&mut reader.uses) {
        if found.span(0).start >= dashed.start && found.span(0).end <= dashed.end {
            continue;
        }
        if let Some((span, diagnostic)) = reader.check_dash(&found, &inputs, names) {
            dashed = span;
            reader.push(diagnostic.at(&found.path));
            continue;
        }
        let diagnostic = match (found.names[0].as_str(), found.names.get(1)) {
            ("inputs", Some(_)) => reader.check_input(&found, &inputs, names),
            ("outputs", Some(id)) => reader.check_output(&found, id),
            ("vars", Some(name)) if names.variables_known => {
                reader.check_variable(&found, name, &names.variables)
            }
            ("vars", Some(_)) => None,
            ("taskrun", Some(name)) if name == "value" => reader.check_loop_value(&found),
            (root, _) => {
                reader.check_attribute(&found).or_else(|| reader.check_root(&found, root, &inputs, names))
            }
        };
        if let Some(diagnostic) = diagnostic {
            reader.push(diagnostic.at(&found.path));
        }
    }
}

/// Ids of inputs, where a dot makes a map: all beginnings of ids, with the first input that has it.
struct InputTree<'n> {
    beginnings: HashMap<&'n str, (usize, bool)>,
    ids: HashSet<&'n str>,
}

impl<'n> InputTree<'n> {
    fn new(ids: &'n [String]) -> Self {
        let mut beginnings = HashMap::new();
        for (index, id) in ids.iter().enumerate() {
            for (dot, _) in id.match_indices('.') {
                beginnings.entry(&id[..dot]).or_insert((index, false));
            }
            beginnings.entry(id.as_str()).or_insert((index, true));
        }
        Self { beginnings, ids: ids.iter().map(String::as_str).collect() }
    }

    /// The first input that the names lead to; `Err` has the part of the names that leads nowhere.
    fn find(&self, names: &[String]) -> Result<usize, String> {
        let mut path = String::new();
        let mut found = Err(String::new());
        for name in names {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(name);
            match self.beginnings.get(path.as_str()) {
                // Everything after an input's own id is inside its value.
                Some(&(index, true)) => return Ok(index),
                Some(&(index, false)) => found = Ok(index),
                None => return Err(path),
            }
        }
        found
    }
}

/// Characters that a name with dashes may have.
const LONGEST_NAME: usize = 256;

/// The names that a text can begin with if dashes belong to them, the longest first.
fn dashed_names(text: &str) -> impl Iterator<Item = &str> {
    let characters = text.char_indices().take(LONGEST_NAME);
    let name = characters.take_while(|(_, c)| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    let end = name.last().map_or(0, |(at, c)| at + c.len_utf8());
    let shorter = text[..end].rmatch_indices(['-', '.']).map(|(at, _)| &text[..at]);
    std::iter::once(&text[..end]).chain(shorter)
}

impl Reader<'_> {
    /// `inputs.my-input`, where the dash subtracts: the stretch of the whole name, and what to write.
    fn check_dash(&self, found: &Use, inputs: &InputTree<'_>, names: &Names) -> Option<(Span, Diagnostic)> {
        let [root, name, ..] = found.names.as_slice() else { return None };
        let code = match root.as_str() {
            "inputs" => UNDEFINED_INPUT,
            "vars" => UNDEFINED_VARIABLE,
            "outputs" => UNDEFINED_OUTPUT,
            _ => return None,
        };
        let start = found.span(1).start;
        let source = self.lines.source().get(start.offset as usize..)?;
        // Nearly always the end.
        source.strip_prefix(name.as_str())?.strip_prefix('-')?;
        let is_known = |name: &str| match code {
            UNDEFINED_INPUT => inputs.ids.contains(name),
            UNDEFINED_VARIABLE => names.variables.contains(name) || self.set_variables.contains(name),
            _ => self.outline.find(name).is_some(),
        };
        // Where there is something of the shorter name too, it may well be a subtraction.
        if is_known(name) {
            return None;
        }
        let known = dashed_names(source).find(|longer| longer.len() > name.len() && is_known(longer))?;
        let span =
            Span::new(start, self.lines.at(start.line, start.column - 1 + known.chars().count() as u32));
        let message = match code {
            UNDEFINED_INPUT => format!("the flow has no input `{name}`"),
            UNDEFINED_VARIABLE => format!("the flow has no variable `{name}`"),
            _ => format!("there is no task `{name}`"),
        };
        let hint = format!("a `-` outside of quotes subtracts: write `{root}['{known}']`");
        Some((span, Diagnostic::error(code, found.span(1), message).hint(hint).at_runtime()))
    }

    fn check_input(&self, found: &Use, inputs: &InputTree<'_>, names: &Names) -> Option<Diagnostic> {
        let ids = &names.inputs;
        match (inputs.find(&found.names[1..]), found.scope) {
            (Ok(index), Scope::Input(reader)) if index == reader => {
                let message = format!("the input `{}` cannot use its own value", ids[index]);
                Some(Diagnostic::error(UNDEFINED_INPUT, found.span(1), message).at_runtime())
            }
            (Ok(index), Scope::Input(reader))
                if index > reader
                    && !names.depends_on.get(reader).is_some_and(|others| others.contains(&index)) =>
            {
                let message = format!("the input `{}` has no value yet: it comes after this one", ids[index]);
                let diagnostic = Diagnostic::error(UNDEFINED_INPUT, found.span(1), message);
                Some(diagnostic.hint("move it up, or name it in `dependsOn`").at_runtime())
            }
            (Ok(_), _) => None,
            (Err(name), _) => {
                let hint = self.did_you_mean(&name, ids.iter().map(String::as_str)).unwrap_or_else(|| {
                    format!("add it to `inputs`, or give it a value here: `{{{{ inputs.{name} ?? '...' }}}}`")
                });
                let message = format!("the flow has no input `{name}`");
                let span = found.span(1 + name.matches('.').count());
                Some(Diagnostic::error(UNDEFINED_INPUT, span, message).hint(hint).at_runtime())
            }
        }
    }

    fn check_variable(&self, found: &Use, name: &str, known: &HashSet<String>) -> Option<Diagnostic> {
        if known.contains(name) || self.set_variables.contains(name) {
            return None;
        }
        let hint = self.did_you_mean(name, known.iter().chain(&self.set_variables).map(String::as_str));
        let message = format!("the flow has no variable `{name}`");
        let diagnostic = Diagnostic::error(UNDEFINED_VARIABLE, found.span(1), message);
        Some(diagnostic.maybe_hint(hint.or_else(|| Some("add it to `variables`".to_owned()))).at_runtime())
    }

    /// `taskrun.vale`: a name in what the engine itself fills in.
    fn check_attribute(&self, found: &Use) -> Option<Diagnostic> {
        let [root, name, ..] = found.names.as_slice() else { return None };
        let (_, known) = ATTRIBUTES.iter().find(|(known, _)| known == root)?;
        if known.contains(&name.as_str()) || found.scope == Scope::Trigger {
            return None;
        }
        let hint = self
            .did_you_mean(name, known.iter().copied())
            .unwrap_or_else(|| format!("`{root}` has {}", suggest::enumerate(known.iter().copied(), "and")));
        let message = format!("`{root}` has no `{name}`");
        Some(Diagnostic::error(UNDEFINED_VARIABLE, found.span(1), message).hint(hint).at_runtime())
    }

    /// Plugins may add names of their own, so an unknown one is only a warning.
    fn check_root(
        &self,
        found: &Use,
        root: &str,
        inputs: &InputTree<'_>,
        names: &Names,
    ) -> Option<Diagnostic> {
        let is_known = roots().chain(FOREIGN_ROOTS).any(|known| known == root);
        if is_known || found.scope == Scope::Trigger {
            return None;
        }
        let start = found.span(0).start.offset as usize;
        let is_argument_of = |function: &str| {
            let before = self.lines.source().get(..start).map_or("", str::trim_end);
            before.strip_suffix('(').is_some_and(|before| before.trim_end().ends_with(function))
        };
        let hint = if self.outline.find(root).is_some() {
            Some(format!("for what the task `{root}` put out write `outputs.{root}`"))
        } else if inputs.ids.contains(root) {
            Some(format!("for the input write `inputs.{root}`"))
        } else if names.variables.contains(root) {
            Some(format!("for the variable write `vars.{root}`"))
        } else if is_argument_of("secret") {
            Some(format!("quote the name: `secret('{root}')`"))
        } else {
            match (root, found.names.get(1)) {
                ("variables", _) => Some("variables of the flow are called `vars` in expressions".to_owned()),
                ("secrets", Some(name)) => Some(format!("write `secret('{name}')`")),
                ("secrets", None) => Some("write `secret('NAME')`".to_owned()),
                _ => self.did_you_mean(root, roots()),
            }
        };
        let message = format!("nothing is known of a variable `{root}`");
        Some(Diagnostic::warning(UNDEFINED_VARIABLE, found.span(0), message).maybe_hint(hint))
    }

    /// `taskrun.value` is what a loop is at; outside of loops there is none.
    fn check_loop_value(&self, found: &Use) -> Option<Diagnostic> {
        let (Scope::Task(reader) | Scope::TaskEnd(reader)) = found.scope else { return None };
        if self.outline.is_repeated(reader) || self.outline.task(reader).repeats {
            return None;
        }
        let message = "there is no `taskrun.value` here: the task is in no loop";
        let diagnostic = Diagnostic::error(UNDEFINED_VARIABLE, found.span(1), message);
        Some(diagnostic.hint("put the task into the `tasks` of a `ForEach`").at_runtime())
    }

    fn check_output(&self, found: &Use, id: &str) -> Option<Diagnostic> {
        let error =
            |message: String| Diagnostic::error(UNDEFINED_OUTPUT, found.span(1), message).at_runtime();
        let Some(task) = self.outline.find(id) else {
            let hint = self.nearest_or_all(id, self.outline.ids(), "the tasks are");
            return Some(error(format!("there is no task `{id}`")).maybe_hint(hint));
        };
        let (before, reader) = match found.scope {
            Scope::Anywhere => (Before::Yes, None),
            Scope::Trigger | Scope::Input(_) => {
                return Some(error("no task has run yet when this is rendered".to_owned()));
            }
            Scope::Flow(stage) => (self.outline.before_stage(task, stage), None),
            Scope::Task(reader) => (self.outline.before(task, reader), Some(reader)),
            Scope::TaskEnd(reader) => match self.outline.before(task, reader) {
                Before::Inside => (Before::Yes, Some(reader)),
                before => (before, Some(reader)),
            },
        };
        if let Some(reason) = reason(before) {
            let first = self.outline.task(task);
            let diagnostic = error(format!("the outputs of `{id}` do not exist here: {reason}"));
            let hint = match (before, reader) {
                (Before::Later, Some(reader)) => format!(
                    "move the task `{}` after `{id}`, or write `outputs.{id} ?? ...` if it may be missing",
                    self.outline.task(reader).id
                ),
                (Before::NotWaitedFor, _) => format!("add `{id}` to the `dependsOn` of this task"),
                (Before::Itself, _) => "use what the value is made of, or a task after this one".to_owned(),
                _ => format!("move one of the two, or write `outputs.{id} ?? ...` if it may be missing"),
            };
            return Some(diagnostic.hint(hint).related(first.id_span, "the task"));
        }
        if let (Some(disabled), false) =
            (self.outline.disabled_for(task, reader), found.scope == Scope::Anywhere)
        {
            let off = self.outline.task(disabled);
            let message = format!("the outputs of `{id}` do not exist: the task `{}` is disabled", off.id);
            return Some(error(message).related(off.id_span, "the disabled task"));
        }
        self.check_output_name(found, task)
    }

    /// `outputs.a.fiels`: an output that the plugin says nothing of.
    fn check_output_name(&self, found: &Use, task: TaskIndex) -> Option<Diagnostic> {
        let name = found.names.get(2)?;
        if let Some(inner) = self.outline.find(name).filter(|inner| self.outline.is_inside(*inner, task)) {
            let message = format!("the task `{}` has no output `{name}`", found.names[1]);
            let hint =
                format!("outputs do not nest: write `outputs.{name}` for what the task inside put out");
            let diagnostic = Diagnostic::error(UNDEFINED_OUTPUT, found.span(2), message);
            // A loop's outputs are kept by value, which may be called like a task.
            let loops = self.outline.task(task).repeats || self.outline.is_repeated(task);
            let inner = self.outline.task(inner).id_span;
            return (!loops).then(|| diagnostic.hint(hint).related(inner, "the task").at_runtime());
        }
        let info = self.outline.task(task).info?;
        let properties = info.outputs.get("properties")?.as_object()?;
        let open = info.outputs.get("additionalProperties").is_some_and(|more| *more != false);
        if self.outline.is_repeated(task) {
            // In loops, the names after the task are values; one that is called like an output is none.
            return properties.contains_key(name).then(|| self.looped_output(found, task, name));
        }
        if open || properties.is_empty() || properties.contains_key(name) {
            return None;
        }
        let known = || properties.keys().map(String::as_str);
        let hint = self
            .did_you_mean(name, known())
            .unwrap_or_else(|| format!("it has {}", suggest::enumerate(known(), "and")));
        let message = format!("the task `{}` has no output `{name}`", found.names[1]);
        Some(Diagnostic::warning(UNDEFINED_OUTPUT, found.span(2), message).hint(hint))
    }

    /// `outputs.a.value`, where `a` is in a loop and has outputs for each value.
    fn looped_output(&self, found: &Use, task: TaskIndex, name: &str) -> Diagnostic {
        let id = &found.names[1];
        let loops = self.outline.loops(task);
        let reader = match found.scope {
            Scope::Task(reader) | Scope::TaskEnd(reader) => Some(reader),
            _ => None,
        };
        let shares_loops = reader.is_some_and(|reader| self.outline.loops(reader).ends_with(&loops));
        let hint = match (shares_loops, loops.len()) {
            (true, 1) => format!("write `outputs.{id}[taskrun.value].{name}`"),
            (true, _) => format!("write `currentEachOutput(outputs.{id}).{name}`"),
            (false, count) => {
                let values = "['...']".repeat(count);
                format!("write `outputs.{id}{values}.{name}` with the value of each loop around it")
            }
        };
        let message = format!("the task `{id}` is in a loop: its outputs are kept for each value");
        Diagnostic::warning(UNDEFINED_OUTPUT, found.span(2), message).hint(hint)
    }
}

/// Why a task cannot have run before, for people.
fn reason(before: Before) -> Option<&'static str> {
    match before {
        Before::Yes => None,
        Before::Itself => Some("a task cannot read its own outputs"),
        Before::Later => Some("the task runs later"),
        Before::Inside => Some("the task is inside this one and runs later"),
        Before::SameTime => Some("both tasks run at the same time"),
        Before::OtherBranch => Some("the task is in another branch, and only one of the two runs"),
        Before::NotWaitedFor => Some("this task does not wait for it in `dependsOn`"),
    }
}

/// The stage at which a flow's own outputs are rendered.
pub(crate) const AT_END: Scope = Scope::Flow(Stage::Outputs);
