//! An execution played in memory: the engine's own state machine, a worker that renders and checks as the real one does, and
//! a clock that jumps to the next timer.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use weft_executor::{
    Command, Event, Machine, Settings, Start, SubflowRequest, TemplateParser, TimerKey, Transition,
};
use weft_expr::Template;
use weft_flow::{Catalogue, Flow, ParseOptions, Task, TypeInfo, parse_duration, property_problem};
use weft_model::{Execution, ExecutionUpdate, Failure, Map, State, TaskRunRequest, TaskRunResult, Work};

use crate::catalogue::{Plugins, with_validator};
use crate::worker::render;
use crate::worker::schema::{Roles, Schema};
use crate::world::World;

/// After so many steps an execution is killed: a loop may well have no end.
const LONG: usize = 1_500;
/// What it takes to kill one.
const END: usize = 30_000;

/// An execution, and what it waits for.
pub struct Play {
    flow: Arc<Flow>,
    settings: Arc<Settings>,
    machine: Machine,
    now: Timestamp,
    requests: VecDeque<TaskRunRequest>,
    timers: BTreeSet<(Timestamp, TimerKey)>,
    subflows: Vec<SubflowRequest>,
    splits: Vec<String>,
    done: bool,
}

impl Play {
    /// A started execution; nothing has been answered.
    pub fn new(flow: &Arc<Flow>, inputs: Map) -> Self {
        let settings = Arc::new(Settings { templates: Some(Arc::new(Templates)), ..Settings::default() });
        let start = Start { id: "execution".to_owned(), flow_revision: 1, inputs, ..Start::default() };
        let now = Timestamp::from_second(1_767_225_600).expect("a date");
        let machine = Machine::create(Arc::clone(flow), start, Arc::clone(&settings), now);
        let mut play = Self {
            flow: Arc::clone(flow),
            settings,
            machine,
            now,
            requests: VecDeque::new(),
            timers: BTreeSet::new(),
            subflows: Vec::new(),
            splits: Vec::new(),
            done: false,
        };
        play.send(Event::Start);
        play
    }

    /// Goes on until nothing is to be done, and checks that all of it has ended.
    pub fn run_to_end(&mut self) {
        if self.steps(LONG) == LONG {
            self.kill();
            assert!(self.steps(END) < END, "a killed execution has no end");
        }
        assert!(self.done && self.machine.is_done(), "stuck in {}", self.machine.execution().current());
        for run in &self.machine.execution().task_run_list {
            assert!(run.current().is_terminal(), "{} is {}", run.task_id, run.current());
        }
    }

    /// Does at most so many things; how many were done.
    pub fn steps(&mut self, most: usize) -> usize {
        (0..most).take_while(|_| self.step()).count()
    }

    /// Somebody ends the execution.
    pub fn kill(&mut self) {
        self.send(Event::Kill { reason: "enough".to_owned() });
    }

    /// The engine is killed and started again.
    pub fn crash(&mut self) {
        let stored = serde_json::to_string(self.machine.execution()).expect("an execution is data");
        let execution: Execution = serde_json::from_str(&stored).expect("an execution reads back");
        assert_eq!(&execution, self.machine.execution(), "as it was stored");
        self.machine = Machine::load(Arc::clone(&self.flow), execution, Arc::clone(&self.settings));
        self.requests.clear();
        self.timers.clear();
        self.subflows.clear();
        self.splits.clear();
        let transition = self.machine.recover(&World::default(), self.now);
        self.take(transition);
    }

    fn send(&mut self, event: Event) {
        let transition = self.machine.handle(event, &World::default(), self.now);
        self.take(transition);
    }

    fn take(&mut self, transition: Transition) {
        for command in transition.commands {
            match command {
                Command::Run(request) => self.requests.push_back(*request),
                Command::Cancel { task_run_id } => {
                    for request in
                        self.requests.iter_mut().filter(|request| request.task_run_id == task_run_id)
                    {
                        if let Work::Run { properties } = &mut request.work {
                            properties.insert("ends".to_owned(), "KILLED".into());
                        }
                    }
                }
                Command::StartSubflow(request) => self.subflows.push(*request),
                Command::SplitItems { task_run_id, .. } => self.splits.push(task_run_id),
                Command::SetTimer { key, at } => drop(self.timers.insert((at, key))),
                Command::Done => self.done = true,
                // Whoever is to be ended ends here anyway.
                Command::CancelSubflow { .. }
                | Command::StoreLines { .. }
                | Command::NewExecution { .. }
                | Command::Ended { .. } => {}
            }
        }
    }

    /// Does one thing that is to be done; false where there is nothing.
    fn step(&mut self) -> bool {
        self.now = self.now.saturating_add(SignedDuration::from_millis(1)).unwrap_or(self.now);
        if let Some(request) = self.requests.pop_front() {
            let result = self.work(&request);
            self.send(Event::TaskEnded(result));
        } else if let Some(task_run_id) = self.splits.pop() {
            let uris = (0..2).map(|number| format!("kestra:///batch/{number}")).collect();
            self.send(Event::ItemsSplit { task_run_id, uris });
        } else if let Some(request) = self.subflows.pop() {
            self.send(Event::SubflowStarted { call: request.call.clone() });
            let outputs = Map::from_iter([("value".to_owned(), json!("v"))]);
            let (call, execution_id) = (request.call, request.execution_id);
            self.send(Event::SubflowEnded { call, execution_id, state: State::Success, outputs });
        } else if let Some((at, key)) = self.timers.pop_first() {
            self.now = self.now.max(at);
            self.send(Event::Timer(key));
        } else if !self.done && self.machine.execution().current() == State::Paused {
            self.send(Event::Resume { task_run_id: None, inputs: Map::new() });
        } else {
            return false;
        }
        true
    }

    fn work(&self, request: &TaskRunRequest) -> TaskRunResult {
        let mut result = TaskRunResult {
            task_run_id: request.task_run_id.clone(),
            attempt: request.attempt,
            state: State::Success,
            outputs: Map::new(),
            failure: None,
            updates: Vec::new(),
            log_file: None,
            started: self.now,
            ended: self.now,
        };
        if let Some(timeout) = request.timeout.as_deref().filter(|timeout| !timeout.contains('{')) {
            assert!(parse_duration(timeout).is_ok(), "`timeout: {timeout}` is no duration");
        }
        if let Work::Run { properties } = &request.work {
            let info = Plugins::get().task(&request.task_type).expect("validation knows all types");
            match prepared(properties, info, request) {
                Ok(rendered) => {
                    result.state = match properties.get("ends").and_then(Value::as_str) {
                        Some("WARNING") => State::Warning,
                        Some("FAILED") => State::Failed,
                        Some("KILLED") => State::Killed,
                        _ => State::Success,
                    };
                    if let Some(Value::Object(variables)) = rendered.get("variables") {
                        result.updates.push(ExecutionUpdate::SetVariables(variables.clone()));
                    }
                    let value = rendered.get("commands").cloned().unwrap_or_default();
                    result.outputs = Map::from_iter([
                        ("value".to_owned(), value),
                        ("uri".to_owned(), "kestra:///a/b".into()),
                    ]);
                }
                Err(failure) => {
                    result.state = State::Failed;
                    result.failure = Some(failure);
                }
            }
        }
        result
    }
}

/// Properties as a plugin gets them, by the steps of `weft-worker`'s `Plan`.
fn prepared(properties: &Map, info: &TypeInfo, request: &TaskRunRequest) -> Result<Map, Failure> {
    let (schema, roles) = (Schema::root(&info.properties), Roles::of(&info.properties));
    let mut rendered = Map::new();
    for (name, value) in properties {
        let value = if roles.unrendered.contains(name) {
            value.clone()
        } else {
            render::property(value, schema.property(name), name, &request.context, &World::default())?
        };
        rendered.insert(name.clone(), value);
    }
    let validator = weft_schema::compile(&info.properties, &[]).expect("the schema is fine");
    let as_value = Value::Object(rendered.clone());
    for error in validator.iter_errors(&as_value) {
        let path = error.instance_path().to_string();
        let name = path.split('/').nth(1).unwrap_or_default();
        // What an expression gives is known now only; all else was there to be seen.
        assert!(
            properties.get(name).is_some_and(has_expression),
            "validation took what a run refuses: {}\n{properties:?}",
            property_problem(&error, &info.properties)
        );
    }
    Ok(rendered)
}

fn has_expression(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('{'),
        Value::Array(items) => items.iter().any(has_expression),
        Value::Object(members) => {
            members.iter().any(|(key, value)| key.contains('{') || has_expression(value))
        }
        _ => false,
    }
}

/// Every text that is to be rendered is a template.
pub fn check_templates(properties: &Map, schema: &Value) {
    let roles = Roles::of(schema);
    for (name, value) in properties {
        if !roles.unrendered.contains(name) {
            check_texts(value);
        }
    }
}

fn check_texts(value: &Value) {
    match value {
        Value::String(text) => check_text(text),
        Value::Array(items) => items.iter().for_each(check_texts),
        Value::Object(members) => {
            for (key, value) in members {
                check_text(key);
                check_texts(value);
            }
        }
        _ => {}
    }
}

fn check_text(text: &str) {
    if let Err(error) = Template::parse(text) {
        panic!("validation took a text that is no template: {error}");
    }
}

/// Reads the tasks that templates make.
#[derive(Debug)]
struct Templates;

impl TemplateParser for Templates {
    fn parse_task(&self, yaml: &str) -> Result<Task, String> {
        let (task, found) = with_validator(|validator| validator.parse_task(yaml, &ParseOptions::default()));
        task.ok_or_else(|| found.first().map(|found| found.message.clone()).unwrap_or_default())
    }
}
