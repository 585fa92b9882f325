//! What to train: data, model, loss and settings, resolved and ready.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use gcnrec_graphs::{Interactions, Seed, UserId};
use gcnrec_kernels::Device;

use super::judge::{Judge, OF_LABELS, check_lists};
use crate::data::{Log, Part, Split};
use crate::error::{Place, RecError, Result};
use crate::eval::metrics::{ValueMetric, value_named};
use crate::eval::{self, Candidates, Evaluator, HeldOut, ItemCounts, LabeledRows, MetricAt, Protocol, SelectedOn};
use crate::models::graph::config::{Combination, Fit};
use crate::samplers::{NegativeSampler, draw_candidates};
use crate::{debias, models, objectives, train};

/// Everything a run depends on. The same job gives the same bits.
#[derive(Debug, Clone)]
pub struct Job {
    /// Data in parts.
    pub split: Arc<Split>,
    /// The model.
    pub model: models::Config,
    /// The loss; closed-form models ignore it.
    pub objective: objectives::Config,
    /// How examples are weighed; closed-form models know none.
    pub debias: debias::Config,
    /// Epochs, batches, early stopping.
    pub train: train::Config,
    /// Metrics and masks.
    pub eval: eval::Config,
    /// The seed.
    pub seed: Seed,
    /// Where to compute.
    pub device: Device,
    /// The resolved run file, kept in every checkpoint.
    pub config_toml: String,
}

impl Job {
    /// Refuses what cannot be run, before anything is written or a large table is allocated.
    ///
    /// # Errors
    /// [`RecError::Input`] without training pairs: nothing can be learned; [`RecError::Resources`] when the model does not fit into memory,
    /// [`RecError::Kernel`] when the device cannot do it or has no room for it.
    pub fn check(&self) -> Result<()> {
        if self.split.train.is_empty() {
            return Err(RecError::Input {
                place: Place::file(Path::new("training part")),
                found: "0 pairs".into(),
                expected: "at least 1".into(),
                todo: "lower data.min_rating, or raise the first of data.ratios".into(),
            });
        }
        self.check_candidates()?;
        self.check_recency()?;
        self.check_debias()?;
        self.check_finetuning()?;
        self.check_steps()?;
        super::start::start_items(self)?;
        if !self.split.labelled {
            check_lists(&self.train.metric)?;
        }
        models::check_device(&self.model, &self.device)?;
        let size = models::TrainingSize {
            n_users: self.split.n_users(),
            n_items: self.split.n_items(),
            // Training again on both parts makes a larger graph.
            n_pairs: self.split.train.len() + if self.train.refit { self.split.valid.len() } else { 0 },
            batch_size: self.train.batch_size,
            n_judges: if self.debias.looks_ahead() { self.split.uniform.len() } else { 0 },
        };
        models::check_room(&self.model, &self.objective, size, &self.device)?;
        models::check_memory(&self.model, self.split.n_users(), self.split.n_items(), self.train.batch_size)
    }

    /// The training pairs.
    ///
    /// # Errors
    /// [`RecError::Graph`] when the split holds ids out of range.
    pub fn train_pairs(&self) -> Result<Interactions> {
        self.split.train_interactions()
    }

    /// Refuses a half-life where it would have no effect.
    fn check_recency(&self) -> Result<()> {
        if self.split.half_life.is_none() {
            return Ok(());
        }
        let refuse = |problem: String, todo: &str| Err(RecError::Usage { problem, todo: todo.into() });
        if !self.model.weighs_pairs() {
            let problem = format!("data.half_life_days does not fit the model {}", self.model.name());
            return refuse(
                problem,
                "its pairs cannot count more or less; use data.recent_days or data.recent_fraction",
            );
        }
        if !self.debias.is_none() {
            let name = self.debias.name();
            let problem = format!("data.half_life_days and the debiasing method {name} both weigh the training pairs");
            return refuse(problem, "give one of the two");
        }
        Ok(())
    }

    /// Refuses choices of the graph models that sequential models would not ask for.
    fn check_steps(&self) -> Result<()> {
        let (own, usual) = (&self.train, super::Config::default());
        let changed = [
            ("train.optimizer", own.optimizer != usual.optimizer),
            ("train.reduction", own.reduction != usual.reduction),
            ("train.sampling", own.sampling != usual.sampling),
        ];
        match changed.iter().find(|(_, changed)| *changed) {
            Some((key, _)) if self.model.is_sequential() => Err(RecError::Usage {
                problem: format!("{key} does not fit the model {}", self.model.name()),
                todo: "it fits lightgcn and mf; remove the key".into(),
            }),
            _ => Ok(()),
        }
    }

    /// The rows that fine-tuning learns from.
    pub(super) fn newest_rows(&self, parts: &[Part]) -> Result<Log> {
        self.split.newest(parts, self.train.finetune_recent_fraction, "train.finetune_recent_fraction")
    }

    /// Refuses to fine-tune what cannot be, before the training that it would follow.
    fn check_finetuning(&self) -> Result<()> {
        if self.train.finetune_epochs == 0 {
            return Ok(());
        }
        if !self.model.can_be_finetuned() {
            return Err(RecError::Usage {
                problem: format!("train.finetune_epochs does not fit the model {}", self.model.name()),
                todo: "it fits models that read sequences, such as gru4rec and sasrec; remove the key".into(),
            });
        }
        let newest = self.split.histories_in(&self.newest_rows(&[Part::Train])?);
        if newest.iter().all(|history| history.len() < 2) {
            return Err(RecError::Config {
                key: "train.finetune_recent_fraction".into(),
                origin: String::new(),
                found: self.train.finetune_recent_fraction.to_string(),
                expected: "a share of the rows in which some history has two items".into(),
                todo: "raise it, or remove train.finetune_epochs".into(),
            });
        }
        Ok(())
    }

    /// Refuses a method of debiasing that does not fit the rest.
    fn check_debias(&self) -> Result<()> {
        let refuse = |problem: String, todo: &str| Err(RecError::Usage { problem, todo: todo.into() });
        let name = self.debias.name();
        let Some(config) = self.model.graph() else {
            if self.split.explicit {
                let problem = format!("data.feedback = \"explicit\" does not fit the model {}", self.model.name());
                return refuse(problem, "it would take disliked rows for liked ones; use implicit feedback");
            }
            if self.debias.is_none() {
                return Ok(());
            }
            let problem = format!("the debiasing method {name} does not fit the model {}", self.model.name());
            return refuse(problem, "it fits the graph models, lightgcn and mf");
        };
        self.debias.check_device(&self.device)?;
        if self.train.refit && self.split.labelled {
            let problem = "train.refit would train on the labelled validation rows of uniform exposure".to_string();
            return refuse(problem, "remove --refit");
        }
        if self.debias.looks_ahead() && config.storage != models::graph::config::Storage::F32 {
            let problem = format!("the debiasing method {name} looks ahead on layers in 32 bits");
            return refuse(problem, "remove model.lightgcn.storage");
        }
        let blocks = self.train.sampling == train::config::Sampling::Block;
        let of_labels = matches!(self.objective, objectives::Config::Mse(_) | objectives::Config::Logistic(_));
        if blocks && !of_labels {
            let problem = format!("train.sampling = \"block\" does not fit the loss {}", self.objective.name());
            return refuse(problem, "it fits losses of labels: mse and logistic");
        }
        if self.debias.needs_blocks() && !blocks {
            let problem = format!("the debiasing method {name} runs over all pairs of users and items, block by block");
            return refuse(problem, "set train.sampling = \"block\"");
        }
        // Preparing is cheap, and what it refuses should be refused before a folder is made.
        let (pairs, reduction) = (Arc::new(self.train_pairs()?), self.train.reduction);
        let (split, objective, seed) = (&*self.split, &self.objective, self.seed);
        let dim = config.dim + if config.biases { 2 } else { 0 };
        let training = debias::Training { split, pairs, objective, reduction, dim, biases: config.biases, seed };
        debias::prepare(&self.debias, &training)?;
        if config.combination == Combination::Uniform || config.attention.fit != Fit::Uniform {
            return Ok(());
        }
        if self.objective.cosine() {
            let problem = format!("attention.fit = \"uniform\" does not fit the loss {}", self.objective.name());
            return refuse(problem, "it fits losses on inner products, such as bpr, mse and logistic");
        }
        debias::lesson(&self.objective, &self.split).map(drop)
    }

    /// Users of whom only a context is known, rising. At least one item of it was trained on: of other users no model knows anything, whoever they are.
    fn strangers(&self) -> Vec<UserId> {
        let mut is_stranger = vec![false; self.split.n_users()];
        let mut is_trained = vec![false; self.split.n_items()];
        self.split.train.items.iter().for_each(|&item| is_trained[item as usize] = true);
        let context = &self.split.context;
        for (&user, &item) in context.users.iter().zip(&context.items) {
            is_stranger[user as usize] |= is_trained[item as usize];
        }
        for log in [&self.split.train, &self.split.valid] {
            log.users.iter().for_each(|&user| is_stranger[user as usize] = false);
        }
        (0..).map(UserId).zip(is_stranger).filter(|(_, is_stranger)| *is_stranger).map(|(user, _)| user).collect()
    }

    /// True when what is served learns from the validation pairs as well. Labelled rows were shown, not chosen: they are no pairs to learn from.
    pub fn learns_from_valid(&self) -> bool {
        (self.train.refit || self.model.is_closed_form()) && !self.split.labelled
    }

    /// How the numbers of a held-out part come about; `selected` where a validation part picked the epoch.
    pub fn protocol(&self, part: Part, selected: bool, n_eval_users: usize) -> Protocol {
        let candidates = match self.eval.candidates {
            _ if self.split.labelled => Candidates::Labeled,
            // A file of candidates is about what is tested.
            Candidates::Given if part == Part::Valid => Candidates::All,
            candidates => candidates,
        };
        let selected_on = match selected {
            true if self.split.labelled => SelectedOn::Uniform,
            true => SelectedOn::Valid,
            false => SelectedOn::None,
        };
        let (exclude_seen, refit) = (self.eval.exclude_seen, selected && self.train.refit);
        Protocol { candidates, exclude_seen, selected_on, refit, n_eval_users }
    }

    /// Refuses candidates of a file where there is none.
    fn check_candidates(&self) -> Result<()> {
        if self.eval.candidates != Candidates::Given || !self.split.candidates.is_empty() {
            return Ok(());
        }
        Err(RecError::Missing {
            what: "file",
            name: "of candidates".into(),
            todo: "add data.candidates (--candidates-file), or set eval.candidates = \"all\"".into(),
        })
    }

    /// Judges a held-out part while the pairs of others are masked; `None` when the part is empty.
    ///
    /// # Errors
    /// [`RecError::Unknown`] for an unknown metric.
    pub fn evaluator(&self, part: Part, seen: &[Part]) -> Result<Option<Judge>> {
        let log = self.split.part(part);
        if log.is_empty() {
            return Ok(None);
        }
        let mut metrics = self.eval.metrics_at()?;
        let selected = &self.train.metric;
        if value_named(selected).is_none() {
            let selected: MetricAt = selected.parse()?;
            if !metrics.contains(&selected) {
                metrics.push(selected);
            }
        }
        if self.split.labelled {
            let mut values: Vec<&'static dyn ValueMetric> = Vec::new();
            for name in OF_LABELS.into_iter().chain([selected.as_str()]) {
                values.extend(value_named(name).filter(|new| values.iter().all(|known| known.name() != new.name())));
            }
            let mut liking: Vec<u32> =
                log.users.iter().zip(&log.ratings).filter(|(_, label)| **label > 0.0).map(|(&user, _)| user).collect();
            liking.sort_unstable();
            liking.dedup();
            let histories = self.split.histories(&[Part::Train]);
            let rows = LabeledRows::new(&log.users, &log.items, &log.ratings, histories, self.split.n_items())?;
            return Ok(Some(Judge::Rows { rows, values, lists: metrics, n_users: liking.len() }));
        }
        let relevant = if self.split.explicit && !log.ratings.is_empty() {
            // A list should find what was liked.
            let liked: Vec<u32> =
                (0..).zip(&log.ratings).filter(|(_, label)| **label > 0.0).map(|(row, _)| row).collect();
            log.select(&liked).interactions(self.split.n_users(), self.split.n_items())?
        } else {
            self.split.interactions(part)?
        };
        // What is known of a user counts as history whether or not it was learnt from.
        let seen = &[&[Part::Context], seen].concat()[..];
        let masked = self.split.joint_interactions(if self.eval.exclude_seen { seen } else { &[] })?;
        let mut held_out =
            HeldOut::new(&relevant, &masked, &self.split.histories(seen))?.with_strangers(self.strangers());
        if let Some(candidates) = self.candidates(part, &relevant)? {
            held_out = held_out.with_candidates(candidates)?;
        }
        let learnt: &[Part] =
            if part == Part::Test && self.learns_from_valid() { &[Part::Train, Part::Valid] } else { &[Part::Train] };
        let counts = ItemCounts::new(self.split.joint_interactions(learnt)?.item_counts(), self.eval.tail_ratio);
        Ok(Some(Judge::Lists(Evaluator::new(held_out, &metrics)?.with_counts(counts))))
    }

    /// What is ranked beside the held-out items where that is not everything. Draws avoid all that the user has in the parts up to this one; where seen
    /// items may return, only what is held out. Popularity is counted over all parts, as in RecBole.
    fn candidates(&self, part: Part, relevant: &Interactions) -> Result<Option<Vec<Vec<u32>>>> {
        self.check_candidates()?;
        let all = [Part::Train, Part::Valid, Part::Test];
        let (sampler, n_draws) = match self.eval.candidates {
            Candidates::All | Candidates::Labeled => return Ok(None),
            Candidates::Given if part == Part::Valid => return Ok(None),
            Candidates::Given => {
                let users = (0..self.split.n_users()).filter(|&u| !relevant.items_of(UserId(u as u32)).is_empty());
                return Ok(Some(users.map(|user| self.split.candidates[user].clone()).collect()));
            }
            Candidates::Uniform(n) => (NegativeSampler::uniform(self.split.n_items()), n),
            Candidates::Popularity(n) => (NegativeSampler::popularity(&self.split.joint_interactions(&all)?, 1.0), n),
        };
        let up_to_now = if part == Part::Valid { &all[..2] } else { &all[..] };
        let only_this = [part];
        let known = self.split.joint_interactions(if self.eval.exclude_seen { up_to_now } else { &only_this })?;
        // Validation and test draw from different streams, however alike their users.
        let seed = Seed(self.seed.0 ^ if part == Part::Valid { 1 << 63 } else { 0 });
        Ok(Some(draw_candidates(relevant, &known, &sampler, n_draws as usize, seed)))
    }
}

/// Asks a run to stop after its next checkpoint. Cheap to clone; every clone is the same switch.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicU8>);

impl Stop {
    /// Asks for a stop; the run ends with [`RecError::Interrupted`] and this exit code (130 for Ctrl-C, 143 for a termination request).
    pub fn ask(&self, code: u8) {
        self.0.store(code, Ordering::Relaxed);
    }

    /// The exit code asked for, if any.
    pub fn asked(&self) -> Option<u8> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            code => Some(code),
        }
    }
}
