//! `ips`: inverse propensity scores, each example divided by how probable it was that it was seen.
//!
//! Source: Schnabel et al., *Recommendations as Treatments*, ICML 2016.

use super::fixed::FixedWeights;
use super::{Method, MethodInputs, Propensity};
use crate::error::Result;
use crate::models::graph::Learning;
use crate::settings::{Row, between, row, settings};

settings! {
    /// `[debias.ips]` and `[debias.snips]`.
    pub(crate) struct Ips {
        /// From the label of a pair, or from the count of its item.
        propensity: Propensity = Propensity::NaiveBayes;
        /// Smaller propensities count as this.
        clip: f64 = 1e-3, in between(1e-9, 1.0);
        /// Exponent of the counts for `popularity`.
        alpha: f64 = 0.5, in between(0.0, 4.0);
    }
}

pub(super) static ROW: Row<dyn Method> = row!(dyn Method, Ips, "ips", "inverse propensity scores");

impl Ips {
    /// Weights `1 / p`, of which those of a batch may be divided by their mean.
    pub(super) fn weights(&self, inputs: &MethodInputs<'_>, self_normalised: bool) -> FixedWeights {
        let weights = inputs.inverse_propensities(self.propensity, self.clip, self.alpha);
        FixedWeights { weights, self_normalised, reduction: inputs.reduction() }
    }
}

impl Method for Ips {
    fn row(&self) -> &'static Row<dyn Method> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("debias.ips")
    }

    fn prepare(&self, inputs: &MethodInputs<'_>, learning: &mut Learning) -> Result<()> {
        learning.weights = Box::new(self.weights(inputs, false));
        Ok(())
    }
}
