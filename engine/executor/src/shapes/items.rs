//! `ForEachItem`: a file is cut into batches, and a subflow is called for each of them. Each batch has a task run.

use std::collections::BTreeMap;

use weft_expr::Template;
use weft_flow::ForEachItem;
use weft_model::{Failure, child_id};

use super::URIS;
use super::subflow::render_map;
use crate::Command;
use crate::frame::{Each, Frame, Phase, RunIndex};
use crate::slab::Id;
use crate::turn::Turn;

const NUMBER_OF_BATCHES: &str = "numberOfBatches";
const ITERATIONS: &str = "iterations";

impl Turn<'_> {
    pub(crate) fn open_items(&mut self, run: RunIndex, id: Id<Frame>, items: &ForEachItem) {
        let template = match Template::parse(&items.items) {
            Ok(template) => template,
            Err(error) => return self.fail_open(run, &format!("cannot read `items`: {error}")),
        };
        let uri = match self.render(run, &template) {
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

    /// Puts out how many batches ended in which state.
    pub(super) fn sum_up_batches(&mut self, run: RunIndex) {
        let machine = &self.machine;
        let record = machine.run(run);
        let count = record.output(NUMBER_OF_BATCHES).and_then(serde_json::Value::as_u64).unwrap_or(0);
        let prefix = &machine.runs[run].around.prefix;
        let mut states: BTreeMap<&str, u64> = BTreeMap::new();
        for number in 0..count {
            let id = child_id(&machine.execution.id, &format!("{prefix}{number}/{}_items", record.task_id));
            if let Some(batch) = machine.by_id.get(&id) {
                *states.entry(machine.state(*batch).as_str()).or_default() += 1;
            }
        }
        let states = states.into_iter().map(|(state, count)| (state.to_owned(), count.into()));
        let states: weft_model::Map = states.collect();
        self.set_output(run, ITERATIONS, states);
    }
}
