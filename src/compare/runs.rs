//! One run of a comparison: its folder, its state, and how it ended.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Plan;
use super::contestants::{Contestant, settled};
use crate::checkpoint::RunFolder;
use crate::config::Config;
use crate::error::{RecError, Result};
use crate::eval::MetricAt;

/// What a runner is asked to do: train as `config` says into `folder`.
#[derive(Debug, Clone)]
pub struct Order {
    /// A run file with every key set.
    pub config: PathBuf,
    /// The run folder.
    pub folder: PathBuf,
    /// Where what the run says is kept.
    pub log: PathBuf,
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
    /// [`RecError::Interrupted`] when the comparison should stop; what keeps every run from being made. A run that fails is [`Ended::Failed`].
    fn run(&mut self, order: &Order) -> Result<Ended>;
}

/// A run that was made or found.
#[derive(Debug, Clone)]
pub struct RunResult {
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
    pub fn summary(&self, metric: &MetricAt) -> String {
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

/// Takes the folder of a comparison: a new or an empty one, or with `resume` one that holds its beginning.
///
/// # Errors
/// [`RecError::Usage`] for a folder that is taken.
pub fn claim_folder(plan: &Plan) -> Result<()> {
    let out = &plan.out;
    let is_taken = out.is_file() || fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some());
    if is_taken && !plan.resume {
        return Err(RecError::Usage {
            problem: format!("{} is not empty", out.display()),
            todo: "give --resume to go on with the comparison in it, or another --out".into(),
        });
    }
    create_dir(out)
}

/// Makes or finds the run of a model and a seed.
pub fn run_one(plan: &Plan, contestant: &Contestant, seed: u64, runner: &mut dyn Runner) -> Result<RunResult> {
    let (config, split) = settled(plan, contestant, &[], seed)?;
    let place = plan.out.join(&contestant.name);
    let report = make(&place, &format!("seed-{seed}"), &config, &split.fingerprint, runner)?;
    Ok(RunResult { seed, folder: place.join(format!("seed-{seed}")), config, report })
}

/// Makes or finds the run of a configuration: its report, or the line with which it failed.
pub fn make(
    place: &Path,
    name: &str,
    config: &Config,
    fingerprint: &str,
    runner: &mut dyn Runner,
) -> Result<std::result::Result<Value, String>> {
    let beside = |suffix: &str| place.join(format!("{name}.{suffix}"));
    let order = Order { config: beside("toml"), folder: place.join(name), log: beside("log") };
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
/// [`RecError::Config`] for a run with other settings, [`RecError::Input`] for one on other data, [`RecError::Checkpoint`] for a damaged report.
fn finished(folder: &Path, config: &Config, fingerprint: &str) -> Result<Option<Value>> {
    let stored = folder.join("config.toml");
    if stored.is_file() {
        let stored = Config::from_toml(&RunFolder::open(folder)?.read_config()?, &stored)?;
        // Results depend on neither.
        let counts = |(key, ..): &(String, String, String)| key != "threads" && key != "device";
        if let Some((key, found, expected)) = stored.differences(config)?.into_iter().find(counts) {
            return Err(RecError::Config {
                key,
                origin: folder.join("config.toml").display().to_string(),
                found,
                expected: format!("{expected}, as the run files say now"),
                todo: "give another --out, or remove the run".into(),
            });
        }
    }
    let path = folder.join("report.json");
    if !path.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).map_err(RecError::read(&path))?;
    let report: Value = serde_json::from_str(&text).map_err(|error| RecError::Checkpoint {
        path: path.clone(),
        problem: format!("it is cut or damaged: {error}"),
        todo: "remove the run, or write the report again with train --resume".into(),
    })?;
    match report["dataset"]["fingerprint"].as_str() {
        Some(found) if found == fingerprint => Ok(Some(report)),
        found => Err(RecError::Input {
            place: crate::error::Place::file(&path),
            found: format!("the fingerprint {} of the data", found.unwrap_or("nothing")),
            expected: fingerprint.into(),
            todo: "the data changed since the run; give another --out".into(),
        }),
    }
}

fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|source| RecError::Io { path: path.into(), doing: "create", source })
}

/// Writes a file whole or not at all.
///
/// # Errors
/// [`RecError::Io`] when the disk is full or refuses.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let unfinished = path.with_extension("tmp");
    fs::write(&unfinished, text).and_then(|()| fs::rename(&unfinished, path)).map_err(RecError::write(path))
}
