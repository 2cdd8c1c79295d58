//! Which executions belong together: those that have a common ancestor, as the store knows it. No flow can claim it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::Value;
use weft_files::StorageUri;
use weft_state::JournalStore;
use weft_worker::{Access, FlowReach, NoRelatives, Relatives};

/// Flows that start each other are not nested deeper by anybody; a chain that does not end is none.
const MAX_DEPTH: usize = 1_000;

/// The executions that one of them has to do with. Nothing is looked up before somebody asks.
pub(crate) struct Family {
    store: JournalStore,
    id: String,
    root: OnceLock<Option<String>>,
    related: Mutex<HashSet<String>>,
    given: OnceLock<GivenFiles>,
}

/// The files that whoever started an execution named.
#[derive(Default)]
struct GivenFiles {
    uris: Vec<StorageUri>,
    /// What the execution may reach that started this one, if one did: a flow hands over no more than it may read itself.
    giver: Option<FlowReach>,
}

impl Family {
    pub(crate) fn new(store: &JournalStore, id: &str) -> Self {
        Self {
            store: store.clone(),
            id: id.to_owned(),
            root: OnceLock::new(),
            related: Mutex::default(),
            given: OnceLock::new(),
        }
    }

    /// What another execution may reach: only what everybody may, where it cannot be read.
    fn reach_of(&self, id: &str) -> FlowReach {
        match self.store.load(id) {
            Ok(Some(execution)) => {
                FlowReach { namespace: execution.namespace, relatives: Arc::new(Self::new(&self.store, id)) }
            }
            // A namespace that none can have: an empty one would stand for everybody's.
            _ => FlowReach { namespace: "?".to_owned(), relatives: Arc::new(NoRelatives) },
        }
    }

    /// The execution that began the chain in which `id` is; none where that is not known.
    fn root_of(&self, id: &str) -> Option<String> {
        let mut id = id.to_owned();
        for _ in 0..MAX_DEPTH {
            match self.store.load(&id).ok()??.parent_id {
                Some(parent) => id = parent,
                None => return Some(id),
            }
        }
        None
    }
}

impl Relatives for Family {
    fn is_related(&self, execution_id: &str) -> bool {
        let known = || self.related.lock().unwrap_or_else(PoisonError::into_inner);
        if execution_id == self.id || known().contains(execution_id) {
            return true;
        }
        let Some(own) = self.root.get_or_init(|| self.root_of(&self.id)) else { return false };
        let is_related = self.root_of(execution_id).as_ref() == Some(own);
        if is_related {
            known().insert(execution_id.to_owned());
        }
        is_related
    }

    fn was_given(&self, uri: &StorageUri) -> bool {
        let given = self.given.get_or_init(|| {
            let Ok(Some(execution)) = self.store.load(&self.id) else { return GivenFiles::default() };
            let of_trigger = execution.trigger.map(|trigger| trigger.variables).unwrap_or_default();
            let mut uris = Vec::new();
            for value in execution.inputs.values().chain(of_trigger.values()) {
                collect(value, &execution.namespace, &mut uris);
            }
            let giver = execution.parent_id.map(|parent| self.reach_of(&parent));
            GivenFiles { uris, giver }
        });
        let may_be_given = || given.giver.as_ref().is_none_or(|giver| giver.check(uri, Access::Read).is_ok());
        given.uris.contains(uri) && may_be_given()
    }
}

/// The files that the texts of a value name.
fn collect(value: &Value, namespace: &str, found: &mut Vec<StorageUri>) {
    match value {
        Value::String(text) => {
            let named = |(_, text)| weft_files::address(text, namespace);
            found.extend(weft_files::addresses(text).filter_map(named).flatten());
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, namespace, found)),
        Value::Object(members) => members.values().for_each(|member| collect(member, namespace, found)),
        _ => {}
    }
}
