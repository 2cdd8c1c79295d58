//! The timers of one execution: in real time or, in tests, in a time that jumps.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use weft_executor::{Event, TimerKey};

/// What is to happen later, and what time it is.
pub(crate) enum Timers {
    /// Each timer is a sleeping task.
    Real { events: mpsc::Sender<Event>, sleeping: JoinSet<()> },
    /// When nothing else is under way, the next timer is due at once, and the time is what it was set for. So timers keep
    /// their order and what is left of a time limit is what it would be, but nobody waits.
    Jumping { waiting: BTreeMap<(Timestamp, usize), TimerKey>, set: usize, ahead: SignedDuration },
}

impl Timers {
    pub fn real(events: mpsc::Sender<Event>) -> Self {
        Self::Real { events, sleeping: JoinSet::new() }
    }

    /// A time that jumps and begins at `start`, if that is not past.
    pub fn jumping(start: Option<Timestamp>) -> Self {
        let ahead = start.map(|start| start.duration_since(Timestamp::now())).unwrap_or_default();
        Self::Jumping { waiting: BTreeMap::new(), set: 0, ahead: ahead.max(SignedDuration::ZERO) }
    }

    /// How far the time is ahead of the clock.
    pub fn ahead(&self) -> SignedDuration {
        match self {
            Self::Real { .. } => SignedDuration::ZERO,
            Self::Jumping { ahead, .. } => *ahead,
        }
    }

    pub fn now(&self) -> Timestamp {
        later(Timestamp::now(), self.ahead())
    }

    pub fn set(&mut self, key: TimerKey, at: Timestamp) {
        match self {
            Self::Real { events, sleeping } => {
                let events = events.clone();
                sleeping.spawn(async move {
                    sleep_until(at).await;
                    let _ = events.send(Event::Timer(key)).await;
                });
            }
            Self::Jumping { waiting, set, .. } => {
                *set += 1;
                waiting.insert((at, *set), key);
            }
        }
    }

    /// Whether no timer is set.
    pub fn is_empty(&mut self) -> bool {
        match self {
            Self::Real { sleeping, .. } => {
                while sleeping.try_join_next().is_some() {}
                sleeping.is_empty()
            }
            Self::Jumping { waiting, .. } => waiting.is_empty(),
        }
    }

    /// Nothing is under way: the next timer, if the time jumps to it.
    pub fn jump(&mut self) -> Option<Event> {
        let Self::Jumping { waiting, ahead, .. } = self else { return None };
        let ((at, _), key) = waiting.pop_first()?;
        *ahead = at.duration_since(Timestamp::now()).max(*ahead);
        Some(Event::Timer(key))
    }

    /// Waits until a timer is due while something is under way and the time does not jump. In real time the event comes
    /// through the channel, and there is only one timer less.
    pub async fn due(&mut self) -> Option<Event> {
        let now = self.now();
        match self {
            Self::Real { sleeping, .. } => {
                if sleeping.join_next().await.is_some() {
                    return None;
                }
            }
            Self::Jumping { waiting, .. } => {
                if let Some(&(at, _)) = waiting.keys().next() {
                    tokio::time::sleep(at.duration_since(now).try_into().unwrap_or_default()).await;
                    return waiting.pop_first().map(|(_, key)| Event::Timer(key));
                }
            }
        }
        std::future::pending().await
    }

    /// Forgets every timer.
    pub fn clear(&mut self) {
        match self {
            Self::Real { sleeping, .. } => sleeping.abort_all(),
            Self::Jumping { waiting, .. } => waiting.clear(),
        }
    }
}

/// A sleep is taken in pieces: the machine may sleep too, which is no time for the clock that sleeps go by, and the clock
/// on the wall may be set.
const LONGEST_NAP: Duration = Duration::from_secs(30);

/// Sleeps until the clock on the wall shows a moment.
pub(crate) async fn sleep_until(at: Timestamp) {
    while let Some(nap) = nap(at, Timestamp::now()) {
        tokio::time::sleep(nap).await;
    }
}

/// How long to sleep before looking at the clock again; nothing when the moment has come.
fn nap(at: Timestamp, now: Timestamp) -> Option<Duration> {
    let left = Duration::try_from(at.duration_since(now)).ok().filter(|left| !left.is_zero())?;
    Some(left.min(LONGEST_NAP))
}

/// A moment that far ahead.
pub(crate) fn later(moment: Timestamp, ahead: SignedDuration) -> Timestamp {
    moment.checked_add(ahead).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> TimerKey {
        TimerKey::Sla { id: id.to_owned() }
    }

    fn name(event: Option<Event>) -> String {
        match event {
            Some(Event::Timer(TimerKey::Sla { id })) => id,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn jumps_keep_the_order_and_the_time_goes_on_from_there() {
        let mut timers = Timers::jumping(None);
        let start = timers.now();
        let hours = |hours: i64| later(start, SignedDuration::from_hours(hours));
        timers.set(key("late"), hours(3));
        timers.set(key("soon"), hours(1));
        timers.set(key("soon too"), hours(1));
        let jumped: Vec<_> = (0..3).map(|_| name(timers.jump())).collect();
        assert_eq!(jumped, ["soon", "soon too", "late"]);
        assert!(timers.now() >= hours(3) && timers.now() < hours(4));
        assert!(timers.is_empty() && timers.jump().is_none());
        timers.set(key("past"), start);
        timers.jump();
        assert!(timers.now() >= hours(3), "the time never goes back");
    }

    #[test]
    fn the_clock_is_looked_at_again_and_again() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (seconds, expected) in [(-5, None), (0, None), (1, Some(1)), (30, Some(30)), (86_400, Some(30))] {
            let at = later(now, SignedDuration::from_secs(seconds));
            assert_eq!(nap(at, now), expected.map(Duration::from_secs), "{seconds} s");
        }
    }

    #[tokio::test]
    async fn a_timer_is_due_while_something_runs() {
        let mut timers = Timers::jumping(None);
        timers.set(key("soon"), later(timers.now(), SignedDuration::from_millis(5)));
        assert_eq!(name(timers.due().await), "soon");
    }
}
