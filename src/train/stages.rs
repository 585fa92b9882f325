//! Stages of a training: layer weights, training, refit and fine-tuning, then one evaluation on the
//! test part.

use std::sync::Arc;
use std::time::Instant;

use gcnrec_graphs::{Interactions, UserId};

use super::evaluation::Evaluation;
use super::fusion;
use super::job::Job;
use super::learners::{StageLearner, learns_from_valid};
use super::observer::{Observer, Stage};
use super::outcome::{ExampleWeightReport, Outcome, Undefined};
use super::progress::{Best, Chosen, Progress};
use super::selection::Selection;
use super::stop::Stop;
use super::store::{Resumed, RunStore};
use super::trainer::{StageResult, Trainer, diverged};
use super::weight_fit::FitPlan;
use crate::data::Part;
use crate::debias::UniformLog;
use crate::error::{RecError, Result};
use crate::models::state::{State, Tensor};
use crate::models::{Fit, Procedure, Query, Scorer};

/// A mean layer weight above this is worth a warning: the other layers no longer matter.
const COLLAPSED: f64 = 0.95;

/// Users whose scores are looked at before a model is kept.
const LOOKED_AT: usize = 16;

/// Runs a job that passed [`Job::check`], from the start or from the checkpoint in the store.
///
/// # Errors
/// [`crate::RecError::Interrupted`] after a stop was asked for and a checkpoint was written;
/// everything that data, model and disk can refuse.
pub(crate) fn run(
    job: &Job,
    store: &mut RunStore,
    resume: bool,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Outcome> {
    if let Procedure::Fusion(config) = job.model.procedure() {
        return fusion::run(job, config, store, observer, stop);
    }
    let plan = Plan::new(job)?;
    let checkpoint = if resume { store.load_last()? } else { None };
    match &checkpoint {
        Some(resumed) => resumed.warnings.iter().for_each(|warning| observer.on_message(warning)),
        None if resume => observer.on_message("there is no checkpoint to resume from: starting from the beginning"),
        None => {}
    }
    let histories = || job.split.histories(&[Part::Train, Part::Valid]);
    let weights = job.split.recency_weights(&plan.final_pairs);
    let data = Fit { train: &plan.final_pairs, weights: weights.as_deref(), histories: &histories };
    match job.model.closed_form().map(|model| model.fit(&data)).transpose()? {
        Some(scorer) => {
            let scorer = job.cold(&plan.final_pairs)?.wrap(scorer);
            plan.finish_closed_form(job, store, scorer)
        }
        None => plan.run_learner(job, store, checkpoint, observer, stop),
    }
}

/// The fitted numbers of a closed form: all 32-bit floats of its state.
pub(super) fn n_numbers(state: &State) -> usize {
    let length = |tensor: &Tensor| match tensor {
        Tensor::F32 { values, .. } => values.len(),
        Tensor::U32 { .. } => 0,
    };
    state.tensors.values().map(length).sum()
}

/// The parts of a job, turned into what stages need.
struct Plan {
    train: Arc<Interactions>,
    /// Training and validation pairs with `refit`, otherwise the training pairs: what the final
    /// model learns from.
    final_pairs: Arc<Interactions>,
    valid: Option<Evaluation>,
    test: Option<Evaluation>,
    fit_plan: FitPlan,
    started: Instant,
}

impl Plan {
    fn new(job: &Job) -> Result<Self> {
        let split = &job.split;
        let train = Arc::new(job.train_pairs()?);
        let final_pairs = if job.learns_from_valid() {
            Arc::new(split.joint_interactions(&[Part::Train, Part::Valid])?)
        } else {
            train.clone()
        };
        let valid = if job.model.is_closed_form() { None } else { job.evaluator(Part::Valid, &[Part::Train])? };
        Ok(Plan {
            test: job.evaluator(Part::Test, &[Part::Train, Part::Valid])?,
            fit_plan: FitPlan::of(job),
            train,
            final_pairs,
            valid,
            started: Instant::now(),
        })
    }

    fn finish_closed_form(self, job: &Job, store: &mut RunStore, scorer: Box<dyn Scorer>) -> Result<Outcome> {
        let train_s = self.started.elapsed().as_secs_f64();
        let progress = Progress { train_s, done: true, ..Progress::start(Stage::Train) };
        store.save_best(&*scorer, &progress)?;
        let n_fitted = n_numbers(&scorer.state());
        self.outcome(job, scorer, &progress, train_s, n_fitted, None)
    }

    fn run_learner(
        self,
        job: &Job,
        store: &mut RunStore,
        checkpoint: Option<Resumed>,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<Outcome> {
        let first = if self.fit_plan.in_stages() { Stage::Layers } else { Stage::Train };
        let (mut state, progress) = match checkpoint {
            Some(Resumed { state, progress, .. }) => (Some(state), progress),
            None => (None, Progress::start(first)),
        };
        let cold = job.cold(&self.train)?;
        let mut trainer = Trainer { job, store, observer, stop, progress, epoch_seconds: Vec::new(), cold };
        let uniform = UniformLog::fitted(&job.debias, &job.split, job.seed)?;
        // The model that the stage before ended with, where this process trained it.
        let mut before: Option<Box<dyn Scorer>> = None;
        loop {
            let stage = trainer.progress.stage;
            let pairs = if learns_from_valid(job, stage) { &self.final_pairs } else { &self.train };
            trainer.cold = job.cold(pairs)?;
            let mut learner =
                StageLearner::new(job, self.fit_plan, &uniform, stage, pairs.clone(), trainer.progress.prior.clone())?;
            match (state.take(), before.as_deref()) {
                (Some(state), _) => learner.as_dyn().restore(&state)?,
                (None, Some(model)) if stage == Stage::Finetune => {
                    learner.as_dyn().start_from(&model.state())?;
                    // The run folder should hold this model before a better one takes its place:
                    // the stage before could not be ended again without it.
                    let best = trainer.progress.best.is_some().then_some(model);
                    trainer.checkpoint(learner.as_dyn(), best)?;
                }
                _ => {}
            }
            let evaluator = self.valid.as_ref().filter(|_| is_judged(job, stage));
            let max_epochs = match (&trainer.progress.chosen, stage) {
                (Some(chosen), Stage::Refit) => chosen.epoch,
                (_, Stage::Finetune) => job.train.finetune_epochs,
                _ => job.train.max_epochs,
            };
            let result = trainer.run_stage(learner.as_dyn(), evaluator, max_epochs, before.take())?;
            decide(&mut trainer.progress, stage, &result);
            if let Some(next) = self.stage_after(job, stage) {
                trainer.enter(next);
                match next {
                    Stage::Train => trainer.progress.prior = result.logits,
                    Stage::Finetune => {
                        trainer.progress.best = best_so_far(job, stage, &result)?;
                        before = Some(result.scorer);
                    }
                    Stage::Layers | Stage::Refit => {}
                }
                continue;
            }
            check_scores(job, &*result.scorer).map_err(|error| diverged(error, result.epoch))?;
            trainer.store.save_best(&*result.scorer, &trainer.progress)?;
            trainer.progress.done = true;
            trainer.store.save_last(learner.as_dyn().state(), &trainer.progress)?;
            let median = median(&mut trainer.epoch_seconds);
            let progress = trainer.progress.clone();
            let weights = learner.example_weights(job, &*result.scorer)?;
            return self.outcome(job, result.scorer, &progress, median, learner.as_dyn().n_parameters(), weights);
        }
    }

    /// The stage that follows one.
    fn stage_after(&self, job: &Job, stage: Stage) -> Option<Stage> {
        let finetune = (job.train.finetune_epochs > 0).then_some(Stage::Finetune);
        match stage {
            Stage::Layers => Some(Stage::Train),
            Stage::Train if job.train.refit && self.valid.is_some() => Some(Stage::Refit),
            Stage::Train | Stage::Refit => finetune,
            Stage::Finetune => None,
        }
    }

    fn outcome(
        &self,
        job: &Job,
        scorer: Box<dyn Scorer>,
        progress: &Progress,
        epoch_s_median: f64,
        n_parameters: usize,
        example_weights: Option<ExampleWeightReport>,
    ) -> Result<Outcome> {
        let started = Instant::now();
        let chosen = progress.chosen.as_ref();
        let trained = |error| diverged(error, chosen.map_or(0, |chosen| chosen.epoch));
        let test = self.test.as_ref().map(|evaluator| evaluator.evaluate(&*scorer).map_err(trained)).transpose()?;
        let valid = chosen.and_then(|chosen| chosen.metrics.clone());
        let n_eval_users = self.test.as_ref().or(self.valid.as_ref()).map_or(0, Evaluation::n_eval_users);
        let protocol = job.protocol(Part::Test, valid.is_some(), n_eval_users);
        let layer_weights = scorer.layer_weights().filter(|weights| weights.mean.len() > 1).cloned();
        let collapsed = layer_weights.as_ref().and_then(|w| w.mean.iter().position(|&mean| mean > COLLAPSED));
        let warnings = collapsed
            .map(|layer| format!("the layer attention collapsed onto layer {layer}: the other layers do not matter"))
            .into_iter()
            .collect();
        Ok(Outcome {
            best_epoch: chosen.map_or(0, |chosen| chosen.epoch),
            finetuned: chosen.and_then(|chosen| chosen.finetuned),
            epochs_run: chosen.map_or(0, |chosen| chosen.epochs_run),
            train_s: progress.train_s,
            evaluate_s: progress.validate_s + started.elapsed().as_secs_f64(),
            evaluation_share: progress.evaluation_share(),
            valid,
            test,
            protocol,
            scorer,
            epoch_s_median,
            n_parameters,
            layer_weights,
            example_weights,
            undefined: Undefined::on(self.valid.as_ref(), self.test.as_ref()),
            warnings,
        })
    }
}

/// Refuses a model whose scores are no numbers: the last step may have diverged, and where nothing
/// is held out nobody else would look at it.
fn check_scores(job: &Job, scorer: &dyn Scorer) -> Result<()> {
    let histories = job.split.histories(&[Part::Train]);
    let asked: Vec<Query<'_>> = (0..)
        .map(UserId)
        .zip(&histories)
        .filter(|(_, history)| !history.is_empty())
        .take(LOOKED_AT)
        .map(|(user, history)| Query { user: Some(user), history })
        .collect();
    let scores = scorer.scores(&asked)?;
    match scores.iter().find(|score| !score.is_finite()) {
        None => Ok(()),
        Some(&score) => Err(RecError::NotFinite {
            what: "score",
            value: f64::from(score),
            place: "the end of training".into(),
            todo: "lower the learning rate".into(),
        }),
    }
}

/// True where the validation part judges: not once a model has learnt from it.
fn is_judged(job: &Job, stage: Stage) -> bool {
    match stage {
        Stage::Layers | Stage::Train => true,
        Stage::Refit => false,
        Stage::Finetune => !job.train.refit,
    }
}

/// Notes what a stage decided.
fn decide(progress: &mut Progress, stage: Stage, result: &StageResult) {
    match stage {
        Stage::Layers | Stage::Refit => {}
        Stage::Train => {
            let (epoch, metrics) = (result.epoch, result.metrics.clone());
            progress.chosen = Some(Chosen { epoch, epochs_run: progress.epoch, metrics, finetuned: None });
        }
        Stage::Finetune => {
            if let Some(chosen) = &mut progress.chosen {
                chosen.finetuned = Some(result.epoch);
                // Without an evaluation there is no news: what was measured before the model learnt
                // from it too stays.
                chosen.metrics = result.metrics.clone().or(chosen.metrics.take());
            }
        }
    }
}

/// What fine-tuning has to beat: the model of the training, as its epoch 0. Nothing where no
/// validation judges it.
fn best_so_far(job: &Job, stage: Stage, result: &StageResult) -> Result<Option<Best>> {
    let Some(metrics) = result.metrics.clone().filter(|_| stage == Stage::Train) else { return Ok(None) };
    let value = metrics.get(&Selection::parse(&job.train.metric)?.name);
    let value = value.expect("the evaluator should hold the selecting metric: see Job");
    Ok(Some(Best { epoch: 0, value, metrics, logits: None }))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}
