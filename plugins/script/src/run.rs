//! Runs a job and judges its end.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};
use weft_sdk::{Command, Context, Error, Exit, Level, Result};

use crate::job::Job;
use crate::runner::Runner;

/// What a script task puts out, besides its files.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outputs {
    /// The exit code: 0, for the task has not failed; put out after a failure too.
    exit_code: i32,
    /// The values that the script has put out with `::{"outputs": {...}}::`; null where it has put out none.
    #[schemars(with = "Option<Map<String, Value>>")]
    vars: Value,
}

/// Runs `job` to its end. Exit code and values are put out whether it fails or not.
pub fn run(job: Job, cx: &Context) -> Result<Outputs> {
    for name in &job.ignored {
        cx.log().warn(["the property `", name, "` has no effect"].concat());
    }
    let working_dir = cx.working_dir();
    // Hidden, so that globs of the script itself do not find it, and removed before outputs are collected.
    let name = job.file().map(|(_, file)| [".weft-", cx.task_run_id(), file.extension].concat());
    let path = name.as_ref().map(|name| [&working_dir, "/", name].concat());
    let mut command = Command::new(job.argv(path.as_deref())?);
    command.env = job.environment(&working_dir, cx.output_dir());
    if let (Some((text, _)), Some(name)) = (job.file(), &name) {
        std::fs::write(cx.path(name), text).map_err(|error| Error::from(error).context(name))?;
    }
    let ended = start_and_wait(command, job.runner, cx);
    if let Some(name) = &name {
        // A script may have removed its own file.
        let _ = std::fs::remove_file(cx.path(name));
    }
    let (exit, vars) = match ended {
        Ok(ended) => ended,
        Err(error) => {
            // A runner that knows better why a program has failed still tells its exit code.
            if let Some(code) = error.facts().and_then(|facts| facts["exitCode"].as_i64()) {
                cx.output("exitCode", code)?;
            }
            return Err(error);
        }
    };
    let exit_code = exit_code(&exit);
    if let Err(error) = judge(&exit) {
        cx.output("exitCode", exit_code)?;
        cx.output("vars", &vars)?;
        return Err(error);
    }
    if job.warning_on_stderr && exit.stderr_lines > 0 {
        let lines = if exit.stderr_lines == 1 { "line was" } else { "lines were" };
        cx.warn(format!("{} {lines} written to standard error", exit.stderr_lines));
    }
    Ok(Outputs { exit_code, vars })
}

fn start_and_wait(mut command: Command, runner: Runner, cx: &Context) -> Result<(Exit, Value)> {
    let child = match runner {
        Runner::Process => cx.process().spawn(&command.levels(Level::Info, Level::Warn))?,
        Runner::Docker { image, settings } => {
            command.options = settings;
            cx.container().run(&image, &command.levels(Level::Info, Level::Warn))?
        }
    };
    Ok((child.wait()?, child.outputs()?))
}

/// As a shell would report it: a signal is 128 and its number.
fn exit_code(exit: &Exit) -> i32 {
    exit.signal.map_or(exit.code, |signal| 128 + signal)
}

fn judge(exit: &Exit) -> Result<()> {
    let (code, message) = if exit.timed_out {
        ("task.timeout", "the command did not end within the task's `timeout` and was stopped".to_owned())
    } else if let Some(signal) = exit.signal {
        ("process.exit-code", format!("command was ended by signal {}", signal_name(signal)))
    } else if exit.code != 0 {
        ("process.exit-code", format!("command failed with exit code {}{}", exit.code, hint(exit.code)))
    } else {
        return Ok(());
    };
    Err(Error::new(code, message).detail(&json!({"exitCode": exit_code(exit), "signal": exit.signal})))
}

fn hint(code: i32) -> String {
    match code {
        126 => "\nhint: a command was found but may not be executed".to_owned(),
        127 => "\nhint: a command was not found; the log names it".to_owned(),
        129..=159 => format!(
            "\nhint: that is 128 + {0}: a command was ended by signal {1}",
            code - 128,
            signal_name(code - 128)
        ),
        _ => String::new(),
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => return signal.to_string(),
    };
    format!("{signal} ({name})")
}
