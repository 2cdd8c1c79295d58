//! Expressions: `{{ outputs.download.uri | upper }}`, in Kestra's dialect of Pebble (3.2.2, strict variables, no
//! escaping).
//!
//! Owns: the syntax, the filters, functions and tests, what they print, and the errors that point to a character of
//! the template. Never does: I/O, clocks, chance. What an expression may ask of the world is the [`Environment`] that
//! the caller hands in; the one exception is the machine's time zone database. Called by: `weft-flow` to check
//! templates when a flow is read ([`Template::references`], [`Template::calls`]), `weft-executor` for conditions and
//! loops, `weft-worker` for the properties of a task ([`render_json`]).
//!
//! ```
//! use weft_expr::{NoEnvironment, Template, Value};
//!
//! let template = Template::parse("{{ name | capitalize }} has {{ files | length }} files")?;
//! let context = Value::from_pairs([("name", Value::from("data")), ("files", Value::from(vec![1, 2]))]);
//! assert_eq!(template.render(&context, &NoEnvironment)?, "Data has 2 files");
//!
//! let missing = Template::parse("{{ nmae }}")?.render(&context, &NoEnvironment).unwrap_err();
//! assert_eq!(
//!     missing.to_string(),
//!     "unable to find `nmae` used in the expression `{{ nmae }}` at line 1 column 4\nhint: did you mean `name`?"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Why the tree is evaluated here and not by MiniJinja
//!
//! Values are [`minijinja::Value`]s: a clone of a context costs nothing, and parts of it can be computed when they are
//! asked for. The syntax cannot be lowered to MiniJinja's, though. `a ?? b` has to catch what is missing anywhere in
//! `a`, in its filters and in the arguments of its calls too, and to leave `b` alone otherwise; MiniJinja evaluates
//! arguments before a call and has nothing that catches. Filters bind looser than `~` and `??`; `is null` of what does
//! not exist is an error; `if` refuses lists and null; `set`, `for` and `macro` have Pebble's scopes; integers wrap and
//! divide as Java's. With nearly every node different, a lowered tree would be calls of our own functions all over,
//! and errors would point into generated text. MiniJinja's filters were all looked at: those whose name Pebble has as
//! well differ in arguments, in the treatment of null or in what they print, so none of them is used.
//!
//! # Limits
//!
//! Rendering ends, whatever the template is: see [`Limits`]. The parser bounds nesting, the evaluator counts levels
//! of the stack, rounds of loops and bytes of text, and values that a template makes count how deep they nest. jq
//! programs are counted step by step.

mod arguments;
mod engine;
mod environment;
mod error;
mod eval;
mod expression;
mod filters;
mod functions;
mod ion;
mod java_time;
mod lexer;
mod limits;
mod missing;
mod operators;
mod parser;
mod predicates;
mod references;
mod scope;
mod suggest;
mod template;
mod text;
mod tree;
mod truth;
mod values;

pub use environment::{Environment, NoEnvironment};
pub use error::{Fault, RenderError, SyntaxError};
pub use limits::Limits;
pub use minijinja::Value;
/// Makes a [`Value`] of anything that serialises: `Value::from(Serde(&anything))`.
pub use minijinja::value::Serde;
/// Maps as one, without copying them: the last that knows a key has it.
pub use minijinja::value::merge_maps;
pub use references::{Call, CallKind, Reference};
pub use template::{Template, render_json};
pub use truth::is_true;

use template::is_literal;
