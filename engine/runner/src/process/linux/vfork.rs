//! Starts a process that borrows this one's memory until it executes a program.
//!
//! `fork` copies the page tables: 2 ms and more for an engine of 60 MB, against 0.5 ms for all of this (measured). The
//! standard library takes the fast way only where nothing has to be done in the child, and a lot has to be done here.
//!
//! While the child runs, the calling thread stands still and the memory belongs to both. So the child must not
//! allocate, lock or panic; it has a stack of its own, and the caller's signals must be blocked, or a handler would
//! run in the child. What the child writes to memory is there for the caller to read.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::BorrowedFd;

use libc::pid_t;

/// Enough for a few system calls, which is all that a child does.
const STACK_SIZE: usize = 64 * 1024;

/// Memory for the stack of one child at a time.
pub(super) struct Stack(Box<[Frame]>);

/// The unit of a stack's alignment on the platforms of Linux.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Frame([u8; 16]);

impl Stack {
    pub(super) fn new() -> Self {
        Self(vec![Frame([0; 16]); STACK_SIZE / size_of::<Frame>()].into_boxed_slice())
    }
}

/// What the child runs. It must not return.
pub(super) type Entry = extern "C" fn(*mut c_void) -> c_int;

/// Runs `entry(argument)` in a new process, and returns its id once it has executed a program or ended.
///
/// # Safety
/// All signals of the calling thread are blocked. `argument` is valid for `entry`, and `entry` keeps the rules of this
/// module and ends with `execve` or `_exit`.
pub(super) unsafe fn run(stack: &mut Stack, entry: Entry, argument: *mut c_void) -> io::Result<pid_t> {
    let top = stack.0.as_mut_ptr_range().end;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: `top` is the aligned end of a stack that nobody else uses; the rest is the caller's promise.
    let pid = unsafe { libc::clone(entry, top.cast(), flags, argument) };
    if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid) }
}

/// Like [`run`], with the child in a control group (v2) from its first moment. Joining one later would take a lock
/// over all forks and exits of the machine, which costs milliseconds where cgroup v1 is not mounted beside it. The child
/// has none of the engine's signal handlers.
///
/// The C library has no function for this, so the switch of stacks is written out; on processors other than x86-64 it
/// is unsupported, as on kernels before 5.7, and the caller lets the child join by itself.
///
/// # Safety
/// As for [`run`].
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
pub(super) unsafe fn run_in_group(
    stack: &mut Stack,
    entry: Entry,
    argument: *mut c_void,
    group: BorrowedFd<'_>,
) -> io::Result<pid_t> {
    use std::os::fd::AsRawFd;

    // These do not fit the type of libc's constants.
    const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let flags = libc::CLONE_VM as u64 | libc::CLONE_VFORK as u64;
    let arguments = libc::clone_args {
        flags: flags | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP,
        pidfd: 0,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.0.as_mut_ptr() as u64,
        stack_size: STACK_SIZE as u64,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: group.as_raw_fd() as u64,
    };
    let result: i64;
    // SAFETY: the child wakes up with its own stack pointer (the kernel's doing) and everything else as it was here;
    // it calls `entry`, which never returns, so it touches no frame of the caller. For the caller this is a system
    // call like any other, which may change memory. The call is made with the stack aligned to 16 bytes, as the
    // platform's convention wants it.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, {argument}",
            "call {entry}",
            "ud2",
            "2:",
            entry = in(reg) entry,
            argument = in(reg) argument,
            inout("rax") libc::SYS_clone3 => result,
            in("rdi") &raw const arguments,
            in("rsi") size_of::<libc::clone_args>(),
            out("rcx") _,
            out("r11") _,
        );
    }
    if result < 0 { Err(io::Error::from_raw_os_error(-result as i32)) } else { Ok(result as pid_t) }
}

/// See the one for x86-64.
///
/// # Safety
/// None needed: it does nothing.
#[cfg(not(all(target_arch = "x86_64", target_pointer_width = "64")))]
pub(super) unsafe fn run_in_group(
    _: &mut Stack,
    _: Entry,
    _: *mut c_void,
    _: BorrowedFd<'_>,
) -> io::Result<pid_t> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}
