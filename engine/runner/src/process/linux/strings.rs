//! A command in the form that `execve` takes, and its errors in the form that a person takes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rustix::io::Errno;

use super::child::{Failure, Step};
use super::identity::Identity;
use super::names;
use crate::{Command, RunnerError};

/// Everything about a command that has to be in memory before its process starts.
pub(super) struct Strings<'c> {
    pub(super) program: CString,
    pub(super) arguments: Vec<CString>,
    pub(super) environment: Vec<Cow<'c, CStr>>,
    pub(super) directory: CString,
}

impl<'c> Strings<'c> {
    /// `program` is what [`Command::argv`] was resolved to.
    pub(super) fn new(
        command: &'c Command,
        program: PathBuf,
        engine: &Identity,
    ) -> Result<Self, RunnerError> {
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
                let arguments = self.arguments.iter().map(|text| text.count_bytes());
                let variables = self.environment.iter().map(|text| text.count_bytes());
                let sizes = arguments.chain(variables).map(|size| size + 1);
                let (total, longest) = sizes.fold((0, 0), |(sum, max), size| (sum + size, size.max(max)));
                RunnerError::ArgumentsTooLong { program, total, longest }
            }
            (Step::Start | Step::Join | Step::Streams | Step::Execute, _) => {
                RunnerError::System { action: format!("start `{program}`"), source }
            }
        }
    }
}

/// What it begins with, the variables of the command over that, and ours last: a task cannot take its mark off.
fn environment<'c>(command: &'c Command, engine: &Identity) -> Result<Vec<Cow<'c, CStr>>, RunnerError> {
    let engine = engine.to_string();
    let mut own: BTreeMap<&[u8], &[u8]> =
        command.env.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    own.insert(names::TASK_VARIABLE.as_bytes(), command.marker.as_bytes());
    own.insert(names::ENGINE_VARIABLE.as_bytes(), engine.as_bytes());
    let inherited = command.base.entries().iter().filter(|(name, _)| !own.contains_key(&**name));
    let mut variables: Vec<_> = inherited.map(|(_, entry)| Cow::Borrowed(&**entry)).collect();
    for (name, value) in own {
        variables.push(Cow::Owned(c_string([name, b"=", value].concat())?));
    }
    Ok(variables)
}

fn c_string(bytes: Vec<u8>) -> Result<CString, RunnerError> {
    CString::new(bytes).map_err(|error| {
        RunnerError::Invalid(format!(
            "`{}` contains a NUL character",
            String::from_utf8_lossy(&error.into_vec()).escape_debug()
        ))
    })
}
