//! Ending an execution before its time: a person, a task, a broken promise or a pause that nobody ended.
//!
//! What runs is told to stop and waited for, what waits is not started, then the execution enters the state that was
//! asked for. Until then it is KILLING, and `error.code` tells which state that is, also after a restart.
//!
//! A task that asks for any other state than KILLED is not that harsh: what runs ends as it will, and the flowables around
//! it take the state that was asked for. Until then the execution is RUNNING.

use weft_model::{Execution, ExecutionError, Level, State};

use crate::Command;
use crate::frame::{Phase, RunIndex};
use crate::turn::Turn;

/// The execution is being made to end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    /// How it will have ended.
    pub state: State,
    /// Whether what runs is told to stop.
    pub kills: bool,
}

/// Why an execution is made to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Killed,
    ExitSuccess,
    ExitWarning,
    ExitFailed,
    ExitKilled,
    ExitCancelled,
    SlaFailed,
    SlaCancelled,
    PauseCancelled,
}

const CAUSES: [(Cause, &str, State); 9] = [
    (Cause::Killed, "execution.killed", State::Killed),
    (Cause::ExitSuccess, "execution.exit-success", State::Success),
    (Cause::ExitWarning, "execution.exit-warning", State::Warning),
    (Cause::ExitFailed, "execution.exit-failed", State::Failed),
    (Cause::ExitKilled, "execution.exit-killed", State::Killed),
    (Cause::ExitCancelled, "execution.exit-cancelled", State::Cancelled),
    (Cause::SlaFailed, "execution.sla-failed", State::Failed),
    (Cause::SlaCancelled, "execution.sla-cancelled", State::Cancelled),
    (Cause::PauseCancelled, "execution.pause-cancelled", State::Cancelled),
];

impl Cause {
    fn exit(state: State) -> Self {
        match state {
            State::Success => Self::ExitSuccess,
            State::Warning => Self::ExitWarning,
            State::Killed => Self::ExitKilled,
            State::Cancelled => Self::ExitCancelled,
            _ => Self::ExitFailed,
        }
    }

    /// Whether what runs is told to stop.
    fn kills(self) -> bool {
        !matches!(self, Self::ExitSuccess | Self::ExitWarning | Self::ExitFailed | Self::ExitCancelled)
    }

    /// The cause with this code.
    fn find(code: &str) -> Option<Self> {
        CAUSES.iter().find(|(_, known, _)| *known == code).map(|(cause, ..)| *cause)
    }

    fn code(self) -> &'static str {
        CAUSES.iter().find(|(cause, ..)| *cause == self).map_or("execution.killed", |(_, code, _)| code)
    }

    fn state(self) -> State {
        CAUSES.iter().find(|(cause, ..)| *cause == self).map_or(State::Killed, |(.., state)| *state)
    }
}

impl Ending {
    /// The ending that an execution from the store is in. In one that is over, `afterExecution` may be ending.
    pub fn of(execution: &Execution) -> Option<Self> {
        let state = execution.current();
        if state.is_terminal() {
            let stops = execution.task_run_list.iter().any(|run| run.current() == State::Killing);
            return stops.then_some(Self { state, kills: true });
        }
        let cause = execution.error.as_ref().and_then(|error| Cause::find(&error.code));
        if state == State::Killing {
            return Some(Self { state: cause.map_or(State::Killed, Cause::state), kills: true });
        }
        let cause = cause.filter(|cause| !cause.kills())?;
        Some(Self { state: cause.state(), kills: false })
    }
}

impl Turn<'_> {
    /// A person ends the execution.
    pub fn kill(&mut self, reason: &str) {
        self.end_early(Cause::Killed, format!("killed: {reason}"));
    }

    /// A task ends the execution.
    pub fn exit(&mut self, state: State) {
        let cause = Cause::exit(state);
        self.end_early(cause, format!("a task asked for the execution to end as {}", cause.state()));
    }

    /// Nobody resumed in time.
    pub fn cancel_after_pause(&mut self, message: &str) {
        self.end_early(Cause::PauseCancelled, message.to_owned());
    }

    /// Ends the execution. One that is over only stops its `afterExecution`; one that is ending can still be killed.
    pub fn end_early(&mut self, cause: Cause, message: String) {
        let over = self.machine.execution.current().is_terminal();
        let kills = cause.kills() || over;
        if self.machine.is_done() || self.machine.ending.is_some_and(|ending| ending.kills || !kills) {
            return;
        }
        self.machine.ending = Some(Ending { state: cause.state(), kills });
        self.log(Level::Warn, None, message.clone());
        if !over {
            self.header().error = Some(ExecutionError { code: cause.code().to_owned(), message });
            if kills {
                self.enter_execution(State::Killing);
            }
        }
        if self.machine.root.is_none() {
            return self.close_execution(cause.state());
        }
        for run in 0..self.machine.runs.len() {
            match self.machine.state(run) {
                state if state.is_terminal() => {}
                _ if kills => self.stop_run(run),
                _ => self.let_run_end(run),
            }
        }
        for id in self.machine.frames.ids() {
            let frame = self.machine.frames.get(id);
            if frame.is_some_and(|frame| frame.lanes == 0 && !frame.awaits_answer()) {
                self.main_ended(id);
            }
        }
        for lane in self.machine.lanes.ids() {
            self.visit(lane);
        }
    }

    fn stop_run(&mut self, run: RunIndex) {
        let info = &self.machine.runs[run];
        if let Some(frame) = info.frame {
            self.enter(run, State::Killing);
            if self.machine.frames.get(frame).is_some_and(|frame| frame.phase == Phase::Opening) {
                self.cancel(run);
            }
            return;
        }
        match self.machine.state(run) {
            State::Running => {
                self.enter(run, State::Killing);
                if self.machine.subflow(run).is_some() {
                    self.cancel_subflow(run);
                } else {
                    self.cancel(run);
                }
            }
            State::Killing => {}
            _ => self.end_run(run, State::Killed, None),
        }
    }

    /// Ends what only waits, and leaves what runs.
    fn let_run_end(&mut self, run: RunIndex) {
        match (self.machine.runs[run].frame, self.machine.state(run)) {
            (Some(_), State::Paused) => self.enter(run, State::Running),
            (Some(_), _) | (None, State::Running) => {}
            // It waited for another attempt.
            _ => self.end_run(run, State::Failed, None),
        }
    }

    fn cancel(&mut self, run: RunIndex) {
        let task_run_id = self.machine.run(run).id.clone();
        self.command(Command::Cancel { task_run_id });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_code_of_its_own() {
        for (cause, code, state) in CAUSES {
            assert_eq!((cause.code(), cause.state()), (code, state));
            assert_eq!(Cause::find(code), Some(cause), "{code}");
        }
        assert_eq!(Cause::exit(State::Paused), Cause::ExitFailed);
    }
}
