//! Processes on Linux: started in a control group each, or found by their marks.

mod cgroup;
mod child;
mod identity;
mod marks;
mod names;
mod orphans;
mod procfs;
mod spawner;
mod strings;
mod tag;
mod tree;
mod vfork;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use tokio::sync::oneshot;

use self::cgroup::{Groups, Hierarchy, Version};
use self::identity::Identity;
use self::spawner::{Request, Spawner};
pub(super) use self::tree::Tree;
use super::{Containment, Launched, Orphan};
use crate::{Command, RunnerError};

/// Starts processes for one engine.
#[derive(Debug)]
pub(super) struct Launcher {
    identity: Identity,
    containment: Containment,
    hierarchies: Vec<Hierarchy>,
    groups: Option<Arc<Groups>>,
    spawner: mpsc::Sender<Request>,
}

impl Launcher {
    /// What works on this machine, the best first.
    pub(super) fn available() -> Vec<Containment> {
        let groups = Hierarchy::usable().into_iter().map(|hierarchy| containment(&hierarchy));
        groups.chain([Containment::Marks]).collect()
    }

    /// Starts the thread that starts processes. Where `wanted` does not work here, or nothing is wanted, it is the best.
    pub(super) fn start(wanted: Option<Containment>) -> io::Result<Self> {
        let hierarchies = Hierarchy::usable();
        let chosen = match wanted {
            Some(Containment::Marks) => None,
            Some(wanted) => hierarchies.iter().find(|hierarchy| containment(hierarchy) == wanted),
            None => hierarchies.first(),
        };
        let identity = Identity::own()?;
        let containment = chosen.map_or(Containment::Marks, containment);
        let groups = chosen.map(|hierarchy| Arc::new(Groups::new(hierarchy.clone(), identity)));
        let spawner = Spawner::start(identity, groups.clone())?;
        Ok(Self { identity, containment, hierarchies, groups, spawner })
    }

    pub(super) fn containment(&self) -> Containment {
        self.containment
    }

    /// Starts a process; where the future is dropped meanwhile, the process is killed.
    pub(super) async fn launch(&self, command: Command, program: PathBuf) -> Result<Launched, RunnerError> {
        let (reply, answer) = oneshot::channel();
        // The thread ends when this sender is dropped, or with a bug: then the answer's sender is dropped, too.
        let _ = self.spawner.send(Request { command, program, reply });
        answer.await.unwrap_or(Err(RunnerError::Lost))
    }

    /// Removes what is kept for later processes.
    pub(super) fn tidy_up(&self) {
        if let Some(groups) = &self.groups {
            groups.clear();
        }
    }

    pub(super) fn reap_orphans(&self, crashed: bool, is_wanted: &dyn Fn(&str) -> bool) -> Vec<Orphan> {
        let mut found = orphans::reap_groups(&self.identity, &self.hierarchies, crashed, is_wanted);
        if crashed || self.containment == Containment::Marks {
            found.extend(orphans::reap_processes(&self.identity, is_wanted));
        }
        found
    }
}

fn containment(hierarchy: &Hierarchy) -> Containment {
    match hierarchy.version {
        Version::V1 => Containment::GroupV1,
        Version::V2 => Containment::GroupV2,
    }
}
