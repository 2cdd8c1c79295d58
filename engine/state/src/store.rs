//! The executions in one data directory.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use weft_model::Execution;

use crate::index::Index;
use crate::journal::{self, Durability, ExecutionJournal, KeptExecution, StateFollower};
use crate::list::{Listing, Summary};
use crate::{LogReader, LogWriter, MetricsFile, Owner, Result, StateError, disk};

const JOURNAL: &str = "journal.jsonl";
pub(crate) const ENGINE: &str = "engine.json";
const LOGS: &str = "logs.jsonl";
const METRICS: &str = "metrics.jsonl";
/// How many ids an error about an ambiguous beginning shows.
const EXAMPLES: usize = 3;

/// Executions as directories with a journal in each.
#[derive(Debug, Clone)]
pub struct JournalStore {
    /// `<data>/executions`.
    root: PathBuf,
    durability: Durability,
}

impl JournalStore {
    /// The executions in the data directory `data`. Nothing is touched before the first is created.
    pub fn new(data: &Path) -> Self {
        Self { root: data.join("executions"), durability: Durability::default() }
    }

    /// The same with another promise about commits.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Keeps a new execution; its journal stays open for this process.
    pub fn create(
        &self,
        execution: &Execution,
        flow_source: &str,
        owner: &Owner,
    ) -> Result<ExecutionJournal> {
        self.create_hiding(execution, flow_source, &[], owner)
    }

    /// The same for one of which something is not to be shown: see [`KeptExecution::hidden`].
    pub fn create_hiding(
        &self,
        execution: &Execution,
        flow_source: &str,
        hidden: &[String],
        owner: &Owner,
    ) -> Result<ExecutionJournal> {
        let directory = self.directory(&execution.id)?;
        disk::create_folders(&self.root)?;
        match DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(StateError::Exists { id: execution.id.clone(), directory: self.root.clone() });
            }
            Err(error) => return Err(StateError::io("create the directory", &directory, error)),
        }
        let journal = self.fill(&directory, execution, (flow_source, hidden), owner);
        if journal.is_err() {
            // The first error is the one to report; without a journal the directory is not listed.
            let _ = fs::remove_dir_all(&directory);
        }
        journal
    }

    fn fill(
        &self,
        directory: &Path,
        execution: &Execution,
        (flow_source, hidden): (&str, &[String]),
        owner: &Owner,
    ) -> Result<ExecutionJournal> {
        // The journal comes last: without it there is no execution. Its name needs no sync of its own: file systems
        // with a journal write the name of a new file with the first sync of its content.
        owner.write_first(&directory.join(ENGINE))?;
        ExecutionJournal::create(
            directory.join(JOURNAL),
            execution,
            flow_source,
            hidden,
            self.durability,
            self.index(),
        )
    }

    /// Takes up an execution again. Fails with [`StateError::InUse`] while another process has it.
    pub fn resume(&self, id: &str, owner: &Owner) -> Result<(KeptExecution, ExecutionJournal)> {
        let directory = self.directory(id)?;
        let path = directory.join(JOURNAL);
        if !path.is_file() {
            return Err(self.not_found(id));
        }
        let reopened = ExecutionJournal::reopen(path, self.durability, self.index())?;
        let (kept, journal) = reopened.ok_or_else(|| self.not_found(id))?;
        owner.write(&directory.join(ENGINE))?;
        Ok((kept, journal))
    }

    /// The execution as last committed.
    pub fn load(&self, id: &str) -> Result<Option<Execution>> {
        Ok(journal::load(&self.directory(id)?.join(JOURNAL))?.map(|loaded| loaded.execution))
    }

    /// The state of an execution, to be looked at again and again.
    pub fn follow(&self, id: &str) -> Result<StateFollower> {
        Ok(StateFollower::new(self.directory(id)?.join(JOURNAL)))
    }

    /// Whether an execution is under way and the process that ran it is gone.
    pub fn is_interrupted(&self, execution: &Execution) -> Result<bool> {
        Ok(execution.is_under_way() && !self.owner(&execution.id)?.is_some_and(|owner| owner.is_alive()))
    }

    /// The same with what is not to be shown of it.
    pub fn load_kept(&self, id: &str) -> Result<Option<KeptExecution>> {
        let loaded = journal::load(&self.directory(id)?.join(JOURNAL))?;
        Ok(loaded.map(|loaded| KeptExecution { execution: loaded.execution, hidden: loaded.hidden }))
    }

    /// The source of the flow as it was run.
    pub fn flow_source(&self, id: &str) -> Result<Option<String>> {
        journal::flow_source(&self.directory(id)?.join(JOURNAL))
    }

    /// Every execution that can be read, newest first.
    pub fn list(&self) -> Result<Vec<Summary>> {
        Ok(self.list_all()?.executions)
    }

    /// Every execution, with those that cannot be read apart.
    pub fn list_all(&self) -> Result<Listing> {
        let index = self.index();
        let mut indexed = index.read()?;
        let lines = indexed.lines();
        let mut known: Vec<(u64, Summary)> = Vec::new();
        let mut listing = Listing::default();
        for id in self.ids()? {
            let path = self.root.join(&id).join(JOURNAL);
            // One that is just being made or deleted has no journal.
            let Ok(metadata) = fs::metadata(&path) else { continue };
            if let Some(summary) = indexed.take(&id, metadata.len()) {
                known.push((metadata.len(), summary));
                continue;
            }
            match journal::last_header(&path) {
                Ok(None) => {}
                Ok(Some((execution, length))) if execution.current().is_terminal() => {
                    let summary = Summary::of(&execution);
                    index.add(&summary, length);
                    known.push((length, summary));
                }
                Ok(Some((execution, _))) => {
                    let interrupted = self.is_interrupted(&execution)?;
                    listing.executions.push(Summary { interrupted, ..Summary::of(&execution) });
                }
                Err(error) => listing.unreadable.push((id, error)),
            }
        }
        index.tidy(lines, &known);
        listing.executions.extend(known.into_iter().map(|(_, summary)| summary));
        listing.executions.sort_by(|a, b| b.start_date.cmp(&a.start_date).then_with(|| b.id.cmp(&a.id)));
        Ok(listing)
    }

    /// The one execution whose id is, or begins with, `prefix`.
    pub fn find(&self, prefix: &str) -> Result<String> {
        check_id(prefix)?;
        let mut ids: Vec<String> = self.ids()?.into_iter().filter(|id| id.starts_with(prefix)).collect();
        if ids.iter().any(|id| id == prefix) {
            return Ok(prefix.to_owned());
        }
        match ids.len() {
            0 => Err(self.not_found(prefix)),
            1 => Ok(ids.remove(0)),
            count => {
                ids.sort_unstable();
                let examples = ids.iter().take(EXAMPLES).map(|id| format!("`{id}`")).collect();
                Err(StateError::Ambiguous { prefix: prefix.to_owned(), count, examples })
            }
        }
    }

    /// Deletes an execution with its logs and metrics; not what it keeps in internal storage. Returns whether there was
    /// one. Fails with [`StateError::InUse`] while a process has it.
    pub fn delete(&self, id: &str) -> Result<bool> {
        let directory = self.directory(id)?;
        let path = directory.join(JOURNAL);
        if !directory.is_dir() {
            return Ok(false);
        }
        // Held until the directory is gone. Without a journal it is what a crash left of a beginning.
        let _journal = path.is_file().then(|| ExecutionJournal::seize(&path)).transpose()?;
        // Out of sight first, so that nobody sees half of it.
        let hidden = self.root.join(format!(".deleted-{id}-{}", weft_model::new_id()));
        fs::rename(&directory, &hidden).map_err(|error| StateError::io("delete", &directory, error))?;
        fs::remove_dir_all(&hidden).map_err(|error| StateError::io("delete", &hidden, error))?;
        Ok(true)
    }

    /// Where the execution's log lines go. One writer for each execution, shared by all that log.
    pub fn log_writer(&self, id: &str) -> Result<LogWriter> {
        Ok(LogWriter::new(self.directory(id)?.join(LOGS)))
    }

    /// The execution's log from its beginning.
    pub fn log_reader(&self, id: &str) -> Result<LogReader> {
        Ok(LogReader::new(self.directory(id)?.join(LOGS)))
    }

    /// The execution's metrics.
    pub fn metrics(&self, id: &str) -> Result<MetricsFile> {
        Ok(MetricsFile::new(self.directory(id)?.join(METRICS)))
    }

    /// The process that runs the execution, or last did.
    pub fn owner(&self, id: &str) -> Result<Option<Owner>> {
        Ok(Owner::read(&self.directory(id)?.join(ENGINE)))
    }

    fn index(&self) -> Index {
        Index::new(self.root.join("index.jsonl"))
    }

    fn ids(&self) -> Result<Vec<String>> {
        Ok(disk::names(&self.root)?.into_iter().filter(|name| check_id(name).is_ok()).collect())
    }

    fn directory(&self, id: &str) -> Result<PathBuf> {
        check_id(id)?;
        Ok(self.root.join(id))
    }

    fn not_found(&self, id: &str) -> StateError {
        StateError::NotFound { id: id.to_owned(), directory: self.root.clone() }
    }
}

/// An id becomes the name of a directory, so nothing but letters and digits may be in it.
fn check_id(id: &str) -> Result<()> {
    if !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        Ok(())
    } else {
        Err(StateError::InvalidId { id: id.to_owned() })
    }
}
