//! What one clone's transports share, and how libgit2's callbacks find it.

use std::cell::RefCell;
use std::future::Future;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use git2::transport::Transport;
use tokio::runtime::Handle;
use tokio::sync::watch;
use weft_network::{ClientOptions, Network, NetworkError, ProxyChoice, Timeouts};

use crate::http::HttpTransport;
use crate::ssh::SshTransport;
use crate::url::RepositoryUrl;
use crate::{CloneRequest, Credentials, GitError};

/// One clone.
pub(crate) struct Session {
    pub(crate) network: Network,
    pub(crate) origin: RepositoryUrl,
    credentials: Credentials,
    pub(crate) client: ClientOptions,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeouts: Timeouts,
    runtime: Handle,
    cancelled: watch::Receiver<bool>,
    /// What a transport failed with: libgit2 only passes on a text.
    error: Mutex<Option<GitError>>,
    /// Words for the log, from wherever they come.
    pub(crate) notes: Mutex<Vec<String>>,
}

thread_local! {
    /// The clone that this thread is busy with. libgit2 makes transports on the thread that fetches.
    static CURRENT: RefCell<Option<Arc<Session>>> = const { RefCell::new(None) };
}

impl Session {
    pub(crate) fn new(
        network: Network,
        request: &CloneRequest,
        runtime: Handle,
        cancelled: watch::Receiver<bool>,
    ) -> Result<Self, GitError> {
        let origin = RepositoryUrl::parse(&request.url)?;
        let usual = network.options();
        let silence = request.read_timeout.unwrap_or(usual.read_timeout);
        let connect_timeout = request.connect_timeout.unwrap_or(usual.connect_timeout);
        // What is in the URL is what was given, unless something else was.
        let credentials = Credentials {
            username: request.credentials.username.clone().or_else(|| origin.user.clone()),
            password: request.credentials.password.clone().or_else(|| origin.password.clone()),
            ..request.credentials.clone()
        };
        Ok(Self {
            client: ClientOptions {
                ca_pem: request.ca_pem.clone(),
                proxy: if request.no_proxy { ProxyChoice::Direct } else { ProxyChoice::Configured },
                connect_timeout: Some(connect_timeout),
                ..ClientOptions::default()
            },
            network,
            origin,
            credentials,
            connect_timeout,
            timeouts: Timeouts { first_byte: silence, between_bytes: silence },
            runtime,
            cancelled,
            error: Mutex::default(),
            notes: Mutex::default(),
        })
    }

    /// Who asks at `url`: the credentials are for the host that they were given for.
    pub(crate) fn credentials_for(&self, url: &RepositoryUrl) -> Credentials {
        if self.origin.shares_credentials_with(url) {
            self.credentials.clone()
        } else {
            Credentials::default()
        }
    }

    /// Waits for `work` on this thread, unless the task is asked to stop.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = Result<T, GitError>>) -> Result<T, GitError> {
        let mut cancelled = self.cancelled.clone();
        self.runtime.block_on(async {
            let stop = async {
                // A closed channel means that nobody can ask any more.
                if cancelled.wait_for(|asked| *asked).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                biased;
                () = stop => Err(GitError::Cancelled),
                result = work => result,
            }
        })
    }

    /// Lets `work` go on beside this thread.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        *self.cancelled.borrow()
    }

    /// Notes a line for the log. Submodules are often on the same host as their repository: what is said of it is said
    /// once.
    pub(crate) fn note(&self, text: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.contains(&text) {
            notes.push(text);
        }
    }

    /// Remembers an error, and gives the text of it to libgit2.
    pub(crate) fn fail(&self, error: GitError) -> git2::Error {
        let text = error.to_string();
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        git2::Error::from_str(&text)
    }

    /// The same for a stream.
    pub(crate) fn fail_io(&self, error: GitError) -> std::io::Error {
        std::io::Error::other(self.fail(error).message().to_owned())
    }

    /// The error behind one of libgit2, if a transport knows better.
    pub(crate) fn explain(
        &self,
        error: &git2::Error,
        otherwise: impl FnOnce(&git2::Error) -> GitError,
    ) -> GitError {
        let own = self.error.lock().unwrap_or_else(PoisonError::into_inner).take();
        if self.is_cancelled() {
            return GitError::Cancelled;
        }
        own.unwrap_or_else(|| otherwise(error))
    }

    /// Does `work` with libgit2's transports bound to this session.
    pub(crate) fn run<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        prepare_libgit2();
        CURRENT.with_borrow_mut(|current| *current = Some(Arc::clone(self)));
        let result = work();
        CURRENT.with_borrow_mut(|current| *current = None);
        result
    }
}

impl From<&NetworkError> for GitError {
    fn from(error: &NetworkError) -> Self {
        Self::Network(error.clone())
    }
}

/// Settings of the whole process, made at the first clone: nothing of it costs anything before.
fn prepare_libgit2() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        use git2::ConfigLevel::{Global, ProgramData, System, XDG};
        for level in [System, XDG, Global, ProgramData] {
            // SAFETY: nothing else in this process uses libgit2 before this function has been called once. A clone is
            // the same on every machine: what somebody's `~/.gitconfig` says has no place in it.
            let _ = unsafe { git2::opts::set_search_path(level, "") };
        }
        // Objects were checked as they came in; reading them back does not check them again.
        git2::opts::strict_hash_verification(false);
        let current = || {
            CURRENT
                .with_borrow(Clone::clone)
                .ok_or_else(|| git2::Error::from_str("no clone is under way on this thread"))
        };
        for scheme in ["http", "https"] {
            // SAFETY: as above; libgit2 wants no transport to be made meanwhile.
            let _ = unsafe {
                git2::transport::register(scheme, move |remote| {
                    Transport::smart(remote, true, HttpTransport::new(current()?))
                })
            };
        }
        // SAFETY: as above.
        let _ = unsafe {
            git2::transport::register("ssh", move |remote| {
                Transport::smart(remote, false, SshTransport::new(current()?))
            })
        };
    });
}
