//! The run folder: configuration, metrics per epoch, checkpoints, report. Files of others in it are
//! never touched.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::disk::{Disk, SystemDisk, parent, replace_file};
use super::lock::LOCK;
use super::store::only_checkpoint_files;
use crate::error::{RecError, Result};
use crate::files::{LINES_LIMIT, SETTINGS_LIMIT, read_small_file, read_small_text};

const CONFIG: &str = "config.toml";
const METRICS: &str = "metrics.jsonl";
const REPORT_JSON: &str = "report.json";
const REPORT_HTML: &str = "report.html";
const WEIGHTS: &str = "weights.csv";
const FILES: [&str; 5] = [METRICS, REPORT_JSON, REPORT_HTML, WEIGHTS, CONFIG];
/// Where the members of a fusion are: each is a run folder of its own.
const MEMBERS: &str = "members";
/// What stands behind the name of a folder that is replaced: the new run until it holds a model, and
/// the old one while it is removed.
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

/// What stands at a path where a run wants to be.
enum Found {
    Nothing,
    Run,
    /// Something else, and what gives it away.
    Other(String),
}

impl RunFolder {
    /// Takes a folder for a run, creating it if it is not there.
    ///
    /// An empty folder is taken as it is. A folder with a run in it needs `force` or `resume` (it is
    /// kept and goes on). With `force` the new run is written beside it, into `PATH.new`, and takes
    /// its place with [`RunFolder::take_place`]: until then the old one answers. A folder with
    /// anything else in it is refused in any case: only what is recognisably a run is ever removed.
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
            return Err(usage("--force and --resume contradict each other".into(), "give one of them"));
        }
        let old = beside(&real(path), OLD);
        if !path.exists() && old.is_dir() && matches!(look(&old)?, Found::Run) {
            let problem = format!("{} is not there, and {} is the run that it was", path.display(), old.display());
            return Err(usage(problem, "a training with --force was ended while it replaced it; rename it back"));
        }
        match look(path)? {
            Found::Nothing => Ok(()),
            Found::Run if resume => Ok(()),
            Found::Run if force => {
                check_free_to_replace(&beside(&real(path), NEW)).and_then(|()| check_free_to_replace(&old))
            }
            Found::Run => Err(usage(
                format!("{} already holds a run", path.display()),
                "give --force to replace it, --resume to go on with it, or another --out",
            )),
            Found::Other(what) => Err(usage(
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
        Err(usage(format!("{} has no free number for {stem}", base.display()), "give --out"))
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

    /// Writes `config.toml`, in one step.
    ///
    /// # Errors
    /// [`RecError::Io`] when the disk is full or refuses.
    pub fn write_config(&self, toml: &str) -> Result<()> {
        let marked = if toml.starts_with(MARK) { toml.to_string() } else { format!("{MARK}\n{toml}") };
        replace_file(&SystemDisk, &self.path.join(CONFIG), marked.as_bytes())
    }

    /// Reads `config.toml`.
    ///
    /// # Errors
    /// [`RecError::Missing`] or [`RecError::Io`] when it cannot be read.
    pub fn read_config(&self) -> Result<String> {
        let path = self.path.join(CONFIG);
        read_small_text(&path, SETTINGS_LIMIT)
    }

    /// `config.toml` as it was given to [`RunFolder::write_config`].
    ///
    /// # Errors
    /// As [`RunFolder::read_config`].
    pub fn settings(&self) -> Result<String> {
        let text = self.read_config()?;
        Ok(text.strip_prefix(MARK).map_or(&*text, |rest| rest.trim_start_matches(['\r', '\n'])).to_string())
    }

    /// Adds one line to `metrics.jsonl` and waits until the disk has it, so that a later checkpoint
    /// never counts a line that is lost.
    ///
    /// # Errors
    /// [`RecError::Io`] when the disk is full or refuses.
    pub fn append_metrics(&self, line: &Value) -> Result<()> {
        self.append_metrics_on(&SystemDisk, line)
    }

    fn append_metrics_on(&self, disk: &dyn Disk, line: &Value) -> Result<()> {
        let path = self.path.join(METRICS);
        disk.append_synced(&path, format!("{line}\n").as_bytes()).map_err(RecError::write(&path))
    }

    /// The whole lines of `metrics.jsonl`; none when the file is not there. A last line without its
    /// end is left out: its write was cut.
    ///
    /// # Errors
    /// [`RecError::Io`] when it cannot be read, [`RecError::Checkpoint`] for a whole line that is
    /// not JSON.
    pub fn read_metrics(&self) -> Result<Vec<Value>> {
        let path = self.path.join(METRICS);
        whole_lines(&self.metrics_bytes()?)
            .enumerate()
            .map(|(n, line)| {
                serde_json::from_slice(line).map_err(|e| {
                    RecError::checkpoint(&path, format!("line {} is damaged: {e}", n + 1), "start again with --force")
                })
            })
            .collect()
    }

    /// Keeps the first lines of `metrics.jsonl`, in one step: those that the checkpoint knows
    /// about.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when there are fewer whole lines; [`RecError::Io`] when the system
    /// refuses.
    pub fn cut_metrics(&self, keep_lines: usize) -> Result<()> {
        let (path, bytes) = (self.path.join(METRICS), self.metrics_bytes()?);
        let n_lines = whole_lines(&bytes).count();
        if n_lines < keep_lines {
            return Err(RecError::checkpoint(
                &path,
                format!("it has {n_lines} whole lines, the checkpoint was written after {keep_lines}"),
                "restore it from a copy, or start again with --force",
            ));
        }
        let keep: usize = whole_lines(&bytes).take(keep_lines).map(<[u8]>::len).sum();
        if keep == bytes.len() { Ok(()) } else { replace_file(&SystemDisk, &path, &bytes[..keep]) }
    }

    /// Writes `report.json` and `report.html`, each in one step, the page first: where the JSON is,
    /// everything is.
    ///
    /// # Errors
    /// [`RecError::Io`] when the disk is full or refuses.
    pub fn write_report(&self, json: &str, html: &str) -> Result<()> {
        replace_file(&SystemDisk, &self.path.join(REPORT_HTML), html.as_bytes())?;
        replace_file(&SystemDisk, &self.path.join(REPORT_JSON), json.as_bytes())
    }

    fn metrics_bytes(&self) -> Result<Vec<u8>> {
        let path = self.path.join(METRICS);
        match read_small_file(&path, LINES_LIMIT) {
            Err(RecError::Missing { .. }) => Ok(Vec::new()),
            read => read,
        }
    }
}

fn whole_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n"))
}

fn usage(problem: String, todo: &str) -> RecError {
    RecError::usage(problem, todo)
}

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> RecError {
    let path = path.to_path_buf();
    move |source| RecError::Io { path, doing, source }
}

fn look(path: &Path) -> Result<Found> {
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
fn real(path: &Path) -> PathBuf {
    let is_named = path.file_name().is_some() && !path.is_symlink();
    if is_named { path.into() } else { fs::canonicalize(path).unwrap_or_else(|_| path.into()) }
}

/// The folder of this name with a suffix.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}

/// Refuses a name that a replacement needs and that something else has.
fn check_free_to_replace(path: &Path) -> Result<()> {
    match look(path)? {
        Found::Nothing | Found::Run => Ok(()),
        Found::Other(what) => Err(usage(
            format!("--force writes the new run into {} first, which is no run folder ({what})", path.display()),
            "move it away, or give another --out",
        )),
    }
}

/// Removes a run that [`look`] recognised, its lock and its folder; nothing where there is none.
fn remove(path: &Path) -> Result<()> {
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
fn clear(path: &Path) -> Result<()> {
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

#[cfg(test)]
mod tests;
