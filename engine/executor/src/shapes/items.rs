//! `ForEachItem`: a file is cut into batches, and a subflow is called for each of them. Each batch has a task run.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use weft_expr::Template;
use weft_flow::ForEachItem;
use weft_model::{Failure, child_id, slug};

use super::URIS;
use super::subflow::render_map;
use crate::frame::{Each, Frame, Phase, RunIndex};
use crate::slab::Id;
use crate::turn::Turn;
use crate::{Command, Machine};

const NUMBER_OF_BATCHES: &str = "numberOfBatches";
const ITERATIONS: &str = "iterations";
const SUBFLOW_OUTPUTS: &str = "subflowOutputs";

/// The file in the task run's place that has the outputs of all subflows.
const MERGED: &str = "subflow-outputs.jsonl";

impl Turn<'_> {
    pub(crate) fn open_items(&mut self, run: RunIndex, id: Id<Frame>, items: &ForEachItem) {
        let template = match Template::parse(&items.items) {
            Ok(template) => template,
            Err(error) => return self.fail_open(run, &format!("cannot read `items`: {error}")),
        };
        let uri = match self.render(run, "items", &template) {
            Ok(uri) => uri,
            Err(error) => return self.fail_render(run, "items", &error),
        };
        let batch = match render_map(&items.batch, &self.context(run), self.env) {
            Ok(batch) => batch,
            Err(error) => return self.fail_render(run, "batch", &error),
        };
        if let Some(frame) = self.machine.frames.get_mut(id) {
            frame.phase = Phase::Opening;
        }
        let task_run_id = self.machine.run(run).id.clone();
        self.command(Command::SplitItems { task_run_id, uri, batch });
    }

    /// The file is cut: the batches can begin.
    pub fn items_split(&mut self, task_run_id: &str, uris: Vec<String>) {
        let Some((run, id)) = self.splitting(task_run_id) else { return };
        self.set_output(run, NUMBER_OF_BATCHES, uris.len());
        let values = uris.iter().map(|uri| uri.as_str().into()).collect();
        self.set_output(run, URIS, uris);
        if let Some(frame) = self.machine.frames.get_mut(id) {
            frame.phase = Phase::Main;
        }
        self.begin_loop(id, Each { values, next: 0, limit: 0 });
    }

    /// The file could not be cut.
    pub fn items_refused(&mut self, task_run_id: &str, failure: &Failure) {
        let Some((run, _)) = self.splitting(task_run_id) else { return };
        self.fail_open(run, &format!("cannot split the items: {}", failure.message));
    }

    fn splitting(&self, task_run_id: &str) -> Option<(RunIndex, Id<Frame>)> {
        let run = self.machine.open_run(task_run_id)?;
        let id = self.machine.runs[run].frame?;
        let frame = self.machine.frames.get(id)?;
        let splits = frame.phase == Phase::Opening && self.machine.plan.has_batches(frame.node?);
        splits.then_some((run, id))
    }

    /// Puts out how many batches ended in which state, and the outputs of all in one file.
    pub(super) fn sum_up_batches(&mut self, run: RunIndex) {
        if self.store_outputs(run) {
            let uri = self.machine.merged_outputs(run);
            self.set_output(run, SUBFLOW_OUTPUTS, uri);
        }
        let machine = &self.machine;
        let mut states: BTreeMap<&str, u64> = BTreeMap::new();
        for batch in machine.batches(run) {
            *states.entry(machine.state(batch).as_str()).or_default() += 1;
        }
        let states = states.into_iter().map(|(state, count)| (state.to_owned(), count.into()));
        let states: weft_model::Map = states.collect();
        self.set_output(run, ITERATIONS, states);
    }

    /// Has what the subflows put out stored as one file, a line for each; whether there is anything to store.
    pub(crate) fn store_outputs(&mut self, run: RunIndex) -> bool {
        let machine = &self.machine;
        let outputs = |batch: RunIndex| machine.run(batch).output("outputs").cloned();
        let put_out = |outputs: &Json| outputs.as_object().is_some_and(|outputs| !outputs.is_empty());
        let lines: Vec<Json> = machine.batches(run).into_iter().filter_map(outputs).filter(put_out).collect();
        if lines.is_empty() {
            return false;
        }
        let (task_run_id, uri) = (machine.run(run).id.clone(), machine.merged_outputs(run));
        self.command(Command::StoreLines { task_run_id, uri, lines });
        true
    }
}

impl Machine {
    /// The task runs of the batches, in order.
    fn batches(&self, run: RunIndex) -> Vec<RunIndex> {
        let record = self.run(run);
        let count = record.output(NUMBER_OF_BATCHES).and_then(Json::as_u64).unwrap_or(0);
        let prefix = &self.runs[run].around.prefix;
        let id = |number| child_id(&self.execution.id, &format!("{prefix}{number}/{}_items", record.task_id));
        (0..count).filter_map(|number| self.by_id.get(&id(number)).copied()).collect()
    }

    /// Where the outputs of all batches are stored.
    fn merged_outputs(&self, run: RunIndex) -> String {
        let (execution, record) = (&self.execution, self.run(run));
        format!(
            "kestra:///{}/{}/executions/{}/tasks/{}/{}/{MERGED}",
            execution.namespace.replace('.', "/"),
            slug(&execution.flow_id),
            execution.id,
            slug(&record.task_id),
            record.id
        )
    }

    /// Whether a task run's outputs name a file of its batches' outputs.
    pub(crate) fn has_merged_outputs(&self, run: RunIndex) -> bool {
        self.run(run).output(SUBFLOW_OUTPUTS).is_some()
    }
}
