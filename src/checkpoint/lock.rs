//! The lock of a folder of runs: one process at a time writes into it.
//!
//! The lock is advisory and the system's own ([`File::try_lock`]): it ends with the process that
//! holds it, however that ends. The file stays, empty; while it is held it holds the number of the
//! process.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{RecError, Result};

/// The file that is locked.
pub(crate) const LOCK: &str = "lock";
/// How long a folder may stay taken before it is refused: a process that was killed holds its lock
/// until the system has taken its memory back.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A folder that nobody else writes into while this value lives.
#[derive(Debug)]
pub(crate) struct FolderLock {
    /// None where the system has no locks for this folder.
    file: Option<File>,
    folder: PathBuf,
}

impl FolderLock {
    /// Takes a folder that is there.
    ///
    /// # Errors
    /// [`RecError::Usage`] with the number of the process that has it; [`RecError::Io`] when the
    /// system refuses.
    pub(crate) fn take(folder: &Path) -> Result<FolderLock> {
        let path = folder.join(LOCK);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = file.map_err(RecError::write(&path))?;
        let is_locked = patiently(folder, || file.try_lock())?;
        if is_locked {
            // Nobody is refused for want of this number: it only makes a better message.
            let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        }
        Ok(FolderLock { file: is_locked.then_some(file), folder: folder.into() })
    }

    /// Refuses a folder that another process has, and changes nothing.
    ///
    /// # Errors
    /// As [`FolderLock::take`].
    pub(crate) fn check(folder: &Path) -> Result<()> {
        let Ok(file) = File::open(folder.join(LOCK)) else { return Ok(()) };
        // Shared, so that two who ask do not refuse each other.
        patiently(folder, || file.try_lock_shared()).map(drop)
    }

    /// What to tell where the folder could not be locked.
    pub(crate) fn warning(&self) -> Option<String> {
        let folder = self.folder.display();
        self.file
            .is_none()
            .then(|| format!("warning: the disk of {folder} has no locks: nothing keeps a second training out of it"))
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = file.set_len(0);
        }
    }
}

/// Asks for the lock until it is given. False where the system has none.
fn patiently(folder: &Path, lock: impl Fn() -> Result<(), TryLockError>) -> Result<bool> {
    let since = Instant::now();
    loop {
        match lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if since.elapsed() < PATIENCE => std::thread::sleep(LOOK_EVERY),
            Err(TryLockError::WouldBlock) => return Err(taken(folder)),
            Err(TryLockError::Error(_)) => return Ok(false),
        }
    }
}

fn taken(folder: &Path) -> RecError {
    let text = fs::read_to_string(folder.join(LOCK)).unwrap_or_default();
    let process = match text.trim().parse::<u32>() {
        Ok(number) => format!("process {number}"),
        Err(_) => "another process".into(),
    };
    RecError::usage(
        format!("{process} is writing into {}", folder.display()),
        "wait until it has ended, or give another --out",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_a_folder_and_the_other_is_told_who() {
        let folder = tempfile::tempdir().unwrap();
        FolderLock::check(folder.path()).unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        assert_eq!(lock.warning(), None);
        for error in [FolderLock::take(folder.path()).unwrap_err(), FolderLock::check(folder.path()).unwrap_err()] {
            assert_eq!(error.exit_code(), 2);
            let process = format!("process {} is writing into ", std::process::id());
            assert!(error.to_string().starts_with(&process), "{error}");
        }
        drop(lock);
        assert_eq!(fs::read_to_string(folder.path().join(LOCK)).unwrap(), "");
        FolderLock::take(folder.path()).unwrap();
    }

    #[test]
    fn a_lock_that_is_given_back_soon_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| FolderLock::take(folder.path()).map(drop));
            std::thread::sleep(Duration::from_millis(100));
            drop(lock);
            other.join().unwrap().unwrap();
        });
    }
}
