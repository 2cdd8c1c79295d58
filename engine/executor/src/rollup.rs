//! How states of many become the state of one (compat.md §6).

use weft_flow::Task;
use weft_model::State;

/// The worst final state seen so far: KILLED, FAILED, WARNING, SUCCESS, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally(State);

impl Default for Tally {
    fn default() -> Self {
        Self(State::Success)
    }
}

impl Tally {
    /// Takes in one more state; one that is not final, or SKIPPED, counts as success.
    pub fn add(&mut self, state: State) {
        if rank(state) > rank(self.0) {
            self.0 = state;
        }
    }

    /// What it comes to.
    pub fn state(self) -> State {
        self.0
    }
}

fn rank(state: State) -> u8 {
    match state {
        State::Killed => 3,
        State::Failed => 2,
        State::Warning => 1,
        _ => 0,
    }
}

/// The final state of a task run, given what its task may do: `allowFailure` first, `allowWarning` after it.
pub(crate) fn allowed(task: &Task, state: State) -> State {
    let state = if task.allow_failure && state == State::Failed { State::Warning } else { state };
    if task.allow_warning && state == State::Warning { State::Success } else { state }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worst_state_wins() {
        use State::*;
        for (states, expected) in [
            (&[][..], Success),
            (&[Success, Skipped], Success),
            (&[Skipped, Warning, Success], Warning),
            (&[Failed, Warning], Failed),
            (&[Warning, Killed, Failed], Killed),
        ] {
            let mut tally = Tally::default();
            states.iter().for_each(|state| tally.add(*state));
            assert_eq!(tally.state(), expected, "{states:?}");
        }
    }
}
