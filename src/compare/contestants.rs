//! The run files of a comparison: read, named, and refused where they would not be judged alike.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Plan;
use super::metric::Tested;
use crate::config::{Config, Flag, Sources};
use crate::data::Split;
use crate::error::{Place, RecError, Result};
use crate::eval::{LabeledProtocol, MetricAt};
use crate::run::{Destination, Loaded, Run};
use crate::train::{METRICS_OF_LABELS, check_lists};

/// One of the models that are compared.
#[derive(Debug, Clone)]
pub struct Contestant {
    /// What tables call it.
    pub name: String,
    /// Its run file.
    pub file: PathBuf,
    /// Its complete configuration with the first seed.
    pub config: Config,
    /// True where held-out rows are judged by their labels.
    pub labelled: bool,
    /// What the search chose, as `--set` takes it.
    pub chosen: Vec<String>,
    /// The metric that is tested.
    pub metric: Tested,
}

/// Keys outside `[data]` that decide how a model is judged: `[eval]`, and of `[train]` these.
const JUDGING: [&str; 2] = ["train.metric", "train.refit"];

/// Reads all files and checks that they can be compared.
pub(crate) fn read(plan: &Plan, seed: u64) -> Result<Vec<Contestant>> {
    if let Some(text) = plan.set.iter().find(|text| text.split('=').next().is_some_and(|key| key.trim() == "seed")) {
        return Err(RecError::usage(
            format!("--set {text}: every model is trained with several seeds"),
            "say which with --seeds and --first-seed",
        ));
    }
    let mut runs = Vec::new();
    for file in &plan.files {
        let run = configured(plan, file, &[], seed)?;
        run.check_unread()?;
        run.check_files()?;
        plan.metric.as_ref().map(|metric| Tested::parse("--metric", metric)).transpose()?;
        runs.push(run.on_cpu());
    }
    let Some(split) = runs.first().map(Run::split).transpose()? else {
        return Err(RecError::usage("there is no run file", "name one or more"));
    };
    let mut contestants: Vec<Contestant> = Vec::new();
    for (file, run) in plan.files.iter().zip(runs) {
        // Other data than the first file's are refused below.
        let contestant = entered(plan, file, &run.clone().with_split(split.clone())?, &contestants)?;
        match contestants.first() {
            None => {
                is_reported(&contestant)?;
                is_defined(&contestant, &split)?;
            }
            Some(first) => {
                same_judge(first, &contestant)?;
                if contestant.config.data != first.config.data {
                    same_data(first, &split, &contestant, &run)?;
                }
            }
        }
        contestants.push(contestant);
    }
    Ok(contestants)
}

/// A run file among those that came before it.
pub(crate) fn entered(plan: &Plan, file: &Path, loaded: &Loaded, others: &[Contestant]) -> Result<Contestant> {
    let config = loaded.config().clone();
    let metric = match others.first() {
        Some(first) => first.metric,
        None => Tested::parse("--metric", plan.metric.as_ref().unwrap_or(&config.train.metric))?,
    };
    Ok(Contestant {
        name: free_name(file, others),
        file: file.into(),
        config,
        labelled: loaded.split().labelled,
        chosen: Vec::new(),
        metric,
    })
}

/// Refuses to test what the first file does not report.
fn is_reported(first: &Contestant) -> Result<()> {
    let (config, tested) = (&first.config, first.metric.to_string());
    if !first.labelled {
        check_lists(&config.train.metric)?;
        MetricAt::parse("--metric", &tested)?;
    }
    let of_labels = METRICS_OF_LABELS.iter().filter(|_| first.labelled).map(ToString::to_string);
    let selected = Tested::parse("train.metric", &config.train.metric)?.to_string();
    let of_lists = config.eval.metrics_at()?;
    let mut reported = of_lists.iter().map(ToString::to_string).chain(of_labels).chain([selected]);
    if reported.any(|name| name == tested) {
        return Ok(());
    }
    Err(RecError::range("--metric", tested, format!("a metric that {} reports", first.file.display())).with_todo(
        match first.metric {
            Tested::Ranks(_) => "add it to eval.metrics and its cut-off to eval.k".into(),
            Tested::Rows(_) => format!("give one of {}, or set train.metric", METRICS_OF_LABELS.join(", ")),
        },
    ))
}

/// Refuses to test what has no value on the labels of the test part, before anything is trained.
fn is_defined(first: &Contestant, split: &Split) -> Result<()> {
    let tested = first.metric.to_string();
    if !first.labelled || split.test.is_empty() {
        return Ok(());
    }
    let protocol = LabeledProtocol::parse(&[&tested])?;
    let Some((_, found)) = protocol.undefined(&split.test.ratings).into_iter().next() else { return Ok(()) };
    let expected = format!("rows for which {tested} is defined: positive and negative ones");
    Err(RecError::input(Place::file(Path::new("test part")), found, expected)
        .with_todo("compare by --metric nll, or give a test part with both"))
}

/// A file's run with a seed, with all that the plan sets.
pub(crate) fn configured(plan: &Plan, file: &Path, chosen: &[String], seed: u64) -> Result<Run> {
    let mut flags = Vec::new();
    let whole = i64::try_from(seed).map_err(|_| RecError::range("seed", seed, "a whole number from 0 to 2^63 - 1"))?;
    flags.push(Flag::new("--seed", whole));
    flags.extend(plan.threads.map(|threads| Flag::new("--threads", i64::from(threads))));
    let set = plan.set.iter().chain(chosen).cloned().collect();
    let environment = plan.environment.clone();
    let sources = Sources { run_file: Some(file.into()), environment, set, flags, ..Sources::default() };
    Run::resolve(&sources, Destination::default())
}

/// The run of a contestant with its data. The device is its own process's to open.
pub(crate) fn loaded(plan: &Plan, contestant: &Contestant, more: &[String], seed: u64) -> Result<Loaded> {
    let chosen: Vec<String> = contestant.chosen.iter().chain(more).cloned().collect();
    configured(plan, &contestant.file, &chosen, seed)?.on_cpu().load()
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

fn same_data(first: &Contestant, data: &Arc<Split>, other: &Contestant, run: &Run) -> Result<()> {
    if run.split()?.fingerprint == data.fingerprint {
        return Ok(());
    }
    let differences = other.config.differences(&first.config)?;
    let difference = differences.into_iter().find(|(key, ..)| key.starts_with("data."));
    Err(refused(first, other, difference.expect("data of one configuration and one seed should be the same")))
}

fn refused(first: &Contestant, other: &Contestant, (key, found, expected): (String, String, String)) -> RecError {
    RecError::range(key, found, format!("{expected}, as in {}", first.file.display()))
        .with_origin(other.file.display().to_string())
        .with_todo(
            "models are compared on the same data, the same split and by the same rule; give all files the same value",
        )
}
