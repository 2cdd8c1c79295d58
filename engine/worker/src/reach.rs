//! What of internal storage a flow may reach, on whichever way: expressions, input files, scripts, plugins that are part of
//! the engine.
//!
//! Its namespace, whose files and executions those are; the files that other namespaces share (`_files`), for reading; the
//! executions that it was started by and has started, wherever their flows are; and a file that it was handed by whoever
//! started it (compat.md §3.2, §5). What a plugin of a third party may reach is less, and the host's to decide.

use std::fmt;
use std::sync::Arc;

use weft_files::{Owner, StorageUri};
use weft_model::Failure;

/// What is known of the other executions.
pub trait Relatives: Send + Sync {
    /// Whether an execution has started this one, directly or not, was started by it, or has a common ancestor with it.
    fn is_related(&self, execution_id: &str) -> bool;
    /// Whether whoever started this execution named the file: it stands in its inputs or in what its trigger says.
    fn was_given(&self, uri: &StorageUri) -> bool;
}

/// An execution that has no relatives, and was given nothing.
pub struct NoRelatives;

impl Relatives for NoRelatives {
    fn is_related(&self, _: &str) -> bool {
        false
    }

    fn was_given(&self, _: &StorageUri) -> bool {
        false
    }
}

/// What a flow wants to do to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To look at it.
    Read,
    /// To remove it.
    Remove,
}

/// A file that a flow may not reach.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}\nhint: {hint}", self.what())]
pub struct OutOfReach {
    uri: StorageUri,
    action: &'static str,
    owner: String,
    hint: &'static str,
}

impl OutOfReach {
    /// The documented code.
    pub fn code(&self) -> &'static str {
        "storage.not-allowed"
    }

    /// What happened.
    pub fn what(&self) -> String {
        let Self { uri, action, owner, .. } = self;
        format!("this flow may not {action} `{uri}`: it belongs to {owner}")
    }

    /// What to do.
    pub fn hint(&self) -> &'static str {
        self.hint
    }
}

impl From<OutOfReach> for Failure {
    fn from(error: OutOfReach) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// What one flow may reach. Cheap to clone.
#[derive(Clone)]
pub struct FlowReach {
    /// The flow's namespace; empty for expressions that belong to no flow, which may reach all.
    pub namespace: String,
    /// What is known of the other executions. Asked only for files of other namespaces.
    pub relatives: Arc<dyn Relatives>,
}

impl FlowReach {
    /// Whether a file may be read or removed. May read journals, so call it where blocking is allowed.
    pub fn check(&self, uri: &StorageUri, access: Access) -> Result<(), OutOfReach> {
        // What is nobody's is not there either.
        let Some(owner) = uri.owner().filter(|_| !self.namespace.is_empty()) else { return Ok(()) };
        if owner.namespace == self.namespace || (owner.is_shared && access == Access::Read) {
            return Ok(());
        }
        let is_related = owner.execution_id.is_some_and(|id| self.relatives.is_related(id));
        if is_related || (access == Access::Read && self.relatives.was_given(uri)) {
            return Ok(());
        }
        Err(out_of_reach(uri, &owner, access))
    }

    /// The object that `text` names, if it is an address, and may be read.
    pub fn address(&self, text: &str) -> Option<Result<StorageUri, Failure>> {
        let uri = weft_files::address(text, &self.namespace)?;
        Some(uri.map_err(|error| crate::staging::storage_failure(&error)).and_then(|uri| {
            self.check(&uri, Access::Read)?;
            Ok(uri)
        }))
    }
}

fn out_of_reach(uri: &StorageUri, owner: &Owner<'_>, access: Access) -> OutOfReach {
    let namespace = &owner.namespace;
    let whose = match owner.execution_id {
        Some(id) => format!("the execution `{id}` of the namespace `{namespace}`"),
        None => format!("the namespace `{namespace}`"),
    };
    let (action, hint) = match access {
        Access::Remove => ("remove", "let a flow of that namespace do it"),
        Access::Read => (
            "read",
            "hand the file over as an input, or keep what flows share among the files of a namespace (`nsfile://`)",
        ),
    };
    OutOfReach { uri: uri.clone(), action, owner: whose, hint }
}

impl fmt::Debug for FlowReach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlowReach").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "5vX2dFqYb0kT8mJ3nPaL1c";
    const CHILD: &str = "6aX2dFqYb0kT8mJ3nPaL1c";
    const STRANGER: &str = "7bX2dFqYb0kT8mJ3nPaL1c";

    struct Known;

    impl Relatives for Known {
        fn is_related(&self, execution_id: &str) -> bool {
            execution_id == CHILD
        }

        fn was_given(&self, uri: &StorageUri) -> bool {
            uri.file_name() == "given.csv"
        }
    }

    #[test]
    fn a_flow_reaches_its_namespace_its_relatives_and_what_it_was_given() {
        let reach = FlowReach { namespace: "team".to_owned(), relatives: Arc::new(Known) };
        let anybody = FlowReach { namespace: String::new(), relatives: Arc::new(NoRelatives) };
        for (path, read, remove) in [
            (format!("team/flow/executions/{OWN}/tasks/t/r/x"), true, true),
            (format!("team/other/executions/{STRANGER}/tasks/t/r/x"), true, true),
            ("team/_files/x".to_owned(), true, true),
            ("team/flow/wd/cache/cache.zip".to_owned(), true, true),
            (format!("other/flow/executions/{CHILD}/tasks/t/r/x"), true, true),
            (format!("other/flow/executions/{STRANGER}/tasks/t/r/x"), false, false),
            (format!("other/flow/executions/{STRANGER}/tasks/t/r/given.csv"), true, false),
            ("other/_files/x".to_owned(), true, false),
            ("other/%5Ffiles/x".to_owned(), true, false),
            ("other/flow/wd/cache/cache.zip".to_owned(), false, false),
            // Below another namespace whose name begins alike.
            ("team/sub/_files/x".to_owned(), true, false),
            (format!("team/sub/flow/executions/{STRANGER}/x"), false, false),
            ("nowhere".to_owned(), true, true),
        ] {
            let uri = StorageUri::parse(&format!("kestra:///{path}")).unwrap();
            for (access, expected) in [(Access::Read, read), (Access::Remove, remove)] {
                let result = reach.check(&uri, access);
                assert_eq!(result.is_ok(), expected, "{access:?} {uri}: {result:?}");
                assert!(anybody.check(&uri, access).is_ok(), "{access:?} {uri}");
            }
        }
    }

    #[test]
    fn what_is_out_of_reach_is_named_with_its_owner() {
        let reach = FlowReach { namespace: "team".to_owned(), relatives: Arc::new(Known) };
        let failure = reach.address(&format!("kestra:///o/f/executions/{STRANGER}/x")).unwrap().unwrap_err();
        assert_eq!(failure.code, "storage.not-allowed");
        let expected = format!(
            "this flow may not read `kestra:///o/f/executions/{STRANGER}/x`: it belongs to the execution `{STRANGER}` of \
             the namespace `o`\nhint: hand the file over"
        );
        assert!(failure.message.starts_with(&expected), "{}", failure.message);
        assert!(reach.address("plain text").is_none());
        assert_eq!(reach.address("nsfile:///../x").unwrap().unwrap_err().code, "storage.invalid-uri");
    }
}
