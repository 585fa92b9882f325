//! Shannon entropy of the items that are shown.

use super::ExposureMetric;

/// Entropy in nats of the item of a random place in a random list: `-sum_i p_i ln p_i`, `p_i` the
/// share of item `i` in all places. 0 when one item is shown alone, `ln n_items` when all are shown
/// equally often; larger is better.
///
/// # Source
/// Shannon 1948. `shannonentropy(recbole)` divides by the number of distinct items shown, as
/// RecBole's code does and its documentation does not.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShannonEntropy {
    name: &'static str,
    divided: bool,
}

impl ShannonEntropy {
    /// `shannonentropy`.
    pub(super) const TEXTBOOK: ShannonEntropy = ShannonEntropy { name: "shannonentropy", divided: false };
    /// `shannonentropy(recbole)`.
    pub(super) const RECBOLE: ShannonEntropy = ShannonEntropy { name: "shannonentropy(recbole)", divided: true };
}

impl ExposureMetric for ShannonEntropy {
    fn name(&self) -> &'static str {
        self.name
    }

    fn value(&self, shown: &[u32]) -> f64 {
        let total: f64 = shown.iter().map(|&count| f64::from(count)).sum();
        let shares = shown.iter().filter(|&&count| count > 0).map(|&count| f64::from(count) / total);
        // Subtracted from zero: a single item gives 0 and not -0.
        let entropy = 0.0 - shares.map(|p| p * p.ln()).sum::<f64>();
        match shown.iter().filter(|&&count| count > 0).count() {
            n if n > 0 && self.divided => entropy / n as f64,
            _ => entropy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn equal_shares_give_the_logarithm_of_their_number() {
        assert_relative_eq!(ShannonEntropy::TEXTBOOK.value(&[2, 0, 2, 2, 2]), 4f64.ln(), epsilon = 1e-15);
        assert_relative_eq!(ShannonEntropy::RECBOLE.value(&[2, 0, 2, 2, 2]), 4f64.ln() / 4.0, epsilon = 1e-15);
        assert_eq!(ShannonEntropy::TEXTBOOK.value(&[0, 7]).to_bits(), 0f64.to_bits());
        assert_eq!(ShannonEntropy::RECBOLE.value(&[0, 0]), 0.0);
    }

    #[test]
    fn a_quarter_and_three_quarters() {
        // -(1/4 ln 1/4 + 3/4 ln 3/4) = .5623351446.
        assert_relative_eq!(ShannonEntropy::TEXTBOOK.value(&[1, 3]), 0.562_335_144_618_808, epsilon = 1e-14);
    }
}
