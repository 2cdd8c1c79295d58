//! How much a guest may hand over in one call. What adds up from call to call is the business of whoever keeps it.

use serde_json::{Value, json};
use weft_model::{Failure, abridged, have_more_nodes};

use crate::Limits;
use crate::failure::bad_output;

/// A name, path, address or key has no more bytes.
const MAX_NAME: usize = 16 << 10;
/// Options of a command, a connection or a clone have no more bytes of JSON.
const MAX_OPTIONS: usize = 1 << 20;
/// Arguments and environment of a command have no more bytes, each with its place in a list.
const MAX_ARGUMENTS: usize = 8 << 20;
/// What one call can carry beside JSON: a batch for a database, a block of a stream.
const MAX_CALL: usize = 64 << 20;
/// What stands around JSON in a call.
const AROUND: usize = 1 << 20;

/// Bytes that one call of a guest can carry at all; one that carries more is ended before anything is copied.
pub(crate) fn of_call(limits: &Limits) -> usize {
    // A guest may write two bytes for each character.
    limits.json_bytes.saturating_mul(2).saturating_add(AROUND).max(MAX_CALL)
}

const HINT: &str = "hint: put large data into a file and hand over its URI";

/// The bounds of JSON that one call hands over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JsonBounds {
    bytes: usize,
    nodes: u64,
}

impl JsonBounds {
    pub(crate) fn of(limits: &Limits) -> Self {
        Self { bytes: limits.json_bytes, nodes: limits.json_nodes }
    }

    /// Those of options.
    pub(crate) fn options(self) -> Self {
        Self { bytes: self.bytes.min(MAX_OPTIONS), ..self }
    }

    /// Whether texts that are kept together are within the bounds.
    pub(crate) fn check<'t>(
        self,
        plugin: &str,
        what: &str,
        texts: impl Iterator<Item = &'t str> + Clone,
    ) -> Result<(), Failure> {
        let limit = self.bytes;
        let bytes = texts.clone().fold(0_usize, |sum, text| sum.saturating_add(text.len()));
        if bytes > limit {
            let message =
                format!("{what} of plugin `{plugin}` has {bytes} bytes, and may have {limit}\n{HINT}");
            return Err(exceeded("bytes", Some(bytes as u64), limit as u64, message));
        }
        if have_more_nodes(texts, self.nodes) {
            let message = format!("{what} of plugin `{plugin}` has more than {} values\n{HINT}", self.nodes);
            return Err(exceeded("values", None, self.nodes, message));
        }
        Ok(())
    }

    /// Reads JSON of a guest.
    pub(crate) fn parse(self, plugin: &str, what: &str, text: &str) -> Result<Value, Failure> {
        self.check(plugin, what, std::iter::once(text))?;
        serde_json::from_str(text)
            .map_err(|error| bad_output(plugin, what, &format!("not valid JSON: {error}")))
    }
}

/// A name, path, address or key of a guest, if it is as short as such a thing is.
pub(crate) fn check_name(plugin: &str, what: &str, text: &str) -> Result<(), Failure> {
    if text.len() <= MAX_NAME {
        return Ok(());
    }
    let message = format!(
        "{what} that plugin `{plugin}` gives has {} bytes, and may have {MAX_NAME}: `{}`",
        text.len(),
        abridged(text)
    );
    Err(exceeded("name", Some(text.len() as u64), MAX_NAME as u64, message))
}

/// Arguments and environment of a command, if a system could take them.
pub(crate) fn check_command(argv: &[String], env: &[(String, String)]) -> Result<(), Failure> {
    let place = size_of::<String>();
    let texts = argv.iter().chain(env.iter().flat_map(|(name, value)| [name, value]));
    let bytes = texts.fold(0_usize, |sum, text| sum.saturating_add(text.len() + place));
    if bytes <= MAX_ARGUMENTS {
        return Ok(());
    }
    let message = format!(
        "arguments and environment of a command have {bytes} bytes, and may have {MAX_ARGUMENTS}\n\
         hint: put a long text into a file and give the command its name"
    );
    Err(Failure::new("process.arguments-too-long", message))
}

/// The failure of a call that carries more than [`of_call`].
pub(crate) fn call_too_large(plugin: &str, limits: &Limits) -> Failure {
    let limit = of_call(limits) as u64;
    let message = format!("plugin `{plugin}` handed over more than {limit} bytes in one call\n{HINT}");
    exceeded("call", None, limit, message)
}

/// The failure of a poll with too many events.
pub(crate) fn too_many_events(plugin: &str, events: usize, limit: usize) -> Failure {
    let message = format!(
        "a poll of plugin `{plugin}` found {events} events, and may find {limit}: each starts an execution\n\
         hint: put what belongs together into one event; the operator can set `limits.events`"
    );
    exceeded("events", Some(events as u64), limit as u64, message)
}

fn exceeded(bound: &str, amount: Option<u64>, limit: u64, message: String) -> Failure {
    Failure::new("task.budget", message)
        .with_detail(json!({"bound": bound, "amount": amount, "limit": limit}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(result: Result<(), Failure>) -> Option<String> {
        result.err().map(|failure| failure.code)
    }

    #[test]
    fn the_bound_itself_passes_and_one_more_fails() {
        let bounds = JsonBounds { bytes: 10, nodes: 4 };
        for (texts, problem) in [
            (&["\"12345678\""][..], None),
            (&["\"123456789\""], Some("has 11 bytes, and may have 10")),
            (&["[1,1,1]"], None),
            (&["[1,1,1,1]"], Some("has more than 4 values")),
            (&["[1]", "[2]"], None),
            (&["[1]", "[2]", "3"], Some("has more than 4 values")),
            (&["\"1234\"", "\"56\""], None),
            (&["\"1234\"", "\"567\""], Some("has 11 bytes")),
        ] {
            let result = bounds.check("p", "the result", texts.iter().copied());
            match (result, problem) {
                (Ok(()), None) => {}
                (Err(failure), Some(part)) => {
                    assert_eq!(failure.code, "task.budget");
                    assert!(failure.message.contains(part), "{}", failure.message);
                }
                (result, _) => panic!("{texts:?}: {result:?}"),
            }
        }
        assert_eq!(code(check_name("p", "a key", &"x".repeat(MAX_NAME))), None);
        assert_eq!(code(check_name("p", "a key", &"x".repeat(MAX_NAME + 1))).as_deref(), Some("task.budget"));
        let argument = |length: usize| ["x".repeat(length)];
        let most = MAX_ARGUMENTS - size_of::<String>();
        assert_eq!(code(check_command(&argument(most), &[])), None);
        let code_of_more = code(check_command(&argument(most + 1), &[]));
        assert_eq!(code_of_more.as_deref(), Some("process.arguments-too-long"));
        let empty = vec![(String::new(), String::new()); MAX_ARGUMENTS / size_of::<String>()];
        assert!(code(check_command(&[], &empty)).is_some(), "empty texts take room too");
    }
}
