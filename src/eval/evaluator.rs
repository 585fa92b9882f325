//! The evaluator: ranks the candidates of every held-out user and reduces the metrics.

use std::collections::BTreeMap;
use std::time::Instant;

use gcnrec_kernels::KernelError;
use gcnrec_kernels::ops::top_k::TopK;
use rayon::prelude::*;

use super::held_out::{HeldOut, HeldOutUser};
use super::metrics::{ItemCounts, Metric, MetricAt, RanksMetric};
use super::values::{Metrics, PerUser};
use crate::error::{RecError, Result};
use crate::models::{Query, Scorer};

mod judge;
#[cfg(test)]
mod tests;

use judge::{check_scores, judge_ranks, list, nobody_counts};

/// Users per call of [`Scorer::top_k`]: enough to fill the cores, few enough that a block of scores
/// over 100,000 items stays near 100 MB.
const BLOCK: usize = 256;

/// Users per parallel task of the metrics: a user costs about a microsecond.
const USERS_PER_TASK: usize = 64;

/// Judges scorers on one held-out part.
///
/// Blocks of users are scored one after the other (a scorer is parallel inside), the metrics of a
/// block's users in parallel, and the sums run in f64 in the order of the users: the result does
/// not depend on the number of threads.
///
/// ```
/// use gcnrec::ndarray::Array2;
/// use gcnrec::{Evaluator, HeldOut, Interactions, ItemId, Query, Scorer, State, UserId};
///
/// /// Prefers the first of three items, whoever asks.
/// struct FirstItems;
///
/// impl Scorer for FirstItems {
///     fn model(&self) -> &'static str {
///         "first_items"
///     }
///     fn n_items(&self) -> usize {
///         3
///     }
///     fn scores(&self, queries: &[Query<'_>]) -> gcnrec::Result<Array2<f32>> {
///         Ok(Array2::from_shape_fn((queries.len(), 3), |(_, item)| 3.0 - item as f32))
///     }
///     fn state(&self) -> State {
///         State::default()
///     }
/// }
///
/// # fn main() -> gcnrec::Result<()> {
/// // User 0 has item 0 and will want item 1; user 1 has nothing and will want item 2.
/// let seen = Interactions::from_pairs(2, 3, [(UserId(0), ItemId(0))])?;
/// let wanted = Interactions::from_pairs(2, 3, [(UserId(0), ItemId(1)), (UserId(1), ItemId(2))])?;
/// let held_out = HeldOut::new(&wanted, &seen, &[vec![ItemId(0)], vec![]])?;
/// let evaluator = Evaluator::new(held_out, &["recall@1".parse()?])?;
/// // Lists of one: item 1 for user 0, who has item 0 already, and item 0 for user 1.
/// assert_eq!(evaluator.evaluate(&FirstItems)?.get("recall@1"), Some(0.5));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Evaluator {
    held_out: HeldOut,
    metrics: Vec<MetricAt>,
    /// Those of `metrics` that are plain means over users.
    user_metrics: Vec<MetricAt>,
    counts: Option<ItemCounts>,
    max_k: usize,
}

/// What is gathered over all users, beside each user's own values.
#[derive(Default)]
struct Totals {
    /// By cut-off: in how many lists each item stands.
    shown: BTreeMap<usize, Vec<u32>>,
    /// By name: the sum of weights times values, and of weights.
    ranks: BTreeMap<&'static str, (f64, f64)>,
}

impl Evaluator {
    /// An evaluator of the given metrics; one that is named twice is reported once.
    ///
    /// # Errors
    /// [`RecError::Config`] when there is no metric or a cut-off is 0, [`RecError::Missing`] when
    /// nobody has a held-out item.
    pub fn new(held_out: HeldOut, metrics: &[MetricAt]) -> Result<Self> {
        let mut distinct: Vec<MetricAt> = Vec::with_capacity(metrics.len());
        for &at in metrics {
            if at.k == 0 && at.metric.has_cut_off() {
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
            return Err(RecError::missing(
                "held-out pair",
                "of any user",
                "give a part to evaluate on that holds at least one pair",
            ));
        }
        let user_metrics = distinct.iter().copied().filter(|at| at.metric.is_mean_over_users()).collect();
        Ok(Evaluator { held_out, metrics: distinct, user_metrics, counts: None, max_k })
    }

    /// Gives the training counts of the items, which metrics of popularity read.
    pub fn with_counts(mut self, counts: ItemCounts) -> Self {
        self.counts = Some(counts);
        self
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

    /// The value of every metric: means over the held-out users, and what is read off all their
    /// lists together.
    ///
    /// # Errors
    /// [`RecError::NotFinite`] when a score is NaN or infinite, [`KernelError::Shape`] when the
    /// scorer or the item counts know another number of items, [`RecError::Input`] for a metric
    /// that no user counts for, and what the scorer refuses.
    pub fn evaluate(&self, scorer: &dyn Scorer) -> Result<Metrics> {
        let start = Instant::now();
        let mut sums = vec![0.0; self.user_metrics.len()];
        let totals = self.each_user(scorer, |row| sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value))?;
        let seconds = start.elapsed().as_secs_f64();
        tracing::debug!(model = scorer.model(), n_users = self.n_eval_users(), seconds, "evaluated");
        let (n, mut sums) = (self.held_out.len() as f64, sums.into_iter());
        let mut value = |at: &MetricAt| match at.metric {
            Metric::Hits(_) | Metric::List(_) => {
                Ok(sums.next().expect("there should be a sum for each metric of users") / n)
            }
            Metric::Exposure(metric) => Ok(metric.value(&totals.shown[&at.k])),
            Metric::Ranks(metric) => match totals.ranks.get(metric.name()) {
                Some((sum, weight)) => Ok(sum / weight),
                None => Err(nobody_counts(metric)),
            },
        };
        self.metrics.iter().map(|at| Ok((at.to_string(), value(at)?))).collect()
    }

    /// The value for each held-out user of every metric that is a plain mean over users; the others
    /// have no value for one user and are left out. The means of these values, summed in order, are
    /// what [`Evaluator::evaluate`] gives.
    ///
    /// # Errors
    /// As [`Evaluator::evaluate`].
    pub fn evaluate_per_user(&self, scorer: &dyn Scorer) -> Result<PerUser> {
        let mut values = Vec::with_capacity(self.held_out.len() * self.user_metrics.len());
        self.each_user(scorer, |row| values.extend_from_slice(row))?;
        let users = self.held_out.users().iter().map(|user| user.id).collect();
        Ok(PerUser { users, metrics: self.user_metrics.clone(), values })
    }

    /// Hands each held-out user's list over, best item first: the `k` best candidates with their
    /// scores. What other tools judge.
    ///
    /// # Errors
    /// As [`Evaluator::evaluate`], and what `take` refuses.
    pub fn lists(
        &self,
        scorer: &dyn Scorer,
        k: usize,
        mut take: impl FnMut(&HeldOutUser, &[u32], &[f32]) -> Result<()>,
    ) -> Result<()> {
        self.check_shapes(scorer)?;
        for (index, block) in self.held_out.users().chunks(BLOCK).enumerate() {
            let top = self.top_k(scorer, index * BLOCK, block, k)?;
            for (row, user) in block.iter().enumerate() {
                check_scores(&top, row, user)?;
                let (start, items) = (row * top.k, list(&top, row, k));
                take(user, items, &top.scores[start..start + items.len()])?;
            }
        }
        Ok(())
    }

    /// The questions of a block of users.
    fn asked<'a>(&'a self, block: &'a [HeldOutUser]) -> Vec<Query<'a>> {
        block.iter().map(|user| Query { user: self.held_out.known(user.id), history: &user.history }).collect()
    }

    /// The lists of a block of users, the first of whom stands at `start`.
    fn top_k(&self, scorer: &dyn Scorer, start: usize, block: &[HeldOutUser], k: usize) -> Result<TopK> {
        let queries = self.asked(block);
        let candidates: Option<Vec<&[u32]>> =
            (start..start + block.len()).map(|place| self.held_out.candidates(place)).collect();
        match candidates {
            Some(candidates) => scorer.top_k_among(&queries, &candidates, k),
            None => {
                let excluded: Vec<&[u32]> = block.iter().map(|user| &user.excluded[..]).collect();
                scorer.top_k(&queries, &excluded, k)
            }
        }
    }

    /// Hands every user's values over, in the order of the users, and gathers what is not a mean
    /// over users.
    fn each_user(&self, scorer: &dyn Scorer, mut take: impl FnMut(&[f64])) -> Result<Totals> {
        self.check_shapes(scorer)?;
        let ranks = self.ranks_metrics();
        let exposure = self.metrics.iter().filter(|at| matches!(at.metric, Metric::Exposure(_)));
        let no_item = || vec![0u32; self.held_out.n_items()];
        let mut totals = Totals { shown: exposure.map(|at| (at.k, no_item())).collect(), ..Totals::default() };
        let width = self.user_metrics.len();
        let mut values = Vec::new();
        for (index, block) in self.held_out.users().chunks(BLOCK).enumerate() {
            let start = index * BLOCK;
            if self.max_k > 0 {
                let top = self.top_k(scorer, start, block, self.max_k)?;
                (0..block.len()).try_for_each(|row| check_scores(&top, row, &block[row]))?;
                values.clear();
                values.resize(block.len() * width, 0.0);
                values
                    .par_chunks_exact_mut(width.max(1))
                    .zip(block)
                    .enumerate()
                    .with_min_len(USERS_PER_TASK)
                    .for_each(|(row, (values, user))| self.judge(&top, row, user, values));
                values.chunks_exact(width.max(1)).for_each(&mut take);
                for (&k, shown) in &mut totals.shown {
                    (0..block.len()).flat_map(|row| list(&top, row, k)).for_each(|&item| shown[item as usize] += 1);
                }
            }
            if !ranks.is_empty() {
                let scores = scorer.scores(&self.asked(block))?;
                let scores = scores.as_slice().expect("scores should be in the standard layout");
                let rows = scores.par_chunks_exact(self.held_out.n_items()).zip(block).enumerate();
                let judged = |(row, (scores, user)): (usize, (&[f32], &HeldOutUser))| {
                    judge_ranks(&ranks, scores, self.held_out.candidates(start + row), user)
                };
                let judged: Vec<Vec<Option<(f64, f64)>>> = rows.map(judged).collect::<Result<_>>()?;
                for (metric, (value, weight)) in
                    judged.iter().flat_map(|user| ranks.iter().zip(user)).filter_map(|(m, v)| Some((m, (*v)?)))
                {
                    let total = totals.ranks.entry(metric.name()).or_default();
                    *total = (total.0 + weight * value, total.1 + weight);
                }
            }
        }
        Ok(totals)
    }

    fn check_shapes(&self, scorer: &dyn Scorer) -> Result<()> {
        let expected = self.held_out.n_items();
        let expect = |argument, found| {
            if found == expected {
                Ok(())
            } else {
                Err(RecError::from(KernelError::Shape { op: "evaluate", argument, found, expected }))
            }
        };
        expect("scorer (items)", scorer.n_items())?;
        if self.metrics.iter().any(|at| matches!(at.metric, Metric::List(_))) {
            expect("item counts", self.counts.as_ref().map_or(0, ItemCounts::n_items))?;
        }
        Ok(())
    }

    fn ranks_metrics(&self) -> Vec<&'static dyn RanksMetric> {
        let ranks = |at: &MetricAt| if let Metric::Ranks(metric) = at.metric { Some(metric) } else { None };
        self.metrics.iter().filter_map(ranks).collect()
    }

    /// One user's values from row `row` of the ranked lists.
    fn judge(&self, top: &TopK, row: usize, user: &HeldOutUser, values: &mut [f64]) {
        let ranked = list(top, row, self.max_k);
        let hits: Vec<bool> = ranked.iter().map(|item| user.relevant.binary_search(item).is_ok()).collect();
        for (value, at) in values.iter_mut().zip(&self.user_metrics) {
            let length = ranked.len().min(at.k);
            *value = match (at.metric, &self.counts) {
                (Metric::Hits(metric), _) => metric.user_value(&hits[..length], user.relevant.len(), at.k),
                (Metric::List(metric), Some(counts)) => metric.user_value(&ranked[..length], counts),
                _ => unreachable!("metrics of lists without counts are refused, and others are no metrics of users"),
            };
        }
    }
}
