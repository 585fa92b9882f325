//! Who teaches the layer weights, and on what (`attention.fit`).
//!
//! A loss on cosines cannot gain by making one layer long, so its weights learn on the training loss. A loss on inner products can: learned on the
//! training loss, the weights collapse onto layer 0 (SPEC M.1). There, the weights learn from a lesson after every step: a softmax over all items on
//! cosines, which moves them and nothing else. The per-node kinds take their lessons in two stages: first one global weight per layer; then the
//! embeddings start again with these weights as a fixed prior, from which each node may lean away by a bounded amount. With `held_out` the first stage
//! takes its lessons on pairs that the embeddings never see (SPEC B.3). With `uniform` every lesson is taken on the labelled rows of the uniform log:
//! embeddings learn from the biased log, what is made of them from the unbiased one.

use std::sync::Arc;

use gcnrec_graphs::Interactions;

use super::job::Job;
use super::observer::Stage;
use crate::data;
use crate::debias;
use crate::error::Result;
use crate::models::graph::Teacher;
use crate::models::graph::lightgcn::{Combination, Config, Fit};

/// How far a node's logits may lean away from the fitted global ones.
const DEFAULT_BOUND: f32 = 0.2;

/// How the layer weights are learned, resolved.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Teaching {
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
pub(super) enum Book {
    Training,
    /// Pairs that the embeddings never see, in the first of two stages.
    HeldOut,
    /// The uniform log.
    Uniform,
}

/// A stage's model, what its embeddings learn from, and who teaches its layer weights.
pub(super) struct Assignment {
    pub(super) config: Config,
    pub(super) pairs: Arc<Interactions>,
    pub(super) teacher: Teacher,
    /// How far a node's logits may lean away from the prior; 0 is no limit.
    pub(super) bound: f32,
}

impl Teaching {
    /// What a job asks for.
    pub(super) fn of(job: &Job) -> Self {
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

    /// True when the global weights are learned first, in a stage of their own.
    pub(super) fn in_stages(self) -> bool {
        matches!(self, Teaching::LessonsInStages { .. })
    }

    /// Who teaches in a stage whose learner learns from `pairs`.
    pub(super) fn assign(
        self,
        job: &Job,
        stage: Stage,
        config: Config,
        pairs: Arc<Interactions>,
    ) -> Result<Assignment> {
        let mut assigned = Assignment { config, pairs, teacher: Teacher::Nobody, bound: 0.0 };
        match (self, stage) {
            (Teaching::NoWeights, _) => {}
            (Teaching::OnTraining { bound }, _) => (assigned.teacher, assigned.bound) = (Teacher::Training, bound),
            (Teaching::Lessons(book), _) => assigned.teacher = book.lesson(job, &assigned.pairs, false)?,
            (Teaching::LessonsInStages { book, .. }, Stage::Layers) => {
                assigned.config.combination = Combination::Global;
                let mut lesson_pairs = assigned.pairs.clone();
                if book == Book::HeldOut {
                    // Index 0 carves the validation part, index 1 this one: they never share draws.
                    let fraction = assigned.config.attention.held_out_fraction;
                    let (kept, carved) = data::carve(&job.split.train, fraction, job.seed, 1);
                    let (n_users, n_items) = (job.split.n_users(), job.split.n_items());
                    assigned.pairs = Arc::new(kept.interactions(n_users, n_items)?);
                    lesson_pairs = Arc::new(carved.interactions(n_users, n_items)?);
                }
                assigned.teacher = book.lesson(job, &lesson_pairs, false)?;
            }
            (Teaching::LessonsInStages { book, bound }, _) => {
                assigned.bound = bound;
                if assigned.config.combination != Combination::Global {
                    assigned.teacher = book.lesson(job, &assigned.pairs, true)?;
                }
            }
        }
        Ok(assigned)
    }
}

impl Book {
    fn lesson(self, job: &Job, pairs: &Arc<Interactions>, fixed_prior: bool) -> Result<Teacher> {
        if self != Book::Uniform {
            return Ok(Teacher::Lesson { pairs: pairs.clone(), fixed_prior });
        }
        let (loss, batch) = debias::lesson(&job.objective, &job.split)?;
        Ok(Teacher::Judged { loss, batch, fixed_prior })
    }
}
