//! What goes wrong again and again is not said again and again.

use std::collections::BTreeMap;

/// A problem that stays is said again when it has come this many times more: about once an hour for a trigger that is polled
/// every minute.
const EVERY: u64 = 60;

/// Problems that a trigger has at the moment, each under what was being done.
#[derive(Debug, Default)]
pub(crate) struct Complaints(BTreeMap<&'static str, Complaint>);

#[derive(Debug)]
struct Complaint {
    /// The problem without what differs each time.
    core: String,
    times: u64,
}

impl Complaints {
    /// What to say of a problem: all of it when it is another one than the last time, and again when it has stayed for long.
    pub(crate) fn take(&mut self, doing: &'static str, problem: &str) -> Option<String> {
        let core = core(problem);
        match self.0.get_mut(doing) {
            Some(known) if known.core == core => {
                known.times += 1;
                let times = known.times;
                (times % EVERY == 0).then(|| format!("{problem}\nit is the same for the {times}th time"))
            }
            _ => {
                self.0.insert(doing, Complaint { core, times: 1 });
                Some(problem.to_owned())
            }
        }
    }

    /// It went well: how often in a row it had not, if that was more often than it was said at first.
    pub(crate) fn end(&mut self, doing: &'static str) -> Option<u64> {
        self.0.remove(doing).map(|complaint| complaint.times).filter(|times| *times > 1)
    }
}

/// A problem without words that hold digits: names of requests, times and counts make no other problem of it.
fn core(problem: &str) -> String {
    let words = problem.split_whitespace().filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_said_when_it_is_another_one() {
        let mut complaints = Complaints::default();
        for (problem, said) in [
            ("refused (request a1)", true),
            ("refused (request b2)", false),
            ("no such bucket", true),
            ("no such bucket", false),
            ("refused (request c3)", true),
        ] {
            assert_eq!(complaints.take("poll", problem).is_some(), said, "{problem}");
        }
        assert!(complaints.take("acknowledge", "refused (request d4)").is_some());
    }

    #[test]
    fn a_problem_that_stays_is_said_now_and_then() {
        let mut complaints = Complaints::default();
        let said: Vec<String> = (0..120).filter_map(|_| complaints.take("poll", "down")).collect();
        assert_eq!(
            said,
            ["down", "down\nit is the same for the 60th time", "down\nit is the same for the 120th time"]
        );
        assert_eq!(complaints.end("poll"), Some(120));
        assert_eq!(complaints.end("poll"), None);
        assert_eq!(complaints.take("poll", "down").as_deref(), Some("down"));
        assert_eq!(complaints.end("poll"), None, "it was said as often as it was the case");
    }
}
