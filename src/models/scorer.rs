//! Scorers: frozen models that answer what should come next for a user.

use gcnrec_graphs::{ItemId, UserId};
use gcnrec_kernels::ops::top_k::{TopK, select_among, select_top_k};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::state::State;
use crate::error::{RecError, Result};

/// One question: what should come next for this user?
///
/// ```
/// use gcnrec::{ItemId, Query, UserId};
///
/// let known = Query { user: Some(UserId(3)), history: &[] };
/// // Somebody whom the model was not trained on: what they met, the newest last.
/// let stranger = Query { user: None, history: &[ItemId(5), ItemId(2)] };
/// assert!(known.history.is_empty() && stranger.user.is_none());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The user, if the model was trained on them. A model that has no table of users ignores this.
    pub user: Option<UserId>,
    /// The user's items, oldest first. A model with a table of users reads it only for a user that
    /// it does not know.
    pub history: &'a [ItemId],
}

/// A frozen model: immutable, shared between threads.
///
/// ```
/// use gcnrec::ndarray::Array2;
/// use gcnrec::{Query, Result, Scorer, State, UserId};
///
/// /// The newest item first, for everybody.
/// struct Newest(usize);
///
/// impl Scorer for Newest {
///     fn model(&self) -> &'static str {
///         "newest"
///     }
///     fn n_items(&self) -> usize {
///         self.0
///     }
///     fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
///         Ok(Array2::from_shape_fn((queries.len(), self.0), |(_, item)| item as f32))
///     }
///     fn state(&self) -> State {
///         State::default()
///     }
/// }
///
/// let somebody = Query { user: Some(UserId(0)), history: &[] };
/// // The two best of four items, without item 3.
/// let top = Newest(4).top_k(&[somebody], &[&[3]], 2)?;
/// assert_eq!(top.items, [2, 1]);
/// # Ok::<(), gcnrec::RecError>(())
/// ```
pub trait Scorer: Send + Sync {
    /// The name of the model that can load [`Scorer::state`].
    fn model(&self) -> &'static str;

    /// Number of items that a query is answered over.
    fn n_items(&self) -> usize;

    /// Scores every item for every query: `[queries.len(), n_items]`, in the standard layout.
    /// Higher is better.
    ///
    /// # Errors
    /// [`RecError::Unsupported`] for a query without a known user and without a history that the
    /// model can use.
    fn scores(&self, queries: &[Query<'_>]) -> Result<Array2<f32>>;

    /// The `k` best items of every query, best first, ties to the lower id; `excluded[q]` (sorted
    /// ids) never appears.
    ///
    /// # Errors
    /// As [`Scorer::scores`].
    fn top_k(&self, queries: &[Query<'_>], excluded: &[&[u32]], k: usize) -> Result<TopK> {
        let scores = self.scores(queries)?;
        let (mut top, mut items, mut best) = (TopK::new(k), Vec::new(), Vec::new());
        for (row, excluded) in scores.rows().into_iter().zip(excluded) {
            let row = row.to_slice().expect("scores should be in the standard layout");
            select_top_k(row, excluded, k, &mut items, &mut best)?;
            top.push(&items, &best);
        }
        Ok(top)
    }

    /// The `k` best of every query's own candidates, by the rule of [`Scorer::top_k`];
    /// `candidates[q]` are sorted ids. For evaluation on a sample of items.
    ///
    /// # Errors
    /// As [`Scorer::scores`].
    fn top_k_among(&self, queries: &[Query<'_>], candidates: &[&[u32]], k: usize) -> Result<TopK> {
        let scores = self.scores(queries)?;
        let (mut top, mut items, mut best) = (TopK::new(k), Vec::new(), Vec::new());
        for (row, candidates) in scores.rows().into_iter().zip(candidates) {
            let row = row.to_slice().expect("scores should be in the standard layout");
            select_among(row, candidates, k, &mut items, &mut best)?;
            top.push(&items, &best);
        }
        Ok(top)
    }

    /// The `k` items most like this one, best first, without the item itself.
    ///
    /// # Errors
    /// [`RecError::Unsupported`] when the model has no notion of similar items.
    fn similar_items(&self, item: ItemId, k: usize) -> Result<Vec<(ItemId, f32)>> {
        let _ = (item, k);
        Err(RecError::unsupported(self.model(), "it has no notion of similar items")
            .with_todo("use a model with item vectors, such as lightgcn or ease"))
    }

    /// The vectors that stand for queries: `[queries.len(), width]`. Their inner products with
    /// [`Scorer::item_vectors`] rank the items as [`Scorer::top_k`] does, but for scores that
    /// differ in their last bits alone.
    ///
    /// # Errors
    /// [`RecError::Unsupported`] when the model's ranking is no inner product; as
    /// [`Scorer::scores`].
    fn query_vectors(&self, queries: &[Query<'_>]) -> Result<Array2<f32>> {
        let _ = queries;
        Err(no_vectors(self.model()))
    }

    /// The vectors of all items: `[n_items, width]`.
    ///
    /// # Errors
    /// [`RecError::Unsupported`] when the model's ranking is no inner product.
    fn item_vectors(&self) -> Result<Array2<f32>> {
        Err(no_vectors(self.model()))
    }

    /// What each item of the history adds to the score of `item`, for models whose score is a sum
    /// over the history: the shares add up to it. A known user's history is that of the training.
    ///
    /// # Errors
    /// [`RecError::Unsupported`] for any other model, and as [`Scorer::scores`].
    fn shares(&self, query: &Query<'_>, item: ItemId) -> Result<Vec<(ItemId, f32)>> {
        let _ = (query, item);
        Err(RecError::unsupported(self.model(), "its score is not a sum over the items of a history")
            .with_todo("use a model that can give reasons: ease, item_knn, rp3beta or gf_cf"))
    }

    /// Everything needed to answer the same queries with the same bits after a reload.
    fn state(&self) -> State;

    /// How the model weighs its propagation layers, for models that have layers.
    fn layer_weights(&self) -> Option<&LayerWeights> {
        None
    }
}

fn no_vectors(model: &str) -> RecError {
    RecError::unsupported(model, "its ranking is no inner product of a user's and an item's vector")
        .with_todo("use a model with vectors of both, such as lightgcn or mf, or export its recommendations")
}

/// The learned layer weights, as a report shows them.
///
/// ```
/// use gcnrec::{DegreeBucket, LayerWeights};
///
/// // Nodes of few edges lean on the layers above their own vector.
/// let cold = DegreeBucket { min_degree: 1, max_degree: 9, n: 40, weights: vec![0.2, 0.5, 0.3] };
/// let weights = LayerWeights { mean: vec![0.3, 0.4, 0.3], users: vec![cold], items: vec![] };
/// assert_eq!(weights.users[0].weights.len(), weights.mean.len());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerWeights {
    /// Mean weight of each layer, 0 first, over all users and items with at least one edge.
    pub mean: Vec<f64>,
    /// Users by degree, from few interactions to many.
    pub users: Vec<DegreeBucket>,
    /// Items by degree.
    pub items: Vec<DegreeBucket>,
}

/// The mean layer weights of the nodes within a range of degrees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DegreeBucket {
    /// Smallest degree in the bucket.
    pub min_degree: u32,
    /// Largest degree in the bucket.
    pub max_degree: u32,
    /// Number of nodes.
    pub n: usize,
    /// Mean weight of each layer.
    pub weights: Vec<f64>,
}
