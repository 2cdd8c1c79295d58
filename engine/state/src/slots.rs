//! Slots that the executions of one flow share, across processes, and the queue for them.
//!
//! Who holds a slot or stands in the queue holds a lock of the system on a file. It is released however the process
//! ends, so nobody has to notice that a holder is gone. A third lock is held for the moments in which somebody looks at
//! all of them, so that what is seen is true.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::{Result, StateError, disk};

const SLOT: &str = "slot-";
const TICKET: &str = "ticket-";
const TURN: &str = "turn";

/// The slots of one flow and the queue for them.
#[derive(Debug, Clone)]
pub struct Slots {
    directory: PathBuf,
}

/// The right to run, until it is dropped.
#[derive(Debug)]
pub struct Slot {
    _lock: File,
}

/// A place in the queue, until it is dropped.
#[derive(Debug)]
pub struct Ticket {
    _lock: File,
    path: PathBuf,
    number: u64,
}

/// What came of the wish to run.
#[derive(Debug)]
pub enum Entry {
    /// It is granted.
    Slot(Slot),
    /// It is not; these executions run.
    Full(Vec<String>),
    /// Later: this is the place in the queue.
    Queued(Ticket),
}

/// What a place in the queue is worth.
#[derive(Debug)]
pub enum Turn {
    /// The first, and a slot was free: the place is of no use any more.
    Slot(Slot),
    /// The first, but all slots are taken: ask again after a while.
    First,
    /// Somebody is ahead.
    Behind(Ahead),
}

/// Somebody who is ahead in the queue.
#[derive(Debug)]
pub struct Ahead {
    file: File,
    path: PathBuf,
}

impl Ahead {
    /// Blocks until they have left the queue.
    pub fn wait(self) -> Result<()> {
        flock(&self.file, FlockOperation::LockShared)
            .map_err(|error| StateError::io("lock", &self.path, error.into()))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Somebody else removes it if this fails: the lock goes in any case.
        let _ = fs::remove_file(&self.path);
    }
}

impl Slots {
    /// The slots of a flow in the data directory `data`. Nothing is touched before the first is wanted. Both names must
    /// be valid, as those of a flow are.
    pub fn new(data: &Path, namespace: &str, flow_id: &str) -> Self {
        Self { directory: data.join("concurrency").join(namespace).join(flow_id) }
    }

    /// Takes a slot if fewer than `limit` are taken and nobody waits; else, if `queues`, a place in the queue.
    /// `execution` is what others are told about the holder.
    pub fn enter(&self, limit: u32, execution: &str, queues: bool) -> Result<Entry> {
        let _turn = self.turn()?;
        let tickets = self.tickets()?;
        if tickets.is_empty() || !queues {
            match self.slot(limit, execution)? {
                Ok(slot) => return Ok(Entry::Slot(slot)),
                Err(holders) if !queues => return Ok(Entry::Full(holders)),
                Err(_) => {}
            }
        }
        let number = tickets.last().map_or(1, |(number, _)| number + 1);
        let path = self.directory.join(format!("{TICKET}{number:020}"));
        let file = open(&path)?;
        if !locked(&file, &path)? {
            // Only a holder of `turn` makes tickets.
            return Err(StateError::io("lock", &path, ErrorKind::WouldBlock.into()));
        }
        Ok(Entry::Queued(Ticket { _lock: file, path, number }))
    }

    /// What a place in the queue is worth now.
    pub fn turn_of(&self, ticket: &Ticket, limit: u32, execution: &str) -> Result<Turn> {
        let _turn = self.turn()?;
        let ahead = self.tickets()?.into_iter().rfind(|(number, _)| *number < ticket.number);
        if let Some((_, path)) = ahead {
            match File::open(&path) {
                Ok(file) => return Ok(Turn::Behind(Ahead { file, path })),
                // They have just left.
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Turn::First),
                Err(error) => return Err(StateError::io("open", &path, error)),
            }
        }
        Ok(self.slot(limit, execution)?.map_or(Turn::First, Turn::Slot))
    }

    /// A free slot, or who holds those that are taken.
    fn slot(&self, limit: u32, execution: &str) -> Result<Result<Slot, Vec<String>>> {
        let (mut taken, mut free, mut next) = (Vec::new(), None, 0);
        for (number, path) in self.numbered(SLOT)? {
            next = number + 1;
            let file = open(&path)?;
            if locked(&file, &path)? {
                free.get_or_insert((file, path));
            } else {
                taken.push(fs::read_to_string(&path).unwrap_or_default());
            }
        }
        if taken.len() >= limit as usize {
            return Ok(Err(taken));
        }
        let (mut file, path) = match free {
            Some(free) => free,
            None => {
                let path = self.directory.join(format!("{SLOT}{next:010}"));
                let file = open(&path)?;
                if !locked(&file, &path)? {
                    return Err(StateError::io("lock", &path, ErrorKind::WouldBlock.into()));
                }
                (file, path)
            }
        };
        file.set_len(0)
            .and_then(|()| file.write_all(execution.as_bytes()))
            .map_err(|error| StateError::io("write", &path, error))?;
        Ok(Ok(Slot { _lock: file }))
    }

    /// The places in the queue that somebody holds, in order. Those of the dead are removed.
    fn tickets(&self) -> Result<Vec<(u64, PathBuf)>> {
        let mut tickets = self.numbered(TICKET)?;
        let mut failed = None;
        tickets.retain(|(_, path)| match File::open(path) {
            Ok(file) => match locked(&file, path) {
                Ok(true) => {
                    let _ = fs::remove_file(path);
                    false
                }
                Ok(false) => true,
                Err(error) => {
                    failed = Some(error);
                    true
                }
            },
            // Its holder removed it meanwhile.
            Err(_) => false,
        });
        failed.map_or(Ok(tickets), Err)
    }

    fn numbered(&self, prefix: &str) -> Result<Vec<(u64, PathBuf)>> {
        let mut found: Vec<(u64, PathBuf)> = disk::names(&self.directory)?
            .into_iter()
            .filter_map(|name| {
                let number = name.strip_prefix(prefix)?.parse().ok()?;
                Some((number, self.directory.join(&name)))
            })
            .collect();
        found.sort_unstable();
        Ok(found)
    }

    /// The lock under which all others are looked at; waited for, since nobody holds it for long.
    fn turn(&self) -> Result<File> {
        disk::create_folders(&self.directory)?;
        let path = self.directory.join(TURN);
        let file = open(&path)?;
        flock(&file, FlockOperation::LockExclusive)
            .map_err(|error| StateError::io("lock", &path, error.into()))?;
        Ok(file)
    }
}

fn open(path: &Path) -> Result<File> {
    disk::private()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| StateError::io("open", path, error))
}

/// Takes the lock of a file, if nobody has it.
fn locked(file: &File, path: &Path) -> Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(StateError::io("lock", path, error.into())),
    }
}
