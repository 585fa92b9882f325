//! GF-CF: a user's items passed through two low-pass filters of the item-item graph, in closed
//! form.
//!
//! With `R` the 0/1 matrix of users and items, `D_U` and `D_I` its degrees and
//! `N = D_U^-1/2 R D_I^-1/2`, the scores of a user with row `r` are
//! `r (N^T N + weight D_I^-1/2 V V^T D_I^1/2)`, `V` the `factors` leading right singular vectors of
//! `N`. The first term is a filter that falls linearly with frequency, the second an ideal one.
//! Neither item-item matrix is ever formed: the first term is two sparse products, the second two
//! thin ones.
//!
//! # Source
//! Shen et al., *How Powerful is Graph Convolution for Recommendation?*, CIKM 2021, eq. 12. Items
//! and users without pairs have no row in `N`.

use gcnrec_graphs::{Interactions, ItemId, UserId};
use gcnrec_kernels::ops::top_k::score_block;
use gcnrec_kernels::{Buffer, Device};
use ndarray::Array2;
use rayon::prelude::*;

use super::item_weights::ItemUsers;
use super::spectrum;
use super::user_items::{UserItems, check_item};
use crate::error::Result;
use crate::models::ranking::{most_similar, score_matrix};
use crate::models::state::{State, foreign};
use crate::models::{ClosedForm, Fit, Memory, Model, Procedure, Query, Scorer, TrainingSize};
use crate::objectives::Nodes;
use crate::settings::{Row, between, row, settings};

/// GF-CF in the list of models.
pub(crate) static ROW: Row<dyn Model> = row!(dyn Model, Config, "gf_cf", "Two low-pass filters of the item-item graph");

settings! {
    /// `[model.gf_cf]`.
    pub(crate) struct Config {
        /// Singular vectors of the ideal filter; 0 leaves the linear filter alone.
        factors: usize = 256, in between(0.0, 4096.0);
        /// Weight of the ideal filter.
        weight: f64 = 0.3, in between(0.0, 100.0);
    }
}

impl Model for Config {
    fn row(&self) -> &'static Row<dyn Model> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("model.gf_cf")
    }

    fn memory(&self, size: &TrainingSize<'_>) -> Result<Memory> {
        let host = spectrum::bytes(size.n_users, size.n_items, self.factors);
        Ok(Memory::of_tables(ROW.name, host, size, "model.gf_cf.factors"))
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

/// A fitted pair of filters.
pub(crate) struct GfCf {
    weight: f64,
    users: UserItems,
    by_item: ItemUsers,
    /// `[n_users]`: one over the degree
    per_user: Vec<f32>,
    /// `[n_items]`: one over the root of the degree; 0 without pairs
    per_item: Vec<f32>,
    factors: usize,
    /// `V`: `[n_items, factors]`
    vectors: Vec<f32>,
    /// `weight D_I^1/2 V`: `[n_items, factors]`
    table: Buffer<f32>,
}

/// Finds the singular vectors. The same bits for any number of threads.
///
/// # Errors
/// [`crate::RecError::Config`] for a value outside its range, [`crate::RecError::Unsupported`] when
/// the decomposition does not converge.
pub(crate) fn fit(train: &Interactions, config: &Config) -> Result<GfCf> {
    config.validate()?;
    let users = UserItems::new(train);
    let by_item = ItemUsers::new(train.n_items(), users.rows());
    let matrix = spectrum::Normalized::new(&users, &by_item, train.n_items());
    let vectors = spectrum::leading_vectors(ROW.name, &matrix, config.factors)?;
    Ok(GfCf::new(config.weight, users, train.n_items(), vectors))
}

/// Rebuilds the scorer from its state.
///
/// # Errors
/// [`crate::RecError::Checkpoint`] when the state belongs to another model or its parts do not fit
/// together.
pub(crate) fn load(state: &State, nodes: Nodes) -> Result<Box<dyn Scorer>> {
    let (factors, vectors) = spectrum::load(state, nodes.n_items)?;
    let config = Config { factors, weight: state.fact("weight")? };
    config.validate().map_err(|error| foreign(error.to_string()))?;
    let users = UserItems::load(state, nodes)?;
    Ok(Box::new(GfCf::new(config.weight, users, nodes.n_items, vectors)))
}

/// What a thread needs to filter one user.
type Scratch = (Vec<f32>, Vec<u32>);

impl GfCf {
    fn new(weight: f64, users: UserItems, n_items: usize, vectors: Vec<f32>) -> Self {
        let by_item = ItemUsers::new(n_items, users.rows());
        let factors = vectors.len().checked_div(n_items).unwrap_or(0);
        let degree = |item: usize| by_item.of(item).len() as f64;
        let per_item = (0..n_items).map(|item| match by_item.of(item).len() {
            0 => 0.0,
            n => (1.0 / (n as f64).sqrt()) as f32,
        });
        let per_user = users.rows().map(|row| if row.is_empty() { 0.0 } else { 1.0 / row.len() as f32 });
        let scaled = vectors
            .iter()
            .enumerate()
            .map(|(at, &value)| (weight * degree(at / factors.max(1)).sqrt() * f64::from(value)) as f32);
        let table = Device::Cpu.upload(&scaled.collect::<Vec<f32>>());
        let (per_item, per_user) = (per_item.collect(), per_user.collect());
        GfCf { weight, users, by_item, per_user, per_item, factors, vectors, table }
    }

    /// `r D_I^-1/2 V`: `[factors]`.
    fn project(&self, items: &[u32]) -> Vec<f32> {
        let mut sum = vec![0.0; self.factors];
        for &item in items {
            let start = item as usize * self.factors;
            let row = &self.vectors[start..start + self.factors];
            sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += self.per_item[item as usize] * value);
        }
        sum
    }

    /// Adds `r N^T N` to the scores. Sums run in the order of the items and, within an item, of its
    /// users.
    fn add_linear(&self, items: &[u32], (reached, touched): &mut Scratch, linear: &mut [f32], out: &mut [f32]) {
        for &item in items {
            for &user in self.by_item.of(item as usize) {
                let sum = &mut reached[user as usize];
                if *sum == 0.0 {
                    touched.push(user);
                }
                *sum += self.per_item[item as usize];
            }
        }
        for user in touched.drain(..) {
            let share = std::mem::take(&mut reached[user as usize]) * self.per_user[user as usize];
            self.users.row(user as usize).iter().for_each(|&item| linear[item as usize] += share);
        }
        let scores = out.iter_mut().zip(linear).zip(&self.per_item);
        scores.for_each(|((out, sum), weight)| *out += weight * std::mem::take(sum));
    }
}

impl Scorer for GfCf {
    fn model(&self) -> &'static str {
        ROW.name
    }

    fn n_items(&self) -> usize {
        self.per_item.len()
    }

    fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        let n_items = self.n_items();
        let items = queries.iter().map(|query| self.users.of(ROW.name, query)).collect::<Result<Vec<_>>>()?;
        let mut out = Vec::new();
        if self.factors > 0 {
            let projected: Vec<f32> = items.par_iter().flat_map_iter(|items| self.project(items)).collect();
            score_block(&Device::Cpu, self.factors, &Device::Cpu.upload(&projected), &self.table, &mut out)?;
        }
        out.resize(queries.len() * n_items, 0.0);
        let scratch = || ((vec![0.0; self.per_user.len()], Vec::new()), vec![0.0; n_items]);
        let rows = out.par_chunks_exact_mut(n_items.max(1)).zip(&items);
        rows.for_each_init(scratch, |(scratch, linear), (row, items)| self.add_linear(items, scratch, linear, row));
        Ok(score_matrix(queries.len(), n_items, out))
    }

    /// Ranks by what a history of this one item is scored.
    fn similar_items(&self, item: ItemId, k: usize) -> Result<Vec<(ItemId, f32)>> {
        check_item(ROW.name, "item", item, self.n_items())?;
        let scores = self.scores(&[Query { user: None::<UserId>, history: &[item] }])?;
        most_similar(scores.as_slice().expect("scores should be in the standard layout"), item, k)
    }

    /// The column of `item` in the two filters, at the rows of the history: the walk is the same
    /// from either end, so that of the linear filter is one of two steps from `item`.
    fn shares(&self, query: &Query<'_>, item: ItemId) -> Result<Vec<(ItemId, f32)>> {
        check_item(ROW.name, "item", item, self.n_items())?;
        let met = self.users.of(ROW.name, query)?;
        let mut linear = vec![0.0f32; self.n_items()];
        for &user in self.by_item.of(item.index()) {
            let share = self.per_user[user as usize];
            self.users.row(user as usize).iter().for_each(|&other| linear[other as usize] += share);
        }
        let row = |item: usize| &self.vectors[item * self.factors..(item + 1) * self.factors];
        let weight = (self.weight * (self.by_item.of(item.index()).len() as f64).sqrt()) as f32;
        let share = |met: usize| {
            let product: f32 = row(met).iter().zip(row(item.index())).map(|(a, b)| a * b).sum();
            self.per_item[met] * (self.per_item[item.index()] * linear[met] + weight * product)
        };
        Ok(met.iter().map(|&met| (ItemId(met), share(met as usize))).collect())
    }

    fn state(&self) -> State {
        let mut state = State::default();
        state.put_f32("vectors", &[self.n_items(), self.factors], self.vectors.clone());
        state.put_fact("weight", self.weight);
        self.users.put(&mut state);
        state
    }
}

#[cfg(test)]
mod tests;
