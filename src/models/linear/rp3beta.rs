//! RP3beta: an item is scored by the random walks of three steps that lead to it, popular ends
//! discounted.
//!
//! With `d` the degrees, the walk user → item `i` → user `v` → item `j` has
//! `W_ij = sum_v (1 / d_i)^alpha (1 / d_v)^alpha / d_j^beta`; a user's scores are the sums of the
//! rows of what the user has met. The first step gives each of the user's items the same weight,
//! which changes no order.
//!
//! # Source
//! Paudel et al., *Updatable, Accurate, Diverse, and Scalable Recommendations for Interactive
//! Applications*, TiiS 2017. As in the baselines of Ferrari Dacrema et al., RecSys 2019, each item
//! keeps only its `neighbours` largest weights.

use gcnrec_graphs::{Interactions, UserId};
use gcnrec_kernels::Device;

use super::item_weights::{ItemWeights, SparseItemModel, nearest, row_bytes};
use super::user_items::UserItems;
use crate::error::Result;
use crate::models::state::State;
use crate::models::{ClosedForm, Fit, Memory, Model, Procedure, Scorer, TrainingSize};
use crate::objectives::Nodes;
use crate::settings::{Row, between, row, settings};

/// RP3beta in the list of models.
pub(crate) static ROW: Row<dyn Model> =
    row!(dyn Model, Config, "rp3beta", "Random walks of three steps, popular ends discounted");

settings! {
    /// `[model.rp3beta]`.
    pub(crate) struct Config {
        /// Power of the walk's probabilities.
        alpha: f64 = 1.0, in between(0.0, 4.0);
        /// How strongly popular items are discounted.
        beta: f64 = 0.6, in between(0.0, 4.0);
        /// Items that each item leads to.
        neighbours: usize = 200, in between(1.0, 1e5);
    }
}

impl Model for Config {
    fn row(&self) -> &'static Row<dyn Model> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("model.rp3beta")
    }

    fn memory(&self, size: &TrainingSize<'_>) -> Result<Memory> {
        Ok(Memory::of_tables(ROW.name, row_bytes(size.n_items, self.neighbours), size, "model.rp3beta.neighbours"))
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

/// Walks from every item.
///
/// # Errors
/// [`crate::RecError::Config`] for a value outside its range.
pub(crate) fn fit(train: &Interactions, config: &Config) -> Result<SparseItemModel> {
    config.validate()?;
    let degree: Vec<f64> = train.item_counts().into_iter().map(f64::from).collect();
    let leave = |user: u32| (train.user_degree(UserId(user)) as f64).powf(-config.alpha);
    let walk = |item: u32, other: u32, sum: f64| {
        sum * degree[item as usize].powf(-config.alpha) * degree[other as usize].powf(-config.beta)
    };
    let rows = nearest(train, config.neighbours, leave, walk);
    Ok(SparseItemModel::new(ROW.name, ItemWeights::from_rows(&rows, "model.rp3beta")?, UserItems::new(train)))
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
    use approx::assert_abs_diff_eq;
    use gcnrec_graphs::ItemId;

    /// Users {0, 1}, {0, 1, 2}, {0}, {2}.
    fn tiny() -> Interactions {
        let pairs = [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 0), (3, 2)];
        Interactions::from_pairs(4, 3, pairs.map(|(u, i)| (UserId(u), ItemId(i)))).unwrap()
    }

    fn row(config: &Config, item: u32) -> Vec<(u32, f32)> {
        let row = fit(&tiny(), config).unwrap().weights_of(ItemId(item));
        row.into_iter().map(|(item, weight)| (item.0, weight)).collect()
    }

    #[test]
    fn a_weight_is_the_probability_of_the_walk_over_the_discount() {
        // From item 0 (d 3) to 1 (d 2): over users 0 (d 2) and 1 (d 3): 1/3 (1/2 + 1/3) / 2^.5; to
        // 2 (d 2): 1/3 * 1/3 / 2^.5.
        let config = Config { alpha: 1.0, beta: 0.5, neighbours: 9 };
        let found = row(&config, 0);
        assert_eq!(found.iter().map(|&(item, _)| item).collect::<Vec<_>>(), [1, 2]);
        assert_abs_diff_eq!(found[0].1, (5.0 / 18.0) / 2f32.sqrt(), epsilon = 1e-7);
        assert_abs_diff_eq!(found[1].1, (1.0 / 9.0) / 2f32.sqrt(), epsilon = 1e-7);
    }

    #[test]
    fn only_the_largest_weights_stay_and_without_powers_common_users_are_counted() {
        let config = Config { alpha: 0.0, beta: 0.0, neighbours: 1 };
        assert_eq!(row(&config, 0), [(1, 2.0)]);
        assert_eq!(row(&config, 2), [(0, 1.0)], "a tie stays with the lower id");
    }

    #[test]
    fn values_outside_their_range_are_refused() {
        let message = |config: Config| fit(&tiny(), &config).unwrap_err().to_string();
        assert!(message(Config { alpha: -0.1, ..Config::default() }).starts_with("model.rp3beta.alpha: found -0.1"));
        assert!(message(Config { beta: f64::NAN, ..Config::default() }).starts_with("model.rp3beta.beta: found NaN"));
        assert!(
            message(Config { neighbours: 0, ..Config::default() }).starts_with("model.rp3beta.neighbours: found 0")
        );
    }
}
