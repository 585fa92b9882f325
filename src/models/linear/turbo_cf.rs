//! Turbo-CF: a polynomial of the item-item graph, whose entries are raised to a power.
//!
//! With `R` the 0/1 matrix of users and items, `D_U` and `D_I` its degrees,
//! `N = D_U^-alpha R D_I^(alpha - 1)` and `P = (N^T N)^power`, entry by entry, the scores of a user
//! with row `r` are `r P` (order 1), `r (2 P - P^2)` (order 2) or
//! `r (P + .01 (-P^3 + 10 P^2 - 29 P))` (order 3). With `power = 1` nothing is listed: each factor
//! `P` is two sparse products. Any other power needs the entries, so each item keeps its own and
//! those of its `neighbours` strongest.
//!
//! # Source
//! Park et al., *Turbo-CF: Matrix Decomposition-Free Graph Filtering for Fast Recommendation*,
//! SIGIR 2024. The defaults are the published settings of Gowalla. We differ: the authors keep all
//! neighbours; on Gowalla 1,000 cost .005 of Recall@20, 4,000 cost .0013, against the default.

use gcnrec_graphs::{Interactions, UserId};
use gcnrec_kernels::Device;

use super::item_weights::{ItemUsers, ItemWeights, nearest, row_bytes};
use super::polynomial::{self, Filter, Filtering};
use crate::error::Result;
use crate::models::memory::available_bytes;
use crate::models::state::State;
use crate::models::{Memory, Model, Procedure, Scorer, TrainingSize};
use crate::objectives::Nodes;
use crate::settings::{Row, Unread, above_up_to, between, row, settings};

/// Turbo-CF in the list of models.
pub(crate) static ROW: Row<dyn Model> =
    row!(dyn Model, Config, "turbo_cf", "A polynomial of the item-item graph, its entries raised to a power");

settings! {
    /// `[model.turbo_cf]`.
    pub(crate) struct Config {
        /// Power by which users' degrees divide; that of items is one less this.
        alpha: f64 = 0.6, in between(0.0, 1.0);
        /// Power of the entries of the item-item graph.
        power: f64 = 0.7, in above_up_to(0.0, 4.0);
        /// Order of the polynomial: 1 is linear.
        order: usize = 1, in between(1.0, 3.0);
        /// Strongest neighbours that each item keeps, where the power is not 1.
        neighbours: usize = 20_000, in between(1.0, 1e5);
    }
}

impl Config {
    /// The lists of neighbours. Each user makes neighbours of the pairs among their items, so
    /// sparse data need far less than so many for each item; that is known with the data.
    fn list_memory(&self, train: &Interactions) -> Memory {
        let squares = (0..train.n_users() as u32).map(|user| (train.items_of(UserId(user)).len() as u128).pow(2));
        Memory {
            host: row_bytes(train.n_items(), self.neighbours + 1).min(row_bytes(1, 1) * squares.sum::<u128>()),
            host_of: format!("the neighbours of {} items", train.n_items()),
            todo: "lower model.turbo_cf.neighbours, or set model.turbo_cf.power = 1".into(),
            ..Memory::nothing(ROW.name)
        }
    }

    /// `P`, with the strongest neighbours of each item.
    fn strongest(&self, train: &Interactions) -> Result<ItemWeights> {
        let to = |degree: f64, exponent: f64| if degree == 0.0 { 0.0 } else { degree.powf(exponent) };
        let per_item: Vec<f64> =
            train.item_counts().into_iter().map(|count| to(f64::from(count), self.alpha - 1.0)).collect();
        let per_user: Vec<f64> = (0..train.n_users() as u32)
            .map(|user| to(train.items_of(UserId(user)).len() as f64, -2.0 * self.alpha))
            .collect();
        let entry = |a: u32, b: u32, sum: f64| (sum * per_item[a as usize] * per_item[b as usize]).powf(self.power);
        let mut rows = nearest(train, self.neighbours, |user| per_user[user as usize], entry);
        let by_item = ItemUsers::new(train.n_items(), (0..train.n_users() as u32).map(|u| train.items_of(UserId(u))));
        for (item, row) in (0..).zip(&mut rows).filter(|&(item, _)| !by_item.of(item as usize).is_empty()) {
            let sum = by_item.of(item as usize).iter().map(|&user| per_user[user as usize]).sum();
            let place = row.partition_point(|&(other, _)| other < item);
            row.insert(place, (item, entry(item, item, sum) as f32));
        }
        // The neighbours of an item are what its score is a sum over: a column.
        ItemWeights::from_columns(&rows, "model.turbo_cf")
    }
}

impl Filtering for Config {
    fn filter(&self) -> Filter {
        let history = match self.order {
            1 => vec![0.0, 1.0],
            2 => vec![0.0, 2.0, -1.0],
            _ => vec![0.0, 1.0 - 0.29, 0.1, -0.01],
        };
        Filter { history, user_power: self.alpha, item_power: 1.0 - self.alpha, ..Filter::default() }
    }

    fn lists_weights(&self) -> bool {
        self.power != 1.0
    }

    fn weights(&self, train: &Interactions) -> Result<Option<ItemWeights>> {
        if !self.lists_weights() {
            return Ok(None);
        }
        self.list_memory(train).check_host(available_bytes())?;
        self.strongest(train).map(Some)
    }
}

impl Model for Config {
    fn row(&self) -> &'static Row<dyn Model> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("model.turbo_cf")
    }

    fn unread(&self, at: &str) -> Vec<Unread> {
        if self.lists_weights() || self.neighbours == Config::default().neighbours {
            return Vec::new();
        }
        let todo = "choose another power, or remove the setting";
        vec![Unread::new(format!("{at}.neighbours"), "a power of 1", todo, format!("{at}.power"))]
    }

    fn memory(&self, size: &TrainingSize<'_>) -> Result<Memory> {
        Ok(polynomial::memory(self, size, "model.turbo_cf.neighbours"))
    }

    fn load(&self, _device: &Device, state: &State, nodes: Nodes) -> Result<Box<dyn Scorer>> {
        polynomial::load::<Config>(state, nodes)
    }

    fn procedure(&self) -> Procedure<'_> {
        Procedure::ClosedForm(self)
    }
}

#[cfg(test)]
mod tests {
    use super::super::polynomial::tests::{World, check};
    use super::*;

    #[test]
    fn scores_are_the_dense_formula_listed_or_not() {
        for (alpha, power, order) in [(0.6, 0.7, 1), (0.6, 1.0, 2), (0.5, 1.4, 2), (0.3, 1.0, 3), (0.6, 0.7, 3)] {
            let config = Config { alpha, power, order, neighbours: 100 };
            check(&config, |world: &World, r| {
                let mut p = world.gram(alpha, 1.0 - alpha);
                p.iter_mut().flatten().for_each(|entry| *entry = entry.powf(power));
                let once = world.times(r, &p);
                let twice = world.times(&once, &p);
                let thrice = world.times(&twice, &p);
                let value = |i: usize| match order {
                    1 => once[i],
                    2 => 2.0 * once[i] - twice[i],
                    _ => once[i] + 0.01 * (-thrice[i] + 10.0 * twice[i] - 29.0 * once[i]),
                };
                (0..r.len()).map(value).collect()
            });
        }
    }

    #[test]
    fn each_item_keeps_itself_and_its_strongest_neighbour() {
        // Users {0, 1}, {0, 1}, {0, 2}: degrees of items 3, 2, 1. With alpha = 1/2 and power 2,
        // P_01 = ((1/2 + 1/2) / sqrt 6)^2 = 1/6, P_02 = (1/2 / sqrt 3)^2 = 1/12,
        // P_00 = (3/2 / 3)^2 = 1/4.
        let pairs = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 2)];
        let pairs = pairs.map(|(u, i)| (UserId(u), gcnrec_graphs::ItemId(i)));
        let train = Interactions::from_pairs(3, 3, pairs).unwrap();
        let config = Config { alpha: 0.5, power: 2.0, neighbours: 1, ..Config::default() };
        let weights = config.strongest(&train).unwrap();
        let row =
            |item| weights.row(item).map(|(other, weight)| (other, (weight * 1200.0).round())).collect::<Vec<_>>();
        // Item 0 hears item 1 and not 2; 1 and 2 hear 0. P_11 = (1 / 2)^2, P_22 = (1/2)^2.
        assert_eq!(row(0), [(0, 300.0), (1, 200.0), (2, 100.0)]);
        assert_eq!(row(1), [(0, 200.0), (1, 300.0)]);
        assert_eq!(row(2), [(2, 300.0)]);
    }

    #[test]
    fn lists_are_as_long_as_the_settings_and_the_data_let_them_be() {
        let bytes = |pairs: &[(u32, u32)], neighbours| {
            let pairs = pairs.iter().map(|&(u, i)| (UserId(u), gcnrec_graphs::ItemId(i)));
            let train = Interactions::from_pairs(3, 3, pairs).unwrap();
            Config { neighbours, ..Config::default() }.list_memory(&train).host
        };
        // 16 bytes an entry. Three users of two items each: at most 12 entries, and 3 items x 3, or
        // x 2 with one neighbour beside the item itself.
        let pairs = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 2)];
        assert_eq!((bytes(&pairs, 100), bytes(&pairs, 1)), (16 * 9, 16 * 6));
        assert_eq!(bytes(&[(0, 0), (1, 2)], 100), 16 * 2, "users of one item make no neighbours");
    }

    #[test]
    fn neighbours_beside_a_power_of_one_are_not_read() {
        let config = Config { power: 1.0, neighbours: 7, ..Config::default() };
        assert_eq!(config.unread("model.turbo_cf")[0].key, "model.turbo_cf.neighbours");
        assert!(Config { neighbours: 7, ..Config::default() }.unread("model.turbo_cf").is_empty());
        assert!(Config { order: 4, ..Config::default() }.validate().is_err());
    }
}
