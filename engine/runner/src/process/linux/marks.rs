//! Finds everything that a process started where there is no control group to ask: by its [`Tag`], its process group,
//! its environment and its ancestry, which takes a look at every process of the machine.
//!
//! One mark alone would do for a well-behaved task. But `env -i` clears the environment, `setsid` leaves the group, a
//! double fork loses the ancestry, and a login (`su -`) may reset the limit that is the tag.
//!
//! Orphans become children of the engine instead of disappearing to `init` (`PR_SET_CHILD_SUBREAPER`), so their ends
//! are the engine's to collect.

use std::collections::HashSet;

use libc::pid_t;
use rustix::process::{Pid, WaitOptions, set_child_subreaper, waitpid};

use super::identity::Identity;
use super::names::{ENGINE_VARIABLE, TASK_VARIABLE};
use super::procfs::{self, Stat};
use super::tag::Tag;

/// How many times a kill looks for what was started meanwhile. Each pass leaves only what its predecessor missed.
const KILL_PASSES: usize = 16;

/// Makes the engine the parent of orphans. It is a property of the whole engine, and stays.
pub(super) fn adopt_orphans() {
    // It is refused by kernels older than 3.4 only; then orphans are found all the same, and `init` collects them.
    let _ = set_child_subreaper(Pid::from_raw(1));
}

/// What the processes of one task have in common.
#[derive(Debug)]
pub(super) struct Marks {
    main: pid_t,
    /// Start of the main process, in ticks since boot. Nothing of it is older.
    started: u64,
    tag: Tag,
    /// Whether the main process really has the tag: a sandbox may know no such limit.
    is_tagged: bool,
    marker: String,
    engine: Identity,
}

impl Marks {
    /// For a process that has just been started.
    pub(super) fn new(main: pid_t, tag: Tag, marker: &str, engine: Identity) -> Self {
        let started = procfs::stat(main).map_or(0, |stat| stat.started);
        let is_tagged = Tag::of(main) == Some(tag);
        Self { main, started, tag, is_tagged, marker: marker.to_owned(), engine }
    }

    /// The living processes, without the main one if that has ended.
    pub(super) fn processes(&self) -> Vec<pid_t> {
        self.members().into_iter().filter(|member| !member.is_dead()).map(|member| member.pid).collect()
    }

    /// Sends SIGKILL to all of them, without waiting for their end.
    pub(super) fn kill(&self) {
        let mut killed = HashSet::new();
        for _ in 0..KILL_PASSES {
            let mut found_more = false;
            for pid in self.processes() {
                let _ = procfs::signal(pid, libc::SIGKILL);
                found_more |= killed.insert(pid);
            }
            if !found_more {
                return;
            }
        }
    }

    /// Collects the orphans that have ended, and tells whether nothing living is left.
    pub(super) fn collect(&self) -> bool {
        if self.is_tagged && !self.is_anything_left() {
            return true;
        }
        let (dead, alive): (Vec<Stat>, Vec<Stat>) = self.members().into_iter().partition(Stat::is_dead);
        let orphans = dead.iter().filter(|dead| dead.parent == self.engine.pid && dead.pid != self.main);
        for orphan in orphans {
            let _ = waitpid(Pid::from_raw(orphan.pid), WaitOptions::NOHANG);
        }
        alive.is_empty()
    }

    /// The quick look, for the usual end: two system calls for each process of the machine instead of two files.
    fn is_anything_left(&self) -> bool {
        let mut others = procfs::ids().filter(|&pid| pid != self.main);
        others.any(|pid| procfs::group(pid) == Some(self.main) || Tag::of(pid) == Some(self.tag))
    }

    fn members(&self) -> Vec<Stat> {
        let mut others: Vec<Stat> =
            procfs::processes().filter(|process| process.started >= self.started).collect();
        let mut members: Vec<Stat> = others.extract_if(.., |process| self.is_marked(process)).collect();
        // A descendant of a member is one, whatever it has done to its marks.
        let mut next = 0;
        while let Some(parent) = members.get(next).map(|member| member.pid) {
            members.extend(others.extract_if(.., |process| process.parent == parent));
            next += 1;
        }
        members
    }

    fn is_marked(&self, process: &Stat) -> bool {
        if process.pid == self.main || process.group == self.main {
            return true;
        }
        if let Some(tag) = Tag::of(process.pid) {
            return tag == self.tag;
        }
        let environment = procfs::environment(process.pid);
        procfs::variable(&environment, TASK_VARIABLE) == Some(&self.marker)
            && procfs::variable(&environment, ENGINE_VARIABLE) == Some(&self.engine.to_string())
    }
}
