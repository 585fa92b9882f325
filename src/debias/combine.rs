//! `combine`: the uniform log mixed into the biased one.

use super::fixed::FixedWeights;
use super::inputs::each_edge;
use super::{Method, MethodInputs, TrainingRows};
use crate::error::Result;
use crate::models::graph::Learning;
use crate::settings::{Row, between, row, settings};

settings! {
    /// `[debias.combine]`.
    pub(crate) struct Combine {
        /// What a uniform row counts where a biased one counts 1.
        weight: f32 = 1.0, in between(0.0, 1000.0);
    }
}

pub(super) static ROW: Row<dyn Method> =
    row!(dyn Method, Combine, "combine", "the uniform log mixed into the biased one");

impl Method for Combine {
    fn row(&self) -> &'static Row<dyn Method> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("debias.combine")
    }

    fn training_rows(&self) -> TrainingRows {
        TrainingRows::Both
    }

    fn prepare(&self, inputs: &MethodInputs<'_>, learning: &mut Learning) -> Result<()> {
        let mut weights = vec![1.0; inputs.pairs.n_edges()];
        each_edge(&inputs.pairs, &inputs.uniform.rows, |edge, _| weights[edge] = self.weight);
        learning.weights = Box::new(FixedWeights { weights, self_normalised: false, reduction: inputs.reduction() });
        Ok(())
    }
}
