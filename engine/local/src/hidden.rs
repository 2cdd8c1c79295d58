//! What of an execution is not to be shown, beyond the process that opened it: secrets that became known while it ran are kept
//! in its journal, each encrypted with the installation's key, and whoever shows the execution later masks them.

use std::fs::File;

use weft_model::{Execution, LogEntry, Metric, TaskRun};
use weft_state::{ExecutionJournal, KeptExecution, Mask};
use weft_worker::{LineMasker, Masker, Vault};

use crate::{Layout, LocalError};

/// A journal that keeps with each commit what has become known until then: nothing is ever in it in the clear without the
/// word that it is to be hidden.
pub(crate) struct HidingJournal {
    journal: ExecutionJournal,
    masker: Masker,
    vault: Vault,
    /// How many of the masker's secrets are in the journal.
    sealed: usize,
}

impl HidingJournal {
    /// A journal that has the first `sealed` secrets of `masker` already.
    pub fn new(journal: ExecutionJournal, masker: &Masker, vault: &Vault, sealed: usize) -> Self {
        Self { journal, masker: masker.clone(), vault: vault.clone(), sealed }
    }

    /// Whether something has become known since the last commit.
    pub fn has_news(&self) -> bool {
        self.masker.count() > self.sealed
    }

    /// See [`ExecutionJournal::commit`].
    pub fn commit(&mut self, header: Option<&Execution>, task_runs: &[&TaskRun]) -> Result<(), LocalError> {
        self.seal()?;
        Ok(self.journal.commit(header, task_runs)?)
    }

    /// See [`ExecutionJournal::replace`].
    pub fn replace(&mut self, execution: &Execution) -> Result<(), LocalError> {
        self.seal()?;
        Ok(self.journal.replace(execution)?)
    }

    /// See [`ExecutionJournal::sync_handle`].
    pub fn sync_handle(&self) -> Result<File, LocalError> {
        Ok(self.journal.sync_handle()?)
    }

    fn seal(&mut self) -> Result<(), LocalError> {
        if self.has_news() {
            let sealed = sealed(&self.masker, self.sealed, &self.vault)?;
            self.sealed += sealed.len();
            self.journal.hide(sealed);
        }
        Ok(())
    }
}

/// What a masker hides, but for the first `count` texts, each encrypted.
pub(crate) fn sealed(masker: &Masker, count: usize, vault: &Vault) -> Result<Vec<String>, LocalError> {
    let texts = masker.since(count);
    Ok(texts.iter().map(|text| vault.encrypt(text)).collect::<Result<_, _>>()?)
}

/// Hides what [`sealed`] gave, from now on.
///
/// # Errors
/// When it was encrypted with another key.
pub(crate) fn hide(hidden: &[String], masker: &Masker, vault: &Vault) -> Result<(), LocalError> {
    for text in hidden {
        masker.add(&vault.decrypt(text)?);
    }
    Ok(())
}

/// Opens what is kept of executions, to show them without it.
#[derive(Debug, Clone)]
pub struct Veil {
    vault: Vault,
}

impl Veil {
    pub(crate) fn new(vault: Vault) -> Self {
        Self { vault }
    }

    /// For a data directory, with the configured key or the one that is kept there.
    pub fn of(layout: &Layout, encryption_key: Option<String>) -> Self {
        Self::new(Vault::new(encryption_key, layout.encryption_key()))
    }

    /// What hides the given sealed texts, as an execution or a trigger keeps them.
    ///
    /// # Errors
    /// When they were encrypted with another key: then nobody can say what is to be hidden.
    pub fn masker(&self, hidden: &[String]) -> Result<Masker, LocalError> {
        let masker = Masker::default();
        hide(hidden, &masker, &self.vault)?;
        Ok(masker)
    }

    /// What masks an execution for an export; none where that cannot be known.
    pub fn mask(&self, kept: &KeptExecution) -> Option<Box<dyn Mask>> {
        let masker = self.masker(&kept.hidden).ok()?;
        Some(Box::new(Exported { lines: masker.lines(), masker }))
    }
}

/// The records of one execution on their way out.
struct Exported {
    masker: Masker,
    lines: LineMasker,
}

impl Mask for Exported {
    fn execution(&mut self, execution: &mut Execution) {
        self.masker.mask_execution(execution);
    }

    fn line(&mut self, entry: &mut LogEntry) {
        if let std::borrow::Cow::Owned(masked) = self.lines.mask(entry.message.as_bytes()) {
            entry.message = String::from_utf8_lossy(&masked).into_owned();
        }
    }

    fn metric(&mut self, metric: &mut Metric) {
        self.masker.mask_metric(metric);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_hidden_again_and_another_key_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::new(None, dir.path().join("key"));
        let masker = Masker::default();
        masker.add_all(["first secret", "second secret"]);
        let kept = sealed(&masker, 1, &vault).unwrap();
        assert!(kept.len() == 1 && !kept[0].contains("secret"), "{kept:?}");
        let again = Veil::new(vault).masker(&kept).unwrap();
        assert_eq!(again.mask("first secret, second secret"), "first secret, ******");
        let other = Veil::new(Vault::new(None, dir.path().join("other")));
        assert!(matches!(other.masker(&kept), Err(LocalError::Encryption(_))));
        assert!(other.masker(&[]).unwrap().is_empty());
    }
}
