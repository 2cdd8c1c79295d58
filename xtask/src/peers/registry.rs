//! A registry for images that wants to know who is asking, from Debian's packages.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{Peer, Variable, apt, docker::docker};
use crate::exec::{capture, find, run};

/// `WEFT_PEER_REGISTRY` is a folder with the files `address`, `user` and `password`. The registry has the image
/// `team/busybox:1`.
pub struct Registry;

/// Daemons take every address of this machine's loopback for one that needs no TLS.
const ADDRESS: &str = "127.0.0.1:5077";
const USER: &str = "alice";
const PASSWORD: &str = "s3cret";
/// `htpasswd -Bbn alice s3cret`.
const HTPASSWD: &str = "alice:$2y$05$QK7ATiAwoeOeasOVQU63HOZLoYNKYNl0nGORHeikLRy/djaE7z2uy\n";

const PATIENCE: Duration = Duration::from_secs(20);

impl Peer for Registry {
    fn name(&self) -> &'static str {
        "registry"
    }

    fn is_ready(&self, folder: &Path) -> bool {
        folder.join("pushed").exists() && listens()
    }

    fn bring_up(&self, folder: &Path) -> Result<()> {
        if find("docker-registry").is_none() {
            apt(&["docker-registry"], "the registry for images")?;
        }
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
        if !listens() {
            let log = fs::File::create(file("log"))?;
            run(Command::new("setsid")
                .args(["--fork", "sh", "-c", "echo $$ > \"$1\"; exec docker-registry serve \"$2\"", "sh"])
                .args([file("pid"), file("config.yml")])
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log))?;
            let begin = Instant::now();
            while !listens() {
                if begin.elapsed() > PATIENCE {
                    bail!("the registry does not listen after its start; see {}", file("log").display());
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        push(folder)
    }

    fn bring_down(&self, folder: &Path) -> Result<()> {
        let file = folder.join("pid");
        if let Ok(pid) = fs::read_to_string(&file) {
            super::end(pid.trim(), "docker-registry", PATIENCE)?;
            fs::remove_file(file)?;
        }
        Ok(())
    }

    fn env(&self, folder: &Path) -> Vec<Variable> {
        vec![("WEFT_PEER_REGISTRY", folder.into())]
    }
}

fn listens() -> bool {
    TcpStream::connect(ADDRESS).is_ok()
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
