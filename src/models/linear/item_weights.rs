//! A sparse item-item model: what having met an item adds to other items' scores, a few items each.

use gcnrec_graphs::{Interactions, ItemId, UserId};
use gcnrec_kernels::ops::top_k::{TopK, select_among, select_top_k};
use ndarray::Array2;
use rayon::prelude::*;

use super::user_items::{UserItems, check_item};
use crate::error::{RecError, Result};
use crate::models::ranking::{most_similar, scores_by_query, top_k_by_query};
use crate::models::state::{State, damaged};
use crate::models::{Query, Scorer};
use crate::objectives::Nodes;

/// `W` as compressed rows: row `i` is what having met item `i` adds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ItemWeights {
    /// `[n_items + 1]`
    ptr: Vec<u32>,
    items: Vec<u32>,
    weights: Vec<f32>,
}

/// Bytes of rows of neighbours (8 for each), once while they are found and once in the model. An
/// item cannot have more than there are items.
pub(super) fn row_bytes(n_items: usize, n_neighbours: usize) -> u128 {
    16 * n_items as u128 * n_neighbours.min(n_items) as u128
}

impl ItemWeights {
    /// From rows of (item, weight), items rising.
    ///
    /// # Errors
    /// [`RecError::Resources`] when there are more weights than a 32-bit position can count.
    pub(super) fn from_rows(rows: &[Vec<(u32, f32)>], key: &str) -> Result<Self> {
        let n = count(rows, key)?;
        let (mut ptr, mut items, mut weights) = (vec![0], Vec::with_capacity(n), Vec::with_capacity(n));
        for row in rows {
            items.extend(row.iter().map(|&(item, _)| item));
            weights.extend(row.iter().map(|&(_, weight)| weight));
            ptr.push(items.len() as u32);
        }
        Ok(ItemWeights { ptr, items, weights })
    }

    /// From columns of (item, weight): of a square matrix, turned round without a second list.
    ///
    /// # Errors
    /// As [`ItemWeights::from_rows`].
    pub(super) fn from_columns(columns: &[Vec<(u32, f32)>], key: &str) -> Result<Self> {
        let n = count(columns, key)?;
        let mut ptr = vec![0u32; columns.len() + 1];
        columns.iter().flatten().for_each(|&(row, _)| ptr[row as usize + 1] += 1);
        for row in 0..columns.len() {
            ptr[row + 1] += ptr[row];
        }
        let (mut next, mut items, mut weights) = (ptr.clone(), vec![0; n], vec![0.0; n]);
        for (column, entries) in (0..).zip(columns) {
            for &(row, weight) in entries {
                let place = next[row as usize] as usize;
                (items[place], weights[place]) = (column, weight);
                next[row as usize] += 1;
            }
        }
        Ok(ItemWeights { ptr, items, weights })
    }

    pub(super) fn n_items(&self) -> usize {
        self.ptr.len() - 1
    }

    /// The items that row `item` adds to, with their weights.
    pub(super) fn row(&self, item: u32) -> impl Iterator<Item = (u32, f32)> + '_ {
        let row = self.ptr[item as usize] as usize..self.ptr[item as usize + 1] as usize;
        self.items[row.clone()].iter().copied().zip(self.weights[row].iter().copied())
    }

    /// Adds the rows to a state.
    pub(super) fn put(&self, state: &mut State) {
        state.put_u32("weight_ptr", &[self.ptr.len()], self.ptr.clone());
        state.put_u32("weight_items", &[self.items.len()], self.items.clone());
        state.put_f32("weights", &[self.weights.len()], self.weights.clone());
    }

    /// Reads what [`ItemWeights::put`] wrote.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when the rows are missing or do not fit together, or when a weight
    /// is negative: these models only add.
    pub(super) fn load(state: &State, n_items: usize) -> Result<Self> {
        let (ptr, items) = (state.u32("weight_ptr")?, state.u32("weight_items")?);
        let weights = state.f32("weights", &[items.len()])?;
        let ends = ptr.first() == Some(&0) && ptr.last().map(|&end| end as usize) == Some(items.len());
        let fits = ends && ptr.len() == n_items + 1 && ptr.is_sorted();
        if !fits || items.iter().any(|&item| item as usize >= n_items) {
            let problem =
                format!("\"weight_ptr\" and \"weight_items\" are not the rows of {n_items} x {n_items} weights");
            return Err(damaged(problem));
        }
        if let Some(weight) = weights.iter().find(|weight| **weight < 0.0) {
            return Err(damaged(format!("\"weights\" holds {weight}, expected no negative weight")));
        }
        Ok(ItemWeights { ptr: ptr.to_vec(), items: items.to_vec(), weights: weights.to_vec() })
    }
}

/// How many weights there are.
fn count(lists: &[Vec<(u32, f32)>], key: &str) -> Result<usize> {
    let n: usize = lists.iter().map(Vec::len).sum();
    if n > u32::MAX as usize {
        return Err(RecError::resources(key, format!("{n} weights"), "fewer than 4294967296")
            .with_todo("lower its number of neighbours"));
    }
    Ok(n)
}

/// A fitted sparse item-item model: a user's scores are the sum of the rows of what the user has
/// met.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SparseItemModel {
    name: &'static str,
    weights: ItemWeights,
    users: UserItems,
}

impl SparseItemModel {
    pub(super) fn new(name: &'static str, weights: ItemWeights, users: UserItems) -> Self {
        SparseItemModel { name, weights, users }
    }

    /// Rebuilds the scorer of that name from its state.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when the state belongs to another model or its parts do not fit
    /// together.
    pub(super) fn load(name: &'static str, state: &State, nodes: Nodes) -> Result<Box<dyn Scorer>> {
        let weights = ItemWeights::load(state, nodes.n_items)?;
        let users = UserItems::load(state, nodes)?;
        Ok(Box::new(SparseItemModel { name, weights, users }))
    }

    /// The weights that having met an item adds, with the items they are added to, rising.
    #[cfg(test)]
    pub(crate) fn weights_of(&self, item: ItemId) -> Vec<(ItemId, f32)> {
        self.weights.row(item.0).map(|(item, weight)| (ItemId(item), weight)).collect()
    }

    /// One query's scores. The rows are added in the order of the items' ids, so the order of a
    /// history does not matter.
    fn score(&self, query: &Query<'_>, out: &mut [f32]) -> Result<()> {
        out.fill(0.0);
        for &met in self.users.of(self.name, query)?.iter() {
            self.weights.row(met).for_each(|(item, weight)| out[item as usize] += weight);
        }
        Ok(())
    }
}

impl Scorer for SparseItemModel {
    fn model(&self) -> &'static str {
        self.name
    }

    fn n_items(&self) -> usize {
        self.weights.n_items()
    }

    fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        scores_by_query(queries, self.n_items(), |query, row| self.score(query, row))
    }

    fn top_k(&self, queries: &[Query<'_>], excluded: &[&[u32]], k: usize) -> Result<TopK> {
        top_k_by_query(queries, (select_top_k, excluded), k, self.n_items(), |query, row| self.score(query, row))
    }

    fn top_k_among(&self, queries: &[Query<'_>], candidates: &[&[u32]], k: usize) -> Result<TopK> {
        top_k_by_query(queries, (select_among, candidates), k, self.n_items(), |query, row| self.score(query, row))
    }

    /// Ranks by what having met this item adds to the others.
    fn similar_items(&self, item: ItemId, k: usize) -> Result<Vec<(ItemId, f32)>> {
        check_item(self.name, "item", item, self.n_items())?;
        let mut similarity = vec![0.0; self.n_items()];
        self.weights.row(item.0).for_each(|(other, weight)| similarity[other as usize] = weight);
        most_similar(&similarity, item, k)
    }

    fn shares(&self, query: &Query<'_>, item: ItemId) -> Result<Vec<(ItemId, f32)>> {
        check_item(self.name, "item", item, self.n_items())?;
        let weight = |met: u32| self.weights.row(met).find(|(other, _)| *other == item.0).map_or(0.0, |(_, w)| w);
        Ok(self.users.of(self.name, query)?.iter().map(|&met| (ItemId(met), weight(met))).collect())
    }

    fn state(&self) -> State {
        let mut state = State::default();
        self.weights.put(&mut state);
        self.users.put(&mut state);
        state
    }
}

/// The users of every item, as compressed rows: the transpose of the training pairs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ItemUsers {
    /// `[n_items + 1]`
    ptr: Vec<u32>,
    /// `[n_edges]`, rising within an item
    users: Vec<u32>,
}

impl ItemUsers {
    /// Transposes rows of users' items.
    pub(super) fn new<'a>(n_items: usize, rows: impl Iterator<Item = &'a [u32]> + Clone) -> Self {
        let mut ptr = vec![0u32; n_items + 1];
        rows.clone().flatten().for_each(|&item| ptr[item as usize + 1] += 1);
        for item in 0..n_items {
            ptr[item + 1] += ptr[item];
        }
        let (mut next, mut users) = (ptr.clone(), vec![0; ptr[n_items] as usize]);
        for (user, row) in (0..).zip(rows) {
            for &item in row {
                let place = &mut next[item as usize];
                users[*place as usize] = user;
                *place += 1;
            }
        }
        ItemUsers { ptr, users }
    }

    pub(super) fn of(&self, item: usize) -> &[u32] {
        &self.users[self.ptr[item] as usize..self.ptr[item + 1] as usize]
    }
}

/// For each item the `n_neighbours` items with the largest weights, items rising:
/// `weight(item, other, sum)` of the sum of `user_weight` over their common users. Equal weights:
/// the lower id stays. Items that share no user are no neighbours.
pub(super) fn nearest(
    train: &Interactions,
    n_neighbours: usize,
    user_weight: impl Fn(u32) -> f64 + Sync,
    weight: impl Fn(u32, u32, f64) -> f64 + Sync,
) -> Vec<Vec<(u32, f32)>> {
    let n_items = train.n_items();
    let rows = (0..train.n_users() as u32).map(|user| train.items_of(UserId(user)));
    let by_item = ItemUsers::new(n_items, rows);
    type Work = (Vec<f64>, Vec<u32>, Vec<(u32, f32)>);
    let row = |(sums, touched, found): &mut Work, item: u32| -> Vec<(u32, f32)> {
        for &user in by_item.of(item as usize) {
            let share = user_weight(user);
            for &other in train.items_of(UserId(user)).iter().filter(|&&other| other != item) {
                if sums[other as usize] == 0.0 {
                    touched.push(other);
                }
                sums[other as usize] += share;
            }
        }
        let all = touched.drain(..).map(|other| {
            let sum = std::mem::take(&mut sums[other as usize]);
            (other, weight(item, other, sum) as f32)
        });
        found.clear();
        found.extend(all.filter(|&(_, weight)| weight > 0.0));
        best_of(found, n_neighbours)
    };
    (0..n_items as u32).into_par_iter().map_init(|| (vec![0.0; n_items], Vec::new(), Vec::new()), row).collect()
}

/// The `n` entries with the largest weights, items rising, in a list that is no longer than they
/// are: next to a user of many items every item has as many neighbours, and only `n` are kept.
fn best_of(found: &mut Vec<(u32, f32)>, n: usize) -> Vec<(u32, f32)> {
    if n < found.len() {
        found.select_nth_unstable_by(n, |a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found.truncate(n);
    }
    found.sort_unstable_by_key(|&(other, _)| other);
    found.to_vec()
}

#[cfg(test)]
mod tests;
