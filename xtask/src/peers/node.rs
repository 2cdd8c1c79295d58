//! Node.js with the package `@kestra-io/libs`, which scripts use to hand outputs and metrics to the engine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};
use serde_json::Value;

use super::{Peer, Variable, empty};
use crate::exec::{find, run};

const PACKAGE: &str = "@kestra-io/libs";
const VERSION: &str = "2.0.0";

/// `WEFT_PEER_NODE_PATH` is a `node_modules` folder that has the package, as Node's own `NODE_PATH` takes it.
pub struct Node;

impl Peer for Node {
    fn name(&self) -> &'static str {
        "node"
    }

    fn is_ready(&self, folder: &Path) -> bool {
        find("node").is_some() && installed_version(folder).is_some_and(|version| version == VERSION)
    }

    fn bring_up(&self, folder: &Path) -> Result<()> {
        if find("node").is_none() || find("npm").is_none() {
            bail!("expected `node` and `npm` in PATH");
        }
        empty(folder)?;
        // Makes this the project's root for npm, which otherwise looks for one in the folders above.
        fs::write(folder.join("package.json"), "{\"private\": true}\n")?;
        run(Command::new("npm")
            .current_dir(folder)
            .args(["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"])
            .arg(format!("{PACKAGE}@{VERSION}")))
    }

    fn env(&self, folder: &Path) -> Vec<Variable> {
        vec![("WEFT_PEER_NODE_PATH", modules(folder).into())]
    }
}

fn modules(folder: &Path) -> PathBuf {
    folder.join("node_modules")
}

fn installed_version(folder: &Path) -> Option<String> {
    let manifest = fs::read(modules(folder).join(PACKAGE).join("package.json")).ok()?;
    let manifest: Value = serde_json::from_slice(&manifest).ok()?;
    Some(manifest["version"].as_str()?.to_owned())
}
