//! The product with the item-item graph: through the users, or by a list of weights.

use super::super::item_weights::{ItemUsers, ItemWeights};
use super::super::user_items::UserItems;
use super::Filter;

/// What `G` is made of.
pub(super) struct Product {
    pub(super) users: UserItems,
    by_item: ItemUsers,
    /// `G` itself, where it is no product.
    pub(super) weights: Option<ItemWeights>,
    /// `[n_users]`: the degree to the power of `-2 a`; 0 without pairs
    per_user: Vec<f32>,
    /// `[n_items]`: the degree to the power of `-b`; 0 without pairs
    per_item: Vec<f32>,
}

/// A degree to a power, and 0 for a node without pairs.
fn power(degree: usize, exponent: f64) -> f64 {
    if degree == 0 { 0.0 } else { (degree as f64).powf(exponent) }
}

impl Product {
    pub(super) fn new(users: UserItems, n_items: usize, weights: Option<ItemWeights>, filter: &Filter) -> Self {
        let by_item = ItemUsers::new(n_items, users.rows());
        let per_user = users.rows().map(|row| power(row.len(), -2.0 * filter.user_power) as f32).collect();
        let per_item = (0..n_items).map(|item| power(by_item.of(item).len(), -filter.item_power) as f32).collect();
        Product { users, by_item, weights, per_user, per_item }
    }

    pub(super) fn n_users(&self) -> usize {
        self.per_user.len()
    }

    pub(super) fn n_items(&self) -> usize {
        self.per_item.len()
    }

    /// The degrees of the items to a power, and 0 for an item without pairs.
    pub(super) fn degrees_to(&self, exponent: f64) -> impl Iterator<Item = f64> + '_ {
        (0..self.n_items()).map(move |item| power(self.by_item.of(item).len(), exponent))
    }

    /// `out = x G` for `W` users side by side; `reached` holds a row for every user of the data.
    /// Sums run in the order of the ids.
    pub(super) fn apply<const W: usize>(&self, x: &[[f32; W]], reached: &mut [[f32; W]], out: &mut [[f32; W]]) {
        match &self.weights {
            Some(weights) => through_weights(weights, x, out),
            None => self.through_users(x, reached, out),
        }
    }

    fn through_users<const W: usize>(&self, x: &[[f32; W]], reached: &mut [[f32; W]], out: &mut [[f32; W]]) {
        for ((out, x), scale) in out.iter_mut().zip(x).zip(&self.per_item) {
            *out = x.map(|value| value * scale);
        }
        for (user, (sum, scale)) in reached.iter_mut().zip(&self.per_user).enumerate() {
            *sum = gather(self.users.row(user), out).map(|value| value * scale);
        }
        for (item, (out, scale)) in out.iter_mut().zip(&self.per_item).enumerate() {
            *out = gather(self.by_item.of(item), reached).map(|value| value * scale);
        }
    }
}

/// The sum of some rows.
fn gather<const W: usize>(rows: &[u32], values: &[[f32; W]]) -> [f32; W] {
    let mut sum = [0.0; W];
    for &row in rows {
        add(&mut sum, &values[row as usize], 1.0);
    }
    sum
}

fn through_weights<const W: usize>(weights: &ItemWeights, x: &[[f32; W]], out: &mut [[f32; W]]) {
    out.fill([0.0; W]);
    // Most items are in nobody's history.
    for (item, x) in (0..).zip(x).filter(|(_, x)| x.iter().any(|&value| value != 0.0)) {
        weights.row(item).for_each(|(other, weight)| add(&mut out[other as usize], x, weight));
    }
}

pub(super) fn add<const W: usize>(sum: &mut [f32; W], values: &[f32; W], factor: f32) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
}
