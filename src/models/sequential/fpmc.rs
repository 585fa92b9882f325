//! FPMC: factorised Markov chains; a user and the last item are each factorised with the next item:
//! `s(u, l, j) = A_u . B_j + C_l . D_j`.
//!
//! There is no tape: the score of an item is the inner product of `[A_u, C_l]` with `[B_j, D_j]`,
//! so the gradients are those two vectors. With the loss `bpr`, `-log s(s(u, l, i) - s(u, l, j))`
//! with one sampled `j` for every next item `i`; with `softmax`, cross-entropy over all items.
//!
//! # Source
//! Rendle et al., *Factorizing Personalized Markov Chains for Next-Basket Recommendation*, WWW
//! 2010, eq. 8 and 12, with baskets of one item; sizes and initial weights are those of RecBole
//! 1.2.1 (`model/sequential_recommender/fpmc.py`). The third factorisation of the paper, user with
//! last item, falls out of every comparison of two items. A negative is any item but the next one,
//! as in both. Deliberate difference: a user who was not in training is answered by the last item
//! alone.

mod learner;
mod scorer;
mod table;

use gcnrec_kernels::Device;
use serde::{Deserialize, Serialize};

use super::training::{settled, table_bytes};
use super::{SequentialModel, Setup};
use crate::error::Result;
use crate::models::state::State;
use crate::models::{Learner, Memory, Model, Procedure, Scorer, Settled, TrainingSize};
use crate::objectives::{self, Nodes};
use crate::settings::{Row, between, name_setting, row, settings};
pub(crate) use learner::FpmcLearner;
pub(crate) use scorer::Fpmc;

/// FPMC in the list of models.
pub(crate) static ROW: Row<dyn Model> =
    row!(dyn Model, Config, "fpmc", "Who the user is and what the last item was, each as a factorisation");

/// Next items in a batch where no number was chosen.
pub(crate) const BATCH_SIZE: usize = 2048;
/// Stands for the last item of a user who has none.
const NOBODY: u32 = u32::MAX;
/// The tables by name: `A`, `C`, and `B` and `D` side by side.
const TABLES: [&str; 3] = ["users", "last_items", "next_items"];

settings! {
    /// `[model.fpmc]`.
    pub(crate) struct Config {
        /// Width of each of its four tables.
        dim: usize = 64, in between(1.0, 4096.0), flag "--dim";
        /// The next item against one that was drawn, or against all.
        loss: Loss = Loss::Bpr;
    }
}

/// What FPMC is trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Loss {
    /// The next item against one that was drawn.
    Bpr,
    /// The next item against all.
    Softmax,
}

name_setting!(Loss, "loss");

impl Model for Config {
    fn row(&self) -> &'static Row<dyn Model> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("model.fpmc")
    }

    fn settled(&self, _loss: Option<&objectives::Config>, _n_users: usize) -> Settled {
        settled(BATCH_SIZE)
    }

    /// A table of users, one of last items, and two of next items.
    fn memory(&self, size: &TrainingSize<'_>) -> Result<Memory> {
        let host = table_bytes(size.n_users + 3 * size.n_items, self.dim);
        Ok(Memory::of_tables(ROW.name, host, size, "model.fpmc.dim"))
    }

    fn load(&self, _device: &Device, state: &State, nodes: Nodes) -> Result<Box<dyn Scorer>> {
        Ok(Box::new(Fpmc::load(state, nodes)?))
    }

    fn procedure(&self) -> Procedure<'_> {
        Procedure::Sequential(self)
    }
}

impl SequentialModel for Config {
    fn learner(&self, setup: Setup) -> Result<Box<dyn Learner>> {
        Ok(Box::new(FpmcLearner::new(self.clone(), setup)?))
    }

    fn item_dim(&self) -> Option<usize> {
        None
    }

    fn can_be_finetuned(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
