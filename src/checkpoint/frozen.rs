//! The frozen model of a run: what answers queries, and what another run may start from.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::contents::HOLDS;
use super::{Contents, exists, load};
use crate::error::{RecError, Result};

/// Loads the frozen model of a run folder or a checkpoint folder, and says where it lay. Of a run, `best` is taken, or `last` where there is no `best`.
///
/// # Errors
/// [`RecError::Missing`] when there is no checkpoint; [`RecError::Checkpoint`] when it is damaged, newer than this program or holds a training in
/// progress.
pub fn load_frozen(run: &Path) -> Result<(PathBuf, Contents)> {
    let folder = checkpoint_of(run)?;
    let contents = load(&folder)?;
    if contents.facts.get(HOLDS).and_then(Value::as_str) == Some("learner") {
        return Err(RecError::Checkpoint {
            path: folder,
            problem: "it holds a training in progress, not a model that answers".into(),
            todo: "let the run reach its first validation, or go on with train --resume".into(),
        });
    }
    Ok((folder, contents))
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
    let (what, name, todo) = if path.is_dir() {
        (
            "checkpoint",
            best,
            "this folder holds no trained model; train first, or let the run reach its first validation",
        )
    } else {
        ("run folder", path.to_path_buf(), "check the path, or train first")
    };
    Err(RecError::Missing { what, name: name.display().to_string(), todo: todo.into() })
}
