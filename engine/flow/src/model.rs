//! A flow as the engine sees it: typed, defaults merged in, every expression known to parse.

use indexmap::IndexMap;
use jiff::SignedDuration;
use serde_json::Value;
use weft_expr::Template;
use weft_model::{FileHandling, Label, Level, Map, State};

use crate::Span;
use crate::aliases::{self, EngineTrigger};

/// A flow. What it means is set by compat.md §1.1.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Unique in its namespace.
    pub id: String,
    /// Dots make a hierarchy.
    pub namespace: String,
    /// As written; stores assign their own.
    pub revision: Option<u32>,
    /// Markdown.
    pub description: Option<String>,
    /// Put on every execution.
    pub labels: Vec<Label>,
    /// What an execution is started with.
    pub inputs: Vec<Input>,
    /// What expressions see as `vars`; not rendered until used.
    pub variables: Map,
    /// Run one after the other.
    pub tasks: Vec<Task>,
    /// Run when a task failed and was not allowed to.
    pub errors: Vec<Task>,
    /// Run after `tasks` and `errors` whatever happened, while the execution is still running.
    pub finally: Vec<Task>,
    /// Run after the execution has its final state.
    pub after_execution: Vec<Task>,
    /// What starts executions by itself.
    pub triggers: Vec<Trigger>,
    /// How many executions may run at a time.
    pub concurrency: Option<Concurrency>,
    /// What to do when the execution failed.
    pub retry: Option<Retry>,
    /// Values that the execution hands out at its end.
    pub outputs: Vec<OutputDefinition>,
    /// Promises on the execution.
    pub sla: Vec<Sla>,
    /// A disabled flow cannot be executed.
    pub disabled: bool,
}

/// A task: what every task has, and what it does.
#[derive(Debug, Clone)]
pub struct Task {
    /// Unique in the flow.
    pub id: String,
    /// The type as written: expressions see it as `task.type`.
    pub type_name: String,
    /// Markdown.
    pub description: Option<String>,
    /// What to do when it failed.
    pub retry: Option<Retry>,
    /// ISO-8601 duration or an expression of one; bounds one attempt.
    pub timeout: Option<String>,
    /// A disabled task has no task run.
    pub disabled: bool,
    /// The worker group that must run it.
    pub worker_group: Option<String>,
    /// The least level that is stored.
    pub log_level: Option<Level>,
    /// FAILED becomes WARNING once retries are exhausted.
    pub allow_failure: bool,
    /// WARNING becomes SUCCESS; applied after `allow_failure`.
    pub allow_warning: bool,
    /// Whether the log is also kept as a file.
    pub log_to_file: bool,
    /// Skipped when this renders to a false text.
    pub run_if: Option<Template>,
    /// What it does.
    pub kind: TaskKind,
    /// Where it stands in the source.
    pub span: Span,
}

/// What a task does.
#[derive(Debug, Clone)]
pub enum TaskKind {
    /// Work for a plugin. The properties are the task's own, plugin defaults merged in, not rendered.
    Run {
        /// Everything but the common properties.
        properties: Map,
    },
    /// Structure: it runs other tasks.
    Flowable(Box<Flowable>),
}

/// A task that runs other tasks.
#[derive(Debug, Clone)]
pub struct Flowable {
    /// Which tasks, and in what order.
    pub shape: Shape,
    /// Run when one of them failed and was not allowed to.
    pub errors: Vec<Task>,
    /// Run at the end whatever happened.
    pub finally: Vec<Task>,
}

/// Which tasks a flowable runs, and in what order. Names are those of compat.md §2.7.
#[derive(Debug, Clone)]
pub enum Shape {
    /// One after the other.
    Sequential {
        /// The children.
        tasks: Vec<Task>,
    },
    /// All at once, at most `concurrent` at a time (0: no limit).
    Parallel {
        /// The children.
        tasks: Vec<Task>,
        /// How many at a time.
        concurrent: u32,
    },
    /// Each as soon as those it depends on have ended well.
    Dag {
        /// The children with what they wait for. Known to be free of cycles.
        tasks: Vec<DagTask>,
        /// How many at a time (0: no limit).
        concurrent: u32,
    },
    /// One of two branches.
    If {
        /// Rendered to text; false texts are compat.md §1.2's.
        condition: Template,
        /// When true.
        then: Vec<Task>,
        /// When false.
        otherwise: Vec<Task>,
    },
    /// One of many branches.
    Switch {
        /// Rendered to text and compared to the keys of `cases`.
        value: Template,
        /// The branches.
        cases: IndexMap<String, Vec<Task>>,
        /// When none matches; where it is absent too the task fails.
        defaults: Option<Vec<Task>>,
    },
    /// `tasks` once for each value (ForEach, EachSequential, EachParallel).
    ForEach {
        /// A list, or text that renders to a JSON list; rendered when the task starts.
        values: Value,
        /// The children of one iteration.
        tasks: Vec<Task>,
        /// How many iterations at a time (0: no limit).
        concurrency: u32,
        /// Whether the children of one iteration run all at once (EachParallel) or one after the other.
        parallel_tasks: bool,
    },
    /// One after the other, in one directory.
    WorkingDirectory {
        /// The children; flowables among them are allowed, `Pause` and subflows are not.
        tasks: Vec<Task>,
        /// What goes into the directory and comes out of it.
        files: FileHandling,
    },
    /// One after the other; a failure becomes WARNING.
    AllowFailure {
        /// The children.
        tasks: Vec<Task>,
    },
    /// `tasks` again and again until `condition` holds.
    LoopUntil(LoopUntil),
    /// Waits for a time or for a person, then runs `tasks`.
    Pause(Pause),
    /// Another flow.
    Subflow(Subflow),
    /// Another flow, once for each batch of a file's items.
    ForEachItem(ForEachItem),
    /// A task whose YAML is rendered first.
    Templated {
        /// YAML with expressions.
        spec: Template,
    },
}

/// A child of a Dag.
#[derive(Debug, Clone)]
pub struct DagTask {
    /// The child.
    pub task: Task,
    /// Ids of its siblings that must have ended.
    pub depends_on: Vec<String>,
}

/// Parameters of `LoopUntil` (`WaitFor`).
#[derive(Debug, Clone)]
pub struct LoopUntil {
    /// The children of one iteration, one after the other.
    pub tasks: Vec<Task>,
    /// Rendered after each iteration.
    pub condition: Template,
    /// Iterations before giving up.
    pub max_iterations: Option<u32>,
    /// Time before giving up.
    pub max_duration: Option<SignedDuration>,
    /// Pause between two iterations.
    pub interval: SignedDuration,
    /// Whether giving up is a failure.
    pub fail_on_max_reached: bool,
}

/// Parameters of `Pause`.
#[derive(Debug, Clone)]
pub struct Pause {
    /// Run after the pause (old form).
    pub tasks: Vec<Task>,
    /// Run when the pause begins (`onPause`).
    pub on_pause: Option<Box<Task>>,
    /// ISO-8601 duration or an expression of one; a person must resume where it is absent.
    pub delay: Option<String>,
    /// What happens after the delay: RESUME (default), WARN, FAIL or CANCEL. After the task's timeout, which counts where
    /// there is no delay, it fails.
    pub behavior: PauseBehavior,
    /// What the person who resumes is asked for.
    pub on_resume: Vec<Input>,
}

/// What happens when a pause is over by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseBehavior {
    /// The task ends well.
    Resume,
    /// The task ends in WARNING.
    Warn,
    /// The task fails.
    Fail,
    /// The execution is cancelled.
    Cancel,
}

/// Parameters of `Subflow`. Texts may be expressions.
#[derive(Debug, Clone)]
pub struct Subflow {
    /// The child's namespace.
    pub namespace: String,
    /// The child's id.
    pub flow_id: String,
    /// The child's revision; the newest where it is absent.
    pub revision: Option<u32>,
    /// The child's inputs, not rendered.
    pub inputs: Map,
    /// Labels for the child, not rendered.
    pub labels: Vec<Label>,
    /// Whether the task ends when the child ends (true) or when it is started.
    pub wait: bool,
    /// Whether a failed child fails the task.
    pub transmit_failed: bool,
    /// Whether the child gets the parent's labels.
    pub inherit_labels: bool,
    /// Old form: values rendered in the child's context at its end, as outputs of the task.
    pub outputs: Option<Map>,
    /// When the child is to be started.
    pub schedule_date: Option<String>,
}

/// Parameters of `ForEachItem`.
#[derive(Debug, Clone)]
pub struct ForEachItem {
    /// URI of the file, an expression.
    pub items: String,
    /// `{rows, bytes, partitions, separator}`, not rendered.
    pub batch: Map,
    /// The flow that is run for each batch.
    pub subflow: Subflow,
}

/// Retry of a task or a flow (compat.md §1.4).
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// How long to wait before the next attempt.
    pub policy: RetryPolicy,
    /// All attempts, the first included.
    pub max_attempts: Option<u32>,
    /// From the start of the first attempt.
    pub max_duration: Option<SignedDuration>,
    /// Success after more than one attempt is WARNING.
    pub warning_on_retry: bool,
    /// What is done again.
    pub behavior: RetryBehavior,
}

/// How long to wait before the next attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum RetryPolicy {
    /// Always the same.
    Constant {
        /// The wait.
        interval: SignedDuration,
    },
    /// `interval`, then times `factor` each time, at most `max_interval`.
    Exponential {
        /// The first wait.
        interval: SignedDuration,
        /// The longest wait.
        max_interval: SignedDuration,
        /// 2 where it is not given.
        factor: f64,
    },
    /// Anything between the two.
    Random {
        /// The shortest wait.
        min_interval: SignedDuration,
        /// The longest wait.
        max_interval: SignedDuration,
    },
}

/// What is done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryBehavior {
    /// The failed task, in the same execution.
    RetryFailedTask,
    /// The flow, in a new execution.
    CreateNewExecution,
}

/// How many executions of a flow may run at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concurrency {
    /// At least 1.
    pub limit: u32,
    /// What happens to one more.
    pub behavior: ConcurrencyBehavior,
}

/// What happens to an execution over the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConcurrencyBehavior {
    /// It waits, first come first served.
    Queue,
    /// It ends as CANCELLED.
    Cancel,
    /// It ends as FAILED.
    Fail,
}

/// A promise on an execution.
#[derive(Debug, Clone)]
pub struct Sla {
    /// Its id.
    pub id: String,
    /// What is promised.
    pub promise: SlaPromise,
    /// What happens when it is broken.
    pub behavior: SlaBehavior,
    /// Labels put on the execution when it is broken.
    pub labels: Vec<Label>,
}

/// What is promised.
#[derive(Debug, Clone)]
pub enum SlaPromise {
    /// The execution ends within this time.
    MaxDuration(SignedDuration),
    /// This renders to a true text at the end.
    Assertion(Template),
}

/// What happens when a promise is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlaBehavior {
    /// The execution fails.
    Fail,
    /// The execution is cancelled.
    Cancel,
    /// Only the labels are put on.
    None,
}

/// A value that an execution hands out at its end.
#[derive(Debug, Clone)]
pub struct OutputDefinition {
    /// Its name.
    pub id: String,
    /// What it must be.
    pub kind: InputType,
    /// What it is, not rendered.
    pub value: Value,
    /// Markdown.
    pub description: Option<String>,
    /// For people.
    pub display_name: Option<String>,
    /// Whether it must be there.
    pub required: bool,
}

/// Something that starts executions by itself.
#[derive(Debug, Clone)]
pub struct Trigger {
    /// Unique in the flow.
    pub id: String,
    /// The type as written.
    pub type_name: String,
    /// Markdown.
    pub description: Option<String>,
    /// A disabled trigger starts nothing.
    pub disabled: bool,
    /// Inputs for the executions, not rendered.
    pub inputs: Map,
    /// Labels for the executions.
    pub labels: Vec<Label>,
    /// States of an execution after which the trigger disables itself.
    pub stop_after: Vec<State>,
    /// Everything else, plugin defaults merged in, not rendered.
    pub properties: Map,
    /// Where it stands in the source.
    pub span: Span,
}

impl Trigger {
    /// Which of the engine's own triggers it is; none where a plugin provides its type.
    pub fn engine(&self) -> Option<EngineTrigger> {
        aliases::engine_trigger(&self.type_name).map(|names| names.what)
    }
}

/// What an execution is started with.
#[derive(Debug, Clone)]
pub struct Input {
    /// Its name; dots nest.
    pub id: String,
    /// What it must be.
    pub kind: InputType,
    /// Whether it must be given where there is no default.
    pub required: bool,
    /// The value where none is given; rendered.
    pub defaults: Option<Value>,
    /// Markdown.
    pub description: Option<String>,
    /// For people.
    pub display_name: Option<String>,
    /// Asked for only when the others are there and the condition holds.
    pub depends_on: Option<DependsOn>,
    /// Where it stands in the source.
    pub span: Span,
}

/// When an input is asked for.
#[derive(Debug, Clone)]
pub struct DependsOn {
    /// Inputs that come before.
    pub inputs: Vec<String>,
    /// Rendered with these inputs; a false text leaves the input out.
    pub condition: Option<Template>,
}

/// What an input must be (compat.md §1.3), with its validators.
#[derive(Debug, Clone)]
pub enum InputType {
    /// Text, matched as a whole by the regular expression.
    String {
        /// The expression, known to compile.
        validator: Option<String>,
    },
    /// A 32-bit integer.
    Int {
        /// The least value.
        min: Option<i64>,
        /// The greatest value.
        max: Option<i64>,
    },
    /// A number.
    Float {
        /// The least value.
        min: Option<f64>,
        /// The greatest value.
        max: Option<f64>,
    },
    /// True or false.
    Bool,
    /// An instant.
    DateTime {
        /// Not before.
        after: Option<String>,
        /// Not after.
        before: Option<String>,
    },
    /// A day.
    Date {
        /// Not before.
        after: Option<String>,
        /// Not after.
        before: Option<String>,
    },
    /// A time of day.
    Time {
        /// Not before.
        after: Option<String>,
        /// Not after.
        before: Option<String>,
    },
    /// An ISO-8601 duration.
    Duration {
        /// The least value.
        min: Option<SignedDuration>,
        /// The greatest value.
        max: Option<SignedDuration>,
    },
    /// A file in internal storage.
    File {
        /// Names must end with one of these, if there are any.
        allowed_extensions: Vec<String>,
        /// What a stored file's name ends with where the upload has no name.
        extension: String,
    },
    /// Anything, given as JSON text.
    Json,
    /// Anything, given as YAML text.
    Yaml,
    /// An address.
    Uri,
    /// Text that is masked and encrypted at rest.
    Secret {
        /// The expression, known to compile.
        validator: Option<String>,
    },
    /// A list, given as JSON text or YAML.
    Array {
        /// What each item must be.
        items: Box<InputType>,
    },
    /// One of some values.
    Select(Choice),
    /// Some of some values.
    MultiSelect(Choice),
    /// A mail address.
    Email,
}

/// What may be chosen.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Fixed values.
    pub values: Vec<String>,
    /// An expression of a list of values.
    pub expression: Option<Template>,
    /// Whether other values are taken too.
    pub allow_custom: bool,
    /// Whether the first value is the default.
    pub auto_select_first: bool,
}
