//! Training progress in a `last/` checkpoint: stage, epoch, step, best validation and decisions so
//! far; everything but the learner's own state.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::job::Job;
use super::observer::Stage;
use crate::eval::Metrics;

/// More epochs, steps or examples than any run has, and few enough that the next ones can be counted.
const MOST: u64 = 1 << 53;

/// The run's position and its decisions so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    /// The stage that is running or was last.
    pub stage: Stage,
    /// Epochs completed in this stage.
    pub epoch: u64,
    /// Steps completed in the epoch that was interrupted.
    pub step: usize,
    /// Losses of those steps, summed.
    pub loss: f64,
    /// Examples of those steps.
    pub n_examples: u64,
    /// The best validation of this stage.
    pub best: Option<Best>,
    /// Validations since the best one.
    pub since_best: u64,
    /// Global logits of the layer weights, fitted by [`Stage::Layers`].
    pub prior: Option<Vec<f32>>,
    /// What [`Stage::Train`] decided.
    pub chosen: Option<Chosen>,
    /// Lines of `metrics.jsonl` that belong to this checkpoint.
    pub metrics_lines: usize,
    /// Epochs run in all stages.
    pub epochs_run: u64,
    /// Seconds of training so far.
    pub train_s: f64,
    /// Seconds of validation so far.
    pub validate_s: f64,
    /// True when no stage is left.
    pub done: bool,
}

/// The best validation of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    /// Its epoch, from 1.
    pub epoch: u64,
    /// The value of the metric that picks the epoch.
    pub value: f64,
    /// All validation metrics of that epoch.
    #[serde(with = "in_order")]
    pub metrics: Metrics,
    /// The layer logits of that epoch.
    pub logits: Option<Vec<f32>>,
}

/// What validation chose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Chosen {
    /// Number of epochs.
    pub epoch: u64,
    /// Epochs that were run to find out.
    pub epochs_run: u64,
    /// Validation metrics of that epoch, or of the fine-tuned model that is kept; `None` when
    /// nothing was selected.
    #[serde(with = "in_order_if_any")]
    pub metrics: Option<Metrics>,
    /// Epochs of fine-tuning that are kept, once [`Stage::Finetune`] is over.
    #[serde(default)]
    pub finetuned: Option<u64>,
}

/// Metrics as a list of names and values: a manifest sorts the keys of its objects, and a resumed
/// run should report in the order that was asked for.
mod in_order {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::eval::Metrics;

    pub(crate) fn serialize<S: Serializer>(metrics: &Metrics, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(metrics.iter())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Metrics, D::Error> {
        Ok(Vec::<(String, f64)>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// The same where there may be none.
mod in_order_if_any {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::eval::Metrics;

    pub(crate) fn serialize<S: Serializer>(metrics: &Option<Metrics>, serializer: S) -> Result<S::Ok, S::Error> {
        metrics.as_ref().map(|metrics| metrics.iter().collect::<Vec<_>>()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Metrics>, D::Error> {
        let listed = Option::<Vec<(String, f64)>>::deserialize(deserializer)?;
        Ok(listed.map(|listed| listed.into_iter().collect()))
    }
}

impl Progress {
    /// At the start of a stage; earlier decisions and counters are kept.
    pub(crate) fn enter(&mut self, stage: Stage) {
        let Progress { prior, chosen, metrics_lines, epochs_run, train_s, validate_s, .. } = self.clone();
        *self = Progress { prior, chosen, metrics_lines, epochs_run, train_s, validate_s, ..Progress::start(stage) };
    }

    /// What a checkpoint of this job says about its progress. The checkpoint may be anybody's: its
    /// numbers must be ones that the job can have reached, because epochs are counted on from them
    /// and a refit runs for as many as they say.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn read(fact: Option<&Value>, job: &Job) -> Result<Progress, String> {
        let progress: Progress = serde_json::from_value(fact.cloned().unwrap_or_default())
            .map_err(|error| format!("its progress cannot be read: {error}"))?;
        progress
            .contradiction(job)
            .map_or(Ok(progress), |problem| Err(format!("its progress contradicts itself: {problem}")))
    }

    fn contradiction(&self, job: &Job) -> Option<String> {
        let train = &job.train;
        let chosen =
            self.chosen.as_ref().map(|chosen| (chosen.epoch, chosen.epochs_run, chosen.finetuned.unwrap_or(0)));
        let (chosen_epoch, chosen_run, finetuned) = chosen.unwrap_or_default();
        let planned = match self.stage {
            Stage::Layers | Stage::Train => train.max_epochs,
            Stage::Refit => chosen_epoch,
            Stage::Finetune => train.finetune_epochs,
        };
        let all_planned = train.max_epochs.saturating_mul(3).saturating_add(train.finetune_epochs);
        let counts = [
            ("epoch", self.epoch, planned),
            ("the best epoch", self.best.as_ref().map_or(0, |best| best.epoch), self.epoch),
            ("validations since the best", self.since_best, self.epoch),
            ("the chosen epoch", chosen_epoch, chosen_run),
            ("epochs until the choice", chosen_run, train.max_epochs),
            ("epochs of fine-tuning", finetuned, train.finetune_epochs),
            ("epochs of the stage", self.epoch, self.epochs_run),
            ("epochs of all stages", self.epochs_run, all_planned.min(MOST)),
            ("lines of metrics", self.metrics_lines as u64, self.epochs_run),
            ("steps of an epoch", self.step as u64, MOST),
            ("examples of an epoch", self.n_examples, MOST),
        ];
        if let Some((what, found, most)) = counts.into_iter().find(|(_, found, most)| found > most) {
            return Some(format!("{what}: found {found}, expected at most {most}"));
        }
        let n_logits = job.model.graph().map(|graph| graph.layers + 1);
        let logits = self.prior.iter().chain(self.best.iter().filter_map(|best| best.logits.as_ref()));
        let mut others =
            logits.filter(|logits| Some(logits.len()) != n_logits || logits.iter().any(|x| !x.is_finite()));
        others.next().map(|logits| format!("layer logits {logits:?}, expected {} finite ones", n_logits.unwrap_or(0)))
    }

    /// Seconds of validation over seconds of training, all stages together; `None` where nothing
    /// was validated.
    pub(crate) fn evaluation_share(&self) -> Option<f64> {
        (self.validate_s > 0.0 && self.train_s > 0.0).then(|| self.validate_s / self.train_s)
    }

    /// At the start of a run.
    pub(crate) fn start(stage: Stage) -> Self {
        Progress {
            stage,
            epoch: 0,
            step: 0,
            loss: 0.0,
            n_examples: 0,
            best: None,
            since_best: 0,
            prior: None,
            chosen: None,
            metrics_lines: 0,
            epochs_run: 0,
            train_s: 0.0,
            validate_s: 0.0,
            done: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_evaluation_is_that_of_validation_in_training() {
        let started = Progress::start(Stage::Train);
        assert_eq!(started.evaluation_share(), None);
        assert_eq!(Progress { train_s: 8.0, ..started.clone() }.evaluation_share(), None);
        assert_eq!(Progress { train_s: 8.0, validate_s: 2.0, ..started }.evaluation_share(), Some(0.25));
    }
}
