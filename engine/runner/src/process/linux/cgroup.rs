//! One control group for each process: nothing that is started in it gets out of it, whatever it does to its session,
//! its parent or its environment. (Only root can move a process out, by naming another group on purpose.) A group that
//! a process has left as it found it serves the next one: to make and remove one for each is an eighth of what the
//! shortest of tasks costs (measured).
//!
//! Groups are made below the engine's own group, so that an engine inside a task of another engine is contained with
//! everything it starts. No controller is switched on: nothing is limited, and an inner group with processes in it
//! is allowed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use libc::pid_t;
use rustix::fs::{Access, access};

use super::identity::Identity;
use super::{names, procfs};

/// How deep below the mount a group of an engine is looked for.
const MAX_DEPTH: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// The `pids` hierarchy of cgroup v1.
    V1,
    V2,
}

/// A mounted hierarchy in which this process may make groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    mount: PathBuf,
    /// The directory of the engine's own group.
    own: PathBuf,
}

impl Hierarchy {
    /// The usable hierarchies, the better first.
    pub(super) fn usable() -> Vec<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mut found = parse(&mounts, &groups);
        found.retain(|hierarchy| {
            let may_write = |path: &Path| access(path, Access::WRITE_OK).is_ok();
            // The second is the kernel's condition for moving a process from this group into one below it.
            may_write(&hierarchy.own) && may_write(&hierarchy.own.join("cgroup.procs"))
        });
        found
    }

    /// Makes a group.
    fn create(&self, name: &str) -> io::Result<Group> {
        let directory = self.own.join(name);
        fs::create_dir(&directory)?;
        Ok(Group { open: Open::new(&directory, self.version), ..Group::found(directory, self.version) })
    }

    /// Existing groups whose names start with `prefix`: beside this engine's, or in the whole hierarchy.
    pub(super) fn groups(&self, prefix: &str, everywhere: bool) -> Vec<(String, Group)> {
        let mut found = Vec::new();
        let (from, depth) = if everywhere { (&self.mount, MAX_DEPTH) } else { (&self.own, 1) };
        self.collect(from, depth, prefix, &mut found);
        found
    }

    fn collect(&self, directory: &Path, depth: usize, prefix: &str, found: &mut Vec<(String, Group)>) {
        for child in subdirectories(directory) {
            match child.file_name().and_then(|name| name.to_str()) {
                Some(name) if name.starts_with(prefix) => {
                    found.push((name.to_owned(), Group::found(child, self.version)));
                }
                _ if depth > 1 => self.collect(&child, depth - 1, prefix, found),
                _ => {}
            }
        }
    }
}

/// Finds cgroup v2 and the v1 `pids` hierarchy in `/proc/self/mountinfo` and `/proc/self/cgroup`.
fn parse(mounts: &str, groups: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = mounts.lines().filter_map(|mount| parse_mount(mount, groups)).collect();
    found.sort_by_key(|hierarchy| hierarchy.version == Version::V1);
    found
}

/// A line is `36 35 0:30 <root> <mount point> <options> [<tag>]... - <type> <source> <super options>`.
fn parse_mount(mount: &str, groups: &str) -> Option<Hierarchy> {
    let (place, kind) = mount.split_once(" - ")?;
    let mut place = place.split(' ').skip(3);
    let (root, point) = (place.next()?, place.next()?);
    let mut kind = kind.split(' ');
    let (kind, options) = (kind.next()?, kind.nth(1)?);
    let is_pids = |list: &str| list.split(',').any(|item| item == "pids");
    let version = match kind {
        "cgroup2" => Version::V2,
        "cgroup" if is_pids(options) => Version::V1,
        _ => return None,
    };
    // A line is `<id>:<controllers>:<path>`; v2 is id 0 without controllers.
    let path = groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (id, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let is_this = match version {
            Version::V1 => is_pids(controllers),
            Version::V2 => id == "0" && controllers.is_empty(),
        };
        is_this.then_some(path)
    })?;
    // In a container without a cgroup namespace, the mount shows a part of the hierarchy only.
    let below = Path::new(path).strip_prefix(root).ok()?;
    let mount = PathBuf::from(point);
    Some(Hierarchy { version, own: mount.join(below), mount })
}

fn subdirectories(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// How many groups are kept for later.
const MAX_IDLE: usize = 16;

/// Where an engine's groups come from.
#[derive(Debug)]
pub(super) struct Groups {
    hierarchy: Hierarchy,
    engine: Identity,
    /// Nobody's at the moment, and empty.
    idle: Mutex<Vec<Group>>,
}

impl Groups {
    /// Groups of `engine` in `hierarchy`. Nothing is made before it is wanted.
    pub(super) fn new(hierarchy: Hierarchy, engine: Identity) -> Self {
        Self { hierarchy, engine, idle: Mutex::default() }
    }

    /// An empty group.
    pub(super) fn take(&self) -> io::Result<Group> {
        // Counts those of all engines in this program. They have one process id, but their groups must differ.
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        if let Some(kept) = self.idle().pop() {
            return Ok(kept);
        }
        self.hierarchy.create(&names::group(&self.engine, NUMBER.fetch_add(1, Relaxed)))
    }

    /// Takes back a group whose process is gone, for the next one if it is as it was made.
    pub(super) fn give_back(&self, group: Group) {
        if group.is_as_made() {
            let mut idle = self.idle();
            if idle.len() < MAX_IDLE {
                return idle.push(group);
            }
        }
        group.remove();
    }

    /// Removes the groups that nobody uses at the moment.
    pub(super) fn clear(&self) {
        for group in self.idle().drain(..) {
            group.remove();
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Group>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A group for one process at a time.
#[derive(Debug)]
pub(super) struct Group {
    directory: PathBuf,
    version: Version,
    /// None for groups of v1, which serve one process, and for those of other engines.
    open: Option<Open>,
    /// Whether something was done to it that the next process would notice.
    is_spoiled: AtomicBool,
}

/// What is asked of a group again and again.
#[derive(Debug)]
struct Open {
    directory: File,
    events: File,
}

impl Open {
    fn new(directory: &Path, version: Version) -> Option<Self> {
        let events = (version == Version::V2).then(|| File::open(directory.join("cgroup.events")).ok());
        Some(Self { directory: File::open(directory).ok()?, events: events.flatten()? })
    }

    /// Nothing lives in the group or in one inside of it, it is not frozen, and there is no group inside of it.
    fn is_as_made(&self) -> bool {
        let mut text = [0; 128];
        let Ok(length) = self.events.read_at(&mut text, 0) else { return false };
        let mut lines = text[..length].split(|&byte| byte == b'\n');
        let is_empty = lines.clone().any(|line| line == b"populated 0");
        // A directory has a link from itself, from above, and from each directory inside.
        let is_single = || self.directory.metadata().is_ok_and(|metadata| metadata.nlink() == 2);
        is_empty && !lines.any(|line| line == b"frozen 1") && is_single()
    }
}

impl Group {
    fn found(directory: PathBuf, version: Version) -> Self {
        Self { directory, version, open: None, is_spoiled: AtomicBool::new(false) }
    }

    /// To be given to `clone3`, which starts a process in a group at once (v2 only).
    pub(super) fn directory(&self) -> Option<BorrowedFd<'_>> {
        self.open.as_ref().map(|open| open.directory.as_fd())
    }

    fn is_as_made(&self) -> bool {
        !self.is_spoiled.load(Relaxed) && self.open.as_ref().is_some_and(Open::is_as_made)
    }

    /// Whether no living process is left in it. One that cannot serve again is gone then.
    pub(super) fn clear(&self) -> bool {
        self.is_as_made() || self.remove()
    }

    /// The file to which a new process writes `0` to enter this group. In v1 it moves the writing thread, which is all
    /// there is of a new process: moving whole processes takes a lock over all forks and exits of the machine.
    pub(super) fn entrance(&self) -> io::Result<File> {
        let name = match self.version {
            Version::V1 => "tasks",
            Version::V2 => "cgroup.procs",
        };
        File::options().write(true).open(self.directory.join(name))
    }

    /// The living processes in this group and in those inside it.
    pub(super) fn processes(&self) -> Vec<pid_t> {
        let mut found = Vec::new();
        for directory in self.directories() {
            let list = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
            found.extend(list.lines().filter_map(|line| line.parse::<pid_t>().ok()));
        }
        found
    }

    /// Sends SIGKILL to all of them, without waiting for their end.
    pub(super) fn kill(&self) {
        self.is_spoiled.store(true, Relaxed);
        // Since Linux 5.14, in one step. (v1 has no such file.)
        if write(&self.directory.join("cgroup.kill"), "1").is_ok() {
            return;
        }
        // Where the kernel can be told that nothing may be started here any more, one pass finds everything;
        // elsewhere the caller repeats this until the group can be removed.
        let _ = write(&self.directory.join("pids.max"), "0");
        for pid in self.processes() {
            let _ = procfs::signal(pid, libc::SIGKILL);
        }
    }

    /// Removes the group if no living process is left in it, and tells whether it is gone.
    pub(super) fn remove(&self) -> bool {
        let remove = |directory: &Path| match fs::remove_dir(directory) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        // Mostly nothing is left, and one call does it; else there may be groups inside.
        remove(&self.directory) || self.directories().iter().all(|directory| remove(directory))
    }

    /// Innermost first, this group last. Processes may have made groups inside it.
    fn directories(&self) -> Vec<PathBuf> {
        let mut found = vec![self.directory.clone()];
        let mut next = 0;
        while let Some(directory) = found.get(next) {
            found.extend(subdirectories(directory));
            next += 1;
        }
        found.reverse();
        found
    }
}

/// Writes to a control file, which exists or is not supported.
fn write(path: &Path, text: &str) -> io::Result<()> {
    File::options().write(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids";
    const V2: &str = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";

    #[test]
    fn hierarchies_of_usual_systems() {
        let v1 = |mount: &str, own: &str| (Version::V1, mount.to_owned(), own.to_owned());
        let v2 = |mount: &str, own: &str| (Version::V2, mount.to_owned(), own.to_owned());
        for (what, mounts, groups, expected) in [
            ("no cgroups", "22 1 8:1 / / rw - ext4 /dev/sda1 rw".to_owned(), "", vec![]),
            (
                "systemd",
                V2.to_owned(),
                "0::/user.slice/user-1000.slice/session-1.scope\n",
                vec![v2("/sys/fs/cgroup", "/sys/fs/cgroup/user.slice/user-1000.slice/session-1.scope")],
            ),
            (
                "both versions, group names with colons",
                format!("{V1}\n{}", V2.replace("/sys/fs/cgroup ", "/sys/fs/cgroup/unified ")),
                "8:pids:/a:b\n1:cpu,cpuacct:/c\n0::/d\n",
                vec![
                    v2("/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified/d"),
                    v1("/sys/fs/cgroup/pids", "/sys/fs/cgroup/pids/a:b"),
                ],
            ),
            (
                "container, v1, no cgroup namespace",
                V1.replace(" / ", " /docker/abc "),
                "8:pids:/docker/abc\n",
                vec![v1("/sys/fs/cgroup/pids", "/sys/fs/cgroup/pids/")],
            ),
            (
                "a mount that does not show the own group",
                V1.replace(" / ", " /docker/abc "),
                "8:pids:/x\n",
                vec![],
            ),
            ("v1 without pids", V1.replace("rw,pids", "rw,cpu"), "8:cpu:/\n", vec![]),
        ] {
            let found: Vec<_> = parse(&mounts, groups)
                .into_iter()
                .map(|found| {
                    (found.version, found.mount.display().to_string(), found.own.display().to_string())
                })
                .collect();
            assert_eq!(found, expected, "{what}");
        }
    }
}
