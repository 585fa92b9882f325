//! The run folder: configuration, metrics per epoch, checkpoints, report. Files of others in it are
//! never touched.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::disk::{Disk, SystemDisk, parent};
use crate::error::{RecError, Result};

mod files;
mod place;
#[cfg(test)]
mod tests;

use place::{Found, beside, check_free_to_replace, clear, failed, look, real, remove};

const CONFIG: &str = "config.toml";
const METRICS: &str = "metrics.jsonl";
const REPORT_JSON: &str = "report.json";
const REPORT_HTML: &str = "report.html";
const WEIGHTS: &str = "weights.csv";
const FILES: [&str; 5] = [METRICS, REPORT_JSON, REPORT_HTML, WEIGHTS, CONFIG];
/// Where the members of a fusion are: each is a run folder of its own.
const MEMBERS: &str = "members";
/// What stands behind the name of a folder that is replaced: the new run until it holds a model,
/// and the old one while it is removed.
const NEW: &str = ".new";
const OLD: &str = ".replaced";
const CHECKPOINTS: [&str; 6] = ["best", "best.tmp", "best.old", "last", "last.tmp", "last.old"];
/// First line of `config.toml`: it tells a run folder from a folder that happens to have a file of
/// that name.
const MARK: &str = "# gcnrec run: the resolved configuration";

/// An open run folder.
///
/// ```
/// use gcnrec::RunFolder;
///
/// # fn main() -> gcnrec::Result<()> {
/// # let place = tempfile::tempdir().expect("a folder for temporary files");
/// let folder = RunFolder::create(&place.path().join("run"), false, false)?;
/// assert!(folder.best().ends_with("run/best"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
    /// Where a run lies whose place this one takes as soon as it holds a model.
    place: Option<PathBuf>,
}

impl RunFolder {
    /// Takes a folder for a run, creating it if it is not there.
    ///
    /// An empty folder is taken as it is. A folder with a run in it needs `force` or `resume` (it
    /// is kept and goes on). With `force` the new run is written beside it, into `PATH.new`, and
    /// takes its place with [`RunFolder::take_place`]: until then the old one answers. A folder
    /// with anything else in it is refused in any case: only what is recognisably a run is ever
    /// removed.
    ///
    /// # Errors
    /// [`RecError::Usage`] for a folder that is not free, and for `force` together with `resume`;
    /// [`RecError::Io`] when the system refuses.
    pub fn create(path: &Path, force: bool, resume: bool) -> Result<RunFolder> {
        Self::check(path, force, resume)?;
        let place = (force && matches!(look(path)?, Found::Run)).then(|| real(path));
        let path = place.as_ref().map_or_else(|| path.to_path_buf(), |place| beside(place, NEW));
        if place.is_some() {
            // What an earlier training left that was ended before it had a model.
            clear(&path)?;
        }
        fs::create_dir_all(&path).map_err(failed(&path, "create"))?;
        Ok(RunFolder { path, place })
    }

    /// Puts this run in the place of the one that it replaces, which is removed. Does nothing for a
    /// run that replaces none, and when called again.
    ///
    /// # Errors
    /// [`RecError::Io`] when the system refuses; then both runs are where they were.
    pub fn take_place(&mut self) -> Result<()> {
        let Some(place) = self.place.take() else { return Ok(()) };
        let old = beside(&place, OLD);
        remove(&old)?;
        SystemDisk.rename(&place, &old).map_err(failed(&place, "replace"))?;
        if let Err(error) = SystemDisk.rename(&self.path, &place) {
            // Best effort; if it fails too, `check` says where the old run is.
            let _ = SystemDisk.rename(&old, &place);
            self.place = Some(place);
            return Err(failed(&self.path, "move")(error));
        }
        self.path = place;
        SystemDisk.sync_dir(parent(&self.path)).map_err(failed(&self.path, "write"))?;
        remove(&old)
    }

    /// Removes a run that came to nothing: one that was to replace another, or one that has neither
    /// a checkpoint nor a line of metrics. True when it is gone.
    ///
    /// # Errors
    /// [`RecError::Io`] when the system refuses.
    pub fn discard(&self) -> Result<bool> {
        let has_begun = || CHECKPOINTS.iter().chain([&METRICS]).any(|name| self.path.join(name).exists());
        if self.place.is_none() && has_begun() {
            return Ok(false);
        }
        remove(&self.path)?;
        Ok(true)
    }

    /// Refuses what [`RunFolder::create`] would refuse, and changes nothing: so that it is known
    /// before hours of data are read.
    ///
    /// # Errors
    /// As [`RunFolder::create`].
    pub fn check(path: &Path, force: bool, resume: bool) -> Result<()> {
        if force && resume {
            return Err(RecError::usage("--force and --resume contradict each other", "give one of them"));
        }
        let old = beside(&real(path), OLD);
        if !path.exists() && old.is_dir() && matches!(look(&old)?, Found::Run) {
            let problem = format!("{} is not there, and {} is the run that it was", path.display(), old.display());
            return Err(RecError::usage(
                problem,
                "a training with --force was ended while it replaced it; rename it back",
            ));
        }
        match look(path)? {
            Found::Nothing => Ok(()),
            Found::Run if resume => Ok(()),
            Found::Run if force => {
                check_free_to_replace(&beside(&real(path), NEW)).and_then(|()| check_free_to_replace(&old))
            }
            Found::Run => Err(RecError::usage(
                format!("{} already holds a run", path.display()),
                "give --force to replace it, --resume to go on with it, or another --out",
            )),
            Found::Other(what) => Err(RecError::usage(
                format!("{} is not a run folder ({what}), so neither --force nor --resume touches it", path.display()),
                "give another --out",
            )),
        }
    }

    /// Opens an existing run folder for reading or adding to it.
    ///
    /// # Errors
    /// [`RecError::Missing`] when there is no such folder.
    pub fn open(path: &Path) -> Result<RunFolder> {
        if path.is_dir() {
            return Ok(RunFolder { path: path.to_path_buf(), place: None });
        }
        Err(RecError::missing("run folder", path.display().to_string(), "check the path, or train first"))
    }

    /// Creates `BASE/NAME-n`, with n one more than the highest in use, and gives its path. Two runs
    /// that ask at once get two folders. Characters of the name that may not stand in a file name
    /// become `-`.
    ///
    /// # Errors
    /// [`RecError::Io`] when the base folder cannot be created, read or written.
    pub fn next_free(base: &Path, name: &str) -> Result<PathBuf> {
        let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
        let stem: String = name.chars().map(plain).collect();
        let stem = if stem.trim_matches(['-', '.']).is_empty() { "run".to_string() } else { stem };
        fs::create_dir_all(base).map_err(failed(base, "create"))?;
        let mut highest = 0u64;
        for entry in fs::read_dir(base).map_err(failed(base, "read"))? {
            let name = entry.map_err(failed(base, "read"))?.file_name();
            let number = name.to_str().and_then(|n| n.strip_prefix(stem.as_str())?.strip_prefix('-')?.parse().ok());
            highest = highest.max(number.unwrap_or(0));
        }
        for n in highest.saturating_add(1).. {
            let path = base.join(format!("{stem}-{n}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(path),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(failed(&path, "create")(e)),
            }
        }
        Err(RecError::usage(format!("{} has no free number for {stem}", base.display()), "give --out"))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The table of what debiasing learned of every training pair.
    pub fn weights(&self) -> PathBuf {
        self.path.join(WEIGHTS)
    }

    /// The checkpoint of the epoch that validation chose.
    pub fn best(&self) -> PathBuf {
        self.path.join("best")
    }

    /// The checkpoint that a resumed run starts from.
    pub fn last(&self) -> PathBuf {
        self.path.join("last")
    }

    /// The run folder of a member of this run.
    pub fn member(&self, name: &str) -> PathBuf {
        self.path.join(MEMBERS).join(name)
    }
}
