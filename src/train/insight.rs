//! Error analysis of a trained model for its report: metrics by groups of users and items, the
//! lists of a few users, and standard errors.

use std::collections::BTreeMap;

#[cfg(doc)]
use super::evaluation::Evaluation;
use super::job::Job;
use crate::data::Part;
use crate::error::Result;
use crate::eval::{Evaluator, Example, Insight, Judgement, Listed, Metrics};
use crate::models::Scorer;
use crate::models::linear::popularity;

/// Items of a user's past, and places of a list, that an example shows.
const SHOWN: usize = 10;

/// What one more look at the test part gives.
#[derive(Default)]
pub(crate) struct Analysis {
    /// Nothing where the part's rows are labelled: no lists are made of those.
    pub(crate) insight: Option<Insight>,
    /// The standard error of every metric that has one, over the users of this training.
    pub(crate) standard_errors: BTreeMap<String, f64>,
}

/// Looks at the test part once more; nothing where there is none. The model is the one that was
/// judged, and nothing is chosen by this.
///
/// # Errors
/// Those of [`Judgement::new`] and of [`Evaluation::standard_errors_of_rows`].
pub(crate) fn analyse(job: &Job, scorer: &dyn Scorer) -> Result<Analysis> {
    let seen = [Part::Train, Part::Valid];
    let Some(evaluation) = job.evaluator(Part::Test, &seen)? else { return Ok(Analysis::default()) };
    let Some(evaluator) = evaluation.lists() else {
        return Ok(Analysis { insight: None, standard_errors: evaluation.standard_errors_of_rows(scorer)? });
    };
    let known = job.split.joint_interactions(&seen)?;
    // Not every metric has a value for each user: of those that have, the one that picked the
    // epoch, or else the first.
    let mut metrics = job.eval.metrics_at()?;
    metrics.insert(0, job.train.metric.parse()?);
    let judged = Judgement::new(scorer, evaluator, &known, &metrics)?;
    let Some(Judgement { breakdown, lists, standard_errors }) = judged else { return Ok(Analysis::default()) };
    let title = |item: u32| match job.split.titles.get(item as usize).filter(|title| !title.is_empty()) {
        Some(title) => title.clone(),
        None => job.split.items.key(item).to_string(),
    };
    let users = evaluator.held_out().users();
    let example = |row: usize| {
        let user = &users[row];
        let listed = |&item: &u32| Listed { item: title(item), hit: user.relevant.binary_search(&item).is_ok() };
        Example {
            user: job.split.users.key(user.id.0).to_string(),
            n_known: user.history.len(),
            known: user.history.iter().rev().take(SHOWN).map(|item| title(item.0)).collect(),
            n_held_out: user.relevant.len(),
            list: lists[row].iter().take(SHOWN).map(listed).collect(),
        }
    };
    let examples = shown_rows(evaluator).into_iter().map(example).collect();
    Ok(Analysis { insight: Some(Insight { examples, breakdown }), standard_errors })
}

/// What the most popular items are worth on the validation and the test part, by the same rules:
/// the least that a model should beat. Counted over what the model has learnt from when it was
/// judged on that part; nothing for a part that is empty. A count is no probability: only metrics
/// of the order of the scores are there.
///
/// # Errors
/// Those of [`Evaluation::evaluate`].
pub(crate) fn popularity(job: &Job) -> Result<BTreeMap<String, Metrics>> {
    let both = [Part::Train, Part::Valid];
    let learnt = if job.learns_from_valid() { &both[..] } else { &both[..1] };
    let mut worth = BTreeMap::new();
    for (name, part, seen, learnt) in
        [("valid", Part::Valid, &both[..1], &both[..1]), ("test", Part::Test, &both[..], learnt)]
    {
        if let Some(evaluation) = job.evaluator(part, seen)? {
            let scorer = popularity::fit(&job.split.joint_interactions(learnt)?);
            worth.insert(name.to_string(), evaluation.of_order_alone().evaluate(&scorer)?);
        }
    }
    Ok(worth)
}

/// The users at a tenth, at the half and at nine tenths of all evaluated users in the order of
/// their known items: the same for every model.
fn shown_rows(evaluator: &Evaluator) -> Vec<usize> {
    let users = evaluator.held_out().users();
    let mut order: Vec<usize> = (0..users.len()).collect();
    order.sort_by_key(|&row| (users[row].history.len(), row));
    let mut rows: Vec<usize> = [1, 5, 9].iter().map(|tenths| order[(users.len() - 1) * tenths / 10]).collect();
    rows.dedup();
    rows
}
