//! What stands in for a task run: the request never gets to the worker.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::Value;
use weft_expr::render_json;
use weft_files::{ExecutionFiles, OpenFile, StorageError};
use weft_flow::testing::{Answer, FileSource};
use weft_model::{Failure, Level, Map, Metric, State, TaskRunRequest, TaskRunResult, Work};
use weft_testing::{FixtureTable, StandIn};
use weft_worker::{ExecutionScope, LogSource};

use super::CaseRequest;
use crate::local::Inner;

/// The fixtures of the case that an engine runs.
pub(crate) struct TestSetup {
    pub fixtures: FixtureTable,
    /// Whether nobody waits for retries, pauses and loops.
    pub time_jumps: bool,
    /// Namespace and id of the flow under test: other flows are run as they are.
    flow: (String, String),
    /// What files in the test file are relative to.
    directory: PathBuf,
    /// What is wrong with fixtures that were used.
    problems: Mutex<Vec<String>>,
}

impl TestSetup {
    pub fn new(fixtures: FixtureTable, request: &CaseRequest) -> Self {
        let flow = &request.flow.flow;
        Self {
            fixtures,
            time_jumps: !request.case.real_time,
            flow: (flow.namespace.clone(), flow.id.clone()),
            directory: request.directory.clone(),
            problems: Mutex::default(),
        }
    }

    /// What is wrong with fixtures that were used.
    pub fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Words about fixtures that were not used.
    pub fn unused(&self) -> Vec<String> {
        use weft_flow::testing::FixtureTarget;
        let words = self.fixtures.unused().map(|fixture| {
            let target = match &fixture.target {
                FixtureTarget::Id(id) => format!("`{id}`"),
                FixtureTarget::Type(name) => format!("the type `{name}`"),
            };
            let place = match (fixture.values.as_slice(), fixture.iteration) {
                ([], None) => String::new(),
                ([], Some(iteration)) => format!(" in iteration {iteration}"),
                (values, _) => format!(" for the value `{}`", values.join("`, `")),
            };
            format!("line {}: the fixture of {target}{place} was not used", fixture.span.start.line)
        });
        words.collect()
    }

    /// What stands in for an attempt, if anything does.
    pub fn stand_in(&self, request: &TaskRunRequest) -> Option<StandIn<'_>> {
        let own = self.flow.0 == request.namespace && self.flow.1 == request.flow_id;
        if !own || !matches!(request.work, Work::Run { .. }) {
            return None;
        }
        let loops = Loops::around(request);
        match self.fixtures.find(&request.task_id, &loops.values, loops.iteration, request.attempt) {
            StandIn::Nothing => None,
            stand_in => Some(stand_in),
        }
    }
}

/// The loops around a task run, as its expressions see them.
struct Loops {
    /// Innermost first.
    values: Vec<String>,
    iteration: Option<u32>,
}

impl Loops {
    fn around(request: &TaskRunRequest) -> Self {
        let task_run = request.context.get_attr("taskrun").unwrap_or_default();
        let value = |task_run: &weft_expr::Value| {
            task_run.get_attr("value").ok().and_then(|value| value.as_str().map(str::to_owned))
        };
        let iteration = task_run.get_attr("iteration").ok().and_then(|number| number.as_usize());
        let parents = request.context.get_attr("parents").unwrap_or_default();
        let parents = parents.try_iter().into_iter().flatten();
        let around = parents.filter_map(|parent| value(&parent.get_attr("taskrun").ok()?));
        // A task in a working directory has the value of that, which is in the list already.
        let own = iteration.and_then(|_| value(&task_run));
        Self {
            values: own.into_iter().chain(around).collect(),
            iteration: iteration.and_then(|number| u32::try_from(number).ok()),
        }
    }
}

impl Inner {
    /// Ends an attempt as its stand-in says.
    pub(crate) async fn stand_in(
        &self,
        setup: &TestSetup,
        stand_in: StandIn<'_>,
        request: &TaskRunRequest,
        scope: &ExecutionScope,
    ) -> TaskRunResult {
        let started = Timestamp::now();
        let (state, outputs, failure) = match stand_in {
            StandIn::Nothing | StandIn::Succeed => (State::Success, Map::new(), None),
            StandIn::Refuse(failure) => (State::Failed, Map::new(), Some(failure)),
            StandIn::Answer(answer) => match self.answer(setup, answer, request, scope).await {
                Ok(outputs) => (answer.state, outputs, failure_of(answer)),
                Err(message) => {
                    let message = format!("the fixture of `{}` cannot be used: {message}", request.task_id);
                    setup.problems.lock().unwrap_or_else(PoisonError::into_inner).push(message.clone());
                    (State::Failed, Map::new(), Some(Failure::new("test.fixture", message)))
                }
            },
        };
        if let Some(failure) = &failure {
            log(request, scope, &[(Level::Error, failure.message.clone())]);
        }
        TaskRunResult {
            task_run_id: request.task_run_id.clone(),
            attempt: request.attempt,
            state,
            outputs,
            failure,
            updates: Vec::new(),
            log_file: None,
            started,
            ended: Timestamp::now(),
        }
    }

    /// Leaves behind what the attempt would have: files, lines, metrics, outputs.
    async fn answer(
        &self,
        setup: &TestSetup,
        answer: &Answer,
        request: &TaskRunRequest,
        scope: &ExecutionScope,
    ) -> Result<Map, String> {
        let env = self.worker.environment(&request.namespace, scope);
        let outputs = Value::Object(answer.outputs.clone());
        let outputs = render_json(&outputs, &request.context, &env).map_err(|error| error.to_string())?;
        let mut outputs = match outputs {
            Value::Object(outputs) => outputs,
            _ => Map::new(),
        };
        let files = self.put_files(setup, answer, request).await?;
        if !files.is_empty() {
            match outputs.entry("outputFiles").or_insert_with(|| Map::new().into()) {
                Value::Object(known) => known.extend(files),
                other => *other = Value::Object(files),
            }
        }
        log(request, scope, &answer.logs);
        let metrics: Vec<Metric> = answer
            .metrics
            .iter()
            .map(|metric| Metric {
                task_id: request.task_id.clone(),
                task_run_id: request.task_run_id.clone(),
                name: metric.name.clone(),
                kind: metric.kind,
                value: metric.value,
                tags: metric.tags.clone(),
                timestamp: Timestamp::now(),
            })
            .collect();
        if !metrics.is_empty() {
            scope.records.metrics(&metrics);
        }
        Ok(outputs)
    }

    /// Puts output files into internal storage and into the directory that the task would have had; their addresses.
    async fn put_files(
        &self,
        setup: &TestSetup,
        answer: &Answer,
        request: &TaskRunRequest,
    ) -> Result<Map, String> {
        let text = |error: StorageError| error.to_string();
        let mut uris = Map::new();
        if answer.output_files.is_empty() {
            return Ok(uris);
        }
        let files = ExecutionFiles::new(&request.namespace, &request.flow_id, &request.execution_id)
            .and_then(|files| files.task_run(&request.task_id, &request.task_run_id))
            .map_err(text)?;
        let directory = request.directory.as_ref().and_then(|owner| self.worker.directory(owner));
        for (name, file) in &answer.output_files {
            let content = match &file.source {
                FileSource::Inline(content) | FileSource::Stored(content) => content.clone().into_bytes(),
                FileSource::Path(path) => {
                    let file = OpenFile::open(&setup.directory.join(path)).map_err(text)?;
                    let (path, mut content) = (file.path().to_owned(), Vec::new());
                    file.into_file()
                        .read_to_end(&mut content)
                        .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
                    content
                }
            };
            if let Some(directory) = &directory {
                directory.write(name, &content).map_err(text)?;
            }
            let uri = files.output_file(name).map_err(text)?;
            self.storage.put_bytes(&uri, content).await.map_err(text)?;
            uris.insert(name.clone(), uri.to_string().into());
        }
        Ok(uris)
    }
}

fn failure_of(answer: &Answer) -> Option<Failure> {
    answer.state.is_failed().then(|| {
        let message =
            answer.error.clone().unwrap_or_else(|| "the fixture says that the task failed".to_owned());
        Failure::new("test.fixture", message)
    })
}

fn log(request: &TaskRunRequest, scope: &ExecutionScope, lines: &[(Level, String)]) {
    let least = request.log_level.unwrap_or(Level::Trace);
    let masked: Vec<(Level, String)> = lines
        .iter()
        .filter(|(level, _)| *level >= least)
        .map(|(level, message)| (*level, scope.masker.mask(message).into_owned()))
        .collect();
    if masked.is_empty() {
        return;
    }
    let source = LogSource {
        task_id: request.task_id.clone(),
        task_run_id: request.task_run_id.clone(),
        attempt: request.attempt,
    };
    let attempt = scope.records.attempt(&source);
    let lines =
        masked.iter().flat_map(|(level, message)| message.lines().map(|line| (*level, line.as_bytes())));
    attempt.lines(Timestamp::now(), &mut { lines });
    attempt.flush();
}
