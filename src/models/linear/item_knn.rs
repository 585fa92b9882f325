//! Item kNN: an item is scored by its nearest neighbours among the items that the user has met.
//!
//! With `n_ij` the users of both items and `d_i` those of one, the similarity is the shrunk cosine
//! `n_ij / (sqrt(d_i d_j) + shrink)`. Item `j` keeps its `neighbours` most similar items, and a
//! user's score of `j` is the sum of the similarities of those of them that the user has met.
//!
//! # Source
//! Sarwar et al., WWW 2001; the shrink term as in Bell and Koren, ICDM 2007, and in the baselines
//! of Ferrari Dacrema et al., RecSys 2019. Scores are sums and not averages: with 0/1 data an
//! average forgets how many neighbours agree.

use gcnrec_graphs::Interactions;
use gcnrec_kernels::Device;

use super::item_weights::{ItemWeights, SparseItemModel, nearest, row_bytes};
use super::user_items::UserItems;
use crate::error::Result;
use crate::models::state::State;
use crate::models::{ClosedForm, Fit, Memory, Model, Procedure, Scorer, TrainingSize};
use crate::objectives::Nodes;
use crate::settings::{Row, at_least, between, row, settings};

/// Item kNN in the list of models.
pub(crate) static ROW: Row<dyn Model> = row!(dyn Model, Config, "item_knn", "The nearest items by shrunk cosine");

settings! {
    /// `[model.item_knn]`.
    pub(crate) struct Config {
        /// Most similar items that each item keeps.
        neighbours: usize = 200, in between(1.0, 1e5);
        /// Added to the denominator of the cosine, in numbers of users.
        shrink: f64 = 10.0, in at_least(0.0);
    }
}

impl Model for Config {
    fn row(&self) -> &'static Row<dyn Model> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("model.item_knn")
    }

    fn memory(&self, size: &TrainingSize<'_>) -> Result<Memory> {
        Ok(Memory::of_tables(ROW.name, row_bytes(size.n_items, self.neighbours), size, "model.item_knn.neighbours"))
    }

    fn load(&self, _device: &Device, state: &State, nodes: Nodes) -> Result<Box<dyn Scorer>> {
        load(state, nodes)
    }

    fn procedure(&self) -> Procedure<'_> {
        Procedure::ClosedForm(self)
    }
}

impl ClosedForm for Config {
    fn fit(&self, data: &Fit<'_>) -> Result<Box<dyn Scorer>> {
        Ok(Box::new(fit(data.train, self)?))
    }
}

/// Finds the neighbours of every item.
///
/// # Errors
/// [`crate::RecError::Config`] for a value outside its range.
pub(crate) fn fit(train: &Interactions, config: &Config) -> Result<SparseItemModel> {
    config.validate()?;
    let degree: Vec<f64> = train.item_counts().into_iter().map(f64::from).collect();
    let similarity = |item: u32, other: u32, common: f64| {
        common / ((degree[item as usize] * degree[other as usize]).sqrt() + config.shrink)
    };
    let neighbours = nearest(train, config.neighbours, |_| 1.0, similarity);
    // Item `j`'s neighbours are a column of the weights: row `i` is what having met `i` adds.
    let weights = ItemWeights::from_columns(&neighbours, "model.item_knn")?;
    Ok(SparseItemModel::new(ROW.name, weights, UserItems::new(train)))
}

/// Rebuilds the scorer from its state.
///
/// # Errors
/// [`crate::RecError::Checkpoint`] when the state belongs to another model or its parts do not fit
/// together.
pub(crate) fn load(state: &State, nodes: Nodes) -> Result<Box<dyn Scorer>> {
    SparseItemModel::load(ROW.name, state, nodes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Query;
    use approx::assert_abs_diff_eq;
    use gcnrec_graphs::{ItemId, UserId};

    /// Users {0, 1}, {0, 1, 2}, {0}, {2}: degrees 3, 2, 2; n_01 = 2, n_02 = 1, n_12 = 1.
    fn tiny() -> Interactions {
        let pairs = [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 0), (3, 2)];
        Interactions::from_pairs(4, 3, pairs.map(|(u, i)| (UserId(u), ItemId(i)))).unwrap()
    }

    fn scores(config: &Config, user: u32) -> Vec<f32> {
        let query = Query { user: Some(UserId(user)), history: &[] };
        fit(&tiny(), config).unwrap().scores(&[query]).unwrap().into_iter().collect()
    }

    #[test]
    fn similarities_are_shrunk_cosines_and_scores_their_sums() {
        // shrink 1: s_01 = 2 / (sqrt 6 + 1), s_02 = 1 / (sqrt 6 + 1), s_12 = 1 / (2 + 1).
        let (a, b, c) = (2.0 / (6f32.sqrt() + 1.0), 1.0 / (6f32.sqrt() + 1.0), 1.0 / 3.0);
        let config = Config { neighbours: 5, shrink: 1.0 };
        assert_abs_diff_eq!(&scores(&config, 0)[..], &[a, a, b + c][..], epsilon = 1e-6);
        assert_abs_diff_eq!(&scores(&config, 3)[..], &[b, c, 0.0][..], epsilon = 1e-6);
    }

    #[test]
    fn each_item_keeps_its_own_nearest() {
        // Without shrink: s_01 = .816, s_02 = .408, s_12 = .5. Nearest of 0 is 1, of 1 is 0, of 2
        // is 1.
        let config = Config { neighbours: 1, shrink: 0.0 };
        let (near, far) = (2.0 / 6f32.sqrt(), 0.5);
        assert_abs_diff_eq!(&scores(&config, 0)[..], &[near, near, far][..], epsilon = 1e-6);
        assert_abs_diff_eq!(&scores(&config, 3)[..], &[0.0, 0.0, 0.0][..], epsilon = 1e-6);
    }

    #[test]
    fn values_outside_their_range_are_refused() {
        let message = |config: Config| fit(&tiny(), &config).unwrap_err().to_string();
        assert!(
            message(Config { neighbours: 0, ..Config::default() }).starts_with("model.item_knn.neighbours: found 0")
        );
        assert!(message(Config { shrink: -1.0, ..Config::default() }).starts_with("model.item_knn.shrink: found -1"));
    }

    #[test]
    fn a_damaged_state_is_refused() {
        let mut state = fit(&tiny(), &Config::default()).unwrap().state();
        state.put_u32("weight_ptr", &[4], vec![0, 9, 2, 4]);
        assert_eq!(load(&state, Nodes { n_users: 4, n_items: 3 }).err().map(|error| error.exit_code()), Some(6));
    }
}
