//! A trigger type: what lies in the key-value store under a prefix starts an execution, and is taken away.

use weft_sdk::Interval;
use weft_sdk::prelude::*;

/// Starts an execution with the values of all keys that begin with a prefix, and deletes the keys.
#[derive(Deserialize, JsonSchema)]
struct Inbox {
    /// How the keys begin.
    prefix: String,
    #[serde(default)]
    #[allow(dead_code, reason = "the engine carries it out")]
    interval: Interval,
}

/// What expressions see as `trigger`.
#[derive(Serialize, JsonSchema)]
struct Mail {
    /// The keys.
    keys: Vec<String>,
    /// Their values, in the same order.
    values: Vec<Value>,
}

impl Trigger for Inbox {
    /// Keys whose values have started an execution, and that are still to be deleted.
    type State = Vec<String>;
    type Event = Mail;
    const TYPE: &'static str = "examples.Inbox";

    fn poll(self, cx: &PollContext, _: Vec<String>) -> Result<Poll<Vec<String>, Mail>> {
        let keys = cx.kv().keys(&self.prefix)?;
        let mut mail = Mail { keys: Vec::new(), values: Vec::new() };
        for key in keys {
            // One that is gone was deleted by somebody else.
            if let Some(value) = cx.kv().get(&key)? {
                mail.keys.push(key);
                mail.values.push(value);
            }
        }
        if mail.keys.is_empty() {
            return Ok(Poll::nothing(Vec::new()));
        }
        cx.log().info(format!("{} new", mail.keys.len()));
        Ok(Poll::nothing(mail.keys.clone()).event(mail))
    }

    // Not in `poll`: were the engine killed after that and before the execution is stored, the values would be lost.
    fn acknowledge(self, cx: &PollContext, taken: Vec<String>) -> Result<Vec<String>> {
        for key in &taken {
            cx.kv().delete(key)?;
        }
        Ok(Vec::new())
    }
}

plugin!(triggers: Inbox);
