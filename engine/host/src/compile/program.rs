//! The compiling process's side.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::bounds::CompileBounds;
use crate::engine::{Runtime, compiling_engine, engine_key};

use super::invalid;

/// The component is refused; stderr says why.
pub(super) const REFUSED: u8 = 1;
/// Something went wrong that says nothing about the component; stderr says what.
pub(super) const FAILED: u8 = 2;
/// Who asked for the code is gone.
const ORPHANED: i32 = 3;

/// More than any code is: a file system is not to be filled.
#[cfg(unix)]
const MAX_CODE: u64 = 2 << 30;

/// What the process is told, as its last argument.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Settings {
    /// Whether the code is for an engine with a pool of instances.
    pooled: bool,
    /// Bytes of memory of a run: without a pool, the code depends on it.
    run_memory: usize,
    /// The engine that the code must fit: another version of this program makes other code.
    key: u64,
    /// Bytes.
    memory: u64,
    /// Seconds.
    cpu: u64,
}

impl Settings {
    pub(super) fn new(runtime: &Runtime, bounds: &CompileBounds) -> Self {
        Self {
            pooled: runtime.pooled,
            run_memory: runtime.run_memory,
            key: engine_key(&runtime.engine),
            memory: bounds.memory,
            cpu: bounds.cpu.as_secs().max(1),
        }
    }

    /// The program with an environment that tells it nothing.
    pub(super) fn command(&self, path: &Path, arguments: &[OsString]) -> Command {
        let mut command = Command::new(path);
        // It holds nothing but numbers and flags.
        command.args(arguments).arg(serde_json::to_string(self).unwrap_or_default()).env_clear();
        // Where the system finds the program's own libraries.
        command.envs(std::env::var_os("LD_LIBRARY_PATH").map(|path| ("LD_LIBRARY_PATH", path)));
        command
    }
}

/// What a program does that a [`Compiler`](crate::Compiler) names: reads a component from stdin and writes its code to
/// stdout, within the bounds that its last argument, `settings`, gives. Must be called before the process has done anything
/// else. It ends when whoever started it does.
pub fn compile_program(settings: &str) -> ExitCode {
    let (code, message) = match compile(settings) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Fault::Refused(message)) => (REFUSED, message),
        Err(Fault::Failed(message)) => (FAILED, message),
    };
    // With stderr closed there is nobody to tell.
    let _ = io::stderr().write_all(message.as_bytes());
    ExitCode::from(code)
}

enum Fault {
    Refused(String),
    Failed(String),
}

fn compile(settings: &str) -> Result<(), Fault> {
    let failed = |what: &str, error: &dyn std::fmt::Display| Fault::Failed(format!("{what}: {error}"));
    let settings: Settings =
        serde_json::from_str(settings).map_err(|error| failed("the settings cannot be read", &error))?;
    bound(&settings).map_err(|error| failed("the bounds cannot be set", &error))?;
    let wasm = receive().map_err(|error| failed("the component did not arrive", &error))?;
    let engine = compiling_engine(settings.run_memory, settings.pooled)
        .map_err(|error| failed("there is no compiler", &format_args!("{error:#}")))?;
    if engine_key(&engine) != settings.key {
        return Err(Fault::Failed("the program is of another version than the engine".to_owned()));
    }
    let code = engine.precompile_component(&wasm).map_err(|error| Fault::Refused(invalid(&error)))?;
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(&code)
        .and_then(|()| stdout.flush())
        .map_err(|error| failed("the code cannot be written", &error))
}

/// Reads the component: its length in eight bytes, then itself. After that nothing comes any more, and the end of the
/// stream means that the other side is gone.
fn receive() -> io::Result<Vec<u8>> {
    let mut stdin = io::stdin();
    let mut length = [0; 8];
    stdin.read_exact(&mut length)?;
    let length = usize::try_from(u64::from_le_bytes(length)).map_err(io::Error::other)?;
    let mut wasm = vec![0; length];
    stdin.read_exact(&mut wasm)?;
    std::thread::Builder::new().spawn(move || {
        // Nobody sends anything: this ends when the pipe is closed.
        let _ = stdin.read(&mut [0]);
        std::process::exit(ORPHANED);
    })?;
    Ok(wasm)
}

/// Bounds this process. Memory is counted as it is written to: the address space that an engine reserves is not.
#[cfg(unix)]
fn bound(settings: &Settings) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    for (resource, bound) in [
        (Resource::Data, settings.memory),
        (Resource::Cpu, settings.cpu),
        (Resource::Fsize, MAX_CODE),
        (Resource::Core, 0),
    ] {
        // The system's own bound may be tighter.
        let known = getrlimit(resource).maximum;
        let current = known.map_or(bound, |known| known.min(bound));
        // At the upper bound of processor time a process is killed without saying for what.
        let maximum = known.map_or(bound + 1, |known| known.min(bound + 1));
        setrlimit(resource, Rlimit { current: Some(current), maximum: Some(maximum) })?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn bound(_: &Settings) -> io::Result<()> {
    Ok(())
}
