//! Runs a case of a test file: an execution in a data directory of its own, with fixtures in place of tasks.

mod given;
mod secrets;
mod stand_in;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use tokio::sync::watch;
use weft_executor::Start;
use weft_flow::testing::TestCase;
use weft_model::{Execution, Level, LogEntry, Map};
use weft_state::LogFilter;
use weft_testing::{CaseReport, CaseResult, Evidence, FixtureTable, Shortfall, judge};
use weft_worker::{ExecutionScope, Masker, Secrets};

use crate::execution::{Driver, Finished};
use crate::local::NewExecution;
use crate::{FlowSource, Layout, LoadedFlow, Local, LocalError, NoObserver};

use secrets::CaseSecrets;
pub(crate) use stand_in::TestSetup;

/// Lines of the log that the report of a case that failed has.
const LOG_LINES: usize = 10;

/// A case that is to be run.
pub struct CaseRequest {
    /// The case.
    pub case: TestCase,
    /// The flow under test.
    pub flow: LoadedFlow,
    /// Where flows are found that it calls.
    pub flows: FlowSource,
    /// What files in the test file are relative to.
    pub directory: PathBuf,
    /// A data directory for this case alone.
    pub data: PathBuf,
    /// Where secrets are looked for that the case does not give; nowhere if there is none.
    pub secrets: Option<Arc<dyn Secrets>>,
    /// When to end the execution, where the case does not say.
    pub timeout: Duration,
    /// Turns true when the tests are to end.
    pub stop: watch::Receiver<bool>,
}

/// How the engine of a case differs from one for work.
pub(crate) struct CaseEngine {
    pub layout: Layout,
    pub secrets: Arc<dyn Secrets>,
    pub envs: Map,
    pub setup: TestSetup,
}

/// What a case came to, before it is put into words.
#[derive(Default)]
struct Outcome {
    execution: Option<Execution>,
    failures: Vec<Shortfall>,
    notes: Vec<String>,
    log: Vec<LogEntry>,
}

impl Local {
    /// Runs a case and judges what it left. What goes wrong on the way is a failure of the case.
    pub async fn test_case(&self, request: CaseRequest) -> CaseReport {
        let begin = Instant::now();
        let masker = Masker::default();
        let case = &request.case;
        let mut outcome = match case.disabled {
            true => Outcome::default(),
            false => self.run_case(&request, &masker).await,
        };
        let result = match (case.disabled, outcome.failures.is_empty()) {
            (true, _) => CaseResult::Skipped,
            (false, true) => CaseResult::Passed,
            (false, false) => CaseResult::Failed,
        };
        for shortfall in &mut outcome.failures {
            shortfall.mask(&|text| masker.mask(text).into_owned());
        }
        CaseReport {
            id: case.id.clone(),
            description: case.description.clone(),
            result,
            line: case.span.start.line,
            duration: begin.elapsed(),
            execution_id: outcome.execution.as_ref().map(|execution| execution.id.clone()),
            state: outcome.execution.as_ref().map(Execution::current),
            failures: outcome.failures,
            notes: outcome.notes,
            log: outcome.log,
        }
    }

    async fn run_case(&self, request: &CaseRequest, masker: &Masker) -> Outcome {
        let case = &request.case;
        let mut outcome = Outcome::default();
        let setup = {
            let catalogue = self.catalogue().await;
            TestSetup::new(FixtureTable::new(case, &request.flow.flow, &catalogue), request)
        };
        let engine = self.for_case(CaseEngine {
            layout: Layout::new(&request.data),
            secrets: Arc::new(CaseSecrets::new(&case.fixtures.secrets, request.secrets.clone(), masker)),
            envs: case.fixtures.envs.clone(),
            setup,
        });
        let (flow, driver) = match engine.prepare_case(request).await {
            Ok(prepared) => prepared,
            Err(LocalError::Inputs(problems)) => {
                outcome.failures.extend(refused(case, &problems));
                return outcome;
            }
            Err(error) => {
                outcome.failures.push(broken(case, &error.to_string()));
                return outcome;
            }
        };
        if case.refused.is_some() {
            let actual = "they were taken".to_owned();
            outcome.failures.push(Shortfall::new(case.span, "inputs", "to be refused", actual));
            return outcome;
        }
        let scope = driver.scope.clone();
        match engine.end_case(request, (flow, driver), &mut outcome).await {
            Ok(finished) => engine.judge_case(request, finished, &scope, &mut outcome),
            Err(error) => outcome.failures.push(broken(case, &error.to_string())),
        }
        for shortfall in &mut outcome.failures {
            shortfall.mask(&|text| scope.masker.mask(text).into_owned());
        }
        // What was logged before it was known to be a secret.
        for entry in &mut outcome.log {
            scope.masker.mask_text(&mut entry.message);
        }
        outcome.notes.iter_mut().for_each(|note| scope.masker.mask_text(note));
        outcome
    }

    /// Everything up to the execution: files, values and inputs.
    async fn prepare_case(&self, request: &CaseRequest) -> Result<(LoadedFlow, Driver), LocalError> {
        let case = &request.case;
        let flow = &request.flow.flow;
        self.put_values(case, &flow.namespace)?;
        self.put_namespace_files(case, &flow.namespace, &request.directory).await?;
        let env = self.environment(&flow.namespace)?;
        let given = given::inputs(case, flow, request, &env)?;
        let trigger = given::trigger(case, flow, &env)?;
        let run = match &self.inner.testing {
            Some(setup) => Arc::new(setup.fixtures.flow(flow)),
            None => Arc::clone(flow),
        };
        let flow = LoadedFlow { flow: run, ..request.flow.clone() };
        let new = NewExecution {
            id: weft_model::new_id(),
            flow: flow.clone(),
            given,
            start: Start { labels: case.fixtures.labels.clone(), trigger, ..Start::default() },
            flows: request.flows.clone(),
            observer: Arc::new(NoObserver),
            depth: 0,
            masker: Masker::default(),
        };
        Ok((flow, self.inner.create(new)?))
    }

    /// Runs the execution to its end, which comes after the time limit at the latest.
    async fn end_case(
        &self,
        request: &CaseRequest,
        (flow, driver): (LoadedFlow, Driver),
        outcome: &mut Outcome,
    ) -> Result<Finished, LocalError> {
        let case = &request.case;
        let control = driver.control();
        let finished = self.inner.finish(flow, driver, request.flows.clone(), Arc::new(NoObserver));
        tokio::pin!(finished);
        let timeout = case.timeout.and_then(|timeout| timeout.try_into().ok()).unwrap_or(request.timeout);
        let mut stop = request.stop.clone();
        let stopped = async {
            if stop.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let (expected, actual) = tokio::select! {
            finished = &mut finished => return finished,
            () = tokio::time::sleep(timeout) => {
                let limit = SignedDuration::try_from(timeout).unwrap_or(SignedDuration::MAX);
                (format!("within {limit}"), "it was still running, and was killed")
            }
            () = stopped => ("by itself".to_owned(), "the tests were interrupted"),
        };
        control.kill(actual).await;
        outcome.failures.push(Shortfall::new(case.span, "end of the execution", expected, actual));
        finished.await
    }

    fn judge_case(
        &self,
        request: &CaseRequest,
        finished: Finished,
        scope: &ExecutionScope,
        outcome: &mut Outcome,
    ) {
        let case = &request.case;
        let id = finished.execution.id.clone();
        let read = || -> Result<_, LocalError> {
            let logs = self.store().log_reader(&id)?.collect::<Result<Vec<_>, _>>()?;
            Ok((logs, self.store().metrics(&id)?.read()?))
        };
        let (logs, metrics) = match read() {
            Ok(read) => read,
            Err(error) => {
                outcome.failures.push(broken(case, &error.to_string()));
                return;
            }
        };
        let evidence = Arc::new(Evidence {
            context: finished.context.unwrap_or_default(),
            execution: finished.execution,
            logs,
            metrics,
        });
        if let Some(setup) = &self.inner.testing {
            outcome.failures.extend(setup.problems().iter().map(|problem| broken(case, problem)));
            outcome.notes.extend(setup.unused());
        }
        // An execution that was killed, or had not what it was to have, says nothing about what was expected of it.
        if outcome.failures.is_empty() {
            let env = self.inner.worker.environment(&evidence.execution.namespace, scope);
            outcome.failures = judge(case, &evidence, &env);
        }
        if !outcome.failures.is_empty() {
            let filter = LogFilter { min_level: Some(Level::Info), ..LogFilter::default() };
            let lines = evidence.logs.iter().filter(|entry| filter.matches(entry));
            let lines: Vec<_> = lines.cloned().collect();
            outcome.log = lines[lines.len().saturating_sub(LOG_LINES)..].to_vec();
        }
        outcome.execution = Some(evidence.execution.clone());
    }
}

/// What is wrong with inputs that were refused, if that was not expected.
fn refused(case: &TestCase, problems: &[String]) -> Option<Shortfall> {
    let message = problems.join("\n");
    match &case.refused {
        Some(part) if message.contains(part.as_str()) => None,
        Some(part) => {
            let expected = format!("to be refused with {part:?}");
            Some(Shortfall::new(case.span, "inputs", expected, message))
        }
        None => Some(Shortfall::new(case.span, "inputs", "to be taken", message)),
    }
}

/// Something that has nothing to do with what is expected went wrong.
fn broken(case: &TestCase, message: &str) -> Shortfall {
    Shortfall::new(case.span, "test", "to run", message)
}
