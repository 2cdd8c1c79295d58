//! Servers that keep running between two commands: started in sessions of their own, known by their process ids.

use std::{
    fs::{self, File},
    net::TcpStream,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// How long a server may take to answer after its start.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end after it was asked to.
const END: Duration = Duration::from_secs(10);

/// Starts `command` as the leader of a process group, with its output in `folder/NAME.log` and its id in
/// `folder/NAME.pid`.
pub fn start(folder: &Path, name: &str, command: &mut Command) -> Result<()> {
    let log = File::create(folder.join(name).with_extension("log"))?;
    let child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start `{}`", command.get_program().display()))?;
    fs::write(folder.join(name).with_extension("pid"), child.id().to_string())?;
    Ok(())
}

/// Whether the server `name` that was started in `folder` still runs.
pub fn runs(folder: &Path, name: &str) -> bool {
    let Some(pid) = pid(folder, name) else { return false };
    // A process id may belong to somebody else by now: the program's own name is asked for.
    let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    command.trim() == name
}

/// Ends the server `name` that was started in `folder`, with whatever it has started.
pub fn stop(folder: &Path, name: &str) -> Result<()> {
    if let (true, Some(pid)) = (runs(folder, name), pid(folder, name)) {
        // SAFETY: sends a signal to a process group that `start` made; touches no memory.
        unsafe { libc::kill(-pid, libc::SIGTERM) };
        let begin = Instant::now();
        while runs(folder, name) && begin.elapsed() < END {
            thread::sleep(Duration::from_millis(20));
        }
        // SAFETY: as above; what is gone already does not mind.
        unsafe { libc::kill(-pid, libc::SIGKILL) };
    }
    match fs::remove_file(folder.join(name).with_extension("pid")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Whether somebody listens on `port` of this machine.
pub fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Waits until the server `name` that was started in `folder` listens on `port` of this machine.
pub fn await_port(folder: &Path, name: &str, port: u16) -> Result<()> {
    let begin = Instant::now();
    while !listens(port) && begin.elapsed() < START && is_alive(folder, name) {
        thread::sleep(Duration::from_millis(20));
    }
    // Somebody else may listen there, and the server have ended because of that: it is given the time to.
    thread::sleep(Duration::from_millis(50));
    if !listens(port) || !is_alive(folder, name) {
        let log = fs::read_to_string(folder.join(name).with_extension("log")).unwrap_or_default();
        bail!("`{name}` does not listen on port {port}\n{}", log.trim());
    }
    Ok(())
}

/// Whether the process that was started has not ended. One that has is a zombie as long as this program runs.
fn is_alive(folder: &Path, name: &str) -> bool {
    let Some(pid) = pid(folder, name) else { return false };
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn pid(folder: &Path, name: &str) -> Option<libc::pid_t> {
    fs::read_to_string(folder.join(name).with_extension("pid")).ok()?.trim().parse().ok()
}
