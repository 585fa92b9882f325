//! `softmax`: softmax over all items on cosines, in batches of users with all their positives.
//!
//! The arithmetic is in [`super::cosine_softmax`].

use std::sync::Arc;

use super::cosine_softmax::{Candidates, CosineSoftmax};
use super::{Config, Loss, Regulariser, Task, TaskInputs};
use crate::error::Result;
use crate::settings::{Row, between, row, settings};

/// Above this number of items the default temperature is [`TAU_OF_MANY_ITEMS`]: with more items to
/// stand against, 0.25 weighs all of them almost alike. On Gowalla's 40,981 items NDCG@20 on
/// validation pairs after 6 epochs is .054 at 0.25, .090 at 0.12 and .092 at 0.08; 0.25 is what
/// validation chose on the 1,682 of MovieLens 100k.
const MANY_ITEMS: usize = 10_000;
const TAU_OF_MANY_ITEMS: f32 = 0.1;

/// Epochs between validations of factors without layers: such an epoch costs hardly more than
/// ranking everything once, and after every fifth a quarter of the time would go into validation.
const FEWER_VALIDATIONS: u64 = 10;

settings! {
    /// `[objective.softmax]`.
    pub(crate) struct Softmax {
        /// Temperature; 0.1 where there are more than 10,000 items and none was chosen.
        tau: f32 = 0.25, in between(0.01, 10.0), flag "--tau";
        /// Weight decay of the batch's base embeddings.
        l2: f32 = 1e-5, in between(0.0, 1e6), flag "--l2";
    }
}

pub(super) static ROW: Row<dyn Loss> =
    row!(dyn Loss, Softmax, "softmax", "softmax over all items on cosines: a user's positives against every item");

impl Loss for Softmax {
    fn row(&self) -> &'static Row<dyn Loss> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("objective.softmax")
    }

    fn cosine(&self) -> bool {
        true
    }

    fn batches_users(&self) -> bool {
        true
    }

    fn default_validate_every(&self) -> Option<u64> {
        Some(FEWER_VALIDATIONS)
    }

    fn settled(&self, n_items: usize, is_set: &dyn Fn(&str) -> bool) -> Option<Config> {
        let lower = n_items > MANY_ITEMS && !is_set("tau");
        lower.then(|| Config::new(Arc::new(Softmax { tau: TAU_OF_MANY_ITEMS, ..self.clone() })))
    }

    fn task(&self, inputs: &TaskInputs<'_>) -> Task {
        Task {
            objective: Box::new(CosineSoftmax::new(inputs.nodes(), inputs.dim, self.tau, 1.0, Candidates::All)),
            sampler: inputs.users(),
            regulariser: Regulariser::of_base(self.l2),
            n_candidates: 1,
        }
    }
}
