//! The outcome of a training: final model, metrics, times and learned weights.

use std::fmt;
use std::sync::Arc;

use gcnrec_graphs::Interactions;

use super::evaluation::Evaluation;
use crate::debias::WeightRow;
use crate::eval::{Metrics, Protocol};
use crate::models::{LayerWeights, Scorer};

/// What a run produced.
pub struct Outcome {
    /// The final model, also in `best/`.
    pub scorer: Box<dyn Scorer>,
    /// The number of epochs that was chosen; 0 for closed forms.
    pub best_epoch: u64,
    /// Epochs of fine-tuning that the final model has; none where it was not fine-tuned. 0 where
    /// validation kept what was there before.
    pub finetuned: Option<u64>,
    /// Epochs run by the stage that chose.
    pub epochs_run: u64,
    /// Validation metrics of the chosen epoch, or of the fine-tuned model that was kept.
    pub valid: Option<Metrics>,
    /// Test metrics of the final model.
    pub test: Option<Metrics>,
    /// How the numbers came about.
    pub protocol: Protocol,
    /// Seconds of training, all stages.
    pub train_s: f64,
    /// Median seconds of an epoch.
    pub epoch_s_median: f64,
    /// Seconds of validation and of the test.
    pub evaluate_s: f64,
    /// Seconds of validation over seconds of training; `None` where nothing was validated.
    pub evaluation_share: Option<f64>,
    /// Trained or fitted numbers.
    pub n_parameters: usize,
    /// The layer weights in use.
    pub layer_weights: Option<LayerWeights>,
    /// What the debiasing method made of the examples, in the epoch that was kept.
    pub example_weights: Option<ExampleWeightReport>,
    /// Metrics that have no value on a part.
    pub undefined: Vec<Undefined>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// A metric that has no value on a part, whatever the model: AUC on rows of one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undefined {
    /// `valid` or `test`.
    pub part: &'static str,
    /// The metric.
    pub metric: String,
    /// What the part is like.
    pub reason: String,
}

impl Undefined {
    /// The metrics without a value on the parts that were judged.
    pub(super) fn on(valid: Option<&Evaluation>, test: Option<&Evaluation>) -> Vec<Undefined> {
        let parts = [("valid", valid), ("test", test)].into_iter();
        let judged = parts.filter_map(|(part, evaluation)| Some((part, evaluation?.undefined())));
        judged
            .flat_map(|(part, list)| list.into_iter().map(move |(metric, reason)| Undefined { part, metric, reason }))
            .collect()
    }
}

impl fmt::Display for Undefined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not defined on the {} part: {}", self.metric, self.part, self.reason)
    }
}

/// The weights of the training pairs.
pub struct ExampleWeightReport {
    /// The pairs.
    pub pairs: Arc<Interactions>,
    /// Their labels; none where all are +1.
    pub labels: Option<Arc<Vec<f32>>>,
    /// Their weights, 1 being the weight of a pair without debiasing.
    pub weights: Vec<f32>,
    /// Mean weights by what a person may ask for.
    pub table: Vec<WeightRow>,
}
