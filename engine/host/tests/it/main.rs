//! The host against real components: see `support::guests` for how they are built.

#![allow(clippy::unwrap_used, reason = "these are tests, helpers included")]

mod catalogue;
mod compile;
mod describe;
mod files;
mod grants;
mod limits;
mod network;
mod run;
mod sizes;
mod support;
