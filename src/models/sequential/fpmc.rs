//! FPMC: who the user is and what they did last, each as a factorisation: `s(u, l, j) = A_u . B_j + C_l . D_j`.
//!
//! There is no tape: the score of an item is the inner product of `[A_u, C_l]` with `[B_j, D_j]`, so the gradients are those two vectors. With the loss
//! `bpr`, `-log s(s(u, l, i) - s(u, l, j))` with one sampled `j` for every next item `i`; with `softmax`, cross-entropy over all items.
//!
//! # Source
//! Rendle et al., *Factorizing Personalized Markov Chains for Next-Basket Recommendation*, WWW 2010, eq. 8 and 12, with baskets of one item; sizes and
//! initial weights are those of RecBole 1.2.1 (`model/sequential_recommender/fpmc.py`). The third factorisation of the paper, user with last item, falls out
//! of every comparison of two items. A negative is any item but the next one, as in both. Deliberate difference: a user who was not in training is told by the
//! last item alone.

mod learner;
mod scorer;
mod table;

use serde::{Deserialize, Serialize};

use super::expect;
use crate::error::Result;
pub use learner::FpmcLearner;
pub use scorer::Fpmc;

/// The name in the registry.
pub const NAME: &str = "fpmc";
/// Next items in a batch where no number was chosen.
pub const BATCH_SIZE: usize = 2048;
/// Stands for the last item of a user who has none.
const NOBODY: u32 = u32::MAX;
/// The tables by name: `A`, `C`, and `B` and `D` side by side.
const TABLES: [&str; 3] = ["users", "last_items", "next_items"];

/// `[model.fpmc]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Width of each of the four tables, 1..=4096. Default 64.
    pub dim: usize,
    /// The loss. Default `bpr`.
    pub loss: Loss,
}

/// What FPMC is trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The next item against one that was drawn.
    Bpr,
    /// The next item against all.
    Softmax,
}

impl Default for Config {
    fn default() -> Self {
        Config { dim: 64, loss: Loss::Bpr }
    }
}

impl Config {
    /// Refuses values outside their ranges.
    ///
    /// # Errors
    /// [`crate::RecError::Config`] for the first value outside its range.
    pub fn validate(&self) -> Result<()> {
        let whole = (1..=4096).contains(&self.dim);
        expect(whole, "model.fpmc.dim".into(), self.dim, "a whole number from 1 to 4096")
    }
}

#[cfg(test)]
mod tests;
