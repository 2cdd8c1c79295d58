//! The one error shape of the contract, and how other errors become one.

use serde_json::Value;

use crate::values::json_text;

/// What a task or a host call fails with.
///
/// Any error type, `String` and `&str` turn into one through `?` (code `plugin.error`). Give an error a code of its own
/// where a flow or a program should be able to tell it from others:
///
/// ```
/// use weft_sdk::Error;
/// let error = Error::new("examples.busy", "the service is busy").retryable();
/// # assert!(error.is_retryable());
/// ```
///
/// It does not implement `std::error::Error` itself: that would forbid the conversion from every other error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: String,
    message: String,
    retryable: bool,
    /// JSON text: an error that only passes through is then not parsed, and a plugin that never looks does not hold the
    /// code for it.
    detail: Option<String>,
}

/// `std::result::Result` with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error that trying again will not mend. `code` is kebab-case with a dot between area and reason.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), retryable: false, detail: None }
    }

    /// The same, marked as worth another try with nothing changed.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// The same, with facts for a program.
    #[must_use]
    pub fn detail(mut self, detail: &Value) -> Self {
        self.detail = Some(json_text(detail));
        self
    }

    /// The same error said in a wider setting: `context: message`.
    #[must_use]
    pub fn context(mut self, context: &str) -> Self {
        self.message = [context, ": ", &self.message].concat();
        self
    }

    /// The same with what to do about it, in place of what it said about that.
    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        let end = self.message.find("\nhint: ").unwrap_or(self.message.len());
        self.message = [&self.message[..end], "\nhint: ", hint].concat();
        self
    }

    /// Which error it is, for a program.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What happened and what to do, for a person.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether trying again, with nothing changed, may help.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// Facts for a program, if there are any.
    pub fn facts(&self) -> Option<Value> {
        serde_json::from_str(self.detail.as_deref()?).ok()
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for Error {
    fn from(error: E) -> Self {
        from_boxed(error.into())
    }
}

/// What an error says, without the system's number for it (`os error 44`): in a component that is WASI's, which means
/// something else to whoever reads it.
fn words(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let Some((before, after)) = text.split_once(" (os error ") else { return text };
    match after.split_once(')') {
        Some((_, rest)) => [before, rest].concat(),
        None => text,
    }
}

/// Not generic, so that a plugin holds it once and not once per error type.
fn from_boxed(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let mut message = words(&*error);
    let mut source = error.source();
    while let Some(cause) = source {
        let text = words(cause);
        // Many errors end with their cause's message already.
        if !message.ends_with(&text) {
            message = [&message, ": ", &text].concat();
        }
        source = cause.source();
    }
    Error::new("plugin.error", message)
}

#[cfg(target_family = "wasm")]
mod wire {
    use super::Error;
    use crate::bindings::weft::plugin::types::Failure;

    impl From<Error> for Failure {
        fn from(error: Error) -> Self {
            Self {
                code: error.code,
                message: error.message,
                retryable: error.retryable,
                detail: error.detail,
            }
        }
    }

    impl Error {
        pub(crate) fn from_host(failure: Failure) -> Self {
            Self {
                code: failure.code,
                message: failure.message,
                retryable: failure.retryable,
                detail: failure.detail,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_mark_takes_errors_and_texts() {
        fn number(text: &str) -> Result<u8> {
            if text.is_empty() {
                return Err("no text".into());
            }
            if text == "?" {
                Err(String::from("not known"))?;
            }
            Ok(text.parse()?)
        }
        for (text, expected) in [
            ("", "no text"),
            ("?", "not known"),
            ("x", "invalid digit found in string"),
            ("300", "number too large to fit in target type"),
        ] {
            let error = number(text).unwrap_err();
            assert_eq!((error.code(), error.message()), ("plugin.error", expected), "{text}");
        }
    }

    #[test]
    fn numbers_of_the_system_are_left_out() {
        let missing = std::fs::read("no/such/file").unwrap_err();
        assert!(missing.to_string().contains("(os error "));
        assert_eq!(Error::from(missing).message(), "No such file or directory");
    }

    #[test]
    fn a_hint_stands_last_and_once() {
        for (message, expected) in [
            ("no", "no\nhint: do it"),
            ("no\nhint: try", "no\nhint: do it"),
            ("no\nwhy\nhint: try", "no\nwhy\nhint: do it"),
        ] {
            assert_eq!(Error::new("a.b", message).hint("do it").message(), expected);
        }
    }

    #[test]
    fn causes_are_named_once() {
        #[derive(Debug)]
        struct Outer(&'static str, std::num::ParseIntError);
        impl std::fmt::Display for Outer {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.0)
            }
        }
        impl std::error::Error for Outer {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.1)
            }
        }
        for (message, expected) in [
            ("bad port", "bad port: invalid digit found in string"),
            ("bad port, invalid digit found in string", "bad port, invalid digit found in string"),
        ] {
            let cause = "x".parse::<u8>().unwrap_err();
            assert_eq!(Error::from(Outer(message, cause)).message(), expected);
        }
    }
}
