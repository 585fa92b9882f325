//! Popularity penalty: scores of popular items are lowered, those of rare ones raised, when a
//! request asks for it.
//!
//! With `n_i` the rows of item `i` in the histories of the checkpoint, `z_i` is `ln(1 + n_i)` in
//! standard scores over the items that have a row, and `d` the deviation of a query's scores over
//! all items: `s_i - lambda d z_i`. At `lambda = 1` popularity counts as much as the model does. An
//! item without a row stays after all others, since nothing is known of it.
//!
//! # Source
//! A compensation after training as in Zhu et al., *Popularity-Opportunity Bias in Collaborative
//! Filtering*, WSDM 2021. We differ: it is a difference of standard scores, so that one `lambda`
//! means the same for models of any unit and for scores below zero.

use super::Recommender;
use crate::error::{RecError, Result};

/// How popular each item is.
pub(super) struct Popularity {
    /// `[n_items]`: `z_i`; none for an item without a row.
    standard: Vec<Option<f64>>,
}

impl Popularity {
    /// # Shapes
    /// - `counts`: `[n_items]`
    fn new(counts: &[u32]) -> Self {
        let logs = || counts.iter().filter(|&&count| count > 0).map(|&count| f64::from(count).ln_1p());
        let (mean, deviation) = moments(logs);
        let scale = if deviation > 0.0 { deviation.recip() } else { 0.0 };
        let standard = |&count: &u32| (count > 0).then(|| (f64::from(count).ln_1p() - mean) * scale);
        Popularity { standard: counts.iter().map(standard).collect() }
    }

    /// Takes `lambda d z` from each score that is finite.
    ///
    /// # Shapes
    /// - `scores`: `[n_items]`
    pub(super) fn penalise(&self, lambda: f32, scores: &mut [f32]) {
        let finite = || scores.iter().filter(|score| score.is_finite()).map(|&score| f64::from(score));
        let scale = f64::from(lambda) * moments(finite).1;
        let mut lowest = f32::INFINITY;
        for (score, standard) in scores.iter_mut().zip(&self.standard) {
            if let (true, Some(standard)) = (score.is_finite(), standard) {
                *score = (f64::from(*score) - scale * standard) as f32;
                lowest = lowest.min(*score);
            }
        }
        if lowest.is_finite() {
            let below = lowest - (1e-3 * lowest.abs() + 1e-3);
            let rowless = scores.iter_mut().zip(&self.standard).filter(|(_, standard)| standard.is_none());
            rowless.filter(|(score, _)| score.is_finite()).for_each(|(score, _)| *score = below);
        }
    }
}

/// Mean and deviation, summed in order.
fn moments<I: Iterator<Item = f64>>(values: impl Fn() -> I) -> (f64, f64) {
    let n = values().count().max(1) as f64;
    let mean = values().sum::<f64>() / n;
    (mean, (values().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt())
}

impl Recommender {
    /// Counted when it is first asked for.
    ///
    /// # Errors
    /// [`RecError::Unsupported`] where the checkpoint has no histories.
    pub(super) fn popularity(&self) -> Result<&Popularity> {
        if self.history.is_empty() {
            return Err(RecError::unsupported(self.model(), "its checkpoint has no histories to count items in")
                .with_todo("leave out popularity_penalty"));
        }
        Ok(self.popularity.get_or_init(|| {
            let mut counts = vec![0; self.n_items()];
            self.history.iter().for_each(|item| counts[item.index()] += 1);
            Popularity::new(&counts)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    #[test]
    fn a_score_loses_lambda_deviations_for_each_deviation_of_popularity() {
        // ln(1 + n): 0 (no row), ln 2, ln 4, ln 8: mean ln 4, deviation sqrt(2/3) ln 2, so z is
        // -1.2247, 0, 1.2247. Scores 0, 1, 2, 3: deviation sqrt(5)/2 = 1.1180. With lambda 0.5 the
        // second gains 0.5 * 1.1180 * 1.2247 = 0.6847 and the fourth loses it.
        let mut scores = [0.0, 1.0, 2.0, 3.0];
        Popularity::new(&[0, 1, 3, 7]).penalise(0.5, &mut scores);
        assert_abs_diff_eq!(&scores[1..], &[1.6847, 2.0, 2.3153][..], epsilon = 1e-4);
        // Without a row: below the lowest.
        assert_abs_diff_eq!(scores[0], 1.6847 - 1.6847e-3 - 1e-3, epsilon = 1e-4);
    }

    #[test]
    fn items_that_are_equally_popular_or_that_score_alike_stay_as_they_are() {
        let mut scores = [3.0, 1.0, 2.0];
        Popularity::new(&[4, 4, 4]).penalise(9.0, &mut scores);
        assert_eq!(scores, [3.0, 1.0, 2.0]);
        let mut scores = [2.0; 3];
        Popularity::new(&[1, 4, 9]).penalise(9.0, &mut scores);
        assert_eq!(scores, [2.0; 3]);
    }

    #[test]
    fn never_stays_never() {
        let mut scores = [f32::NEG_INFINITY, 1.0, 3.0, f32::NEG_INFINITY];
        Popularity::new(&[9, 1, 4, 0]).penalise(1.0, &mut scores);
        assert_eq!((scores[0], scores[3]), (f32::NEG_INFINITY, f32::NEG_INFINITY));
        assert!(scores[1].is_finite() && scores[2].is_finite());
    }
}
