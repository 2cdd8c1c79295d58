//! Checks of a flow as a whole, and of plugins' properties against what the plugins say of them.

mod cron;
mod dag;
mod expressions;
mod ids;
mod outline;
mod properties;
mod references;
mod schema;
pub(crate) mod shapes;
mod time_zone;
mod words;

pub(crate) use cron::{check_cron, never_due};
pub(crate) use dag::{DagChild, cycle_message, find_cycle};
pub(crate) use expressions::{Scope, Use};
pub(crate) use ids::{Ids, duplicate};
pub(crate) use outline::{Found, GroupIndex, Order, Outline, Stage, TaskIndex};
pub(crate) use references::{AT_END, Names, check_references, roots};
pub(crate) use schema::Schemas;
pub(crate) use time_zone::is_time_zone;
pub use words::property_problem;
