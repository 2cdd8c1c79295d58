//! A world for machines: a worker that does as the tasks' properties say, a clock that jumps to the next timer, and
//! subflows that end at once.
#![allow(dead_code, reason = "each test crate uses its part")]

pub mod build;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};
use weft_executor::{Command, Event, Machine, Settings, Start, SubflowRequest, TimerKey, Transition};
use weft_expr::{NoEnvironment, Template};
use weft_flow::Flow;
use weft_model::{
    Execution, ExecutionUpdate, Failure, Label, Map, State, TaskRun, TaskRunRequest, TaskRunResult, Work,
};

/// A machine and all it needs.
pub struct World {
    pub flow: Arc<Flow>,
    pub settings: Arc<Settings>,
    pub machine: Machine,
    pub now: Timestamp,
    /// Requests that no worker has answered, oldest first.
    pub requests: VecDeque<TaskRunRequest>,
    pub timers: BTreeSet<(Timestamp, TimerKey)>,
    /// Subflows that have not ended.
    pub subflows: Vec<SubflowRequest>,
    pub splits: Vec<(String, String)>,
    /// Files of lines that were stored.
    pub stored: Vec<(String, Vec<Json>)>,
    pub new_executions: Vec<Start>,
    pub ended: Vec<State>,
    pub done: bool,
    /// Messages of the engine.
    pub logs: Vec<String>,
    /// What the worker was asked for, as `task[attempt]`.
    pub asked: Vec<String>,
    /// Contexts by `task[attempt]`.
    pub contexts: HashMap<String, Json>,
    pub commits: usize,
    /// All events so far.
    pub sent: Vec<Event>,
}

impl World {
    /// A world with a started execution in it; nothing has been answered.
    pub fn new(flow: Flow) -> Self {
        Self::with_settings(flow, Settings::default(), Start::default())
    }

    pub fn with_settings(flow: Flow, settings: Settings, start: Start) -> Self {
        let (flow, settings) = (Arc::new(flow), Arc::new(settings));
        let now = "2026-01-01T00:00:00Z".parse().expect("a date");
        let id = if start.id.is_empty() { "execution".to_owned() } else { start.id.clone() };
        let start = Start { id, flow_revision: 1, ..start };
        let machine = Machine::create(Arc::clone(&flow), start, Arc::clone(&settings), now);
        let mut world = Self::around(flow, settings, machine, now);
        world.send(Event::Start);
        world
    }

    /// A world around a machine that has not been told anything.
    pub fn around(flow: Arc<Flow>, settings: Arc<Settings>, machine: Machine, now: Timestamp) -> Self {
        Self {
            flow,
            settings,
            machine,
            now,
            requests: VecDeque::new(),
            timers: BTreeSet::new(),
            subflows: Vec::new(),
            splits: Vec::new(),
            stored: Vec::new(),
            new_executions: Vec::new(),
            ended: Vec::new(),
            done: false,
            logs: Vec::new(),
            asked: Vec::new(),
            contexts: HashMap::new(),
            commits: 0,
            sent: Vec::new(),
        }
    }

    /// Runs a flow to its end.
    pub fn finish(flow: Flow) -> Self {
        let mut world = Self::new(flow);
        world.run();
        world
    }

    pub fn send(&mut self, event: Event) {
        self.sent.push(event.clone());
        self.repeat(event);
    }

    /// Sends an event that was sent before.
    pub fn repeat(&mut self, event: Event) {
        let transition = self.machine.handle(event, &NoEnvironment, self.now);
        self.take(transition);
    }

    pub fn take(&mut self, transition: Transition) {
        self.commits += 1;
        self.logs.extend(transition.logs.into_iter().map(|entry| entry.message));
        for command in transition.commands {
            // Both sides of the seam are data: whatever a machine asks for survives a journey.
            match command {
                Command::Run(request) => {
                    let name = format!("{}[{}]", request.task_id, request.attempt);
                    let context = serde_json::to_value(&request.context).expect("a context is data");
                    self.contexts.insert(name.clone(), context);
                    self.asked.push(name);
                    self.requests.push_back(*request);
                }
                Command::Cancel { task_run_id } => {
                    for request in &mut self.requests {
                        if request.task_run_id == task_run_id && matches!(request.work, Work::Run { .. }) {
                            request.work = Work::Run { properties: build::map(json!({"state": "KILLED"})) };
                        }
                    }
                }
                Command::StartSubflow(request) => self.subflows.push(*request),
                Command::CancelSubflow { call, .. } => {
                    for request in &mut self.subflows {
                        if request.call == call {
                            request.flow_id = "killed".to_owned();
                        }
                    }
                }
                Command::SplitItems { task_run_id, uri, .. } => self.splits.push((task_run_id, uri)),
                Command::StoreLines { uri, lines, .. } => self.stored.push((uri, lines)),
                Command::SetTimer { key, at } => drop(self.timers.insert((at, key))),
                Command::NewExecution { start } => self.new_executions.push(*start),
                Command::Ended { state } => self.ended.push(state),
                Command::Done => self.done = true,
            }
        }
    }

    /// Does one thing that is to be done; false where there is nothing.
    pub fn step(&mut self) -> bool {
        self.now += SignedDuration::from_millis(1);
        if let Some(request) = self.requests.pop_front() {
            let result = self.work(&request);
            self.send(Event::TaskEnded(result));
        } else if let Some((task_run_id, uri)) = self.splits.pop() {
            let uris =
                (0..uri.parse().unwrap_or(0)).map(|number| format!("kestra:///batch/{number}")).collect();
            self.send(Event::ItemsSplit { task_run_id, uris });
        } else if !self.subflows.is_empty() {
            let request = self.subflows.remove(0);
            self.send(Event::SubflowStarted { call: request.call.clone() });
            let state = state_named(&request.flow_id.to_uppercase());
            self.send(Event::SubflowEnded {
                call: request.call,
                execution_id: request.execution_id,
                state,
                outputs: build::map(json!({"from": request.flow_id})),
            });
        } else if let Some((at, key)) = self.timers.pop_first() {
            self.now = self.now.max(at);
            self.send(Event::Timer(key));
        } else {
            return false;
        }
        true
    }

    /// Does so many things.
    pub fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.step();
        }
    }

    /// Does everything that is to be done.
    pub fn run(&mut self) {
        for _ in 0..100_000 {
            if !self.step() {
                return;
            }
        }
        panic!("no end in sight: {:?}", self.asked.last());
    }

    /// Stores the execution, forgets everything else and loads it again: what happens to an engine that is restarted.
    pub fn crash(&mut self) {
        let stored = serde_json::to_string(self.machine.execution()).expect("an execution is data");
        let execution: Execution = serde_json::from_str(&stored).expect("an execution reads back");
        assert_eq!(&execution, self.machine.execution());
        self.machine = Machine::load(Arc::clone(&self.flow), execution, Arc::clone(&self.settings));
        self.requests.clear();
        self.timers.clear();
        self.subflows.clear();
        self.splits.clear();
        let transition = self.machine.recover(&NoEnvironment, self.now);
        self.take(transition);
    }

    /// What a worker makes of a request.
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
        match &request.work {
            Work::Run { properties } => self.perform(request, properties, &mut result),
            Work::OpenDirectory { .. } => {}
            Work::CloseDirectory { .. } => {
                result.outputs = build::map(json!({"outputFiles": {"f": "kestra:///f"}}));
            }
        }
        result
    }

    fn perform(&self, request: &TaskRunRequest, properties: &Map, result: &mut TaskRunResult) {
        let fails = properties.get("fails").and_then(Json::as_u64).unwrap_or(0);
        if u64::from(request.attempt) < fails {
            result.state = State::Failed;
            result.failure = Some(Failure::new("test.fail", "failed on purpose"));
        }
        if let Some(state) = properties.get("state").and_then(Json::as_str) {
            result.state = state_named(state);
        }
        if let Some(exit) = properties.get("exit").and_then(Json::as_str) {
            result.updates.push(ExecutionUpdate::Exit(state_named(exit)));
        }
        if let Some(Json::Object(labels)) = properties.get("labels") {
            let labels = labels.iter().map(|(key, value)| Label {
                key: key.clone(),
                value: value.as_str().unwrap_or_default().to_owned(),
            });
            result.updates.push(ExecutionUpdate::Labels(labels.collect()));
        }
        if let Some(Json::Object(variables)) = properties.get("set") {
            result.updates.push(ExecutionUpdate::SetVariables(variables.clone()));
        }
        if let Some(format) = properties.get("format").and_then(Json::as_str) {
            let rendered = Template::parse(format)
                .map_err(|error| error.to_string())
                .and_then(|t| t.render(&request.context, &NoEnvironment).map_err(|error| error.to_string()));
            match rendered {
                Ok(value) => drop(result.outputs.insert("value".to_owned(), json!(value))),
                Err(message) => {
                    result.state = State::Failed;
                    result.failure = Some(Failure::new("test.render", message));
                }
            }
        }
    }

    pub fn execution(&self) -> &Execution {
        self.machine.execution()
    }

    pub fn state(&self) -> State {
        self.execution().current()
    }

    /// All task runs as `task[value]=STATE`, in order.
    pub fn runs(&self) -> Vec<String> {
        self.execution().task_run_list.iter().map(show).collect()
    }

    /// The first task run of a task.
    pub fn task_run(&self, task_id: &str) -> &TaskRun {
        let mut runs = self.execution().task_run_list.iter();
        runs.find(|run| run.task_id == task_id).unwrap_or_else(|| panic!("no task run of `{task_id}`"))
    }

    /// The `value` that a task put out.
    pub fn value(&self, task_id: &str) -> &str {
        self.task_run(task_id).output("value").and_then(Json::as_str).unwrap_or("(nothing)")
    }

    pub fn history(&self) -> Vec<&'static str> {
        self.execution().state.histories().iter().map(|change| change.state.as_str()).collect()
    }
}

/// `task[value]=STATE`.
pub fn show(run: &TaskRun) -> String {
    match &run.value {
        Some(value) => format!("{}[{value}]={}", run.task_id, run.current()),
        None => format!("{}={}", run.task_id, run.current()),
    }
}

fn state_named(name: &str) -> State {
    serde_json::from_value(json!(name)).unwrap_or(State::Success)
}
