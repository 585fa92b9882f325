//! Edge normalisation: how much an edge counts, given the degrees of its nodes.

use serde::{Deserialize, Serialize};

use crate::GraphError;

/// How an edge is divided by the degrees `d` of the two nodes it joins. Default: symmetric.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Normalization {
    /// `D^-1/2 A D^-1/2`, the choice of LightGCN.
    #[default]
    Symmetric,
    /// `D^-1 A`: each row is a mean over neighbours.
    Row,
    /// `A D^-1`: each node shares itself out equally.
    Column,
    /// `D^-alpha A D^-beta`. (.5, .5) is symmetric, (.5, 0) and (0, .5) are the one-sided roots,
    /// (1, 1) divides by both.
    Powers {
        /// Power of the row's degree, finite. LightGCN++: .6.
        alpha: f64,
        /// Power of the column's degree, finite. LightGCN++: -.1.
        beta: f64,
    },
}

impl Normalization {
    /// True when entry (a, b) equals entry (b, a) for every graph.
    pub fn is_symmetric(self) -> bool {
        match self {
            Self::Symmetric => true,
            Self::Row | Self::Column => false,
            Self::Powers { alpha, beta } => alpha == beta,
        }
    }

    /// What a node of this degree contributes to the entries of its row, and to the entries of its
    /// column.
    pub(crate) fn factors(self, degree: f64) -> (f64, f64) {
        match self {
            // Nothing is ever multiplied by these: a node without edges has no entries.
            _ if degree == 0.0 => (0.0, 0.0),
            Self::Symmetric => (1.0 / degree.sqrt(), 1.0 / degree.sqrt()),
            Self::Row => (1.0 / degree, 1.0),
            Self::Column => (1.0, 1.0 / degree),
            Self::Powers { alpha, beta } => (degree.powf(-alpha), degree.powf(-beta)),
        }
    }

    pub(crate) fn check(self) -> Result<(), GraphError> {
        if let Self::Powers { alpha, beta } = self {
            for (name, value) in [("alpha", alpha), ("beta", beta)] {
                if !value.is_finite() {
                    return Err(GraphError::Power { name, value });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_normalizations_are_powers() {
        // A degree whose root and inverse are exact: 4^-.5 = .5, 4^-1 = .25.
        let powers = |alpha, beta| Normalization::Powers { alpha, beta }.factors(4.0);
        assert_eq!(Normalization::Symmetric.factors(4.0), (0.5, 0.5));
        assert_eq!(powers(0.5, 0.5), (0.5, 0.5));
        assert_eq!(Normalization::Row.factors(4.0), powers(1.0, 0.0));
        assert_eq!(Normalization::Column.factors(4.0), powers(0.0, 1.0));
    }

    #[test]
    fn only_equal_powers_are_symmetric() {
        assert!(Normalization::default().is_symmetric());
        assert!(Normalization::Powers { alpha: 1.0, beta: 1.0 }.is_symmetric());
        assert!(!Normalization::Powers { alpha: 0.6, beta: -0.1 }.is_symmetric());
        assert!(!Normalization::Row.is_symmetric());
    }
}
