//! Peers that are servers: started once, left running for all tests, ended by `peers down`.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpStream},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// How long a server may take to answer after its start.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end.
const END: Duration = Duration::from_secs(10);

/// Whether something listens on a port of this machine.
pub fn listens(port: u16) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

/// Starts a server that outlives this program; what it says goes to `log` in the folder, its number to `pid`.
pub fn start(command: &mut Command, folder: &Path, port: u16) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    if listens(port) {
        bail!("port {port} is taken by something else, so `{name}` cannot be started");
    }
    let log = File::create(folder.join("log")).context("cannot write the server's log")?;
    let mut child = command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // A Ctrl-C for this program is none for the server.
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot run `{name}`"))?;
    fs::write(folder.join("pid"), child.id().to_string())?;
    let begin = Instant::now();
    while !listens(port) {
        if let Some(status) = child.try_wait()? {
            bail!("`{name}` ended at once ({status}), see {}", folder.join("log").display());
        }
        if begin.elapsed() > START {
            bail!("`{name}` does not listen on port {port}, see {}", folder.join("log").display());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Ends the server that was started in the folder, if it runs.
pub fn stop(folder: &Path) -> Result<()> {
    let file = folder.join("pid");
    let Ok(pid) = fs::read_to_string(&file) else { return Ok(()) };
    let pid: libc::pid_t = pid.trim().parse().with_context(|| format!("{} is damaged", file.display()))?;
    // The number may be somebody else's by now: only a program of the same folder is ours.
    if ours(pid, folder) {
        for signal in [libc::SIGTERM, libc::SIGKILL] {
            // SAFETY: `kill` takes two integers and touches no memory.
            unsafe { libc::kill(pid, signal) };
            let begin = Instant::now();
            while ours(pid, folder) && begin.elapsed() < END {
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
    fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))
}

fn ours(pid: libc::pid_t, folder: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|directory| directory == folder)
}
