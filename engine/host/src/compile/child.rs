//! The engine's side: starts the compiling process, and says what became of it.

use std::fs::File;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use crate::bounds::CompileBounds;
use crate::plugin::LoadError;

use super::not_started;
use super::program::{FAILED, REFUSED};

/// More than the process has to say.
const MAX_SAID: u64 = 16 << 10;

/// Has `wasm` compiled into `code`.
pub(super) async fn run(
    mut command: Command,
    wasm: Arc<[u8]>,
    code: File,
    bounds: &CompileBounds,
) -> Result<(), LoadError> {
    command.stdin(Stdio::piped()).stdout(code).stderr(Stdio::piped()).kill_on_drop(true);
    // What a terminal sends is for this process, which ends the other one if that is what it means.
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| not_started(&error))?;
    let ended = tokio::time::timeout(bounds.wall_clock, attend(&mut child, &wasm)).await;
    match ended {
        Ok(Ok((status, said))) => judge(status, &said, bounds),
        Ok(Err(error)) => Err(LoadError::Compiler(format!("compiling it failed: {error}"))),
        Err(_) => Err(LoadError::Interrupted(format!(
            "compiling it took longer than {:?}\nhint: try again when the machine has less to do",
            bounds.wall_clock
        ))),
    }
}

/// Hands the component over, and waits for the end.
async fn attend(child: &mut Child, wasm: &[u8]) -> io::Result<(ExitStatus, String)> {
    // Stays open until the end: closed, it says that this process is gone.
    let mut stdin = child.stdin.take();
    let stderr = child.stderr.take();
    let send = async {
        if let Some(stdin) = &mut stdin {
            // A process that ends before it has all says why.
            let _ = stdin.write_all(&(wasm.len() as u64).to_le_bytes()).await;
            let _ = stdin.write_all(wasm).await;
        }
    };
    let listen = async {
        let mut said = Vec::new();
        if let Some(stderr) = stderr {
            let _ = stderr.take(MAX_SAID).read_to_end(&mut said).await;
        }
        said
    };
    let ((), said) = tokio::join!(send, listen);
    let status = child.wait().await?;
    Ok((status, String::from_utf8_lossy(&said).trim().to_owned()))
}

fn judge(status: ExitStatus, said: &str, bounds: &CompileBounds) -> Result<(), LoadError> {
    match status.code() {
        Some(0) => return Ok(()),
        Some(code) if code == i32::from(REFUSED) => return Err(LoadError::NotAComponent(said.to_owned())),
        Some(code) if code == i32::from(FAILED) => {
            return Err(LoadError::Compiler(format!("compiling it failed: {said}")));
        }
        _ => {}
    }
    Err(match end(status, said) {
        End::Memory => LoadError::TooLarge(format!(
            "compiling it takes more than {} MiB of memory\nhint: build it smaller, with optimizations",
            bounds.memory >> 20
        )),
        End::Time => LoadError::TooLarge(format!(
            "compiling it takes more than {:?} of processor time\nhint: build it smaller, with optimizations",
            bounds.cpu
        )),
        End::Space => LoadError::TooLarge("its compiled code is larger than 2048 MiB".to_owned()),
        // Somebody else's doing, or the system's: the next attempt may go well.
        End::Killed => LoadError::Interrupted(format!("compiling it was interrupted ({status})")),
        End::Crash => LoadError::Crashed(format!("the compiler crashed on it ({status})")),
    })
}

enum End {
    Memory,
    Time,
    Space,
    Killed,
    Crash,
}

#[cfg(unix)]
fn end(status: ExitStatus, said: &str) -> End {
    use rustix::process::Signal;
    use std::os::unix::process::ExitStatusExt;

    let is = |signal: Signal| status.signal() == Some(signal.as_raw());
    if said.contains("memory allocation of") {
        End::Memory
    } else if is(Signal::XCPU) {
        End::Time
    } else if is(Signal::XFSZ) {
        End::Space
    } else if is(Signal::KILL) || is(Signal::TERM) || is(Signal::INT) || is(Signal::HUP) {
        End::Killed
    } else {
        End::Crash
    }
}

#[cfg(not(unix))]
fn end(_: ExitStatus, said: &str) -> End {
    if said.contains("memory allocation of") { End::Memory } else { End::Crash }
}
