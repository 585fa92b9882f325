//! Markov chain: the items that usually follow the last item, whoever the user is.
//!
//! With `n_ij` how often `j` follows `i` in the training histories and `p_j` the share of item `j`
//! in all pairs, `p(j | i) = (n_ij + smoothing p_j) / (n_i + smoothing)`, `n_i = sum_j n_ij`. After
//! an item that nothing follows this is `p_j`. With a window above 1, an item that follows at
//! distance `s` counts `1 / s`.
//!
//! # Source
//! A first-order chain with additive smoothing towards the popularity; the weights of skips are
//! those of sequential rules (Ludewig and Jannach, UMUAI 2018). Histories are in time order, oldest
//! first; where the data have no times they are in file order.

use gcnrec_graphs::{Interactions, ItemId, UserId};
use gcnrec_kernels::Device;
use ndarray::Array2;
use rayon::prelude::*;

use super::item_weights::ItemWeights;
use super::user_items::check_item;
use crate::error::{RecError, Result};
use crate::models::memory::available_bytes;
use crate::models::ranking::{most_similar, scores_by_query};
use crate::models::state::{State, damaged, foreign};
use crate::models::{ClosedForm, Fit, Memory, Model, Procedure, Query, Scorer};
use crate::objectives::Nodes;
use crate::settings::{Row, at_least, between, row, settings};

/// Stands for the last item of a user who has none.
const NOBODY: u32 = u32::MAX;

/// The Markov chain in the list of models.
pub(crate) static ROW: Row<dyn Model> = row!(dyn Model, Config, "markov", "What usually follows the last item");

settings! {
    /// `[model.markov]`.
    pub(crate) struct Config {
        /// How many followers the popularity of an item stands for.
        smoothing: f64 = 10.0, in at_least(0.0);
        /// How far behind an item its followers are counted; 1 is the plain chain.
        window: usize = 5, in between(1.0, 1000.0);
    }
}

impl Model for Config {
    fn row(&self) -> &'static Row<dyn Model> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("model.markov")
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
        Ok(Box::new(fit_weighted(data.train, data.weights, &(data.histories)(), self)?))
    }

    fn weighs_pairs(&self) -> bool {
        true
    }

    fn reads_order(&self) -> bool {
        true
    }
}

/// Counted transitions, and the last item of every user.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Markov {
    smoothing: f64,
    /// `n_ij`
    followers: ItemWeights,
    /// `[n_items]`: `n_i`
    totals: Vec<f64>,
    /// `[n_items]`: `p_j`
    popularity: Vec<f32>,
    /// `[n_users]`: the last item of the training history
    last: Vec<u32>,
}

/// Counts what follows what; a follower counts as much as its pair weighs, in the transitions and
/// in the popularity.
///
/// # Shapes
/// - `histories`: `[n_users]`, each oldest first
/// - `weights`: `[n_edges]`; none means that all count 1
///
/// # Errors
/// [`RecError::Config`] for a value outside its range, [`RecError::Resources`] when the transitions
/// do not fit into memory.
pub(crate) fn fit_weighted(
    train: &Interactions,
    weights: Option<&[f32]>,
    histories: &[Vec<ItemId>],
    config: &Config,
) -> Result<Markov> {
    config.validate()?;
    let weight_of = |user: usize, item: ItemId| match weights {
        None => 1.0,
        Some(weights) => train.edge(UserId(user as u32), item).map_or(1.0, |edge| weights[edge]),
    };
    let n_transitions: u128 = histories.iter().map(|h| (h.len() * config.window.min(h.len())) as u128).sum();
    check_room(n_transitions)?;
    let mut transitions: Vec<(u32, u32, f32)> = Vec::new();
    for (user, history) in histories.iter().enumerate() {
        for (at, from) in history.iter().enumerate() {
            let followers = history[at + 1..].iter().take(config.window).enumerate();
            let count = |skipped: usize, to: ItemId| weight_of(user, to) / (skipped + 1) as f32;
            transitions.extend(followers.map(|(skipped, to)| (from.0, to.0, count(skipped, *to))));
        }
    }
    // A stable sort: equal transitions are added up in the order of the users.
    transitions.par_sort_by_key(|&(from, to, _)| (from, to));
    let mut rows = vec![Vec::new(); train.n_items()];
    for same in transitions.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
        let n: f64 = same.iter().map(|&(.., weight)| f64::from(weight)).sum();
        // An item that follows itself would only recommend what was just met.
        if same[0].0 != same[0].1 {
            rows[same[0].0 as usize].push((same[0].1, n as f32));
        }
    }
    let mut counts = vec![0.0f64; train.n_items()];
    for (edge, item) in train.item_ids().iter().enumerate() {
        counts[*item as usize] += weights.map_or(1.0, |weights| f64::from(weights[edge]));
    }
    let n_pairs = counts.iter().sum::<f64>();
    let n_pairs = if n_pairs > 0.0 { n_pairs } else { 1.0 };
    let popularity = counts.iter().map(|&count| (count / n_pairs) as f32).collect();
    let last = histories.iter().map(|history| history.last().map_or(NOBODY, |item| item.0)).collect();
    Ok(Markov::new(config.smoothing, ItemWeights::from_rows(&rows, "model.markov")?, popularity, last))
}

fn check_room(n_transitions: u128) -> Result<()> {
    // 12 bytes each, again while they are sorted, and 8 in the rows.
    let (host, host_of) = (32 * n_transitions, format!("{n_transitions} transitions"));
    let todo = "lower model.markov.window".into();
    Memory { host, host_of, todo, ..Memory::nothing(ROW.name) }.check_host(available_bytes())
}

/// Rebuilds the scorer from its state.
///
/// # Errors
/// [`RecError::Checkpoint`] when the state belongs to another model or its parts do not fit
/// together.
pub(crate) fn load(state: &State, nodes: Nodes) -> Result<Box<dyn Scorer>> {
    let Nodes { n_users, n_items } = nodes;
    let (followers, last) = (ItemWeights::load(state, n_items)?, state.u32("last")?);
    if last.len() != n_users {
        return Err(damaged(format!("\"last\" has {} items for {n_users} users", last.len())));
    }
    if last.iter().any(|&item| item != NOBODY && item as usize >= n_items) {
        return Err(damaged(format!("\"last\" holds an item outside 0..{n_items}")));
    }
    let popularity = state.f32("popularity", &[n_items])?.to_vec();
    let config = Config { smoothing: state.fact("smoothing")?, ..Config::default() };
    config.validate().map_err(|error| foreign(error.to_string()))?;
    Ok(Box::new(Markov::new(config.smoothing, followers, popularity, last.to_vec())))
}

impl Markov {
    fn new(smoothing: f64, followers: ItemWeights, popularity: Vec<f32>, last: Vec<u32>) -> Self {
        let total = |item: u32| followers.row(item).map(|(_, n)| f64::from(n)).sum();
        let totals = (0..followers.n_items() as u32).map(total).collect();
        Markov { smoothing, followers, totals, popularity, last }
    }

    /// The item that a query goes on from: the last one of a known user, otherwise of the history.
    /// Nothing for a known user who met nothing.
    fn last_of(&self, query: &Query<'_>) -> Result<Option<u32>> {
        let known = query.user.and_then(|user| self.last.get(user.index()));
        if let Some(&item) = known.filter(|&&item| item != NOBODY) {
            return Ok(Some(item));
        }
        query.history.iter().try_for_each(|&item| check_item(ROW.name, "history", item, self.n_items()))?;
        match (query.history.last(), known) {
            (Some(item), _) => Ok(Some(item.0)),
            (None, Some(_)) => Ok(None),
            (None, None) => Err(RecError::stranger(ROW.name)),
        }
    }

    /// `p(j | last)` for all items.
    fn score(&self, last: Option<u32>, out: &mut [f32]) {
        let total = last.map_or(0.0, |item| self.totals[item as usize]);
        let Some(item) = last.filter(|_| total > 0.0) else { return out.copy_from_slice(&self.popularity) };
        let share = self.smoothing / (total + self.smoothing);
        out.iter_mut().zip(&self.popularity).for_each(|(score, p)| *score = (share * f64::from(*p)) as f32);
        for (next, n) in self.followers.row(item) {
            out[next as usize] += (f64::from(n) / (total + self.smoothing)) as f32;
        }
    }
}

impl Scorer for Markov {
    fn model(&self) -> &'static str {
        ROW.name
    }

    fn n_items(&self) -> usize {
        self.popularity.len()
    }

    fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        scores_by_query(queries, self.n_items(), |query, row| {
            self.score(self.last_of(query)?, row);
            Ok(())
        })
    }

    /// Ranks by what usually follows the item.
    fn similar_items(&self, item: ItemId, k: usize) -> Result<Vec<(ItemId, f32)>> {
        check_item(ROW.name, "item", item, self.n_items())?;
        let mut scores = vec![0.0; self.n_items()];
        self.score(Some(item.0), &mut scores);
        most_similar(&scores, item, k)
    }

    fn state(&self) -> State {
        let mut state = State::default();
        self.followers.put(&mut state);
        state.put_f32("popularity", &[self.popularity.len()], self.popularity.clone());
        state.put_u32("last", &[self.last.len()], self.last.clone());
        state.put_fact("smoothing", self.smoothing);
        state
    }
}

#[cfg(test)]
mod tests;
