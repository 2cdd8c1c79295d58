//! The crate from outside. One program, so that there is one to link.
#![allow(clippy::unwrap_used, reason = "in tests, helpers included, it is the assertion")]

mod journal;
mod kv;
mod logs;
mod records;
mod slots;
