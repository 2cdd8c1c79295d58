//! Python with the package `kestra`, which scripts use to hand outputs and metrics to the engine.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::{Peer, Variable, empty};
use crate::exec::{capture, run};

/// The version of `kestra` on PyPI.
const VERSION: &str = "2.0.0";

/// `WEFT_PEER_PYTHON` is the interpreter of a virtual environment that has the package.
pub struct Python;

impl Peer for Python {
    fn name(&self) -> &'static str {
        "python"
    }

    fn is_ready(&self, folder: &Path) -> bool {
        let script = "import importlib.metadata; print(importlib.metadata.version('kestra'))";
        capture(Command::new(interpreter(folder)).args(["-c", script]))
            .is_ok_and(|version| version.trim() == VERSION)
    }

    fn bring_up(&self, folder: &Path) -> Result<()> {
        empty(folder)?;
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        run(Command::new(interpreter(folder))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .arg(format!("kestra=={VERSION}")))
    }

    fn env(&self, folder: &Path) -> Vec<Variable> {
        vec![("WEFT_PEER_PYTHON", interpreter(folder).into())]
    }
}

fn interpreter(folder: &Path) -> PathBuf {
    folder.join("bin/python3")
}
