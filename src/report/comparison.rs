//! The comparison of several models, as `compare.json` holds it (schema 1).

use std::collections::BTreeMap;

use serde::Serialize;

use super::comparison_page;
use super::document::{CurvePoint, DatasetFacts, ProtocolFacts};
use super::table::{Cell, Table};
use crate::eval::Insight;
use crate::models::LayerWeights;

/// Below this corrected probability a difference is called one.
pub(crate) const LEVEL: f64 = 0.05;

/// What the table says in place of a probability over users, for a metric such as `auc`.
const NO_USER_VALUES: &str = "no user values";

/// Several models on the same data, paired over seeds. Numbers that are not defined are NaN here
/// and null in JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The layout of this document: 1.
    pub schema: u32,
    /// Version of the program.
    pub gcnrec: String,
    /// The metric that is tested; the others are only reported.
    pub metric: String,
    /// The seeds; every model was to be trained with each of them.
    pub seeds: Vec<u64>,
    /// The data with the first seed.
    pub dataset: DatasetFacts,
    /// How the models were judged.
    pub protocol: ProtocolFacts,
    /// What the settings were searched for, when they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tuning: Option<Tuning>,
    /// What the most popular items are worth on the test part with the first seed, by metric.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub popularity: BTreeMap<String, f64>,
    /// The models; the first is what the others are compared with.
    pub models: Vec<Compared>,
    /// What the reader should know before trusting the numbers.
    pub warnings: Vec<String>,
}

/// An equal budget of trials for every model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tuning {
    /// Trials of each model, its own settings among them.
    pub n_trials: usize,
    /// The seed of the trials' trainings and draws.
    pub seed: u64,
    /// The metric that chose, on the validation part.
    pub metric: String,
    /// What could be chosen, by key.
    pub search: BTreeMap<String, String>,
}

/// One model of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Compared {
    /// What the tables call it: the name of its run file.
    pub name: String,
    /// Its run file.
    pub file: String,
    /// The registry's name of the model.
    pub model: String,
    /// Its runs, one per seed, failed ones too.
    pub runs: Vec<Run>,
    /// Mean and deviation over the seeds, by metric.
    pub metrics: BTreeMap<String, Summary>,
    /// Against the first model; nothing for the first, and nothing without a common seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
    /// What it costs.
    pub cost: Cost,
    /// What the search chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tuned: Option<Tuned>,
    /// Loss and selecting metric over the epochs, of the first seed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub learning_curve: Vec<CurvePoint>,
    /// The learned layer weights, of the first seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_weights: Option<LayerWeights>,
    /// The test part by groups, and a few lists, of the first seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insight: Option<Insight>,
}

/// One training.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// Its run folder, within the folder of the comparison.
    pub folder: String,
    /// Why there is no result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The epoch that was kept; 0 for a model without epochs.
    pub best_epoch: u64,
    /// Metrics on the test part.
    pub metrics: BTreeMap<String, f64>,
    /// The ends of a 95 % interval of the tested metric, 1.96 standard errors over the users; none
    /// where users have no value of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<(f64, f64)>,
    /// Seconds of training.
    pub train_s: f64,
    /// Seconds of evaluation.
    pub evaluate_s: f64,
    /// The most memory of the run's own process, in MB (10^6 bytes).
    pub peak_rss_mb: u64,
}

/// A metric over the seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// The mean.
    pub mean: f64,
    /// The standard deviation over seeds (n - 1); not defined (NaN) for one seed.
    pub deviation: f64,
    /// Number of seeds.
    pub n: usize,
}

/// A model against the first one, on the metric that is tested.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Mean difference over the common seeds, this model's value minus the first one's.
    pub mean: f64,
    /// The difference of each common seed.
    pub per_seed: Vec<f64>,
    /// Mean differences of all metrics.
    pub metrics: BTreeMap<String, f64>,
    /// The test over users; nothing for a metric that has no value for one user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<UserTest>,
    /// The test over users and seeds together; nothing where one of the two is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub both: Option<BothTest>,
    /// The test over seeds; nothing for one seed, and nothing when all seeds differ equally.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<SeedTest>,
}

/// A sign-flip test of the users' differences, each averaged over the seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct UserTest {
    /// Number of users.
    pub n: usize,
    /// Lower end of a 95 % interval of the mean difference: 1.96 standard errors over the users.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Two-sided probability.
    pub p: f64,
    /// The same after Holm's correction over all models of the comparison.
    pub p_corrected: f64,
}

/// Student's paired t test of the seeds' differences.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SeedTest {
    /// Number of seeds.
    pub n: usize,
    /// Seeds in which the model was better.
    pub n_better: usize,
    /// Student's t.
    pub t: f64,
    /// Two-sided probability.
    pub p: f64,
    /// The same after Holm's correction over all models of the comparison.
    pub p_corrected: f64,
}

/// A test over users and over seeds: the larger of the two probabilities. A test over users alone
/// takes the luck of a training, which all its users share, for a difference of the models.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BothTest {
    /// The larger of both two-sided probabilities.
    pub p: f64,
    /// The same after Holm's correction over all models of the comparison.
    pub p_corrected: f64,
}

/// What a model costs: means over its finished runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Seconds of training.
    pub train_s: f64,
    /// The most memory of any run's process, in MB (10^6 bytes).
    pub peak_rss_mb: u64,
    /// Numbers that were trained or fitted; 0 where no run says it.
    pub n_parameters: u64,
}

/// What a search chose for a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tuned {
    /// The chosen values by key; empty when the file's own settings were best.
    pub values: BTreeMap<String, String>,
    /// All trials: the first is the file's own settings.
    pub trials: Vec<Trial>,
}

/// One trial of a search.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trial {
    /// The values that were tried.
    pub values: BTreeMap<String, String>,
    /// The metric on the validation part; nothing for a trial that failed.
    pub valid: Option<f64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Comparison {
    /// The comparison as `compare.json` holds it.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a comparison should be JSON: its keys are strings");
        text.push('\n');
        text
    }

    /// The comparison as a page that needs no other file.
    pub fn to_html(&self) -> String {
        comparison_page::page(self)
    }

    /// One row per model: quality, difference to the first with its tests, and cost.
    pub fn table(&self) -> Table {
        let header = ["mean", "sd", "difference", "p both", "p users", "p seeds", "better"].map(String::from);
        let cost = ["train s", "peak MB", "parameters", "runs"].map(String::from);
        let mut table = Table::new([format!("model ({})", self.metric)].into_iter().chain(header).chain(cost));
        for compared in &self.models {
            let summary = compared.metrics.get(&self.metric);
            let difference = compared.difference.as_ref();
            let seeds = difference.and_then(|difference| difference.seeds);
            let real = |value: Option<f64>, digits| value.map_or(Cell::Empty, |value| Cell::Real(value, digits));
            let better = seeds.map_or(Cell::Empty, |test| format!("{} of {}", test.n_better, test.n).into());
            let users = match difference.map(|difference| difference.users) {
                Some(None) => NO_USER_VALUES.into(),
                tested => real(tested.flatten().map(|test| test.p_corrected), 4),
            };
            let both = difference.and_then(|difference| difference.both);
            let has_run = compared.n_finished() > 0;
            table.row([
                compared.label().into(),
                real(summary.map(|summary| summary.mean), 5),
                summary.map_or(Cell::Empty, Summary::deviation_cell),
                real(difference.map(|difference| difference.mean), 5),
                match (difference, both) {
                    (Some(_), None) => Cell::Undefined,
                    (_, both) => real(both.map(|test| test.p_corrected), 4),
                },
                users,
                match (difference, seeds) {
                    (Some(_), None) => Cell::Undefined,
                    (_, seeds) => real(seeds.map(|test| test.p_corrected), 4),
                },
                better,
                real(has_run.then_some(compared.cost.train_s), 1),
                if has_run { Cell::Whole(compared.cost.peak_rss_mb as i64) } else { Cell::Empty },
                if has_run { Cell::Whole(compared.cost.n_parameters as i64) } else { Cell::Empty },
                compared.outcome().into(),
            ]);
        }
        table
    }

    /// Every metric of every model: mean and deviation over the seeds.
    pub fn metrics_table(&self) -> Table {
        let mut table = Table::new(["metric", "model", "mean", "sd", "difference"]);
        let mut names: Vec<&String> = self.models.iter().flat_map(|compared| compared.metrics.keys()).collect();
        names.sort_by_key(|name| super::document::metric_order(name));
        names.dedup();
        for name in names {
            for compared in &self.models {
                let Some(summary) = compared.metrics.get(name) else { continue };
                let difference = compared.difference.as_ref().and_then(|difference| difference.metrics.get(name));
                table.row([
                    name.as_str().into(),
                    compared.label().into(),
                    Cell::Real(summary.mean, 5),
                    summary.deviation_cell(),
                    difference.map_or(Cell::Empty, |&difference| Cell::Real(difference, 5)),
                ]);
            }
        }
        table
    }

    /// What the numbers say, one sentence per model after the first.
    pub fn verdicts(&self) -> Vec<String> {
        let Some(first) = self.models.first() else { return Vec::new() };
        self.models[1..].iter().map(|compared| self.verdict(first, compared)).collect()
    }

    fn verdict(&self, first: &Compared, compared: &Compared) -> String {
        let Some(difference) = &compared.difference else {
            return format!("{}: nothing to compare with {}", compared.label(), first.label());
        };
        let over_users = difference.users.map(|test| test.p_corrected < LEVEL);
        let over_seeds = difference.seeds.map(|test| test.p_corrected < LEVEL);
        let over_both = difference.both.is_some_and(|test| test.p_corrected < LEVEL);
        let what = match (over_users, over_seeds) {
            (None, Some(true)) => "more than luck over seeds; users have no value of their own",
            (None, Some(false)) => "not distinguishable from luck over seeds; users have no value of their own",
            (None, None) => "too few seeds to tell, and users have no value of their own",
            (Some(true), Some(true)) if over_both => "more than luck over users and seeds",
            (Some(true), Some(true)) => "more than luck over users and over seeds one by one, not over both together",
            (Some(true), Some(false)) => "more than luck over users, not over seeds",
            (Some(false), Some(true)) => "more than luck over seeds, not over users",
            (Some(false), Some(false)) => "not distinguishable from luck",
            (Some(true), None) => "more than luck over users; too few seeds to tell about other trainings",
            (Some(false), None) => {
                "not distinguishable from luck over users; too few seeds to tell about other trainings"
            }
        };
        let way = if difference.mean >= 0.0 { "above" } else { "below" };
        let (name, first, size) = (compared.label(), first.label(), difference.mean.abs());
        format!("{name} is {size:.4} {way} {first} in {}: {what}", self.metric)
    }
}

impl Summary {
    /// The deviation as a table shows it.
    pub(super) fn deviation_cell(&self) -> Cell {
        if self.deviation.is_nan() { Cell::Undefined } else { Cell::Real(self.deviation, 5) }
    }
}

impl Compared {
    /// The name, with what a search has chosen: `uniform-3 (layers = 2)` has two layers.
    pub fn label(&self) -> String {
        let values = self.tuned.iter().flat_map(|tuned| &tuned.values);
        let short = |key: &str| key.rsplit('.').next().unwrap_or(key).to_string();
        let chosen: Vec<String> = values.map(|(key, value)| format!("{} = {value}", short(key))).collect();
        if chosen.is_empty() { self.name.clone() } else { format!("{} ({})", self.name, chosen.join(", ")) }
    }

    /// Runs with a result.
    pub fn n_finished(&self) -> usize {
        self.runs.iter().filter(|run| run.error.is_none()).count()
    }

    /// How many runs there are, and why others have no result.
    fn outcome(&self) -> String {
        let (n, of) = (self.n_finished(), self.runs.len());
        match self.runs.iter().find_map(|run| run.error.as_ref().map(|error| (run.seed, error))) {
            None => format!("{n}"),
            Some((seed, error)) => format!("{n} of {of}; seed {seed}: {error}"),
        }
    }
}
