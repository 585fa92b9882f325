//! The training loop of every model: steps, epochs, validation, early stopping, checkpoints,
//! resume, interruption.

use std::sync::Arc;
use std::time::Instant;

use gcnrec_kernels::KernelError;

use super::evaluation::Evaluation;
use super::job::Job;
use super::observer::{EpochRecord, Observer, Stage, StagePlan};
use super::progress::{Best, Progress};
use super::selection::Selection;
use super::stop::Stop;
use super::store::RunStore;
use crate::checkpoint::failpoint;
use crate::error::{RecError, Result};
use crate::eval::Metrics;
use crate::models::cold::Cold;
use crate::models::{Learner, Scorer};

/// Runs the stages of a job, one at a time.
pub(crate) struct Trainer<'a> {
    /// What to train.
    pub job: &'a Job,
    /// Where checkpoints and metrics go.
    pub store: &'a mut RunStore,
    /// Who watches.
    pub observer: &'a mut dyn Observer,
    /// Who may stop it.
    pub stop: &'a Stop,
    /// Where the run stands.
    pub progress: Progress,
    /// Seconds of each epoch of this process.
    pub epoch_seconds: Vec<f64>,
    /// Who has no training row in the stage that runs.
    pub(super) cold: Arc<Cold>,
}

/// Scores that are no numbers, of a model that has just taken steps: they say where, and what to
/// do. Other errors stay as they are.
pub(super) fn diverged(error: RecError, epoch: u64) -> RecError {
    match error {
        RecError::Kernel(KernelError::NotANumber { .. }) => RecError::NotFinite {
            what: "score",
            value: f64::NAN,
            place: format!("the end of epoch {epoch}"),
            todo: "lower the learning rate".into(),
        },
        other => other,
    }
}

/// How a stage ended.
pub(crate) struct StageResult {
    /// The model of the best epoch, or of the last where nothing was selected.
    pub scorer: Box<dyn Scorer>,
    /// That epoch.
    pub epoch: u64,
    /// Its validation metrics.
    pub metrics: Option<Metrics>,
    /// Its layer logits.
    pub logits: Option<Vec<f32>>,
}

impl Trainer<'_> {
    /// Trains until validation stops improving, or for `max_epochs` where there is no evaluator.
    /// `best` is the model that [`Progress::best`] speaks of, where this process has it; otherwise
    /// it lies in the run folder.
    ///
    /// # Errors
    /// [`RecError::Interrupted`] after a checkpoint; those of the learner, the evaluator and the
    /// store.
    pub(crate) fn run_stage(
        &mut self,
        learner: &mut dyn Learner,
        evaluator: Option<&Evaluation>,
        max_epochs: u64,
        best: Option<Box<dyn Scorer>>,
    ) -> Result<StageResult> {
        let metric = Selection::parse(&self.job.train.metric)?;
        let steps_per_epoch = learner.steps_per_epoch();
        let _heeding = self.stop.heed();
        self.observer.on_stage(&StagePlan {
            stage: self.progress.stage,
            max_epochs,
            done_epochs: self.progress.epoch,
            steps_per_epoch,
            n_parameters: learner.n_parameters(),
            metric: evaluator.map(|_| metric.name.clone()),
            patience: self.job.train.patience,
            since_best: self.progress.since_best,
        });
        let mut best_scorer = match (&self.progress.best, best) {
            (Some(_), None) => Some(self.store.load_best(&self.progress)?),
            (Some(_), best) => best,
            (None, _) => None,
        };
        while self.progress.epoch < max_epochs && self.progress.since_best < self.job.train.patience {
            let seconds = self.epoch(learner, steps_per_epoch, best_scorer.as_deref())?;
            let epoch = self.progress.epoch + 1;
            let mut record = EpochRecord {
                stage: self.progress.stage,
                epoch,
                loss: self.progress.loss / self.progress.n_examples.max(1) as f64,
                seconds,
                examples_per_s: self.progress.n_examples as f64 / seconds.max(1e-9),
                valid: None,
                validate_s: None,
                best: false,
            };
            self.progress.epoch = epoch;
            (self.progress.step, self.progress.loss, self.progress.n_examples) = (0, 0.0, 0);
            self.progress.epochs_run += 1;
            let due = epoch.is_multiple_of(self.job.train.validate_every) && epoch >= self.job.train.validate_from;
            let validated = due || epoch == max_epochs;
            if let Some(evaluator) = evaluator.filter(|_| validated) {
                self.validate(learner, evaluator, &metric, &mut record, &mut best_scorer)?;
            }
            self.store.append_metrics(&record)?;
            self.progress.metrics_lines += 1;
            self.observer.on_epoch(&record);
            if validated && self.store.is_due() {
                self.checkpoint(learner, best_scorer.as_deref())?;
            }
            self.heed_stop(learner, best_scorer.as_deref())?;
        }
        let result = match (&self.progress.best, best_scorer) {
            (Some(best), Some(scorer)) => StageResult {
                scorer,
                epoch: best.epoch,
                metrics: Some(best.metrics.clone()),
                logits: best.logits.clone(),
            },
            _ => StageResult {
                scorer: self.cold.wrap(learner.freeze()?),
                epoch: self.progress.epoch,
                metrics: None,
                logits: learner.layer_logits(),
            },
        };
        Ok(result)
    }

    /// The steps of one epoch, from where it was left. Answers its seconds. `best` is the model
    /// that [`Progress::best`] speaks of: a checkpoint within the epoch may be the first one since
    /// it was found.
    fn epoch(&mut self, learner: &mut dyn Learner, steps_per_epoch: usize, best: Option<&dyn Scorer>) -> Result<f64> {
        let started = Instant::now();
        let epoch = self.progress.epoch;
        let every = self.job.train.checkpoint_every_steps;
        while self.progress.step < steps_per_epoch {
            let step = self.progress.step;
            let report = learner.steps(epoch, step..step + 1)?;
            self.progress.step += 1;
            self.progress.loss += report.loss;
            self.progress.n_examples += report.n_examples;
            failpoint::step();
            self.observer.on_step(epoch, step, report.loss / report.n_examples.max(1) as f64);
            if self.progress.step < steps_per_epoch {
                let due = every > 0 && self.progress.step.is_multiple_of(every);
                if due || self.stop.asked().is_some() {
                    // A checkpoint speaks of the losses of all steps before it.
                    self.progress.loss += learner.late_loss()?;
                }
                if due {
                    self.checkpoint(learner, best)?;
                }
                self.heed_stop(learner, best)?;
            }
        }
        self.progress.loss += learner.late_loss()?;
        let seconds = started.elapsed().as_secs_f64();
        self.progress.train_s += seconds;
        self.epoch_seconds.push(seconds);
        Ok(seconds)
    }

    fn validate(
        &mut self,
        learner: &mut dyn Learner,
        evaluator: &Evaluation,
        metric: &Selection,
        record: &mut EpochRecord,
        best_scorer: &mut Option<Box<dyn Scorer>>,
    ) -> Result<()> {
        let started = Instant::now();
        let scorer = self.cold.wrap(learner.freeze()?);
        let metrics = evaluator.evaluate(&*scorer).map_err(|error| diverged(error, record.epoch))?;
        let value = metrics.get(&metric.name).expect("the evaluator should hold the selecting metric: see Job");
        if self.progress.best.as_ref().is_none_or(|best| metric.improves(value, best.value)) {
            let logits = learner.layer_logits();
            self.progress.best = Some(Best { epoch: record.epoch, value, metrics: metrics.clone(), logits });
            self.progress.since_best = 0;
            *best_scorer = Some(scorer);
            self.store.best_changed();
            record.best = true;
        } else {
            self.progress.since_best += 1;
        }
        let seconds = started.elapsed().as_secs_f64();
        self.progress.validate_s += seconds;
        record.valid = Some(metrics);
        record.validate_s = Some(seconds);
        Ok(())
    }

    /// Writes `best/` where it changed, then `last/`: a crash between the two is harmless, because
    /// the epochs after the older `last/` are run again to the same bits.
    pub(super) fn checkpoint(&mut self, learner: &dyn Learner, best: Option<&dyn Scorer>) -> Result<()> {
        if let Some(best) = best {
            self.store.save_best(best, &self.progress)?;
        }
        self.store.save_last(learner.state(), &self.progress)
    }

    fn heed_stop(&mut self, learner: &dyn Learner, best: Option<&dyn Scorer>) -> Result<()> {
        let Some(code) = self.stop.asked() else { return Ok(()) };
        self.checkpoint(learner, best)?;
        Err(RecError::Interrupted { code, todo: self.store.how_to_go_on() })
    }

    /// Ends a stage: the next one starts from its decisions.
    pub(crate) fn enter(&mut self, stage: Stage) {
        self.progress.enter(stage);
        self.store.best_changed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_that_are_no_numbers_say_after_which_epoch_and_what_to_do() {
        let op = KernelError::NotANumber { op: "top_k", argument: "scores", row: 0 };
        let error = diverged(RecError::Kernel(op), 5);
        assert_eq!(error.to_string(), "score is NaN at the end of epoch 5; lower the learning rate");
        assert_eq!(error.exit_code(), 1);
        let other = diverged(RecError::range("eval.k", 0, "more"), 5);
        assert_eq!(other.exit_code(), 4);
    }
}
