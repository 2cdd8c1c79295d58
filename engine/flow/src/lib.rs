//! YAML text to [`Flow`]: the typed model, and what is wrong with a flow, each mistake with its place in the source.
//!
//! Owns: the YAML dialect, the structure of a flow (which tasks run other tasks, inputs, retries, triggers), all static
//! checks, the values of inputs, the editor schema and the topology of a flow, and test files of flows (read and
//! checked). Never does: I/O other than looking up a time zone's name in the system's database, clocks, running
//! anything; it knows no leaf task type, those come from a [`Catalogue`]. Called by: the command line, `weft-local`,
//! `weft-testing`, `weft-scheduler`, the executor and the worker (model only).

mod aliases;
mod calls;
mod catalogue;
mod codes;
mod diagnostic;
mod duration;
mod engine_triggers;
mod graph;
mod inputs;
mod locate;
mod model;
mod parse;
mod render;
mod schema;
mod span;
mod suggest;
pub mod testing;
mod validate;
mod walk;
mod yaml;

use std::collections::HashSet;

pub use aliases::EngineTrigger;
pub use calls::{Called, check_calls};
pub use catalogue::{Catalogue, Elsewhere, TypeInfo};
pub use codes::CODES;
pub use diagnostic::{Diagnostic, MachineDiagnostic, MachineRest, Outcome, Related, Severity, Told};
pub use duration::{DurationError, parse_duration};
pub use graph::{Cluster, Edge, Graph, GraphNode, draw_tree};
pub use inputs::{FileInputs, Given, InputProblem, NoFiles, coerce_output, resolve_inputs, resolve_values};
pub use locate::{NoPlaces, Places, locate};
pub use model::*;
pub use parse::COMMON_TRIGGER_PROPERTIES;
pub use render::{RenderOptions, render};
pub use schema::{EngineType, describe_engine_types, flow_schema};
pub use span::{Position, Span};
pub use suggest::type_hint;
pub use validate::property_problem;

use parse::Reader;
use span::Lines;
use validate::Schemas;
use yaml::Node;

/// How a flow is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseOptions {
    /// Bytes of source; more is an error.
    pub max_bytes: usize,
    /// How deep lists and maps may nest.
    pub max_depth: usize,
    /// Values in the source after aliases (`*name`) are replaced; protects against a few lines that mean gigabytes.
    pub max_nodes: usize,
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self { max_bytes: 8 * 1024 * 1024, max_depth: 100, max_nodes: 1_000_000 }
    }
}

/// Every type that the engine performs itself, under all its names: no plugin may claim one.
pub fn engine_types() -> impl Iterator<Item = &'static str> {
    let structures = aliases::STRUCTURES.iter().flat_map(|names| names.names);
    structures.chain(aliases::ENGINE_TRIGGERS.iter().flat_map(|names| names.names)).copied()
}

/// Reads and checks flows. It keeps the schemas of plugins that it has compiled, so one of it is best used for all flows
/// that are read with the same catalogue.
pub struct Validator<'c> {
    catalogue: &'c dyn Catalogue,
    schemas: Schemas,
}

impl<'c> Validator<'c> {
    /// A validator that knows the plugins of a catalogue.
    pub fn new(catalogue: &'c dyn Catalogue) -> Self {
        Self { catalogue, schemas: Schemas::default() }
    }

    /// Reads a flow and checks it.
    pub fn parse(&self, source: &str, options: &ParseOptions) -> Outcome {
        let (flow, diagnostics) = self.read(source, options, |reader, root| reader.flow(root));
        Outcome { flow, diagnostics }
    }

    /// Reads one task, as a `TemplatedTask` renders it. The task is there unless a diagnostic is fatal.
    pub fn parse_task(&self, source: &str, options: &ParseOptions) -> (Option<Task>, Vec<Diagnostic>) {
        self.read(source, options, |reader, root| reader.lone_task(root))
    }

    fn read<T>(
        &self,
        source: &str,
        options: &ParseOptions,
        read: impl for<'a> FnOnce(&mut Reader<'a>, &'a Node) -> Option<T>,
    ) -> (Option<T>, Vec<Diagnostic>) {
        let (result, diagnostics) = self.read_what_is_there(source, options, read);
        let fatal = diagnostics.iter().any(Diagnostic::is_fatal);
        (result.filter(|_| !fatal), diagnostics)
    }

    /// The same, with what could be read in spite of mistakes.
    fn read_what_is_there<T>(
        &self,
        source: &str,
        options: &ParseOptions,
        read: impl for<'a> FnOnce(&mut Reader<'a>, &'a Node) -> Option<T>,
    ) -> (Option<T>, Vec<Diagnostic>) {
        let lines = Lines::new(source);
        let mut diagnostics = Vec::new();
        let result = match yaml::parse(&lines, options, &mut diagnostics) {
            Some(root) => {
                let mut reader = Reader::new(&lines, self.catalogue, &self.schemas);
                let result = read(&mut reader, &root);
                diagnostics.append(&mut reader.diagnostics);
                result
            }
            // The mistake in the text is told already; now what else can be known.
            None => {
                if let Some(mended) = yaml::mend(source, options, &mut diagnostics) {
                    let lines = Lines::new(mended.text());
                    let mut found = Vec::new();
                    if let Some(root) = yaml::parse(&lines, options, &mut found) {
                        let mut reader = Reader::new(&lines, self.catalogue, &self.schemas);
                        let _ = read(&mut reader, &root);
                        found.append(&mut reader.diagnostics);
                    }
                    diagnostics.extend(mended.tell(found, source));
                }
                None
            }
        };
        in_order(&mut diagnostics);
        (result, diagnostics)
    }
}

/// Reads YAML with the rules of this crate, for files that are not flows: inputs, tests. The first mistake is the error.
pub fn yaml_to_json(source: &str, options: &ParseOptions) -> Result<serde_json::Value, Box<Diagnostic>> {
    let mut diagnostics = Vec::new();
    let node = yaml::parse(&Lines::new(source), options, &mut diagnostics);
    match (node, diagnostics.into_iter().next()) {
        (Some(node), None) => Ok(node.to_json()),
        (_, Some(diagnostic)) => Err(Box::new(diagnostic)),
        (None, None) => Ok(serde_json::Value::Null),
    }
}

/// Sorts by place. What is found once for each task that a default was merged into is kept once: an unknown property
/// has one place, whichever task is named.
fn in_order(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by_key(|diagnostic| diagnostic.span.start.offset);
    let mut seen = HashSet::new();
    diagnostics.retain(|diagnostic| {
        let message = (diagnostic.code != codes::UNKNOWN_PROPERTY).then(|| diagnostic.message.clone());
        seen.insert((diagnostic.span, diagnostic.code, message))
    });
}

/// Reads a flow and checks it. For more than one flow, a [`Validator`] saves time.
pub fn parse(source: &str, catalogue: &dyn Catalogue, options: &ParseOptions) -> Outcome {
    Validator::new(catalogue).parse(source, options)
}
