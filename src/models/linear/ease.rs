//! EASE: every item is predicted from the other items by one ridge regression, solved for all items
//! at once.
//!
//! With `X` the 0/1 user-item matrix, `G = X^T X + l2 I` and `P = G^-1`, the weights are
//! `B[i, j] = -P[i, j] / P[j, j]`, and 0 on the diagonal; a user's scores are `x B`, the sum of the
//! rows of the items that the user has met.
//!
//! # Source
//! Steck, *Embarrassingly Shallow Autoencoders for Sparse Data*, WWW 2019, eq. 5-8 and algorithm 1.
//! We differ: the inverse is built in place from a Cholesky factor in f64, and stored in f32; a
//! known user is scored from the training items kept with the model.

mod inverse;
mod memory;

use gcnrec_graphs::{Interactions, ItemId};
use gcnrec_kernels::Device;
use gcnrec_kernels::ops::top_k::{TopK, select_among, select_top_k};
use ndarray::Array2;
use rayon::prelude::*;

use super::user_items::{UserItems, check_item};
use crate::error::Result;
use crate::models::memory::available_bytes;
use crate::models::ranking::{most_similar, scores_by_query, top_k_by_query};
use crate::models::state::State;
use crate::models::{ClosedForm, Fit, Memory, Model, Procedure, Query, Scorer, TrainingSize};
use crate::objectives::Nodes;
use crate::settings::{Row, above, row, settings};

/// EASE in the list of models.
pub(crate) static ROW: Row<dyn Model> = row!(dyn Model, Config, "ease", "A linear item-item model in closed form");

settings! {
    /// `[model.ease]`.
    pub(crate) struct Config {
        /// Strength of the ridge, in numbers of users.
        l2: f64 = 300.0, in above(0.0), flag "--l2";
        /// More items than this are refused.
        max_items: usize = 30_000, in above(0.0);
    }
}

impl Model for Config {
    fn row(&self) -> &'static Row<dyn Model> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("model.ease")
    }

    fn memory(&self, size: &TrainingSize<'_>) -> Result<Memory> {
        memory::of(size.n_items, self.max_items)
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

/// A fitted item-item model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ease {
    n_items: usize,
    /// `B`: `[n_items, n_items]`, row-major; row `i` is what having met item `i` adds to every
    /// item's score.
    weights: Vec<f32>,
    users: UserItems,
}

/// Solves the regressions. Takes time of the order of `n_items^3`, on one core, and the same bits
/// for any number of threads.
///
/// # Errors
/// [`crate::RecError::Config`] for a value outside its range or an `l2` too small for f64,
/// [`crate::RecError::Resources`] when there are too many items for the limit or for the memory.
pub(crate) fn fit(train: &Interactions, config: &Config) -> Result<Ease> {
    config.validate()?;
    let n = train.n_items();
    memory::of(n, config.max_items)?.check_host(available_bytes())?;
    let inverse = inverse::ridge_inverse(train, config.l2)?;
    let mut weights = vec![0.0; n * n];
    if n > 0 {
        weights.par_chunks_exact_mut(n).enumerate().for_each(|(row, weights)| {
            for (column, weight) in weights.iter_mut().enumerate().filter(|&(column, _)| column != row) {
                // Adding zero turns -0 into 0: items that never met should not print a sign.
                *weight = (-inverse.at(row, column) / inverse.at(column, column)) as f32 + 0.0;
            }
        });
    }
    Ok(Ease { n_items: n, weights, users: UserItems::new(train) })
}

/// Rebuilds the scorer from its state.
///
/// # Errors
/// [`crate::RecError::Checkpoint`] when the state belongs to another model or its parts do not fit
/// together.
pub(crate) fn load(state: &State, nodes: Nodes) -> Result<Box<dyn Scorer>> {
    let n_items = nodes.n_items;
    let weights = state.f32("weights", &[n_items, n_items])?.to_vec();
    Ok(Box::new(Ease { n_items, weights, users: UserItems::load(state, nodes)? }))
}

impl Ease {
    fn row(&self, item: usize) -> &[f32] {
        &self.weights[item * self.n_items..(item + 1) * self.n_items]
    }

    /// One query's scores. The rows are added in the order of the items' ids, so the order of a
    /// history does not matter.
    fn score(&self, query: &Query<'_>, out: &mut [f32]) -> Result<()> {
        out.fill(0.0);
        for &item in self.users.of(ROW.name, query)?.iter() {
            out.iter_mut().zip(self.row(item as usize)).for_each(|(score, weight)| *score += weight);
        }
        Ok(())
    }
}

impl Scorer for Ease {
    fn model(&self) -> &'static str {
        ROW.name
    }

    fn n_items(&self) -> usize {
        self.n_items
    }

    fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        scores_by_query(queries, self.n_items, |query, row| self.score(query, row))
    }

    fn top_k(&self, queries: &[Query<'_>], excluded: &[&[u32]], k: usize) -> Result<TopK> {
        top_k_by_query(queries, (select_top_k, excluded), k, self.n_items, |query, row| self.score(query, row))
    }

    fn top_k_among(&self, queries: &[Query<'_>], candidates: &[&[u32]], k: usize) -> Result<TopK> {
        top_k_by_query(queries, (select_among, candidates), k, self.n_items, |query, row| self.score(query, row))
    }

    /// Ranks by the partial correlation of the two items given all others: the geometric mean of
    /// `B[item, j]` and `B[j, item]` with their common sign,
    /// `-P[item, j] / sqrt(P[item, item] P[j, j])`. It is symmetric, and a row of `B` alone would
    /// favour popular items.
    fn similar_items(&self, item: ItemId, k: usize) -> Result<Vec<(ItemId, f32)>> {
        check_item(ROW.name, "item", item, self.n_items)?;
        let column = self.weights.iter().skip(item.index()).step_by(self.n_items);
        let similarity: Vec<f32> = self
            .row(item.index())
            .iter()
            .zip(column)
            // The two differ by a positive factor; a product below zero can only be a rounding of
            // zero.
            .map(|(there, back)| {
                (f64::from(*there) * f64::from(*back)).max(0.0).sqrt().copysign(f64::from(*there)) as f32
            })
            .collect();
        most_similar(&similarity, item, k)
    }

    fn shares(&self, query: &Query<'_>, item: ItemId) -> Result<Vec<(ItemId, f32)>> {
        check_item(ROW.name, "item", item, self.n_items)?;
        let met = self.users.of(ROW.name, query)?;
        Ok(met.iter().map(|&met| (ItemId(met), self.row(met as usize)[item.index()])).collect())
    }

    fn state(&self) -> State {
        let mut state = State::default();
        state.put_f32("weights", &[self.n_items, self.n_items], self.weights.clone());
        self.users.put(&mut state);
        state
    }
}

#[cfg(test)]
mod tests;
