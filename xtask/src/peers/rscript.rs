//! R's interpreter for scripts, as the machine's distribution has it.

use std::{path::Path, process::Command};

use anyhow::{Result, bail};

use super::{Peer, Variable};
use crate::exec::{self, find, run};

/// `WEFT_PEER_RSCRIPT` is the interpreter.
pub struct Rscript;

impl Peer for Rscript {
    fn name(&self) -> &'static str {
        "rscript"
    }

    fn is_ready(&self, _folder: &Path) -> bool {
        find("Rscript").is_some()
    }

    /// R is not to be had in a folder of its own, so this installs it on the machine; only where somebody said, by
    /// `WEFT_TEST_REQUIRE_ALL` or `CI`, that the machine is there for the tests.
    fn bring_up(&self, _folder: &Path) -> Result<()> {
        if !exec::require_all() {
            bail!(
                "`Rscript` is not installed\nhint: install R, or set `WEFT_TEST_REQUIRE_ALL=1` to have that done on Debian"
            );
        }
        if !exec::is_root() || find("apt-get").is_none() {
            bail!("`Rscript` is not installed\nhint: install R (Debian: `apt-get install r-base-core`)");
        }
        let apt = || {
            let mut apt = Command::new("apt-get");
            apt.arg("-qq").env("DEBIAN_FRONTEND", "noninteractive");
            apt
        };
        run(apt().arg("update"))?;
        run(apt().args(["install", "--yes", "--no-install-recommends", "r-base-core"]))
    }

    fn env(&self, _folder: &Path) -> Vec<Variable> {
        find("Rscript").map(|path| ("WEFT_PEER_RSCRIPT", path.into())).into_iter().collect()
    }
}
