//! What stands at a path where a run wants to be, and its removal: a run is replaced, files of
//! others are left alone.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{CHECKPOINTS, CONFIG, FILES, MARK, MEMBERS};
use crate::checkpoint::disk::{Disk, SystemDisk};
use crate::checkpoint::lock::LOCK;
use crate::checkpoint::store::only_checkpoint_files;
use crate::error::{RecError, Result};
use crate::files::{SETTINGS_LIMIT, read_small_file};

/// What stands at a path where a run wants to be.
pub(super) enum Found {
    Nothing,
    Run,
    /// Something else, and what gives it away.
    Other(String),
}

pub(super) fn failed(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> RecError {
    let path = path.to_path_buf();
    move |source| RecError::Io { path, doing, source }
}

pub(super) fn look(path: &Path) -> Result<Found> {
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(e) if e.kind() == ErrorKind::NotADirectory && path.is_file() => {
            return Ok(Found::Other("it is a file".into()));
        }
        // Something above it is a file.
        Err(e) if e.kind() == ErrorKind::NotADirectory => return Err(failed(path, "create")(e)),
        entries => entries.map_err(failed(path, "read"))?,
    };
    let (mut is_empty, mut only_unfinished) = (true, true);
    for entry in entries {
        let entry = entry.map_err(failed(path, "read"))?;
        let (name, kind) = (entry.file_name(), entry.file_type().map_err(failed(path, "read"))?);
        let name = name.to_string_lossy();
        if kind.is_file() && name == LOCK {
            continue;
        }
        let unfinished = name.strip_suffix(".tmp").is_some_and(|name| FILES.contains(&name));
        let ours = if kind.is_dir() && name == MEMBERS {
            only_runs(&entry.path())?
        } else if kind.is_dir() {
            CHECKPOINTS.contains(&&*name) && only_checkpoint_files(&entry.path()).map_err(failed(path, "read"))?
        } else {
            kind.is_file() && (unfinished || FILES.contains(&&*name))
        };
        if !ours {
            return Ok(Found::Other(format!("it holds {name:?}")));
        }
        is_empty = false;
        only_unfinished &= unfinished;
    }
    if is_empty {
        return Ok(Found::Nothing);
    }
    let config = read_small_file(&path.join(CONFIG), SETTINGS_LIMIT).unwrap_or_default();
    // A run that was killed while it wrote its first file leaves nothing but the start of that
    // file.
    if only_unfinished || config.starts_with(MARK.as_bytes()) {
        return Ok(Found::Run);
    }
    Ok(Found::Other(format!("its {CONFIG} was not written by gcnrec")))
}

/// True for a folder of run folders and nothing else.
fn only_runs(path: &Path) -> Result<bool> {
    for member in fs::read_dir(path).map_err(failed(path, "read"))? {
        let member = member.map_err(failed(path, "read"))?;
        // A link is no folder of ours, wherever it leads.
        let is_folder = member.file_type().map_err(failed(path, "read"))?.is_dir();
        if !is_folder || matches!(look(&member.path())?, Found::Other(_)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The folder itself where a link or `.` leads to it: what is renamed must have a name of its own.
pub(super) fn real(path: &Path) -> PathBuf {
    let is_named = path.file_name().is_some() && !path.is_symlink();
    if is_named { path.into() } else { fs::canonicalize(path).unwrap_or_else(|_| path.into()) }
}

/// The folder of this name with a suffix.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}

/// Refuses a name that a replacement needs and that something else has.
pub(super) fn check_free_to_replace(path: &Path) -> Result<()> {
    match look(path)? {
        Found::Nothing | Found::Run => Ok(()),
        Found::Other(what) => Err(RecError::usage(
            format!("--force writes the new run into {} first, which is no run folder ({what})", path.display()),
            "move it away, or give another --out",
        )),
    }
}

/// Removes a run that [`look`] recognised, its lock and its folder; nothing where there is none.
pub(super) fn remove(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    clear(path)?;
    gone(SystemDisk.remove_file(&path.join(LOCK)), path)?;
    gone(fs::remove_dir(path), path)
}

fn gone(result: std::io::Result<()>, at: &Path) -> Result<()> {
    match result {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(failed(at, "remove")(e)),
        _ => Ok(()),
    }
}

/// Removes what is in a run that [`look`] recognised. `config.toml` goes last: until then the rest
/// is still recognised. A lock stays: it may be held.
pub(super) fn clear(path: &Path) -> Result<()> {
    let members = path.join(MEMBERS);
    if members.is_dir() {
        for member in fs::read_dir(&members).map_err(failed(&members, "read"))? {
            let member = member.map_err(failed(&members, "read"))?.path();
            remove(&member)?;
        }
        gone(fs::remove_dir(&members), &members)?;
    }
    for name in CHECKPOINTS {
        let at = path.join(name);
        gone(SystemDisk.remove_dir(&at), &at)?;
    }
    for name in FILES {
        for at in [path.join(format!("{name}.tmp")), path.join(name)] {
            gone(SystemDisk.remove_file(&at), &at)?;
        }
    }
    Ok(())
}
