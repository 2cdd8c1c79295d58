//! Where each kind of file lives in internal storage, as Kestra names it.

use weft_model::{child_id, slug};

use crate::uri::SCHEME;
use crate::{Result, StorageError, StorageUri};

/// File systems bound a name to 255 bytes; the rest is left for the id in front and for encoding.
const MAX_NAME: usize = 200;

/// Everything that belongs to one execution: `<namespace>/<flow>/executions/<execution>/...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionFiles {
    root: StorageUri,
}

impl ExecutionFiles {
    /// The place of an execution. Fails only for names that cannot be part of a path.
    pub fn new(namespace: &str, flow_id: &str, execution_id: &str) -> Result<Self> {
        let flow = slug(flow_id);
        let parts = namespace.split('.').chain([flow.as_str(), "executions", one_part(execution_id)?]);
        Ok(Self { root: StorageUri::from_segments(parts)? })
    }

    /// The prefix of all these files, for listing and deleting.
    pub fn prefix(&self) -> &StorageUri {
        &self.root
    }

    /// The file given for an input of type FILE.
    pub fn input(&self, input_id: &str, file_name: &str) -> Result<StorageUri> {
        let name = trimmed(one_part(file_name)?);
        self.root.join(&format!("inputs/{}/{name}", one_part(input_id)?))
    }

    /// The place of what a trigger stored for the execution that it started.
    pub fn trigger(&self, trigger_id: &str) -> Result<TaskRunFiles> {
        Ok(TaskRunFiles { root: self.root.join(&format!("trigger/{}", slug(trigger_id)))? })
    }

    /// The place of one task run.
    pub fn task_run(&self, task_id: &str, task_run_id: &str) -> Result<TaskRunFiles> {
        let root = self.root.join(&format!("tasks/{}/{}", slug(task_id), one_part(task_run_id)?))?;
        Ok(TaskRunFiles { root })
    }
}

/// Everything that one task run stored, `.../tasks/<task>/<task run>/...`, or one trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRunFiles {
    root: StorageUri,
}

impl TaskRunFiles {
    /// The prefix of all these files.
    pub fn prefix(&self) -> &StorageUri {
        &self.root
    }

    /// The object for a match of `outputFiles`: `<id derived from the path>-<file name>`. The same path gives the same
    /// object, so that another attempt replaces it; two files of one name in different folders do not meet.
    pub fn output_file(&self, relative: &str) -> Result<StorageUri> {
        let name = relative.rsplit('/').next().unwrap_or(relative);
        self.root.join(&format!("{}-{}", child_id("output-file", relative), trimmed(name)))
    }

    /// The object for a file of `outputDir`, or one that a plugin stored by name: it keeps its relative name.
    pub fn file(&self, relative: &str) -> Result<StorageUri> {
        self.root.join(relative)
    }
}

/// The prefix of a namespace's own files.
pub fn namespace_files(namespace: &str) -> Result<StorageUri> {
    StorageUri::from_segments(namespace.split('.').chain(["_files"]))
}

/// The scheme of addresses of namespace files.
const NAMESPACE_FILE: &str = "nsfile://";

/// What an [`address`] begins with.
pub const ADDRESS_SCHEMES: [&str; 2] = [SCHEME, NAMESPACE_FILE];

/// The object that `text` names, if it is an address and no plain text or path: `kestra:///...`, or, for a file of a
/// namespace, `nsfile:///path` (of `namespace`) or `nsfile://other.namespace/path`.
pub fn address(text: &str, namespace: &str) -> Option<Result<StorageUri>> {
    if StorageUri::is_uri(text) {
        return Some(StorageUri::parse(text));
    }
    let (authority, path) = text.strip_prefix(NAMESPACE_FILE)?.split_once('/')?;
    let namespace = if authority.is_empty() { namespace } else { authority };
    Some(namespace_files(namespace).and_then(|files| files.join(path)))
}

/// The addresses of stored files in text with the byte where each begins (compat.md §3.2, with Unicode letters as later
/// versions have them).
pub fn addresses(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let belongs = |c: char| c.is_alphanumeric() || "-%._+~#=/".contains(c);
    let mut seen = 0;
    std::iter::from_fn(move || {
        let next = |scheme: &&str| text[seen..].find(*scheme).map(|at| (seen + at, scheme.len()));
        let (start, scheme) = ADDRESS_SCHEMES.iter().filter_map(next).min()?;
        let path = start + scheme;
        seen = text[path..].find(|c| !belongs(c)).map_or(text.len(), |length| path + length);
        Some((start, &text[start..seen]))
    })
}

/// The archive of a `WorkingDirectory`'s cache, one for each loop value.
pub fn cache_archive(
    namespace: &str,
    flow_id: &str,
    task_id: &str,
    value: Option<&str>,
) -> Result<StorageUri> {
    let (flow, task) = (slug(flow_id), slug(task_id));
    let value = value.map(|value| child_id("cache", value));
    let parts = namespace.split('.').chain([flow.as_str(), task.as_str(), "cache"]);
    StorageUri::from_segments(parts.chain(value.as_deref()).chain(["cache.zip"]))
}

fn one_part(name: &str) -> Result<&str> {
    if name.contains('/') {
        let reason = "it is used as one part of a path and cannot contain `/`".to_owned();
        return Err(StorageError::InvalidName { name: name.to_owned(), reason });
    }
    Ok(name)
}

/// The end of an over-long file name: it is the extension that matters.
fn trimmed(name: &str) -> &str {
    let mut start = name.len().saturating_sub(MAX_NAME);
    while !name.is_char_boundary(start) {
        start += 1;
    }
    &name[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_kestra() {
        let execution = ExecutionFiles::new("company.team", "my_Flow", "EXEC").unwrap();
        let run = execution.task_run("My_task", "RUN").unwrap();
        for (uri, expected) in [
            (execution.input("file", "a b.yml").unwrap(), "executions/EXEC/inputs/file/a%20b.yml"),
            (
                execution.trigger("my_trigger").unwrap().file("x").unwrap(),
                "executions/EXEC/trigger/my-trigger/x",
            ),
            (run.file("sub/x.csv").unwrap(), "executions/EXEC/tasks/my-task/RUN/sub/x.csv"),
            (cache_archive("company.team", "my_Flow", "wd_1", None).unwrap(), "wd-1/cache/cache.zip"),
        ] {
            assert_eq!(uri.to_string(), format!("kestra:///company/team/my-flow/{expected}"));
        }
        assert_eq!(namespace_files("a.b").unwrap().to_string(), "kestra:///a/b/_files");
        let with_value = cache_archive("a", "f", "t", Some("v")).unwrap();
        assert!(with_value.path().starts_with("a/f/t/cache/"), "{with_value}");
        assert_ne!(with_value, cache_archive("a", "f", "t", Some("w")).unwrap());
    }

    #[test]
    fn addresses_are_told_from_text() {
        for (text, expected) in [
            ("kestra:///a/b", Some("kestra:///a/b")),
            ("nsfile:///scripts/a.sh", Some("kestra:///company/team/_files/scripts/a.sh")),
            ("nsfile://other/a.sh", Some("kestra:///other/_files/a.sh")),
            ("scripts/a.sh", None),
            ("nsfile:x", None),
            ("", None),
        ] {
            let uri = address(text, "company.team").map(|uri| uri.unwrap().to_string());
            assert_eq!(uri.as_deref(), expected, "{text}");
        }
        assert!(address("nsfile:///../a", "n").unwrap().is_err());
    }

    #[test]
    fn addresses_in_text_are_found() {
        for (text, expected) in [
            ("cat kestra:///a/b/x-file.csv;", vec!["kestra:///a/b/x-file.csv"]),
            ("'kestra:///a/é%20b' \"kestra:///c\"", vec!["kestra:///a/é%20b", "kestra:///c"]),
            ("kestra.io", vec![]),
            ("kestra:///akestra:///b kestra://", vec!["kestra:///akestra", "kestra://"]),
            ("cat nsfile:///s.sql kestra:///a", vec!["nsfile:///s.sql", "kestra:///a"]),
            ("nsfile://other.ns/s.sql", vec!["nsfile://other.ns/s.sql"]),
        ] {
            let found: Vec<_> = addresses(text).map(|(_, uri)| uri).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn output_files_of_one_name_do_not_meet_and_repeat() {
        let run = ExecutionFiles::new("n", "f", "e").unwrap().task_run("t", "r").unwrap();
        let (a, b) = (run.output_file("x/data.csv").unwrap(), run.output_file("y/data.csv").unwrap());
        assert_ne!(a, b);
        assert!(a.file_name().ends_with("-data.csv"), "{a}");
        assert_eq!(a, run.output_file("x/data.csv").unwrap());
        let long = run.output_file(&format!("{}é.csv", "é".repeat(150))).unwrap();
        assert!(long.file_name().len() < 255 && long.file_name().ends_with("é.csv"), "{long}");
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        assert!(ExecutionFiles::new("a..b", "f", "e").is_err());
        assert!(ExecutionFiles::new("a", "f", "../e").is_err());
        let execution = ExecutionFiles::new("a", "f", "e").unwrap();
        assert!(execution.input("i", "a/b").is_err());
        assert!(execution.input("..", "b").is_err());
        assert!(execution.task_run("t", "r").unwrap().file("../x").is_err());
    }
}
