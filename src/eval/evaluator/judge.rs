//! One user's ranked list and scores: what is refused, and the values of metrics of ranks.

use gcnrec_kernels::ops::top_k::TopK;

use crate::error::{Place, RecError, Result};
use crate::eval::held_out::HeldOutUser;
use crate::eval::metrics::RanksMetric;

/// The first `k` items of row `row`, fewer where fewer could be ranked.
pub(super) fn list(top: &TopK, row: usize, k: usize) -> &[u32] {
    let start = row * top.k;
    &top.items[start..start + (top.len[row] as usize).min(k)]
}

/// Refuses a row with a score that is NaN or plus infinity. Minus infinity is a legal "never"; NaN
/// has no rank, and plus infinity means that the model has overflowed.
pub(super) fn check_scores(top: &TopK, row: usize, user: &HeldOutUser) -> Result<()> {
    let start = row * top.k;
    refuse_overflow(&top.scores[start..start + top.len[row] as usize], user)
}

fn refuse_overflow(scores: &[f32], user: &HeldOutUser) -> Result<()> {
    match scores.iter().find(|score| score.is_nan() || **score == f32::INFINITY) {
        None => Ok(()),
        Some(score) => Err(RecError::NotFinite {
            what: "score",
            value: f64::from(*score),
            place: format!("user {} (dense id)", user.id.0),
            todo: "the model has diverged; lower learning_rate".into(),
        }),
    }
}

/// One user's values and weights from the scores of all items: of the candidates, or where there
/// are none of all that are not excluded.
pub(super) fn judge_ranks(
    metrics: &[&'static dyn RanksMetric],
    scores: &[f32],
    candidates: Option<&[u32]>,
    user: &HeldOutUser,
) -> Result<Vec<Option<(f64, f64)>>> {
    refuse_overflow(scores, user)?;
    let (mut relevant, mut others) = (Vec::new(), Vec::new());
    let mut rank = |item: u32| {
        let side = if user.relevant.binary_search(&item).is_ok() { &mut relevant } else { &mut others };
        // Adding zero makes the two zeros one.
        side.push(scores[item as usize] + 0.0);
    };
    match candidates {
        Some(candidates) => candidates.iter().copied().for_each(&mut rank),
        None => {
            let mut hidden = user.excluded.iter().peekable();
            let is_ranked = |item: &u32| hidden.next_if(|&next| next == item).is_none();
            (0..scores.len() as u32).filter(is_ranked).for_each(&mut rank);
        }
    }
    Ok(metrics.iter().map(|metric| metric.user_value(&mut relevant, &others)).collect())
}

pub(super) fn nobody_counts(metric: &dyn RanksMetric) -> RecError {
    RecError::input(
        Place::file("held-out part".as_ref()),
        format!("no user that {} is defined for", metric.name()),
        "a user with a held-out item and another item that are both ranked",
    )
    .with_todo("rank more items, or leave the metric out")
}
