//! Runs of a comparison: made, gone on with or found finished in their folders.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Plan;
use super::contestants::{Contestant, loaded};
use super::metric::Tested;
use crate::checkpoint::{FolderLock, LOCK, RunFolder, write_whole};
use crate::config::{Config, is_data_file};
use crate::error::{RecError, Result};
use crate::files::{LINES_LIMIT, read_small_text};

/// What a runner is asked to do: train as `config` says into `folder`.
#[derive(Debug, Clone)]
pub struct Order {
    /// A run file with every key set.
    pub config: PathBuf,
    /// The run folder.
    pub folder: PathBuf,
    /// Where what the run says is kept.
    pub log: PathBuf,
    /// The folder in which the files are found that the configuration names by relative paths:
    /// `GCNREC_DATA`.
    pub data_folder: Option<PathBuf>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Its folder holds a report.
    Done,
    /// It failed, with this line.
    Failed(String),
}

/// Makes the runs of a comparison. A run that a folder holds the beginning of is gone on with.
pub trait Runner {
    /// Makes one run.
    ///
    /// # Errors
    /// [`RecError::Interrupted`] when the comparison should stop; what keeps every run from being
    /// made. A run that fails is [`Ended::Failed`].
    fn run(&mut self, order: &Order) -> Result<Ended>;
}

/// A run that was made or found.
#[derive(Debug, Clone)]
pub(crate) struct RunResult {
    /// The seed.
    pub seed: u64,
    /// The run folder.
    pub folder: PathBuf,
    /// The complete configuration.
    pub config: Config,
    /// Its `report.json`, or why there is none.
    pub report: std::result::Result<Value, String>,
}

impl RunResult {
    /// A line for whoever watches.
    pub(crate) fn summary(&self, metric: Tested) -> String {
        match &self.report {
            Err(problem) => format!("failed: {problem}"),
            Ok(report) => {
                let value = report["metrics"]["test"][metric.to_string()].as_f64().unwrap_or(f64::NAN);
                let seconds = report["timing"]["train_s"].as_f64().unwrap_or(f64::NAN);
                format!("{metric} {value:.4}, {seconds:.1} s of training")
            }
        }
    }
}

/// Takes the folder of a comparison: a new or an empty one, or with `resume` one that holds its
/// beginning. Nobody else writes into it while the lock lives.
///
/// # Errors
/// [`RecError::Usage`] for a folder that is taken, for a file and for links in the folder; as
/// [`FolderLock::take`].
pub(crate) fn claim_folder(plan: &Plan, contestants: &[Contestant]) -> Result<FolderLock> {
    let out = &plan.out;
    let refuse = |what: &str, todo: &str| Err(RecError::usage(format!("{} {what}", out.display()), todo));
    if out.exists() && !out.is_dir() {
        return refuse("is a file", "a comparison takes a folder; give another --out");
    }
    let is_taken = entries(out).iter().any(|entry| *entry.file_name() != *LOCK);
    if is_taken && !plan.resume {
        return refuse("is not empty", "give --resume to go on with the comparison in it, or another --out");
    }
    if is_taken && !holds_comparison(out, contestants) {
        return refuse(
            "is not empty and holds no comparison to go on with",
            "give the --out that the comparison began with",
        );
    }
    if let Some(link) = link_in(out) {
        return refuse(
            &format!("holds the link {}", link.display()),
            "a comparison writes into its own folder; put the file in its place",
        );
    }
    create_dir(out)?;
    FolderLock::take(out)
}

fn entries(folder: &Path) -> Vec<fs::DirEntry> {
    fs::read_dir(folder).into_iter().flatten().flatten().collect()
}

/// A link among what a comparison writes: it may lead anywhere.
fn link_in(out: &Path) -> Option<PathBuf> {
    let is_link = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_symlink());
    let all = entries(out);
    let below = all.iter().flat_map(|entry| entries(&entry.path()));
    let found = all.iter().find(|entry| is_link(entry)).map(fs::DirEntry::path);
    found.or_else(|| below.into_iter().find(is_link).map(|entry| entry.path()))
}

/// True for a folder with the result of a comparison, or with the configuration of one of its runs,
/// which is written before anything else is. The run folder of a training is none, whatever lies in
/// it.
fn holds_comparison(out: &Path, contestants: &[Contestant]) -> bool {
    if out.join("config.toml").exists() {
        return false;
    }
    let is_of_run = |entry: &fs::DirEntry| {
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        let number = name.strip_prefix("seed-").or_else(|| name.strip_prefix("trial-"));
        let number = number.and_then(|rest| rest.strip_suffix(".toml").or_else(|| rest.strip_suffix(".tmp")));
        path.is_file() && number.is_some_and(|number| number.parse::<u64>().is_ok())
    };
    // A kill may come between the folder of the first model and its first file.
    let mut all = entries(out);
    all.retain(|entry| *entry.file_name() != *LOCK);
    let is_ours = |name: &std::ffi::OsStr| contestants.iter().any(|contestant| *contestant.name == *name);
    let is_empty = |entry: &fs::DirEntry| entry.path().is_dir() && entries(&entry.path()).is_empty();
    let has_begun = all.iter().all(|entry| is_ours(&entry.file_name()) && is_empty(entry));
    has_begun
        || out.join("compare.json").is_file()
        || all.iter().any(|model| entries(&model.path()).iter().any(is_of_run))
}

/// Makes or finds the run of a model and a seed.
pub(crate) fn run_one(plan: &Plan, contestant: &Contestant, seed: u64, runner: &mut dyn Runner) -> Result<RunResult> {
    let loaded = loaded(plan, contestant, &[], seed)?;
    let (config, place) = (loaded.config().clone(), plan.out.join(&contestant.name));
    let name = format!("seed-{seed}");
    let report = make(plan, &place, &name, &loaded.stored(), &loaded.split().fingerprint, runner)?;
    Ok(RunResult { seed, folder: place.join(format!("seed-{seed}")), config, report })
}

/// Makes or finds the run of a configuration, as [`Loaded::stored`] gives it: its report, or the line
/// with which it failed.
///
/// [`Loaded::stored`]: crate::run::Loaded::stored
pub(crate) fn make(
    plan: &Plan,
    place: &Path,
    name: &str,
    config: &Config,
    fingerprint: &str,
    runner: &mut dyn Runner,
) -> Result<std::result::Result<Value, String>> {
    let beside = |suffix: &str| place.join(format!("{name}.{suffix}"));
    let (config_file, folder, log) = (beside("toml"), place.join(name), beside("log"));
    let data_folder = plan.environment.iter().find(|(name, _)| name == "GCNREC_DATA");
    let data_folder = data_folder.map(|(_, path)| path.into());
    let order = Order { config: config_file, folder, log, data_folder };
    if let Some(report) = finished(&order.folder, config, fingerprint)? {
        return Ok(Ok(report));
    }
    create_dir(place)?;
    write(&order.config, &config.to_toml()?)?;
    Ok(match runner.run(&order)? {
        Ended::Failed(problem) => Err(problem),
        Ended::Done => finished(&order.folder, config, fingerprint)?
            .ok_or_else(|| format!("{} ended without a report", order.folder.display())),
    })
}

/// The report of a run that is finished; nothing for a run that is not there or not finished.
///
/// # Errors
/// [`RecError::Config`] for a run with other settings, [`RecError::Input`] for one on other data,
/// [`RecError::Checkpoint`] for a damaged report.
fn finished(folder: &Path, config: &Config, fingerprint: &str) -> Result<Option<Value>> {
    let stored = folder.join("config.toml");
    if stored.is_file() {
        let stored = Config::from_toml(&RunFolder::open(folder)?.read_config()?, &stored)?;
        // Results depend on none of them: data are told by their fingerprint.
        let counts = |(key, ..): &(String, String, String)| key != "threads" && key != "device" && !is_data_file(key);
        if let Some((key, found, expected)) = stored.differences(config)?.into_iter().find(counts) {
            return Err(RecError::range(key, found, format!("{expected}, as the run files say now"))
                .with_origin(folder.join("config.toml").display().to_string())
                .with_todo("give another --out, or remove the run"));
        }
    }
    let path = folder.join("report.json");
    if !path.is_file() {
        return Ok(None);
    }
    let text = read_small_text(&path, LINES_LIMIT)?;
    let report: Value = serde_json::from_str(&text).map_err(|error| {
        RecError::checkpoint(
            path.clone(),
            format!("it is cut or damaged: {error}"),
            "remove the run, or write the report again with train --resume",
        )
    })?;
    match report["dataset"]["fingerprint"].as_str() {
        Some(found) if found == fingerprint => Ok(Some(report)),
        found => Err(RecError::input(
            crate::error::Place::file(&path),
            format!("the fingerprint {} of the data", found.unwrap_or("nothing")),
            fingerprint,
        )
        .with_todo("the data changed since the run; give another --out")),
    }
}

fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|source| RecError::Io { path: path.into(), doing: "create", source })
}

/// Writes a file whole or not at all.
///
/// # Errors
/// [`RecError::Io`] when the disk is full or refuses.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    write_whole(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contestant(name: &str) -> Contestant {
        Contestant {
            name: name.into(),
            file: "plain.toml".into(),
            config: Config::default(),
            labelled: false,
            chosen: Vec::new(),
            metric: Tested::parse("--metric", "ndcg@20").unwrap(),
        }
    }

    /// True when a folder with these files, and folders where a name ends in a slash, can be gone
    /// on with.
    fn is_taken_up(names: &[&str]) -> bool {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(if name.ends_with('/') { &path } else { path.parent().unwrap() }).unwrap();
            if !name.ends_with('/') {
                fs::write(path, "").unwrap();
            }
        }
        holds_comparison(folder.path(), &[contestant("plain")])
    }

    #[test]
    fn a_comparison_is_taken_up_wherever_it_was_stopped_and_nothing_else_is() {
        for begun in [
            &["plain/"][..],
            &["plain/seed-2020.tmp"],
            &["plain/seed-2020.toml"],
            &["other/trial-1.toml", "plain/"],
            &["compare.json", "plain/seed-2020/report.json"],
        ] {
            assert!(is_taken_up(begun), "{begun:?}");
        }
        for other in [
            &["thesis.txt"][..],
            &["photos/"],
            &["plain/", "thesis.txt"],
            &["plain/notes.toml"],
            &["config.toml", "metrics.jsonl", "best/"],
            &["config.toml", "compare.json", "plain/seed-2020.toml"],
        ] {
            assert!(!is_taken_up(other), "{other:?}");
        }
    }
}
