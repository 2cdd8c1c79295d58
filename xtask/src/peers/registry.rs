//! A registry for images that wants to know who is asking, from Debian's packages.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};

use super::{Peer, Variable, daemon, debian, docker::docker};
use crate::exec::{capture, run};

/// `WEFT_PEER_REGISTRY` is a folder with the files `address`, `user` and `password`. The registry has the image
/// `team/busybox:1`.
pub struct Registry;

/// Daemons take every address of this machine's loopback for one that needs no TLS.
const ADDRESS: &str = "127.0.0.1:5077";
const PORT: u16 = 5077;
const PROGRAM: &str = "docker-registry";
const USER: &str = "alice";
const PASSWORD: &str = "s3cret";
/// `htpasswd -Bbn alice s3cret`.
const HTPASSWD: &str = "alice:$2y$05$QK7ATiAwoeOeasOVQU63HOZLoYNKYNl0nGORHeikLRy/djaE7z2uy\n";

impl Peer for Registry {
    fn name(&self) -> &'static str {
        "registry"
    }

    fn is_ready(&self, folder: &Path) -> bool {
        folder.join("pushed").exists() && daemon::runs(folder, PROGRAM)
    }

    fn bring_up(&self, folder: &Path) -> Result<()> {
        debian::provide(&[PROGRAM], &[PROGRAM])?;
        let data = folder.join("data");
        fs::create_dir_all(&data).with_context(|| format!("cannot create {}", data.display()))?;
        let file = |name: &str| folder.join(name);
        for (name, content) in
            [("address", ADDRESS), ("user", USER), ("password", PASSWORD), ("htpasswd", HTPASSWD)]
        {
            fs::write(file(name), content)?;
        }
        fs::write(
            file("config.yml"),
            format!(
                "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\nhttp: {{addr: {ADDRESS}}}\n\
                 auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
                data.display(),
                file("htpasswd").display()
            ),
        )?;
        daemon::stop(folder, PROGRAM)?;
        daemon::start(folder, PROGRAM, Command::new(PROGRAM).arg("serve").arg(file("config.yml")))?;
        daemon::await_port(folder, PROGRAM, PORT)?;
        push(folder)
    }

    fn bring_down(&self, folder: &Path) -> Result<()> {
        daemon::stop(folder, PROGRAM)
    }

    fn env(&self, folder: &Path) -> Vec<Variable> {
        vec![("WEFT_PEER_REGISTRY", folder.into())]
    }
}

/// Puts an image there, as somebody who may.
fn push(folder: &Path) -> Result<()> {
    let image = format!("{ADDRESS}/team/busybox:1");
    let config = tempfile::tempdir()?;
    let as_user = || {
        let mut docker = docker();
        docker.arg("--config").arg(config.path());
        docker
    };
    run(docker().args(["tag", "weft-test/busybox:1", &image]))?;
    // The password is no secret.
    capture(as_user().args(["login", "--username", USER, "--password", PASSWORD, ADDRESS]))?;
    run(as_user().args(["push", "--quiet", &image]))?;
    run(docker().args(["rmi", &image]))?;
    fs::write(folder.join("pushed"), "")?;
    Ok(())
}
