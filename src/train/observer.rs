//! Callbacks of a training: stages, steps, epochs and messages, for a progress bar, a log or a
//! test.

use serde::{Deserialize, Serialize};

use crate::eval::Metrics;

/// A part of a run, in the order in which they follow each other. Each but the last trains one
/// model from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Layer weights are fitted on held-out pairs.
    Layers,
    /// The model is trained; validation picks the epoch.
    Train,
    /// The model is trained again on training and validation pairs.
    Refit,
    /// The model that the stage before ended with is trained on, on the newest rows alone.
    Finetune,
}

impl Stage {
    /// As written to `metrics.jsonl`.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Layers => "layers",
            Stage::Train => "train",
            Stage::Refit => "refit",
            Stage::Finetune => "finetune",
        }
    }
}

/// The plan of a stage.
///
/// ```
/// use gcnrec::{Observer, Stage, StagePlan};
///
/// struct Plans(Vec<Stage>);
///
/// impl Observer for Plans {
///     fn on_stage(&mut self, plan: &StagePlan) {
///         println!("{}: at most {} epochs of {} steps", plan.stage.name(), plan.max_epochs, plan.steps_per_epoch);
///         self.0.push(plan.stage);
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct StagePlan {
    /// Which one.
    pub stage: Stage,
    /// Epochs at most.
    pub max_epochs: u64,
    /// Epochs that are already done, after a resume.
    pub done_epochs: u64,
    /// Steps in an epoch.
    pub steps_per_epoch: usize,
    /// Trained scalars.
    pub n_parameters: usize,
    /// The metric that picks the epoch; `None` when nothing is selected.
    pub metric: Option<String>,
    /// Validations in a row without a better one that end the stage.
    pub patience: u64,
    /// How many of them there have been, after a resume.
    pub since_best: u64,
}

/// One line of `metrics.jsonl`.
///
/// ```
/// use gcnrec::{EpochRecord, Observer};
///
/// struct Progress;
///
/// impl Observer for Progress {
///     fn on_epoch(&mut self, record: &EpochRecord) {
///         let judged = record.valid.as_ref().and_then(|metrics| metrics.get("ndcg@20"));
///         println!("epoch {}: loss {:.4}, validation {judged:?}", record.epoch, record.loss);
///     }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EpochRecord {
    /// The stage.
    pub stage: Stage,
    /// The epoch, from 1.
    pub epoch: u64,
    /// Mean loss of the epoch's examples.
    pub loss: f64,
    /// Seconds of training in this epoch.
    pub seconds: f64,
    /// Examples trained in a second.
    pub examples_per_s: f64,
    /// Validation metrics, where this epoch was validated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid: Option<Metrics>,
    /// Seconds of validation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_s: Option<f64>,
    /// True when this is the best epoch so far.
    pub best: bool,
}

/// Watches a run. Every method has an empty default.
///
/// ```
/// use gcnrec::{EpochRecord, Observer};
///
/// /// Keeps the loss of every epoch.
/// struct Losses(Vec<f64>);
///
/// impl Observer for Losses {
///     fn on_epoch(&mut self, record: &EpochRecord) {
///         self.0.push(record.loss);
///     }
/// }
/// // `prepared.train(&mut Losses(Vec::new()), &Stop::default())`
/// ```
pub trait Observer {
    /// A stage begins.
    fn on_stage(&mut self, plan: &StagePlan) {
        let _ = plan;
    }

    /// A step is done: the epoch from 0, the step from 0, and the mean loss of its examples.
    fn on_step(&mut self, epoch: u64, step: usize, loss: f64) {
        let _ = (epoch, step, loss);
    }

    /// An epoch is done.
    fn on_epoch(&mut self, record: &EpochRecord) {
        let _ = record;
    }

    /// Something that the user should know.
    fn on_message(&mut self, message: &str) {
        let _ = message;
    }
}

/// Watches nothing.
///
/// ```
/// use gcnrec::{Observer, Silent};
///
/// Silent.on_message("nobody reads this");
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}
