//! Running a task or polling a trigger: a store of its own for each, and everything that can go wrong as a failure.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use wasmtime::Store;
use wasmtime::component::Instance;
use weft_model::{Failure, Map};

use crate::bindings::exports::weft::plugin::{task, trigger};
use crate::bindings::weft::plugin::types;
use crate::catalogue::Kind;
use crate::failure::{self, Ended};
use crate::host::{Host, Inner};
use crate::plugin::{Loaded, Plugin};
use crate::sizes::{JsonBounds, too_many_events};
use crate::store::{RunState, Session, Subject};
use crate::{Capabilities, Limits};

/// One attempt at one task run, as a plugin sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// The execution.
    pub execution_id: String,
    /// The task run.
    pub task_run_id: String,
    /// The task's id in the flow.
    pub task_id: String,
    /// Attempts finished before this one: 0 for the first.
    pub attempt: u32,
    /// Rendered properties, validated against the type's schema.
    pub properties: Value,
    /// `{namespace, flowId, labels, deadline, runner, outputDir, ...}`.
    pub context: Value,
}

/// One evaluation of a trigger, as a plugin sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The trigger's id in the flow.
    pub trigger_id: String,
    /// Rendered properties, validated against the type's schema.
    pub properties: Value,
    /// What the last call returned; null at first.
    pub state: Value,
    /// `{namespace, flowId, executionId, ...}`.
    pub context: Value,
}

/// What one poll of a trigger found.
#[derive(Debug, Clone, PartialEq)]
pub struct PollResult {
    /// What expressions see as `trigger`, one execution each.
    pub events: Vec<Value>,
    /// To be handed back at the next poll.
    pub state: Value,
    /// When to poll again, where it should not be the trigger's own interval.
    pub next: Option<Duration>,
}

impl Host {
    /// Runs a task of type `type_name` and gives its outputs, without those already given to
    /// [`Capabilities::emit_output`].
    ///
    /// Waits for a free slot first. When `cancel` is ready, the guest ends where it stands, with everything it started,
    /// and the result is the failure that `cancel` gave. Dropping the future ends the guest as well.
    pub async fn run(
        &self,
        type_name: &str,
        call: Invocation,
        caps: Arc<dyn Capabilities>,
        cancel: impl Future<Output = Failure> + Send,
    ) -> Result<Map, Failure> {
        or_cancelled(cancel, self.run_to_end(type_name, call, caps)).await
    }

    /// Asks a trigger of type `type_name` whether something has happened since the evaluation's state. Waiting and
    /// cancellation are those of [`Self::run`].
    pub async fn poll(
        &self,
        type_name: &str,
        call: Evaluation,
        caps: Arc<dyn Capabilities>,
        cancel: impl Future<Output = Failure> + Send,
    ) -> Result<PollResult, Failure> {
        or_cancelled(cancel, self.poll_to_end(type_name, call, caps)).await
    }

    /// Tells a trigger of type `type_name` that the executions of its last events are stored, and gives its new state.
    /// Waiting and cancellation are those of [`Self::run`].
    pub async fn acknowledge(
        &self,
        type_name: &str,
        call: Evaluation,
        caps: Arc<dyn Capabilities>,
        cancel: impl Future<Output = Failure> + Send,
    ) -> Result<Value, Failure> {
        or_cancelled(cancel, self.acknowledge_to_end(type_name, call, caps)).await
    }

    async fn run_to_end(
        &self,
        type_name: &str,
        call: Invocation,
        caps: Arc<dyn Capabilities>,
    ) -> Result<Map, Failure> {
        let inner = self.inner();
        let plugin = self.provider(type_name, Kind::Task).await?;
        let loaded = inner.load(plugin).await.map_err(|error| failure::not_loaded(plugin, &error))?;
        let call = RunTask {
            // The description was refused if it named tasks without this export.
            task: loaded.task.as_ref().ok_or_else(|| failure::not_exported(plugin.name(), "task"))?,
            invocation: types::Invocation {
                execution_id: call.execution_id,
                task_run_id: call.task_run_id,
                task_id: call.task_id,
                type_: type_name.to_owned(),
                attempt: call.attempt,
                properties: call.properties.to_string(),
                context: call.context.to_string(),
            },
        };
        let limits = &inner.options.limits;
        let text = inner.perform(plugin, loaded, limits, caps, call).await??;
        match JsonBounds::of(limits).parse(plugin.name(), "the result", &text)? {
            Value::Object(outputs) => Ok(outputs),
            Value::Null => Ok(Map::new()),
            _ => Err(failure::bad_output(plugin.name(), "the result", "expected a JSON object or null")),
        }
    }

    async fn poll_to_end(
        &self,
        type_name: &str,
        call: Evaluation,
        caps: Arc<dyn Capabilities>,
    ) -> Result<PollResult, Failure> {
        let (plugin, loaded, trigger) = self.trigger(type_name).await?;
        let limits = &self.inner().options.limits;
        let call = PollTrigger { trigger, evaluation: evaluation(type_name, call) };
        let found = self.inner().perform(plugin, loaded, limits, caps, call).await??;
        if found.events.len() > limits.events {
            return Err(too_many_events(plugin.name(), found.events.len(), limits.events));
        }
        let bounds = JsonBounds::of(limits);
        // All of it is kept, and committed as one.
        let texts = found.events.iter().chain([&found.state]).map(String::as_str);
        bounds.check(plugin.name(), "what a poll returned", texts)?;
        let json = |what: &str, text: &str| bounds.parse(plugin.name(), what, text);
        Ok(PollResult {
            events: found.events.iter().map(|event| json("an event", event)).collect::<Result<_, _>>()?,
            state: json("the state", &found.state)?,
            next: found.next_poll_ms.map(Duration::from_millis),
        })
    }

    async fn acknowledge_to_end(
        &self,
        type_name: &str,
        call: Evaluation,
        caps: Arc<dyn Capabilities>,
    ) -> Result<Value, Failure> {
        let (plugin, loaded, trigger) = self.trigger(type_name).await?;
        let limits = &self.inner().options.limits;
        let call = Acknowledge { trigger, evaluation: evaluation(type_name, call) };
        let state = self.inner().perform(plugin, loaded, limits, caps, call).await??;
        JsonBounds::of(limits).parse(plugin.name(), "the state", &state)
    }

    async fn trigger(
        &self,
        type_name: &str,
    ) -> Result<(&Arc<Plugin>, &Loaded, &trigger::GuestIndices), Failure> {
        let plugin = self.provider(type_name, Kind::Trigger).await?;
        let loaded = self.inner().load(plugin).await.map_err(|error| failure::not_loaded(plugin, &error))?;
        let trigger =
            loaded.trigger.as_ref().ok_or_else(|| failure::not_exported(plugin.name(), "trigger"))?;
        Ok((plugin, loaded, trigger))
    }
}

fn evaluation(type_name: &str, call: Evaluation) -> trigger::Evaluation {
    trigger::Evaluation {
        trigger_id: call.trigger_id,
        type_: type_name.to_owned(),
        properties: call.properties.to_string(),
        state: call.state.to_string(),
        context: call.context.to_string(),
    }
}

impl Inner {
    /// Makes one call in a store of its own. The outer result is the machinery's, `C::Output` the guest's.
    pub(crate) async fn perform<C: GuestCall>(
        &self,
        plugin: &Plugin,
        loaded: &Loaded,
        limits: &Limits,
        caps: Arc<dyn Capabilities>,
        call: C,
    ) -> Result<C::Output, Failure> {
        let runtime = self.runtime().map_err(|error| failure::not_loaded(plugin, &error.into()))?;
        // Given back after the store is gone; the semaphore is never closed.
        let _slots = runtime.slots.acquire_many(loaded.slots).await.ok();
        caps.begins();
        let mut session =
            Session::new(runtime, &plugin.identity, call.subject(), limits, &self.options.network, caps)?;
        let store = &mut session.store;
        let work = session.meter.measure(&runtime.ticker, async {
            let instance = loaded.pre.instantiate_async(&mut *store).await?;
            call.call(store, &instance).await
        });
        let result = match limits.wall_clock {
            None => work.await,
            Some(limit) => match tokio::time::timeout(limit, work).await {
                Ok(result) => result,
                Err(_) => return Err(failure::timeout(plugin.name(), limit, session.stdio.finish())),
            },
        };
        let stderr = session.stdio.finish();
        result.map_err(|error| {
            let out_of_memory = session.store.data().memory.refused();
            Ended { plugin: plugin.name(), error: &error, limits, out_of_memory, stderr }.failure()
        })
    }
}

/// One call of a function that a plugin exports.
pub(crate) trait GuestCall: Send {
    type Output: Send;

    /// What is called; nothing where the plugin only describes itself.
    fn subject(&self) -> Subject<'_> {
        Subject::default()
    }

    fn call(
        self,
        store: &mut Store<RunState>,
        instance: &Instance,
    ) -> impl Future<Output = wasmtime::Result<Self::Output>> + Send;
}

struct RunTask<'a> {
    task: &'a task::GuestIndices,
    invocation: types::Invocation,
}

impl GuestCall for RunTask<'_> {
    type Output = Result<String, types::Failure>;

    fn subject(&self) -> Subject<'_> {
        let types::Invocation { type_, properties, .. } = &self.invocation;
        Subject { type_name: Some(type_), properties: Some(properties) }
    }

    async fn call(self, store: &mut Store<RunState>, instance: &Instance) -> wasmtime::Result<Self::Output> {
        self.task.load(&mut *store, instance)?.call_run(store, &self.invocation).await
    }
}

struct PollTrigger<'a> {
    trigger: &'a trigger::GuestIndices,
    evaluation: trigger::Evaluation,
}

impl GuestCall for PollTrigger<'_> {
    type Output = Result<trigger::PollResult, types::Failure>;

    fn subject(&self) -> Subject<'_> {
        of_trigger(&self.evaluation)
    }

    async fn call(self, store: &mut Store<RunState>, instance: &Instance) -> wasmtime::Result<Self::Output> {
        self.trigger.load(&mut *store, instance)?.call_poll(store, &self.evaluation).await
    }
}

fn of_trigger(evaluation: &trigger::Evaluation) -> Subject<'_> {
    Subject { type_name: Some(&evaluation.type_), properties: Some(&evaluation.properties) }
}

struct Acknowledge<'a> {
    trigger: &'a trigger::GuestIndices,
    evaluation: trigger::Evaluation,
}

impl GuestCall for Acknowledge<'_> {
    type Output = Result<String, types::Failure>;

    fn subject(&self) -> Subject<'_> {
        of_trigger(&self.evaluation)
    }

    async fn call(self, store: &mut Store<RunState>, instance: &Instance) -> wasmtime::Result<Self::Output> {
        self.trigger.load(&mut *store, instance)?.call_acknowledge(store, &self.evaluation).await
    }
}

/// The result of `work`, unless `cancel` is ready first.
async fn or_cancelled<T>(
    cancel: impl Future<Output = Failure>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        failure = cancel => Err(failure),
        result = work => result,
    }
}
