//! Popularity: everybody is recommended the items with the most users.
//!
//! # Source
//! The usual baseline without personalisation. Items of equal count stand in the order of their
//! ids.

use gcnrec_graphs::Interactions;
use gcnrec_kernels::Device;
use gcnrec_kernels::ops::top_k::{TopK, select_among};
use ndarray::Array2;

use crate::error::Result;
use crate::models::ranking::{row_matrix, score_matrix};
use crate::models::state::{State, damaged};
use crate::models::{ClosedForm, Fit, Model, Procedure, Query, Scorer};
use crate::objectives::Nodes;
use crate::settings::{Row, row, settings};

/// The name of the weights in the state, where pairs have weights.
const WEIGHTS: &str = "weights";

/// Popularity in the list of models.
pub(crate) static ROW: Row<dyn Model> =
    row!(dyn Model, Config, "popularity", "The most popular items, the same for everybody");

settings! {
    /// `[model.popularity]`: there is nothing to choose.
    pub(crate) struct Config {}
}

impl Model for Config {
    fn row(&self) -> &'static Row<dyn Model> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("model.popularity")
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
        Ok(Box::new(match data.weights {
            Some(weights) => fit_weighted(data.train, weights),
            None => fit(data.train),
        }))
    }

    fn weighs_pairs(&self) -> bool {
        true
    }
}

/// What is added up for each item: `[n_items]`.
#[derive(Debug, Clone, PartialEq)]
enum Tally {
    /// Its users.
    Counts(Vec<u32>),
    /// The weights of its pairs.
    Weights(Vec<f32>),
}

/// The number of users of each item, or the weights of its pairs. Answers any query alike; user and
/// history are not read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Popularity {
    tally: Tally,
    /// `[n_items]`
    scores: Vec<f32>,
    /// `[n_items]`: the items, most popular first, ties by id
    order: Vec<u32>,
}

/// Counts each item's users.
pub(crate) fn fit(train: &Interactions) -> Popularity {
    Popularity::new(Tally::Counts(train.item_counts()))
}

/// Adds up the weights of each item's pairs, in the order of the users.
///
/// # Shapes
/// - `weights`: `[n_edges]`
pub(crate) fn fit_weighted(train: &Interactions, weights: &[f32]) -> Popularity {
    let mut sums = vec![0.0f64; train.n_items()];
    for (item, weight) in train.item_ids().iter().zip(weights) {
        sums[*item as usize] += f64::from(*weight);
    }
    Popularity::new(Tally::Weights(sums.into_iter().map(|sum| sum as f32).collect()))
}

/// Rebuilds the scorer from its state.
///
/// # Errors
/// [`crate::error::RecError::Checkpoint`] when the state belongs to another model.
pub(crate) fn load(state: &State, nodes: Nodes) -> Result<Box<dyn Scorer>> {
    let tally = match state.tensors.get(WEIGHTS) {
        Some(_) => Tally::Weights(state.f32(WEIGHTS, &[nodes.n_items])?.to_vec()),
        None => Tally::Counts(state.u32("counts")?.to_vec()),
    };
    match &tally {
        Tally::Counts(counts) if counts.len() != nodes.n_items => {
            Err(damaged(format!("\"counts\" has {} numbers for {} items", counts.len(), nodes.n_items)))
        }
        _ => Ok(Box::new(Popularity::new(tally))),
    }
}

impl Popularity {
    fn new(tally: Tally) -> Self {
        let scores: Vec<f32> = match &tally {
            Tally::Counts(counts) => counts.iter().map(|&count| count as f32).collect(),
            Tally::Weights(weights) => weights.clone(),
        };
        let mut order: Vec<u32> = (0..scores.len() as u32).collect();
        // By score, not by count: counts above 2^24 can share an f32 score, and then the lower id
        // comes first.
        order.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]));
        Popularity { tally, scores, order }
    }
}

impl Scorer for Popularity {
    fn model(&self) -> &'static str {
        ROW.name
    }

    fn n_items(&self) -> usize {
        self.scores.len()
    }

    fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        Ok(score_matrix(queries.len(), self.n_items(), self.scores.repeat(queries.len())))
    }

    /// Walks down the one order and skips what is excluded: no scores are written and nothing is
    /// sorted.
    fn top_k(&self, queries: &[Query<'_>], excluded: &[&[u32]], k: usize) -> Result<TopK> {
        let (mut top, mut items, mut scores) = (TopK::new(k), Vec::new(), Vec::new());
        for (_, excluded) in queries.iter().zip(excluded) {
            items.clear();
            items.extend(self.order.iter().copied().filter(|item| excluded.binary_search(item).is_err()).take(k));
            scores.clear();
            scores.extend(items.iter().map(|&item| self.scores[item as usize]));
            top.push(&items, &scores);
        }
        Ok(top)
    }

    fn top_k_among(&self, queries: &[Query<'_>], candidates: &[&[u32]], k: usize) -> Result<TopK> {
        let (mut top, mut items, mut scores) = (TopK::new(k), Vec::new(), Vec::new());
        for (_, candidates) in queries.iter().zip(candidates) {
            select_among(&self.scores, candidates, k, &mut items, &mut scores)?;
            top.push(&items, &scores);
        }
        Ok(top)
    }

    /// 1 for everybody.
    fn query_vectors(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        Ok(row_matrix(queries.len(), 1, vec![1.0; queries.len()]))
    }

    fn item_vectors(&self) -> Result<Array2<f32>> {
        Ok(row_matrix(self.n_items(), 1, self.scores.clone()))
    }

    fn state(&self) -> State {
        let mut state = State::default();
        match &self.tally {
            Tally::Counts(counts) => state.put_u32("counts", &[counts.len()], counts.clone()),
            Tally::Weights(weights) => state.put_f32(WEIGHTS, &[weights.len()], weights.clone()),
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gcnrec_graphs::{ItemId, UserId};
    use gcnrec_kernels::ops::top_k::select_top_k;

    /// Counts 1, 2, 0, 2.
    fn popularity() -> Popularity {
        let pairs = [(0, 1), (0, 3), (1, 1), (1, 3), (2, 0)].map(|(u, i)| (UserId(u), ItemId(i)));
        fit(&Interactions::from_pairs(3, 4, pairs).unwrap())
    }

    const NODES: Nodes = Nodes { n_users: 3, n_items: 4 };
    const ANYBODY: Query<'static> = Query { user: None, history: &[] };

    #[test]
    fn scores_are_the_numbers_of_users_for_everybody() {
        let scores = popularity().scores(&[ANYBODY, Query { user: Some(UserId(0)), history: &[] }]).unwrap();
        assert_eq!(scores, ndarray::array![[1.0, 2.0, 0.0, 2.0], [1.0, 2.0, 0.0, 2.0]]);
    }

    #[test]
    fn the_list_is_that_of_the_scores_with_ties_to_the_lower_id_and_without_what_is_excluded() {
        let model = popularity();
        let (mut items, mut best) = (Vec::new(), Vec::new());
        let scores: Vec<f32> = model.scores(&[ANYBODY]).unwrap().into_iter().collect();
        for excluded in [&[][..], &[1][..], &[0, 3][..], &[0, 1, 2, 3][..]] {
            for k in [1, 3, 9] {
                let top = model.top_k(&[ANYBODY], &[excluded], k).unwrap();
                select_top_k(&scores, excluded, k, &mut items, &mut best).unwrap();
                let len = top.len[0] as usize;
                assert_eq!((&top.items[..len], &top.scores[..len]), (&items[..], &best[..]), "{excluded:?}, {k}");
            }
        }
        assert_eq!(model.top_k(&[ANYBODY], &[&[]], 4).unwrap().items, [1, 3, 0, 2]);
    }

    #[test]
    fn saving_and_loading_changes_nothing() {
        let loaded = load(&popularity().state(), NODES).unwrap();
        assert_eq!(loaded.state(), popularity().state());
        assert_eq!(loaded.model(), "popularity");
        assert_eq!(loaded.top_k(&[ANYBODY], &[&[]], 4).unwrap().items, [1, 3, 0, 2]);
    }

    #[test]
    fn weighted_pairs_count_their_weights() {
        let pairs = [(0, 1), (0, 3), (1, 1), (1, 3), (2, 0)].map(|(u, i)| (UserId(u), ItemId(i)));
        let train = Interactions::from_pairs(3, 4, pairs).unwrap();
        // Edges: (0, 1), (0, 3), (1, 1), (1, 3), (2, 0). Item 0: 2; item 1: .5 + .25; item 3: 1 +
        // .5.
        let model = fit_weighted(&train, &[0.5, 1.0, 0.25, 0.5, 2.0]);
        assert_eq!(model.scores(&[ANYBODY]).unwrap(), ndarray::array![[2.0, 0.75, 0.0, 1.5]]);
        let loaded = load(&model.state(), NODES).unwrap();
        assert_eq!(loaded.state(), model.state());
        assert_eq!(loaded.top_k(&[ANYBODY], &[&[]], 4).unwrap().items, [0, 3, 1, 2]);
    }

    #[test]
    fn there_are_no_similar_items_and_no_keys() {
        assert!(popularity().similar_items(ItemId(0), 2).is_err());
        assert!(toml::from_str::<Config>("l2 = 1").is_err());
    }
}
