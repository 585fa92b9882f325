//! The frozen model of a run: what answers queries, and what another run may start from.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::contents::HOLDS;
use super::{Contents, exists, load};
use crate::error::{Place, RecError, Result};

/// Loads the frozen model of a run folder or a checkpoint folder, and says where it lay. Of a run,
/// `best` is taken, or `last` where there is no `best`.
///
/// # Errors
/// [`RecError::Missing`] when there is no checkpoint; [`RecError::Input`] when it holds a training
/// in progress; those of [`check_folder`]; [`RecError::Checkpoint`] when it is damaged or newer
/// than this program.
pub(crate) fn load_frozen(run: &Path) -> Result<(PathBuf, Contents)> {
    let folder = checkpoint_of(run)?;
    let contents = load(&folder)?;
    if contents.facts.get(HOLDS).and_then(Value::as_str) == Some("learner") {
        return Err(RecError::input(Place::file(&folder), "a training in progress", "a model that answers")
            .with_todo("go on with train --resume until the run has reached its first validation"));
    }
    Ok((folder, contents))
}

/// Refuses what is there and cannot be the folder of a run. What is not there passes: the caller
/// knows what it was to be.
///
/// # Errors
/// [`RecError::Input`] for a file, [`RecError::Io`] for a folder that the system does not let us
/// read.
pub(crate) fn check_folder(path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => std::fs::read_dir(path).map(drop).map_err(RecError::read(path)),
        Ok(_) => Err(RecError::input(Place::file(path), "a file", "the folder of a run")
            .with_todo("give the folder that gcnrec train wrote, such as runs/lightgcn-1")),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(RecError::read(path)(error)),
    }
}

/// The checkpoint that stands for what was named.
fn checkpoint_of(path: &Path) -> Result<PathBuf> {
    let (best, last) = (path.join("best"), path.join("last"));
    let is_checkpoint = ["manifest.json", "model.safetensors"].iter().any(|name| path.join(name).exists());
    if is_checkpoint || (!path.exists() && exists(path)) {
        return Ok(path.to_path_buf());
    }
    if exists(&best) {
        return Ok(best);
    }
    if exists(&last) {
        return Ok(last);
    }
    check_folder(path)?;
    let (what, name, todo) = if path.is_dir() {
        (
            "checkpoint",
            best,
            "this folder holds no trained model; train first, or let the run reach its first validation",
        )
    } else {
        ("run folder", path.to_path_buf(), "check the path, or train first")
    };
    Err(RecError::missing(what, name.display().to_string(), todo))
}
