//! `WorkingDirectory`: its tasks share a directory, which is a worker's and goes with it.
//!
//! The directory is opened and closed by requests of the task run itself: they are no task runs and no attempts of it.
//! It is closed whatever happened to the tasks; `errors` and `finally` run outside it, afterwards.

use std::sync::Arc;

use weft_model::{Failure, FileHandling, Level, State, TaskRunResult, Work};

use crate::frame::{Frame, Order, Phase, Role, RunIndex};
use crate::plan::Branch;
use crate::slab::Id;
use crate::turn::Turn;
use crate::{Command, Machine};

impl Turn<'_> {
    pub(crate) fn open_directory(&mut self, run: RunIndex, frame: Id<Frame>, files: &FileHandling) {
        self.ask_directory(run, frame, Phase::Opening, Work::OpenDirectory { files: files.clone() });
    }

    pub(super) fn close_directory(&mut self, id: Id<Frame>, files: &FileHandling) {
        let Some(Frame { run: Some(run), .. }) = self.machine.frames.get(id) else { return };
        self.ask_directory(*run, id, Phase::Closing, Work::CloseDirectory { files: files.clone() });
    }

    fn ask_directory(&mut self, run: RunIndex, id: Id<Frame>, phase: Phase, work: Work) {
        let Some(frame) = self.machine.frames.get_mut(id) else { return };
        frame.phase = phase;
        let Some(node) = frame.node else { return };
        let plan = Arc::clone(&self.machine.plan);
        let task = plan.task(node);
        let attempt = self.machine.directory_attempt(run, phase);
        let context = self.machine.context_of(run);
        let request = self.machine.request(run, task, &task.type_name, attempt, work, context);
        self.command(Command::Run(Box::new(request)));
    }

    /// A worker has opened or closed the directory, or could not.
    pub fn directory_answered(&mut self, run: RunIndex, result: TaskRunResult) {
        let Some(id) = self.machine.runs[run].frame else { return };
        let Some(phase) = self.machine.frames.get(id).map(|frame| frame.phase) else { return };
        if !self.machine.is_directory_run(run) || result.attempt != self.machine.directory_attempt(run, phase)
        {
            return;
        }
        let well = matches!(result.state, State::Success | State::Warning);
        match phase {
            Phase::Opening if well => {
                if let Some(frame) = self.machine.frames.get_mut(id) {
                    frame.phase = Phase::Main;
                }
                self.start_lane(id, Branch::Tasks, Order::Sequential, None);
            }
            Phase::Opening => {
                let reason = reason(result.failure);
                self.fail_open(run, &format!("cannot prepare the working directory: {reason}"));
            }
            Phase::Closing => {
                self.edit(run).outputs = Some(result.outputs);
                self.machine.show_outputs(run);
                let message = (!well).then(|| {
                    format!("cannot collect files from the working directory: {}", reason(result.failure))
                });
                self.directory_closed(run, id, result.state, message.as_deref());
            }
            _ => {}
        }
    }

    fn directory_closed(&mut self, run: RunIndex, id: Id<Frame>, state: State, failure: Option<&str>) {
        let error = failure.map(|message| {
            self.log(Level::Error, Some(run), message);
            self.machine.error_of(run, message)
        });
        if let Some(frame) = self.machine.frames.get_mut(id) {
            frame.child_ended(Role::Main, state, error);
        }
        self.main_ended(id);
    }
}

impl Machine {
    /// The attempt number of a directory's requests: opening has an even one, closing the odd one after it, and each
    /// restart the next two.
    fn directory_attempt(&self, run: RunIndex, phase: Phase) -> u32 {
        let changes = self.run(run).state.histories().iter();
        let restarts = changes.filter(|change| change.state == State::Restarted).count() as u32;
        restarts * 2 + u32::from(phase == Phase::Closing)
    }

    fn is_directory_run(&self, run: RunIndex) -> bool {
        self.runs[run].node.is_some_and(|node| self.plan.is_directory(node))
    }
}

fn reason(failure: Option<Failure>) -> String {
    failure.map_or_else(|| "the worker gave no reason".to_owned(), |failure| failure.message)
}
