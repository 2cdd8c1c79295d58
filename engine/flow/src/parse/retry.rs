//! `retry` of tasks and of flows (compat.md §1.4).

use jiff::SignedDuration;

use super::path::Path;
use super::{Fields, Reader};
use crate::codes::{INVALID_VALUE, WRONG_TYPE};
use crate::yaml::{Kind, Node};
use crate::{Diagnostic, Retry, RetryBehavior, RetryPolicy};

/// Names of a retry's `type`.
#[derive(Clone, Copy)]
enum Policy {
    Constant,
    Exponential,
    Random,
}

const POLICIES: &[(&str, Policy)] =
    &[("constant", Policy::Constant), ("exponential", Policy::Exponential), ("random", Policy::Random)];

const BEHAVIORS: &[(&str, RetryBehavior)] = &[
    ("RETRY_FAILED_TASK", RetryBehavior::RetryFailedTask),
    ("CREATE_NEW_EXECUTION", RetryBehavior::CreateNewExecution),
];

/// How much longer each wait of an exponential retry is than the one before, where it is not said.
const DEFAULT_FACTOR: f64 = 2.0;

impl Reader<'_> {
    /// A retry, if all of it can be used.
    pub(crate) fn retry(&mut self, node: &Node, path: &Path<'_>) -> Option<Retry> {
        let what = "this retry";
        if let Kind::Int(attempts) = node.kind {
            let message = "expected a map, found a number";
            let hint = format!(
                "write `retry:` and, indented below it, `type: constant`, `interval: PT10S` and `maxAttempts: {attempts}`"
            );
            self.push(Diagnostic::error(WRONG_TYPE, node.span, message).at(path).hint(hint));
            return None;
        }
        let mut fields = self.fields(node, path)?;
        fields.set_example_type("constant");
        let kind = self.required(&mut fields, "type", (path, what), |reader, node, path| {
            reader.choice(node, path, POLICIES)
        });
        let policy = kind.and_then(|kind| self.policy(kind, &mut fields, path));
        let max_attempts = self.max_attempts(&mut fields, path);
        let max_duration = self.optional(&mut fields, "maxDuration", path, Self::positive_duration);
        let warning_on_retry = self.optional(&mut fields, "warningOnRetry", path, Self::boolean);
        let behavior = self.optional(&mut fields, "behavior", path, |reader, node, path| {
            reader.choice(node, path, BEHAVIORS)
        });
        // Of an unknown policy nobody knows which properties exist.
        if kind.is_some() {
            self.finish(fields, path, what);
        }
        Some(Retry {
            policy: policy?,
            max_attempts,
            max_duration,
            warning_on_retry: warning_on_retry.unwrap_or(false),
            behavior: behavior.unwrap_or(RetryBehavior::RetryFailedTask),
        })
    }

    fn policy(&mut self, policy: Policy, fields: &mut Fields<'_>, path: &Path<'_>) -> Option<RetryPolicy> {
        let mut wait = |key: &'static str, what: &str| {
            self.required(fields, key, (path, what), |reader, node, path| {
                reader.positive_duration(node, path).map(|duration| (duration, node.span))
            })
        };
        match policy {
            Policy::Constant => {
                Some(RetryPolicy::Constant { interval: wait("interval", "a constant retry")?.0 })
            }
            Policy::Exponential => {
                let interval = wait("interval", "an exponential retry");
                let max_interval = wait("maxInterval", "an exponential retry");
                let factor =
                    self.optional(fields, "delayFactor", path, Self::factor).unwrap_or(DEFAULT_FACTOR);
                let (interval, max_interval) =
                    self.ordered((interval?, "interval"), (max_interval?, "maxInterval"))?;
                Some(RetryPolicy::Exponential { interval, max_interval, factor })
            }
            Policy::Random => {
                let min_interval = wait("minInterval", "a random retry");
                let max_interval = wait("maxInterval", "a random retry");
                let (min_interval, max_interval) =
                    self.ordered((min_interval?, "minInterval"), (max_interval?, "maxInterval"))?;
                Some(RetryPolicy::Random { min_interval, max_interval })
            }
        }
    }

    /// Two waits, the second not shorter than the first.
    fn ordered(
        &mut self,
        ((low, low_span), low_name): ((SignedDuration, crate::Span), &str),
        ((high, high_span), high_name): ((SignedDuration, crate::Span), &str),
    ) -> Option<(SignedDuration, SignedDuration)> {
        if low <= high {
            return Some((low, high));
        }
        let message = format!("`{high_name}` must not be shorter than `{low_name}`");
        self.push(Diagnostic::error(INVALID_VALUE, high_span, message).related(low_span, "longer than this"));
        None
    }

    fn factor(&mut self, node: &Node, path: &Path<'_>) -> Option<f64> {
        let factor = self.number(node, path)?;
        if factor < 1.0 {
            self.invalid(node, path, format!("must be at least 1, found {factor}"));
            return None;
        }
        Some(factor)
    }

    /// `maxAttempts`, or `maxAttempt` as it was called.
    fn max_attempts(&mut self, fields: &mut Fields<'_>, path: &Path<'_>) -> Option<u32> {
        let count = |reader: &mut Self, node: &Node, path: &Path<'_>| reader.count(node, path, 1);
        let new = self.optional(fields, "maxAttempts", path, count);
        let old = self.optional(fields, "maxAttempt", path, count);
        new.or(old)
    }

    /// A duration that is not negative.
    pub(crate) fn positive_duration(&mut self, node: &Node, path: &Path<'_>) -> Option<SignedDuration> {
        let duration = self.duration(node, path)?;
        if duration.is_negative() {
            self.invalid(node, path, "a duration must not be negative here");
            return None;
        }
        Some(duration)
    }
}
