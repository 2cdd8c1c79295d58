//! The types that the engine itself gives a meaning: tasks that run other tasks, and triggers that need no plugin.
//! Every name that a type has ever had is here and nowhere else.

use crate::Catalogue;

/// A task type that runs other tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Structure {
    Sequential,
    Parallel,
    Dag,
    If,
    Switch,
    EachSequential,
    EachParallel,
    ForEach,
    WorkingDirectory,
    AllowFailure,
    LoopUntil,
    Pause,
    Subflow,
    /// The old `Flow`: a subflow that nobody waits for.
    DetachedSubflow,
    ForEachItem,
    TemplatedTask,
}

/// A trigger type that the engine has without a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineTrigger {
    /// At the times of a cron expression.
    Schedule,
    /// At given dates.
    ScheduleOnDates,
    /// When its address is called.
    Webhook,
    /// When another flow's execution ends.
    Flow,
}

/// A type and its names; the first one is what suggestions and the editor schema use.
pub(crate) struct Names<T: 'static> {
    pub(crate) what: T,
    pub(crate) names: &'static [&'static str],
    /// One line for the editor.
    pub(crate) title: &'static str,
}

impl<T> Names<T> {
    /// The name to use.
    pub(crate) fn canonical(&self) -> &'static str {
        self.names[0]
    }

    /// The other names.
    pub(crate) fn aliases(&self) -> Vec<String> {
        self.names[1..].iter().map(|&name| name.to_owned()).collect()
    }
}

macro_rules! flow_types {
    ($($what:ident $title:literal [$($name:literal),+];)+) => {
        &[$(Names { what: Structure::$what, names: &[$($name),+], title: $title }),+]
    };
}

/// Task types that run other tasks.
pub(crate) const STRUCTURES: &[Names<Structure>] = flow_types! {
    Sequential "Runs tasks one after the other."
        ["io.kestra.plugin.core.flow.Sequential", "io.kestra.core.tasks.flows.Sequential"];
    Parallel "Runs tasks all at once."
        ["io.kestra.plugin.core.flow.Parallel", "io.kestra.core.tasks.flows.Parallel"];
    Dag "Runs each task as soon as those it depends on have ended."
        ["io.kestra.plugin.core.flow.Dag", "io.kestra.core.tasks.flows.Dag"];
    If "Runs one of two branches."
        ["io.kestra.plugin.core.flow.If", "io.kestra.core.tasks.flows.If"];
    Switch "Runs the branch whose key equals a value."
        ["io.kestra.plugin.core.flow.Switch", "io.kestra.core.tasks.flows.Switch"];
    EachSequential "Runs tasks for each value, one value after the other."
        ["io.kestra.plugin.core.flow.EachSequential", "io.kestra.core.tasks.flows.EachSequential"];
    EachParallel "Runs tasks for each value, all at once."
        ["io.kestra.plugin.core.flow.EachParallel", "io.kestra.core.tasks.flows.EachParallel"];
    ForEach "Runs tasks for each value, some values at a time."
        ["io.kestra.plugin.core.flow.ForEach"];
    WorkingDirectory "Runs tasks one after the other in one directory."
        [
            "io.kestra.plugin.core.flow.WorkingDirectory", "io.kestra.core.tasks.flows.WorkingDirectory",
            "io.kestra.plugin.core.flow.Worker", "io.kestra.core.tasks.flows.Worker"
        ];
    AllowFailure "Runs tasks one after the other; a failure becomes a warning."
        ["io.kestra.plugin.core.flow.AllowFailure", "io.kestra.core.tasks.flows.AllowFailure"];
    LoopUntil "Runs tasks again and again until a condition holds."
        ["io.kestra.plugin.core.flow.LoopUntil", "io.kestra.plugin.core.flow.WaitFor"];
    Pause "Waits for a time or for a person."
        ["io.kestra.plugin.core.flow.Pause", "io.kestra.core.tasks.flows.Pause"];
    Subflow "Runs another flow."
        ["io.kestra.plugin.core.flow.Subflow", "io.kestra.core.tasks.flows.Subflow"];
    DetachedSubflow "Starts another flow; waits for it only if asked to."
        ["io.kestra.core.tasks.flows.Flow", "io.kestra.plugin.core.flow.Flow"];
    ForEachItem "Runs another flow for each batch of a file's items."
        ["io.kestra.plugin.core.flow.ForEachItem", "io.kestra.core.tasks.flows.ForEachItem"];
    TemplatedTask "Renders the YAML of a task and runs it."
        [
            "io.kestra.plugin.core.templating.TemplatedTask", "io.kestra.core.tasks.templating.TemplatedTask"
        ];
};

macro_rules! trigger_types {
    ($($what:ident $title:literal [$($name:literal),+];)+) => {
        &[$(Names { what: EngineTrigger::$what, names: &[$($name),+], title: $title }),+]
    };
}

/// Trigger types that need no plugin.
pub(crate) const ENGINE_TRIGGERS: &[Names<EngineTrigger>] = trigger_types! {
    Schedule "Starts executions at the times of a cron expression."
        ["io.kestra.plugin.core.trigger.Schedule", "io.kestra.core.models.triggers.types.Schedule"];
    ScheduleOnDates "Starts executions at given dates."
        ["io.kestra.plugin.core.trigger.ScheduleOnDates"];
    Webhook "Starts an execution when its address is called."
        ["io.kestra.plugin.core.trigger.Webhook", "io.kestra.core.models.triggers.types.Webhook"];
    Flow "Starts an execution when another flow's execution ends."
        ["io.kestra.plugin.core.trigger.Flow", "io.kestra.core.models.triggers.types.Flow"];
};

/// What to do instead of a type that is not here. Only names that nobody provides are looked up.
pub(crate) fn instead(type_name: &str) -> Option<&'static str> {
    let gone = GONE.iter().find(|(name, _)| *name == type_name).map(|(_, instead)| *instead);
    gone.or_else(|| {
        let rest = PACKAGES.iter().find_map(|package| type_name.strip_prefix(package))?;
        ABSENT.iter().find(|(names, _)| names.contains(&rest)).map(|(_, instead)| *instead)
    })
}

/// Packages of the core types, by era.
const PACKAGES: [&str; 2] = ["io.kestra.plugin.core.", "io.kestra.core.tasks."];

/// Core types of Kestra that this engine does not have, without their packages.
const ABSENT: &[(&[&str], &str)] = &[
    (
        &[
            "storage.DeduplicateItems",
            "storages.DeduplicateItems",
            "storage.FilterItems",
            "storages.FilterItems",
        ],
        "this engine does not have it: read the file in a script task",
    ),
    (
        &["storage.PurgeCurrentExecutionFiles", "storages.PurgeExecution"],
        "this engine does not have it: `weft executions delete` removes an execution with its files",
    ),
    (
        &["execution.PurgeExecutions", "storages.Purge", "log.Purge", "log.PurgeLogs"],
        "this engine does not have it: `weft executions delete` removes executions with their logs",
    ),
    (
        &["execution.Count", "executions.Counts", "execution.Counts"],
        "this engine does not have it: `weft executions list --json` lists executions",
    ),
    (
        &["execution.Resume", "executions.Resume"],
        "this engine does not have it: `weft executions resume` lets a paused execution go on",
    ),
    (
        &["log.Fetch"],
        "this engine does not have it: `errorLogs()` in an expression gives the errors, `weft executions logs` all lines",
    ),
    (
        &["state.Set", "state.Get", "state.Delete", "states.Set", "states.Get", "states.Delete"],
        "this engine does not have it: use `io.kestra.plugin.core.kv.Set`, `Get` and `Delete`",
    ),
    (
        &["namespace.UploadFiles", "namespace.DownloadFiles", "namespace.DeleteFiles"],
        "this engine does not have it: use `namespaceFiles` of a task to read files, `weft namespace files` to change them",
    ),
    (&["trigger.Toggle"], "this engine does not have it: set `disabled: true` on the trigger"),
];

/// Types that are gone, with what to use.
const GONE: &[(&str, &str)] = &[
    (
        "io.kestra.core.tasks.flows.Template",
        "templates are gone: make it a flow and use `io.kestra.plugin.core.flow.Subflow`",
    ),
    (
        "io.kestra.plugin.core.flow.Template",
        "templates are gone: make it a flow and use `io.kestra.plugin.core.flow.Subflow`",
    ),
    (
        "io.kestra.plugin.core.flow.Loop",
        "use `io.kestra.plugin.core.flow.ForEach`, whose value is `taskrun.value`",
    ),
];

/// The task structure with this name.
pub(crate) fn structure(type_name: &str) -> Option<&'static Names<Structure>> {
    STRUCTURES.iter().find(|names| names.names.contains(&type_name))
}

/// The name to which a name is an alias, or the name itself.
pub(crate) fn canonical<'n>(type_name: &'n str, catalogue: &'n dyn Catalogue) -> &'n str {
    structure(type_name)
        .map(Names::canonical)
        .or_else(|| engine_trigger(type_name).map(Names::canonical))
        .or_else(|| catalogue.task(type_name).map(|info| info.type_name.as_str()))
        .or_else(|| catalogue.trigger(type_name).map(|info| info.type_name.as_str()))
        .unwrap_or(type_name)
}

/// The engine's trigger with this name.
pub(crate) fn engine_trigger(type_name: &str) -> Option<&'static Names<EngineTrigger>> {
    ENGINE_TRIGGERS.iter().find(|names| names.names.contains(&type_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_means_one_type() {
        let mut all: Vec<&str> = STRUCTURES.iter().flat_map(|names| names.names).copied().collect();
        all.extend(ENGINE_TRIGGERS.iter().flat_map(|names| names.names));
        all.extend(GONE.iter().map(|(name, _)| name));
        let unique: std::collections::HashSet<&str> = all.iter().copied().collect();
        assert_eq!(unique.len(), all.len());
    }

    #[test]
    fn types_that_are_not_here_have_an_instead() {
        for (name, expected) in [
            ("io.kestra.core.tasks.flows.Template", true),
            ("io.kestra.plugin.core.state.Set", true),
            ("io.kestra.core.tasks.states.Set", true),
            ("io.kestra.plugin.core.log.Log", false),
            ("state.Set", false),
        ] {
            assert_eq!(instead(name).is_some(), expected, "{name}");
        }
    }

    #[test]
    fn old_names_are_found() {
        for (name, expected) in [
            ("io.kestra.core.tasks.flows.Worker", Some(Structure::WorkingDirectory)),
            ("io.kestra.plugin.core.flow.WaitFor", Some(Structure::LoopUntil)),
            ("io.kestra.core.tasks.flows.Flow", Some(Structure::DetachedSubflow)),
            ("io.kestra.core.models.triggers.types.Flow", None),
            ("Sequential", None),
        ] {
            assert_eq!(structure(name).map(|names| names.what), expected, "{name}");
        }
    }
}
