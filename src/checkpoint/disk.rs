//! Changes to the disk, behind the trait [`Disk`], so that tests can let any of them fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use super::failpoint;
use crate::error::{RecError, Result};

/// The changes we make. Each one either happens, or fails with the system's reason.
pub(super) trait Disk {
    /// Creates a folder and the folders above it.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Writes a new file in the place of one that may be there, and waits until the disk has it.
    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Adds bytes at the end of a file, created if it is not there, and waits until the disk has
    /// them.
    fn append_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Waits until the disk has the entries of a folder.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Moves a file (over an existing one) or a folder (where there is none).
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a folder and what is in it.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
}

/// The real one.
pub(super) struct SystemDisk;

impl Disk for SystemDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        failpoint::change(|| {})?;
        fs::create_dir_all(path)
    }

    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        failpoint::change(|| drop(fs::write(path, &bytes[..bytes.len() / 2])))?;
        // What was left by a process that was killed goes, and so does a link that somebody put
        // there: what it leads to is not ours to write.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn append_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let append = |bytes: &[u8]| {
            let mut file = OpenOptions::new().create(true).append(true).open(path)?;
            file.write_all(bytes)?;
            file.sync_data()
        };
        failpoint::change(|| drop(append(&bytes[..bytes.len() / 2])))?;
        append(bytes)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        // Only Unix lets a program open a folder to sync it; elsewhere the system orders its own
        // renames.
        if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        failpoint::change(|| {})?;
        fs::rename(from, to)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        failpoint::change(|| {})?;
        fs::remove_dir_all(path)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        failpoint::change(|| {})?;
        fs::remove_file(path)
    }
}

/// Replaces a file in one step: readers see the old bytes or the new ones, never a part.
///
/// # Errors
/// [`RecError::Io`] with the path and the system's reason; the old file is then still there.
pub(super) fn replace_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().expect("a file we write should have a name").to_os_string();
    name.push(".tmp");
    let tmp = path.with_file_name(name);
    let written = disk.write_synced(&tmp, bytes).and_then(|()| disk.rename(&tmp, path));
    if written.is_err() {
        // Best effort, to give a full disk its space back; the error that matters is the first one.
        let _ = disk.remove_file(&tmp);
    }
    written.and_then(|()| disk.sync_dir(parent(path))).map_err(RecError::write(path))
}

/// Writes a file whole or not at all, and never through a link: what stands at `path` is replaced.
///
/// # Errors
/// [`RecError::Io`] with the path and the system's reason; the old file is then still there.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    replace_file(&SystemDisk, path, bytes)
}

/// The folder that holds `path`.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A disk that runs full: the `n`-th change fails, and every one after it.
#[cfg(test)]
pub(super) struct FullDisk {
    left: std::cell::Cell<usize>,
}

#[cfg(test)]
impl FullDisk {
    /// Allows `n_changes` changes.
    pub(super) fn after(n_changes: usize) -> Self {
        FullDisk { left: std::cell::Cell::new(n_changes) }
    }

    fn step(&self) -> io::Result<()> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device")),
        }
    }
}

#[cfg(test)]
impl Disk for FullDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        SystemDisk.create_dir(path)
    }

    /// Three changes: the file appears, the bytes arrive (or half of them), the sync.
    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.step()?;
        fs::write(path, [])?;
        if let Err(full) = self.step() {
            fs::write(path, &bytes[..bytes.len() / 2])?;
            return Err(full);
        }
        fs::write(path, bytes)?;
        self.step()
    }

    fn append_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if let Err(full) = self.step() {
            SystemDisk.append_synced(path, &bytes[..bytes.len() / 2])?;
            return Err(full);
        }
        SystemDisk.append_synced(path, bytes)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        SystemDisk.sync_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        SystemDisk.rename(from, to)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        SystemDisk.remove_dir(path)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        SystemDisk.remove_file(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing_a_file_keeps_the_old_bytes_at_every_failure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        // Five changes: create, write, sync, rename, sync of the folder. The first four leave the
        // old file.
        for n in 0..5 {
            fs::write(&path, "old").unwrap();
            let error = replace_file(&FullDisk::after(n), &path, b"new").unwrap_err();
            assert_eq!(error.exit_code(), 5);
            let expected = if n < 4 { "old" } else { "new" };
            assert_eq!(fs::read_to_string(&path).unwrap(), expected, "failure at change {n}");
        }
        replace_file(&FullDisk::after(5), &path, b"newer").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "newer");
    }
}
