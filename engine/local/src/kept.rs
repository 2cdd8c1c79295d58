//! How an execution is kept while it runs: marked, with a journal that nobody else can write.

use std::sync::Arc;

use weft_executor::Machine;
use weft_model::Execution;
use weft_state::{ExecutionJournal, KeptExecution, RunningMark, StateError};
use weft_worker::ExecutionScope;

use crate::execution::{Driver, Held};
use crate::hidden::{HidingJournal, hide, sealed};
use crate::local::Inner;
use crate::records::ExecutionRecords;
use crate::{FlowSource, LocalError};

impl Inner {
    /// Keeps an execution that is new: marked before there is anything of it, so that whatever happens from here on, it
    /// has an end. Nothing is left if this fails.
    pub(crate) fn begin(
        self: &Arc<Self>,
        machine: Machine,
        source: &str,
        records: Arc<ExecutionRecords>,
        scope: ExecutionScope,
        flows: FlowSource,
    ) -> Result<Driver, LocalError> {
        let id = machine.execution().id.clone();
        let mark = self.running.mark(&id, &self.owner)?;
        self.begin_marked(machine, source, records, scope, flows, mark).inspect_err(|error| {
            // What cannot be removed now is removed by the next start, which finds the mark. What another has made under
            // this id is not ours.
            let is_ours = !matches!(error, LocalError::State(StateError::Exists { .. }));
            if is_ours && self.store.delete(&id).is_ok() {
                self.running.clear(&id);
            }
        })
    }

    fn begin_marked(
        self: &Arc<Self>,
        machine: Machine,
        source: &str,
        records: Arc<ExecutionRecords>,
        scope: ExecutionScope,
        flows: FlowSource,
        mut mark: RunningMark,
    ) -> Result<Driver, LocalError> {
        let journal = self.journal(machine.execution(), source, &scope)?;
        mark.confirm(&self.owner)?;
        Driver::new(Arc::clone(self), machine, Held { journal, mark }, records, scope, flows)
    }

    /// Opens a kept execution for more: nobody else has it from here on, and it is marked as running.
    pub(crate) fn hold(&self, id: &str, scope: &ExecutionScope) -> Result<(Execution, Held), LocalError> {
        let kept = self.store.resume(id, &self.owner)?;
        let mark = self.running.mark(id, &self.owner)?;
        let (execution, journal) = self.open_kept(kept, scope)?;
        Ok((execution, Held { journal, mark }))
    }

    /// Keeps a new execution.
    fn journal(
        &self,
        execution: &Execution,
        flow_source: &str,
        scope: &ExecutionScope,
    ) -> Result<HidingJournal, LocalError> {
        let hidden = sealed(&scope.masker, 0, &self.vault)?;
        let journal = self.store.create_hiding(execution, flow_source, &hidden, &self.owner)?;
        Ok(HidingJournal::new(journal, &scope.masker, &self.vault, hidden.len()))
    }

    /// Hides what is not to be shown of an execution that was kept, and goes on with its journal.
    fn open_kept(
        &self,
        (kept, journal): (KeptExecution, ExecutionJournal),
        scope: &ExecutionScope,
    ) -> Result<(Execution, HidingJournal), LocalError> {
        let known = scope.masker.count();
        hide(&kept.hidden, &scope.masker, &self.vault)?;
        // What was known before may be missing in the journal.
        let sealed = if known == 0 { scope.masker.count() } else { 0 };
        Ok((kept.execution, HidingJournal::new(journal, &scope.masker, &self.vault, sealed)))
    }
}
