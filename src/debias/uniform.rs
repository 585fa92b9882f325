//! `uniform`: training on the uniform log alone.

use super::{Method, MethodInputs, TrainingRows};
use crate::error::Result;
use crate::models::graph::Learning;
use crate::settings::{Row, row, settings};

settings! {
    /// `[debias.uniform]`: there is nothing to set.
    pub(crate) struct UniformOnly {}
}

pub(super) static ROW: Row<dyn Method> = row!(dyn Method, UniformOnly, "uniform", "training on the uniform log alone");

impl Method for UniformOnly {
    fn row(&self) -> &'static Row<dyn Method> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("debias.uniform")
    }

    fn training_rows(&self) -> TrainingRows {
        TrainingRows::Uniform
    }

    fn prepare(&self, _inputs: &MethodInputs<'_>, _learning: &mut Learning) -> Result<()> {
        Ok(())
    }
}
