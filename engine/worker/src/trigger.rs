//! One evaluation of a trigger: the plugin's part of it, with a directory of its own while it lasts.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use weft_expr::Environment;
use weft_files::workdir::Workspace;
use weft_files::{ExecutionFiles, Storage};
use weft_flow::{COMMON_TRIGGER_PROPERTIES, Trigger, parse_duration};
use weft_host::{Evaluation, PollResult};
use weft_model::{Failure, Level, Map};

use crate::budget::Budget;
use crate::children::Children;
use crate::collected::Collected;
use crate::container::ContainerScope;
use crate::plan::Plan;
use crate::records::{LogSource, TaskLog};
use crate::task::TaskContext;
use crate::worker::{ExecutionScope, Worker};
use crate::{render, staging};

/// The interval of a trigger whose type names none.
const INTERVAL: Duration = Duration::from_secs(60);

/// Whose trigger is evaluated, and what for.
pub struct TriggerRequest<'a> {
    /// The flow's namespace.
    pub namespace: &'a str,
    /// The flow's id.
    pub flow_id: &'a str,
    /// The trigger.
    pub trigger: &'a Trigger,
    /// What its expressions see.
    pub context: weft_expr::Value,
    /// The execution that the first event will start.
    pub execution_id: &'a str,
    /// What the trigger's plugin remembers.
    pub state: &'a Value,
    /// Where files are stored. They must outlive what they were made from, so it waits for the disk.
    pub storage: &'a Storage,
}

impl Worker {
    /// How long a trigger waits between two polls.
    pub async fn trigger_interval(
        &self,
        trigger: &Trigger,
        context: &weft_expr::Value,
        env: &dyn Environment,
    ) -> Result<Duration, Failure> {
        let plan = self.plans().of_trigger(self.host(), &trigger.type_name).await?;
        let Some((name, Value::String(text))) = plan.interval(&trigger.properties) else {
            return Ok(INTERVAL);
        };
        let text = render::text(text, name, context, env)?;
        match parse_duration(text.trim()).ok().and_then(|interval| Duration::try_from(interval).ok()) {
            Some(interval) if !interval.is_zero() => Ok(interval),
            _ => Err(Failure::new(
                "property.invalid",
                format!("property `{name}`: expected an ISO-8601 duration like `PT60S`, found `{text}`"),
            )),
        }
    }

    /// Asks a trigger's plugin whether something has happened. Dropping the future ends it where it stands.
    pub async fn poll_trigger(
        &self,
        request: &TriggerRequest<'_>,
        scope: &ExecutionScope,
    ) -> Result<PollResult, Failure> {
        let (evaluation, task, _workspace) = self.prepare_trigger(request, scope).await?;
        let type_name = &request.trigger.type_name;
        let found =
            self.host().poll(type_name, evaluation, Arc::clone(&task) as _, std::future::pending()).await;
        within_budget(&task, found)
    }

    /// Tells a trigger's plugin that the executions of its last events are stored; its new state.
    pub async fn acknowledge_trigger(
        &self,
        request: &TriggerRequest<'_>,
        scope: &ExecutionScope,
    ) -> Result<Value, Failure> {
        let (evaluation, task, _workspace) = self.prepare_trigger(request, scope).await?;
        let type_name = &request.trigger.type_name;
        let state = self
            .host()
            .acknowledge(type_name, evaluation, Arc::clone(&task) as _, std::future::pending())
            .await;
        within_budget(&task, state)
    }

    async fn prepare_trigger(
        &self,
        request: &TriggerRequest<'_>,
        scope: &ExecutionScope,
    ) -> Result<(Evaluation, Arc<TaskContext>, Workspace), Failure> {
        let trigger = request.trigger;
        let plan = self.plans().of_trigger(self.host(), &trigger.type_name).await?;
        let env = self.environment(request.namespace, scope);
        let properties = plan.render(&own_properties(&plan, trigger), &request.context, &env)?;
        plan.validate(&properties)?;
        let workspace =
            Workspace::create(&self.options().temp).map_err(|error| staging::storage_failure(&error))?;
        let files = ExecutionFiles::new(request.namespace, request.flow_id, request.execution_id)
            .and_then(|files| files.trigger(&trigger.id))
            .map_err(|error| staging::storage_failure(&error))?;
        let level = trigger.properties.get("logLevel").and_then(Value::as_str).and_then(Level::from_name);
        let source = LogSource {
            task_id: trigger.id.clone(),
            task_run_id: request.execution_id.to_owned(),
            attempt: 0,
        };
        let log = TaskLog::of(
            source,
            level.unwrap_or(Level::Trace),
            Arc::clone(&scope.records),
            scope.masker.clone(),
        );
        let options = self.options();
        let budget = Arc::new(Budget::new(options.limits));
        let task = TaskContext {
            marker: format!("{}/{}/0", request.execution_id, trigger.id),
            reach: env.reach,
            directory: workspace.directory().clone(),
            log: Arc::new(log),
            collected: Arc::new(Mutex::new(Collected::new(Arc::clone(&budget)))),
            budget,
            outputs: Mutex::default(),
            warning: Mutex::default(),
            updates: Mutex::default(),
            children: Children::default(),
            begun: Notify::new(),
            cancelled: AtomicBool::new(false),
            files,
            storage: request.storage.clone(),
            kv: options.kv.clone(),
            secrets: Arc::clone(&options.secrets),
            grace: options.grace,
            environment: options.environment.clone(),
            container: ContainerScope::of_trigger(self.containers(), request),
        };
        let evaluation = Evaluation {
            trigger_id: trigger.id.clone(),
            properties: Value::Object(properties),
            state: request.state.clone(),
            context: json!({
                "namespace": request.namespace,
                "flowId": request.flow_id,
                "executionId": request.execution_id,
            }),
        };
        Ok((evaluation, Arc::new(task), workspace))
    }
}

/// The properties that are the plugin's: not those that the engine has for every trigger, unless the plugin has them.
fn own_properties(plan: &Plan, trigger: &Trigger) -> Map {
    let own = |name: &str| !COMMON_TRIGGER_PROPERTIES.contains(&name) || plan.has_property(name);
    let properties = trigger.properties.iter().filter(|(name, _)| own(name));
    properties.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What the plugin answered, unless it met a bound meanwhile.
fn within_budget<T>(task: &TaskContext, answer: Result<T, Failure>) -> Result<T, Failure> {
    task.budget.exceeded().map_or(answer, Err).map_err(|mut failure| {
        task.log.mask_failure(&mut failure);
        failure.cut();
        failure
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_engines_is_not_shown_to_the_plugin() {
        let plan = Plan::new(json!({"type": "object", "properties": {"bucket": {}, "when": {}}}));
        let properties = json!({"bucket": "b", "conditions": [], "when": "always", "allowConcurrent": true});
        let trigger = Trigger {
            id: "t".to_owned(),
            type_name: "T".to_owned(),
            description: None,
            disabled: false,
            inputs: Map::new(),
            labels: Vec::new(),
            stop_after: Vec::new(),
            properties: properties.as_object().cloned().unwrap(),
            span: weft_flow::Span::default(),
        };
        let own: Vec<String> = own_properties(&plan, &trigger).into_iter().map(|(name, _)| name).collect();
        assert_eq!(own, ["bucket", "when"]);
    }
}
