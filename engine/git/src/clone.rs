//! One clone from beginning to end.

use std::cell::RefCell;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use git2::{
    AutotagOption, Direction, FetchOptions, Oid, Remote, RemoteCallbacks, Repository, RepositoryInitOptions,
};
use tokio::runtime::Handle;
use tokio::sync::watch;
use weft_network::Network;

use crate::checkout::checkout;
use crate::progress::{Pace, size};
use crate::session::Session;
use crate::submodules::Submodules;
use crate::url::{RepositoryUrl, Scheme};
use crate::{CloneRequest, GitError, Report, Target};

/// What was cloned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cloned {
    /// The commit that is checked out; none of a repository without any.
    pub commit: Option<String>,
    /// Its branch; none where it is checked out without one.
    pub branch: Option<String>,
    /// Whether earlier commits were left out.
    pub shallow: bool,
}

/// Clones a repository. Blocks; `runtime` drives the connections, and must be one that runs on other threads.
///
/// # Errors
/// With an error, the directory is as empty as it was before. `cancelled` turning true is one.
pub fn clone(
    request: &CloneRequest,
    network: &Network,
    runtime: Handle,
    cancelled: watch::Receiver<bool>,
    report: &mut dyn FnMut(Report),
) -> Result<Cloned, GitError> {
    let session = Arc::new(Session::new(network.clone(), request, runtime, cancelled)?);
    let place = Place::prepare(&request.directory, &request.ignored)?;
    let cloned = session.run(|| {
        let job = Job { session: &session, url: &session.origin, directory: &request.directory };
        let (repository, cloned) = job.clone(request, report)?;
        job.configure(&repository, request)?;
        if request.submodules {
            Submodules::of(&session, request.no_tags).clone(&repository, &session.origin, report)?;
        }
        Ok(cloned)
    });
    for note in session.notes.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        report(Report::Warning(note));
    }
    if cloned.is_ok() {
        place.keep();
    }
    cloned
}

/// The directory of a clone, empty again unless it is kept.
struct Place<'a> {
    directory: &'a Path,
    ignored: &'a [String],
    made: bool,
    kept: bool,
}

impl<'a> Place<'a> {
    fn prepare(directory: &'a Path, ignored: &'a [String]) -> Result<Self, GitError> {
        let shown = directory.display().to_string();
        let unusable =
            |error: std::io::Error| GitError::Checkout { url: shown.clone(), reason: error.to_string() };
        let made = match fs::read_dir(directory) {
            Ok(entries) => {
                for entry in entries {
                    let name = entry.map_err(unusable)?.file_name();
                    if !ignored.iter().any(|ignored| name == **ignored) {
                        return Err(GitError::NotEmpty(shown));
                    }
                }
                false
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(directory).map_err(unusable)?;
                true
            }
            Err(error) if error.kind() == ErrorKind::NotADirectory => return Err(GitError::NotEmpty(shown)),
            Err(error) => return Err(unusable(error)),
        };
        Ok(Self { directory, ignored, made, kept: false })
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // What cannot be removed is not worth a second error beside the first one.
        for entry in fs::read_dir(self.directory).into_iter().flatten().flatten() {
            if self.ignored.iter().any(|ignored| entry.file_name() == **ignored) {
                continue;
            }
            let path = entry.path();
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let _ = if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
        if self.made {
            let _ = fs::remove_dir(self.directory);
        }
    }
}

/// One repository to be cloned: the one that was asked for, or a submodule.
pub(crate) struct Job<'a> {
    pub(crate) session: &'a Arc<Session>,
    pub(crate) url: &'a RepositoryUrl,
    pub(crate) directory: &'a Path,
}

/// What is fetched, and what becomes of it.
struct Plan {
    refspecs: Vec<String>,
    depth: Option<u32>,
    head: Head,
}

enum Head {
    Branch(String),
    Tag(String),
    Commit(String),
}

impl Job<'_> {
    pub(crate) fn clone(
        &self,
        request: &CloneRequest,
        report: &mut dyn FnMut(Report),
    ) -> Result<(Repository, Cloned), GitError> {
        if self.url.scheme == Scheme::Local && !Path::new(&self.url.path).is_absolute() {
            let reason = "expected the whole path, which begins with `/`".to_owned();
            return Err(GitError::Url { url: self.url.to_string(), reason });
        }
        // Nothing of the machine's templates: they bring hooks.
        let mut options = RepositoryInitOptions::new();
        options.external_template(false);
        let repository =
            Repository::init_opts(self.directory, &options).map_err(|error| self.error(&error))?;
        let exclude = repository.path().join("info/exclude");
        // Without it, `git status` shows what the engine keeps there: no harm done.
        let _ = fs::create_dir_all(repository.path().join("info"));
        let _ =
            fs::write(exclude, request.ignored.iter().map(|name| format!("/{name}\n")).collect::<String>());
        let url = self.url.to_string();
        let mut remote = repository.remote("origin", &url).map_err(|error| self.error(&error))?;
        remote.connect(Direction::Fetch).map_err(|error| self.unreachable(&error))?;
        let heads: Vec<(String, Oid)> = remote
            .list()
            .map_err(|error| self.error(&error))?
            .iter()
            .map(|head| (head.name().to_owned(), head.oid()))
            .collect();
        if heads.is_empty() {
            if request.target != Target::Default {
                return Err(self.missing(&request.target, &heads));
            }
            report(Report::Warning(format!("the repository `{url}` is empty")));
            drop(remote);
            return Ok((repository, Cloned { commit: None, branch: None, shallow: false }));
        }
        let plan = self.plan(request, &remote, &heads)?;
        self.fetch(&mut remote, &plan, request.no_tags, report)?;
        drop(remote);
        let cloned = self.point_head(&repository, &plan, &request.target)?;
        checkout(&repository, &url, self.session, report)?;
        Ok((repository, cloned))
    }

    fn plan(
        &self,
        request: &CloneRequest,
        remote: &Remote<'_>,
        heads: &[(String, Oid)],
    ) -> Result<Plan, GitError> {
        let has = |name: &str| heads.iter().any(|(head, _)| head == name);
        let head = match &request.target {
            Target::Default => self.default_head(remote, heads)?,
            Target::Branch(name) if has(&format!("refs/heads/{name}")) => Head::Branch(name.clone()),
            // `branch` has always taken tags, too.
            Target::Branch(name) | Target::Tag(name) if has(&format!("refs/tags/{name}")) => {
                Head::Tag(name.clone())
            }
            Target::Commit(id)
                if (4..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
            {
                Head::Commit(id.to_ascii_lowercase())
            }
            target => return Err(self.missing(target, heads)),
        };
        const BRANCHES: &str = "+refs/heads/*:refs/remotes/origin/*";
        let mut refspecs = match &head {
            Head::Branch(_) if request.all_branches => vec![BRANCHES.to_owned()],
            Head::Branch(name) => vec![format!("+refs/heads/{name}:refs/remotes/origin/{name}")],
            Head::Tag(name) => vec![format!("+refs/tags/{name}:refs/tags/{name}")],
            Head::Commit(_) => vec![BRANCHES.to_owned(), "+refs/tags/*:refs/tags/*".to_owned()],
        };
        if request.all_branches && matches!(head, Head::Tag(_)) {
            refspecs.push(BRANCHES.to_owned());
        }
        // A commit or tag may lie anywhere in the history. libgit2 copies a repository of this machine as a whole, as
        // `git clone` does.
        let shallow = matches!(head, Head::Branch(_)) && self.url.scheme != Scheme::Local;
        Ok(Plan { refspecs, depth: request.depth.filter(|_| shallow), head })
    }

    /// The branch that the server calls its default, or whichever its HEAD stands on.
    fn default_head(&self, remote: &Remote<'_>, heads: &[(String, Oid)]) -> Result<Head, GitError> {
        if let Ok(name) = remote.default_branch()
            && let Ok(name) = name.as_str()
            && let Some(branch) = name.strip_prefix("refs/heads/")
        {
            return Ok(Head::Branch(branch.to_owned()));
        }
        let head = heads.iter().find(|(name, _)| name == "HEAD").map(|(_, id)| *id);
        match head {
            Some(id) => Ok(Head::Commit(id.to_string())),
            None => Err(GitError::Reference {
                what: "a default branch".to_owned(),
                url: self.url.to_string(),
                hint: format!("{}\nhint: name one with `branch`", known(heads, "refs/heads/")),
            }),
        }
    }

    fn fetch(
        &self,
        remote: &mut Remote<'_>,
        plan: &Plan,
        no_tags: bool,
        report: &mut dyn FnMut(Report),
    ) -> Result<(), GitError> {
        let (report, pace) = (RefCell::new(report), RefCell::new(Pace::new()));
        let mut said = String::new();
        let mut callbacks = RemoteCallbacks::new();
        callbacks.transfer_progress(|progress| {
            if pace.borrow_mut().is_due() {
                let (received, total) = (progress.received_objects(), progress.total_objects());
                let text = if received < total {
                    let bytes = size(progress.received_bytes());
                    format!("received {received} of {total} objects, {bytes}")
                } else {
                    format!("resolved {} of {} deltas", progress.indexed_deltas(), progress.total_deltas())
                };
                report.borrow_mut()(Report::Progress(text));
            }
            !self.session.is_cancelled()
        });
        callbacks.sideband_progress(|bytes| {
            said.push_str(&String::from_utf8_lossy(bytes));
            // A line that ends with a return is overwritten by the next one: what counts is the last of them.
            while let Some(end) = said.find('\n') {
                let line: String = said.drain(..=end).collect();
                let line = line.trim_end().rsplit('\r').next().unwrap_or_default().trim_end();
                if !line.is_empty() {
                    report.borrow_mut()(Report::Server(line.to_owned()));
                }
            }
            !self.session.is_cancelled()
        });
        let mut options = FetchOptions::new();
        options.remote_callbacks(callbacks).update_fetchhead(false).download_tags(if no_tags {
            AutotagOption::None
        } else {
            AutotagOption::Auto
        });
        if let Some(depth) = plan.depth {
            options.depth(i32::try_from(depth).unwrap_or(i32::MAX));
        }
        let fetched = remote.fetch(&plan.refspecs, Some(&mut options), Some("clone"));
        fetched.map_err(|error| self.unreachable(&error))
    }

    /// Makes HEAD stand for what was asked for.
    fn point_head(&self, repository: &Repository, plan: &Plan, target: &Target) -> Result<Cloned, GitError> {
        let error = |error: git2::Error| self.error(&error);
        let mut config = repository.config().map_err(error)?;
        config.set_str("remote.origin.fetch", &plan.refspecs[0]).map_err(error)?;
        let (commit, branch) = match &plan.head {
            Head::Branch(name) => {
                let tracking = format!("refs/remotes/origin/{name}");
                let id = repository.refname_to_id(&tracking).map_err(error)?;
                let local = format!("refs/heads/{name}");
                repository.reference(&local, id, true, "clone").map_err(error)?;
                repository.set_head(&local).map_err(error)?;
                config.set_str(&format!("branch.{name}.remote"), "origin").map_err(error)?;
                config.set_str(&format!("branch.{name}.merge"), &local).map_err(error)?;
                (id, Some(name.clone()))
            }
            Head::Tag(name) => {
                let reference = repository.find_reference(&format!("refs/tags/{name}")).map_err(error)?;
                (reference.peel_to_commit().map_err(error)?.id(), None)
            }
            Head::Commit(id) => {
                let found = repository.revparse_single(id).and_then(|object| object.peel_to_commit());
                (found.map_err(|_| self.missing(target, &[]))?.id(), None)
            }
        };
        if branch.is_none() {
            repository.set_head_detached(commit).map_err(error)?;
        }
        Ok(Cloned { commit: Some(commit.to_string()), branch, shallow: repository.is_shallow() })
    }

    fn configure(&self, repository: &Repository, request: &CloneRequest) -> Result<(), GitError> {
        if request.config.is_empty() {
            return Ok(());
        }
        let mut config = repository.config().map_err(|error| self.error(&error))?;
        for (key, value) in &request.config {
            config
                .set_str(key, value)
                .map_err(|error| GitError::Config { key: key.clone(), reason: error.message().to_owned() })?;
        }
        Ok(())
    }

    fn missing(&self, target: &Target, heads: &[(String, Oid)]) -> GitError {
        let (what, hint) = match target {
            Target::Default => ("a default branch".to_owned(), String::new()),
            Target::Branch(name) => (format!("branch `{name}`"), known(heads, "refs/heads/")),
            Target::Tag(name) => (format!("tag `{name}`"), known(heads, "refs/tags/")),
            Target::Commit(id) => (
                format!("commit `{id}`"),
                "\nhint: give the whole id, of a commit on one of its branches".to_owned(),
            ),
        };
        GitError::Reference { what, url: self.url.to_string(), hint }
    }

    fn error(&self, error: &git2::Error) -> GitError {
        self.session.explain(error, |error| GitError::Other {
            url: self.url.to_string(),
            reason: error.message().to_owned(),
        })
    }

    /// The same for what comes from the other side.
    fn unreachable(&self, error: &git2::Error) -> GitError {
        self.session.explain(error, |error| {
            let url = self.url.to_string();
            if self.url.scheme == Scheme::Local && !Path::new(&self.url.path).exists() {
                return GitError::NotFound { url, hint: String::new() };
            }
            GitError::Other { url, reason: error.message().to_owned() }
        })
    }
}

/// What there is of a kind, as a line to add to a message.
fn known(heads: &[(String, Oid)], prefix: &str) -> String {
    const SHOWN: usize = 10;
    let names: Vec<_> = heads
        .iter()
        .filter_map(|(name, _)| name.strip_prefix(prefix))
        .filter(|name| !name.ends_with("^{}"))
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len() {
        0 => "\nhint: it has none".to_owned(),
        n if n > SHOWN => format!("\nhint: there are {} and {} more", names[..SHOWN].join(", "), n - SHOWN),
        _ => format!("\nhint: there is {}", names.join(", ")),
    }
}
