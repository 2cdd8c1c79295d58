//! Directories that attempts work in, and what a `WorkingDirectory` does with its own before and after its tasks.

use std::sync::Arc;

use serde_json::Value;
use weft_files::ExecutionFiles;
use weft_files::workdir::{Directory, Loan, Workspace};
use weft_model::{Failure, FileHandling, Map, TaskRunRequest};
use weft_runner::Shelf;

use super::{ExecutionScope, Worker, texts};
use crate::directory_cache::DirectoryCache;
use crate::records::TaskLog;
use crate::{namespace_files, render, staging};

/// The directory of a `WorkingDirectory` task run, its cache, and the containers that wait for its next task.
pub(super) struct OpenDirectory {
    pub(super) execution_id: String,
    shelf: Arc<Shelf>,
    cache: Option<DirectoryCache>,
    pub(super) workspace: Arc<Workspace>,
}

/// Where an attempt works.
pub(super) enum Place {
    /// In a directory of its own.
    Own(Loan),
    /// In that of a `WorkingDirectory`, where containers wait for the next task.
    Shared(Arc<Workspace>, Arc<Shelf>),
}

impl Place {
    pub(super) fn directory(&self) -> Result<Directory, Failure> {
        match self {
            Self::Own(loan) => Ok(loan.directory().clone()),
            Self::Shared(workspace, _) => current(workspace),
        }
    }

    /// Whether nobody has left anything in it, and never will. Asked when the attempt's processes have ended.
    pub(super) fn is_untouched(&mut self) -> bool {
        match self {
            Self::Own(loan) => loan.is_untouched(),
            Self::Shared(..) => false,
        }
    }

    pub(super) fn shelf(&self) -> Option<Arc<Shelf>> {
        match self {
            Self::Own(_) => None,
            Self::Shared(_, shelf) => Some(Arc::clone(shelf)),
        }
    }
}

/// The directory of a `WorkingDirectory`: an earlier task may have removed it and made it anew.
fn current(workspace: &Workspace) -> Result<Directory, Failure> {
    workspace
        .directory()
        .renewed()
        .ok_or_else(|| Failure::new("worker.directory", "the working directory is gone"))
}

impl Worker {
    /// Where an attempt works: in the directory of the `WorkingDirectory` around it, or in one of its own.
    pub(super) fn place_of(&self, request: &TaskRunRequest, has_output: bool) -> Result<Place, Failure> {
        let Some(owner) = &request.directory else {
            let loan = self.pool.take(has_output).map_err(|error| staging::storage_failure(&error))?;
            return Ok(Place::Own(loan));
        };
        self.open_directories()
            .get(owner)
            .map(|open| Place::Shared(Arc::clone(&open.workspace), Arc::clone(&open.shelf)))
            .ok_or_else(|| Failure::new("worker.directory", "the working directory is gone"))
    }

    pub(super) async fn open_directory(
        &self,
        request: &TaskRunRequest,
        files: &FileHandling,
        scope: &ExecutionScope,
        log: &TaskLog,
    ) -> Result<Map, Failure> {
        let workspace = Arc::new(
            Workspace::create(&self.options.temp).map_err(|error| staging::storage_failure(&error))?,
        );
        let (directory, storage) = (workspace.directory(), &self.options.storage);
        let env = self.environment(&request.namespace, scope);
        let path = weft_expr::Value::from(directory.path().to_string_lossy().into_owned());
        let context = render::overlay(&request.context, [("workingDir", path)]);
        let with = (&context, &env as &dyn weft_expr::Environment);
        let cache = match &files.cache {
            Some(cache) => DirectoryCache::restore(cache, request, (directory, storage), with, log).await?,
            None => None,
        };
        let namespace = request.namespace.as_str();
        if let Some(value) = &files.namespace_files {
            let place = ("namespaceFiles", namespace);
            namespace_files::put(value, place, directory, storage, with, log).await?;
        }
        if let Some(value) = &files.input_files {
            staging::put_input_files(value, ("inputFiles", &env.reach), directory, storage, with).await?;
        }
        let (execution_id, shelf) = (request.execution_id.clone(), Shelf::new());
        let directory = OpenDirectory { execution_id, shelf, cache, workspace };
        self.open_directories().insert(request.task_run_id.clone(), directory);
        Ok(Map::new())
    }

    pub(super) async fn close_directory(
        &self,
        request: &TaskRunRequest,
        files: &FileHandling,
        scope: &ExecutionScope,
        log: &TaskLog,
    ) -> Result<Map, Failure> {
        let directory = self.open_directories().remove(&request.task_run_id);
        // None: the engine was restarted meanwhile, and the directory went with it.
        let Some(OpenDirectory { shelf, cache, workspace, .. }) = directory else { return Ok(Map::new()) };
        // Containers are removed while files are collected.
        drop(shelf);
        let outputs = match &files.output_files {
            Some(globs) => self.take_from_directory(request, globs, workspace.directory(), scope).await,
            None => Ok(Map::new()),
        };
        if let Some(cache) = cache {
            cache.save(workspace.directory(), log).await;
        }
        outputs
    }

    async fn take_from_directory(
        &self,
        request: &TaskRunRequest,
        globs: &Value,
        directory: &Directory,
        scope: &ExecutionScope,
    ) -> Result<Map, Failure> {
        let env = self.environment(&request.namespace, scope);
        let schema = crate::schema::Schema::root(&Value::Null);
        let globs = texts(&render::property(globs, schema, "outputFiles", &request.context, &env)?);
        let files = ExecutionFiles::new(&request.namespace, &request.flow_id, &request.execution_id)
            .and_then(|files| files.task_run(&request.task_id, &request.task_run_id))
            .map_err(|error| staging::storage_failure(&error))?;
        let storage = &self.options.storage;
        let uris = staging::take_output_files(&globs, "outputFiles", directory, &files, storage).await?;
        Ok(Map::from_iter([("outputFiles".to_owned(), Value::Object(uris))]))
    }
}
