//! Ranks all items for every held-out user and averages the metrics.

use gcnrec_kernels::KernelError;
use gcnrec_kernels::ops::top_k::TopK;
use rayon::prelude::*;

use super::held_out::{HeldOut, HeldOutUser};
use super::metrics::MetricAt;
use super::values::{Metrics, PerUser};
use crate::error::{RecError, Result};
use crate::models::{Query, Scorer};

/// Users per call of [`Scorer::top_k`]: enough to fill the cores, few enough that a block of scores over 100,000 items stays near 100 MB.
const BLOCK: usize = 256;

/// Users per parallel task of the metrics: a user costs about a microsecond.
const USERS_PER_TASK: usize = 64;

/// Judges scorers on one held-out part.
///
/// Blocks of users are scored one after the other (a scorer is parallel inside), the metrics of a block's users in parallel, and the sums run in
/// f64 in the order of the users: the result does not depend on the number of threads.
#[derive(Debug, Clone)]
pub struct Evaluator {
    held_out: HeldOut,
    metrics: Vec<MetricAt>,
    max_k: usize,
}

impl Evaluator {
    /// An evaluator of the given metrics; one that is named twice is reported once.
    ///
    /// # Errors
    /// [`RecError::Config`] when there is no metric or a cut-off is 0, [`RecError::Missing`] when nobody has a held-out item.
    pub fn new(held_out: HeldOut, metrics: &[MetricAt]) -> Result<Self> {
        let mut distinct: Vec<MetricAt> = Vec::with_capacity(metrics.len());
        for &at in metrics {
            if at.k == 0 {
                return Err(RecError::range("eval.k", at.k, "a whole number above 0"));
            }
            if !distinct.contains(&at) {
                distinct.push(at);
            }
        }
        let Some(max_k) = distinct.iter().map(|at| at.k).max() else {
            return Err(RecError::range("eval.metrics", "an empty list", "one or more names of metrics"));
        };
        if held_out.is_empty() {
            return Err(RecError::Missing {
                what: "held-out pair",
                name: "of any user".into(),
                todo: "give a part to evaluate on that holds at least one pair".into(),
            });
        }
        Ok(Evaluator { held_out, metrics: distinct, max_k })
    }

    /// Number of users that the means are over.
    pub fn n_eval_users(&self) -> usize {
        self.held_out.len()
    }

    /// Who is asked, and what would have been right.
    pub fn held_out(&self) -> &HeldOut {
        &self.held_out
    }

    /// The metrics, in the order of the results.
    pub fn metrics(&self) -> &[MetricAt] {
        &self.metrics
    }

    /// The mean of every metric over the held-out users.
    ///
    /// # Errors
    /// [`RecError::NotFinite`] when a score is NaN or infinite, [`KernelError::Shape`] when the scorer knows another number of items, and what the
    /// scorer refuses.
    pub fn evaluate(&self, scorer: &dyn Scorer) -> Result<Metrics> {
        let mut sums = vec![0.0; self.metrics.len()];
        self.each_user(scorer, |row| sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value))?;
        let n = self.held_out.len() as f64;
        Ok(self.metrics.iter().zip(sums).map(|(at, sum)| (at.to_string(), sum / n)).collect())
    }

    /// The value of every metric for each held-out user. Their means, summed in order, are what [`Evaluator::evaluate`] gives.
    ///
    /// # Errors
    /// As [`Evaluator::evaluate`].
    pub fn evaluate_per_user(&self, scorer: &dyn Scorer) -> Result<PerUser> {
        let mut values = Vec::with_capacity(self.held_out.len() * self.metrics.len());
        self.each_user(scorer, |row| values.extend_from_slice(row))?;
        let users = self.held_out.users().iter().map(|user| user.id).collect();
        Ok(PerUser { users, metrics: self.metrics.clone(), values })
    }

    /// Hands every user's values over, in the order of the users.
    fn each_user(&self, scorer: &dyn Scorer, mut take: impl FnMut(&[f64])) -> Result<()> {
        let (found, expected) = (scorer.n_items(), self.held_out.n_items());
        if found != expected {
            return Err(KernelError::Shape { op: "evaluate", argument: "scorer (items)", found, expected }.into());
        }
        let width = self.metrics.len();
        let mut values = Vec::new();
        for block in self.held_out.users().chunks(BLOCK) {
            let queries: Vec<Query<'_>> =
                block.iter().map(|user| Query { user: Some(user.id), history: &user.history }).collect();
            let excluded: Vec<&[u32]> = block.iter().map(|user| user.excluded.as_slice()).collect();
            let top = scorer.top_k(&queries, &excluded, self.max_k)?;
            values.clear();
            values.resize(block.len() * width, 0.0);
            values
                .par_chunks_exact_mut(width)
                .zip(block)
                .enumerate()
                .with_min_len(USERS_PER_TASK)
                .try_for_each(|(row, (values, user))| self.judge(&top, row, user, values))?;
            values.chunks_exact(width).for_each(&mut take);
        }
        Ok(())
    }

    /// One user's values from row `row` of the ranked lists.
    fn judge(&self, top: &TopK, row: usize, user: &HeldOutUser, values: &mut [f64]) -> Result<()> {
        let start = row * top.k;
        let ranked = start..start + top.len[row] as usize;
        // Minus infinity is a legal "never"; NaN has no rank, and plus infinity means that the model has overflowed.
        if let Some(score) = top.scores[ranked.clone()].iter().find(|s| s.is_nan() || **s == f32::INFINITY) {
            return Err(RecError::NotFinite {
                what: "score",
                value: f64::from(*score),
                place: format!("user {} (dense id)", user.id.0),
                todo: "the model has diverged; lower learning_rate".into(),
            });
        }
        let hits: Vec<bool> = top.items[ranked].iter().map(|item| user.relevant.binary_search(item).is_ok()).collect();
        for (value, at) in values.iter_mut().zip(&self.metrics) {
            *value = at.metric.user_value(&hits[..hits.len().min(at.k)], user.relevant.len(), at.k);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
