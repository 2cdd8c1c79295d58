//! Promises on the execution: how long it takes, and what holds at its end.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use weft_expr::is_true;
use weft_flow::{Sla, SlaBehavior, SlaPromise};
use weft_model::{ExecutionError, Level, State};

use crate::changes::set_labels;
use crate::kill::Cause;
use crate::turn::Turn;
use crate::{Command, TimerKey};

impl Turn<'_> {
    /// Arranges for promises about time to be looked at when they would be broken.
    pub fn watch_promises(&mut self) {
        let plan = Arc::clone(&self.machine.plan);
        for sla in &plan.flow().sla {
            if let SlaPromise::MaxDuration(most) = sla.promise {
                let at = self.due(most);
                self.command(Command::SetTimer { key: TimerKey::Sla { id: sla.id.clone() }, at });
            }
        }
    }

    /// Counted from the start or, if there was one, the last restart. Waiting in the queue does not count: it is not
    /// the flow's doing.
    fn due(&self, most: SignedDuration) -> Timestamp {
        let waits = |state| matches!(state, State::Created | State::Queued | State::Restarted);
        let state = &self.machine.execution.state;
        let steps = state.histories().windows(2).rev();
        let mut starts = steps.filter(|step| waits(step[0].state) && !waits(step[1].state));
        let start = starts.next().map_or_else(|| state.start_date(), |step| step[1].date);
        start.checked_add(most).unwrap_or(Timestamp::MAX)
    }

    /// A promise about time is broken, if the execution is not over.
    pub fn promise_due(&mut self, id: &str) {
        let plan = Arc::clone(&self.machine.plan);
        let Some(sla) = plan.flow().sla.iter().find(|sla| sla.id == id) else { return };
        let SlaPromise::MaxDuration(most) = sla.promise else { return };
        let current = self.machine.execution.current();
        if current.is_terminal() || self.machine.ending.is_some() {
            return;
        }
        let at = self.due(most);
        if self.now < at {
            // The timer was set before a restart.
            return self.command(Command::SetTimer { key: TimerKey::Sla { id: id.to_owned() }, at });
        }
        let message = format!("the execution takes longer than `{id}` promises ({most})");
        self.label_broken(sla);
        match sla.behavior {
            SlaBehavior::Fail => self.end_early(Cause::SlaFailed, message),
            SlaBehavior::Cancel => self.end_early(Cause::SlaCancelled, message),
            SlaBehavior::None => self.log(Level::Warn, None, message),
        }
    }

    /// The final state once all promises about the end have been looked at.
    pub fn check_assertions(&mut self, mut state: State) -> State {
        let plan = Arc::clone(&self.machine.plan);
        for sla in &plan.flow().sla {
            let SlaPromise::Assertion(assertion) = &sla.promise else { continue };
            let context = self.machine.basis.context(None);
            let message = match assertion.render(&context, self.env) {
                Ok(text) if is_true(&text) => continue,
                Ok(_) => format!("what `{}` promises does not hold", sla.id),
                Err(error) => format!("cannot evaluate what `{}` promises: {error}", sla.id),
            };
            self.log(Level::Error, None, message.clone());
            self.label_broken(sla);
            let (broken, code) = match sla.behavior {
                SlaBehavior::Fail => (State::Failed, "execution.sla-failed"),
                SlaBehavior::Cancel => (State::Cancelled, "execution.sla-cancelled"),
                SlaBehavior::None => continue,
            };
            if !state.is_failed() {
                state = broken;
                self.header().error = Some(ExecutionError { code: code.to_owned(), message });
            }
        }
        state
    }

    fn label_broken(&mut self, sla: &Sla) {
        if !sla.labels.is_empty() {
            set_labels(&mut self.header().labels, sla.labels.clone());
            self.machine.basis.set_labels(&self.machine.execution);
        }
    }
}
