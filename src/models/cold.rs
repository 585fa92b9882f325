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

    fn popularity(&self) -> Vec<f32> {
        let mut row: Vec<f32> = self.cold.counts.iter().map(|&count| count as f32).collect();
        self.sink(&mut row);
        row
    }
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
            return Err(RecError::unsupported(self.model(), "the item has no training row: nothing is known of it")
                .with_todo("add interactions with it to the training data, and train again"));
        }
        let mut similar = self.scorer.similar_items(item, (k + self.cold.items.len()).min(self.n_items()))?;
        similar.retain(|(item, _)| !self.is_cold(item.0));
        similar.truncate(k);
        Ok(similar)
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
mod tests {
    use super::*;
    use crate::models::load_scorer;
    use gcnrec_kernels::Device;

    /// Users 0 and 1 met items 0, 1 and 2; item 3 and user 2 are new.
    fn train() -> Interactions {
        let pairs = [(0, 0), (0, 1), (1, 1), (1, 2)].map(|(u, i)| (UserId(u), ItemId(i)));
        Interactions::from_pairs(3, 4, pairs).unwrap()
    }

    /// Item 3 first, then 2, 1, 0; refuses histories where it is told to.
    struct Newest {
        reads_histories: bool,
    }

    impl Scorer for Newest {
        fn model(&self) -> &'static str {
            "newest"
        }
        fn n_items(&self) -> usize {
            4
        }
        fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
            if queries.iter().any(|query| query.user.is_none()) && !self.reads_histories {
                return Err(RecError::stranger("newest"));
            }
            Ok(Array2::from_shape_fn((queries.len(), 4), |(_, item)| item as f32))
        }
        fn similar_items(&self, item: ItemId, k: usize) -> Result<Vec<(ItemId, f32)>> {
            let others = (0..4).rev().filter(|&other| other != item.0);
            Ok(others.map(|other| (ItemId(other), other as f32)).take(k).collect())
        }
        fn state(&self) -> State {
            State::default()
        }
    }

    fn wrapped(reads_histories: bool) -> Box<dyn Scorer> {
        Cold::of(&train(), std::iter::empty()).wrap(Box::new(Newest { reads_histories }))
    }

    fn top(scorer: &dyn Scorer, user: u32, history: &[ItemId], k: usize) -> Vec<u32> {
        let query = Query { user: Some(UserId(user)), history };
        let top = scorer.top_k(&[query], &[&[]], k).unwrap();
        top.items[..top.len[0] as usize].to_vec()
    }

    #[test]
    fn an_item_without_a_training_row_ranks_last() {
        let scorer = wrapped(true);
        assert_eq!(top(&*scorer, 0, &[], 2), [2, 1]);
        assert_eq!(top(&*scorer, 0, &[], 4), [2, 1, 0, 3]);
        let query = [Query { user: Some(UserId(0)), history: &[] }];
        let scores = scorer.scores(&query).unwrap();
        assert_eq!(scores.as_slice().unwrap(), [0.0, 1.0, 2.0, -1e-3]);
        let among = |candidates: &[u32], k| scorer.top_k_among(&query, &[candidates], k).unwrap().items;
        assert_eq!((among(&[0, 1, 3], 1), among(&[0, 3], 2)), (vec![1], vec![0, 3]));
    }

    #[test]
    fn a_user_without_a_training_row_is_answered_by_their_history_or_by_popularity() {
        // Item 1 was met twice, 0 and 2 once: ties go to the lower id.
        assert_eq!(top(&*wrapped(true), 2, &[], 4), [1, 0, 2, 3]);
        assert_eq!(top(&*wrapped(true), 2, &[ItemId(3)], 4), [1, 0, 2, 3], "of item 3 nothing is known");
        assert_eq!(top(&*wrapped(true), 2, &[ItemId(0)], 4), [2, 1, 0, 3]);
        assert_eq!(top(&*wrapped(false), 2, &[ItemId(0)], 4), [1, 0, 2, 3], "the model reads no history");
        let both = [Some(UserId(2)), Some(UserId(0))].map(|user| Query { user, history: &[] });
        let top = wrapped(true).top_k(&both, &[&[1], &[2]], 2).unwrap();
        assert_eq!(top.items, [0, 2, 1, 0]);
        let beyond = Query { user: Some(UserId(0)), history: &[ItemId(4)] };
        assert!(wrapped(true).scores(&[beyond]).is_err());
    }

    #[test]
    fn nothing_is_similar_to_an_item_without_a_training_row() {
        let similar = |item, k| {
            wrapped(true)
                .similar_items(ItemId(item), k)
                .map(|list| list.iter().map(|(item, _)| item.0).collect::<Vec<_>>())
        };
        assert_eq!(similar(0, 2).unwrap(), [2, 1]);
        assert_eq!(similar(3, 2).unwrap_err().exit_code(), 1);
    }

    #[test]
    fn a_model_of_which_everybody_is_known_stays_as_it_is_and_one_that_was_taught_more_knows_more() {
        let all = Interactions::from_pairs(1, 1, [(UserId(0), ItemId(0))]).unwrap();
        assert!(
            Cold::of(&all, std::iter::empty())
                .wrap(Box::new(Newest { reads_histories: true }))
                .state()
                .tensors
                .is_empty()
        );
        let taught = [(Some(UserId(2)), ItemId(3))].into_iter();
        let scorer = Cold::of(&train(), taught).wrap(Box::new(Newest { reads_histories: true }));
        assert_eq!(top(&*scorer, 0, &[], 1), [3]);
    }

    #[test]
    fn who_is_cold_is_kept_in_the_state_and_damage_is_refused() {
        let popularity = Box::new(crate::models::linear::popularity::fit(&train()));
        let popularity = Cold::of(&train(), std::iter::empty()).wrap(popularity);
        let state = popularity.state();
        assert_eq!((state.u32(ITEMS).unwrap(), state.u32(USERS).unwrap()), (&[3][..], &[2][..]));
        let nodes = Nodes { n_users: 3, n_items: 4 };
        let loaded = load_scorer(&Device::Cpu, "popularity", &state, nodes).unwrap();
        assert_eq!((loaded.state(), top(&*loaded, 2, &[], 4)), (state.clone(), vec![1, 0, 2, 3]));
        for (name, values) in [(ITEMS, vec![9]), (USERS, vec![2, 1]), (COUNTS, vec![1, 2])] {
            let mut damaged = state.clone();
            damaged.put_u32(name, &[values.len()], values);
            assert_eq!(
                load_scorer(&Device::Cpu, "popularity", &damaged, nodes).err().map(|error| error.exit_code()),
                Some(6)
            );
        }
    }
}
