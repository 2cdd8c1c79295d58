//! What runs in a container that several tasks use one after the other.
//!
//! The container's first process is a shell, which runs the first task as its child and then waits on its standard input:
//! for the end of the engine's connection, so that it ends with the engine, whatever becomes of that. Each further task is
//! a process of its own in the container (`exec`), again with such a shell around it. The shell ends everything that its
//! task has left behind (`kill -KILL -1` is every process in the container but the first and the shell itself) and then
//! writes the exit code to both streams, see `sentinel`.

/// Around one task: `sh -c SCRIPT weft NONCE COUNT [NAME=VALUE...] PROGRAM [ARGUMENT...]`. COUNT variables are set for the
/// program only. A signal that ends the task must not end the shell.
const TASK: &str = r#"trap : HUP INT TERM
nonce=$1 count=$2
shift 2
if [ $# -gt "$count" ]; then
  (
    while [ "$count" -gt 0 ]; do
      export "$1"
      shift
      count=$((count - 1))
    done
    command -v "$1" > /dev/null 2>&1 || {
      printf '\n%s missing\n' "$nonce" >&2
      exit 127
    }
    exec "$@"
  ) < /dev/null
  code=$?
  kill -KILL -1 2> /dev/null
  printf '\n%s %s\n' "$nonce" "$code"
  printf '\n%s\n' "$nonce" >&2
fi"#;

/// Before [`TASK`] in the first process: in a namespace of processes that is not the container's own, `kill -KILL -1` would
/// be murder.
const FIRST: &str = "[ $$ = 1 ] || exit 125\n";

/// After [`TASK`] in the first process: waits for the engine to let go.
const WAIT: &str = "\nread -r _";

/// The shell that is expected in an image.
pub(super) const SHELL: &str = "/bin/sh";

/// The command line of a container's first process, around its first task.
pub(super) fn first(nonce: &str, env: &[(String, String)], argv: &[String]) -> Vec<String> {
    let mut line = command(&[FIRST, TASK, WAIT].concat(), nonce, env.len());
    line.extend(env.iter().map(|(name, value)| format!("{name}={value}")));
    line.extend(argv.iter().cloned());
    line
}

/// The command line of a further task.
pub(super) fn further(nonce: &str, argv: &[String]) -> Vec<String> {
    let mut line = command(TASK, nonce, 0);
    line.extend(argv.iter().cloned());
    line
}

/// The command line that sends a signal to everything in the container but its first process.
pub(super) fn signal(signal: i32) -> Vec<String> {
    [SHELL, "-c", &format!("kill -{signal} -1")].map(str::to_owned).to_vec()
}

fn command(script: &str, nonce: &str, count: usize) -> Vec<String> {
    [SHELL, "-c", script, "weft", nonce, &count.to_string()].map(str::to_owned).to_vec()
}

/// Whether a shell can set these variables: it cannot where a name is none for it.
pub(super) fn can_export(env: &[(String, String)]) -> bool {
    env.iter().all(|(name, _)| {
        let mut letters = name.bytes();
        letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
    })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn names_that_a_shell_takes() {
        for (name, expected) in
            [("A", true), ("_a1", true), ("1a", false), ("a.b", false), ("a-b", false), ("", false)]
        {
            assert_eq!(can_export(&[(name.to_owned(), String::new())]), expected, "{name}");
        }
    }

    /// Without the last kill, which would end the tests.
    fn run(env: &[(&str, &str)], argv: &[&str]) -> (String, String) {
        let env: Vec<_> = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let argv: Vec<_> = argv.iter().map(|word| (*word).to_owned()).collect();
        let mut line = first("N", &env, &argv);
        line[2] = line[2].replace(FIRST, "").replace("kill -KILL -1", ":");
        assert!(!line[2].contains("kill"));
        let output = Command::new(&line[0]).args(&line[1..]).stdin(Stdio::null()).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    #[test]
    fn tasks_have_their_variables_and_their_code() {
        for (env, argv, stdout, stderr) in [
            (&[][..], &["echo", "a b"][..], "a b\n\nN 0\n", "\nN\n"),
            (
                &[("A", "1 '\"$x\n2"), ("B", "")],
                &["sh", "-c", "echo \"$A|$B\"; exit 3"],
                "1 '\"$x\n2|\n\nN 3\n",
                "\nN\n",
            ),
            (&[], &["sh", "-c", "kill -TERM $$"], "\nN 143\n", "\nN\n"),
            (&[], &["no-such-program"], "\nN 127\n", "\nN missing\n\nN\n"),
            (&[], &["sh", "-c", "echo out; echo err >&2"], "out\n\nN 0\n", "err\n\nN\n"),
            (&[], &[], "", ""),
        ] {
            // What the shell itself says of a task that a signal has ended differs from shell to shell.
            let (out, err) = run(env, argv);
            assert_eq!(out, stdout, "{argv:?}");
            assert!(err.ends_with(stderr), "{argv:?}: {err}");
        }
    }
}
