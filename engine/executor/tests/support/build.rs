//! Flows written as Rust values.

use indexmap::IndexMap;
use jiff::SignedDuration;
use serde_json::{Value as Json, json};
use weft_expr::Template;
use weft_flow::{
    DagTask, Flow, Flowable, ForEachItem, LoopUntil, Pause, PauseBehavior, Position, Retry, RetryBehavior,
    RetryPolicy, Shape, Span, Subflow, Task, TaskKind,
};
use weft_model::{FileHandling, Map};

pub fn flow(tasks: impl IntoIterator<Item = Task>) -> Flow {
    Flow {
        id: "flow".into(),
        namespace: "test".into(),
        revision: None,
        description: None,
        labels: Vec::new(),
        inputs: Vec::new(),
        variables: Map::new(),
        tasks: tasks.into_iter().collect(),
        errors: Vec::new(),
        finally: Vec::new(),
        after_execution: Vec::new(),
        triggers: Vec::new(),
        concurrency: None,
        retry: None,
        outputs: Vec::new(),
        sla: Vec::new(),
        disabled: false,
    }
}

pub fn template(source: &str) -> Template {
    Template::parse(source).expect("a test's template")
}

pub fn map(value: Json) -> Map {
    match value {
        Json::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

fn task(id: &str, type_name: &str, kind: TaskKind) -> Task {
    let start = Position { line: 1, column: 1, offset: 0 };
    Task {
        id: id.into(),
        type_name: type_name.into(),
        description: None,
        retry: None,
        timeout: None,
        disabled: false,
        worker_group: None,
        log_level: None,
        allow_failure: false,
        allow_warning: false,
        log_to_file: false,
        run_if: None,
        kind,
        span: Span { start, end: start },
    }
}

fn flowable(id: &str, type_name: &str, shape: Shape) -> Task {
    let flowable = Flowable { shape, errors: Vec::new(), finally: Vec::new() };
    task(id, type_name, TaskKind::Flowable(Box::new(flowable)))
}

/// A plugin task that puts out `value`: its format, rendered.
pub fn put(id: &str, format: &str) -> Task {
    script(id, json!({ "format": format }))
}

/// A plugin task that does nothing.
pub fn ok(id: &str) -> Task {
    script(id, json!({}))
}

/// A plugin task that always fails.
pub fn fail(id: &str) -> Task {
    script(id, json!({"fails": 1_000_000}))
}

/// A plugin task that fails in its first attempts.
pub fn flaky(id: &str, fails: u32) -> Task {
    script(id, json!({ "fails": fails }))
}

/// A plugin task with these instructions for the [`World`](super::World).
pub fn script(id: &str, properties: Json) -> Task {
    task(id, "test.Run", TaskKind::Run { properties: map(properties) })
}

pub fn seq(id: &str, tasks: impl IntoIterator<Item = Task>) -> Task {
    flowable(id, "test.Sequential", Shape::Sequential { tasks: tasks.into_iter().collect() })
}

pub fn allow(id: &str, tasks: impl IntoIterator<Item = Task>) -> Task {
    flowable(id, "test.AllowFailure", Shape::AllowFailure { tasks: tasks.into_iter().collect() })
}

pub fn par(id: &str, concurrent: u32, tasks: impl IntoIterator<Item = Task>) -> Task {
    flowable(id, "test.Parallel", Shape::Parallel { tasks: tasks.into_iter().collect(), concurrent })
}

pub fn dag<'a>(id: &str, tasks: impl IntoIterator<Item = (Task, &'a [&'a str])>) -> Task {
    let tasks = tasks.into_iter().map(|(task, depends_on)| DagTask {
        task,
        depends_on: depends_on.iter().map(|id| id.to_string()).collect(),
    });
    flowable(id, "test.Dag", Shape::Dag { tasks: tasks.collect(), concurrent: 0 })
}

pub fn either(id: &str, condition: &str, then: Vec<Task>, otherwise: Vec<Task>) -> Task {
    flowable(id, "test.If", Shape::If { condition: template(condition), then, otherwise })
}

pub fn switch<'a>(
    id: &str,
    value: &str,
    cases: impl IntoIterator<Item = (&'a str, Vec<Task>)>,
    defaults: Option<Vec<Task>>,
) -> Task {
    let cases: IndexMap<_, _> = cases.into_iter().map(|(key, tasks)| (key.to_owned(), tasks)).collect();
    flowable(id, "test.Switch", Shape::Switch { value: template(value), cases, defaults })
}

pub fn each(id: &str, concurrency: u32, values: Json, tasks: impl IntoIterator<Item = Task>) -> Task {
    let tasks = tasks.into_iter().collect();
    flowable(id, "test.ForEach", Shape::ForEach { values, tasks, concurrency, parallel_tasks: false })
}

pub fn each_parallel(id: &str, values: Json, tasks: impl IntoIterator<Item = Task>) -> Task {
    let tasks = tasks.into_iter().collect();
    flowable(id, "test.EachParallel", Shape::ForEach { values, tasks, concurrency: 0, parallel_tasks: true })
}

pub fn directory(id: &str, tasks: impl IntoIterator<Item = Task>) -> Task {
    let files = FileHandling { output_files: Some(json!(["*"])), ..FileHandling::default() };
    flowable(
        id,
        "test.WorkingDirectory",
        Shape::WorkingDirectory { tasks: tasks.into_iter().collect(), files },
    )
}

pub fn until(id: &str, condition: &str, most: u32, tasks: impl IntoIterator<Item = Task>) -> Task {
    let until = LoopUntil {
        tasks: tasks.into_iter().collect(),
        condition: template(condition),
        max_iterations: Some(most),
        max_duration: None,
        interval: SignedDuration::from_secs(1),
        fail_on_max_reached: false,
    };
    flowable(id, "test.LoopUntil", Shape::LoopUntil(until))
}

pub fn pause(id: &str, delay: Option<&str>, tasks: impl IntoIterator<Item = Task>) -> Task {
    let pause = Pause {
        tasks: tasks.into_iter().collect(),
        on_pause: None,
        delay: delay.map(str::to_owned),
        behavior: PauseBehavior::Resume,
        on_resume: Vec::new(),
    };
    flowable(id, "test.Pause", Shape::Pause(pause))
}

fn call(flow_id: &str) -> Subflow {
    Subflow {
        namespace: "test".into(),
        flow_id: flow_id.into(),
        revision: None,
        inputs: map(json!({"v": "{{ execution.id }}"})),
        labels: Vec::new(),
        wait: true,
        transmit_failed: true,
        inherit_labels: false,
        outputs: None,
        schedule_date: None,
    }
}

/// A call of a flow; the [`World`](super::World) ends it in the state that is the flow's id, in upper case.
pub fn subflow(id: &str, flow_id: &str) -> Task {
    flowable(id, "test.Subflow", Shape::Subflow(call(flow_id)))
}

/// As many batches as `items` says.
pub fn each_item(id: &str, items: &str, flow_id: &str) -> Task {
    let items = ForEachItem { items: items.into(), batch: map(json!({"rows": 1})), subflow: call(flow_id) };
    flowable(id, "test.ForEachItem", Shape::ForEachItem(items))
}

pub fn templated(id: &str, spec: &str) -> Task {
    flowable(id, "test.TemplatedTask", Shape::Templated { spec: template(spec) })
}

pub fn constant(max_attempts: u32) -> Retry {
    Retry {
        policy: RetryPolicy::Constant { interval: SignedDuration::from_secs(1) },
        max_attempts: Some(max_attempts),
        max_duration: None,
        warning_on_retry: false,
        behavior: RetryBehavior::RetryFailedTask,
    }
}

/// Changes to a task, in a chain.
pub trait With: Sized {
    fn with(self, change: impl FnOnce(&mut Self)) -> Self;
}

impl With for Flow {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl With for Task {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

pub trait TaskExt {
    fn retry(self, retry: Retry) -> Task;
    fn errors(self, tasks: impl IntoIterator<Item = Task>) -> Task;
    fn finally(self, tasks: impl IntoIterator<Item = Task>) -> Task;
    fn run_if(self, condition: &str) -> Task;
    fn disabled(self) -> Task;
    fn shape(self, change: impl FnOnce(&mut Shape)) -> Task;
}

impl TaskExt for Task {
    fn retry(self, retry: Retry) -> Task {
        self.with(|task| task.retry = Some(retry))
    }

    fn errors(self, tasks: impl IntoIterator<Item = Task>) -> Task {
        self.with(|task| flowable_of(task).errors = tasks.into_iter().collect())
    }

    fn finally(self, tasks: impl IntoIterator<Item = Task>) -> Task {
        self.with(|task| flowable_of(task).finally = tasks.into_iter().collect())
    }

    fn run_if(self, condition: &str) -> Task {
        self.with(|task| task.run_if = Some(template(condition)))
    }

    fn disabled(self) -> Task {
        self.with(|task| task.disabled = true)
    }

    fn shape(self, change: impl FnOnce(&mut Shape)) -> Task {
        self.with(|task| change(&mut flowable_of(task).shape))
    }
}

fn flowable_of(task: &mut Task) -> &mut Flowable {
    match &mut task.kind {
        TaskKind::Flowable(flowable) => flowable,
        TaskKind::Run { .. } => panic!("`{}` is not a flowable", task.id),
    }
}
