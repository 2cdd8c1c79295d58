//! Arguments of filters, functions and tests: matched to parameters when parsed, read by type when called.

use std::borrow::Cow;

use crate::error::Fault;
use crate::lexer::Lexed;
use crate::tree::{Expr, Span};
use crate::values::{self, kind_name};
use crate::{Value, suggest, text};

/// The parameters of something that can be called.
#[derive(Debug)]
pub(crate) struct Signature {
    pub name: &'static str,
    pub parameters: &'static [&'static str],
    /// How many of the parameters have to be given.
    pub required: usize,
    /// Any number of arguments without names, as `max(a, b, c)`.
    pub variadic: bool,
}

/// Arguments as written: without names, then with names.
pub(crate) type Written = (Vec<Expr>, Vec<(String, Span, Expr)>);

/// Puts arguments in the order of the parameters.
pub(crate) fn bind(
    signature: &Signature,
    positional: Vec<Expr>,
    named: Vec<(String, Span, Expr)>,
    at: Span,
) -> Lexed<Vec<Option<Expr>>> {
    let Signature { name, parameters, required, variadic } = signature;
    if *variadic && named.is_empty() {
        return Ok(positional.into_iter().map(Some).collect());
    }
    if positional.len() > parameters.len() {
        let fault = match parameters.len() {
            0 => Fault::new(format!("`{name}` takes no arguments")),
            most => Fault::new(format!("`{name}` takes at most {most} arguments: {}", parameters.join(", "))),
        };
        return Err((fault, positional.get(parameters.len()).map_or(at, |extra| extra.span)));
    }
    let mut slots: Vec<Option<Expr>> = positional.into_iter().map(Some).collect();
    if !(slots.is_empty() && named.is_empty()) {
        slots.resize_with(parameters.len(), || None);
    }
    for (given, span, value) in named {
        let Some(slot) = parameters.iter().position(|parameter| *parameter == given) else {
            let fault = Fault::new(format!("`{name}` has no argument `{given}`"));
            let fault = match suggest::nearest(&given, parameters.iter().copied()) {
                Some(nearest) => fault.with_hint(format!("did you mean `{nearest}`?")),
                None if parameters.is_empty() => fault,
                None => fault.with_hint(format!("its arguments are {}", parameters.join(", "))),
            };
            return Err((fault, span));
        };
        match slots.get_mut(slot) {
            Some(empty @ None) => *empty = Some(value),
            _ => return Err((Fault::new(format!("the argument `{given}` is given twice")), span)),
        }
    }
    for (slot, parameter) in parameters.iter().enumerate().take(*required) {
        if !matches!(slots.get(slot), Some(Some(_))) {
            return Err((Fault::new(format!("`{name}` needs the argument `{parameter}`")), at));
        }
    }
    Ok(slots)
}

/// Evaluated arguments.
pub(crate) struct Args<'a> {
    pub signature: &'a Signature,
    pub values: Vec<Option<Value>>,
}

impl Args<'_> {
    /// An argument as it is; null counts as not given.
    pub fn get(&self, index: usize) -> Option<&Value> {
        self.values.get(index)?.as_ref().filter(|value| !values::is_null(value))
    }

    fn wrong(&self, index: usize, expected: &str, found: &Value) -> Fault {
        let parameter = self.signature.parameters.get(index).copied().unwrap_or("value");
        let found = kind_name(found);
        Fault::new(format!(
            "the argument `{parameter}` of `{}` has to be {expected}, not {found}",
            self.signature.name
        ))
    }

    fn missing(&self, index: usize) -> Fault {
        let parameter = self.signature.parameters.get(index).copied().unwrap_or("value");
        Fault::new(format!("the argument `{parameter}` of `{}` is null", self.signature.name))
    }

    pub fn required(&self, index: usize) -> Result<&Value, Fault> {
        self.get(index).ok_or_else(|| self.missing(index))
    }

    /// A text; numbers and booleans are taken as their text.
    pub fn opt_text(&self, index: usize) -> Result<Option<Cow<'_, str>>, Fault> {
        let Some(value) = self.get(index) else { return Ok(None) };
        match text::scalar(value) {
            Some(text) => Ok(Some(text)),
            None => Err(self.wrong(index, "a text", value)),
        }
    }

    pub fn text(&self, index: usize) -> Result<Cow<'_, str>, Fault> {
        self.opt_text(index)?.ok_or_else(|| self.missing(index))
    }

    pub fn opt_integer(&self, index: usize) -> Result<Option<i64>, Fault> {
        let Some(value) = self.get(index) else { return Ok(None) };
        match values::integer(value) {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong(index, "an integer", value)),
        }
    }

    pub fn integer(&self, index: usize) -> Result<i64, Fault> {
        self.opt_integer(index)?.ok_or_else(|| self.missing(index))
    }

    pub fn opt_flag(&self, index: usize) -> Result<Option<bool>, Fault> {
        let Some(value) = self.get(index) else { return Ok(None) };
        match values::boolean(value) {
            Some(flag) => Ok(Some(flag)),
            None => Err(self.wrong(index, "true or false", value)),
        }
    }
}
