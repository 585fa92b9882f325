//! `snips`: self-normalised inverse propensity scores; the weights of a batch are divided by their
//! mean.
//!
//! Source: Swaminathan and Joachims, *The Self-Normalized Estimator for Counterfactual Learning*,
//! NIPS 2015.

use serde::{Deserialize, Serialize};

use super::{Ips, Method, MethodInputs};
use crate::error::Result;
use crate::models::graph::Learning;
use crate::settings::{Key, Row, row};

/// `[debias.snips]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Snips(pub Ips);

impl Snips {
    /// One row for each key.
    pub(crate) const KEYS: &'static [Key] = Ips::KEYS;
}

pub(super) static ROW: Row<dyn Method> =
    row!(dyn Method, Snips, "snips", "inverse propensity scores, divided by their mean over the batch");

impl Method for Snips {
    fn row(&self) -> &'static Row<dyn Method> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.0.check_ranges("debias.snips")
    }

    fn prepare(&self, inputs: &MethodInputs<'_>, learning: &mut Learning) -> Result<()> {
        learning.weights = Box::new(self.0.weights(inputs, true));
        Ok(())
    }
}
