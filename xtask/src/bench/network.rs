//! The cases over a network: a download against curl, a clone against `git clone`. The servers are on this machine.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{measure::compare, report, subject::Subject};
use crate::{
    exec::{capture, find, say},
    peers,
};

/// Bytes of the file of [`download`].
const FILE: u64 = 1 << 30;

/// A file of 1 GiB into internal storage, against curl into a file.
pub fn download(binary: &Path, rounds: u32) -> Result<()> {
    if find("curl").is_none() {
        say("skipped: the case `download`, as there is no `curl` to compare with");
        return Ok(());
    }
    let url = serve()?;
    let flow = format!(
        "id: bench\nnamespace: weft.bench\ntasks:\n  - id: get\n    type: io.kestra.plugin.core.http.Download\n    uri: {url}\n"
    );
    let mut subject = Subject::new(binary, &flow)?;
    // A gibibyte stays behind each time: a home of its own for each round, removed before the next.
    let folder = tempfile::Builder::new().prefix("weft-bench-").tempdir()?;
    let (weft, curl) = compare(
        rounds.min(5),
        || subject.emptied_run(),
        || {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--fail", &url, "--output"]).arg(folder.path().join("file.bin"));
            curl
        },
    )?;
    report::comparison("download: 1 GiB over HTTP", ("weft run", &weft), ("curl", &curl));
    let rate = FILE as f64 / 1e6 / weft.wall().median.as_secs_f64();
    report::result("MB a second", &format!("{rate:.0}"), "none of its own");
    report::result("peak RSS", &report::bytes(weft.peak_rss().max), "flat: the file is not held");
    Ok(())
}

/// A repository of 200 MB, with its whole history and without, against `git clone`.
pub fn clone(binary: &Path, rounds: u32) -> Result<()> {
    let Some(places) = peers::variable("WEFT_PEER_GIT")? else {
        say("skipped: the case `clone`, as the Git servers are not up (`cargo xtask peers up`)");
        return Ok(());
    };
    let places: Value = serde_json::from_str(&fs::read_to_string(places)?)?;
    let place =
        |name: &str| places[name].as_str().with_context(|| format!("the Git servers have no `{name}`"));
    let repository = PathBuf::from(place("repositories")?).join("bench.git");
    if !repository.exists() {
        say("making a repository of 200 MB");
        make_repository(&repository)?;
    }
    let url = format!("{}/pub/bench.git", place("http")?);
    for (title, depth) in [("with its history", 0), ("its last commit", 1)] {
        let flow = format!(
            "id: bench\nnamespace: weft.bench\ntasks:\n  - id: clone\n    type: io.kestra.plugin.git.Clone\n    url: {url}\n    depth: {depth}\n"
        );
        let subject = Subject::new(binary, &flow)?;
        let script = match depth {
            0 => format!("rm -rf clone && git clone --quiet {url} clone"),
            _ => format!("rm -rf clone && git clone --quiet --depth {depth} {url} clone"),
        };
        let (weft, git) = compare(rounds.min(5), || subject.run(), || subject.shell(&script))?;
        report::comparison(
            &format!("clone: 200 MB over HTTP, {title}"),
            ("weft run", &weft),
            ("git clone", &git),
        );
        let ratio = weft.wall().median.as_secs_f64() / git.wall().median.as_secs_f64();
        report::result("time against `git clone`", &format!("{ratio:.2}"), "1.2 or less");
    }
    Ok(())
}

/// A server that answers every request with a file of [`FILE`] bytes, until this process ends.
fn serve() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/file.bin", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away has had enough.
            thread::spawn(move || answer(stream).ok());
        }
    });
    Ok(url)
}

fn answer(mut stream: TcpStream) -> Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new(stream.try_clone()?);
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {FILE}\r\n\r\n")?;
    let block = vec![b'x'; 1 << 20];
    for _ in 0..FILE >> 20 {
        stream.write_all(&block)?;
    }
    Ok(())
}

/// 100 commits, each of 2 MB that cannot be compressed in 20 files, and 5,000 small text files.
fn make_repository(target: &Path) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("weft-bench-").tempdir()?;
    let script = r#"
set -e
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=b GIT_AUTHOR_EMAIL=b@example.com GIT_COMMITTER_NAME=b GIT_COMMITTER_EMAIL=b@example.com
git init -q -b main .
# The one collection of garbage is the last line's: one that starts by itself would be in its way.
git config gc.auto 0
mkdir text data
i=0; while [ $i -lt 5000 ]; do seq $i $((i+200)) > text/$i.txt; i=$((i+1)); done
git add . && git commit -qm text
n=0; while [ $n -lt 100 ]; do
  f=0; while [ $f -lt 20 ]; do head -c 104858 /dev/urandom > data/$((n % 50))-$f.bin; f=$((f+1)); done
  seq $n $((n+500)) > text/$n.txt
  git add . && git commit -qm "commit $n"
  n=$((n+1))
done
git gc -q
"#;
    capture(Command::new("sh").current_dir(folder.path()).args(["-c", script]))?;
    let mut clone = Command::new("git");
    clone.args(["clone", "-q", "--bare"]).arg(folder.path()).arg(target);
    capture(&mut clone)?;
    if !target.join("HEAD").is_file() {
        bail!("expected a repository at {}", target.display());
    }
    Ok(())
}
