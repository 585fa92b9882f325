//! The run files of a comparison: read, named, and refused where they would not be judged alike.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gcnrec_graphs::Seed;

use super::Plan;
use crate::config::{Config, Flag, Resolved, Sources, check_files, resolve};
use crate::data::{self, Split};
use crate::error::{RecError, Result};
use crate::eval::MetricAt;

/// One of the models that are compared.
#[derive(Debug, Clone)]
pub struct Contestant {
    /// What tables call it.
    pub name: String,
    /// Its run file.
    pub file: PathBuf,
    /// Its configuration with the first seed, as it is before the data are known.
    pub config: Config,
    /// What the search chose, as `--set` takes it.
    pub chosen: Vec<String>,
    /// The metric that is tested.
    pub metric: MetricAt,
}

/// Keys outside `[data]` that decide how a model is judged: `[eval]`, and of `[train]` these.
const JUDGING: [&str; 2] = ["train.metric", "train.refit"];

/// Reads all files and checks that they can be compared.
pub fn read(plan: &Plan, seed: u64) -> Result<Vec<Contestant>> {
    if let Some(text) = plan.set.iter().find(|text| text.split('=').next().is_some_and(|key| key.trim() == "seed")) {
        return Err(RecError::Usage {
            problem: format!("--set {text}: every model is trained with several seeds"),
            todo: "say which with --seeds and --first-seed".into(),
        });
    }
    let mut contestants: Vec<Contestant> = Vec::new();
    for file in &plan.files {
        let resolved = resolved(plan, file, &[], seed)?;
        resolved.check_unread()?;
        let config = resolved.config;
        check_files(&config.data, None)?;
        let metric = match &plan.metric {
            Some(metric) => MetricAt::parse("--metric", metric)?,
            None => contestants.first().map_or_else(|| config.train.metric.parse(), |first| Ok(first.metric))?,
        };
        let name = free_name(file, &contestants);
        contestants.push(Contestant { name, file: file.clone(), config, chosen: Vec::new(), metric });
    }
    let Some((first, others)) = contestants.split_first() else {
        return Err(RecError::Usage { problem: "there is no run file".into(), todo: "name one or more".into() });
    };
    let selected: MetricAt = first.config.train.metric.parse()?;
    if first.metric != selected && !first.config.eval.metrics_at()?.contains(&first.metric) {
        return Err(RecError::Config {
            key: "--metric".into(),
            origin: String::new(),
            found: first.metric.to_string(),
            expected: format!("a metric that {} reports", first.file.display()),
            todo: "add it to eval.metrics and its cut-off to eval.k".into(),
        });
    }
    let data = data::load(&first.config.data, Seed(seed))?;
    for other in others {
        same_judge(first, other)?;
        if other.config.data != first.config.data {
            same_data(first, &data, other, seed)?;
        }
    }
    Ok(contestants)
}

/// A file's configuration with a seed, with all that the plan sets.
pub fn resolved(plan: &Plan, file: &Path, chosen: &[String], seed: u64) -> Result<Resolved> {
    let mut flags = Vec::new();
    let whole = i64::try_from(seed).map_err(|_| RecError::range("seed", seed, "a whole number from 0 to 2^63 - 1"))?;
    flags.push(Flag::new("--seed", whole));
    flags.extend(plan.threads.map(|threads| Flag::new("--threads", i64::from(threads))));
    let set = plan.set.iter().chain(chosen).cloned().collect();
    let environment = plan.environment.clone();
    let sources = Sources { run_file: Some(file.into()), environment, set, flags, ..Sources::default() };
    resolve(&sources)
}

/// The complete configuration of a run and its data.
pub fn settled(plan: &Plan, contestant: &Contestant, more: &[String], seed: u64) -> Result<(Config, Arc<Split>)> {
    let chosen: Vec<String> = contestant.chosen.iter().chain(more).cloned().collect();
    let mut resolved = resolved(plan, &contestant.file, &chosen, seed)?;
    let split = Arc::new(data::load(&resolved.config.data, Seed(seed))?);
    resolved.settle(split.n_users(), split.n_items());
    Ok((resolved.config, split))
}

/// The file's stem, with a number where another file has the same.
fn free_name(file: &Path, taken: &[Contestant]) -> String {
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let stem = file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let stem: String = stem.chars().map(plain).collect();
    let stem = if stem.trim_matches(['-', '.']).is_empty() { "run".to_string() } else { stem };
    let is_free = |name: &String| taken.iter().all(|other| other.name != *name);
    let numbered = (2..).map(|n| format!("{stem}-{n}"));
    std::iter::once(stem.clone()).chain(numbered).find(is_free).expect("there should always be another number")
}

/// Refuses a file that is judged by another rule.
fn same_judge(first: &Contestant, other: &Contestant) -> Result<()> {
    let both_select = [first, other].iter().all(|contestant| !contestant.config.model.is_closed_form());
    let judging = |key: &str| key.starts_with("eval.") || (both_select && JUDGING.contains(&key));
    match other.config.differences(&first.config)?.into_iter().find(|(key, ..)| judging(key)) {
        None => Ok(()),
        Some(difference) => Err(refused(first, other, difference)),
    }
}

fn same_data(first: &Contestant, data: &Split, other: &Contestant, seed: u64) -> Result<()> {
    let theirs = data::load(&other.config.data, Seed(seed))?;
    if theirs.fingerprint == data.fingerprint {
        return Ok(());
    }
    let differences = other.config.differences(&first.config)?;
    let difference = differences.into_iter().find(|(key, ..)| key.starts_with("data."));
    Err(refused(first, other, difference.expect("data of one configuration and one seed should be the same")))
}

fn refused(first: &Contestant, other: &Contestant, (key, found, expected): (String, String, String)) -> RecError {
    RecError::Config {
        key,
        origin: other.file.display().to_string(),
        found,
        expected: format!("{expected}, as in {}", first.file.display()),
        todo:
            "models are compared on the same data, the same split and by the same rule; give all files the same value"
                .into(),
    }
}
