//! Checks of a job: what cannot be trained is refused before anything is written.

use std::path::Path;
use std::sync::Arc;

use super::job::Job;
use super::selection::check_lists;
use super::start::start_items;
use crate::data::Part;
use crate::error::{Place, RecError, Result};
use crate::eval::{Candidates, LabeledProtocol};
use crate::models::graph::lightgcn::Fit;
use crate::{debias, models, train};

impl Job {
    /// Refuses what cannot be run, before anything is written or a large table is allocated.
    ///
    /// # Errors
    /// [`RecError::Input`] without training pairs: nothing can be learned; [`RecError::Resources`]
    /// when the model does not fit into memory, [`RecError::Kernel`] when the device cannot do it
    /// or has no room for it.
    pub fn check(&self) -> Result<()> {
        if self.split.train.is_empty() {
            return Err(RecError::input(Place::file(Path::new("training part")), "0 pairs", "at least 1")
                .with_todo("lower data.min_rating, or raise the first of data.ratios"));
        }
        self.check_times()?;
        self.check_candidates()?;
        self.check_recency()?;
        self.check_debias()?;
        self.check_negatives()?;
        self.check_finetuning()?;
        self.check_steps()?;
        start_items(self)?;
        self.check_selection()?;
        self.model.check_device(&self.device)?;
        let size = models::TrainingSize {
            n_users: self.split.n_users(),
            n_items: self.split.n_items(),
            // Training again on both parts makes a larger graph.
            n_pairs: self.split.train.len() + if self.train.refit { self.split.valid.len() } else { 0 },
            batch_size: self.train.batch_size,
            n_meta: if self.debias.looks_ahead() { self.split.uniform.len() } else { 0 },
            loss: &self.objective,
        };
        self.model.memory(&size)?.check(&self.device)
    }

    /// Refuses times that are there and could not be read, for a model that reads an order: that of
    /// the file is another one.
    fn check_times(&self) -> Result<()> {
        if !self.model.reads_order() {
            return Ok(());
        }
        let why = format!("{} reads an order", self.model.name());
        self.split.files.first().and_then(|facts| facts.refuse_times(&why)).map_or(Ok(()), Err)
    }

    /// Refuses a metric that could not pick an epoch: one of labels where there are none, and one
    /// that is not defined for the labels of the validation part.
    fn check_selection(&self) -> Result<()> {
        let metric = &self.train.metric;
        if !self.split.labelled {
            return check_lists(metric);
        }
        let labels = &self.split.valid.ratings;
        if labels.is_empty() || self.model.is_closed_form() {
            return Ok(());
        }
        let protocol = LabeledProtocol::parse(&[metric])?;
        let Some((_, found)) = protocol.undefined(labels).into_iter().next() else { return Ok(()) };
        let expected = format!("rows for which train.metric = \"{metric}\" is defined: positive and negative ones");
        Err(RecError::input(Place::file(Path::new("validation part")), found, expected).with_todo(
            "set train.metric = \"nll\", which is defined for rows of one kind, or validate on rows of both \
             (data.valid, data.uniform_ratios, data.min_rating, another seed)",
        ))
    }

    /// Refuses a loss of drawn negatives where there is none of anybody.
    fn check_negatives(&self) -> Result<()> {
        let n_left_out = self.users_without_negatives()?;
        if n_left_out == 0 || n_left_out < self.train_pairs()?.user_counts().iter().filter(|&&n| n > 0).count() {
            return Ok(());
        }
        Err(RecError::input(
            Place::file(Path::new("training part")),
            "no item that some user does not have",
            format!("at least one: the loss {} holds pairs against items that are drawn", self.objective.name()),
        )
        .with_todo("train another model, such as popularity, or add items"))
    }

    /// Refuses a half-life where it would have no effect.
    fn check_recency(&self) -> Result<()> {
        if self.split.half_life.is_none() {
            return Ok(());
        }
        let refuse = |problem: String, todo: &str| Err(RecError::usage(problem, todo));
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
        let (own, usual) = (&self.train, train::Config::default());
        let changed = [
            ("train.optimizer", own.optimizer != usual.optimizer),
            ("train.reduction", own.reduction != usual.reduction),
            ("train.sampling", own.sampling != usual.sampling),
        ];
        match changed.iter().find(|(_, changed)| *changed) {
            Some((key, _)) if self.model.is_sequential() => Err(RecError::usage(
                format!("{key} does not fit the model {}", self.model.name()),
                "it fits lightgcn and mf; remove the key",
            )),
            _ => Ok(()),
        }
    }

    /// Refuses to fine-tune what cannot be, before the training that it would follow.
    fn check_finetuning(&self) -> Result<()> {
        if self.train.finetune_epochs == 0 {
            return Ok(());
        }
        if !self.model.can_be_finetuned() {
            return Err(RecError::usage(
                format!("train.finetune_epochs does not fit the model {}", self.model.name()),
                "it fits models that read sequences, such as gru4rec and sasrec; remove the key",
            ));
        }
        let newest = self.split.histories_in(&self.newest_rows(&[Part::Train])?);
        if newest.iter().all(|history| history.len() < 2) {
            return Err(RecError::range(
                "train.finetune_recent_fraction",
                self.train.finetune_recent_fraction.to_string(),
                "a share of the rows in which some history has two items",
            )
            .with_todo("raise it, or remove train.finetune_epochs"));
        }
        Ok(())
    }

    /// Refuses a method of debiasing that does not fit the rest.
    fn check_debias(&self) -> Result<()> {
        let refuse = |problem: String, todo: &str| Err(RecError::usage(problem, todo));
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
        if self.debias.looks_ahead() && config.storage != models::graph::lightgcn::Storage::F32 {
            let problem = format!("the debiasing method {name} looks ahead on layers in 32 bits");
            return refuse(problem, "remove model.lightgcn.storage");
        }
        let blocks = self.train.sampling == train::config::Sampling::Block;
        if blocks && !self.objective.is_of_labels() {
            let problem = format!("train.sampling = \"block\" does not fit the loss {}", self.objective.name());
            return refuse(problem, "it fits losses of labels: mse and logistic");
        }
        if self.debias.needs_blocks() && !blocks {
            let problem = format!("the debiasing method {name} runs over all pairs of users and items, block by block");
            return refuse(problem, "set train.sampling = \"block\"");
        }
        // What preparing refuses should be refused before a folder is made.
        let (pairs, reduction) = (Arc::new(self.train_pairs()?), self.train.reduction);
        let (split, objective, seed) = (&*self.split, &self.objective, self.seed);
        let dim = config.dim + if config.biases { 2 } else { 0 };
        let training = debias::Training { split, pairs, objective, reduction, dim, biases: config.biases, seed };
        debias::check(&self.debias, &training)?;
        if !config.combination.is_learned() || config.attention.fit != Fit::Uniform {
            return Ok(());
        }
        if self.objective.cosine() {
            let problem = format!("attention.fit = \"uniform\" does not fit the loss {}", self.objective.name());
            return refuse(problem, "it fits losses on inner products, such as bpr, mse and logistic");
        }
        debias::uniform_batch(&self.objective, &self.split).map(drop)
    }

    /// Refuses candidates of a file where there is none.
    pub(super) fn check_candidates(&self) -> Result<()> {
        if self.eval.candidates != Candidates::Given || !self.split.candidates.is_empty() {
            return Ok(());
        }
        Err(RecError::missing(
            "file",
            "of candidates",
            "add data.candidates (--candidates-file), or set eval.candidates = \"all\"",
        ))
    }
}
