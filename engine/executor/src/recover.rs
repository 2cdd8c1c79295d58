//! After a restart of the engine: everything that is not finished is asked for again.

use std::sync::Arc;

use jiff::Timestamp;
use weft_flow::Shape;
use weft_model::{Failure, Level, Map, State};

use crate::frame::{Frame, Phase, RunIndex};
use crate::leaf::Outcome;
use crate::slab::Id;
use crate::turn::Turn;
use crate::{Command, LostTasks, Machine};

impl Turn<'_> {
    /// Asks again for everything that is not finished.
    pub fn recover(&mut self) {
        let state = self.machine.execution.current();
        if matches!(state, State::Created | State::Queued | State::Restarted) {
            return;
        }
        if state.is_terminal() {
            if let Some(start) = self.next_execution().filter(|_| state == State::Retried) {
                self.command(Command::NewExecution { start: Box::new(start) });
            }
            self.command(Command::Ended { state });
            if self.machine.root.is_none() {
                return self.command(Command::Done);
            }
        } else {
            self.watch_promises();
        }
        self.forget_directories();
        // Files that tasks after these read, lost between a commit and what it asked for.
        for run in (0..self.machine.runs.len())
            .filter(|run| self.machine.has_merged_outputs(*run))
            .collect::<Vec<_>>()
        {
            self.store_outputs(run);
        }
        self.go_on_everywhere();
    }

    /// Working directories have gone with the engine: what ran in them runs again from the start.
    fn forget_directories(&mut self) {
        if self.machine.ending.is_some_and(|ending| ending.kills) {
            return;
        }
        let lost: Vec<bool> =
            (0..self.machine.runs.len()).map(|run| self.machine.has_lost_directory(run)).collect();
        let mut gone = vec![false; lost.len()];
        for run in 0..gone.len() {
            // Parents come before their children.
            let parent = self.machine.runs[run].around.parent;
            gone[run] = parent.is_some_and(|parent| gone[parent] || lost[parent]);
            if lost[run] && !gone[run] {
                let message = "the engine was restarted: the working directory is made again from the start";
                self.log(Level::Warn, Some(run), message);
            }
        }
        if gone.contains(&true) {
            let mut keep = gone.iter().map(|gone| !gone);
            self.machine.execution.task_run_list.retain(|_| keep.next().unwrap_or(true));
            self.machine.reload();
            self.rewrite();
        }
    }

    /// Begins what can begin and asks for what is under way.
    pub fn go_on_everywhere(&mut self) {
        for run in 0..self.machine.runs.len() {
            if self.machine.state(run).is_terminal() {
                continue;
            }
            if let Some(frame) = self.machine.runs[run].frame {
                self.go_on_in(run, frame);
            } else if self.machine.runs[run].lane.is_some() {
                self.ask_again(run);
            }
        }
        for lane in self.machine.lanes.ids() {
            self.visit(lane);
        }
    }

    fn go_on_in(&mut self, run: RunIndex, id: Id<Frame>) {
        let Some(Frame { node: Some(node), lanes, phase, .. }) = self.machine.frames.get(id) else { return };
        let (node, lanes, phase) = (*node, *lanes, *phase);
        if self.machine.ending.is_some() {
            if lanes == 0 {
                self.main_ended(id);
            }
            return;
        }
        let plan = Arc::clone(&self.machine.plan);
        let Some(flowable) = plan.flowable(node) else { return };
        match &flowable.shape {
            Shape::WorkingDirectory { files, .. } if phase == Phase::Opening => {
                self.open_directory(run, id, files)
            }
            Shape::ForEachItem(items) if phase == Phase::Opening => self.open_items(run, id, items),
            Shape::ForEach { .. } | Shape::ForEachItem(_) if phase == Phase::Main => self.next_iterations(id),
            Shape::LoopUntil(until) if self.machine.is_between_iterations(id) => {
                let ended = self.machine.last_end_in(run).unwrap_or(self.now);
                self.wait_for_iteration(run, ended, until.interval);
            }
            Shape::Pause(_) if self.machine.state(run) == State::Paused => self.set_pause_timer(run),
            _ => {}
        }
    }

    fn ask_again(&mut self, run: RunIndex) {
        let is_subflow = self.machine.subflow(run).is_some();
        match self.machine.state(run) {
            State::Running if is_subflow || self.machine.settings.lost_tasks == LostTasks::RunAgain => {
                self.begin_attempt(run);
            }
            State::Running => {
                let message = "the engine was restarted while the task was running";
                self.fail_attempt(run, Failure::new("engine.restarted", message).retryable());
            }
            // A subflow may never have been started, or nobody may be left to tell of its end: it is not waited for.
            State::Killing => {
                if is_subflow {
                    self.cancel_subflow(run);
                }
                let outcome = Outcome::new(State::Killed, Map::new(), None, self.now);
                self.settle(run, outcome, false);
            }
            State::Retrying => match self.machine.retry_at(run) {
                Some(at) => {
                    let key = self.machine.retry_key(run);
                    self.command(Command::SetTimer { key, at });
                }
                // The flow's new revision no longer asks for it: once more, as was promised.
                None => self.begin_attempt(run),
            },
            _ => {}
        }
    }
}

impl Machine {
    /// When the last of the task runs directly in a task run ended.
    fn last_end_in(&self, run: RunIndex) -> Option<Timestamp> {
        let children = (0..self.runs.len()).filter(|child| self.runs[*child].around.parent == Some(run));
        children.filter_map(|child| self.run(child).state.end_date()).max()
    }

    fn has_lost_directory(&self, run: RunIndex) -> bool {
        let frame = self.runs[run].frame.and_then(|frame| self.frames.get(frame));
        frame.is_some_and(|frame| {
            let inside = matches!(frame.phase, Phase::Opening | Phase::Main | Phase::Closing);
            inside && frame.node.is_some_and(|node| self.plan.is_directory(node))
        })
    }
}
