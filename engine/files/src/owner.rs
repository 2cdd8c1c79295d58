//! Whose an object of internal storage is, as its path tells: the other direction of [`places`](crate::places).

use crate::StorageUri;

/// Whose an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner<'u> {
    /// The namespace.
    pub namespace: String,
    /// The execution; none for files and caches, which belong to no execution.
    pub execution_id: Option<&'u str>,
    /// Whether it is one of the files that flows of any namespace share: `_files`.
    pub is_shared: bool,
}

impl StorageUri {
    /// Whose object this is; nobody's where nothing of a flow is stored under such a path.
    pub fn owner(&self) -> Option<Owner<'_>> {
        let parts: Vec<&str> = self.path().split('/').collect();
        let owner = |end: usize, execution_id, is_shared| {
            (end > 0).then(|| Owner { namespace: parts[..end].join("."), execution_id, is_shared })
        };
        // What comes first counts: behind it stands what somebody has named as he liked.
        for (at, pair) in parts.windows(2).enumerate() {
            match *pair {
                ["_files", _] => return owner(at, None, true),
                // `<namespace>/<flow>/executions/<id>/...`
                ["executions", id] if is_execution_id(id) => {
                    return owner(at.saturating_sub(1), Some(id), false);
                }
                _ => {}
            }
        }
        // `<namespace>/<flow>/<task>/cache/[<value>/]cache.zip`
        let cache = match *parts.as_slice() {
            [.., "cache", "cache.zip"] => parts.len() - 2,
            [.., "cache", _, "cache.zip"] => parts.len() - 3,
            _ => return None,
        };
        owner(cache.saturating_sub(2), None, false)
    }
}

/// 22 characters of base 62. A flow can be called so, but then its namespace would have to end in `executions` as well.
fn is_execution_id(text: &str) -> bool {
    text.len() == 22 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ExecutionFiles, cache_archive, namespace_files};

    const ID: &str = "5vX2dFqYb0kT8mJ3nPaL1c";

    #[test]
    fn owners_are_found_by_path() {
        for (uri, expected) in [
            ("kestra:///a/b/_files/x.txt", Some(("a.b", None, true))),
            ("kestra:///a/_files/sub/x.txt", Some(("a", None, true))),
            ("kestra:///a/%5Ffiles/x", Some(("a", None, true))),
            ("kestra:///a/b/flow/executions/ID/tasks/t/r/x", Some(("a.b", Some(ID), false))),
            ("kestra:///a/flow/task/cache/cache.zip", Some(("a", None, false))),
            ("kestra:///a/flow/task/cache/h/cache.zip", Some(("a", None, false))),
            // Names that look like other places, and namespaces that do.
            ("kestra:///a/f/executions/ID/tasks/t/r/_files/x", Some(("a", Some(ID), false))),
            ("kestra:///a/f/executions/ID/tasks/cache/cache.zip", Some(("a", Some(ID), false))),
            ("kestra:///a/_files/b/f/executions/ID/x", Some(("a", None, true))),
            ("kestra:///a/executions/f/executions/ID/x", Some(("a.executions", Some(ID), false))),
            ("kestra:///a/b/executions/f/executions/ID/x", Some(("a.b.executions", Some(ID), false))),
            ("kestra:///a/b", None),
            ("kestra:///_files/x", None),
            ("kestra:///f/executions/ID/x", None),
            ("kestra:///a/f/executions/short/x", None),
            ("kestra:///a/_files", None),
            ("kestra:///a/_FILES/x", None),
            ("kestra:///task/cache/cache.zip", None),
        ] {
            let uri = StorageUri::parse(&uri.replace("ID", ID)).unwrap();
            let found = uri.owner();
            let found = found.as_ref().map(|o| (o.namespace.as_str(), o.execution_id, o.is_shared));
            assert_eq!(found, expected, "{uri}");
        }
    }

    #[test]
    fn what_is_stored_for_somebody_is_his() {
        for namespace in ["a", "company.team"] {
            let execution = ExecutionFiles::new(namespace, "my_flow", ID).unwrap();
            for uri in [
                execution.input("i", "f.csv").unwrap(),
                execution.trigger("t").unwrap().file("x").unwrap(),
                execution.task_run("t", "r").unwrap().output_file("a/b").unwrap(),
                namespace_files(namespace).unwrap().join("x/y").unwrap(),
                cache_archive(namespace, "my_flow", "wd", None).unwrap(),
                cache_archive(namespace, "my_flow", "wd", Some("v")).unwrap(),
            ] {
                assert_eq!(uri.owner().expect("it has an owner").namespace, namespace, "{uri}");
            }
        }
    }
}
