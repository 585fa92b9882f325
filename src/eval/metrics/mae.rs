//! Mean absolute error: how far scores are from labels.

use super::{ValueMetric, mean};
use crate::error::Result;

/// The mean of `|score - label|`. Scores are compared as they are: it means something for a model
/// that predicts the label itself (loss `mse`).
///
/// # Source
/// RecBole 1.2.1, `evaluator/metrics.py`.
#[derive(Debug, Clone, Copy)]
pub(super) struct MeanAbsoluteError;

impl ValueMetric for MeanAbsoluteError {
    fn name(&self) -> &'static str {
        "mae"
    }

    fn higher_is_better(&self) -> bool {
        false
    }

    fn takes_ratings(&self) -> bool {
        true
    }

    fn value(&self, scores: &[f32], labels: &[f32]) -> Result<f64> {
        Ok(mean(scores, labels, |score, label| (score - label).abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_count_by_their_size_without_sign() {
        // |1 - 3| + |4 - 3.5| + |2 - 2| = 2.5; with the fourth row, which is exact: 2.5 / 4.
        assert_eq!(MeanAbsoluteError.value(&[1.0, 4.0, 2.0, 2.0], &[3.0, 3.5, 2.0, 2.0]).unwrap(), 0.625);
    }
}
