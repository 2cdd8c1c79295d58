//! From what wasmtime reports to the failure that a person reads.

use std::time::Duration;

use serde_json::json;
use wasmtime::component::ResourceTableError;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;
use weft_model::Failure;

use crate::bindings::weft::plugin::types;
use crate::plugin::{LoadError, Plugin};
use crate::{Limits, sizes};

/// Functions of a backtrace that a message names.
const FRAMES_IN_MESSAGE: usize = 5;

/// So many functions that call themselves are no accident; a backtrace has 20.
const ENDLESS: usize = 10;

/// The longest code of a failure.
const MAX_CODE: usize = 100;

/// How much of a code that is none is shown.
const SHOWN_CODE: usize = 40;

/// A longer function name is cut: generic code has names of several lines.
const MAX_NAME: usize = 120;

/// How wasmtime says that a call carries more than it may; the type of this error is its own.
const CALL_TOO_LARGE: &str = "too much data is being copied between the host and the guest";

/// What the epoch callback ends a guest with.
#[derive(Debug, thiserror::Error)]
#[error("used more than {0:?} of processor time")]
pub(crate) struct CpuExhausted(pub(crate) Duration);

/// What is known about a run that ended with `error`.
pub(crate) struct Ended<'a> {
    pub(crate) plugin: &'a str,
    pub(crate) error: &'a wasmtime::Error,
    pub(crate) limits: &'a Limits,
    /// Whether the guest's last wish for memory was refused.
    pub(crate) out_of_memory: bool,
    /// The last lines that the guest wrote to stderr.
    pub(crate) stderr: Vec<String>,
}

impl Ended<'_> {
    /// The failure for it. Trying again may help only where the machine, not the plugin, was at fault.
    pub(crate) fn failure(self) -> Failure {
        if self.error.root_cause().to_string().starts_with(CALL_TOO_LARGE) {
            return sizes::call_too_large(self.plugin, self.limits);
        }
        let frames = self.error.downcast_ref::<WasmBacktrace>().map(functions).unwrap_or_default();
        let (code, what) = self.cause();
        let mut message = format!("plugin `{}` {what}", self.plugin);
        if code != "plugin.panic" {
            message.push_str(&place(&frames));
        }
        Failure::new(code, message)
            .with_detail(json!({"plugin": self.plugin, "stderr": self.stderr, "backtrace": frames}))
    }

    fn cause(&self) -> (&'static str, String) {
        if self.error.is::<CpuExhausted>() {
            return ("plugin.cpu", format!("used more than {:?} of processor time", self.limits.cpu));
        }
        if self.out_of_memory {
            let limit = self.limits.memory >> 20;
            return (
                "plugin.memory",
                format!("needed more than the {limit} MiB of memory that a run may have"),
            );
        }
        if let Some(ResourceTableError::Full) = self.error.downcast_ref() {
            let limit = self.limits.resources;
            return (
                "plugin.resources",
                format!("held more than {limit} files, streams and processes at a time"),
            );
        }
        if let Some(I32Exit(status)) = self.error.downcast_ref() {
            return ("plugin.trap", format!("ended itself with exit status {status} instead of returning"));
        }
        match self.error.downcast_ref::<Trap>() {
            Some(Trap::UnreachableCodeReached) => match panic_message(&self.stderr) {
                Some(text) => ("plugin.panic", format!("panicked: {text}")),
                None => ("plugin.trap", "trapped: it aborted".to_owned()),
            },
            Some(Trap::StackOverflow) => ("plugin.trap", "trapped: its stack overflowed".to_owned()),
            Some(trap) => {
                let text = trap.to_string();
                ("plugin.trap", format!("trapped: {}", text.strip_prefix("wasm trap: ").unwrap_or(&text)))
            }
            None => ("plugin.trap", format!("was stopped: {}", self.error.root_cause())),
        }
    }
}

/// The failure of a run that took longer than the host allows.
pub(crate) fn timeout(plugin: &str, limit: Duration, stderr: Vec<String>) -> Failure {
    Failure::new("plugin.timeout", format!("plugin `{plugin}` ran longer than {limit:?}"))
        .retryable()
        .with_detail(json!({"plugin": plugin, "stderr": stderr}))
}

/// The failure of a call to a plugin whose code cannot be used.
pub(crate) fn not_loaded(plugin: &Plugin, error: &LoadError) -> Failure {
    Failure::new(error.code(), plugin.problem(error).to_string())
}

/// The failure of a call to an interface that the component does not export.
pub(crate) fn not_exported(plugin: &str, interface: &str) -> Failure {
    Failure::new("plugin.world", format!("plugin `{plugin}` does not export `weft:plugin/{interface}`"))
}

/// The failure of a plugin that handed over something it should not have.
pub(crate) fn bad_output(plugin: &str, what: &str, problem: &str) -> Failure {
    Failure::new("plugin.bad-output", format!("{what} of plugin `{plugin}`: {problem}"))
}

/// The text of a Rust panic: `src/lib.rs:3:5: boom` from
/// `thread 'main' (1) panicked at src/lib.rs:3:5:`, then `boom` on the next lines, then a `note:`.
fn panic_message(stderr: &[String]) -> Option<String> {
    let at = stderr.iter().rposition(|line| line.contains("panicked at "))?;
    let (_, place) = stderr[at].split_once("panicked at ")?;
    let text: Vec<_> =
        stderr[at + 1..].iter().take_while(|line| !line.starts_with("note: ")).map(String::as_str).collect();
    Some(format!("{place} {}", text.join("\n")).trim_end().to_owned())
}

/// The functions of a backtrace, innermost first.
fn functions(backtrace: &WasmBacktrace) -> Vec<String> {
    let name = |name: &str| {
        let name = match rustc_demangle::try_demangle(name) {
            // Without the hash at the end.
            Ok(demangled) => format!("{demangled:#}"),
            Err(_) => name.to_owned(),
        };
        match name.char_indices().nth(MAX_NAME) {
            Some((end, _)) => format!("{}...", &name[..end]),
            None => name,
        }
    };
    backtrace.frames().iter().filter_map(|frame| frame.func_name()).map(name).collect()
}

/// Where it happened, as lines to add to a message.
fn place(frames: &[String]) -> String {
    let mut shown: Vec<_> = frames.iter().filter(|name| !is_plumbing(name)).collect();
    let count = shown.len();
    shown.dedup();
    // A Rust guest that uses up its stack is not told so: it writes to memory that is not there.
    let recursion = count - shown.len() >= ENDLESS;
    shown.truncate(FRAMES_IN_MESSAGE);
    if shown.is_empty() {
        return String::new();
    }
    let names: Vec<_> = shown.iter().map(|name| format!("`{name}`")).collect();
    let hint = if recursion { "\nhint: a function calls itself again and again" } else { "" };
    format!("\nin {}{hint}", names.join(", called by "))
}

/// Functions of the standard library and of generated code, which say nothing about the plugin.
fn is_plumbing(name: &str) -> bool {
    const PREFIXES: [&str; 9] =
        ["core::", "std::", "alloc::", "__rust", "rust_", "abort", "_abort", "cabi_", "weft:plugin/"];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || name.contains("wit_bindgen")
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        Self {
            code: failure.code,
            message: failure.message,
            retryable: failure.retryable,
            detail: failure.detail.map(|detail| detail.to_string()),
        }
    }
}

impl From<types::Failure> for Failure {
    fn from(failure: types::Failure) -> Self {
        let detail = failure.detail.map(Failure::detail_from);
        let (code, message) = match is_code(&failure.code) {
            true => (failure.code, failure.message),
            false => {
                let shown: String = failure.code.chars().take(SHOWN_CODE).collect();
                let message = format!(
                    "{}\nthe plugin gave `{}` as the failure's code: expected lower-case letters, digits, `-` and `.`, at \
                     most {MAX_CODE} of them",
                    failure.message,
                    shown.escape_debug()
                );
                ("plugin.bad-output".to_owned(), message)
            }
        };
        Self { code, message, retryable: failure.retryable, detail }
    }
}

/// Whether a text can be the code of a failure: it stands in lists, in reports and on terminals.
fn is_code(code: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    (1..=MAX_CODE).contains(&code.len()) && code.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_name_the_guest_functions() {
        let deep = ["a::f"; 20];
        for (frames, expected) in [
            (&[][..], ""),
            (&["abort", "core::panicking::panic"], ""),
            (&["std::process::abort", "a::f", "a::g", "cabi_realloc"], "\nin `a::f`, called by `a::g`"),
            (&["a::f", "a::f", "a::g"], "\nin `a::f`, called by `a::g`"),
            (&deep, "\nin `a::f`\nhint: a function calls itself again and again"),
        ] {
            let frames: Vec<_> = frames.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(place(&frames), expected);
        }
    }

    #[test]
    fn codes_are_words_with_dots() {
        for (code, expected) in [
            ("http.status", "http.status"),
            ("a", "a"),
            ("orders.no-2", "orders.no-2"),
            ("", "plugin.bad-output"),
            ("Orders.Failed", "plugin.bad-output"),
            ("\u{1b}[2Jevil\nINFO fake", "plugin.bad-output"),
            (&"x".repeat(101), "plugin.bad-output"),
        ] {
            let given = types::Failure {
                code: code.to_owned(),
                message: "no order".to_owned(),
                retryable: true,
                detail: None,
            };
            let failure = Failure::from(given);
            assert_eq!(failure.code, expected, "{code:?}");
            assert!(failure.retryable && failure.message.starts_with("no order"), "{failure:?}");
            assert!(!failure.message.contains('\u{1b}'), "{failure:?}");
        }
    }

    #[test]
    fn panics_are_read_from_stderr() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        for (stderr, expected) in [
            ("", None),
            ("all is well", None),
            (
                "a\n\nthread '<unnamed>' (1) panicked at src/lib.rs:3:5:\nboom\nnote: run with `RUST_BACKTRACE=1`",
                Some("src/lib.rs:3:5: boom"),
            ),
            ("thread 'main' panicked at src/a.rs:1:1:\none\ntwo", Some("src/a.rs:1:1: one\ntwo")),
        ] {
            assert_eq!(panic_message(&lines(stderr)).as_deref(), expected, "{stderr}");
        }
    }
}
