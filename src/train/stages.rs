//! A whole run: which stages a job needs, one after the other, and the one look at the test part.
//!
//! How layer weights are learned (`attention.fit`): a loss on cosines cannot gain by making one layer long, so its weights learn on the training
//! loss. A loss on inner products can: learned on the training loss, the weights collapse onto layer 0 (SPEC M.1). There, the weights learn from a
//! lesson after every step: a softmax over all items on cosines, which moves them and nothing else. The per-node kinds take their lessons in two
//! stages: first one global weight per layer; then the embeddings start again with these weights as a fixed prior, from which each node may lean
//! away by a bounded amount. With `held_out` the first stage takes its lessons on pairs that the embeddings never see (SPEC B.3). With `uniform` every
//! lesson is taken on the labelled rows of the uniform log: embeddings learn from the biased log, what is made of them from the unbiased one.

use std::sync::Arc;
use std::time::Instant;

use gcnrec_graphs::Interactions;

use super::config::Sampling;
use super::fusion;
use super::job::{Job, Stop};
use super::judge::Judge;
use super::observer::{Observer, Stage};
use super::progress::{Chosen, Progress};
use super::start::start_items;
use super::store::{Resumed, RunStore};
use super::trainer::Trainer;
use crate::data::{self, Part};
use crate::debias::{self, WeightRow};
use crate::error::Result;
use crate::eval::{Metrics, Protocol, SelectedOn};
use crate::models::graph::config::{Combination, Fit};
use crate::models::graph::{GraphLearner, Learning, Setup, Teacher};
use crate::models::state::{State, Tensor};
use crate::models::{self, LayerWeights, Learner, PairWeights, Scorer, fit_closed_form, sequential};
use crate::objectives::Batching;
use crate::samplers::PairOrder;

/// How far a node's logits may lean away from the fitted global ones.
const DEFAULT_BOUND: f32 = 0.2;
/// A mean layer weight above this is worth a warning: the other layers no longer matter.
const COLLAPSED: f64 = 0.95;

/// What a run produced.
pub struct Outcome {
    /// The final model, also in `best/`.
    pub scorer: Box<dyn Scorer>,
    /// The number of epochs that was chosen; 0 for closed forms.
    pub best_epoch: u64,
    /// Epochs run by the stage that chose.
    pub epochs_run: u64,
    /// Validation metrics of the chosen epoch.
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
    /// What the user should know.
    pub warnings: Vec<String>,
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

/// Runs a job from the start, or from the checkpoint in the store.
///
/// # Errors
/// [`crate::RecError::Interrupted`] after a stop was asked for and a checkpoint was written; everything that data, model and disk can refuse.
pub fn run(job: &Job, store: &mut RunStore, resume: bool, observer: &mut dyn Observer, stop: &Stop) -> Result<Outcome> {
    job.check()?;
    if let models::Config::Fusion(config) = &job.model {
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
    match fit_closed_form(&job.model, &plan.final_pairs, weights.as_deref(), &histories)? {
        Some(scorer) => plan.finish_closed_form(job, store, scorer),
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

/// A learner of one of the families.
enum Trained {
    Graph(Box<GraphLearner>),
    Sequential(Box<dyn Learner>),
}

impl Trained {
    fn as_dyn(&mut self) -> &mut dyn Learner {
        match self {
            Trained::Graph(learner) => &mut **learner,
            Trained::Sequential(learner) => &mut **learner,
        }
    }
}

/// The parts of a job, turned into what stages need.
struct Plan {
    train: Arc<Interactions>,
    /// Training and validation pairs with `refit`, otherwise the training pairs: what the final model learns from.
    final_pairs: Arc<Interactions>,
    valid: Option<Judge>,
    test: Option<Judge>,
    teaching: Teaching,
    started: Instant,
}

/// How the layer weights are learned, resolved.
#[derive(Clone, Copy, PartialEq)]
enum Teaching {
    NoWeights,
    /// On the training loss.
    OnTraining {
        bound: f32,
    },
    /// By lessons, in one stage: global weights.
    Lessons(Book),
    /// By lessons, in two stages: global weights first, then what each node adds to them.
    LessonsInStages {
        book: Book,
        bound: f32,
    },
}

/// What lessons are taken on.
#[derive(Clone, Copy, PartialEq)]
enum Book {
    Training,
    /// Pairs that the embeddings never see, in the first of two stages.
    HeldOut,
    /// The uniform log.
    Uniform,
}

impl Plan {
    fn new(job: &Job) -> Result<Self> {
        let split = &job.split;
        let train = Arc::new(job.train_pairs()?);
        let closed_form = job.model.is_closed_form();
        // Labelled rows were shown, not chosen: they are no pairs to learn from.
        let refit = (job.train.refit || closed_form) && !split.labelled;
        let final_pairs =
            if refit { Arc::new(split.joint_interactions(&[Part::Train, Part::Valid])?) } else { train.clone() };
        let valid = if closed_form { None } else { job.evaluator(Part::Valid, &[Part::Train])? };
        Ok(Plan {
            test: job.evaluator(Part::Test, &[Part::Train, Part::Valid])?,
            teaching: Teaching::of(job),
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
        let in_stages = matches!(self.teaching, Teaching::LessonsInStages { .. });
        let first = if in_stages { Stage::Layers } else { Stage::Train };
        let (mut state, progress) = match checkpoint {
            Some(Resumed { state, progress, .. }) => (Some(state), progress),
            None => (None, Progress::start(first)),
        };
        let mut trainer = Trainer { job, store, observer, stop, progress, epoch_seconds: Vec::new() };
        loop {
            let stage = trainer.progress.stage;
            let mut learner = self.learner(job, stage, trainer.progress.prior.clone())?;
            if let Some(state) = state.take() {
                learner.as_dyn().restore(&state)?;
            }
            let evaluator = if stage == Stage::Refit { None } else { self.valid.as_ref() };
            let max_epochs = match (&trainer.progress.chosen, stage) {
                (Some(chosen), Stage::Refit) => chosen.epoch,
                _ => job.train.max_epochs,
            };
            let result = trainer.run_stage(learner.as_dyn(), evaluator, max_epochs)?;
            match stage {
                Stage::Layers => {
                    trainer.enter(Stage::Train);
                    trainer.progress.prior = result.logits;
                    continue;
                }
                Stage::Train => {
                    let epochs_run = trainer.progress.epoch;
                    let chosen = Chosen { epoch: result.epoch, epochs_run, metrics: result.metrics };
                    trainer.progress.chosen = Some(chosen);
                    if job.train.refit && self.valid.is_some() {
                        trainer.enter(Stage::Refit);
                        continue;
                    }
                }
                Stage::Refit => {}
            }
            trainer.store.save_best(&*result.scorer, &trainer.progress)?;
            trainer.progress.done = true;
            trainer.store.save_last(learner.as_dyn().state(), &trainer.progress)?;
            let median = median(&mut trainer.epoch_seconds);
            let progress = trainer.progress.clone();
            let weights = match &mut learner {
                Trained::Graph(learner) => example_weights(job, learner, &*result.scorer)?,
                Trained::Sequential(_) => None,
            };
            return self.outcome(job, result.scorer, &progress, median, learner.as_dyn().n_parameters(), weights);
        }
    }

    /// The learner of a stage.
    fn learner(&self, job: &Job, stage: Stage, prior: Option<Vec<f32>>) -> Result<Trained> {
        let Some(config) = job.model.graph() else {
            let parts = if stage == Stage::Refit { &[Part::Train, Part::Valid][..] } else { &[Part::Train] };
            let setup = sequential::Setup {
                histories: Arc::new(job.split.histories(parts)),
                n_items: job.split.n_items(),
                batch_size: job.train.batch_size,
                learning_rate: job.train.learning_rate,
                seed: job.seed,
            };
            let learner = sequential::learner(&job.model, setup)?;
            let mut learner = learner.expect("closed forms should have returned earlier");
            let pairs = if stage == Stage::Refit { &self.final_pairs } else { &self.train };
            if let Some(weights) = job.split.recency_weights(pairs) {
                learner.weigh_pairs(PairWeights { pairs: pairs.clone(), weights })?;
            }
            if let Some(items) = start_items(job)? {
                learner.start_with_items(&items)?;
            }
            return Ok(Trained::Sequential(learner));
        };
        Ok(Trained::Graph(Box::new(self.graph_learner(job, config, stage, prior)?)))
    }

    fn graph_learner(
        &self,
        job: &Job,
        mut config: models::graph::Config,
        stage: Stage,
        prior: Option<Vec<f32>>,
    ) -> Result<GraphLearner> {
        let mut train = if stage == Stage::Refit { self.final_pairs.clone() } else { self.train.clone() };
        let (mut teacher, mut bound) = (Teacher::Nobody, 0.0);
        let lesson = |book: Book, pairs: &Arc<Interactions>, fixed_prior: bool| -> Result<Teacher> {
            if book != Book::Uniform {
                return Ok(Teacher::Lesson { pairs: pairs.clone(), fixed_prior });
            }
            let (loss, batch) = debias::lesson(&job.objective, &job.split)?;
            Ok(Teacher::Judged { loss, batch, fixed_prior })
        };
        match (self.teaching, stage) {
            (Teaching::NoWeights, _) => {}
            (Teaching::OnTraining { bound: b }, _) => (teacher, bound) = (Teacher::Training, b),
            (Teaching::Lessons(book), _) => teacher = lesson(book, &train, false)?,
            (Teaching::LessonsInStages { book, .. }, Stage::Layers) => {
                config.combination = Combination::Global;
                let mut pairs = train.clone();
                if book == Book::HeldOut {
                    // Index 0 carves the validation part, index 1 this one: they never share draws.
                    let fraction = config.attention.held_out_fraction;
                    let (kept, carved) = data::carve(&job.split.train, fraction, job.seed, 1);
                    let (n_users, n_items) = (job.split.n_users(), job.split.n_items());
                    train = Arc::new(kept.interactions(n_users, n_items)?);
                    pairs = Arc::new(carved.interactions(n_users, n_items)?);
                }
                teacher = lesson(book, &pairs, false)?;
            }
            (Teaching::LessonsInStages { book, bound: b }, _) => {
                bound = b;
                if config.combination != Combination::Global {
                    teacher = lesson(book, &train, true)?;
                }
            }
        }
        let order = match job.train.sampling {
            Sampling::Pair => PairOrder::PairUniform,
            Sampling::User => PairOrder::UserUniform,
            Sampling::Block => PairOrder::Blocks { users: job.train.block[0], items: job.train.block[1] },
        };
        let prepared = debias::prepare(
            &job.debias,
            &debias::Training {
                split: &job.split,
                pairs: train,
                objective: &job.objective,
                reduction: job.train.reduction,
                dim: config.dim + if config.biases { 2 } else { 0 },
                biases: config.biases,
                seed: job.seed,
            },
        )?;
        let learning = Learning { optimizer: job.train.optimizer, ..prepared.learning };
        let setup = Setup {
            device: job.device.clone(),
            config,
            model: job.model.name(),
            objective: job.objective.clone(),
            batching: Batching { size: job.train.batch_size, order },
            learning_rate: job.train.learning_rate.unwrap_or_else(|| job.objective.default_learning_rate()),
            train: prepared.pairs,
            teacher,
            prior,
            bound,
            seed: job.seed,
        };
        GraphLearner::with(setup, learning)
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
        let test = self.test.as_ref().map(|evaluator| evaluator.evaluate(&*scorer)).transpose()?;
        let chosen = progress.chosen.as_ref();
        let valid = chosen.and_then(|chosen| chosen.metrics.clone());
        let protocol = Protocol {
            candidates: job.judged_candidates(),
            exclude_seen: job.eval.exclude_seen,
            selected_on: match valid {
                Some(_) if job.split.labelled => SelectedOn::Uniform,
                Some(_) => SelectedOn::Valid,
                None => SelectedOn::None,
            },
            refit: job.train.refit && valid.is_some(),
            n_eval_users: self.test.as_ref().or(self.valid.as_ref()).map_or(0, Judge::n_eval_users),
        };
        let layer_weights = scorer.layer_weights().filter(|weights| weights.mean.len() > 1).cloned();
        let collapsed = layer_weights.as_ref().and_then(|w| w.mean.iter().position(|&mean| mean > COLLAPSED));
        let warnings = collapsed
            .map(|layer| format!("the layer attention collapsed onto layer {layer}: the other layers do not matter"))
            .into_iter()
            .collect();
        Ok(Outcome {
            best_epoch: chosen.map_or(0, |chosen| chosen.epoch),
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
            warnings,
        })
    }
}

/// The weights of a learner's pairs, where a method made them, as they were when the model was frozen.
fn example_weights(job: &Job, learner: &mut GraphLearner, scorer: &dyn Scorer) -> Result<Option<ExampleWeightReport>> {
    if job.debias.is_none() {
        return Ok(None);
    }
    learner.restore_learned(&scorer.state())?;
    let (pairs, labels) = (learner.pairs().clone(), learner.labels().cloned());
    let Some(weights) = learner.pair_weights()? else { return Ok(None) };
    let of_edges = labels.as_ref().map(|labels| labels.as_slice());
    let table = debias::weight_table(&job.split, &pairs, of_edges, &weights, learner.imputed_values());
    Ok(Some(ExampleWeightReport { pairs, labels, weights, table }))
}

impl Teaching {
    fn of(job: &Job) -> Self {
        let Some(config) = job.model.graph() else { return Teaching::NoWeights };
        if config.combination == Combination::Uniform {
            return Teaching::NoWeights;
        }
        let fit = match config.attention.fit {
            Fit::Auto if job.objective.cosine() => Fit::Training,
            Fit::Auto => Fit::Lesson,
            fit => fit,
        };
        let bound = config.attention.bound;
        match fit {
            Fit::Auto | Fit::Training => Teaching::OnTraining { bound: bound.unwrap_or(0.0) },
            Fit::Lesson | Fit::Uniform if config.combination == Combination::Global => {
                Teaching::Lessons(if fit == Fit::Uniform { Book::Uniform } else { Book::Training })
            }
            Fit::Lesson | Fit::HeldOut | Fit::Uniform => {
                let book = match fit {
                    Fit::HeldOut => Book::HeldOut,
                    Fit::Uniform => Book::Uniform,
                    _ => Book::Training,
                };
                Teaching::LessonsInStages { book, bound: bound.unwrap_or(DEFAULT_BOUND) }
            }
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}
