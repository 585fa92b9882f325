//! `mse`: squared error of labels, `(s - y)^2` with `s` the inner product.
//!
//! Source: Hu, Koren and Volinsky, *Collaborative filtering for implicit feedback datasets*,
//! ICDM 2008. Settings and arithmetic are in [`super::point`].

use gcnrec_kernels::ops::point_loss::PointLoss;
use serde::{Deserialize, Serialize};

use super::{Loss, Negatives, Pointwise, Task, TaskInputs, UniformLoss};
use crate::error::Result;
use crate::settings::{Key, Row, row};

/// `[objective.mse]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Mse(pub Pointwise);

impl Mse {
    /// One row for each key.
    pub(crate) const KEYS: &'static [Key] = Pointwise::KEYS;
}

pub(super) static ROW: Row<dyn Loss> =
    row!(dyn Loss, Mse, "mse", "squared error of labels: observed pairs against sampled ones");

impl Loss for Mse {
    fn row(&self) -> &'static Row<dyn Loss> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.0.check_ranges("objective.mse")
    }

    fn uniform_loss(&self) -> UniformLoss {
        UniformLoss::Mse
    }

    fn negatives(&self) -> Option<(Negatives, f64)> {
        (self.0.n_negatives > 0).then_some((self.0.negatives, self.0.alpha))
    }

    fn task(&self, inputs: &TaskInputs<'_>) -> Task {
        self.0.task(PointLoss::Squared, inputs)
    }
}
