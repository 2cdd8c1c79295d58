//! End to end: every test drives the real binary in a home of its own and looks at what a user would see.
//!
//! Needs on the machine: sh, python3 and node. What else a test needs (the clients from PyPI and npm, R) is made ready by
//! `cargo xtask test` and named in `WEFT_PEER_*` variables; where one is missing, the test says that it is skipped. With
//! `WEFT_TEST_REQUIRE_ALL` set, missing parts are failures.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that meets the unexpected ends there, and says why"
)]

mod audit;
mod bad_input;
mod budget;
mod clients;
mod concurrency;
mod configuration;
mod containers;
mod crash;
mod docs;
mod examples;
mod executions;
mod expr;
mod faults;
mod flow_tests;
mod git;
mod harness;
mod http;
mod mistakes;
mod mongodb;
mod namespaces;
mod odd_files;
mod planted;
mod plugins;
mod rights;
mod run;
mod s3;
mod scripts;
mod secret_inputs;
mod secrets;
mod terminal;
mod triggers;
