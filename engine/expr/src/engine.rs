//! What one rendering shares between all its parts: the environment, and the meter that keeps it within its limits.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use minijinja::value::ValueKind;
use regex::{Regex, RegexBuilder};

use crate::error::Fault;
use crate::text::{self, Output};
use crate::values::{self, Entries, kind_name};
use crate::{Environment, Limits, Value};

/// Levels of evaluation on the stack. A level takes about a kilobyte, several in a debug build.
const MAX_LEVELS: usize = 400;
/// Bytes of text that cost as much as one round of a loop.
const BYTES_PER_ROUND: usize = 1024;
/// Rounds that compiling a regular expression costs.
const REGEX_ROUNDS: usize = 200;
/// Bytes of a compiled regular expression.
const REGEX_SIZE: usize = 1 << 20;

pub(crate) struct Engine<'e> {
    pub env: &'e dyn Environment,
    pub limits: Limits,
    spent: Cell<usize>,
    levels: Cell<usize>,
    /// Templates inside of templates, by `render()`.
    renders: Cell<usize>,
    /// Whether `render()` was called: then `raw` is kept for its later passes, and taken out at the very end.
    pub raw_kept: Cell<bool>,
    /// Whether a failure inside of `render()` has said where it happened: the templates around it need not.
    pub place_told: Cell<bool>,
    regexes: RefCell<HashMap<String, Regex>>,
}

impl<'e> Engine<'e> {
    pub fn new(env: &'e dyn Environment) -> Self {
        Self {
            env,
            limits: env.limits(),
            spent: Cell::new(0),
            levels: Cell::new(0),
            renders: Cell::new(0),
            raw_kept: Cell::new(false),
            place_told: Cell::new(false),
            regexes: RefCell::new(HashMap::new()),
        }
    }

    /// Pays for rounds of loops and elements of lists.
    pub fn charge(&self, rounds: usize) -> Result<(), Fault> {
        let spent = self.spent.get().saturating_add(rounds);
        self.spent.set(spent);
        if spent > self.limits.iterations {
            let fault = Fault::new(format!("the template took more than {} rounds", self.limits.iterations));
            return Err(fault.with_hint("loop over less, or do this in a script"));
        }
        Ok(())
    }

    pub fn remaining(&self) -> usize {
        self.limits.iterations.saturating_sub(self.spent.get())
    }

    /// One level deeper; [`Self::leave`] has to follow when it succeeds.
    pub fn enter(&self) -> Result<(), Fault> {
        if self.levels.get() >= MAX_LEVELS {
            return Err(Fault::new("the template is nested too deep")
                .with_hint("a macro that calls itself has to end; so does a `render()` of itself"));
        }
        self.levels.set(self.levels.get() + 1);
        Ok(())
    }

    pub fn leave(&self) {
        self.levels.set(self.levels.get() - 1);
    }

    /// Runs `render` inside of one more template.
    pub fn inner<T>(&self, render: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        if self.renders.get() >= self.limits.recursion {
            return Err(self.too_many_renders());
        }
        self.renders.set(self.renders.get() + 1);
        let result = render();
        self.renders.set(self.renders.get() - 1);
        result
    }

    pub fn too_many_renders(&self) -> Fault {
        Fault::new(format!("more than {} templates in templates", self.limits.recursion))
            .with_hint("a value that contains itself cannot be rendered; `renderOnce()` renders one level")
    }

    pub fn output(&self) -> Output {
        Output::new(self.limits.output_bytes)
    }

    /// A text that was made, within bounds and paid for.
    pub fn text(&self, text: impl Into<String>) -> Result<Value, Fault> {
        let text = text.into();
        self.check_length(text.len())?;
        Ok(Value::from(text))
    }

    pub fn check_length(&self, bytes: usize) -> Result<(), Fault> {
        if bytes > self.limits.output_bytes {
            return Err(text::too_long(self.limits.output_bytes));
        }
        self.charge(bytes / BYTES_PER_ROUND)
    }

    pub fn list(&self, items: Vec<Value>) -> Result<Value, Fault> {
        self.charge(items.len())?;
        values::list(items, self.limits.depth)
    }

    pub fn map(&self, entries: Entries) -> Result<Value, Fault> {
        self.charge(entries.len())?;
        values::map(entries, self.limits.depth)
    }

    pub fn json(&self, json: serde_json::Value) -> Result<Value, Fault> {
        values::from_json(json, self.limits.depth)
    }

    /// The elements of a list, of any list.
    pub fn items(&self, value: &Value) -> Result<Vec<Value>, Fault> {
        let mut items = Vec::new();
        for element in values::elements(value) {
            self.charge(1)?;
            if let Some(fault) = values::held_error(&element) {
                return Err(fault);
            }
            items.push(element);
        }
        Ok(items)
    }

    /// As [`Self::items`], for what has to be a list.
    pub fn list_items(&self, filter: &str, value: &Value) -> Result<Vec<Value>, Fault> {
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => self.items(value),
            _ => Err(wrong_input(filter, "a list", value)),
        }
    }

    pub fn entries(&self, value: &Value) -> Result<Entries, Fault> {
        let mut entries = Entries::new();
        for (key, value) in values::pairs(value) {
            self.charge(1)?;
            entries.insert(text::scalar(&key).unwrap_or_default().into_owned(), value);
        }
        Ok(entries)
    }

    /// The text of any value, as `{{ value }}` prints it.
    pub fn printed(&self, value: &Value) -> Result<String, Fault> {
        let mut output = self.output();
        output.value(value)?;
        self.charge(output.len() / BYTES_PER_ROUND)?;
        Ok(output.into_text())
    }

    pub fn printed_json(&self, value: &Value) -> Result<String, Fault> {
        let mut output = self.output();
        output.json(value, 0)?;
        self.charge(output.len() / BYTES_PER_ROUND)?;
        Ok(output.into_text())
    }

    /// A compiled regular expression; compiled once in a rendering.
    pub fn regex(&self, pattern: &str) -> Result<Regex, Fault> {
        if let Some(regex) = self.regexes.borrow().get(pattern) {
            return Ok(regex.clone());
        }
        self.charge(REGEX_ROUNDS)?;
        let regex = RegexBuilder::new(pattern).size_limit(REGEX_SIZE).build().map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string();
            Fault::new(format!("{} is not a regular expression: {reason}", text::quote(pattern))).with_hint(
                "put a backslash before characters that are meant literally, as in `\\.` and `\\|`",
            )
        })?;
        self.regexes.borrow_mut().insert(pattern.to_string(), regex.clone());
        Ok(regex)
    }
}

pub(crate) fn wrong_input(filter: &str, expected: &str, found: &Value) -> Fault {
    Fault::new(format!("`{filter}` needs {expected}, not {}", kind_name(found)))
}
