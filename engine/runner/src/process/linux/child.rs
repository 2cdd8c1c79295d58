//! What the new process does between its start and its program: system calls and nothing else (see [`super::vfork`]).

use std::ffi::{c_char, c_int, c_void};
use std::io;
use std::os::fd::RawFd;
use std::ptr;

use libc::pid_t;

use super::strings::Strings;
use super::tag::Tag;

/// What could not be done.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) step: Step,
    pub(super) source: io::Error,
}

/// Where a start was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// In the parent, before there was a child.
    Start,
    /// Joining the control group.
    Join,
    /// Entering the working directory.
    Directory,
    /// Connecting its standard streams.
    Streams,
    /// Executing the program.
    Execute,
}

/// The file descriptors of a child, all above 2: the Rust runtime sees to it that 0 to 2 are open in the engine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Descriptors {
    pub(super) stdin: RawFd,
    pub(super) stdout: RawFd,
    pub(super) stderr: RawFd,
}

/// Everything that a child needs, prepared by its parent.
pub(super) struct Child<'a> {
    strings: &'a Strings<'a>,
    /// The two lists of `execve`, which end with a null pointer.
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    descriptors: Descriptors,
    /// Its working directory, if that is not to be found by its path.
    directory: Option<RawFd>,
    /// The file to write `0` to, where the control group must be joined.
    entrance: Option<RawFd>,
    /// Whether it starts with the engine's signal handlers.
    inherits_handlers: bool,
    tag: Tag,
    engine: pid_t,
    /// Written by the child, read by its parent.
    failed: Option<(Step, i32)>,
}

impl<'a> Child<'a> {
    pub(super) fn new(strings: &'a Strings<'a>, tag: Tag, descriptors: Descriptors) -> Self {
        let end = || [ptr::null()];
        Self {
            strings,
            arguments: strings.arguments.iter().map(|text| text.as_ptr()).chain(end()).collect(),
            environment: strings.environment.iter().map(|text| text.as_ptr()).chain(end()).collect(),
            descriptors,
            directory: None,
            entrance: None,
            inherits_handlers: false,
            tag,
            engine: std::process::id() as pid_t,
            failed: None,
        }
    }

    /// The child starts with the engine's signal handlers, and takes them off.
    pub(super) fn inherit_handlers(&mut self) {
        self.inherits_handlers = true;
    }

    /// Starts the child in this directory, which must stay open until it has run.
    pub(super) fn start_in(&mut self, directory: RawFd) {
        self.directory = Some(directory);
    }

    /// Lets the child join a control group through this file, which must stay open until it has run.
    pub(super) fn join(&mut self, entrance: RawFd) {
        self.entrance = Some(entrance);
    }

    /// What went wrong, once the child has run.
    pub(super) fn failure(&self) -> Option<Failure> {
        // SAFETY: the field is valid; another process may have changed it, which the compiler cannot know.
        let failed = unsafe { ptr::read_volatile(&raw const self.failed) };
        failed.map(|(step, code)| Failure { step, source: io::Error::from_raw_os_error(code) })
    }

    /// Entry point of the child, with a pointer to a [`Child`].
    pub(super) extern "C" fn enter(argument: *mut c_void) -> c_int {
        // SAFETY: the caller passes a `Child` that nobody else uses while this runs; the process ends here.
        unsafe {
            let child = argument.cast::<Child<'_>>();
            let failed = (*child).execute();
            let failed = (failed, io::Error::last_os_error().raw_os_error().unwrap_or(0));
            ptr::write_volatile(&raw mut (*child).failed, Some(failed));
            libc::_exit(127)
        }
    }

    /// Returns the step that failed, with the reason in `errno`.
    ///
    /// # Safety
    /// Runs in the child only.
    unsafe fn execute(&self) -> Step {
        // SAFETY: system calls on values that the parent keeps alive while it waits.
        unsafe {
            // The direct child ends with the engine, even if that is killed. (It is tied to the thread that started
            // it, which is why that one lives as long as the engine.) The engine may have ended just before.
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if libc::getppid() != self.engine {
                libc::_exit(127);
            }
            if let Some(entrance) = self.entrance
                && libc::write(entrance, c"0".as_ptr().cast(), 1) != 1
            {
                return Step::Join;
            }
            // Ctrl-C in the terminal is for the engine, which then ends its tasks.
            libc::setpgid(0, 0);
            let Descriptors { stdin, stdout, stderr } = self.descriptors;
            for (from, to) in [(stdin, 0), (stdout, 1), (stderr, 2)] {
                if libc::dup2(from, to) < 0 {
                    return Step::Streams;
                }
            }
            // Whatever else the engine has open is not for tasks, also where a library forgot to say so. (Kernels
            // before 5.11 do not know this; then Rust's own descriptors are closed all the same.)
            libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
            self.set_tag();
            let entered = match self.directory {
                Some(directory) => libc::fchdir(directory),
                None => libc::chdir(self.strings.directory.as_ptr()),
            };
            if entered != 0 {
                return Step::Directory;
            }
            reset_signals(self.inherits_handlers);
            libc::execve(self.strings.program.as_ptr(), self.arguments.as_ptr(), self.environment.as_ptr());
            Step::Execute
        }
    }

    /// Where this fails, the other marks must do.
    unsafe fn set_tag(&self) {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` is valid for both calls.
        unsafe {
            if libc::getrlimit(libc::RLIMIT_LOCKS, &mut limit) == 0 {
                limit.rlim_cur = self.tag.limit();
                libc::setrlimit(libc::RLIMIT_LOCKS, &limit);
            }
        }
    }
}

/// Gives the program signals as a shell would: none blocked, SIGPIPE deadly, ignored ones (`nohup`) still ignored. The
/// engine's handlers go first: none of them may run in this process.
unsafe fn reset_signals(has_handlers: bool) {
    // SAFETY: all structures are plain data for which zero is a valid value.
    unsafe {
        let default: libc::sigaction = std::mem::zeroed();
        let mut action: libc::sigaction = std::mem::zeroed();
        for signal in (1..=libc::SIGRTMAX()).filter(|_| has_handlers) {
            if libc::sigaction(signal, ptr::null(), &mut action) != 0 {
                continue; // reserved by the C library
            }
            if action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN {
                libc::sigaction(signal, &default, ptr::null_mut());
            }
        }
        libc::sigaction(libc::SIGPIPE, &default, ptr::null_mut());
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
    }
}
