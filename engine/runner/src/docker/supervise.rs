//! Sees a task in a container to its end: output, time limit, signals, a daemon that goes away, what it leaves.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bollard::errors::Error as ApiError;
use bollard::exec::{CreateExecOptions, StartExecOptions};
use bollard::models::{ContainerState, ContainerStateStatusEnum};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, InspectContainerOptions, KillContainerOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use weft_files::workdir::Directory;

use super::caches::{self, Cache};
use super::daemon::Daemon;
use super::error::{is_connection, is_gone, reason};
use super::pump::{Frames, Pump, Read};
use super::remains::{Remains, Ticket};
use super::shelf::{Kept, Shelf};
use super::start::short;
use super::{ContainerError, Core, Importance, Notes, archive, keeper, ownership};
use crate::Exit;

/// How long the end of a killed container is waited for.
const KILL_LIMIT: Duration = Duration::from_secs(20);
/// How long output may pause when the task has ended: the daemon may still have some, but somebody who has nothing to do
/// with the task may also hold its pipe open.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);
/// How long a daemon that has gone away is waited for.
const RETURN_LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at whether it is back.
const RETURN_PAUSE: Duration = Duration::from_millis(500);
/// How long the daemon may take to say that a container which was killed had no memory left.
const OUT_OF_MEMORY_LIMIT: Duration = Duration::from_secs(1);
/// Between two looks at whether it says so.
const OUT_OF_MEMORY_PAUSE: Duration = Duration::from_millis(50);
/// Longer than any engine runs, and short enough for instants to be calculated.
const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// Where the task runs.
pub(super) enum Place {
    /// In a container of its own.
    Own { remains: Remains },
    /// In one that others use before and after it: as its first task, or by `exec`.
    Kept { kept: Kept, shelf: Weak<Shelf>, exec: Option<String> },
}

impl Place {
    fn id(&self) -> &str {
        match self {
            Self::Own { remains } | Self::Kept { kept: Kept { remains, .. }, .. } => &remains.id,
        }
    }
}

/// What is to be done, or known, when it has ended.
pub(super) struct Finish {
    pub(super) image: String,
    pub(super) program: String,
    /// The bound on memory, as written.
    pub(super) memory: Option<String>,
    pub(super) directory: Directory,
    /// Whether the directory must be copied out.
    pub(super) copied: bool,
    pub(super) delete: bool,
    pub(super) caches: Vec<Cache>,
}

/// The one task that watches a container.
pub(super) struct Supervisor {
    core: Arc<Core>,
    daemon: Arc<Daemon>,
    place: Place,
    finish: Finish,
    timeout: Option<Instant>,
    grace: Duration,
    notes: Notes,
    _slot: Option<OwnedSemaphorePermit>,
    _ticket: Ticket,
}

/// How far it is from its end. Each instant is when the next phase begins.
#[derive(Clone, Copy)]
enum Phase {
    /// It has its time, if that is limited.
    Running(Option<Instant>),
    /// It was asked to end.
    Asked(Instant),
    /// It was killed.
    Killed(Instant),
}

/// How the main process ended.
#[derive(Debug, Clone)]
struct End {
    /// Its exit code, if anybody knows.
    code: Option<i32>,
    /// The daemon was away meanwhile.
    daemon_lost: bool,
}

/// What the watching came to.
struct Watched {
    end: Option<End>,
    timed_out: bool,
    /// It was asked to end before it did.
    killed: bool,
    /// It was ended by force.
    forced: bool,
}

impl Supervisor {
    pub(super) fn new(
        core: Arc<Core>,
        daemon: Arc<Daemon>,
        place: Place,
        finish: Finish,
        (timeout, grace): (Option<Duration>, Duration),
        notes: Notes,
        slot: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let timeout = timeout.map(|timeout| Instant::now() + timeout.min(FOR_EVER));
        let ticket = core.tracker.ticket();
        let grace = grace.min(FOR_EVER);
        Self { core, daemon, place, finish, timeout, grace, notes, _slot: slot, _ticket: ticket }
    }

    /// Sends the exit when everything is over; nothing if the output could not be taken.
    pub(super) async fn run(
        self,
        mut frames: Frames,
        mut pump: Pump,
        mut requests: mpsc::UnboundedReceiver<i32>,
        exit: watch::Sender<Option<Result<Exit, ContainerError>>>,
    ) {
        let watched = self.watch(&mut frames, &mut pump, &mut requests).await;
        pump.finish();
        let judged = self.judge(&watched, pump.is_program_missing()).await;
        let (stdout_lines, stderr_lines) = pump.lines();
        let (timed_out, killed) = (watched.timed_out, watched.killed);
        let done = |code| Exit {
            code: Some(code),
            signal: None,
            timed_out,
            killed,
            stdout_lines,
            stderr_lines,
            survivors: false,
        };
        let reusable = judged.is_ok() && !watched.forced && !watched.killed && !watched.timed_out;
        // With the sink goes what it still holds: nothing may come after the exit.
        drop(pump);
        let result = self.clean_up(judged, reusable).await;
        exit.send_replace(Some(result.map(done)));
    }

    /// Waits for the end of the task and of its output.
    async fn watch(
        &self,
        frames: &mut Frames,
        pump: &mut Pump,
        requests: &mut mpsc::UnboundedReceiver<i32>,
    ) -> Watched {
        let mut phase = Phase::Running(self.timeout);
        let mut watched = Watched { end: None, timed_out: false, killed: false, forced: false };
        let mut reading = true;
        let mut asked = true;
        let mut heard = Instant::now();
        let lost = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let mut ended = self.ended(Arc::clone(&lost));
        loop {
            let is_own = matches!(self.place, Place::Own { .. });
            if !reading && (watched.end.is_some() || !is_own) {
                return watched;
            }
            let alarm = match phase {
                Phase::Running(limit) => limit,
                Phase::Asked(limit) | Phase::Killed(limit) => Some(limit),
            };
            let drained = watched.end.as_ref().map(|_| heard + DRAIN_LIMIT);
            tokio::select! {
                read = pump.read(frames), if reading => match read {
                    Read::More => heard = Instant::now(),
                    Read::Ended(code) => {
                        reading = false;
                        watched.end = Some(End { code: Some(code), daemon_lost: false });
                    }
                    Read::Closed => reading = false,
                },
                end = &mut ended, if watched.end.is_none() => {
                    watched.end = Some(end);
                    heard = Instant::now();
                }
                request = requests.recv(), if asked => {
                    let signal = request.unwrap_or(SIGKILL);
                    // The handle is gone: nobody waits any more.
                    asked = request.is_some();
                    watched.killed |= watched.end.is_none();
                    phase = match phase {
                        _ if signal == SIGKILL => {
                            watched.forced = true;
                            Phase::Killed(Instant::now() + KILL_LIMIT)
                        }
                        Phase::Running(_) => Phase::Asked(Instant::now() + self.grace),
                        other => other,
                    };
                    self.signal(signal);
                }
                () = at(alarm) => match phase {
                    Phase::Running(_) => {
                        watched.timed_out = true;
                        phase = Phase::Asked(Instant::now() + self.grace);
                        self.signal(SIGTERM);
                    }
                    Phase::Asked(_) => {
                        watched.forced = true;
                        phase = Phase::Killed(Instant::now() + KILL_LIMIT);
                        self.signal(SIGKILL);
                    }
                    Phase::Killed(_) => return watched,
                },
                () = at(drained), if reading => {
                    (self.notes)(Importance::Warn, "the container's output is still open; what comes now is not taken");
                    reading = false;
                }
                // The daemon was away and is back: what it says from now on is taken.
                () = sleep(RETURN_PAUSE), if !reading && is_own && watched.end.is_none() => {
                    if lost.load(std::sync::atomic::Ordering::Relaxed)
                        && let Some(again) = self.attach_again().await
                    {
                        *frames = again;
                        reading = true;
                        (self.notes)(Importance::Warn, "the container daemon was away: lines of that time are lost");
                    }
                }
            }
        }
    }

    async fn attach_again(&self) -> Option<Frames> {
        let attach = AttachContainerOptionsBuilder::default().stdout(true).stderr(true).stream(true).build();
        let attached = self.daemon.api.attach_container(self.place.id(), Some(attach)).await;
        attached.ok().map(|attached| attached.output)
    }

    /// The end of the main process of a container of its own. A task in a kept one tells its end in the output.
    fn ended(&self, lost: Arc<std::sync::atomic::AtomicBool>) -> Pin<Box<dyn Future<Output = End> + Send>> {
        if matches!(self.place, Place::Kept { .. }) {
            return Box::pin(pending());
        }
        let (daemon, id) = (Arc::clone(&self.daemon), self.place.id().to_owned());
        Box::pin(async move {
            loop {
                let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
                let waited = daemon.api.wait_container(&id, Some(options)).next().await;
                let was_lost = lost.load(std::sync::atomic::Ordering::Relaxed);
                let known = |code: i64| End { code: i32::try_from(code).ok(), daemon_lost: was_lost };
                match waited {
                    Some(Ok(response)) => return known(response.status_code),
                    Some(Err(ApiError::DockerContainerWaitError { code, .. })) => return known(code),
                    Some(Err(error)) if is_gone(&error) => return End { code: None, daemon_lost: was_lost },
                    _ => {}
                }
                lost.store(true, std::sync::atomic::Ordering::Relaxed);
                match returned(&daemon, &id).await {
                    Return::Running => {}
                    Return::Ended(code) => return End { code, daemon_lost: true },
                }
            }
        })
    }

    /// Sends a signal, in the background: the daemon may take its time, and output must be read meanwhile.
    fn signal(&self, signal: i32) {
        let (daemon, id) = (Arc::clone(&self.daemon), self.place.id().to_owned());
        let is_own = matches!(self.place, Place::Own { .. });
        let notes = Arc::clone(&self.notes);
        tokio::spawn(async move {
            // Without `docker-init`, the first process of a container of its own is the program itself. It hears it first, so that
            // it knows why its children end.
            let first = signal == SIGKILL || is_own && !daemon.may_have_init();
            let told = !first || tell_first(&daemon, &id, signal, &notes).await;
            if signal != SIGKILL && told && !signal_everywhere(&daemon, &id, signal).await && !first {
                tell_first(&daemon, &id, signal, &notes).await;
            }
        });
    }

    /// The exit code, or why there is none that means anything.
    async fn judge(&self, watched: &Watched, program_missing: bool) -> Result<i32, ContainerError> {
        let (code, daemon_lost) = match &watched.end {
            Some(end) => (end.code, end.daemon_lost),
            // The output of a kept container ended without a word; or a container could not be killed.
            None => (None, false),
        };
        if code == Some(0) {
            return Ok(0);
        }
        if daemon_lost {
            return Err(daemon_was_lost(code));
        }
        if program_missing && code == Some(127) {
            let (program, image) = (self.finish.program.clone(), self.finish.image.clone());
            return Err(ContainerError::Interpreter { program, image });
        }
        let mut state = self.look(watched, code).await?;
        let code = match code {
            Some(code) => code,
            None => self.code_of_kept(&state).await?,
        };
        let killed_by_others = code == 128 + SIGKILL && !watched.killed && !watched.timed_out;
        // The daemon hears that memory ran out apart from the end, and at times after it.
        let may_be_told = killed_by_others && self.finish.memory.is_some();
        let until = Instant::now() + OUT_OF_MEMORY_LIMIT;
        while may_be_told && state.oom_killed != Some(true) && Instant::now() < until {
            sleep(OUT_OF_MEMORY_PAUSE).await;
            state = self.look(watched, Some(code)).await?;
        }
        if state.oom_killed == Some(true) && !watched.killed {
            let limit =
                self.finish.memory.as_ref().map_or_else(String::new, |limit| format!(" (`memory: {limit}`)"));
            return Err(ContainerError::OutOfMemory { limit, code });
        }
        if killed_by_others {
            (self.notes)(
                Importance::Warn,
                "the program was ended by SIGKILL: by itself, by somebody who killed the container, or by a machine that \
                 is out of memory",
            );
        }
        Ok(code)
    }

    /// What the daemon says of the container of a task that ended with `code`; an error if somebody else removes it.
    async fn look(&self, watched: &Watched, code: Option<i32>) -> Result<ContainerState, ContainerError> {
        let inspected =
            self.daemon.api.inspect_container(self.place.id(), None::<InspectContainerOptions>).await;
        let state = match inspected {
            Ok(inspected) => inspected.state.unwrap_or_default(),
            Err(error) if is_gone(&error) => return Err(ContainerError::Removed),
            Err(error) if is_connection(&error) => return Err(daemon_was_lost(code)),
            Err(error) => return Err(self.daemon.failed("look at the container", &error)),
        };
        // It is killed first, and gone a moment later.
        let is_going =
            matches!(state.status, Some(ContainerStateStatusEnum::REMOVING | ContainerStateStatusEnum::DEAD));
        if is_going && !watched.killed { Err(ContainerError::Removed) } else { Ok(state) }
    }

    /// The exit code of a task in a kept container that ended without telling one.
    async fn code_of_kept(&self, state: &ContainerState) -> Result<i32, ContainerError> {
        let unknown = || ContainerError::Api {
            action: "wait for the container's end".to_owned(),
            reason: "it does not end, although it was killed".to_owned(),
        };
        if let Place::Kept { exec: Some(exec), .. } = &self.place
            && let Ok(inspected) = self.daemon.api.inspect_exec(exec).await
            && let Some(code) = inspected.exit_code
        {
            return i32::try_from(code).map_err(|_| unknown());
        }
        if state.running == Some(true) {
            return Err(unknown());
        }
        state.exit_code.and_then(|code| i32::try_from(code).ok()).ok_or_else(unknown)
    }

    /// Brings the files home and the container away.
    async fn clean_up(
        self,
        judged: Result<i32, ContainerError>,
        reusable: bool,
    ) -> Result<i32, ContainerError> {
        let Self { core, daemon, place, finish, notes, .. } = self;
        let is_there = !matches!(judged, Err(ContainerError::Removed | ContainerError::DaemonLost { .. }));
        let copied = match &place {
            Place::Own { remains } if finish.copied && is_there => {
                archive::download(&daemon, &remains.id, &finish.directory).await
            }
            _ => Ok(()),
        };
        // A volume can only be removed once no container has it.
        let mut gone = None;
        match place {
            Place::Own { remains } if !finish.delete => {
                (notes)(
                    Importance::Info,
                    &format!("container `{}` is kept, as `delete` says", short(&remains.id)),
                );
                remains.keep();
            }
            Place::Own { remains } => gone = Some(remains.send_off()),
            Place::Kept { kept, shelf, .. } => match shelf.upgrade() {
                Some(shelf) if reusable => shelf.put(kept),
                _ => drop(kept),
            },
        }
        let reclaimed = match finish.copied || !is_there {
            true => Ok(()),
            false => ownership::reclaim(&daemon, &finish.image, &finish.directory).await,
        };
        if !finish.caches.is_empty() && is_there {
            let (ticket, bound) = (core.tracker.ticket(), core.settings.cache_bytes);
            core.runtime.spawn(async move {
                if let Some(gone) = gone {
                    let _ = gone.await;
                }
                caches::prune(&daemon, &finish.image, &finish.caches, bound, &notes).await;
                drop(ticket);
            });
        }
        let code = judged?;
        copied?;
        reclaimed?;
        Ok(code)
    }
}

/// What a daemon that is back says of a container.
enum Return {
    Running,
    Ended(Option<i32>),
}

fn daemon_was_lost(code: Option<i32>) -> ContainerError {
    let detail = code.map_or_else(String::new, |code| format!("; the container ended with exit code {code}"));
    ContainerError::DaemonLost { detail }
}

/// Waits for a daemon to come back.
async fn returned(daemon: &Daemon, id: &str) -> Return {
    let limit = Instant::now() + RETURN_LIMIT;
    while Instant::now() < limit {
        match daemon.api.inspect_container(id, None::<InspectContainerOptions>).await {
            Ok(inspected) => {
                let state = inspected.state.unwrap_or_default();
                if state.running == Some(true) {
                    return Return::Running;
                }
                return Return::Ended(state.exit_code.and_then(|code| i32::try_from(code).ok()));
            }
            Err(error) if is_gone(&error) => return Return::Ended(None),
            Err(_) => sleep(RETURN_PAUSE).await,
        }
    }
    Return::Ended(None)
}

/// Sends a signal to the first process of a container; whether that was there.
async fn tell_first(daemon: &Daemon, id: &str, signal: i32, notes: &Notes) -> bool {
    let options = KillContainerOptionsBuilder::default().signal(&signal.to_string()).build();
    let Err(error) = daemon.api.kill_container(id, Some(options)).await else { return true };
    // The words of Docker and of podman for one that has ended, which is what was asked for.
    let text = reason(&error);
    let has_ended =
        is_gone(&error) || text.contains("is not running") || text.contains("can only kill running");
    if !has_ended {
        (notes)(Importance::Warn, &format!("cannot send signal {signal} to the container: {text}"));
    }
    false
}

/// Sends a signal to everything in a container but its first process, through the shell of the image; whether there is one.
async fn signal_everywhere(daemon: &Daemon, id: &str, signal: i32) -> bool {
    let options = CreateExecOptions {
        cmd: Some(keeper::signal(signal)),
        user: Some("0".to_owned()),
        ..CreateExecOptions::default()
    };
    let Ok(exec) = daemon.api.create_exec(id, options).await else { return false };
    let how = StartExecOptions { detach: true, ..StartExecOptions::default() };
    daemon.api.start_exec(&exec.id, Some(how)).await.is_ok()
}

async fn at(alarm: Option<Instant>) {
    match alarm {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}
