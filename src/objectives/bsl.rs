//! `bsl`: the bilateral softmax loss, `-s+/tau + t2 log sum exp(s/tau)`, over all items or within
//! the batch.
//!
//! Source: Wu et al., *BSL*, ICDE 2024. We differ: the published code leaves the positive out of
//! the denominator. The arithmetic is in [`super::cosine_softmax`].

use super::cosine_softmax::{Candidates, CosineSoftmax};
use super::{Loss, Regulariser, Task, TaskInputs};
use crate::error::Result;
use crate::settings::{Row, between, row, settings};

settings! {
    /// `[objective.bsl]`.
    pub(crate) struct Bsl {
        /// Temperature.
        tau: f32 = 0.25, in between(0.01, 10.0), flag "--tau";
        /// Weight of the negative side.
        t2: f32 = 1.2, in between(1e-6, 10.0);
        /// Items that stand against a positive.
        candidates: Candidates = Candidates::All;
        /// Weight decay, as in `softmax` or `ssm`.
        l2: f32 = 1e-5, in between(0.0, 1e6), flag "--l2";
    }
}

pub(super) static ROW: Row<dyn Loss> =
    row!(dyn Loss, Bsl, "bsl", "bilateral softmax on cosines: the negative side has a weight of its own");

impl Loss for Bsl {
    fn row(&self) -> &'static Row<dyn Loss> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("objective.bsl")
    }

    fn cosine(&self) -> bool {
        true
    }

    fn batches_users(&self) -> bool {
        self.candidates == Candidates::All
    }

    fn task(&self, inputs: &TaskInputs<'_>) -> Task {
        let (sampler, regulariser) = match self.candidates {
            Candidates::All => (inputs.users(), Regulariser::of_base(self.l2)),
            Candidates::Batch => (inputs.pairs(None), Regulariser::of_layers(self.l2)),
        };
        let objective = CosineSoftmax::new(inputs.nodes(), inputs.dim, self.tau, self.t2, self.candidates);
        Task { objective: Box::new(objective), sampler, regulariser, n_candidates: 1 }
    }
}
