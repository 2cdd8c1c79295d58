//! What must hold of a data directory whatever has happened to the engines that used it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::finish;

/// States in which an execution may stay.
const ENDS: [&str; 8] =
    ["SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "RETRIED", "SKIPPED", "PAUSED"];

/// Starts an engine on a data directory, with room, and looks at everything in it: each execution has an end, nothing is
/// marked as running, and all that is kept can be read. Returns `flow STATE` of each execution, in order.
#[track_caller]
pub fn audit(weft: impl Fn() -> Command, data: &Path, what: &str) -> Vec<String> {
    let listed = finish(weft().args(["executions", "list", "--json"]));
    assert_eq!((listed.status, listed.stderr.as_str()), (0, ""), "{what}");
    let executions: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap();
    for execution in &executions {
        let (id, state) = (execution["id"].as_str().unwrap(), execution["state"].as_str().unwrap());
        assert!(ENDS.contains(&state), "{what}: {execution:#}");
        assert!(execution.get("interrupted").is_none(), "{what}: {execution:#}");
        let shown = finish(weft().args(["executions", "show", id, "--json"]));
        assert_eq!(shown.status, 0, "{what}: {shown:?}");
        let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
        assert_eq!(shown["state"]["current"], state, "{what}");
        for run in shown["taskRunList"].as_array().into_iter().flatten() {
            let state = run["state"]["current"].as_str().unwrap();
            assert!(ENDS.contains(&state), "{what}: {run:#}");
        }
        let logs = finish(weft().args(["executions", "logs", id, "--json"]));
        assert_eq!(logs.status, 0, "{what}: {logs:?}");
        for line in logs.stdout.lines() {
            serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{what}: {error}: {line}"));
        }
    }
    let text = finish(weft().args(["executions", "list"]));
    assert!(!text.stdout.contains("engine gone"), "{what}: {}", text.stdout);
    // Nothing is left of those that never were.
    assert_eq!(names(&data.join("running")), [""; 0], "{what}");
    let kept = names(&data.join("executions"));
    let kept = kept.iter().filter(|name| !name.contains('.')).count();
    assert_eq!(kept, executions.len(), "{what}: a directory that is no execution");
    let storage = data.join("storage");
    if storage.exists() {
        read_all(&storage, what);
    }
    let mut ends: Vec<String> = executions
        .iter()
        .map(|one| format!("{} {}", one["flowId"].as_str().unwrap(), one["state"].as_str().unwrap()))
        .collect();
    ends.sort_unstable();
    ends
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn read_all(directory: &Path, what: &str) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, what);
        } else {
            std::fs::read(&path).unwrap_or_else(|error| panic!("{what}: {}: {error}", path.display()));
        }
    }
}
