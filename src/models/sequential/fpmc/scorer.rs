//! A frozen FPMC.

use ndarray::Array2;
use std::sync::Arc;

use gcnrec_graphs::{ItemId, UserId};
use gcnrec_kernels::ops::top_k::{self, TopK};
use gcnrec_kernels::{Buffer, Device};

use super::{Config, NOBODY, ROW};
use crate::error::{RecError, Result};
use crate::models::linear::check_item;
use crate::models::ranking::{inner_products, most_similar_by_cosine, row_matrix};
use crate::models::state::{State, foreign};
use crate::models::{Model, Query, Scorer};
use crate::objectives::Nodes;

/// A frozen FPMC.
pub(crate) struct Fpmc {
    state: State,
    dim: usize,
    n_items: usize,
    /// `[n_items, 2 dim]`
    next: Buffer<f32>,
    last: Arc<Vec<u32>>,
}

impl Fpmc {
    /// Rebuilds the scorer from its state.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when the state belongs to another model or its parts do not fit
    /// together.
    pub(crate) fn load(state: &State, nodes: Nodes) -> Result<Self> {
        let Nodes { n_users, n_items } = nodes;
        let config = Config { dim: state.fact("dim")?, ..Config::default() };
        config.validate().map_err(|error| foreign(error.to_string()))?;
        let (dim, last) = (config.dim, state.u32("last")?);
        if last.len() != n_users || last.iter().any(|&item| item != NOBODY && item as usize >= n_items) {
            return Err(foreign(format!("\"last\" is not an item of {n_items} for each of {n_users} users")));
        }
        state.f32("users", &[n_users, dim])?;
        state.f32("last_items", &[n_items, dim])?;
        let next = state.f32("next_items", &[n_items, 2 * dim])?;
        let (next, last) = (Device::Cpu.upload(next), Arc::new(last.to_vec()));
        Ok(Fpmc { state: state.clone(), dim, n_items, next, last })
    }

    /// `[A_u, C_l]` of each query: the last item is that of the history, or of a known user's
    /// training. What is not known is zero.
    fn asked(&self, queries: &[Query<'_>]) -> Result<Vec<f32>> {
        let (users, last) = (
            self.state.f32("users", &[self.last.len(), self.dim])?,
            self.state.f32("last_items", &[self.n_items, self.dim])?,
        );
        let mut asked = vec![0.0; queries.len() * 2 * self.dim];
        for (query, row) in queries.iter().zip(asked.chunks_exact_mut(2 * self.dim)) {
            query.history.iter().try_for_each(|&item| check_item(ROW.name, "history", item, self.n_items))?;
            let (of_user, of_last) = row.split_at_mut(self.dim);
            // A user without a training item has a vector that nothing moved.
            let known = query.user.map(UserId::index).filter(|&user| user < self.last.len());
            let trained = known.filter(|&user| self.last[user] != NOBODY);
            if let Some(user) = trained {
                of_user.copy_from_slice(&users[user * self.dim..(user + 1) * self.dim]);
            }
            let item = query.history.last().map(|item| item.0).or(trained.map(|user| self.last[user]));
            match item {
                Some(item) => of_last.copy_from_slice(&last[item as usize * self.dim..(item as usize + 1) * self.dim]),
                None if known.is_some() => {}
                None => return Err(RecError::stranger(ROW.name)),
            }
        }
        Ok(asked)
    }
}

impl Scorer for Fpmc {
    fn model(&self) -> &'static str {
        ROW.name
    }

    fn n_items(&self) -> usize {
        self.n_items
    }

    fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        inner_products(&Device::Cpu, 2 * self.dim, &Device::Cpu.upload(&self.asked(queries)?), &self.next)
    }

    fn top_k(&self, queries: &[Query<'_>], excluded: &[&[u32]], k: usize) -> Result<TopK> {
        Ok(top_k::top_k(
            &Device::Cpu,
            2 * self.dim,
            &Device::Cpu.upload(&self.asked(queries)?),
            &self.next,
            excluded,
            k,
        )?)
    }

    fn top_k_among(&self, queries: &[Query<'_>], candidates: &[&[u32]], k: usize) -> Result<TopK> {
        Ok(top_k::top_k_among(
            &Device::Cpu,
            2 * self.dim,
            &Device::Cpu.upload(&self.asked(queries)?),
            &self.next,
            candidates,
            k,
        )?)
    }

    /// `[A_u, C_l]`: the user's vector beside that of the last item.
    fn query_vectors(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        Ok(row_matrix(queries.len(), 2 * self.dim, self.asked(queries)?))
    }

    fn item_vectors(&self) -> Result<Array2<f32>> {
        Ok(row_matrix(self.n_items, 2 * self.dim, Device::Cpu.read(&self.next)))
    }

    /// Ranks by the cosine of what the items are compared by.
    fn similar_items(&self, item: ItemId, k: usize) -> Result<Vec<(ItemId, f32)>> {
        let rows = self.state.f32("next_items", &[self.n_items, 2 * self.dim])?;
        most_similar_by_cosine(ROW.name, rows, 2 * self.dim, item, k)
    }

    fn state(&self) -> State {
        self.state.clone()
    }
}
