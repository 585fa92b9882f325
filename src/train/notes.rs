//! Notes on a job: what it does other than its user may mean, one sentence each.

use std::sync::Arc;

use gcnrec_graphs::{Interactions, UserId};

use super::job::Job;
use super::start::start_items;
use crate::data::Clock;
use crate::error::Result;
use crate::models::cold::Cold;

impl Job {
    /// What reading the data did, and what the model makes of them, other than a user may mean.
    ///
    /// # Errors
    /// As [`Job::train_pairs`].
    pub(crate) fn notes(&self) -> Result<Vec<String>> {
        let split = &self.split;
        let mut notes = split.notes.clone();
        let model = self.model.name();
        if self.model.reads_order() && split.held_out_at_random {
            notes.push(format!(
                "held-out rows were drawn at random, and {model} reads an order: it learns from rows that are newer \
                 than those that judge it; use data.split = \"leave_one_out\" or \"time\", and data.valid_rows = \"last\""
            ));
        }
        if self.model.reads_order() && split.clock == Clock::None {
            notes.push(format!("the data have no times: {model} takes the order of the rows for that of time"));
        }
        let n_left_out = self.users_without_negatives()?;
        if n_left_out > 0 {
            notes.push(format!(
                "{n_left_out} users have every item that can be drawn as a negative: their pairs are left out of training"
            ));
        }
        Ok(notes)
    }

    /// Users whom the loss leaves out, because no negative of them can be drawn.
    pub(super) fn users_without_negatives(&self) -> Result<usize> {
        let Some(negatives) = self.model.graph().and_then(|_| self.objective.negatives()) else { return Ok(0) };
        if self.train.sampling == super::config::Sampling::Block {
            return Ok(0);
        }
        let train = self.train_pairs()?;
        let finds_none = negatives.0.sampler(&train, negatives.1).finds_none(&train);
        let has_items = |(user, finds_none): &(u32, bool)| *finds_none && !train.items_of(UserId(*user)).is_empty();
        Ok((0..).zip(finds_none).filter(has_items).count())
    }

    /// Who has no row that the model learns from: neither one of `pairs`, nor one that was shown at
    /// random, nor a vector of another run to start from.
    pub(super) fn cold(&self, pairs: &Interactions) -> Result<Arc<Cold>> {
        let shown = self.split.uniform.pairs().map(|(user, item)| (Some(user), item));
        let started = start_items(self)?.map(|start| start.items).unwrap_or_default();
        Ok(Cold::of(pairs, shown.chain(started.into_iter().map(|item| (None, item)))))
    }
}
