//! The report of a run, as `report.json` holds it (schema 1).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::html;
use crate::data::FileFacts;
use crate::debias::WeightRow;
use crate::eval::Insight;
use crate::models::LayerWeights;

mod tables;
#[cfg(test)]
pub(super) mod tests;

pub(super) use tables::metric_order;

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
}
