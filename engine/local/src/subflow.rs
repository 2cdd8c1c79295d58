//! Executions that are started by a task of another one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use weft_executor::{Event, Start, SubflowRequest};
use weft_flow::Given;
use weft_model::{Failure, Level, Map, State};
use weft_worker::{ExecutionEnvironment, Masker};

use crate::control::Control;
use crate::execution::{Driver, Finished};
use crate::hidden::hide;
use crate::local::{Inner, NewExecution};
use crate::timers::sleep_until;
use crate::{LoadedFlow, LocalError};

/// How often an execution that waits for a person is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Starts what a task asks for. What becomes of it is told to the caller's loop as events; the result is how to stop it.
pub(crate) fn start(caller: &mut Driver, request: SubflowRequest) -> Option<Control> {
    let events = caller.sender();
    let call = request.call.clone();
    let prepared = prepare(caller, &request);
    match prepared {
        Ok((flow, driver)) => {
            let control = driver.control();
            let inner = Arc::clone(&caller.inner);
            let records = Arc::clone(&caller.records);
            let (flows, observer) = (caller.flows.clone(), Arc::clone(&caller.observer));
            let masker = caller.scope.masker.clone();
            let child = control.clone();
            caller.spawn(async move {
                let _ = events.send(Event::SubflowStarted { call: call.clone() }).await;
                let env = driver.env.clone();
                let mut ended = Box::pin(inner.finish(flow, driver, flows, observer)).await;
                if request.wait
                    && let Ok(finished) = &mut ended
                    && finished.execution.current() == State::Paused
                {
                    if inner.is_test() {
                        child.end();
                        let failure = Failure::new("subflow.paused", "the subflow waits for a person");
                        let _ = events.send(Event::SubflowRefused { call, failure }).await;
                        return;
                    }
                    records.say(Level::Info, paused(&request, &finished.execution.id));
                    inner.wait_for_a_person(finished, &child).await;
                }
                child.end();
                if request.wait {
                    let _ = events.send(outcome(ended, &request, &env, &masker)).await;
                }
            });
            Some(control)
        }
        Err(failure) => {
            caller.spawn(async move {
                let _ = events.send(Event::SubflowRefused { call, failure }).await;
            });
            None
        }
    }
}

/// What the caller's log says of a subflow that is paused.
fn paused(request: &SubflowRequest, id: &str) -> String {
    let (namespace, flow_id) = (&request.namespace, &request.flow_id);
    format!(
        "the subflow `{namespace}.{flow_id}` is paused\nhint: let it go on with `weft executions resume {id}`"
    )
}

fn prepare(caller: &Driver, request: &SubflowRequest) -> Result<(LoadedFlow, Driver), Failure> {
    let most = caller.inner.max_depth;
    if caller.depth >= most {
        let message = format!(
            "subflow `{}.{}` would be more than {most} subflows deep, each started by the one before\nhint: does a \
             flow call itself? If not, raise `subflows.maxDepth` in the configuration",
            request.namespace, request.flow_id
        );
        return Err(Failure::new("subflow.too-deep", message));
    }
    let catalogue = caller.inner.catalogue();
    let flow = caller
        .flows
        .find(&request.namespace, &request.flow_id, &catalogue)
        .map_err(|why| Failure::new("subflow.not-found", why))?;
    let given: BTreeMap<String, Given> =
        request.inputs.iter().map(|(name, value)| (name.clone(), Given::Json(value.clone()))).collect();
    let new = NewExecution {
        id: request.execution_id.clone(),
        flow: flow.clone(),
        given,
        start: Start {
            labels: request.labels.clone(),
            parent_id: Some(request.parent_id.clone()),
            trigger: Some(request.trigger.clone()),
            schedule_date: request.schedule_date,
            ..Start::default()
        },
        flows: caller.flows.clone(),
        observer: Arc::clone(&caller.observer),
        depth: caller.depth + 1,
        // What it is given may hold secrets of its caller.
        masker: caller.scope.masker.branch(),
    };
    let driver = caller.inner.create(new).map_err(|error| match error {
        LocalError::Inputs(problems) => Failure::new("subflow.inputs", problems.join("\n")),
        error => Failure::new("subflow.not-started", error.to_string()),
    })?;
    Ok((flow, driver))
}

/// The end of a subflow as its caller is told. What was a secret in the subflow and is handed up is one for the caller, too.
fn outcome(
    ended: Result<Finished, LocalError>,
    request: &SubflowRequest,
    env: &ExecutionEnvironment,
    masker: &Masker,
) -> Event {
    let call = request.call.clone();
    match ended {
        Ok(finished) => {
            let outputs = outputs(&finished, request, env);
            masker.add_all(finished.masker.found_in(&outputs).iter().map(|secret| &**secret));
            Event::SubflowEnded {
                call,
                execution_id: finished.execution.id.clone(),
                // The caller was killed while it waited for a person: the subflow itself can still go on.
                state: match finished.execution.current() {
                    State::Paused => State::Killed,
                    state => state,
                },
                outputs,
            }
        }
        Err(error) => {
            let failure =
                Failure::new("subflow.lost", format!("the subflow's state cannot be kept: {error}"));
            Event::SubflowRefused { call, failure }
        }
    }
}

/// What the caller sees: the child's own outputs, or (old form) the caller's expressions in the child's context.
fn outputs(finished: &Finished, request: &SubflowRequest, env: &ExecutionEnvironment) -> Map {
    let own = || finished.execution.outputs.clone().unwrap_or_default();
    let (Some(wanted), Some(context)) = (&request.outputs, &finished.context) else { return own() };
    let wanted = serde_json::Value::Object(wanted.clone());
    match weft_expr::render_json(&wanted, context, env) {
        Ok(serde_json::Value::Object(rendered)) => rendered,
        _ => Map::new(),
    }
}

impl Inner {
    /// Runs an execution and, where its flow's retry asks for it, those that follow.
    pub(crate) async fn finish(
        self: &Arc<Self>,
        flow: LoadedFlow,
        driver: Driver,
        flows: crate::FlowSource,
        observer: Arc<dyn crate::Observer>,
    ) -> Result<Finished, LocalError> {
        self.finish_from(flow, driver, Event::Start, flows, observer).await
    }

    /// The same for an execution that goes on with another event.
    pub(crate) async fn finish_from(
        self: &Arc<Self>,
        flow: LoadedFlow,
        driver: Driver,
        first: Event,
        flows: crate::FlowSource,
        observer: Arc<dyn crate::Observer>,
    ) -> Result<Finished, LocalError> {
        let (control, depth) = (driver.control(), driver.depth);
        let mut finished = self.drive(driver, first).await?;
        while let Some(start) = finished.next.take() {
            if let Some(date) = start.schedule_date.filter(|_| !self.time_jumps()) {
                tokio::select! {
                    () = sleep_until(date) => {}
                    () = control.killed() => {}
                }
            }
            if control.is_killed() {
                break;
            }
            let masker = finished.masker.branch();
            let mut driver = self.repeat(&flow, *start, flows.clone(), Arc::clone(&observer), masker)?;
            driver.take_over(control.clone());
            driver.depth = depth;
            finished = self.drive(driver, Event::Start).await?;
        }
        Ok(finished)
    }

    /// Waits until another process has let a paused execution go on and it has ended there, or until its caller is killed.
    async fn wait_for_a_person(&self, finished: &mut Finished, control: &Control) {
        // The journal may be long, and waiting may be, too: it is read as a whole once it has ended.
        let mut follower = self.store.follow(&finished.execution.id).ok();
        while !finished.execution.current().is_terminal() && !control.is_killed() {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = control.killed() => return,
            }
            // What cannot be read now is being written.
            if let Some(follower) = &mut follower
                && follower.look().is_ok_and(|state| state.is_some_and(State::is_terminal))
                && let Ok(Some(kept)) = self.store.load_kept(&finished.execution.id)
                // With another key than this engine's, nobody here could say what is not to be shown of it.
                && hide(&kept.hidden, &finished.masker, &self.vault).is_ok()
            {
                finished.execution = kept.execution;
            }
        }
    }
}
