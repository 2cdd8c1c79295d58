//! When the next attempt of something that failed is due (compat.md §1.4).

use jiff::{SignedDuration, Timestamp};
use weft_flow::{Retry, RetryPolicy};

/// What is known about the attempts so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempts<'a> {
    /// How many have ended, at least 1.
    pub ended: u32,
    /// When the first began.
    pub first_start: Timestamp,
    /// When the last ended.
    pub last_end: Timestamp,
    /// What is attempted: random waits follow from it, so that they are the same after a restart of the engine.
    pub seed: &'a str,
}

/// When the next attempt is due; none where the retry's bounds are reached.
pub(crate) fn next_attempt(retry: &Retry, attempts: Attempts<'_>) -> Option<Timestamp> {
    if retry.max_attempts.is_some_and(|most| attempts.ended >= most) {
        return None;
    }
    let due = attempts.last_end.checked_add(wait(&retry.policy, attempts)).ok()?;
    let in_time = retry.max_duration.is_none_or(|most| due.duration_since(attempts.first_start) <= most);
    in_time.then_some(due)
}

/// The wait between the attempt that ended last and the next. An exponential wait really doubles (or whatever the
/// factor is), as the documentation of Kestra says and its code does not.
fn wait(policy: &RetryPolicy, attempts: Attempts<'_>) -> SignedDuration {
    match *policy {
        RetryPolicy::Constant { interval } => interval,
        RetryPolicy::Exponential { interval, max_interval, factor } => {
            let exponent = i32::try_from(attempts.ended.saturating_sub(1)).unwrap_or(i32::MAX);
            let seconds = interval.as_secs_f64() * factor.powi(exponent);
            SignedDuration::try_from_secs_f64(seconds).map_or(max_interval, |wait| wait.min(max_interval))
        }
        RetryPolicy::Random { min_interval, max_interval } => {
            let width = max_interval.saturating_sub(min_interval).as_secs_f64().max(0.0);
            let share = fraction(attempts.seed, attempts.ended);
            let extra = SignedDuration::try_from_secs_f64(width * share).unwrap_or(SignedDuration::ZERO);
            min_interval.saturating_add(extra)
        }
    }
}

/// A number in 0..1 that looks random and is always the same for the same arguments: FNV-1a, then the mixing step of
/// SplitMix64.
fn fraction(seed: &str, number: u32) -> f64 {
    let bytes = seed.bytes().chain(number.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use weft_flow::RetryBehavior;

    use super::*;

    const SECOND: SignedDuration = SignedDuration::from_secs(1);

    fn retry(policy: RetryPolicy) -> Retry {
        Retry {
            policy,
            max_attempts: None,
            max_duration: None,
            warning_on_retry: false,
            behavior: RetryBehavior::RetryFailedTask,
        }
    }

    fn after(ended: u32, last_end: i64) -> Attempts<'static> {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        Attempts { ended, first_start: at(0), last_end: at(last_end), seed: "t" }
    }

    #[test]
    fn waits() {
        let exponential =
            |factor| RetryPolicy::Exponential { interval: SECOND * 30, max_interval: SECOND * 240, factor };
        for (policy, ended, expected) in [
            (RetryPolicy::Constant { interval: SECOND }, 1, 1.0),
            (RetryPolicy::Constant { interval: SECOND }, 7, 1.0),
            (exponential(2.0), 1, 30.0),
            (exponential(2.0), 2, 60.0),
            (exponential(2.0), 3, 120.0),
            (exponential(2.0), 5, 240.0),
            (exponential(1.5), 3, 67.5),
            (exponential(2.0), u32::MAX, 240.0),
        ] {
            assert_eq!(wait(&policy, after(ended, 0)).as_secs_f64(), expected, "{policy:?} after {ended}");
        }
    }

    #[test]
    fn random_waits_stay_within_bounds_and_are_reproducible() {
        let policy = RetryPolicy::Random { min_interval: SECOND, max_interval: SECOND * 3 };
        let waits: Vec<_> = (1..100).map(|ended| wait(&policy, after(ended, 0))).collect();
        assert!(waits.iter().all(|wait| (SECOND..=SECOND * 3).contains(wait)), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait < SECOND * 2) && waits.iter().any(|wait| *wait > SECOND * 2));
        assert_eq!(wait(&policy, after(5, 0)), waits[4]);
    }

    #[test]
    fn bounds() {
        let constant = retry(RetryPolicy::Constant { interval: SECOND });
        for (max_attempts, max_seconds, ended, last_end, expected) in [
            (None, None, 1000, 5000, true),
            (Some(3), None, 2, 10, true),
            (Some(3), None, 3, 10, false),
            (None, Some(10), 2, 9, true),
            (None, Some(10), 2, 10, false),
        ] {
            let retry = Retry {
                max_attempts,
                max_duration: max_seconds.map(SignedDuration::from_secs),
                ..constant.clone()
            };
            let due = next_attempt(&retry, after(ended, last_end));
            assert_eq!(due.is_some(), expected, "{max_attempts:?} {max_seconds:?} {ended} {last_end}");
        }
    }
}
