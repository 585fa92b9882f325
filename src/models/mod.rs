//! Models: the list of them, and what all have in common: [`Model`] (settings, memory, procedure),
//! [`Learner`] (trains) and [`Scorer`] (frozen, answers queries).
//!
//! A model is one file in the folder of its family: settings that implement [`Model`], and a row in
//! the list of that folder's `mod.rs`.

pub(crate) mod cold;
pub(crate) mod fusion;
pub(crate) mod graph;
mod learner;
pub(crate) mod linear;
mod memory;
mod model;
mod pair_weights;
mod ranking;
mod scorer;
pub(crate) mod sequential;
mod start;
pub(crate) mod state;

use std::sync::{Arc, LazyLock};

use gcnrec_kernels::Device;

use crate::error::{RecError, Result};
pub use crate::objectives::Nodes;
use crate::settings::{Chosen, Family, Row};
pub use learner::Learner;
pub(crate) use learner::StepReport;
pub use memory::TrainingSize;
pub(crate) use memory::{Memory, Room};
pub(crate) use model::{ClosedForm, Model, Settled};
pub use model::{Fit, Procedure};
pub(crate) use pair_weights::PairWeights;
pub use scorer::{DegreeBucket, LayerWeights, Query, Scorer};
pub(crate) use start::StartItems;
use state::State;

impl Family for dyn Model {
    const WHAT: &'static str = "model";

    fn rows() -> &'static [&'static Row<Self>] {
        static ROWS: LazyLock<Vec<&Row<dyn Model>>> =
            LazyLock::new(|| [graph::ROWS, linear::ROWS, sequential::ROWS, fusion::ROWS].concat());
        &ROWS
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

/// A scorer from its checkpointed state, by the name that is stored beside it; `nodes` says how
/// many users and items have names there.
///
/// A state is data, not ours: somebody may have written it to do harm. What it claims is compared
/// with its own settings and with the names before anything is allocated.
///
/// # Errors
/// [`RecError::Checkpoint`] when the name is unknown, the state belongs to another model, its
/// tensors have other shapes than its settings and `nodes` ask for, or it holds numbers that no
/// trained model has.
pub fn load_scorer(device: &Device, model: &str, state: &State, nodes: Nodes) -> Result<Box<dyn Scorer>> {
    let unknown = |_| {
        let problem = format!("model \"{model}\" is unknown to this version");
        RecError::checkpoint("manifest.json", problem, "use the version of gcnrec that wrote it")
    };
    let config = Config::named(model).map_err(unknown)?;
    state.check_numbers()?;
    match cold::take(state, nodes)? {
        None => config.load(device, state, nodes),
        Some((cold, state)) => cold::put_back(&cold, config.load(device, &state, nodes)?),
    }
}
