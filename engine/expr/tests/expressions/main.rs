//! Tables of expressions and what they render to. What is expected follows Pebble 3.2.2 as Kestra uses it; lists and
//! maps print as JSON.

mod analysis;
mod filters;
mod functions;
mod jq;
mod language;
mod limits;
mod properties;
mod world;
