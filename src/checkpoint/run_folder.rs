//! The run folder: configuration, metrics per epoch, checkpoints, report. Files of others in it are
//! never touched.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::disk::{Disk, SystemDisk, replace_file};
use super::store::only_checkpoint_files;
use crate::error::{RecError, Result};

const CONFIG: &str = "config.toml";
const METRICS: &str = "metrics.jsonl";
const REPORT_JSON: &str = "report.json";
const REPORT_HTML: &str = "report.html";
const WEIGHTS: &str = "weights.csv";
const FILES: [&str; 5] = [METRICS, REPORT_JSON, REPORT_HTML, WEIGHTS, CONFIG];
/// Where the members of a fusion are: each is a run folder of its own.
const MEMBERS: &str = "members";
const CHECKPOINTS: [&str; 6] = ["best", "best.tmp", "best.old", "last", "last.tmp", "last.old"];
/// First line of `config.toml`: it tells a run folder from a folder that happens to have a file of
/// that name.
const MARK: &str = "# gcnrec run: the resolved configuration";

/// An open run folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
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
    /// An empty folder is taken as it is. A folder with a run in it needs `force` (the run is
    /// removed) or `resume` (it is kept). A folder with anything else in it is refused in any case:
    /// only what is recognisably a run is ever removed.
    ///
    /// # Errors
    /// [`RecError::Usage`] for a folder that is not free, and for `force` together with `resume`;
    /// [`RecError::Io`] when the system refuses.
    pub fn create(path: &Path, force: bool, resume: bool) -> Result<RunFolder> {
        Self::check(path, force, resume)?;
        if force && matches!(look(path)?, Found::Run) {
            clear(path)?;
        }
        fs::create_dir_all(path).map_err(failed(path, "create"))?;
        Ok(RunFolder { path: path.to_path_buf() })
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
        match look(path)? {
            Found::Nothing => Ok(()),
            Found::Run if resume || force => Ok(()),
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
            return Ok(RunFolder { path: path.to_path_buf() });
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
        fs::read_to_string(&path).map_err(RecError::read(&path))
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
        match fs::read(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            read => read.map_err(RecError::read(&path)),
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
    let config = fs::read(path.join(CONFIG)).unwrap_or_default();
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
        let member = member.map_err(failed(path, "read"))?.path();
        if !member.is_dir() || matches!(look(&member)?, Found::Other(_)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes a run that [`look`] recognised. `config.toml` goes last: until then the rest is still
/// recognised.
fn clear(path: &Path) -> Result<()> {
    let gone = |result: std::io::Result<()>, at: &Path| match result {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(failed(at, "remove")(e)),
        _ => Ok(()),
    };
    let members = path.join(MEMBERS);
    if members.is_dir() {
        for member in fs::read_dir(&members).map_err(failed(&members, "read"))? {
            let member = member.map_err(failed(&members, "read"))?.path();
            clear(&member)?;
            gone(fs::remove_dir(&member), &member)?;
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
mod tests {
    use super::super::disk::FullDisk;
    use super::*;
    use serde_json::json;

    fn run_in(path: &Path) -> RunFolder {
        let run = RunFolder::create(path, false, false).unwrap();
        run.write_config("seed = 1\n").unwrap();
        run.append_metrics(&json!({"epoch": 1})).unwrap();
        fs::create_dir(run.best()).unwrap();
        fs::write(run.best().join("manifest.json"), "{}").unwrap();
        run
    }

    #[test]
    fn a_run_is_kept_without_force_and_replaced_with_it() {
        let base = tempfile::tempdir().unwrap();
        let run = run_in(&base.path().join("a/b"));
        let refused = RunFolder::create(run.path(), false, false).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.to_string().contains("--force") && refused.to_string().contains("--resume"), "{refused}");
        assert_eq!(RunFolder::create(run.path(), false, true).unwrap().read_metrics().unwrap(), [json!({"epoch": 1})]);
        RunFolder::create(run.path(), true, false).unwrap();
        assert_eq!(fs::read_dir(run.path()).unwrap().count(), 0);
        assert!(RunFolder::create(run.path(), true, true).is_err());
    }

    #[test]
    fn members_are_runs_of_their_own_and_go_with_the_run() {
        let base = tempfile::tempdir().unwrap();
        let run = run_in(&base.path().join("run"));
        run_in(&run.member("1"));
        fs::create_dir_all(run.member("2")).unwrap();
        fs::write(run.member("2").join("thesis.txt"), "years of work").unwrap();
        assert_eq!(RunFolder::create(run.path(), true, false).unwrap_err().exit_code(), 2);
        fs::remove_file(run.member("2").join("thesis.txt")).unwrap();
        RunFolder::create(run.path(), false, true).unwrap();
        assert!(run.member("1").join("config.toml").exists());
        RunFolder::create(run.path(), true, false).unwrap();
        assert_eq!(fs::read_dir(run.path()).unwrap().count(), 0);
    }

    #[test]
    fn force_touches_no_folder_that_holds_anything_else() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("run");
        for stranger in ["thesis.txt", "best/thesis.txt", "last/deep/thesis.txt", "report.pdf"] {
            let run = run_in(&path);
            let thesis = path.join(stranger);
            fs::create_dir_all(thesis.parent().unwrap()).unwrap();
            fs::write(&thesis, "years of work").unwrap();
            for (force, resume) in [(true, false), (false, true), (false, false)] {
                assert_eq!(RunFolder::create(&path, force, resume).unwrap_err().exit_code(), 2, "{stranger}");
            }
            assert!(thesis.exists() && run.best().join("manifest.json").exists());
            fs::remove_dir_all(&path).unwrap();
        }
    }

    #[test]
    fn a_folder_with_somebody_elses_config_is_not_a_run() {
        let base = tempfile::tempdir().unwrap();
        fs::write(base.path().join("config.toml"), "[server]\n").unwrap();
        assert!(RunFolder::create(base.path(), true, false).is_err());
        assert!(base.path().join("config.toml").exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_never_followed_for_removal() {
        let base = tempfile::tempdir().unwrap();
        let (run, other) = (run_in(&base.path().join("run")), base.path().join("other"));
        fs::create_dir(&other).unwrap();
        std::os::unix::fs::symlink(&other, run.last()).unwrap();
        assert!(RunFolder::create(run.path(), true, false).is_err());
        assert!(other.exists());
    }

    #[test]
    fn a_run_killed_at_its_first_write_can_be_replaced() {
        let base = tempfile::tempdir().unwrap();
        fs::write(base.path().join("config.toml.tmp"), "see").unwrap();
        assert!(RunFolder::create(base.path(), false, false).is_err());
        RunFolder::create(base.path(), true, false).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_a_clear_error() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(RunFolder::create(&file, true, false).unwrap_err().exit_code(), 2);
        let below = RunFolder::create(&file.join("run"), false, false).unwrap_err();
        assert!(below.to_string().contains("file/run: cannot"), "{below}");
        assert!(RunFolder::open(&base.path().join("nothing")).unwrap_err().to_string().contains("run folder"));
    }

    #[test]
    fn the_next_free_number_is_above_the_highest() {
        let base = tempfile::tempdir().unwrap();
        let runs = base.path().join("runs");
        let next =
            |name: &str| RunFolder::next_free(&runs, name).unwrap().file_name().unwrap().to_str().unwrap().to_string();
        assert_eq!(next("demo"), "demo-1");
        fs::create_dir(runs.join("demo-7")).unwrap();
        fs::create_dir(runs.join("demo-old-9")).unwrap();
        assert_eq!(next("demo"), "demo-8");
        assert_eq!(next("../x"), "..-x-1");
        assert_eq!(next(".."), "run-1");
    }

    #[test]
    fn metrics_are_cut_to_the_lines_that_the_checkpoint_knows() {
        let base = tempfile::tempdir().unwrap();
        let run = RunFolder::create(base.path(), false, false).unwrap();
        run.cut_metrics(0).unwrap();
        for epoch in 1..=3 {
            run.append_metrics(&json!({"epoch": epoch, "loss": 0.5})).unwrap();
        }
        run.append_metrics_on(&FullDisk::after(0), &json!({"epoch": 4})).unwrap_err();
        assert_eq!(run.read_metrics().unwrap().len(), 3, "half a line is no line");
        run.cut_metrics(2).unwrap();
        let text = fs::read_to_string(base.path().join("metrics.jsonl")).unwrap();
        assert_eq!(text, "{\"epoch\":1,\"loss\":0.5}\n{\"epoch\":2,\"loss\":0.5}\n");
        assert_eq!(run.cut_metrics(3).unwrap_err().exit_code(), 6);
    }

    #[test]
    fn config_and_report_are_read_back_as_written() {
        let base = tempfile::tempdir().unwrap();
        let run = RunFolder::create(base.path(), false, false).unwrap();
        run.write_config("seed = 1\n").unwrap();
        let text = run.read_config().unwrap();
        assert_eq!(text, format!("{MARK}\nseed = 1\n"));
        run.write_config(&text).unwrap();
        assert_eq!(run.read_config().unwrap(), text, "the mark is written once");
        run.write_report("{}", "<html></html>").unwrap();
        assert_eq!(fs::read_to_string(base.path().join("report.json")).unwrap(), "{}");
    }
}
