//! A command in the form that `execve` takes, and its errors in the form that a person takes.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rustix::io::Errno;

use super::child::{Failure, Step};
use super::identity::Identity;
use super::names;
use crate::{Command, RunnerError};

/// Everything about a command that has to be in memory before its process starts.
pub(super) struct Strings {
    pub(super) program: CString,
    pub(super) arguments: Vec<CString>,
    pub(super) environment: Vec<CString>,
    pub(super) directory: CString,
}

impl Strings {
    /// `program` is what [`Command::argv`] was resolved to.
    pub(super) fn new(command: &Command, program: PathBuf, engine: &Identity) -> Result<Self, RunnerError> {
        let arguments = command.argv.iter().map(|argument| c_string(argument.as_bytes().to_vec()));
        Ok(Self {
            program: c_string(program.into_os_string().into_vec())?,
            arguments: arguments.collect::<Result<_, _>>()?,
            environment: environment(command, engine)?,
            directory: c_string(command.cwd.as_os_str().as_bytes().to_vec())?,
        })
    }

    /// Says what a failure means for the person who wrote the command.
    pub(super) fn explain(&self, command: &Command, failure: Failure) -> RunnerError {
        let Failure { step, source } = failure;
        let program = command.argv.first().cloned().unwrap_or_default();
        let errno = source.raw_os_error().map(Errno::from_raw_os_error);
        match (step, errno) {
            (Step::Directory, _) => RunnerError::WorkingDirectory { cwd: command.cwd.clone(), source },
            (_, Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE)) => {
                RunnerError::NoResources { program, source }
            }
            (Step::Execute, Some(Errno::NOENT | Errno::NOTDIR)) => RunnerError::NoSuchFile { program },
            (Step::Execute, Some(Errno::ACCESS | Errno::PERM)) => RunnerError::PermissionDenied { program },
            (Step::Execute, Some(Errno::NOEXEC)) => RunnerError::NotExecutable { program },
            (Step::Execute, Some(Errno::TOOBIG)) => {
                let sizes = self.arguments.iter().chain(&self.environment).map(|text| text.count_bytes() + 1);
                let (total, longest) = sizes.fold((0, 0), |(sum, max), size| (sum + size, size.max(max)));
                RunnerError::ArgumentsTooLong { program, total, longest }
            }
            (Step::Start | Step::Join | Step::Streams | Step::Execute, _) => {
                RunnerError::System { action: format!("start `{program}`"), source }
            }
        }
    }
}

/// The engine's own variables, those of the command over them, and ours last: a task cannot take its mark off.
fn environment(command: &Command, engine: &Identity) -> Result<Vec<CString>, RunnerError> {
    let mut variables: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    variables.extend(command.env.iter().map(|(name, value)| (name.into(), value.into())));
    variables.insert(names::TASK_VARIABLE.into(), command.marker.clone().into());
    variables.insert(names::ENGINE_VARIABLE.into(), engine.to_string().into());
    let joined = variables.into_iter().map(|(name, value)| {
        let mut entry = name.into_vec();
        entry.push(b'=');
        entry.extend(value.into_vec());
        c_string(entry)
    });
    joined.collect()
}

fn c_string(bytes: Vec<u8>) -> Result<CString, RunnerError> {
    CString::new(bytes).map_err(|error| {
        RunnerError::Invalid(format!(
            "`{}` contains a NUL character",
            String::from_utf8_lossy(&error.into_vec()).escape_debug()
        ))
    })
}
