//! `gcnrec runs`: the run folders of a folder, with what each came to.

use std::fs;
use std::path::{Path, PathBuf};

use gcnrec::internals::checkpoint;
use gcnrec::internals::files::{LINES_LIMIT, read_small_text};
use gcnrec::internals::report::{Cell, Table};
use gcnrec::{RecError, Result, RunFolder};
use serde_json::Value;

use super::output::{OutputArgs, say};

/// List the runs of a folder: model, data, metric, date
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gcnrec runs
  gcnrec runs runs/compare-1
  gcnrec runs --output csv | sort -t, -k6 -nr

The metric is the one that picked the epoch, or the first one of the report; its value is that of the test part. The
runs of a comparison are listed as any others.")]
pub(super) struct Args {
    /// The folder
    #[arg(value_name = "DIR", default_value = "runs")]
    folder: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

/// Levels of folders that are searched for runs: `runs`, a comparison in it, a model of that one.
const LEVELS: usize = 3;

/// Prints one row per run, in the order of their names; what cannot be read is named.
pub(super) fn run(args: &Args) -> Result<()> {
    let todo = "train first, or name the folder that holds the runs";
    if !args.folder.is_dir() {
        return Err(RecError::missing("folder", args.folder.display().to_string(), todo));
    }
    let mut runs = Vec::new();
    find(&args.folder, LEVELS, &mut runs)?;
    if runs.is_empty() {
        return Err(RecError::missing("a run in", args.folder.display().to_string(), todo));
    }
    let mut table = Table::new(["run", "model", "data", "state", "metric", "value", "best_epoch", "date"]);
    let mut damaged = Vec::new();
    for run in &runs {
        match row_of(run) {
            Ok(row) => table.row(row),
            Err(error) => damaged.push(format!("warning: {}: left out: {error}", run.display())),
        }
    }
    args.output.print(&table)?;
    damaged.iter().for_each(|line| say(line));
    Ok(())
}

/// Adds the run that a folder is, or those in it.
fn find(folder: &Path, levels: usize, runs: &mut Vec<PathBuf>) -> Result<()> {
    let holds = |name: &str| folder.join(name).is_file();
    let has_model = || ["best", "last"].iter().any(|name| checkpoint::exists(&folder.join(name)));
    if holds("config.toml") || holds("report.json") || has_model() {
        runs.push(folder.to_path_buf());
        return Ok(());
    }
    if levels == 0 {
        return Ok(());
    }
    subfolders(folder)?.iter().try_for_each(|inside| find(inside, levels - 1, runs))
}

fn subfolders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(RecError::read(folder))? {
        let entry = entry.map_err(RecError::read(folder))?;
        // Links are not followed: they may lead in a circle.
        found.extend(entry.file_type().is_ok_and(|kind| kind.is_dir()).then(|| entry.path()));
    }
    found.sort();
    Ok(found)
}

/// The row of a run.
///
/// # Errors
/// What keeps the run from being read.
fn row_of(folder: &Path) -> Result<Vec<Cell>> {
    let run = RunFolder::open(folder)?;
    let config: Value = toml::from_str(&run.settings()?).map_err(|error| {
        let at = folder.join("config.toml");
        RecError::checkpoint(at, error.message(), "restore it from a copy, or train again with --force")
    })?;
    let mut row: Vec<Cell> = vec![folder.display().to_string().into(), model_of(&config), data_of(&config)];
    let path = folder.join("report.json");
    if !path.is_file() {
        row.push("unfinished".into());
        return Ok(row);
    }
    let report: Value = serde_json::from_str(&read_small_text(&path, LINES_LIMIT)?).map_err(|error| {
        RecError::checkpoint(&path, format!("it is no report: {error}"), "train again with --force")
    })?;
    // What answers is the model: without it there is a report and nothing else.
    let is_whole = [run.best(), run.last()].iter().any(|folder| checkpoint::exists(folder));
    row.push(if is_whole { "finished" } else { "no model" }.into());
    row.extend(result_of(&report));
    Ok(row)
}

/// `model` of a settled configuration: the one table that is named as the model.
fn model_of(config: &Value) -> Cell {
    match &config["model"] {
        Value::Object(table) => table.keys().next().map_or(Cell::Empty, |name| name.as_str().into()),
        Value::String(name) => name.as_str().into(),
        _ => Cell::Empty,
    }
}

/// The file that was learnt from, or `demo`.
fn data_of(config: &Value) -> Cell {
    let named = ["train", "path"].iter().find_map(|key| config["data"][key].as_str());
    named.map_or("demo".into(), Cell::from)
}

/// Metric, value on the test part, best epoch and date.
fn result_of(report: &Value) -> Vec<Cell> {
    let test = report["metrics"]["test"].as_object();
    let selected = report["selection_metric"].as_str();
    let is_there = |metric: &&str| test.is_some_and(|test| test.contains_key(*metric));
    let metric = selected.filter(is_there).or_else(|| test?.keys().next().map(String::as_str));
    let value = metric.and_then(|metric| test?[metric].as_f64());
    vec![
        metric.map_or(Cell::Empty, Cell::from),
        value.map_or(Cell::Undefined, |value| Cell::Real(value, 5)),
        report["best_epoch"].as_i64().map_or(Cell::Empty, Cell::Whole),
        report["origin"]["date"].as_str().map_or(Cell::Empty, Cell::from),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metric_is_the_one_that_picked_the_epoch_where_the_test_part_has_it() {
        let report = |selected: &str| {
            serde_json::json!({
                "metrics": {"test": {"ndcg@20": 0.25, "recall@20": 0.5}}, "selection_metric": selected,
                "best_epoch": 3, "origin": {"date": "2026-02-03T04:05:06Z"}
            })
        };
        let row =
            |metric: &str, value| [metric.into(), Cell::Real(value, 5), Cell::Whole(3), "2026-02-03T04:05:06Z".into()];
        assert_eq!(result_of(&report("recall@20")), row("recall@20", 0.5));
        assert_eq!(result_of(&report("auc")), row("ndcg@20", 0.25));
        // Of a run that was not tested, and of an older version.
        let nothing = [Cell::Empty, Cell::Undefined, Cell::Empty, Cell::Empty];
        assert_eq!(result_of(&serde_json::json!({"metrics": {}})), nothing);
    }

    #[test]
    fn data_are_the_files_of_the_settings_or_the_demo_world() {
        assert_eq!(data_of(&serde_json::json!({"data": {"path": "a.csv"}})), "a.csv".into());
        assert_eq!(data_of(&serde_json::json!({"data": {"train": "t.csv", "test": "e.csv"}})), "t.csv".into());
        assert_eq!(data_of(&serde_json::json!({"data": {}})), "demo".into());
        assert_eq!(model_of(&serde_json::json!({"model": {"ease": {"l2": 1}}})), "ease".into());
    }
}
