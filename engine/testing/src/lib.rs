//! Unit tests of flows: which fixture stands in for a task run, and whether what an execution left is what a case
//! expects.
//!
//! Owns: the choice of fixtures, the operators of assertions, what their expressions see, differences for people.
//! Never does: I/O, reading test files (`weft-flow`), running anything. Called by: `weft-local`, which runs the cases;
//! the command line prints its reports.

mod diff;
mod evidence;
mod fixtures;
mod judge;
mod operators;
mod report;

pub use diff::DiffLine;
pub use evidence::Evidence;
pub use fixtures::{FixtureTable, StandIn};
pub use judge::judge;
pub use report::{CaseReport, CaseResult, Shortfall};
