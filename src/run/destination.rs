//! The run folder to write: a named one or the next free number, and what happens to a run in it.

use std::path::{Path, PathBuf};

use crate::checkpoint::RunFolder;
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

    /// This folder; a run in it is removed.
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

    /// Refuses a folder that holds something else; changes nothing.
    ///
    /// # Errors
    /// As [`RunFolder::check`].
    pub fn check(&self) -> Result<()> {
        match &self.folder {
            Place::Named(folder) => RunFolder::check(folder, self.replaces(), self.resumes()),
            Place::NextFree(_) => Ok(()),
        }
    }

    /// Takes the folder; `model` names it where nothing else does.
    ///
    /// # Errors
    /// As [`RunFolder::create`] and [`RunFolder::next_free`].
    pub(super) fn create(&self, model: &str) -> Result<RunFolder> {
        let folder = match &self.folder {
            Place::Named(folder) => folder.clone(),
            Place::NextFree(name) => RunFolder::next_free(Path::new(RUNS), name.as_deref().unwrap_or(model))?,
        };
        RunFolder::create(&folder, self.replaces(), self.resumes())
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
