//! `bpr`: Bayesian personalised ranking, a positive against sampled negatives on inner products.
//!
//! Source: Rendle et al., *BPR*, UAI 2009, eq. 5. The arithmetic is in [`super::pair`].

use super::pair::Pairwise;
use super::{Loss, Negatives, Regulariser, Task, TaskInputs};
use crate::error::Result;
use crate::settings::{Row, between, row, settings};

settings! {
    /// `[objective.bpr]`.
    pub(crate) struct Bpr {
        /// Weight decay of the batch's base embeddings.
        l2: f32 = 1e-4, in between(0.0, 1e6), flag "--l2";
        /// Negatives for each positive.
        n_negatives: usize = 1, in between(1.0, 1000.0);
        /// Items drawn for each negative, of which the one that the model scores highest at that
        /// moment is taken.
        n_candidates: usize = 1, in between(1.0, 100.0);
        /// Where negatives come from.
        negatives: Negatives = Negatives::Uniform;
        /// Exponent of the popularity.
        alpha: f64 = 1.0, in between(0.0, 4.0);
    }
}

pub(super) static ROW: Row<dyn Loss> =
    row!(dyn Loss, Bpr, "bpr", "Bayesian personalised ranking: a positive against sampled negatives");

impl Loss for Bpr {
    fn row(&self) -> &'static Row<dyn Loss> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("objective.bpr")
    }

    fn negatives(&self) -> Option<(Negatives, f64)> {
        Some((self.negatives, self.alpha))
    }

    fn task(&self, inputs: &TaskInputs<'_>) -> Task {
        let sampler = self.negatives.sampler(inputs.train, self.alpha);
        Task {
            objective: Box::new(Pairwise::new(inputs.nodes(), inputs.dim, self.n_negatives)),
            sampler: inputs.pairs(Some((sampler, self.n_negatives * self.n_candidates))),
            regulariser: Regulariser::of_base(self.l2),
            n_candidates: self.n_candidates,
        }
    }
}
