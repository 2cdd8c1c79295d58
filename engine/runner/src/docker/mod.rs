//! Containers: started, watched, and removed with everything in them.
//!
//! Owns everything that speaks to a daemon: finding it, pulling images, credentials, creating, attaching, signals, the
//! containers that tasks of one directory share, copying files where they cannot be mounted, caches of downloads, labels,
//! and the removal of what engines left behind that were killed. It hands over lines and exits in the same words as
//! processes do, and knows nothing of plugins and flows.
//!
//! `endpoint`, `daemon`, `transport`: which daemon, and the connection. `credentials`, `image`, `pull`: images. `create`, `size`: from
//! options to what is created. `start`, `supervise`, `pump`: the life of a container. `keeper`, `sentinel`, `shelf`:
//! containers for several tasks. `archive`, `ownership`, `helper`: files. `caches`: downloads. `remains`, `marks`,
//! `orphans`: that nothing is left.

mod archive;
mod caches;
mod create;
mod credentials;
mod daemon;
mod endpoint;
mod error;
mod helper;
mod image;
mod keeper;
mod marks;
mod orphans;
mod ownership;
mod pull;
mod pump;
mod remains;
mod sentinel;
mod settings;
mod shelf;
mod size;
mod start;
mod supervise;
mod transport;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{OnceCell, Semaphore, mpsc, watch};
use weft_contract::container::Options;
use weft_files::workdir::Directory;
use weft_network::Network;

use self::daemon::Daemon;
use self::endpoint::{Address, Machine, NamedBy};
pub use self::error::ContainerError;
use self::marks::OwnMark;
use self::remains::Tracker;
pub use self::settings::DockerSettings;
pub use self::shelf::Shelf;
use crate::{Command, Exit, LineSink};

/// The label with the engine that a container belongs to.
const ENGINE_LABEL: &str = "io.weft.engine";
/// The label with the engine's process.
const OWNER_LABEL: &str = "io.weft.owner";
/// The label with [`Command::marker`].
const TASK_LABEL: &str = "io.weft.task";
/// The label of a container that goes on without the engine (`wait: false`).
const DETACHED_LABEL: &str = "io.weft.detached";
/// The label of a container that is not removed (`delete: false`).
const KEPT_LABEL: &str = "io.weft.kept";

/// How much what is said about a container matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// For finding a fault.
    Debug,
    /// What happens.
    Info,
    /// What may be wrong.
    Warn,
}

/// Where goes what is said about a container, beside its output: pulling, waiting, what was given up.
pub type Notes = Arc<dyn Fn(Importance, &str) + Send + Sync>;

/// What to run in a container.
#[derive(Debug, Clone)]
pub struct ContainerCommand {
    /// The image, as written.
    pub image: String,
    /// How the container is run.
    pub options: Options,
    /// What runs in it. Its variables are all that the program sees besides the image's own; its `cwd` is in `directory`.
    pub command: Command,
    /// The working directory, which is there in the container under the same path.
    pub directory: Directory,
    /// Names of folders in it that every user of the container may write to, as to the working directory itself.
    pub shared: Vec<String>,
    /// What a person would call it, for the container's name.
    pub name: String,
    /// Labels, besides those of the engine itself.
    pub labels: Vec<(String, String)>,
}

/// Runs containers. Cheap to clone. It asks no daemon before it is asked for a container.
#[derive(Clone)]
pub struct Docker {
    core: Arc<Core>,
}

struct Core {
    settings: DockerSettings,
    /// Under whose rules flows may name other daemons.
    network: Network,
    /// Each connected to once, by whoever wants it first; those who want another one do not wait for that.
    daemons: Mutex<HashMap<(Address, NamedBy), Connecting>>,
    /// Permits to have a task running in a container.
    slots: Arc<Semaphore>,
    tracker: Tracker,
    mark: Option<OwnMark>,
    runtime: Handle,
}

/// A daemon that somebody may be connecting to.
type Connecting = Arc<OnceCell<Arc<Daemon>>>;

/// A task in a container.
///
/// Its output is passed on whether or not somebody waits for it. Dropping it ends it at once, and removes the container.
#[derive(Debug)]
pub struct Container {
    signals: mpsc::UnboundedSender<i32>,
    exit: watch::Receiver<Option<Result<Exit, ContainerError>>>,
}

impl Docker {
    /// Must be called in a tokio runtime, which must go on for as long as there are containers.
    pub fn new(settings: DockerSettings, network: Network) -> Self {
        let mark = settings.marks.as_ref().map(|folder| OwnMark::new(folder, &settings.owner));
        let slots = Arc::new(Semaphore::new(settings.max_containers.clamp(1, Semaphore::MAX_PERMITS)));
        let core = Core {
            settings,
            network,
            daemons: Mutex::default(),
            slots,
            tracker: Tracker::default(),
            mark,
            runtime: Handle::current(),
        };
        Self { core: Arc::new(core) }
    }

    /// Starts a task in a container. With a shelf, it may be in one that an earlier task has used, and may be used by a
    /// later one. Giving up while it starts leaves nothing behind.
    pub async fn run(
        &self,
        command: ContainerCommand,
        shelf: Option<&Arc<Shelf>>,
        notes: Notes,
        sink: impl LineSink + 'static,
    ) -> Result<Container, ContainerError> {
        start::start(&self.core, command, shelf, notes, Box::new(sink)).await
    }

    /// Waits until everything that was to be removed is gone, for a while.
    pub async fn settle(&self) {
        if self.core.tracker.settle().await
            && let Some(mark) = &self.core.mark
        {
            mark.clear();
        }
    }
}

impl Core {
    /// The connection to the daemon that a task wants.
    async fn daemon(&self, host: Option<&str>) -> Result<Arc<Daemon>, ContainerError> {
        let (address, named_by) = endpoint::find(host, &self.settings, &Machine)?;
        let key = (address.clone(), named_by);
        let cell = {
            let mut daemons = self.daemons.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(daemons.entry(key).or_default())
        };
        let rules = (named_by == NamedBy::Flow).then_some(&self.network);
        let connect = || async { Daemon::connect(address, rules).await.map(Arc::new) };
        cell.get_or_try_init(connect).await.map(Arc::clone)
    }
}

/// The end of a task in a container, for whoever does not hold the [`Container`].
#[derive(Debug, Clone)]
pub struct ContainerEnd(watch::Receiver<Option<Result<Exit, ContainerError>>>);

impl ContainerEnd {
    /// Waits until the task has ended and its files are where they belong.
    pub async fn wait(mut self) {
        // A supervisor that is gone has ended, too.
        let _ = self.0.wait_for(Option::is_some).await;
    }
}

impl Container {
    /// Its end.
    pub fn end(&self) -> ContainerEnd {
        ContainerEnd(self.exit.clone())
    }

    /// Waits until the task has ended and all its output has been handed over. It may be called again, and given up at
    /// any time.
    pub async fn wait(&self) -> Result<Exit, ContainerError> {
        let mut exit = self.exit.clone();
        let exit = exit.wait_for(Option::is_some).await.map_err(|_| ContainerError::Lost)?;
        (*exit).clone().unwrap_or(Err(ContainerError::Lost))
    }

    /// Ends it: sends the signal to everything in the container, and SIGKILL to what is left after the grace period. With
    /// SIGKILL there is no such delay. It does nothing once the task has ended.
    pub fn kill(&self, signal: i32) -> Result<(), ContainerError> {
        if !(1..=64).contains(&signal) {
            return Err(ContainerError::Signal { signal, reason: "there is no such signal".to_owned() });
        }
        // Nobody listens any more: it has ended.
        let _ = self.signals.send(signal);
        Ok(())
    }
}
