//! Area under the ROC curve: how often a positive row is scored above a negative one.

use super::{ValueMetric, classes, one_class};
use crate::error::{Place, RecError, Result};

/// The share of (positive, negative) pairs of rows in which the positive has the higher score, a
/// tie counting one half. Over all rows together, not user by user.
///
/// # Source
/// Mann and Whitney 1947; the trapezoid rule over merged ties (RecBole, scikit-learn) gives the
/// same number. AutoDebias's code breaks ties by the order of a sort, which is no property of the
/// model: no such variant exists here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Auc;

impl ValueMetric for Auc {
    fn name(&self) -> &'static str {
        "auc"
    }

    fn higher_is_better(&self) -> bool {
        true
    }

    fn of_order_alone(&self) -> bool {
        true
    }

    fn undefined(&self, labels: &[f32]) -> Option<String> {
        one_class(labels)
    }

    fn value(&self, scores: &[f32], labels: &[f32]) -> Result<f64> {
        let (n_positive, n_negative) = classes(labels)?;
        if let Some(found) = one_class(labels) {
            let expected = "at least one positive and one negative row for auc";
            return Err(RecError::input(Place::file("labels".as_ref()), found, expected)
                .with_todo("judge a part with both, or ask for logloss"));
        }
        let mut order: Vec<u32> = (0..scores.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| scores[a as usize].total_cmp(&scores[b as usize]));
        // Twice the number of pairs won, so that half a pair is a whole number: nothing is rounded.
        let (mut below, mut won) = (0u128, 0u128);
        for tied in order.chunk_by(|&a, &b| scores[a as usize] == scores[b as usize]) {
            let positive = tied.iter().filter(|&&row| labels[row as usize] > 0.0).count() as u128;
            let negative = tied.len() as u128 - positive;
            won += positive * (2 * below + negative);
            below += negative;
        }
        Ok(won as f64 / (2.0 * n_positive as f64 * n_negative as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn three_of_four_pairs_in_the_right_order_are_three_quarters() {
        // Positives .8 and .4, negatives .6 and .1: .8 beats both, .4 beats .1 alone.
        assert_eq!(Auc.value(&[0.8, 0.6, 0.4, 0.1], &[1.0, -1.0, 1.0, -1.0]).unwrap(), 0.75);
        assert_eq!(Auc.value(&[0.8, 0.6, 0.4, 0.1], &[1.0, 0.0, 1.0, 0.0]).unwrap(), 0.75);
    }

    #[test]
    fn a_tie_counts_one_half() {
        // Positives 2 and 1, negatives 1 and 0: the pairs count 1, 1, 1/2, 1 of 4.
        assert_relative_eq!(Auc.value(&[2.0, 1.0, 1.0, 0.0], &[1.0, 1.0, 0.0, 0.0]).unwrap(), 0.875);
        assert_eq!(Auc.value(&[0.0, -0.0, 0.0], &[1.0, -1.0, -1.0]).unwrap(), 0.5, "the two zeros are equal");
    }

    #[test]
    fn rows_of_one_kind_have_no_area() {
        let error = Auc.value(&[1.0, 2.0], &[1.0, 1.0]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "labels: found 2 rows, all positive, expected at least one positive and one negative row for auc; judge a part with both, or ask for \
             logloss"
        );
        assert_eq!(error.exit_code(), 3);
    }
}
