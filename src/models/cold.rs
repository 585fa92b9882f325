//! Users and items without a training row, for every model alike: the vectors that a model has of
//! them are where it happened to start, so they must decide nothing.
//!
//! Such an item ranks after all others, is not similar to anything, and counts for nothing in a
//! history. Such a user is answered by their history, as somebody new would be; without one, or by
//! a model that cannot read one, by the popularity of the items in training.

use std::sync::Arc;

use gcnrec_graphs::{Interactions, ItemId, UserId};
use gcnrec_kernels::KernelError;
use gcnrec_kernels::ops::top_k::{TopK, select_among, select_top_k};
use ndarray::{Array2, ArrayView1};

use super::linear::check_item;
use super::ranking::row_matrix;
use super::state::{State, damaged};
use super::{LayerWeights, Nodes, Query, Scorer};
use crate::error::{RecError, Result};

/// What the names of this file's tensors begin with.
const PREFIX: &str = "cold.";
const ITEMS: &str = "cold.items";
const USERS: &str = "cold.users";
const COUNTS: &str = "cold.counts";

/// Who has no training row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cold {
    /// Rising.
    items: Vec<u32>,
    /// Rising.
    users: Vec<u32>,
    /// `[n_items]`: training rows of each item.
    counts: Vec<u32>,
}

impl Cold {
    /// Who has no pair in `train`, and none in `taught`, which a model learns from beside it.
    pub(crate) fn of(train: &Interactions, taught: impl Iterator<Item = (Option<UserId>, ItemId)>) -> Arc<Cold> {
        let counts = train.item_counts();
        let mut is_cold_item: Vec<bool> = counts.iter().map(|&count| count == 0).collect();
        let mut is_cold_user: Vec<bool> =
            (0..train.n_users() as u32).map(|user| train.items_of(UserId(user)).is_empty()).collect();
        for (user, item) in taught {
            is_cold_item[item.index()] = false;
            user.into_iter().for_each(|user| is_cold_user[user.index()] = false);
        }
        let ids = |cold: Vec<bool>| (0..).zip(cold).filter(|(_, is_cold)| *is_cold).map(|(id, _)| id).collect();
        Arc::new(Cold { items: ids(is_cold_item), users: ids(is_cold_user), counts })
    }

    /// The same scorer where everybody has a training row.
    pub(crate) fn wrap(self: &Arc<Cold>, scorer: Box<dyn Scorer>) -> Box<dyn Scorer> {
        match self.items.is_empty() && self.users.is_empty() {
            true => scorer,
            false => Box::new(WithCold { scorer, cold: self.clone() }),
        }
    }
}

/// Takes this file's part out of a state. Nothing where everybody had a training row, or where an
/// older version wrote it.
///
/// # Errors
/// [`RecError::Checkpoint`] where its parts do not fit together.
pub(super) fn take(state: &State, nodes: Nodes) -> Result<Option<(Arc<Cold>, State)>> {
    if !state.tensors.keys().any(|name| name.starts_with(PREFIX)) {
        return Ok(None);
    }
    let cold = Cold {
        items: state.u32(ITEMS)?.to_vec(),
        users: state.u32(USERS)?.to_vec(),
        counts: state.u32(COUNTS)?.to_vec(),
    };
    let rises = |ids: &[u32]| ids.windows(2).all(|pair| pair[0] < pair[1]);
    if !rises(&cold.items)
        || !rises(&cold.users)
        || cold.counts.len() != nodes.n_items
        || cold.items.last().is_some_and(|&item| item as usize >= nodes.n_items)
        || cold.users.last().is_some_and(|&user| user as usize >= nodes.n_users)
    {
        return Err(damaged("what it says about items without a training row does not fit together"));
    }
    let mut rest = state.clone();
    rest.tensors.retain(|name, _| !name.starts_with(PREFIX));
    Ok(Some((Arc::new(cold), rest)))
}

/// Puts what [`take`] took around the scorer of the rest.
///
/// # Errors
/// [`RecError::Checkpoint`] where it speaks of another number of items.
pub(super) fn put_back(cold: &Arc<Cold>, scorer: Box<dyn Scorer>) -> Result<Box<dyn Scorer>> {
    if scorer.n_items() != cold.counts.len() {
        return Err(damaged(format!("it counts {} items and ranks {}", cold.counts.len(), scorer.n_items())));
    }
    Ok(cold.wrap(scorer))
}

/// A scorer, and who had no training row.
struct WithCold {
    scorer: Box<dyn Scorer>,
    cold: Arc<Cold>,
}

impl WithCold {
    fn is_cold(&self, item: u32) -> bool {
        self.cold.items.binary_search(&item).is_ok()
    }

    /// The history of each query without items that training lacks.
    fn histories(&self, queries: &[Query<'_>]) -> Result<Vec<Vec<ItemId>>> {
        let known = |query: &Query<'_>| {
            query.history.iter().try_for_each(|&item| check_item(self.model(), "history", item, self.n_items()))?;
            Ok(query.history.iter().copied().filter(|item| !self.is_cold(item.0)).collect())
        };
        queries.iter().map(known).collect()
    }

    /// Answers the queries of a block by the model, as `ask` does it, and those of users without a
    /// training row by their history. `none` stands for the answer of somebody of whom nothing is
    /// known.
    fn answered<T>(
        &self,
        queries: &[Query<'_>],
        ask: impl Fn(&[Query<'_>], &[usize]) -> Result<Vec<T>>,
        none: impl Fn(usize) -> Result<T>,
    ) -> Result<Vec<T>> {
        let histories = self.histories(queries)?;
        let is_cold =
            |place: usize| queries[place].user.is_some_and(|user| self.cold.users.binary_search(&user.0).is_ok());
        let query =
            |place: usize| Query { user: queries[place].user.filter(|_| !is_cold(place)), history: &histories[place] };
        let (cold, known): (Vec<usize>, Vec<usize>) = (0..queries.len()).partition(|&place| is_cold(place));
        let (told, untold): (Vec<usize>, Vec<usize>) =
            cold.into_iter().partition(|&place| !histories[place].is_empty());
        let mut all: Vec<Option<T>> = queries.iter().map(|_| None).collect();
        let mut put = |places: &[usize], answers: Vec<T>| {
            places.iter().zip(answers).for_each(|(&place, answer)| all[place] = Some(answer));
        };
        let by_model = |places: &[usize]| {
            if places.is_empty() {
                return Ok(Vec::new());
            }
            ask(&places.iter().map(|&place| query(place)).collect::<Vec<_>>(), places)
        };
        let by_popularity = |places: &[usize]| places.iter().map(|&place| none(place)).collect::<Result<Vec<T>>>();
        put(&known, by_model(&known)?);
        match by_model(&told) {
            Err(RecError::Unsupported { .. }) => put(&told, by_popularity(&told)?),
            answers => put(&told, answers?),
        }
        put(&untold, by_popularity(&untold)?);
        Ok(all.into_iter().map(|answer| answer.expect("every query should be answered")).collect())
    }

    /// Puts the items that training lacks below all others.
    fn sink(&self, row: &mut [f32]) {
        let known = (0..).zip(row.iter()).filter(|(item, _)| !self.is_cold(*item)).map(|(_, score)| *score);
        let lowest = known.fold(f32::INFINITY, f32::min);
        let below = if lowest.is_finite() { lowest - (1e-3 * lowest.abs() + 1e-3) } else { 0.0 };
        self.cold.items.iter().for_each(|&item| row[item as usize] = below);
    }

    /// The length of the longest of the vectors of items that training has.
    fn longest(&self, items: &Array2<f32>) -> f64 {
        let known = (0..).zip(items.rows()).filter(|(item, _)| !self.is_cold(*item));
        known.map(|(_, row)| length(row)).fold(0.0, f64::max)
    }

    fn popularity(&self) -> Vec<f32> {
        let mut row: Vec<f32> = self.cold.counts.iter().map(|&count| count as f32).collect();
        self.sink(&mut row);
        row
    }
}

fn length(row: ArrayView1<'_, f32>) -> f64 {
    row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

fn nothing_known(model: &str) -> RecError {
    RecError::unsupported(model, "the item has no training row: nothing is known of it")
        .with_todo("add interactions with it to the training data, and train again")
}

/// The items and scores of one query's list.
type List = (Vec<u32>, Vec<f32>);

fn lists(top: &TopK) -> Vec<List> {
    let list = |query: usize| {
        let places = query * top.k..query * top.k + top.len[query] as usize;
        (top.items[places.clone()].to_vec(), top.scores[places].to_vec())
    };
    (0..top.n_queries).map(list).collect()
}

fn selected(select: impl Fn(&mut Vec<u32>, &mut Vec<f32>) -> Result<(), KernelError>) -> Result<List> {
    let (mut items, mut scores) = (Vec::new(), Vec::new());
    select(&mut items, &mut scores)?;
    Ok((items, scores))
}

fn joined(k: usize, lists: Vec<List>) -> TopK {
    let mut top = TopK::new(k);
    lists.iter().for_each(|(items, scores)| top.push(items, scores));
    top
}

impl Scorer for WithCold {
    fn model(&self) -> &'static str {
        self.scorer.model()
    }

    fn n_items(&self) -> usize {
        self.scorer.n_items()
    }

    fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        let ask = |queries: &[Query<'_>], _: &[usize]| {
            let rows = self.scorer.scores(queries)?;
            Ok(rows.rows().into_iter().map(|row| row.to_vec()).collect::<Vec<Vec<f32>>>())
        };
        let mut rows = self.answered(queries, ask, |_| Ok(self.popularity()))?.concat();
        if self.n_items() > 0 {
            rows.chunks_exact_mut(self.n_items()).for_each(|row| self.sink(row));
        }
        Ok(Array2::from_shape_vec((queries.len(), self.n_items()), rows).expect("there should be a row for each query"))
    }

    fn top_k(&self, queries: &[Query<'_>], excluded: &[&[u32]], k: usize) -> Result<TopK> {
        let n_known = self.n_items() - self.cold.items.len();
        let is_long = excluded.iter().any(|excluded| n_known.saturating_sub(excluded.len()) < k);
        let ask = |queries: &[Query<'_>], places: &[usize]| {
            if is_long {
                // Items that training lacks come into the lists: they need their scores.
                let scores = self.scorer.scores(queries)?;
                let list = |(row, &place): (ArrayView1<'_, f32>, &usize)| {
                    let mut row = row.to_vec();
                    self.sink(&mut row);
                    selected(|items, best| select_top_k(&row, excluded[place], k, items, best))
                };
                return scores.rows().into_iter().zip(places).map(list).collect();
            }
            let both = |&place: &usize| {
                let mut both = [excluded[place], &self.cold.items[..]].concat();
                both.sort_unstable();
                both.dedup();
                both
            };
            let both: Vec<Vec<u32>> = places.iter().map(both).collect();
            let both: Vec<&[u32]> = both.iter().map(Vec::as_slice).collect();
            Ok(lists(&self.scorer.top_k(queries, &both, k)?))
        };
        let none =
            |place: usize| selected(|items, best| select_top_k(&self.popularity(), excluded[place], k, items, best));
        Ok(joined(k, self.answered(queries, ask, none)?))
    }

    fn top_k_among(&self, queries: &[Query<'_>], candidates: &[&[u32]], k: usize) -> Result<TopK> {
        let known = |candidates: &[u32]| -> Vec<u32> {
            candidates.iter().copied().filter(|&item| !self.is_cold(item)).collect()
        };
        let known: Vec<Vec<u32>> = candidates.iter().map(|candidates| known(candidates)).collect();
        let is_long = known.iter().any(|known| known.len() < k);
        let ask = |queries: &[Query<'_>], places: &[usize]| {
            if is_long {
                let scores = self.scorer.scores(queries)?;
                let list = |(row, &place): (ArrayView1<'_, f32>, &usize)| {
                    let mut row = row.to_vec();
                    self.sink(&mut row);
                    selected(|items, best| select_among(&row, candidates[place], k, items, best))
                };
                return scores.rows().into_iter().zip(places).map(list).collect();
            }
            let among: Vec<&[u32]> = places.iter().map(|&place| &known[place][..]).collect();
            Ok(lists(&self.scorer.top_k_among(queries, &among, k)?))
        };
        let none =
            |place: usize| selected(|items, best| select_among(&self.popularity(), candidates[place], k, items, best));
        Ok(joined(k, self.answered(queries, ask, none)?))
    }

    fn similar_items(&self, item: ItemId, k: usize) -> Result<Vec<(ItemId, f32)>> {
        if self.is_cold(item.0) {
            return Err(nothing_known(self.model()));
        }
        let mut similar = self.scorer.similar_items(item, (k + self.cold.items.len()).min(self.n_items()))?;
        similar.retain(|(item, _)| !self.is_cold(item.0));
        similar.truncate(k);
        Ok(similar)
    }

    /// The model's vector, how far below its other items the untrained ones are for this query, and
    /// whether popularity stands in for the model.
    fn query_vectors(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        let items = self.scorer.item_vectors()?;
        let (width, longest) = (items.ncols(), self.longest(&items));
        let ask = |queries: &[Query<'_>], _: &[usize]| {
            let rows = self.scorer.query_vectors(queries)?;
            // No score of the model is lower than minus the product of both lengths.
            let below = |row: ArrayView1<'_, f32>| (1.01 * length(row) * longest + 1.0) as f32;
            Ok(rows.rows().into_iter().map(|row| [&row.to_vec()[..], &[below(row), 0.0]].concat()).collect())
        };
        let none = |_| Ok([&vec![0.0; width][..], &[1.0, 1.0]].concat());
        Ok(row_matrix(queries.len(), width + 2, self.answered(queries, ask, none)?.concat()))
    }

    /// The model's vectors with 0 and the popularity; of items that training lacks zeros with -1
    /// and 0.
    fn item_vectors(&self) -> Result<Array2<f32>> {
        let vectors = self.scorer.item_vectors()?;
        let mut all = Vec::with_capacity(vectors.len() + 2 * vectors.nrows());
        for (item, row) in (0..).zip(vectors.rows()) {
            match self.is_cold(item) {
                true => all.extend(row.iter().map(|_| 0.0).chain([-1.0, 0.0])),
                false => all.extend(row.iter().copied().chain([0.0, self.cold.counts[item as usize] as f32])),
            }
        }
        Ok(row_matrix(vectors.nrows(), vectors.ncols() + 2, all))
    }

    fn shares(&self, query: &Query<'_>, item: ItemId) -> Result<Vec<(ItemId, f32)>> {
        if self.is_cold(item.0) {
            return Err(nothing_known(self.model()));
        }
        let history = self.histories(&[*query])?.remove(0);
        let is_cold = query.user.is_some_and(|user| self.cold.users.binary_search(&user.0).is_ok());
        if is_cold && history.is_empty() {
            return Err(RecError::unsupported(self.model(), "the user has no training row: popularity answers")
                .with_todo("pass a history"));
        }
        self.scorer.shares(&Query { user: query.user.filter(|_| !is_cold), history: &history }, item)
    }

    fn state(&self) -> State {
        let mut state = self.scorer.state();
        let Cold { items, users, counts } = &*self.cold;
        for (name, values) in [(ITEMS, items), (USERS, users), (COUNTS, counts)] {
            state.put_u32(name, &[values.len()], values.clone());
        }
        state
    }

    fn layer_weights(&self) -> Option<&LayerWeights> {
        self.scorer.layer_weights()
    }
}

#[cfg(test)]
mod tests;
