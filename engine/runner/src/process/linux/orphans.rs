//! Removes what an engine left behind that was itself killed.
//!
//! Only what belongs to an engine that has certainly ended is touched: see [`Identity::is_dead`].

use std::collections::HashSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use libc::pid_t;

use super::cgroup::Hierarchy;
use super::identity::Identity;
use super::names::{self, ENGINE_VARIABLE, GROUP_PREFIX, TASK_VARIABLE};
use super::procfs::{self, Stat};
use super::tag::Tag;
use crate::process::Orphan;

/// How long the end of killed processes is waited for. One that takes longer is stuck in the kernel.
const LIMIT: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(1);

/// Those in control groups: beside the engine's own one, or anywhere.
pub(super) fn reap_groups(
    own: &Identity,
    hierarchies: &[Hierarchy],
    everywhere: bool,
    is_wanted: &dyn Fn(&str) -> bool,
) -> Vec<Orphan> {
    let groups = hierarchies.iter().flat_map(|hierarchy| hierarchy.groups(GROUP_PREFIX, everywhere));
    let mut found = Vec::new();
    for (name, group) in groups {
        if !names::parse_group(&name).is_some_and(|engine| engine.is_dead(own)) {
            continue;
        }
        let processes = group.processes();
        // All in a group are of one task; one that has cleared its environment is told by the others.
        let marker = processes.iter().find_map(|&pid| marker(&procfs::environment(pid)));
        if marker.as_deref().is_some_and(is_wanted) {
            continue;
        }
        let limit = Instant::now() + LIMIT;
        while !group.remove() && Instant::now() < limit {
            group.kill();
            sleep(PAUSE);
        }
        if !processes.is_empty() {
            found.push(Orphan { marker, processes });
        }
    }
    found
}

/// Those that carry the marks of an engine, after a look at every process of the machine.
pub(super) fn reap_processes(own: &Identity, is_wanted: &dyn Fn(&str) -> bool) -> Vec<Orphan> {
    let spared = ancestors(own.pid);
    let mut found: Vec<Orphan> = Vec::new();
    let mut seen = HashSet::new();
    let limit = Instant::now() + LIMIT;
    loop {
        let mut is_clear = true;
        let processes =
            procfs::processes().filter(|process| !process.is_dead() && !spared.contains(&process.pid));
        for process in processes {
            let Some(marker) = left_behind(own, &process) else { continue };
            if marker.as_deref().is_some_and(is_wanted) {
                continue;
            }
            is_clear = false;
            let _ = procfs::signal(process.pid, libc::SIGKILL);
            if !seen.insert((process.pid, process.started)) {
                continue;
            }
            match found.iter_mut().find(|orphan| orphan.marker == marker) {
                Some(orphan) => orphan.processes.push(process.pid),
                None => found.push(Orphan { marker, processes: vec![process.pid] }),
            }
        }
        if is_clear || Instant::now() > limit {
            return found;
        }
        sleep(PAUSE);
    }
}

/// Whether a process belongs to an engine that has ended, and to which task, where it has kept its environment.
fn left_behind(own: &Identity, process: &Stat) -> Option<Option<String>> {
    let environment = procfs::environment(process.pid);
    if let Some(engine) = procfs::variable(&environment, ENGINE_VARIABLE).and_then(|text| text.parse().ok()) {
        let engine: Identity = engine;
        return engine.is_dead(own).then(|| marker(&environment));
    }
    let engine = Tag::of(process.pid)?.engine();
    // A process that is younger than this one has only got the id of the engine that started it.
    let is_dead = procfs::stat(engine).is_none_or(|stat| stat.is_dead() || stat.started > process.started);
    (is_dead && own.shares_namespace(process.pid)).then_some(None)
}

/// The task of a process that has kept its environment.
fn marker(environment: &[u8]) -> Option<String> {
    procfs::variable(environment, TASK_VARIABLE).map(str::to_owned)
}

/// A process, its parent, and so on: an engine may have been started from what another one left behind.
fn ancestors(pid: pid_t) -> HashSet<pid_t> {
    let parent = |&pid: &pid_t| procfs::stat(pid).map(|stat| stat.parent).filter(|&parent| parent > 0);
    std::iter::successors(Some(pid), parent).collect()
}
