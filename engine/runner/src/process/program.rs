//! Finds the program of a command, and checks what no system call would report in words.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::{Command, RunnerError};

/// What `execvp` searches where no `PATH` is set.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Refuses what cannot be passed to a process at all.
pub(super) fn validate(command: &Command) -> Result<(), RunnerError> {
    let invalid = |what: String| Err(RunnerError::Invalid(what));
    match command.argv.first() {
        None => return invalid("it names no program".to_owned()),
        Some(program) if program.is_empty() => return invalid("the name of its program is empty".to_owned()),
        Some(_) => {}
    }
    if let Some(at) = command.argv.iter().position(|argument| argument.contains('\0')) {
        return invalid(format!("argument {at} contains a NUL character"));
    }
    for (name, value) in &command.env {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            let name = name.escape_debug();
            return invalid(format!(
                "environment variable `{name}`: a name must not be empty or contain `=`, and nothing may contain NUL"
            ));
        }
    }
    if command.cwd.as_os_str().as_bytes().contains(&0) {
        return invalid("its working directory contains a NUL character".to_owned());
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    if !(1..=Command::MAX_MARKER).contains(&command.marker.len()) || !command.marker.bytes().all(allowed) {
        let marker = command.marker.escape_debug();
        return invalid(format!(
            "marker `{marker}`: expected 1 to {} ASCII letters, digits or `-_.:/`",
            Command::MAX_MARKER
        ));
    }
    Ok(())
}

/// The file to execute, relative to the command's working directory. One given with a `/` is left to the system.
pub(super) fn resolve(command: &Command) -> Result<PathBuf, RunnerError> {
    let program = command.argv.first().map_or("", String::as_str);
    if program.contains('/') {
        return Ok(PathBuf::from(program));
    }
    let given = command.env.iter().rev().find(|(name, _)| name == "PATH").map(|(_, value)| OsStr::new(value));
    let path = given.or_else(|| command.base.get("PATH")).unwrap_or(OsStr::new(DEFAULT_PATH));
    search(program, path, &command.cwd)
}

fn search(program: &str, path: &OsStr, cwd: &Path) -> Result<PathBuf, RunnerError> {
    let mut not_executable = None;
    for directory in std::env::split_paths(path) {
        // An empty or relative entry means the directory in which the program will run.
        let candidate = directory.join(program);
        let file = cwd.join(&candidate);
        if !file.is_file() {
            continue;
        }
        if access(&file, Access::EXEC_OK).is_ok() {
            return Ok(candidate);
        }
        not_executable.get_or_insert(candidate);
    }
    Err(match not_executable {
        Some(file) => RunnerError::PermissionDenied { program: file.display().to_string() },
        None => {
            RunnerError::NotFound { program: program.to_owned(), path: path.to_string_lossy().into_owned() }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(argv: &[&str], env: &[(&str, &str)], marker: &str) -> Command {
        let argv = argv.iter().map(|&argument| argument.to_owned()).collect();
        let mut command = Command::new(argv, "/", marker);
        command.env = env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        command
    }

    #[test]
    fn invalid_commands_say_why() {
        let long = "x".repeat(Command::MAX_MARKER + 1);
        for (command, expected) in [
            (command(&[], &[], "m"), "it names no program"),
            (command(&[""], &[], "m"), "the name of its program is empty"),
            (command(&["sh", "-c", "a\0b"], &[], "m"), "argument 2 contains a NUL"),
            (command(&["sh"], &[("", "x")], "m"), "environment variable ``"),
            (command(&["sh"], &[("A=B", "x")], "m"), "environment variable `A=B`"),
            (command(&["sh"], &[("A", "\0")], "m"), "environment variable `A`"),
            (command(&["sh"], &[], ""), "marker ``"),
            (command(&["sh"], &[], "a b"), "marker `a b`"),
            (command(&["sh"], &[], &long), "expected 1 to 180"),
        ] {
            let error = validate(&command).unwrap_err();
            assert_eq!(error.code(), "process.invalid-command");
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert!(validate(&command(&["sh"], &[("A", "")], "4Fk_2-x/a.b:c/1")).is_ok());
    }

    #[test]
    fn the_path_of_the_command_is_searched() {
        let directory = tempfile::tempdir().unwrap();
        let tools = directory.path().join("tools");
        std::fs::create_dir(&tools).unwrap();
        std::fs::write(tools.join("plain"), "").unwrap();
        std::os::unix::fs::symlink("/bin/sh", tools.join("shell")).unwrap();
        let absolute = format!("/nowhere::{}", tools.display());
        let shell = format!("{}/shell", tools.display());
        for (program, path, expected) in [
            ("shell", absolute.as_str(), Ok(shell.as_str())),
            ("shell", "/nowhere:tools", Ok("tools/shell")),
            ("tools", "", Err("process.not-found")),
            ("plain", "tools", Err("process.permission-denied")),
            ("weft-no-such-program", "/bin:/usr/bin", Err("process.not-found")),
            ("./x", "", Ok("./x")),
        ] {
            let mut command = command(&[program], &[("PATH", "/ignored"), ("PATH", path)], "m");
            command.cwd = directory.path().to_owned();
            let found = resolve(&command).map_err(|error| error.code());
            assert_eq!(found, expected.map(PathBuf::from), "{program} in {path:?}");
        }
    }
}
