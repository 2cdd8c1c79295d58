//! Executions that go on or are repeated: resumed after a pause, restarted, given another state, replayed.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::runtime::Handle;
use weft_executor::{Event, Machine, Replay};
use weft_files::ExecutionFiles;
use weft_flow::Given;
use weft_model::{Execution, Map, State};
use weft_state::{KeptExecution, StateError};
use weft_worker::{ExecutionEnvironment, Masker};

use crate::admission;
use crate::cleanup::{abandon, died};
use crate::execution::Driver;
use crate::hidden::hide;
use crate::inputs::Uploads;
use crate::local::{Inner, Local, Started, scope};
use crate::secret_inputs::{hide_sealed, seal};
use crate::{FlowSource, LoadedFlow, LocalError, Observer};

/// An execution that is to go on.
pub struct GoOnRequest {
    /// The execution.
    pub id: String,
    /// Its flow, as it was run.
    pub flow: LoadedFlow,
    /// How it goes on.
    pub again: Again,
    /// Where flows are found that it calls.
    pub flows: FlowSource,
    /// Whoever watches.
    pub observer: Arc<dyn Observer>,
}

/// How an execution goes on.
pub enum Again {
    /// After a pause, with values for the inputs that it asked for.
    Resume(BTreeMap<String, Given>),
    /// With the tasks that failed.
    Restart,
    /// From a task run on, which is given another final state.
    ChangeState {
        /// The task run.
        task_run_id: String,
        /// The state that it is to have ended in.
        state: State,
    },
}

/// An execution that is to be repeated as a new one.
pub struct ReplayRequest {
    /// The execution.
    pub id: String,
    /// The flow to run: as it was, or another revision of it.
    pub flow: LoadedFlow,
    /// The task run to start from, with what came before taken over; the start of the flow where there is none.
    pub from: Option<String>,
    /// Where flows are found that it calls.
    pub flows: FlowSource,
    /// Whoever watches.
    pub observer: Arc<dyn Observer>,
}

impl Local {
    /// Takes an execution up again that is paused or has failed, and runs it like [`Self::run`].
    pub async fn go_on(&self, request: GoOnRequest, started: Started) -> Result<Execution, LocalError> {
        self.inner.host.catalogue().await;
        let (flow, flows, observer) =
            (request.flow.clone(), request.flows.clone(), Arc::clone(&request.observer));
        let limited = &request.flow.flow;
        let _slot = admission::readmit(
            &self.inner.layout,
            &self.inner.admission,
            (&limited.namespace, &limited.id, &request.id),
            limited.concurrency.as_ref(),
        )
        .await?;
        let (driver, event) = self.inner.take_up(request)?;
        let _ = started.send((driver.machine.execution().id.clone(), driver.control()));
        Ok(self.inner.finish_from(flow, driver, event, flows, observer).await?.shown())
    }

    /// Repeats a kept execution as a new one, and runs it like [`Self::run`].
    pub async fn replay(&self, request: ReplayRequest, started: Started) -> Result<Execution, LocalError> {
        self.inner.host.catalogue().await;
        let (flow, flows, observer) =
            (request.flow.clone(), request.flows.clone(), Arc::clone(&request.observer));
        let driver = self.inner.replayed(request)?;
        let execution = driver.machine.execution();
        // One that begins from the start waits for its turn like any other.
        let limit = flow.flow.concurrency.as_ref().filter(|_| execution.current() != State::Created);
        let who = (flow.flow.namespace.as_str(), flow.flow.id.as_str(), execution.id.as_str());
        let _slot = admission::readmit(&self.inner.layout, &self.inner.admission, who, limit).await?;
        let _ = started.send((execution.id.clone(), driver.control()));
        Ok(self.inner.finish(flow, driver, flows, observer).await?.shown())
    }
}

impl Inner {
    fn replayed(self: &Arc<Self>, request: ReplayRequest) -> Result<Driver, LocalError> {
        let kept = self.store.load_kept(&request.id)?.ok_or_else(|| StateError::NotFound {
            id: request.id.clone(),
            directory: self.layout.root().to_owned(),
        })?;
        let KeptExecution { execution: kept, hidden } = kept;
        let id = weft_model::new_id();
        let records = self.records(&id, request.observer)?;
        let scope = scope(&records, &request.flow, Masker::default());
        hide(&hidden, &scope.masker, &self.vault)?;
        hide_sealed(&request.flow.flow.inputs, &kept.inputs, &scope.masker, &self.vault)?;
        let flow_revision = request.flow.flow.revision.unwrap_or(1);
        let replay = Replay { id, flow_revision, from: request.from };
        let flow = Arc::clone(&request.flow.flow);
        let machine = Machine::replay(flow, &kept, self.settings_for(&scope), replay, Timestamp::now())
            .map_err(|error| LocalError::Again(error.to_string()))?;
        self.begin(machine, &request.flow.source, records, scope, request.flows)
    }

    /// Opens a kept execution and finds the event that makes it go on.
    fn take_up(self: &Arc<Self>, request: GoOnRequest) -> Result<(Driver, Event), LocalError> {
        let flow = Arc::clone(&request.flow.flow);
        let records = self.records(&request.id, request.observer)?;
        let scope = scope(&records, &request.flow, Masker::default());
        let (mut execution, mut held) = self.hold(&request.id, &scope)?;
        hide_sealed(&flow.inputs, &execution.inputs, &scope.masker, &self.vault)?;
        let settings = self.settings_for(&scope);
        // Nobody runs it, and it says that somebody does: of an engine that died before executions were marked.
        if abandon(&mut execution, died(), Timestamp::now()) {
            held.journal.replace(&execution)?;
        }
        let (machine, event) = match request.again {
            Again::Restart => {
                let machine = Machine::restart(flow, execution, settings, Timestamp::now())
                    .map_err(|error| LocalError::Again(error.to_string()))?;
                held.journal.replace(machine.execution())?;
                (machine, Event::Start)
            }
            Again::ChangeState { task_run_id, state } => {
                let now = Timestamp::now();
                let machine = Machine::change_state(flow, execution, settings, &task_run_id, state, now)
                    .map_err(|error| LocalError::Again(error.to_string()))?;
                held.journal.replace(machine.execution())?;
                (machine, Event::Start)
            }
            Again::Resume(given) => {
                let paused = execution.current() == State::Paused;
                if !paused {
                    return Err(LocalError::Again(format!(
                        "execution `{}` is {} and not PAUSED: there is nothing to resume",
                        execution.id,
                        execution.current()
                    )));
                }
                let env = self.worker.environment(&execution.namespace, &scope);
                let machine = Machine::load(flow, execution, settings);
                let inputs = self.resume_inputs(&machine, &given, &env, &scope.masker)?;
                (machine, Event::Resume { task_run_id: None, inputs })
            }
        };
        let driver = Driver::new(Arc::clone(self), machine, held, records, scope, request.flows)?;
        Ok((driver, event))
    }

    /// Values for what a pause asks for.
    fn resume_inputs(
        &self,
        machine: &Machine,
        given: &BTreeMap<String, Given>,
        env: &ExecutionEnvironment,
        masker: &Masker,
    ) -> Result<Map, LocalError> {
        let execution = machine.execution();
        let paused = execution.task_run_list.iter().find(|run| run.current() == State::Paused);
        let asked = paused.map(|run| machine.pause_inputs(&run.id)).unwrap_or_default();
        let files = ExecutionFiles::new(&execution.namespace, &execution.flow_id, &execution.id)?;
        let mut uploads = Uploads { files, storage: &self.storage, runtime: Handle::current() };
        let mut values = weft_flow::resolve_values(asked, given, Map::new(), env, &mut uploads)
            .map_err(|problems| LocalError::Inputs(problems.iter().map(ToString::to_string).collect()))?;
        seal(asked, &mut values, masker, &self.vault)?;
        Ok(values)
    }
}
