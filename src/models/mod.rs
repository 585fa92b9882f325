//! Models: the list of them, and what all have in common: [`Model`] (settings, memory, procedure),
//! [`Learner`] (trains) and [`Scorer`] (frozen, answers queries).

pub mod fusion;
pub mod graph;
pub mod linear;
mod memory;
mod model;
mod pair_weights;
mod ranking;
pub mod sequential;
mod start;
pub mod state;

use std::ops::Range;
use std::sync::Arc;

use gcnrec_graphs::{ItemId, UserId};
use gcnrec_kernels::Device;
use gcnrec_kernels::ops::top_k::{TopK, select_top_k};

use crate::error::{RecError, Result};
use crate::settings::{Chosen, Family, Row};
use graph::{lightgcn, mf};
use linear::{ease, gf_cf, item_knn, markov, popularity, rp3beta};
pub use memory::{Memory, Room, TrainingSize};
pub use model::{ClosedForm, Fit, Model, Procedure, Settled};
pub use pair_weights::PairWeights;
use sequential::{bert4rec, fmlp, fpmc, gru4rec, narm, sasrec};
pub use start::StartItems;
use state::State;

impl Family for dyn Model {
    const WHAT: &'static str = "model";

    fn rows() -> &'static [&'static Row<Self>] {
        const ROWS: &[&Row<dyn Model>] = &[
            &lightgcn::ROW,
            &mf::ROW,
            &popularity::ROW,
            &item_knn::ROW,
            &ease::ROW,
            &gf_cf::ROW,
            &rp3beta::ROW,
            &markov::ROW,
            &fpmc::ROW,
            &gru4rec::ROW,
            &narm::ROW,
            &sasrec::ROW,
            &bert4rec::ROW,
            &fmlp::ROW,
            &fusion::ROW,
        ];
        ROWS
    }

    fn row(&self) -> &'static Row<Self> {
        Model::row(self)
    }

    fn validate(&self) -> Result<()> {
        Model::validate(self)
    }
}

/// A model with its settings: `[model.NAME]`. `Config::from(ease::Config::default())` makes one.
pub type Config = Chosen<dyn Model>;

impl<T: Model> From<T> for Config {
    fn from(model: T) -> Self {
        Chosen::new(Arc::new(model))
    }
}

impl Config {
    /// Changes the settings where they are of this type; answers whether they are.
    pub fn change<T: Model + Clone>(&mut self, change: impl FnOnce(&mut T)) -> bool {
        let Some(mut settings) = self.settings::<T>().cloned() else { return false };
        change(&mut settings);
        *self = settings.into();
        true
    }
}

/// A scorer from its checkpointed state, by the name that is stored beside it.
///
/// # Errors
/// [`RecError::Checkpoint`] when the name is unknown or the state belongs to another model.
pub fn load_scorer(device: &Device, model: &str, state: &State) -> Result<Box<dyn Scorer>> {
    let known = Config::named(model).map_err(|_| RecError::Checkpoint {
        path: "manifest.json".into(),
        problem: format!("model \"{model}\" is unknown to this version"),
        todo: "use the version of gcnrec that wrote it".into(),
    })?;
    known.load(device, state)
}

/// One question: what should come next for this user?
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The user, if the model was trained on them. A model that has no table of users ignores this.
    pub user: Option<UserId>,
    /// The user's items, oldest first. A model with a table of users reads it only for a user that it does not know.
    pub history: &'a [ItemId],
}

/// A frozen model: immutable, shared between threads.
pub trait Scorer: Send + Sync {
    /// The registry's name of the model that can load [`Scorer::state`].
    fn model(&self) -> &'static str;

    /// Number of items that a query is answered over.
    fn n_items(&self) -> usize;

    /// Scores every item for every query: `out` becomes `[queries.len(), n_items]`, row-major. Higher is better.
    ///
    /// # Errors
    /// [`RecError::Unsupported`] for a query without a known user and without a history that the model can use.
    fn score_block(&self, queries: &[Query<'_>], out: &mut Vec<f32>) -> Result<()>;

    /// The `k` best items of every query, best first, ties to the lower id; `excluded[q]` (sorted ids) never appears.
    ///
    /// # Errors
    /// As [`Scorer::score_block`].
    fn top_k(&self, queries: &[Query<'_>], excluded: &[&[u32]], k: usize) -> Result<TopK> {
        let mut scores = Vec::new();
        self.score_block(queries, &mut scores)?;
        let (mut top, mut items, mut best) = (TopK::new(k), Vec::new(), Vec::new());
        // By place and not in chunks: a model without items still answers every query, with an empty list.
        for (query, excluded) in excluded.iter().enumerate() {
            let row = &scores[query * self.n_items()..(query + 1) * self.n_items()];
            select_top_k(row, excluded, k, &mut items, &mut best)?;
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
        Err(RecError::Unsupported {
            model: self.model().into(),
            problem: "it has no notion of similar items".into(),
            todo: "use a model with item vectors, such as lightgcn or ease".into(),
        })
    }

    /// Everything needed to answer the same queries with the same bits after a reload.
    fn state(&self) -> State;

    /// How the model weighs its propagation layers, for models that have layers.
    fn layer_weights(&self) -> Option<&LayerWeights> {
        None
    }
}

/// What some steps of training did.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StepReport {
    /// Sum of the examples' losses, without the weight decay; 0 where only [`Learner::late_loss`] can tell.
    pub loss: f64,
    /// Number of examples seen.
    pub n_examples: u64,
}

impl StepReport {
    /// Takes steps one after the other, each of which answers the sum of its examples' losses and their number.
    pub(crate) fn of(steps: Range<usize>, mut step: impl FnMut(usize) -> Result<(f64, u64)>) -> Result<Self> {
        let mut report = StepReport::default();
        for number in steps {
            let (loss, n_examples) = step(number)?;
            report.loss += loss;
            report.n_examples += n_examples;
        }
        Ok(report)
    }
}

/// The learned layer weights, as a report shows them.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LayerWeights {
    /// Mean weight of each layer, 0 first, over all users and items with at least one edge.
    pub mean: Vec<f64>,
    /// Users by degree, from few interactions to many.
    pub users: Vec<DegreeBucket>,
    /// Items by degree.
    pub items: Vec<DegreeBucket>,
}

/// The mean layer weights of the nodes within a range of degrees.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
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

/// A model in training. The trainer owns epochs and checkpoints; a learner owns parameters and steps.
pub trait Learner {
    /// Number of steps in an epoch.
    fn steps_per_epoch(&self) -> usize;

    /// Takes the given steps of an epoch. Every random number is a function of (seed, epoch, step), so any division of an epoch into ranges
    /// gives the same bits.
    ///
    /// # Errors
    /// [`RecError::NotFinite`] when the loss is NaN or infinite.
    fn steps(&mut self, epoch: u64, steps: Range<usize>) -> Result<StepReport>;

    /// The losses of steps that [`Learner::steps`] could not report, because a device still had them: waits for them, and answers their sum since the
    /// last call.
    ///
    /// # Errors
    /// [`RecError::NotFinite`] when one of them is NaN or infinite.
    fn late_loss(&mut self) -> Result<f64> {
        Ok(0.0)
    }

    /// The model as it is now, ready to answer queries.
    ///
    /// # Errors
    /// Those of the ops that compute the final embeddings.
    fn freeze(&mut self) -> Result<Box<dyn Scorer>>;

    /// Everything that the next step depends on: parameters, optimiser moments, step counter.
    fn state(&self) -> State;

    /// Puts back what [`Learner::state`] gave.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when the state belongs to another model.
    fn restore(&mut self, state: &State) -> Result<()>;

    /// Takes the parameters of a frozen model of the same kind; everything else is as at step 0.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when the state belongs to another model, [`RecError::Unsupported`] where a model always starts anew.
    fn start_from(&mut self, frozen: &State) -> Result<()> {
        let _ = frozen;
        Err(RecError::Unsupported {
            model: "this model".into(),
            problem: "it always starts anew".into(),
            todo: "remove train.finetune_epochs".into(),
        })
    }

    /// Lets some training pairs count more than others, before the first step.
    ///
    /// # Errors
    /// [`RecError::Usage`] for a model that was not told to weigh its pairs when it was made, and cannot be told later.
    fn weigh_pairs(&mut self, weights: PairWeights) -> Result<()> {
        let _ = weights;
        Err(RecError::Usage {
            problem: "data.half_life_days does not fit this way to train".into(),
            todo: "its examples cannot count more or less; use data.recent_days or data.recent_fraction".into(),
        })
    }

    /// Starts from the item vectors of another model, before the first step.
    ///
    /// # Errors
    /// [`RecError::Config`] when their width is another one; [`RecError::Usage`] for a model that does not have one vector for each item.
    fn start_with_items(&mut self, items: &StartItems) -> Result<()> {
        let _ = items;
        Err(StartItems::nowhere("this model"))
    }

    /// Number of trained scalars.
    fn n_parameters(&self) -> usize;

    /// The global logits of the layer weights, for models that learn them: what a later stage starts from.
    fn layer_logits(&self) -> Option<Vec<f32>> {
        None
    }
}
