//! Propensities: how probable it was that a pair was seen.
//!
//! Sources: Schnabel et al., *Recommendations as Treatments*, ICML 2016 (naive Bayes: `p(O=1 | y) =
//! p(y | O=1) p(O=1) / p(y)`, with `p(y)` from the uniform log, `p(O=1)` the share of observed
//! pairs); Yang et al., *Unbiased offline recommender evaluation*, RecSys 2018 (a power of the
//! item's count).

use gcnrec_graphs::Interactions;
use serde::{Deserialize, Serialize};

use crate::settings::name_setting;

/// A way to estimate propensities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Propensity {
    /// From the label of the pair.
    #[default]
    NaiveBayes,
    /// From the count of the item.
    Popularity,
}

name_setting!(Propensity, "propensity");

/// The propensity of every training edge by naive Bayes. `labels` are those of the edges, `uniform`
/// those of the uniform log, both +1 and -1.
pub(super) fn naive_bayes(pairs: &Interactions, labels: &[f32], uniform: &[f32]) -> Vec<f64> {
    let share = |labels: &[f32]| {
        let liked = labels.iter().filter(|&&label| label > 0.0).count() as f64 / labels.len().max(1) as f64;
        [1.0 - liked, liked]
    };
    let observed = pairs.n_edges() as f64 / (pairs.n_users() * pairs.n_items()).max(1) as f64;
    let (seen, true_share) = (share(labels), share(uniform));
    let by_label = [0, 1].map(|class| seen[class] * observed / true_share[class].max(f64::MIN_POSITIVE));
    labels.iter().map(|&label| by_label[usize::from(label > 0.0)].min(1.0)).collect()
}

/// The propensity of every training edge from the count of its item: `(count / largest
/// count)^alpha`.
pub(super) fn popularity(pairs: &Interactions, alpha: f64) -> Vec<f64> {
    let counts = pairs.item_counts();
    let largest = f64::from(counts.iter().copied().max().unwrap_or(1).max(1));
    pairs.item_ids().iter().map(|&item| (f64::from(counts[item as usize]) / largest).powf(alpha)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcnrec_graphs::{ItemId, UserId};

    fn pairs() -> Interactions {
        let pairs = [(0, 0), (0, 1), (1, 0), (2, 0)].map(|(u, i)| (UserId(u), ItemId(i)));
        Interactions::from_pairs(4, 5, pairs).unwrap()
    }

    /// Four of 20 pairs seen (.2), three of them liked (.75); one of four uniform rows is liked
    /// (.25): p(seen | liked) = .75 * .2 / .25 = .6, p(seen | disliked) = .25 * .2 / .75 = 1/15.
    #[test]
    fn naive_bayes_weighs_labels_by_how_much_more_often_they_are_seen() {
        let found = naive_bayes(&pairs(), &[1.0, -1.0, 1.0, 1.0], &[1.0, -1.0, -1.0, -1.0]);
        for (found, expected) in found.iter().zip([0.6, 1.0 / 15.0, 0.6, 0.6]) {
            assert!((found - expected).abs() < 1e-12, "{found}");
        }
    }

    /// Item 0 has three pairs, item 1 one: (1/3)^.5.
    #[test]
    fn popularity_is_a_power_of_the_item_s_count() {
        let found = popularity(&pairs(), 0.5);
        for (found, expected) in found.iter().zip([1.0, (1.0f64 / 3.0).sqrt(), 1.0, 1.0]) {
            assert!((found - expected).abs() < 1e-12, "{found}");
        }
    }
}
