//! Submodules: repositories that a repository names, cloned into it at the commits that it names.

use std::path::{Component, Path};
use std::sync::Arc;

use git2::Repository;

use crate::clone::Job;
use crate::session::Session;
use crate::url::{RepositoryUrl, Scheme};
use crate::{CloneRequest, GitError, Report, Target};

/// How deep submodules may have submodules.
const MAX_DEPTH: u32 = 8;
/// How many there may be in all.
const MAX_COUNT: u32 = 500;

/// The submodules of one clone.
pub(crate) struct Submodules<'a> {
    session: &'a Arc<Session>,
    no_tags: bool,
    count: u32,
}

impl<'a> Submodules<'a> {
    pub(crate) fn of(session: &'a Arc<Session>, no_tags: bool) -> Self {
        Self { session, no_tags, count: 0 }
    }

    /// Clones those of `repository`, which came from `origin`, and theirs.
    pub(crate) fn clone(
        mut self,
        repository: &Repository,
        origin: &RepositoryUrl,
        report: &mut dyn FnMut(Report),
    ) -> Result<(), GitError> {
        self.clone_all(repository, origin, 1, report)
    }

    fn clone_all(
        &mut self,
        repository: &Repository,
        origin: &RepositoryUrl,
        depth: u32,
        report: &mut dyn FnMut(Report),
    ) -> Result<(), GitError> {
        let Some(root) = repository.workdir() else { return Ok(()) };
        let submodules = repository.submodules().map_err(|error| GitError::Submodule {
            path: ".gitmodules".to_owned(),
            reason: error.message().to_owned(),
        })?;
        for submodule in submodules {
            // Named in `.gitmodules`, but not part of this commit.
            let Some(commit) = submodule.head_id() else { continue };
            let shown = submodule.path().display().to_string();
            let refused = |reason: String| GitError::Submodule { path: shown.clone(), reason };
            self.count += 1;
            if depth > MAX_DEPTH || self.count > MAX_COUNT {
                let reason =
                    format!("more than {MAX_COUNT} submodules, or more than {MAX_DEPTH} in each other");
                return Err(refused(reason));
            }
            let path = submodule.path();
            safe_path(root, path).map_err(&refused)?;
            let given = submodule.url().ok().flatten().unwrap_or_default();
            let url = resolved(given, origin).map_err(&refused)?;
            report(Report::Progress(format!("cloning submodule `{shown}` from `{url}`")));
            let directory = root.join(path);
            let job = Job { session: self.session, url: &url, directory: &directory };
            let request = CloneRequest {
                target: Target::Commit(commit.to_string()),
                no_tags: self.no_tags,
                ..CloneRequest::default()
            };
            let (inner, _) = job.clone(&request, report).map_err(|error| match error {
                GitError::Cancelled | GitError::Submodule { .. } => error,
                error => refused(error.to_string()),
            })?;
            self.clone_all(&inner, &url, depth + 1, report)?;
        }
        Ok(())
    }
}

/// Whether a submodule's path stays in the repository.
fn safe_path(root: &Path, path: &Path) -> Result<(), String> {
    let mut place = root.to_owned();
    for component in path.components() {
        let Component::Normal(name) = component else {
            return Err("its path leads out of the repository".to_owned());
        };
        if name.eq_ignore_ascii_case(".git") {
            return Err("its path leads into the repository's own `.git`".to_owned());
        }
        place.push(name);
        // It need not be there yet.
        if std::fs::symlink_metadata(&place).is_ok_and(|metadata| metadata.is_symlink()) {
            return Err("its path leads through a symbolic link".to_owned());
        }
    }
    Ok(())
}

/// Where a submodule comes from: its URL, which may be relative to that of the repository.
fn resolved(given: &str, origin: &RepositoryUrl) -> Result<RepositoryUrl, String> {
    if given.starts_with('-') {
        return Err(format!("`{given}` is no URL of a repository"));
    }
    if given.starts_with("./") || given.starts_with("../") {
        let mut base = origin.path.trim_end_matches('/');
        let mut rest = given;
        loop {
            if let Some(next) = rest.strip_prefix("./") {
                rest = next;
            } else if let Some(next) = rest.strip_prefix("../") {
                base = base
                    .rsplit_once('/')
                    .map(|(parent, _)| parent)
                    .ok_or_else(|| format!("`{given}` leads out of the server"))?;
                rest = next;
            } else {
                break;
            }
        }
        if rest.is_empty() || rest.split('/').any(|part| part == "..") {
            return Err(format!("`{given}` is no URL of a repository"));
        }
        return Ok(RepositoryUrl { path: format!("{base}/{rest}"), ..origin.clone() });
    }
    let url = RepositoryUrl::parse(given).map_err(|error| error.to_string())?;
    if url.scheme == Scheme::Local && origin.scheme != Scheme::Local {
        // A repository from elsewhere must not get at those of this machine.
        return Err(format!("`{given}` is a repository of this machine, which this one may not name"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_submodules() {
        for (origin, given, expected) in [
            ("https://h/a/b.git", "../c.git", Ok("https://h/a/c.git")),
            ("https://h/a/b.git", "./c.git", Ok("https://h/a/b.git/c.git")),
            ("https://h/a/b.git", "../../x/c", Ok("https://h/x/c")),
            ("https://h/a/b.git", "../../../../c", Err("leads out of the server")),
            ("https://h/a/b.git", "https://other/c", Ok("https://other/c")),
            ("git@h:a/b.git", "../c.git", Ok("git@h:a/c.git")),
            ("https://h/a/b.git", "file:///etc", Err("is a repository of this machine")),
            ("https://h/a/b.git", "/srv/c.git", Err("is a repository of this machine")),
            ("file:///srv/b.git", "/srv/c.git", Ok("file:///srv/c.git")),
            ("https://h/a/b.git", "-u./payload", Err("is no URL of a repository")),
            ("https://h/a/b.git", "ext::sh -c id", Err("is no URL of a repository")),
            ("https://h/a/b.git", "ssh://-oProxyCommand=id/x", Err("is no URL of a repository")),
            ("https://h/a/b.git", "../x/../y", Err("is no URL of a repository")),
            ("https://h/a/b.git", "", Err("is no URL of a repository")),
        ] {
            let result = resolved(given, &RepositoryUrl::parse(origin).unwrap()).map(|url| url.to_string());
            match (&result, expected) {
                (Ok(url), Ok(expected)) => assert_eq!(url, expected, "{given}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{given}: {error}"),
                _ => panic!("{given}: {result:?}"),
            }
        }
    }

    #[test]
    fn paths_of_submodules_stay_inside() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("sub")).unwrap();
        std::os::unix::fs::symlink("/tmp", root.path().join("link")).unwrap();
        for (path, safe) in [
            ("sub/lib", true),
            ("../x", false),
            ("/x", false),
            ("a/.GIT/x", false),
            ("link/x", false),
            ("link", false),
        ] {
            assert_eq!(safe_path(root.path(), Path::new(path)).is_ok(), safe, "{path}");
        }
    }
}
