//! Reproducibility: a finished run trained again and compared with what its folder holds.

use std::path::Path;

use serde_json::Value;

use super::destination::Destination;
use super::prepared::Prepared;
use super::setup::Run;
use crate::checkpoint::{self, RunFolder};
use crate::config::{Config, is_data_file};
use crate::error::{RecError, Result};
use crate::eval::Metrics;
use crate::files::{LINES_LIMIT, read_small_text};
use crate::train::{self, Observer, Stop, Verdict};

/// Trains the run in `folder` again, or its first `steps` steps, and compares: settings, data,
/// epochs, final weights, test metrics. `run` is what [`Run::reopen`] gave for the folder. Nothing
/// is written.
///
/// # Errors
/// [`RecError::Different`] with the first difference; those of [`Run::load`] and of training.
pub fn repeat(
    run: Run,
    folder: &Path,
    steps: Option<u64>,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Verdict> {
    let folder = RunFolder::open(folder)?;
    let config_toml = same_config(&folder, run.config())?;
    let loaded = run.load()?;
    if let Some(note) = loaded.note() {
        observer.on_message(&format!("note: {note}"));
    }
    let job = train::Job { config_toml, ..loaded.job()? };
    let prepared = Prepared::of_job(job, Destination::default())?;
    let verdict = train::verify(prepared.job(), &folder, steps, observer, stop)?;
    if let Some(test) = &verdict.test {
        same_report(folder.path(), test)?;
    }
    Ok(verdict)
}

/// The configuration in the checkpoint, after a check that `config.toml` still says the same.
fn same_config(folder: &RunFolder, config: &Config) -> Result<String> {
    let places = [folder.last(), folder.best()];
    let Some(place) = places.iter().find(|place| checkpoint::exists(place)) else {
        return Err(RecError::missing(
            "checkpoint in",
            folder.path().display().to_string(),
            "there is nothing to compare with; train first",
        ));
    };
    let stored = checkpoint::load(place)?.config_toml;
    let recorded = Config::from_toml(&stored, &folder.path().join("config.toml"))?;
    // Results depend on none of them: the device's arithmetic is a fact of its own, and data are
    // told by their fingerprint.
    let counts = |(key, ..): &(String, String, String)| key != "threads" && key != "device" && !is_data_file(key);
    match recorded.differences(config)?.into_iter().find(counts) {
        None => Ok(stored),
        Some((key, there, here)) => Err(RecError::Different {
            run: folder.path().to_path_buf(),
            what: format!("config.toml says {key} = {here}, the run was trained with {there}"),
            todo: "put the value back".into(),
        }),
    }
}

/// Refuses a report whose test metrics are not those of the repeated run.
fn same_report(run: &Path, test: &Metrics) -> Result<()> {
    let path = run.join("report.json");
    let text = read_small_text(&path, LINES_LIMIT)?;
    let damaged = |problem: String| RecError::checkpoint(path.clone(), problem, "write it again with train --resume");
    let report: Value = serde_json::from_str(&text).map_err(|e| damaged(format!("it is cut or damaged: {e}")))?;
    let reported = |name: &str| report.get("metrics")?.get("test")?.get(name)?.as_f64();
    match test.iter().find(|(name, value)| reported(name) != Some(*value)) {
        None => Ok(()),
        Some((name, value)) => Err(RecError::Different {
            run: run.to_path_buf(),
            what: format!(
                "the test metric {name} is {value}, the report says {}",
                reported(name).map_or_else(|| "nothing".into(), |value| value.to_string())
            ),
            todo: String::new(),
        }),
    }
}
