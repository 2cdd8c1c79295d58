//! R's interpreter for scripts, as the machine's distribution has it.

use std::path::Path;

use anyhow::Result;

use super::{Peer, Variable, debian};
use crate::exec::find;

/// `WEFT_PEER_RSCRIPT` is the interpreter.
pub struct Rscript;

impl Peer for Rscript {
    fn name(&self) -> &'static str {
        "rscript"
    }

    fn is_ready(&self, _folder: &Path) -> bool {
        find("Rscript").is_some()
    }

    /// R is not to be had in a folder of its own, so this installs it on the machine.
    fn bring_up(&self, _folder: &Path) -> Result<()> {
        debian::provide(&["Rscript"], &["r-base-core"])
    }

    fn env(&self, _folder: &Path) -> Vec<Variable> {
        find("Rscript").map(|path| ("WEFT_PEER_RSCRIPT", path.into())).into_iter().collect()
    }
}
