//! The journal of one execution: an append-only file with one line for each commit.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use weft_model::{Execution, TaskRun};

use crate::index::Index;
use crate::list::Summary;
use crate::store::ENGINE;
use crate::{Owner, Result, StateError, disk};

mod follow;
mod read;
mod record;

pub use follow::StateFollower;
pub(crate) use read::{Loaded, flow_source, last_header, load};
use record::Record;
pub(crate) use record::VERSION;

/// An execution as last committed.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptExecution {
    /// The execution, with secrets in its outputs as they are.
    pub execution: Execution,
    /// What is not to be shown of it: secrets that became known while it ran, each sealed by whoever opened it. The store
    /// cannot open them.
    pub hidden: Vec<String>,
}

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The end of the process, however it comes about; a failure of power may lose the last commits.
    Process,
    /// A failure of power too: a commit returns when the disk has it. It costs one `fdatasync`: about 0.2 ms on an SSD,
    /// and some milliseconds for the first, when the file is new.
    #[default]
    Disk,
}

/// The open journal of one execution. Only one can be open at a time, in whatever process: it holds a lock on the file
/// that the system releases when the process ends.
#[derive(Debug)]
pub struct ExecutionJournal {
    file: File,
    path: PathBuf,
    /// Bytes of complete lines. What lies beyond is a line that could not be finished.
    length: u64,
    durability: Durability,
    index: Index,
    /// The line being built, kept for its memory.
    line: Vec<u8>,
    /// What the next commit adds to what is not to be shown, sealed.
    hidden: Vec<String>,
    /// Why nothing more can be committed: the file may end in half a line, or may not be on the disk.
    broken: Option<StateError>,
}

impl ExecutionJournal {
    /// Makes the journal, which must not exist, and writes the execution into it as the first commit, with the source
    /// of its flow and what is not to be shown of it.
    pub(crate) fn create(
        path: PathBuf,
        execution: &Execution,
        flow_source: &str,
        hidden: &[String],
        durability: Durability,
        index: Index,
    ) -> Result<Self> {
        let file = disk::private()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(|error| StateError::io("create", &path, error))?;
        let mut journal = Self::locked(file, path, durability, index)?;
        let task_runs: Vec<&TaskRun> = execution.task_run_list.iter().collect();
        journal.append(Record {
            header: Some(execution),
            task_runs: &task_runs,
            reset: false,
            flow: Some(flow_source),
            hidden,
        })?;
        Ok(journal)
    }

    /// Opens the journal at `path` for more commits, and cuts off what a crash left of an unfinished one. None if
    /// nothing was ever committed.
    pub(crate) fn reopen(
        path: PathBuf,
        durability: Durability,
        index: Index,
    ) -> Result<Option<(KeptExecution, Self)>> {
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(|error| StateError::io("open", &path, error))?;
        let mut journal = Self::locked(file, path, durability, index)?;
        let Some(Loaded { execution, hidden, length }) = load(&journal.path)? else { return Ok(None) };
        journal.file.set_len(length).map_err(|error| StateError::io("repair", &journal.path, error))?;
        journal.length = length;
        Ok(Some((KeptExecution { execution, hidden }, journal)))
    }

    /// Takes the journal at `path` away from others, to delete it.
    pub(crate) fn seize(path: &Path) -> Result<File> {
        let file = File::open(path).map_err(|error| StateError::io("open", path, error))?;
        lock(&file, path)?;
        Ok(file)
    }

    fn locked(file: File, path: PathBuf, durability: Durability, index: Index) -> Result<Self> {
        lock(&file, &path)?;
        Ok(Self {
            file,
            path,
            length: 0,
            durability,
            index,
            line: Vec::new(),
            hidden: Vec::new(),
            broken: None,
        })
    }

    /// The file, for whoever brings it to the disk beside [`Durability::Process`]: a sync covers every commit before it.
    pub fn sync_handle(&self) -> Result<File> {
        self.file.try_clone().map_err(|error| StateError::io("open", &self.path, error))
    }

    /// Commits the execution itself, if it changed, and each task run that changed, as one: all of it or nothing is
    /// there after a crash. `header`'s own list of task runs is not looked at.
    ///
    /// A commit that fails leaves the journal as it was. If even that cannot be had, later commits fail too.
    pub fn commit(&mut self, header: Option<&Execution>, task_runs: &[&TaskRun]) -> Result<()> {
        self.append_hiding(header, task_runs, false)
    }

    /// Adds sealed texts to what is not to be shown of the execution. They are kept with the next commit, which must be the
    /// one that has them in the clear, if any has.
    pub fn hide(&mut self, sealed: Vec<String>) {
        self.hidden.extend(sealed);
    }

    /// Commits `execution` with its task runs in place of all that was committed before, as a restart needs it that
    /// takes task runs away.
    pub fn replace(&mut self, execution: &Execution) -> Result<()> {
        let task_runs: Vec<&TaskRun> = execution.task_run_list.iter().collect();
        self.append_hiding(Some(execution), &task_runs, true)
    }

    fn append_hiding(
        &mut self,
        header: Option<&Execution>,
        task_runs: &[&TaskRun],
        reset: bool,
    ) -> Result<()> {
        let hidden = std::mem::take(&mut self.hidden);
        let appended = self.append(Record { header, task_runs, reset, flow: None, hidden: &hidden });
        if appended.is_err() {
            self.hidden = hidden;
        }
        appended
    }

    fn append(&mut self, record: Record<'_>) -> Result<()> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        self.line.clear();
        record
            .encode(&mut self.line)
            .map_err(|error| StateError::io("encode for", &self.path, error.into()))?;
        if let Err(error) = self.file.write_all(&self.line) {
            let error = StateError::io("write", &self.path, error);
            // Half a line must not stand before the next one.
            if self.file.set_len(self.length).is_err() {
                self.broken = Some(error.clone());
            }
            return Err(error);
        }
        if self.durability == Durability::Disk
            && let Err(error) = self.file.sync_data()
        {
            // The system may have dropped the bytes and forgotten about it: nothing said later can be relied on.
            let error = StateError::io("sync", &self.path, error);
            self.broken = Some(error.clone());
            return Err(error);
        }
        self.length += self.line.len() as u64;
        if let Some(execution) = record.header.filter(|execution| execution.current().is_terminal()) {
            self.index.add(&Summary::of(execution), self.length);
        }
        Ok(())
    }
}

/// Takes the journal for this process, until the file is closed.
fn lock(file: &File, path: &Path) -> Result<()> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let directory = path.parent().unwrap_or(Path::new(""));
            let id = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let pid = Owner::read(&directory.join(ENGINE)).map(|owner| owner.pid);
            Err(StateError::InUse { id, pid })
        }
        Err(error) => Err(StateError::io("lock", path, error.into())),
    }
}
