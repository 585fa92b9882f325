//! The report of a run, as `report.json` holds it (schema 1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::html;
use super::table::{Cell, Table};
use crate::data::FileFacts;
use crate::debias::{IMPUTED, WeightRow};
use crate::eval::Insight;
use crate::models::LayerWeights;

/// Everything that a finished run says about itself. A number that is not defined (no user to
/// average over) is NaN here and null in JSON.
///
/// ```
/// # use gcnrec::{Destination, Run, Silent, Sources, Stop};
/// # fn main() -> gcnrec::Result<()> {
/// # let place = tempfile::tempdir().expect("a folder for temporary files");
/// # let folder = place.path().join("run");
/// # let demo = ["n_users=60", "n_items=50", "interactions_per_user=8"];
/// # let mut set: Vec<String> = demo.map(|size| format!("data.demo.{size}")).to_vec();
/// # set.push("model.ease.l2=20".into());
/// # let sources = Sources { set, ..Sources::default() };
/// let report = Run::prepare(&sources, Destination::new(&folder))?.train(&mut Silent, &Stop::default())?.report;
/// assert_eq!(report.model, "ease");
/// // What the run folder holds as `report.json`.
/// let json: gcnrec::serde_json::Value = gcnrec::serde_json::from_str(&report.to_json()).expect("it is JSON");
/// assert_eq!(json["metrics"]["test"]["ndcg@20"], report.metrics["test"]["ndcg@20"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The layout of this document: 1.
    pub schema: u32,
    /// Version of the program.
    pub gcnrec: String,
    /// The registry's name of the model.
    pub model: String,
    /// The run's seed.
    pub seed: u64,
    /// Where it was trained (`cpu`, `cuda:0`).
    pub device: String,
    /// When and by which command it was trained, and from which files.
    pub origin: Origin,
    /// What was learnt from.
    pub dataset: DatasetFacts,
    /// What was understood of each data file; empty for data in memory and for the demo world.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reading: Vec<FileFacts>,
    /// How it was judged.
    pub protocol: ProtocolFacts,
    /// The epoch that was kept, from 1; 0 for a model without epochs.
    pub best_epoch: u64,
    /// Epochs that were run, over all stages.
    pub epochs_run: u64,
    /// Metrics by part (`valid`, `test`, `uniform`), then by name (`ndcg@20`).
    pub metrics: BTreeMap<String, BTreeMap<String, f64>>,
    /// What the most popular items are worth, the same list for everybody: by part, then by metric.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub popularity: BTreeMap<String, BTreeMap<String, f64>>,
    /// Standard errors of the test metrics over the users of this one training; other seeds may
    /// differ by more.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub standard_errors: BTreeMap<String, f64>,
    /// Where the time went.
    pub timing: Timing,
    /// Seconds of validation over seconds of training, for models that are validated while they
    /// train.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_share: Option<f64>,
    /// The most memory in use at once, in MB (10^6 bytes).
    pub peak_rss_mb: u64,
    /// Numbers that were trained or fitted.
    pub n_parameters: usize,
    /// Layer weights, for models that combine layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer_weights: Option<LayerWeights>,
    /// What a debiasing method made of the training pairs: mean weights by feature, and imputed
    /// values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub example_weights: Vec<WeightRow>,
    /// The trainings that a run consists of, where there is more than one (selection, refit).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Stage>,
    /// The metric that picked the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selection_metric: Option<String>,
    /// Loss and selection metric over the epochs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub learning_curve: Vec<CurvePoint>,
    /// The test part by groups of users and items, and a few users' lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insight: Option<Insight>,
    /// What the reader should know before trusting the numbers.
    pub warnings: Vec<String>,
    /// The settings that are not the defaults of the model, the loss and the debiasing method.
    pub changed: Vec<Changed>,
    /// The complete configuration, as `config.toml` has it.
    pub config: serde_json::Value,
}

/// A setting that is not its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// The dotted key.
    pub key: String,
    /// The value of the run, as TOML.
    pub value: String,
    /// The default, as TOML; `not set` where the key has none.
    pub default: String,
}

/// Where a run comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// When the training was started or went on, in UTC (`2026-02-03T04:05:06Z`).
    pub date: String,
    /// The command line, as a shell takes it; none where a program used the library.
    pub command: Option<String>,
    /// The data files; none for data in memory and for the demo world.
    pub files: Vec<DataFile>,
}

/// A file that a run has read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DataFile {
    /// The setting that names it (`data.train`).
    pub key: String,
    /// Where it was.
    pub path: String,
    /// Its size; none for a folder.
    pub bytes: Option<u64>,
    /// Its lines, a header counted; none where it is compressed or no text.
    pub lines: Option<u64>,
    /// SHA-256 of its bytes, in hex; none for a folder.
    pub sha256: Option<String>,
}

/// The data set of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetFacts {
    /// SHA-256 over ids and parts.
    pub fingerprint: String,
    /// Users in any part.
    pub n_users: usize,
    /// Items in any part.
    pub n_items: usize,
    /// Training pairs.
    pub n_train: usize,
    /// Pairs that the model has learnt from in the end: those of the validation part too after a
    /// refit, and for a closed form. Absent in reports of older versions.
    #[serde(default)]
    pub n_learnt: usize,
    /// Validation pairs.
    pub n_valid: usize,
    /// Test pairs.
    pub n_test: usize,
}

/// How a run was judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolFacts {
    /// Which items are ranked: `all`, or a description of the sample.
    pub candidates: String,
    /// Items that the user already has are left out of the ranking.
    pub exclude_seen: bool,
    /// The part that picked the epoch: `valid`, `test` (where a published protocol does so) or
    /// `none`.
    pub selected_on: String,
    /// The model has learnt from the validation part too before test was scored: it was trained
    /// again on both parts, or is a closed form.
    pub refit: bool,
    /// Users that the test metrics average over.
    pub n_eval_users: usize,
}

/// Wall time, in seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Timing {
    /// Reading and dividing the data.
    pub load_s: f64,
    /// Training, without validation.
    pub train_s: f64,
    /// The middle epoch.
    pub epoch_s_median: f64,
    /// All evaluation.
    pub evaluate_s: f64,
}

/// One of the trainings of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Stage {
    /// `select`, `refit`, `layer_weights` …
    pub name: String,
    /// What was learnt from (`train`, `train+valid`).
    pub learnt_from: String,
    /// Pairs learnt from.
    pub n_pairs: usize,
    /// Epochs run.
    pub epochs: u64,
}

/// One epoch of a learning curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Epoch, from 1.
    pub epoch: u64,
    /// Mean training loss.
    pub loss: f64,
    /// The selection metric, where this epoch was validated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<f64>,
}

impl Report {
    /// A report of schema 1 by this version of the program, with everything else empty.
    pub fn new(model: impl Into<String>, seed: u64, device: impl Into<String>) -> Report {
        Report {
            schema: 1,
            gcnrec: env!("CARGO_PKG_VERSION").into(),
            model: model.into(),
            seed,
            device: device.into(),
            origin: Origin::default(),
            dataset: DatasetFacts::default(),
            reading: Vec::new(),
            protocol: ProtocolFacts::default(),
            best_epoch: 0,
            epochs_run: 0,
            metrics: BTreeMap::new(),
            popularity: BTreeMap::new(),
            standard_errors: BTreeMap::new(),
            timing: Timing::default(),
            evaluation_share: None,
            peak_rss_mb: 0,
            n_parameters: 0,
            layer_weights: None,
            example_weights: Vec::new(),
            stages: Vec::new(),
            selection_metric: None,
            learning_curve: Vec::new(),
            insight: None,
            warnings: Vec::new(),
            changed: Vec::new(),
            config: serde_json::Value::Null,
        }
    }

    /// The report as `report.json` holds it.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a report should be JSON: its keys are strings");
        text.push('\n');
        text
    }

    /// The report as a page that needs no other file.
    pub fn to_html(&self) -> String {
        html::page(self)
    }

    /// Metrics as a table: one row per metric, one column per part, validation before test.
    pub fn metrics_table(&self) -> Table {
        let mut parts: Vec<&String> = self.metrics.keys().collect();
        parts.sort_by_key(|part| (["valid", "test"].iter().position(|p| p == part).unwrap_or(2), part.as_str()));
        let mut names: Vec<&String> = self.metrics.values().flat_map(BTreeMap::keys).collect();
        names.sort_by_key(|name| metric_order(name));
        names.dedup();
        let mut table = Table::new(["metric"].into_iter().chain(parts.iter().map(|part| part.as_str())));
        for name in names {
            let value =
                |part: &&String| self.metrics[*part].get(name).map_or(Cell::Empty, |&value| Cell::Real(value, 5));
            table.row([Cell::from(name.as_str())].into_iter().chain(parts.iter().map(value)));
        }
        table
    }

    /// What a debiasing method made of the training pairs, as a table: mean weights by feature.
    /// Nothing without a method.
    pub fn weight_table(&self) -> Option<Table> {
        let mut table = Table::new(["feature", "group", "pairs", "mean weight", "of the mean"]);
        let mut rows = self.example_weights.iter().filter(|row| row.feature != IMPUTED).peekable();
        let all = rows.peek()?.value;
        for row in rows {
            let n = i64::try_from(row.n).map_or(Cell::Empty, Cell::Whole);
            let share = if all == 0.0 { Cell::Empty } else { Cell::Real(row.value / all, 3) };
            table.row([row.feature.into(), row.group.as_str().into(), n, Cell::Real(row.value, 4), share]);
        }
        Some(table)
    }

    /// The values that stand in for labels, by what was observed of a pair. Nothing without
    /// imputation.
    pub fn imputed_table(&self) -> Option<Table> {
        let mut table = Table::new(["pair", "imputed label"]);
        let mut rows = self.example_weights.iter().filter(|row| row.feature == IMPUTED).peekable();
        rows.peek()?;
        rows.for_each(|row| {
            table.row([row.group.as_str().into(), Cell::Real(row.value, 4)]);
        });
        Some(table)
    }

    /// Layer weights as a table: the mean, then users and items by degree. Nothing for models
    /// without layers.
    pub fn layer_table(&self) -> Option<Table> {
        let weights = self.layer_weights.as_ref()?;
        let layers = (0..weights.mean.len()).map(|layer| format!("layer {layer}"));
        let mut table = Table::new(["nodes", "degree", "n"].map(String::from).into_iter().chain(layers));
        let reals = |values: &[f64]| values.iter().map(|&value| Cell::Real(value, 3)).collect::<Vec<_>>();
        table.row([Cell::from("all"), Cell::Empty, Cell::Empty].into_iter().chain(reals(&weights.mean)));
        for (kind, buckets) in [("users", &weights.users), ("items", &weights.items)] {
            for bucket in buckets {
                let degree = if bucket.min_degree == bucket.max_degree {
                    bucket.min_degree.to_string()
                } else {
                    format!("{}-{}", bucket.min_degree, bucket.max_degree)
                };
                let n = i64::try_from(bucket.n).map_or(Cell::Empty, Cell::Whole);
                table.row([kind.into(), degree.into(), n].into_iter().chain(reals(&bucket.weights)));
            }
        }
        Some(table)
    }
}

/// `ndcg@5` before `ndcg@20`, which the order of letters has the other way round.
pub(super) fn metric_order(name: &str) -> (&str, u64) {
    match name.split_once('@') {
        Some((stem, k)) => (stem, k.parse().unwrap_or(u64::MAX)),
        None => (name, 0),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::table::Format;
    use super::*;
    use crate::models::DegreeBucket;
    use serde_json::{Value, json};

    /// A report with every part filled in.
    pub(in crate::report) fn full() -> Report {
        let bucket = |min_degree, max_degree| DegreeBucket { min_degree, max_degree, n: 10, weights: vec![0.75, 0.25] };
        let metrics = |ndcg| {
            BTreeMap::from([("ndcg@20".to_string(), ndcg), ("ndcg@5".to_string(), 0.125), ("auc".to_string(), 0.5)])
        };
        let mut report = Report::new("lightgcn", 2020, "cpu");
        report.metrics = BTreeMap::from([("valid".into(), metrics(0.25)), ("test".into(), metrics(0.2))]);
        report.layer_weights =
            Some(LayerWeights { mean: vec![0.75, 0.25], users: vec![bucket(1, 1)], items: vec![bucket(2, 9)] });
        report.learning_curve = (1..=10)
            .map(|epoch| CurvePoint { epoch, loss: 1.0 / epoch as f64, metric: (epoch % 5 == 0).then_some(0.2) })
            .collect();
        report.selection_metric = Some("ndcg@20".into());
        report.stages = vec![Stage { name: "refit".into(), learnt_from: "train+valid".into(), n_pairs: 9, epochs: 5 }];
        report.warnings = vec!["<script>alert(1)</script>".into()];
        (report.best_epoch, report.epochs_run) = (5, 10);
        report
    }

    #[test]
    fn the_json_has_every_field_of_schema_1_in_the_documented_places() {
        let json: Value = serde_json::from_str(&full().to_json()).unwrap();
        assert_eq!(json["schema"], 1);
        assert_eq!(json["metrics"]["test"]["ndcg@20"], 0.2);
        assert_eq!(json["layer_weights"]["mean"], json!([0.75, 0.25]));
        for key in ["gcnrec", "model", "seed", "device", "best_epoch", "epochs_run", "peak_rss_mb", "warnings"] {
            assert!(json.get(key).is_some(), "{key}");
        }
        let keys = |name: &str| json[name].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys("dataset"), ["fingerprint", "n_users", "n_items", "n_train", "n_learnt", "n_valid", "n_test"]);
        assert_eq!(keys("protocol"), ["candidates", "exclude_seen", "selected_on", "refit", "n_eval_users"]);
        assert_eq!(keys("timing"), ["load_s", "train_s", "epoch_s_median", "evaluate_s"]);
    }

    #[test]
    fn a_model_without_layers_reports_no_weights() {
        let report = Report::new("ease", 1, "cpu");
        assert!(report.layer_table().is_none());
        assert!(!report.to_json().contains("layer_weights"));
    }

    #[test]
    fn the_metrics_table_counts_cut_offs_as_numbers_and_puts_validation_first() {
        let expected = "metric     valid     test\nauc      0.50000  0.50000\nndcg@5   0.12500  0.12500\nndcg@20  0.25000  0.20000\n";
        assert_eq!(full().metrics_table().render(Format::Table), expected);
    }

    #[test]
    fn the_layer_table_shows_users_and_items_by_degree() {
        let text = full().layer_table().unwrap().render(Format::Csv);
        assert_eq!(
            text,
            "nodes,degree,n,layer 0,layer 1\nall,,,0.75,0.25\nusers,1,10,0.75,0.25\nitems,2-9,10,0.75,0.25\n"
        );
    }
}
