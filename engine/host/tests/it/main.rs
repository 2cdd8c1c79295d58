//! The host against real components: see `support::guests` for how they are built.

mod catalogue;
mod describe;
mod grants;
mod limits;
mod run;
mod support;
