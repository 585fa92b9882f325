//! Training of a score fusion: its members one after the other, then their weights, then the
//! members again on all pairs.
//!
//! 1. Every member learns from the training pairs alone; validation picks its epoch, as for a model
//!    of its own.
//! 2. The weights are fitted to the selecting metric on the validation part, which these members
//!    have not seen.
//! 3. With `train.refit` every member is trained again on training and validation pairs for the
//!    epochs that were chosen, and keeps its weight; without it the members stay as they are,
//!    closed forms too: they have learnt from the training pairs alone.
//!
//! Members are runs of their own in `members/` of the run folder, with checkpoints: a run that is
//! interrupted goes on where it was. Without a validation part nothing can be fitted, and all
//! members count alike.

use std::sync::Arc;
use std::time::Instant;

use super::evaluation::Evaluation;
use super::job::Job;
use super::observer::{Observer, Stage, StagePlan};
use super::outcome::{Outcome, Undefined};
use super::progress::Progress;
use super::selection::Selection;
use super::stages;
use super::stop::Stop;
use super::store::RunStore;
use crate::data::{Log, Part, Split};
use crate::error::{RecError, Result};
use crate::models::fusion::{Config, Fusion, Member};
use crate::models::{Fit, Scorer};

/// Steps of the share of one member, first over all shares, then around the best one.
const COARSE: f64 = 0.1;
const FINE: f64 = 0.02;
/// Rounds over all members, where there are more than two.
const ROUNDS: usize = 3;

/// A member after a training.
struct TrainedMember {
    scorer: Box<dyn Scorer>,
    epochs: u64,
    epochs_run: u64,
    n_parameters: usize,
    train_s: f64,
    evaluate_s: f64,
    warnings: Vec<String>,
}

/// Runs a job whose model is a fusion.
pub(crate) fn run(
    job: &Job,
    config: &Config,
    store: &mut RunStore,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Outcome> {
    let members = config.members();
    let has_valid = !job.split.valid.is_empty();
    let mut runs = Runs { job, store, observer, stop };
    let train_only = Arc::new(Split { test: Log::default(), ..(*job.split).clone() });
    let first = runs.all(&members, &train_only, "", &[])?;
    let epochs: Vec<u64> = first.iter().map(|trained| trained.epochs).collect();
    let (mut train_s, mut evaluate_s) = (0.0, 0.0);
    for trained in &first {
        train_s += trained.train_s;
        evaluate_s += trained.evaluate_s;
    }
    let epochs_run = first.iter().map(|trained| trained.epochs_run).sum();
    let mut warnings: Vec<String> = first.iter().flat_map(|trained| trained.warnings.clone()).collect();
    let mut n_parameters = first.iter().map(|trained| trained.n_parameters).sum();
    let equal = vec![1.0 / members.len() as f32; members.len()];
    let mut fusion = Fusion::new(first.into_iter().map(|trained| trained.scorer).collect(), equal)?;

    let started = Instant::now();
    let (mut valid, mut undefined) = (None, Vec::new());
    match job.evaluator(Part::Valid, &[Part::Train])? {
        Some(evaluation) => {
            let (weights, value) = fit(&fusion, &evaluation, &job.train.metric)?;
            runs.observer.on_message(&describe(&members, &weights, &job.train.metric, value));
            fusion = fusion.reweighted(&weights);
            valid = Some(evaluation.evaluate(&fusion)?);
            undefined = Undefined::on(Some(&evaluation), None);
        }
        None => warnings.push("there is no validation part to fit weights on: the members count alike".into()),
    }
    evaluate_s += started.elapsed().as_secs_f64();

    if job.train.refit && has_valid {
        let all = runs.all(&members, &Arc::new(with_valid(&job.split)), "-refit", &epochs)?;
        train_s += all.iter().map(|trained| trained.train_s).sum::<f64>();
        n_parameters = all.iter().map(|trained| trained.n_parameters).sum();
        let weights = fusion.weights().to_vec();
        fusion = Fusion::new(all.into_iter().map(|trained| trained.scorer).collect(), weights)?;
    }
    // Its members put items without a training row last, and their sum may not.
    let learnt = if job.train.refit { &[Part::Train, Part::Valid][..] } else { &[Part::Train] };
    let fusion = job.cold(&job.split.joint_interactions(learnt)?)?.wrap(Box::new(fusion));
    let progress = Progress { train_s, done: true, ..Progress::start(Stage::Train) };
    store.save_best(&*fusion, &progress)?;
    let started = Instant::now();
    let test = job.evaluator(Part::Test, &[Part::Train, Part::Valid])?;
    let judged = test.as_ref().map(|evaluation| evaluation.evaluate(&*fusion)).transpose()?;
    undefined.extend(Undefined::on(None, test.as_ref()));
    Ok(Outcome {
        protocol: job.protocol(Part::Test, valid.is_some(), test.as_ref().map_or(0, Evaluation::n_eval_users)),
        scorer: fusion,
        best_epoch: 0,
        finetuned: None,
        epochs_run,
        valid,
        test: judged,
        train_s,
        epoch_s_median: 0.0,
        evaluate_s: evaluate_s + started.elapsed().as_secs_f64(),
        evaluation_share: None,
        n_parameters,
        layer_weights: None,
        example_weights: None,
        undefined,
        warnings,
    })
}

/// Training and validation pairs as one part to learn from.
fn with_valid(split: &Split) -> Split {
    let mut joint = split.train.clone();
    joint.append(&split.valid);
    Split { train: joint, valid: Log::default(), test: Log::default(), ..split.clone() }
}

/// What the trainings of the members share.
struct Runs<'a> {
    job: &'a Job,
    store: &'a mut RunStore,
    observer: &'a mut dyn Observer,
    stop: &'a Stop,
}

impl Runs<'_> {
    /// Trains every member on a split. `epochs` fixes how long, where it is given.
    fn all(
        &mut self,
        members: &[Member],
        split: &Arc<Split>,
        suffix: &str,
        epochs: &[u64],
    ) -> Result<Vec<TrainedMember>> {
        let mut all = Vec::with_capacity(members.len());
        for (n, member) in members.iter().enumerate() {
            let what = if suffix.is_empty() { "" } else { ", again with the validation pairs" };
            self.observer.on_message(&format!("member {} of {}: {}{what}", n + 1, members.len(), member.model.name()));
            let job = self.member_job(member, split.clone(), epochs.get(n).copied());
            all.push(self.one(&job, &format!("{}{suffix}", n + 1))?);
        }
        Ok(all)
    }

    fn one(&mut self, job: &Job, name: &str) -> Result<TrainedMember> {
        let started = Instant::now();
        let (pairs, histories) = (job.train_pairs()?, || job.split.histories(&[Part::Train]));
        let weights = job.split.recency_weights(&pairs);
        if let Some(model) = job.model.closed_form() {
            let scorer = model.fit(&Fit { train: &pairs, weights: weights.as_deref(), histories: &histories })?;
            let scorer = job.cold(&pairs)?.wrap(scorer);
            let n_parameters = stages::n_numbers(&scorer.state());
            let train_s = started.elapsed().as_secs_f64();
            let warnings = Vec::new();
            return Ok(TrainedMember {
                scorer,
                epochs: 0,
                epochs_run: 0,
                n_parameters,
                train_s,
                evaluate_s: 0.0,
                warnings,
            });
        }
        job.check()?;
        let mut store = self.store.member(name, job)?;
        let resume = store.can_resume();
        let outcome = stages::run(job, &mut store, resume, &mut Quiet(self.observer), self.stop);
        let outcome = outcome.map_err(|error| match error {
            RecError::Interrupted { code, .. } => RecError::Interrupted { code, todo: self.store.how_to_go_on() },
            other => other,
        })?;
        Ok(TrainedMember {
            scorer: outcome.scorer,
            epochs: outcome.best_epoch,
            epochs_run: outcome.epochs_run,
            n_parameters: outcome.n_parameters,
            train_s: outcome.train_s,
            evaluate_s: outcome.evaluate_s,
            warnings: outcome.warnings,
        })
    }

    fn member_job(&self, member: &Member, split: Arc<Split>, epochs: Option<u64>) -> Job {
        let mut job = self.job.clone();
        job.objective = member.loss();
        job.model = member.model.clone();
        job.split = split;
        job.train.refit = false;
        job.train.learning_rate = member.learning_rate.or(job.train.learning_rate);
        job.train.batch_size = member.batch_size.or(job.train.batch_size);
        job.train.max_epochs = epochs.unwrap_or(job.train.max_epochs);
        job
    }
}

/// Passes on what a member does, but not its epochs: they are lines of its own folder, not of the
/// fusion's.
struct Quiet<'a>(&'a mut dyn Observer);

impl Observer for Quiet<'_> {
    fn on_stage(&mut self, plan: &StagePlan) {
        self.0.on_stage(plan);
    }

    fn on_step(&mut self, epoch: u64, step: usize, loss: f64) {
        self.0.on_step(epoch, step, loss);
    }

    fn on_message(&mut self, message: &str) {
        self.0.on_message(message);
    }
}

/// The weights with the best metric on a held-out part, and its value.
///
/// One member's share is moved while the others keep their proportions: over all shares in coarse
/// steps, then around the best in fine ones. With more than two members every member has its turn,
/// until nothing gets better. Of equals the first stays, and the start is that all count alike.
fn fit(fusion: &Fusion, evaluation: &Evaluation, metric: &str) -> Result<(Vec<f32>, f64)> {
    let selection = Selection::parse(metric)?;
    let value_of = |weights: &[f32]| -> Result<f64> {
        let metrics = evaluation.evaluate(&fusion.reweighted(weights))?;
        Ok(metrics.get(&selection.name).expect("the evaluation should hold the selecting metric: see Job"))
    };
    let mut best = (fusion.weights().to_vec(), value_of(fusion.weights())?);
    let turns = if best.0.len() == 2 { 1 } else { best.0.len() };
    for _ in 0..ROUNDS {
        let before = best.1;
        for member in 0..turns {
            for (step, reach) in [(COARSE, 1.0), (FINE, COARSE)] {
                let start = best.0.clone();
                for share in shares(f64::from(start[member]), step, reach) {
                    let weights = with_share(&start, member, share);
                    let value = value_of(&weights)?;
                    if selection.improves(value, best.1) {
                        best = (weights, value);
                    }
                }
            }
        }
        if !selection.improves(best.1, before) || turns == 1 {
            break;
        }
    }
    Ok(best)
}

/// Multiples of a step within 0..=1 that are no farther from `around` than `reach`.
fn shares(around: f64, step: f64, reach: f64) -> Vec<f64> {
    let n = (1.0 / step).round() as usize;
    let near = |share: &f64| (share - around).abs() <= reach + 1e-9;
    (0..=n).map(|multiple| multiple as f64 / n as f64).filter(near).collect()
}

/// The weights with one member at a share and the others in their old proportions; alike where they
/// had no weight.
fn with_share(weights: &[f32], member: usize, share: f64) -> Vec<f32> {
    let rest: f64 = weights.iter().enumerate().filter(|(n, _)| *n != member).map(|(_, &w)| f64::from(w)).sum();
    let n_others = (weights.len() - 1) as f64;
    let weight = |(n, &weight): (usize, &f32)| {
        let part = if rest > 0.0 { f64::from(weight) / rest } else { 1.0 / n_others };
        if n == member { share as f32 } else { ((1.0 - share) * part) as f32 }
    };
    weights.iter().enumerate().map(weight).collect()
}

fn describe(members: &[Member], weights: &[f32], metric: &str, value: f64) -> String {
    let parts: Vec<String> =
        members.iter().zip(weights).map(|(member, weight)| format!("{} {weight:.2}", member.model.name())).collect();
    format!("weights fitted on validation: {} ({metric} {value:.4})", parts.join(", "))
}

#[cfg(test)]
mod tests;
