//! The functions: `name(arguments)`. Those of Pebble 3.2.2 and of Kestra up to 2.0.

mod calendar;
mod data;
mod flow;
mod render;
mod world;

use crate::Value;
use crate::arguments::{Args, Signature};
use crate::error::Fault;
use crate::eval::Evaluator;

type Call = fn(&mut Evaluator<'_>, &Args<'_>) -> Result<Value, Fault>;

/// A function and how it is called.
#[derive(Debug)]
pub(crate) struct Function {
    pub signature: Signature,
    call: Call,
}

impl Function {
    const fn new(
        name: &'static str,
        parameters: &'static [&'static str],
        required: usize,
        call: Call,
    ) -> Self {
        Self { signature: Signature { name, parameters, required, variadic: false }, call }
    }

    const fn variadic(self) -> Self {
        let Signature { name, parameters, required, .. } = self.signature;
        Self { signature: Signature { name, parameters, required, variadic: true }, call: self.call }
    }

    pub fn call(&self, scope: &mut Evaluator<'_>, args: &Args<'_>) -> Result<Value, Fault> {
        scope.engine.charge(1)?;
        (self.call)(scope, args)
    }
}

/// `block` is evaluated in the tree, where the blocks are; here is only how it is called.
static BLOCK: Function =
    Function::new("block", &["name"], 1, |_, _| Err(Fault::new("`block` is available in templates only")));

static GROUPS: [&[Function]; 5] =
    [calendar::FUNCTIONS, data::FUNCTIONS, flow::FUNCTIONS, render::FUNCTIONS, world::FUNCTIONS];

fn all() -> impl Iterator<Item = &'static Function> {
    GROUPS.iter().copied().flatten().chain(std::iter::once(&BLOCK))
}

pub(crate) fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.signature.name == name)
}

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    all().map(|function| function.signature.name)
}
