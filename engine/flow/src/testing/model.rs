//! A test file as the engine sees it.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use jiff::SignedDuration;
use serde_json::Value;
use weft_model::{Label, Level, Map, MetricKind, State};

use crate::Span;

/// The tests of one flow.
#[derive(Debug, Clone)]
pub struct FlowTests {
    /// The file's id.
    pub id: String,
    /// Which flow is tested.
    pub flow: FlowReference,
    /// Markdown.
    pub description: Option<String>,
    /// The cases, in the order of the file. What the file's own `fixtures` say is in each.
    pub cases: Vec<TestCase>,
    /// What expressions read.
    pub(super) uses: Vec<TestUse>,
}

/// Which flow is tested.
#[derive(Debug, Clone)]
pub struct FlowReference {
    /// Its file, relative to the test file.
    pub path: Option<String>,
    /// Its namespace; always there where `path` is not.
    pub namespace: Option<String>,
    /// Its id; always there where `path` is not.
    pub id: Option<String>,
    /// Where the test file says so.
    pub span: Span,
}

/// One execution of the flow, and what is expected of it.
#[derive(Debug, Clone)]
pub struct TestCase {
    /// Unique in the file.
    pub id: String,
    /// Markdown.
    pub description: Option<String>,
    /// A disabled case is not run.
    pub disabled: bool,
    /// What the execution is started with, and what stands in for its tasks.
    pub fixtures: Fixtures,
    /// The states in which the execution may end; SUCCESS or WARNING where nothing is said.
    pub states: Option<Vec<State>>,
    /// The inputs are to be refused, with this text in the message.
    pub refused: Option<String>,
    /// After this time the execution is killed and the case has failed.
    pub timeout: Option<SignedDuration>,
    /// Whether retries, pauses and loops wait as long as the flow says.
    pub real_time: bool,
    /// What must hold at the end.
    pub assertions: Vec<Assertion>,
    /// Where the case's id stands.
    pub span: Span,
}

/// What an execution is started with, and what stands in for its tasks.
#[derive(Debug, Clone, Default)]
pub struct Fixtures {
    /// Inputs, not rendered.
    pub inputs: IndexMap<String, InputFixture>,
    /// Files of the flow's namespace, by name.
    pub files: IndexMap<String, FileFixture>,
    /// Stand-ins for tasks. The first that fits is used; those of the case come before those of the file.
    pub tasks: Vec<TaskFixture>,
    /// What becomes of tasks that have no fixture.
    pub others: Option<Others>,
    /// What started the execution.
    pub trigger: Option<TriggerFixture>,
    /// Labels on top of the flow's.
    pub labels: Vec<Label>,
    /// What `secret()` finds, by name.
    pub secrets: IndexMap<String, String>,
    /// What `kv()` finds.
    pub kv: Vec<KvFixture>,
    /// What expressions see as `envs`, on top of what the machine has.
    pub envs: Map,
}

/// A value for an input.
#[derive(Debug, Clone)]
pub struct InputFixture {
    /// As written; for an input of type FILE see [`file_source`](super::file_source).
    pub value: Value,
    /// Where it stands.
    pub span: Span,
    /// Where it stands in the test file: `testCases[0].fixtures.inputs.orders`.
    pub path: String,
}

/// A file.
#[derive(Debug, Clone)]
pub struct FileFixture {
    /// Where its content is.
    pub source: super::FileSource,
    /// Where it is said.
    pub span: Span,
    /// Where it stands in the test file.
    pub path: String,
}

/// What becomes of tasks with work of their own that have no fixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// They are run.
    Run,
    /// They end in SUCCESS and put nothing out.
    Succeed,
    /// They fail.
    Fail,
}

/// What started an execution.
#[derive(Debug, Clone)]
pub struct TriggerFixture {
    /// The trigger's id in the flow, and where it stands.
    pub id: Option<(String, Span)>,
    /// The trigger's type.
    pub type_name: Option<String>,
    /// What expressions see as `trigger`, not rendered.
    pub variables: Map,
}

/// A value of the key-value store.
#[derive(Debug, Clone)]
pub struct KvFixture {
    /// The namespace; that of the flow where it is not given.
    pub namespace: Option<String>,
    /// The key.
    pub key: String,
    /// The value.
    pub value: Value,
}

/// A stand-in for the runs of a task.
#[derive(Debug, Clone)]
pub struct TaskFixture {
    /// Which task.
    pub target: FixtureTarget,
    /// Only for these loop values, outermost first; one value alone is that of the innermost loop.
    pub values: Vec<String>,
    /// Only for this iteration of the innermost loop, from 0.
    pub iteration: Option<u32>,
    /// What each attempt comes to; the last one is also what further attempts come to. Never empty.
    pub answers: Vec<Answer>,
    /// Where the id or type stands.
    pub span: Span,
    /// Where the fixture stands in the test file.
    pub path: String,
}

/// Which task a fixture stands in for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FixtureTarget {
    /// The task with this id.
    Id(String),
    /// Every task of this type, under any of its names. `*` at the end stands for any type that begins so.
    Type(String),
}

/// What one attempt at a task comes to.
#[derive(Debug, Clone)]
pub struct Answer {
    /// SUCCESS, WARNING, FAILED or KILLED.
    pub state: State,
    /// What it puts out, not rendered.
    pub outputs: Map,
    /// Files that it puts out, by name.
    pub output_files: IndexMap<String, FileFixture>,
    /// Why it failed.
    pub error: Option<String>,
    /// What it logs.
    pub logs: Vec<(Level, String)>,
    /// What it measures.
    pub metrics: Vec<MetricFixture>,
    /// Where each output's name stands.
    pub(super) output_spans: Vec<(String, Span)>,
}

/// A metric that a stand-in emits.
#[derive(Debug, Clone)]
pub struct MetricFixture {
    /// Its name.
    pub name: String,
    /// What the value means.
    pub kind: MetricKind,
    /// Counted things, or milliseconds for a timer.
    pub value: f64,
    /// Dimensions.
    pub tags: BTreeMap<String, String>,
}

/// Something that must hold at the end of an execution.
#[derive(Debug, Clone)]
pub struct Assertion {
    /// What it is about, for people.
    pub description: Option<String>,
    /// What to say where it does not hold.
    pub error_message: Option<String>,
    /// The task that it is about.
    pub task_id: Option<(String, Span)>,
    /// What is looked at.
    pub subject: Subject,
    /// Where it stands.
    pub span: Span,
    /// Where it stands in the test file: `testCases[0].assertions[2]`.
    pub path: String,
}

/// What an [`Assertion`] looks at.
#[derive(Debug, Clone)]
pub enum Subject {
    /// An expression.
    Value {
        /// Not rendered.
        value: Value,
        /// All must hold.
        checks: Vec<Check>,
    },
    /// A metric: the sum of counters and timers, the last value of gauges.
    Metric {
        /// Its name.
        name: String,
        /// Only where it has these tags.
        tags: BTreeMap<String, String>,
        /// All must hold.
        checks: Vec<Check>,
    },
    /// Lines of the log.
    Log {
        /// All must hold for the same line.
        checks: Vec<Check>,
        /// Only lines of this level or a higher one.
        level: Option<Level>,
        /// How many lines there must be; at least one where it is not given.
        times: Option<u32>,
    },
    /// How the execution, or the runs of the task, came out.
    Facts {
        /// One of these is the state of each run.
        states: Option<Vec<State>>,
        /// Attempts of each run.
        attempts: Option<u32>,
        /// How often the task ran; 0 if it did not.
        runs: Option<u32>,
        /// All must hold for the message of one failure.
        error: Option<Vec<Check>>,
    },
}

/// An operator with what it compares to.
#[derive(Debug, Clone)]
pub struct Check {
    /// The operator.
    pub operator: Operator,
    /// Not rendered.
    pub expected: Value,
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "they mean what they say; docs/testing.md has the details")]
pub enum Operator {
    EqualTo,
    NotEqualTo,
    IsNull,
    IsNotNull,
    IsTrue,
    IsFalse,
    Contains,
    NotContains,
    StartsWith,
    EndsWith,
    Matches,
    GreaterThan,
    GreaterThanOrEqualTo,
    LessThan,
    LessThanOrEqualTo,
    In,
    NotIn,
}

impl Operator {
    /// Every operator under its name in test files.
    pub const ALL: &[(&str, Self)] = &[
        ("equalTo", Self::EqualTo),
        ("notEqualTo", Self::NotEqualTo),
        ("isNull", Self::IsNull),
        ("isNotNull", Self::IsNotNull),
        ("isTrue", Self::IsTrue),
        ("isFalse", Self::IsFalse),
        ("contains", Self::Contains),
        ("notContains", Self::NotContains),
        ("startsWith", Self::StartsWith),
        ("endsWith", Self::EndsWith),
        ("matches", Self::Matches),
        ("greaterThan", Self::GreaterThan),
        ("greaterThanOrEqualTo", Self::GreaterThanOrEqualTo),
        ("lessThan", Self::LessThan),
        ("lessThanOrEqualTo", Self::LessThanOrEqualTo),
        ("in", Self::In),
        ("notIn", Self::NotIn),
    ];

    /// Its name in test files.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, operator)| *operator == self).map_or("", |(name, _)| name)
    }

    /// Whether it compares to nothing: `true` switches it on.
    pub fn is_predicate(self) -> bool {
        matches!(self, Self::IsNull | Self::IsNotNull | Self::IsTrue | Self::IsFalse)
    }
}

/// Something that an expression of a test file reads.
#[derive(Debug, Clone)]
pub(super) struct TestUse {
    /// The root and the names after it.
    pub names: Vec<String>,
    /// Where the root stands.
    pub root: Span,
    /// Where the name after it stands.
    pub span: Span,
    pub path: String,
    /// Whether it is rendered at the end, by an assertion.
    pub at_end: bool,
}
