//! A container daemon with images to test against: that of the machine, or Docker Engine from Debian's packages.
//!
//! The images have names of their own (`weft-test/...`), so that nothing of a developer's is replaced, and are built here:
//! no registry is needed. They are Debian with what a script task needs, a busybox, and one without a shell.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{Peer, Variable, daemon, debian};
use crate::exec::{self, capture, find, run, say};

/// `WEFT_PEER_DOCKER` is the daemon's socket.
pub struct Docker;

const SOCKET: &str = "/var/run/docker.sock";

/// Part of every image's tag: raise it when something about the images changes.
const VERSION: &str = "1";

/// How long a daemon may take to answer after its start.
const PATIENCE: Duration = Duration::from_secs(60);

/// The images, in the order of their building.
const IMAGES: [&Image; 6] = [&BUSYBOX, &NOSHELL, &DEBIAN, &PYTHON, &NODE, &R];

/// One image.
pub struct Image {
    name: &'static str,
    /// The Dockerfile; none for the one that is imported.
    dockerfile: Option<&'static str>,
    /// Puts what the Dockerfile copies into its folder.
    prepare: fn(&Path) -> Result<()>,
}

/// A busybox with a shell: the smallest image that a script task needs.
pub const BUSYBOX: Image = Image {
    name: "busybox",
    dockerfile: Some(
        "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nCMD [\"sh\"]\n",
    ),
    prepare: busybox,
};

const NOSHELL: Image =
    Image { name: "noshell", dockerfile: Some("FROM scratch\nCOPY busybox /busybox\n"), prepare: busybox };

const DEBIAN: Image = Image { name: "debian", dockerfile: None, prepare: nothing };

const PYTHON: Image = Image {
    name: "python",
    dockerfile: Some(
        "FROM weft-test/debian:1\nRUN apt-get update -q && apt-get install -yq --no-install-recommends python3 python3-pip \
         && rm -rf /var/lib/apt/lists/* /usr/lib/python3*/EXTERNALLY-MANAGED && ln -s python3 /usr/bin/python\n\
         ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore\n",
    ),
    prepare: nothing,
};

const NODE: Image = Image {
    name: "node",
    dockerfile: Some(
        "FROM weft-test/debian:1\nCOPY lib/ /usr/local/lib/\nCOPY node /usr/local/bin/node\n\
         COPY npm /usr/local/lib/node_modules/npm\n\
         RUN ldconfig && ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm\n",
    ),
    prepare: node,
};

const R: Image = Image {
    name: "r",
    dockerfile: Some(
        "FROM weft-test/debian:1\nRUN apt-get update -q && apt-get install -yq --no-install-recommends r-base-core \
         && rm -rf /var/lib/apt/lists/*\n",
    ),
    prepare: nothing,
};

impl Image {
    /// Its name, with the tag.
    pub fn tag(&self) -> String {
        format!("weft-test/{}:{VERSION}", self.name)
    }
}

impl Peer for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn is_ready(&self, _folder: &Path) -> bool {
        let mut inspect = docker();
        inspect.args(["image", "inspect"]).args(IMAGES.map(Image::tag));
        find("docker").is_some() && answers() && capture(&mut inspect).is_ok()
    }

    fn bring_up(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        provide(folder)?;
        podman();
        for image in IMAGES {
            if capture(docker().args(["image", "inspect", &image.tag()])).is_err() {
                build(image, folder).with_context(|| format!("cannot build the image {}", image.tag()))?;
            }
        }
        Ok(())
    }

    /// Ends the daemon only if `bring_up` has started it.
    fn bring_down(&self, folder: &Path) -> Result<()> {
        daemon::stop(folder, "dockerd")
    }

    fn env(&self, _folder: &Path) -> Vec<Variable> {
        vec![("WEFT_PEER_DOCKER", SOCKET.into())]
    }
}

/// The `docker` command, with the builder that every version has.
pub fn docker() -> Command {
    let mut docker = Command::new("docker");
    docker.env("DOCKER_BUILDKIT", "0").env("DOCKER_HOST", format!("unix://{SOCKET}"));
    docker
}

fn answers() -> bool {
    Path::new(SOCKET).exists()
        && capture(docker().args(["version", "--format", "{{.Server.Version}}"])).is_ok()
}

/// Makes sure that a daemon answers.
fn provide(folder: &Path) -> Result<()> {
    if find("docker").is_some() && answers() {
        return Ok(());
    }
    if !exec::is_root() {
        bail!(
            "no container daemon answers at {SOCKET}\nhint: start Docker, and join its group: `usermod -aG docker USER`"
        );
    }
    debian::provide(&["dockerd", "iptables"], &["docker.io", "iptables"])?;
    say("starting dockerd");
    daemon::start(folder, "dockerd", &mut Command::new("dockerd"))?;
    let begin = Instant::now();
    while !answers() {
        if begin.elapsed() > PATIENCE {
            bail!("dockerd does not answer after its start; see {}", folder.join("dockerd.log").display());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// podman, for one test, which skips itself where podman cannot be had or cannot start a container.
fn podman() {
    if let Err(error) = debian::provide(&["podman"], &["podman"]) {
        say(format!("podman: not tried: {error:#}"));
    }
}

fn build(image: &Image, folder: &Path) -> Result<()> {
    let Some(dockerfile) = image.dockerfile else { return debian(folder) };
    let context = tempfile::tempdir()?;
    fs::write(context.path().join("Dockerfile"), dockerfile)?;
    (image.prepare)(context.path())?;
    run(docker().args(["build", "--quiet", "--tag", &image.tag()]).arg(context.path()))
}

/// The base: a small Debian of this machine's mirror, made once and kept.
fn debian(folder: &Path) -> Result<()> {
    let archive = folder.join("debian.tar");
    if !archive.exists() {
        debian::provide(&["mmdebstrap"], &["mmdebstrap"])?;
        let part = folder.join("debian.tar.part");
        let quiet =
            ["doc", "man", "locale"].map(|name| format!("--dpkgopt=path-exclude=/usr/share/{name}/*"));
        run(Command::new("mmdebstrap")
            .args([
                "--format=tar",
                "--variant=essential",
                "--include=apt,ca-certificates,debian-archive-keyring",
            ])
            .args(quiet)
            .args([&codename()?])
            .arg(&part)
            .args(mirror()?))?;
        fs::rename(&part, &archive)?;
    }
    // What the machine trusts: it may reach package registries through a proxy with an authority of its own.
    let certificates = "/etc/ssl/certs/ca-certificates.crt";
    run(docker()
        .args(["import", "--change", "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])
        .arg(&archive)
        .arg("weft-test/debian-plain:1"))?;
    let context = tempfile::tempdir()?;
    fs::copy(certificates, context.path().join("ca.crt"))
        .with_context(|| format!("cannot copy {certificates}"))?;
    fs::write(
        context.path().join("Dockerfile"),
        format!(
            "FROM weft-test/debian-plain:1\nCOPY ca.crt {certificates}\n\
             ENV PIP_CERT={certificates} NODE_EXTRA_CA_CERTS={certificates} SSL_CERT_FILE={certificates} \
             REQUESTS_CA_BUNDLE={certificates}\nCMD [\"bash\"]\n"
        ),
    )?;
    run(docker().args(["build", "--quiet", "--tag", &DEBIAN.tag()]).arg(context.path()))
}

/// `bookworm`.
fn codename() -> Result<String> {
    let release = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    codename.map(str::to_owned).context("expected `VERSION_CODENAME` in /etc/os-release: is this Debian?")
}

/// The machine's own mirror, if apt names one.
fn mirror() -> Result<Option<String>> {
    let targets = capture(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
    ]))?;
    Ok(targets.lines().find(|line| line.ends_with("/debian/")).map(str::to_owned))
}

fn nothing(_: &Path) -> Result<()> {
    Ok(())
}

fn busybox(context: &Path) -> Result<()> {
    let is_static = |path: &PathBuf| capture(Command::new("ldd").arg(path)).is_err();
    if !find("busybox").is_some_and(|path| is_static(&path)) {
        debian::install(&["busybox-static"]).context("there is no static `busybox`")?;
    }
    let path = find("busybox").context("expected `busybox` in PATH")?;
    fs::copy(&path, context.join("busybox")).with_context(|| format!("cannot copy {}", path.display()))?;
    Ok(())
}

/// This machine's Node.js, with the libraries that a small Debian lacks.
fn node(context: &Path) -> Result<()> {
    let node = find("node").context("expected `node` in PATH")?.canonicalize()?;
    let modules = capture(Command::new("npm").args(["root", "--global"]))?;
    fs::copy(&node, context.join("node"))?;
    run(Command::new("cp").arg("-r").arg(Path::new(modules.trim()).join("npm")).arg(context.join("npm")))?;
    fs::create_dir(context.join("lib"))?;
    let libraries = capture(Command::new("ldd").arg(&node))?;
    for library in libraries.lines().filter_map(|line| line.split_whitespace().nth(2)) {
        let name = Path::new(library).file_name().unwrap_or_default().to_string_lossy().into_owned();
        if library.starts_with('/')
            && !["libc.", "libm.", "libdl.", "libpthread."].iter().any(|known| name.starts_with(known))
        {
            run(Command::new("cp").arg("-L").arg(library).arg(context.join("lib")))?;
        }
    }
    Ok(())
}
