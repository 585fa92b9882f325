//! `ssm`: sampled softmax on cosines, the other positives of the batch being the negatives.
//!
//! Source: Wu et al., *On the effectiveness of sampled softmax loss*, TOIS 2024. The arithmetic is
//! in [`super::cosine_softmax`].

use super::cosine_softmax::{Candidates, CosineSoftmax};
use super::{Loss, Regulariser, Task, TaskInputs};
use crate::error::Result;
use crate::settings::{Row, between, row, settings};

settings! {
    /// `[objective.ssm]`.
    pub(crate) struct Ssm {
        /// Temperature.
        tau: f32 = 0.15, in between(0.01, 10.0), flag "--tau";
        /// Weight decay of all layers of the batch's rows.
        l2: f32 = 1e-5, in between(0.0, 1e6), flag "--l2";
    }
}

pub(super) static ROW: Row<dyn Loss> =
    row!(dyn Loss, Ssm, "ssm", "sampled softmax on cosines: a positive against the other positives of the batch");

impl Loss for Ssm {
    fn row(&self) -> &'static Row<dyn Loss> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("objective.ssm")
    }

    fn cosine(&self) -> bool {
        true
    }

    fn task(&self, inputs: &TaskInputs<'_>) -> Task {
        Task {
            objective: Box::new(CosineSoftmax::new(inputs.nodes(), inputs.dim, self.tau, 1.0, Candidates::Batch)),
            sampler: inputs.pairs(None),
            regulariser: Regulariser::of_layers(self.l2),
            n_candidates: 1,
        }
    }
}
