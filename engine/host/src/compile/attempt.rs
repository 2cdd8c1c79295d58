//! Attempts at compiling a component: one at a time on a machine, and not for ever.
//!
//! A file for each component holds how many attempts began and did not come to an end. Who makes one holds the file's lock,
//! which the system takes away from whoever is killed: so of several commands that want the same code one makes it and the
//! others find it made, and a component that nobody has the patience for is not begun anew by each command.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use crate::open;

/// So many attempts may be broken off.
const MAX_BROKEN_OFF: u64 = 3;

/// After so long, all is forgotten.
const FORGET: Duration = Duration::from_secs(3600);

/// How often a lock is asked for.
const ASK: Duration = Duration::from_millis(20);

/// An attempt that this process makes, alone. Where it is not [`Self::ended`], it counts as broken off.
pub(crate) struct Attempt {
    /// None where no account can be kept.
    file: Option<File>,
}

/// Whether there is a point in another attempt.
pub(crate) enum Attempts {
    /// Make it.
    Go(Attempt),
    /// It was begun and broken off too often.
    Enough,
}

impl Attempts {
    /// Waits until nobody else makes an attempt, but no longer than `patience`.
    pub(crate) async fn begin(account: Option<&Path>, patience: Duration) -> Self {
        let unaccounted = Self::Go(Attempt { file: None });
        let Some(mut file) = account.and_then(|path| opened(path).ok()) else { return unaccounted };
        let lock = async {
            loop {
                match file.try_lock() {
                    Ok(()) => return true,
                    Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(ASK).await,
                    // A file system without locks.
                    Err(std::fs::TryLockError::Error(_)) => return false,
                }
            }
        };
        if !tokio::time::timeout(patience, lock).await.unwrap_or(false) {
            return unaccounted;
        }
        let before = broken_off(&mut file).unwrap_or(0);
        if before >= MAX_BROKEN_OFF {
            return Self::Enough;
        }
        // Where it cannot be written, there is one attempt more.
        let _ = write(&mut file, before + 1);
        Self::Go(Attempt { file: Some(file) })
    }
}

impl Attempt {
    /// It came to an end, whichever.
    pub(crate) fn ended(mut self) {
        if let Some(file) = &mut self.file {
            let _ = write(file, 0);
        }
    }
}

fn opened(path: &Path) -> io::Result<File> {
    let mut options = open::without_waiting();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
    open::require_file(&file.metadata()?)?;
    Ok(file)
}

fn broken_off(file: &mut File) -> io::Result<u64> {
    if file.metadata()?.modified()?.elapsed().is_ok_and(|age| age > FORGET) {
        return Ok(0);
    }
    let mut text = String::new();
    file.take(20).read_to_string(&mut text)?;
    Ok(text.trim().parse().unwrap_or(0))
}

fn write(file: &mut File, count: u64) -> io::Result<()> {
    file.rewind()?;
    file.set_len(0)?;
    file.write_all(count.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn attempts_that_do_not_end_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let account = folder.path().join("a.attempts");
        let begin = || Attempts::begin(Some(&account), PATIENCE);
        let Attempts::Go(first) = begin().await else { panic!("nothing was tried yet") };
        first.ended();
        for _ in 0..MAX_BROKEN_OFF {
            assert!(matches!(begin().await, Attempts::Go(_)));
        }
        assert!(matches!(begin().await, Attempts::Enough));
        let old = std::time::SystemTime::now() - 2 * FORGET;
        File::options().write(true).open(&account).unwrap().set_modified(old).unwrap();
        assert!(matches!(begin().await, Attempts::Go(_)));
    }

    #[tokio::test]
    async fn one_attempt_is_made_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let account = folder.path().join("a.attempts");
        let Attempts::Go(first) = Attempts::begin(Some(&account), PATIENCE).await else { panic!() };
        let second = Attempts::begin(Some(&account), PATIENCE);
        tokio::pin!(second);
        assert!(tokio::time::timeout(ASK * 3, &mut second).await.is_err(), "the first is under way");
        first.ended();
        assert!(matches!(second.await, Attempts::Go(Attempt { file: Some(_) })));
    }

    #[tokio::test]
    async fn without_an_account_there_is_no_end() {
        let folder = tempfile::tempdir().unwrap();
        for account in [None, Some(folder.path())] {
            for _ in 0..=MAX_BROKEN_OFF {
                assert!(matches!(Attempts::begin(account, PATIENCE).await, Attempts::Go(_)));
            }
        }
    }
}
