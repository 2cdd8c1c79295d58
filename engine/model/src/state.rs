//! States of executions, task runs and attempts, and their history.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Where an execution, a task run or an attempt stands. The names are Kestra's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Known, and not started.
    Created,
    /// Held back by the flow's concurrency limit.
    Queued,
    /// Under way.
    Running,
    /// Waiting for a person, a delay or a date.
    Paused,
    /// A failed run that was asked to go on.
    Restarted,
    /// Asked to stop; what it started is being ended.
    Killing,
    /// Between two attempts.
    Retrying,
    /// Ended well.
    Success,
    /// Ended well enough: an allowed failure, or a script that wrote to stderr.
    Warning,
    /// Ended badly.
    Failed,
    /// Ended by a person, a signal or a limit.
    Killed,
    /// Never started: the flow's concurrency limit said so.
    Cancelled,
    /// Failed, and followed by a new execution.
    Retried,
    /// `runIf` was false.
    Skipped,
}

impl State {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 14] = {
        use State::*;
        [
            Created, Queued, Running, Paused, Restarted, Killing, Retrying, Success, Warning, Failed, Killed,
            Cancelled, Retried, Skipped,
        ]
    };

    /// Whether nothing more happens after this state without somebody asking.
    pub fn is_terminal(self) -> bool {
        use State::*;
        matches!(self, Success | Warning | Failed | Killed | Cancelled | Retried | Skipped)
    }

    /// Whether work ended, and not well.
    pub fn is_failed(self) -> bool {
        matches!(self, State::Failed | State::Killed)
    }

    /// The name as users see it.
    pub fn as_str(self) -> &'static str {
        use State::*;
        match self {
            Created => "CREATED",
            Queued => "QUEUED",
            Running => "RUNNING",
            Paused => "PAUSED",
            Restarted => "RESTARTED",
            Killing => "KILLING",
            Retrying => "RETRYING",
            Success => "SUCCESS",
            Warning => "WARNING",
            Failed => "FAILED",
            Killed => "KILLED",
            Cancelled => "CANCELLED",
            Retried => "RETRIED",
            Skipped => "SKIPPED",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// One step of a [`StateHistory`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    /// The state entered.
    pub state: State,
    /// When it was entered.
    pub date: Timestamp,
}

/// The current state and how it came about. There is always at least one change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "HistoryJson", try_from = "HistoryJson")]
pub struct StateHistory {
    histories: Vec<StateChange>,
}

impl StateHistory {
    /// A history that begins now.
    pub fn new(state: State, date: Timestamp) -> Self {
        Self { histories: vec![StateChange { state, date }] }
    }

    /// Enters `state`. Entering the current state again changes nothing.
    pub fn enter(&mut self, state: State, date: Timestamp) {
        if self.current() != state {
            self.histories.push(StateChange { state, date });
        }
    }

    /// The state that holds now.
    pub fn current(&self) -> State {
        self.histories.last().map_or(State::Created, |change| change.state)
    }

    /// Every change, oldest first.
    pub fn histories(&self) -> &[StateChange] {
        &self.histories
    }

    /// When the first state was entered.
    pub fn start_date(&self) -> Timestamp {
        self.histories.first().map_or(Timestamp::UNIX_EPOCH, |change| change.date)
    }

    /// When the current state was entered, if it is terminal.
    pub fn end_date(&self) -> Option<Timestamp> {
        self.histories.last().filter(|change| change.state.is_terminal()).map(|change| change.date)
    }

    /// From the first state to the last, if that is terminal.
    pub fn duration(&self) -> Option<SignedDuration> {
        self.end_date().map(|end| end.duration_since(self.start_date()))
    }
}

/// The shape on the wire, where the derived values stand beside the history.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HistoryJson {
    current: State,
    histories: Vec<StateChange>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duration: Option<SignedDuration>,
    start_date: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end_date: Option<Timestamp>,
}

impl From<StateHistory> for HistoryJson {
    fn from(history: StateHistory) -> Self {
        Self {
            current: history.current(),
            duration: history.duration(),
            start_date: history.start_date(),
            end_date: history.end_date(),
            histories: history.histories,
        }
    }
}

impl TryFrom<HistoryJson> for StateHistory {
    type Error = &'static str;

    fn try_from(json: HistoryJson) -> Result<Self, Self::Error> {
        if json.histories.is_empty() {
            return Err("a state needs at least one entry in `histories`");
        }
        Ok(Self { histories: json.histories })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_derived_dates_and_reads_back() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut history = StateHistory::new(State::Created, start);
        history.enter(State::Running, start + SignedDuration::from_secs(1));
        history.enter(State::Running, start + SignedDuration::from_secs(2));
        history.enter(State::Success, start + SignedDuration::from_secs(3));
        let json = serde_json::to_value(&history).unwrap();
        assert_eq!(json["current"], "SUCCESS");
        assert_eq!(json["duration"], "PT3S");
        assert_eq!(json["endDate"], "2026-01-01T00:00:03Z");
        assert_eq!(json["histories"].as_array().unwrap().len(), 3);
        assert_eq!(serde_json::from_value::<StateHistory>(json).unwrap(), history);
    }

    #[test]
    fn history_without_entries_is_refused() {
        let json =
            serde_json::json!({"current": "RUNNING", "histories": [], "startDate": "2026-01-01T00:00:00Z"});
        assert!(serde_json::from_value::<StateHistory>(json).is_err());
    }
}
