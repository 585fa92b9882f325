//! Error analysis of a trained model for its report: metrics by groups of users and items, and the
//! lists of a few users.

use super::evaluation::Evaluation;
use super::job::Job;
use crate::data::Part;
use crate::error::Result;
use crate::eval::{Breakdown, Evaluator, Example, Insight, Listed, Metrics};
use crate::models::Scorer;
use crate::models::linear::popularity;

/// Items of a user's past, and places of a list, that an example shows.
const SHOWN: usize = 10;

/// Looks at the test part once more; nothing where there is none, or where its rows are labelled:
/// no lists are made of those. The model is the one that was judged, and nothing is chosen by this.
///
/// # Errors
/// Those of [`Breakdown::new`].
pub(crate) fn insight(job: &Job, scorer: &dyn Scorer) -> Result<Option<Insight>> {
    let seen = [Part::Train, Part::Valid];
    let evaluation = job.evaluator(Part::Test, &seen)?;
    let Some(evaluator) = evaluation.as_ref().and_then(Evaluation::lists) else { return Ok(None) };
    let known = job.split.joint_interactions(&seen)?;
    // Not every metric has a value for each user: of those that have, the one that picked the
    // epoch, or else the first.
    let mut metrics = job.eval.metrics_at()?;
    metrics.insert(0, job.train.metric.parse()?);
    let Some((breakdown, lists)) = Breakdown::new(scorer, evaluator, &known, &metrics)? else { return Ok(None) };
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
    Ok(Some(Insight { examples: shown_rows(evaluator).into_iter().map(example).collect(), breakdown }))
}

/// What the most popular items are worth on the test part, by the same rule: the least that a model
/// should beat. Counted over what the model has learnt from.
///
/// # Errors
/// Those of [`Evaluation::evaluate`].
pub(crate) fn popularity(job: &Job) -> Result<Option<Metrics>> {
    let Some(evaluation) = job.evaluator(Part::Test, &[Part::Train, Part::Valid])? else { return Ok(None) };
    let learnt: &[Part] = if job.learns_from_valid() { &[Part::Train, Part::Valid] } else { &[Part::Train] };
    let scorer = popularity::fit(&job.split.joint_interactions(learnt)?);
    evaluation.evaluate(&scorer).map(Some)
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
