//! `gcnrec verify`: is this run what its configuration and its data give?

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gcnrec::checkpoint::{self, RunFolder};
use gcnrec::config::{self, Config, Resolved};
use gcnrec::eval::Metrics;
use gcnrec::train::{self, Stop};
use gcnrec::{RecError, Result, data};
use gcnrec_graphs::Seed;
use serde_json::Value;

use super::output::print;
use super::progress::Progress;
use super::train::job;
use super::{devices, interrupt, settings};

/// Repeat a run and say whether it comes out the same, bit for bit
///
/// The data are read and hashed again, the training is run again from the recorded configuration, and every epoch's loss and validation metrics, the
/// final weights and the test metrics are compared. Nothing is written. Exit code 0: identical; 1: different, and the first difference is named.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gcnrec verify runs/lightgcn-1
  gcnrec verify runs/lightgcn-1 --steps 100     only the epochs within the first 100 steps, at least one")]
pub(super) struct Args {
    /// The folder of a run, such as runs/lightgcn-1
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Repeat only the first N training steps, to the end of their epoch
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
}

/// Prints one line that begins with `identical`, or fails with the first difference.
pub(super) fn run(args: &Args) -> Result<()> {
    let resolved = settings::of_run(&args.run, Vec::new())?;
    let folder = RunFolder::open(&args.run)?;
    let config = &resolved.config;
    let config_toml = same_config(&folder, &resolved)?;
    config::check_files(&config.data, settings::data_folder().as_deref())?;
    let split = Arc::new(data::load(&config.data, Seed(config.seed))?);
    let job = job(config, split, devices::open(config)?, config_toml)?;
    let stop = Stop::default();
    interrupt::listen(&stop)?;
    let mut progress = Progress::new();
    let verdict = train::verify(&job, &folder, args.steps, &mut progress, &stop);
    progress.finish();
    let verdict = verdict?;
    if let Some(test) = &verdict.test {
        same_report(&args.run, test)?;
    }
    let n = verdict.n_epochs;
    print(&match (verdict.complete, n) {
        (true, 0) => "identical: the data, the final weights and the test metrics\n".into(),
        (true, n) => format!("identical: the data, {n} epochs, the final weights and the test metrics\n"),
        (false, n) => format!("identical as far as it was repeated: the data and {n} epochs\n"),
    })
}

/// The configuration in the checkpoint, after a check that `config.toml` still says the same.
fn same_config(folder: &RunFolder, resolved: &Resolved) -> Result<String> {
    let places = [folder.last(), folder.best()];
    let Some(place) = places.iter().find(|place| checkpoint::exists(place)) else {
        return Err(RecError::Missing {
            what: "checkpoint in",
            name: folder.path().display().to_string(),
            todo: "there is nothing to compare with; train first".into(),
        });
    };
    let stored = checkpoint::load(place)?.config_toml;
    let recorded = Config::from_toml(&stored, &folder.path().join("config.toml"))?;
    // Results depend on neither: the device's arithmetic is a fact of its own.
    let counts = |(key, ..): &(String, String, String)| key != "threads" && key != "device";
    match recorded.differences(&resolved.config)?.into_iter().find(counts) {
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
    let text = std::fs::read_to_string(&path).map_err(RecError::read(&path))?;
    let damaged = |problem: String| RecError::Checkpoint {
        path: path.clone(),
        problem,
        todo: "write it again with train --resume".into(),
    };
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
