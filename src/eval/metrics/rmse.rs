//! Root mean squared error: how far scores are from labels, large errors counting more.

use super::{ValueMetric, mean};
use crate::error::Result;

/// The square root of the mean of `(score - label)^2`. Scores are compared as they are: it means
/// something for a model that predicts the label itself (loss `mse`).
///
/// # Source
/// RecBole 1.2.1, `evaluator/metrics.py`.
#[derive(Debug, Clone, Copy)]
pub(super) struct RootMeanSquaredError;

impl ValueMetric for RootMeanSquaredError {
    fn name(&self) -> &'static str {
        "rmse"
    }

    fn higher_is_better(&self) -> bool {
        false
    }

    fn takes_ratings(&self) -> bool {
        true
    }

    fn value(&self, scores: &[f32], labels: &[f32]) -> Result<f64> {
        Ok(mean(scores, labels, |score, label| (score - label).powi(2)).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_three_and_four_over_four_rows_make_two_and_a_half() {
        // sqrt((9 + 16 + 0 + 0) / 4) = 5 / 2.
        assert_eq!(RootMeanSquaredError.value(&[4.0, 0.0, 1.0, 1.0], &[1.0, 4.0, 1.0, 1.0]).unwrap(), 2.5);
    }
}
