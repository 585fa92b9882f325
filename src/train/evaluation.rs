//! The evaluation of held-out parts: ranked lists over all items, or labelled rows one by one.

use std::collections::BTreeMap;

use gcnrec_graphs::{Interactions, Seed, UserId};

use super::job::Job;
use crate::data::Part;
use crate::error::{RecError, Result};
use crate::eval::metrics::{ValueMetric, value_named};
use crate::eval::{
    Candidates, Evaluator, HeldOut, ItemCounts, LabeledProtocol, LabeledRows, MetricAt, Metrics, evaluate_labeled,
    labeled_by_user, standard_error,
};
use crate::models::Scorer;
use crate::samplers::{NegativeSampler, draw_candidates};

/// The metrics that every evaluation of labelled rows reports.
pub(crate) const METRICS_OF_LABELS: [&str; 2] = ["nll", "auc"];

/// Judges scorers on one held-out part.
pub enum Evaluation {
    /// All items are ranked for every user, and the held-out ones should come first.
    Lists(Evaluator),
    /// Rows of uniform exposure with labels: value metrics over all rows, ranking metrics over each
    /// user's rows.
    Rows {
        /// The rows.
        rows: LabeledRows,
        /// What every row's score is worth.
        values: Vec<&'static dyn ValueMetric>,
        /// What every user's order of rows is worth.
        lists: Vec<MetricAt>,
        /// Users with a positive row.
        n_users: usize,
    },
}

impl Evaluation {
    /// Number of users that the ranking metrics are means over.
    pub fn n_eval_users(&self) -> usize {
        match self {
            Evaluation::Lists(evaluator) => evaluator.n_eval_users(),
            Evaluation::Rows { n_users, .. } => *n_users,
        }
    }

    /// The evaluator of ranked lists; none where labelled rows are judged.
    pub fn lists(&self) -> Option<&Evaluator> {
        match self {
            Evaluation::Lists(evaluator) => Some(evaluator),
            Evaluation::Rows { .. } => None,
        }
    }

    /// One ranking metric of every user that it is defined for.
    ///
    /// # Errors
    /// Those of [`Evaluator::evaluate_per_user`], of ranking labelled rows; [`RecError::Missing`]
    /// for a metric that is not computed.
    pub fn by_user(&self, scorer: &dyn Scorer, metric: MetricAt) -> Result<Vec<(UserId, f64)>> {
        match self {
            Evaluation::Lists(evaluator) => {
                let per_user = evaluator.evaluate_per_user(scorer)?;
                let values = per_user.column(metric).ok_or_else(|| {
                    RecError::missing("metric", metric.to_string(), "add it to eval.metrics and its cut-off to eval.k")
                })?;
                Ok(per_user.users.into_iter().zip(values).collect())
            }
            Evaluation::Rows { n_users: 0, .. } => Ok(Vec::new()),
            Evaluation::Rows { rows, .. } => labeled_by_user(scorer, rows, metric),
        }
    }

    /// The standard error of every metric of labelled rows; nothing where lists are judged, whose
    /// errors a [`Breakdown`](crate::eval::Breakdown) has.
    ///
    /// # Errors
    /// Those of [`standard_error::of_labeled`].
    pub(crate) fn standard_errors_of_rows(&self, scorer: &dyn Scorer) -> Result<BTreeMap<String, f64>> {
        let Evaluation::Rows { rows, values, lists, n_users } = self else { return Ok(BTreeMap::new()) };
        let mut errors = standard_error::of_labeled(scorer, rows, &LabeledProtocol::Values(values.clone()))?;
        if *n_users > 0 {
            errors.extend(standard_error::of_labeled(scorer, rows, &LabeledProtocol::Ranking(lists.clone()))?);
        }
        Ok(errors)
    }

    /// The same evaluation without metrics that compare scores with labels as numbers, and without
    /// those that are not defined.
    pub(crate) fn of_order_alone(mut self) -> Self {
        if let Evaluation::Rows { rows, values, .. } = &mut self {
            values.retain(|metric| metric.of_order_alone() && metric.undefined(rows.labels()).is_none());
        }
        self
    }

    /// The metrics that have no value on this part, whatever the scorer, with the reason.
    pub fn undefined(&self) -> Vec<(String, String)> {
        match self {
            Evaluation::Lists(_) => Vec::new(),
            Evaluation::Rows { rows, values, lists, .. } => {
                let mut undefined = LabeledProtocol::Values(values.clone()).undefined(rows.labels());
                undefined.extend(LabeledProtocol::Ranking(lists.clone()).undefined(rows.labels()));
                undefined
            }
        }
    }

    /// The metrics of a scorer; those that are [not defined](Evaluation::undefined) are left out.
    ///
    /// # Errors
    /// Those of [`Evaluator::evaluate`] and of [`evaluate_labeled`].
    pub fn evaluate(&self, scorer: &dyn Scorer) -> Result<Metrics> {
        match self {
            Evaluation::Lists(evaluator) => evaluator.evaluate(scorer),
            Evaluation::Rows { rows, values, lists, n_users } => {
                let mut found: Vec<(String, f64)> = Vec::new();
                let mut protocols = Vec::new();
                protocols.extend((!values.is_empty()).then(|| LabeledProtocol::Values(values.clone())));
                protocols.extend((*n_users > 0).then(|| LabeledProtocol::Ranking(lists.clone())));
                for protocol in protocols {
                    let part = evaluate_labeled(scorer, rows, &protocol)?;
                    found.extend(part.iter().map(|(name, value)| (name.to_string(), value)));
                }
                Ok(found.into_iter().collect())
            }
        }
    }
}

impl Job {
    /// Judges a held-out part while the pairs of others are masked; `None` when the part is empty.
    ///
    /// # Errors
    /// [`RecError::Unknown`] for an unknown metric.
    pub fn evaluator(&self, part: Part, seen: &[Part]) -> Result<Option<Evaluation>> {
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
            for name in METRICS_OF_LABELS.into_iter().chain([selected.as_str()]) {
                values.extend(value_named(name).filter(|new| values.iter().all(|known| known.name() != new.name())));
            }
            let mut liking: Vec<u32> =
                log.users.iter().zip(&log.ratings).filter(|(_, label)| **label > 0.0).map(|(&user, _)| user).collect();
            liking.sort_unstable();
            liking.dedup();
            let histories = self.split.histories(&[Part::Train]);
            let rows = LabeledRows::new(&log.users, &log.items, &log.ratings, histories, self.split.n_items())?;
            return Ok(Some(Evaluation::Rows { rows, values, lists: metrics, n_users: liking.len() }));
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
        Ok(Some(Evaluation::Lists(Evaluator::new(held_out, &metrics)?.with_counts(counts))))
    }

    /// What is ranked beside the held-out items where that is not everything. Draws avoid all that
    /// the user has in the parts up to this one; where seen items may return, only what is held
    /// out. Popularity is counted over the training part; over all parts where RecBole's way is
    /// asked for.
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
            Candidates::Popularity(n) => (NegativeSampler::popularity(&self.train_pairs()?, 1.0), n),
            Candidates::PopularityOfAll(n) => {
                (NegativeSampler::popularity(&self.split.joint_interactions(&all)?, 1.0), n)
            }
        };
        let up_to_now = if part == Part::Valid { &all[..2] } else { &all[..] };
        let only_this = [part];
        let known = self.split.joint_interactions(if self.eval.exclude_seen { up_to_now } else { &only_this })?;
        // Validation and test draw from different streams, however alike their users.
        let seed = Seed(self.seed.0 ^ if part == Part::Valid { 1 << 63 } else { 0 });
        Ok(Some(draw_candidates(relevant, &known, &sampler, n_draws as usize, seed)))
    }
    /// Users of whom only a context is known, rising. At least one item of it was trained on: of
    /// other users no model knows anything, whoever they are.
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
}
