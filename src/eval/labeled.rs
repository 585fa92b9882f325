//! Evaluation on labelled rows: items that were shown, with what the user answered. Nothing is
//! sampled and nothing is masked.
//!
//! Two protocols, which never mix because their means run over different things: *value* metrics
//! (`auc`, `logloss`, …) compare every row's score with its label, all rows alike; *ranking*
//! metrics (`ndcg@5`, …) order each user's labelled rows, and every user with a positive row counts
//! alike.

use gcnrec_graphs::{ItemId, UserId};
use gcnrec_kernels::KernelError;

use super::metrics::{Metric, MetricAt, ValueMetric, classes, one_class, value_named};
use super::values::Metrics;
use crate::error::{RecError, Result};
use crate::models::{Query, Scorer};

/// Users per call of [`Scorer::scores`].
const BLOCK: usize = 256;

/// Labelled rows, in file order, with what each user had met before.
///
/// ```
/// // Two users, three items: user 0 liked item 2 and disliked item 0, user 1 liked item 1.
/// let rows = gcnrec::LabeledRows::new(&[0, 0, 1], &[2, 0, 1], &[1.0, -1.0, 1.0], vec![vec![]; 2], 3)?;
/// # let _ = rows;
/// # Ok::<(), gcnrec::RecError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LabeledRows {
    users: Vec<u32>,
    items: Vec<u32>,
    labels: Vec<f32>,
    histories: Vec<Vec<ItemId>>,
    n_items: usize,
}

impl LabeledRows {
    /// Rows of (user, item, label): 1 for positive and 0 or -1 for negative rows, or ratings for
    /// `mae` and `rmse`.
    ///
    /// # Shapes
    /// - `users`, `items`, `labels`: `[n_rows]`
    /// - `histories`: `[n_users]`, each oldest first; empty lists where a model needs none
    ///
    /// # Errors
    /// [`KernelError::Shape`] when the lengths differ, [`KernelError::Index`] for an id out of
    /// range, [`RecError::NotFinite`] for a label that is no number, [`RecError::Missing`] when
    /// there is no row.
    pub fn new(
        users: &[u32],
        items: &[u32],
        labels: &[f32],
        histories: Vec<Vec<ItemId>>,
        n_items: usize,
    ) -> Result<Self> {
        const OP: &str = "labeled_rows";
        for (argument, found) in [("items", items.len()), ("labels", labels.len())] {
            if found != users.len() {
                return Err(KernelError::Shape { op: OP, argument, found, expected: users.len() }.into());
            }
        }
        for (argument, ids, bound) in [("users", users, histories.len()), ("items", items, n_items)] {
            if let Some(&id) = ids.iter().find(|&&id| id as usize >= bound) {
                return Err(KernelError::Index { op: OP, argument, index: id as usize, bound }.into());
            }
        }
        if let Some(row) = labels.iter().position(|label| !label.is_finite()) {
            return Err(RecError::NotFinite {
                what: "label",
                value: f64::from(labels[row]),
                place: format!("row {}", row + 1),
                todo: "give every labelled row a number".into(),
            });
        }
        if users.is_empty() {
            return Err(RecError::missing(
                "labelled row",
                "of any user",
                "give a part with labels: rows with ratings, or data.uniform",
            ));
        }
        Ok(LabeledRows { users: users.to_vec(), items: items.to_vec(), labels: labels.to_vec(), histories, n_items })
    }

    /// The same rows with labels 1 where the label is at least `threshold`, else 0.
    pub fn with_threshold(mut self, threshold: f32) -> Self {
        self.labels.iter_mut().for_each(|label| *label = f32::from(*label >= threshold));
        self
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// True when there is no row: never, for rows that [`LabeledRows::new`] accepted.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// The labels, in the order of the rows.
    pub fn labels(&self) -> &[f32] {
        &self.labels
    }

    /// The positions of each user's rows, users rising, in file order within a user.
    pub(super) fn by_user(&self) -> Vec<Vec<u32>> {
        let mut rows: Vec<u32> = (0..self.len() as u32).collect();
        rows.sort_by_key(|&row| self.users[row as usize]);
        rows.chunk_by(|&a, &b| self.users[a as usize] == self.users[b as usize]).map(<[u32]>::to_vec).collect()
    }

    /// The score of every row, in the order of the rows.
    ///
    /// # Errors
    /// [`KernelError::Shape`] when the scorer knows another number of items,
    /// [`RecError::NotFinite`] for a score that is NaN or infinite, and what the scorer refuses.
    pub fn scores(&self, scorer: &dyn Scorer) -> Result<Vec<f32>> {
        let (found, expected) = (scorer.n_items(), self.n_items);
        if found != expected {
            return Err(KernelError::Shape { op: "evaluate", argument: "scorer (items)", found, expected }.into());
        }
        let mut scores = vec![0.0; self.len()];
        for block in self.by_user().chunks(BLOCK) {
            let user = |rows: &[u32]| self.users[rows[0] as usize];
            let query = |rows: &Vec<u32>| Query {
                user: Some(UserId(user(rows))),
                history: &self.histories[user(rows) as usize],
            };
            let queries: Vec<Query<'_>> = block.iter().map(query).collect();
            for (all, rows) in scorer.scores(&queries)?.rows().into_iter().zip(block) {
                for &row in rows {
                    let score = all[self.items[row as usize] as usize];
                    if !score.is_finite() {
                        return Err(RecError::NotFinite {
                            what: "score",
                            value: f64::from(score),
                            place: format!("user {} (dense id)", user(rows)),
                            todo: "the model has diverged; lower learning_rate".into(),
                        });
                    }
                    scores[row as usize] = score;
                }
            }
        }
        Ok(scores)
    }
}

/// What is asked about labelled rows: value metrics or ranking metrics, never both.
#[derive(Clone)]
pub enum LabeledProtocol {
    /// Every row counts alike.
    Values(Vec<&'static dyn ValueMetric>),
    /// Every user with a positive row counts alike; the user's labelled rows are ranked by score,
    /// ties to the lower item id.
    Ranking(Vec<MetricAt>),
}

impl LabeledProtocol {
    /// True when the labels may be ratings: a metric compares scores with them as they are.
    pub fn takes_ratings(&self) -> bool {
        matches!(self, LabeledProtocol::Values(metrics) if metrics.iter().any(|metric| metric.takes_ratings()))
    }

    /// The metrics that have no value on rows with these labels, with the reason: `auc` needs rows
    /// of both classes, and a ranking a positive row.
    pub fn undefined(&self, labels: &[f32]) -> Vec<(String, String)> {
        match self {
            LabeledProtocol::Values(metrics) => metrics
                .iter()
                .filter_map(|metric| Some((metric.name().to_string(), metric.undefined(labels)?)))
                .collect(),
            LabeledProtocol::Ranking(metrics) => match one_class(labels) {
                Some(reason) if labels.iter().all(|label| *label <= 0.0) => {
                    metrics.iter().map(|metric| (metric.to_string(), reason.clone())).collect()
                }
                _ => Vec::new(),
            },
        }
    }

    /// Reads names: `auc`, `logloss`, … or `ndcg@5`, `recall@5`, ….
    ///
    /// # Errors
    /// [`RecError::Config`] when both kinds are named or none is, [`RecError::Unknown`] for a name
    /// of neither kind.
    pub fn parse<S: AsRef<str>>(names: &[S]) -> Result<Self> {
        let (mut values, mut ranking) = (Vec::new(), Vec::new());
        for name in names.iter().map(AsRef::as_ref) {
            match value_named(name) {
                Some(metric) => values.push((name, metric)),
                None => ranking.push((name, of_hits(MetricAt::parse("eval.metrics", name)?)?)),
            }
        }
        match (values.first(), ranking.first()) {
            (Some((value, _)), Some((ranked, _))) => Err(mixed(value, ranked)),
            (None, None) => Err(RecError::range("eval.metrics", "an empty list", "one or more names of metrics")),
            (Some(_), None) => Ok(LabeledProtocol::Values(values.into_iter().map(|(_, metric)| metric).collect())),
            (None, Some(_)) => Ok(LabeledProtocol::Ranking(ranking.into_iter().map(|(_, metric)| metric).collect())),
        }
    }
}

/// Refuses a metric that reads more than the hits of a user's list: labelled rows are no list of
/// recommendations.
fn of_hits(at: MetricAt) -> Result<MetricAt> {
    match at.metric {
        Metric::Hits(_) => Ok(at),
        _ => Err(RecError::range("eval.metrics", at, "a metric of hits, such as ndcg@5, on labelled rows")
            .with_todo("judge it on the lists over all items")),
    }
}

/// The error for value and ranking metrics in one protocol.
pub(super) fn mixed(value: &str, ranked: &str) -> RecError {
    RecError::range("eval.metrics", format!("{value} and {ranked} together"), "value metrics only, or ranking metrics only").with_todo(format!(
            "{value} is a mean over labelled rows and {ranked} one over users, so no protocol holds for both; ask for them one after the other"
        ))
}

/// The metrics of a scorer on labelled rows, in the order of the protocol. Those that are
/// [not defined](LabeledProtocol::undefined) are left out.
///
/// # Errors
/// Those of [`LabeledRows::scores`]; [`RecError::Input`] when the labels are not of the kind that a
/// metric needs, or none of the metrics is defined.
pub fn evaluate_labeled(scorer: &dyn Scorer, rows: &LabeledRows, protocol: &LabeledProtocol) -> Result<Metrics> {
    let scores = rows.scores(scorer)?;
    match protocol {
        LabeledProtocol::Values(metrics) => {
            let mut judged = metrics.clone();
            judged.retain(|metric| metric.undefined(&rows.labels).is_none());
            // Where nothing is left, the reason is the answer.
            let judged = if judged.is_empty() { metrics } else { &judged };
            judged.iter().map(|metric| Ok((metric.name().to_string(), metric.value(&scores, &rows.labels)?))).collect()
        }
        LabeledProtocol::Ranking(metrics) => {
            let judged = rank(rows, &scores, metrics)?;
            let n = judged.len() as f64;
            let mean = |at: usize| judged.iter().map(|(_, values)| values[at]).sum::<f64>() / n;
            Ok(metrics.iter().enumerate().map(|(at, metric)| (metric.to_string(), mean(at))).collect())
        }
    }
}

/// One ranking metric of every user with a positive row, users rising.
///
/// # Errors
/// As [`evaluate_labeled`].
pub(crate) fn labeled_by_user(scorer: &dyn Scorer, rows: &LabeledRows, metric: MetricAt) -> Result<Vec<(UserId, f64)>> {
    let judged = rank(rows, &rows.scores(scorer)?, &[metric])?;
    Ok(judged.into_iter().map(|(user, values)| (user, values[0])).collect())
}

/// The metrics of every user with a positive row.
pub(super) fn rank(rows: &LabeledRows, scores: &[f32], metrics: &[MetricAt]) -> Result<Vec<(UserId, Vec<f64>)>> {
    classes(&rows.labels)?;
    metrics.iter().try_for_each(|&at| of_hits(at).map(|_| ()))?;
    let mut judged: Vec<(UserId, Vec<f64>)> = Vec::new();
    for mut of_user in rows.by_user() {
        let positive = |&row: &u32| rows.labels[row as usize] > 0.0;
        let n_relevant = of_user.iter().filter(|row| positive(row)).count();
        if n_relevant == 0 {
            continue;
        }
        // Adding zero makes the two zeros one: a tie goes to the lower id.
        let score = |row: u32| scores[row as usize] + 0.0;
        let item = |row: u32| rows.items[row as usize];
        of_user.sort_by(|&a, &b| score(b).total_cmp(&score(a)).then(item(a).cmp(&item(b))));
        let hits: Vec<bool> = of_user.iter().map(positive).collect();
        let value = |at: &MetricAt| match at.metric {
            Metric::Hits(metric) => Some(metric.user_value(&hits[..hits.len().min(at.k)], n_relevant, at.k)),
            _ => None,
        };
        judged.push((UserId(rows.users[of_user[0] as usize]), metrics.iter().filter_map(value).collect()));
    }
    if judged.is_empty() {
        return Err(RecError::input(
            crate::error::Place::file("labels".as_ref()),
            format!("{} rows, all negative", rows.len()),
            "at least one positive row to rank",
        )
        .with_todo("judge a part with positive rows"));
    }
    Ok(judged)
}

#[cfg(test)]
mod tests;
