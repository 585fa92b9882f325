//! Logarithmic loss of scores against labels.

use super::{ValueMetric, classes, mean};
use crate::error::Result;

/// The smallest probability that RecBole takes a logarithm of.
const CLIP: f64 = 1e-15;

/// The mean of `-ln p(label)` with `p(positive) = sigmoid(score)`, that is of
/// `ln(1 + exp(-y score))` with `y` = 1 or -1. Lower is better. Models here give scores and not
/// probabilities, so the sigmoid is always applied.
///
/// # Source
/// AutoDebias's code and RecBole 1.2.1, `evaluator/metrics.py`. Named variants:
/// - `logloss(recbole)`: probabilities are clipped to `[1e-15, 1 - 1e-15]` before the logarithm
///   (scores beyond about 34.5 no longer count in full).
/// - `nll`: another name of `logloss`.
/// - `nll(autodebias)`: the sign of AutoDebias's code and tables, a log-*likelihood*: negative,
///   higher is better.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogLoss {
    name: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exact,
    Clipped,
    Likelihood,
}

impl LogLoss {
    /// `logloss`.
    pub(super) const LOGLOSS: LogLoss = LogLoss { name: "logloss", kind: Kind::Exact };
    /// `logloss(recbole)`.
    pub(super) const RECBOLE: LogLoss = LogLoss { name: "logloss(recbole)", kind: Kind::Clipped };
    /// `nll`.
    pub(super) const NLL: LogLoss = LogLoss { name: "nll", kind: Kind::Exact };
    /// `nll(autodebias)`.
    pub(super) const AUTODEBIAS: LogLoss = LogLoss { name: "nll(autodebias)", kind: Kind::Likelihood };
}

impl ValueMetric for LogLoss {
    fn name(&self) -> &'static str {
        self.name
    }

    fn higher_is_better(&self) -> bool {
        self.kind == Kind::Likelihood
    }

    fn value(&self, scores: &[f32], labels: &[f32]) -> Result<f64> {
        classes(labels)?;
        // How far the score stands on the right side.
        let margin = |score: f64, label: f64| if label > 0.0 { score } else { -score };
        Ok(match self.kind {
            Kind::Exact => mean(scores, labels, |score, label| softplus(-margin(score, label))),
            Kind::Likelihood => -mean(scores, labels, |score, label| softplus(-margin(score, label))),
            Kind::Clipped => mean(scores, labels, |score, label| {
                let positive = (1.0 / (1.0 + (-score).exp())).clamp(CLIP, 1.0 - CLIP);
                -(if label > 0.0 { positive } else { 1.0 - positive }).ln()
            }),
        })
    }
}

/// `ln(1 + exp(x))` without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn a_score_of_zero_knows_nothing() {
        for labels in [[1.0, -1.0], [1.0, 0.0]] {
            let value = LogLoss::LOGLOSS.value(&[0.0, 0.0], &labels).unwrap();
            assert_relative_eq!(value, std::f64::consts::LN_2, epsilon = 1e-15);
        }
    }

    #[test]
    fn the_loss_is_the_logarithm_of_the_probability_of_the_label() {
        // p = 3/4 at score ln 3. A positive there costs ln(4/3), a negative ln 4: mean (ln(4/3) +
        // ln 4) / 2 = .8369882168.
        let three = 3f64.ln() as f32;
        let expected = ((4f64 / 3.0).ln() + 4f64.ln()) / 2.0;
        for metric in [LogLoss::LOGLOSS, LogLoss::NLL, LogLoss::RECBOLE] {
            // The score is rounded to 32 bits: 1e-7.
            assert_relative_eq!(metric.value(&[three, three], &[1.0, -1.0]).unwrap(), expected, epsilon = 1e-7);
        }
        let value = LogLoss::AUTODEBIAS.value(&[three, three], &[1.0, -1.0]).unwrap();
        assert_relative_eq!(value, -expected, epsilon = 1e-7);
        assert!(LogLoss::AUTODEBIAS.higher_is_better() && !LogLoss::NLL.higher_is_better());
    }

    #[test]
    fn a_very_wrong_score_costs_itself_and_is_clipped_in_the_variant_only() {
        assert_eq!(LogLoss::LOGLOSS.value(&[-500.0], &[1.0]).unwrap(), 500.0);
        // -ln 1e-15 = 15 ln 10 = 34.538776.
        assert_relative_eq!(LogLoss::RECBOLE.value(&[-500.0], &[1.0]).unwrap(), 15.0 * 10f64.ln(), epsilon = 1e-12);
    }

    #[test]
    fn labels_that_are_ratings_are_refused() {
        let error = LogLoss::NLL.value(&[1.0], &[4.0]).unwrap_err();
        assert!(error.to_string().starts_with("labels: found the label 4, expected"), "{error}");
    }
}
