//! The names that expressions begin with (compat.md §5.4): one list for whoever fills them and whoever checks them.

/// What every expression of an execution can see, as the executor fills it. Those of a task are there in tasks only,
/// `trigger` only in executions that a trigger or another flow started, `error` only in an errors branch.
pub const EXECUTION_ROOTS: [&str; 17] = [
    "flow",
    "execution",
    "task",
    "taskrun",
    "parent",
    "parents",
    "inputs",
    "outputs",
    "vars",
    "trigger",
    "labels",
    "tasks",
    "envs",
    "globals",
    "kestra",
    "workerTaskrun",
    "error",
];

/// What the worker adds for the properties of a task.
pub const TASK_ROOTS: [&str; 2] = ["workingDir", "outputDir"];
