//! `none`: every example counts alike, or by how recent it is.

use super::fixed::FixedWeights;
use super::{Method, MethodInputs};
use crate::error::Result;
use crate::models::graph::Learning;
use crate::settings::{Row, row, settings};

settings! {
    /// `[debias.none]`: there is nothing to set.
    pub(crate) struct NoDebiasing {}
}

pub(super) static ROW: Row<dyn Method> = row!(dyn Method, NoDebiasing, "none", "every example counts alike");

impl Method for NoDebiasing {
    fn row(&self) -> &'static Row<dyn Method> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("debias.none")
    }

    fn is_none(&self) -> bool {
        true
    }

    fn prepare(&self, inputs: &MethodInputs<'_>, learning: &mut Learning) -> Result<()> {
        if let Some(weights) = inputs.training.split.recency_weights(&inputs.pairs) {
            learning.weights =
                Box::new(FixedWeights { weights, self_normalised: false, reduction: inputs.reduction() });
        }
        Ok(())
    }
}
