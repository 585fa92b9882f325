//! The run folder to write: a named one or the next free number, and what happens to a run in it.

use std::path::{Path, PathBuf};

use crate::checkpoint::{FolderLock, RunFolder};
use crate::error::Result;

/// Where run folders are put when no folder is named.
const RUNS: &str = "runs";

/// The run folder to write.
///
/// ```
/// use gcnrec::Destination;
///
/// // A folder that holds something else is refused before anything is computed.
/// let here = Destination::new(env!("CARGO_MANIFEST_DIR"));
/// assert_eq!(here.check().unwrap_err().exit_code(), 2);
/// assert!(Destination::resume("runs/mine").resumes());
/// assert!(Destination::next_free(Some("books")).check().is_ok()); // runs/books-1, or the next
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    folder: Place,
    existing: Existing,
}

/// A folder that this process alone writes into, as long as the value lives.
pub(super) struct Taken {
    pub(super) folder: RunFolder,
    pub(super) locks: Vec<FolderLock>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Named(PathBuf),
    /// `runs/NAME-n`; without a name that of the model.
    NextFree(Option<String>),
}

/// What happens to a run that is in the folder already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Existing {
    Refuse,
    Replace,
    Resume,
}

impl Destination {
    /// This folder, which must not hold a run yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Destination { folder: Place::Named(folder.into()), existing: Existing::Refuse }
    }

    /// This folder; a run in it is replaced as soon as the new one holds a model.
    pub fn replace(folder: impl Into<PathBuf>) -> Self {
        Destination { existing: Existing::Replace, ..Destination::new(folder) }
    }

    /// This folder; a run in it goes on from its last checkpoint.
    pub fn resume(folder: impl Into<PathBuf>) -> Self {
        Destination { existing: Existing::Resume, ..Destination::new(folder) }
    }

    /// `runs/NAME-n` below the current folder, with the first number that no other run has; the
    /// model's name where there is no other.
    pub fn next_free(name: Option<&str>) -> Self {
        Destination { folder: Place::NextFree(name.map(String::from)), existing: Existing::Refuse }
    }

    /// Refuses a folder that holds something else or that another training has; changes nothing.
    ///
    /// # Errors
    /// As [`RunFolder::check`]; [`crate::RecError::Usage`] while another process writes into the folder.
    pub fn check(&self) -> Result<()> {
        let Place::Named(folder) = &self.folder else { return Ok(()) };
        RunFolder::check(folder, self.replaces(), self.resumes())?;
        FolderLock::check(folder)
    }

    /// Takes the folder; `model` names it where nothing else does.
    ///
    /// # Errors
    /// As [`RunFolder::create`], [`RunFolder::next_free`] and [`FolderLock::take`].
    pub(super) fn create(&self, model: &str) -> Result<Taken> {
        let path = match &self.folder {
            Place::Named(folder) => folder.clone(),
            Place::NextFree(name) => RunFolder::next_free(Path::new(RUNS), name.as_deref().unwrap_or(model))?,
        };
        RunFolder::check(&path, self.replaces(), self.resumes())?;
        // A run that is replaced is locked too: nobody goes on with it meanwhile.
        let mut locks = if path.is_dir() { vec![FolderLock::take(&path)?] } else { Vec::new() };
        let folder = RunFolder::create(&path, self.replaces(), self.resumes())?;
        if locks.is_empty() || folder.path() != path {
            locks.push(FolderLock::take(folder.path())?);
        }
        Ok(Taken { folder, locks })
    }

    /// True when a run in the folder goes on.
    pub fn resumes(&self) -> bool {
        self.existing == Existing::Resume
    }

    /// The folder whose run goes on, where it holds the settings of one.
    pub(super) fn begun(&self) -> Option<&Path> {
        match &self.folder {
            Place::Named(folder) if self.resumes() && folder.join("config.toml").is_file() => Some(folder),
            _ => None,
        }
    }

    fn replaces(&self) -> bool {
        self.existing == Existing::Replace
    }
}

impl Default for Destination {
    /// `runs/MODEL-n`.
    fn default() -> Self {
        Destination::next_free(None)
    }
}
