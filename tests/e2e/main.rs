//! End to end: every test drives the real binary in a home of its own and looks at what a user would see.
//!
//! Needs on the machine: sh, python3 and node. Tests that need more (the clients from PyPI and npm, R) look for it in
//! the directory `WEFT_PEERS`, which `cargo xtask peers up` fills, and say that they are skipped where it is missing;
//! with `WEFT_TEST_REQUIRE_ALL` set, missing parts are failures.

mod bad_input;
mod clients;
mod concurrency;
mod crash;
mod examples;
mod executions;
mod expr;
mod harness;
mod plugins;
mod run;
mod scripts;
