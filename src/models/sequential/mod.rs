//! Sequential models: what comes next after a history. One file per model; training, serving and the parameters are shared.
//!
//! A model is an [`Encoder`]: the layout of its parameters, and a function from the items of sequences to a vector for each position. Everything else
//! is the same for all: an item scores the inner product of its vector with that of the last position.
//!
//! Burn holds the tape and nothing more, on the device of the run: that is the only type parameter, and it is erased here. A frozen model computes
//! on the processor, wherever it was trained. Parameters, their moments and every random number are ours, so a stopped run goes on with the same bits; the
//! ops are those of `gcnrec_kernels::burn_bridge`, in which a row's numbers depend on its own sequence alone: no padding, and a batch answers as its
//! queries one by one.

pub mod bert4rec;
mod blocks;
pub mod fmlp;
pub mod fpmc;
pub mod gru4rec;
mod lanes;
mod learner;
mod losses;
pub mod narm;
mod negatives;
mod parameters;
mod pre_norm;
pub mod sasrec;
mod scorer;
mod teacher;

use std::sync::Arc;

use burn_tensor::Tensor;
use gcnrec_graphs::{ItemId, Seed};
use gcnrec_kernels::Device;
use gcnrec_kernels::burn_bridge::{OnAnyTape, OpBackend, Sequences, Tape, on_tape_of};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::state::State;
use super::{Config, Learner, Scorer};
use crate::error::{RecError, Result};
use crate::samplers::{Examples, Windows};
pub use blocks::Activation;
pub use learner::SequenceLearner;
pub use losses::{Loss, Objective};
pub use parameters::{Init, Noise, Parameter, Rule, Weights};
pub use scorer::SequenceScorer;
pub use teacher::Teaching;

/// The name of the parameter that holds a vector for each item, `[n_items, dim]`. A mask has a parameter of its own.
pub const ITEMS: &str = "items";
/// Step size where none was chosen.
pub const LEARNING_RATE: f32 = 1e-3;
/// Sequences in a batch where no number was chosen.
pub const BATCH_SIZE: usize = 128;

/// The items of some sequences, as a model reads them.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// All items, sequence after sequence, oldest first; the number of items stands for a mask.
    pub items: &'a [u32],
    /// Where each sequence lies in them.
    pub sequences: &'a Sequences,
}

/// What a model reads of a history, and what it is asked in training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Task {
    /// Items that a sequence has at most.
    pub max_len: usize,
    /// How long histories are cut.
    pub windows: Windows,
    /// What is predicted.
    pub examples: Examples,
    /// The loss.
    pub objective: Objective,
}

/// What makes a sequential model, its settings being `self`.
pub trait Encoder: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The name in the registry.
    const NAME: &'static str;

    /// Refuses settings outside their ranges.
    ///
    /// # Errors
    /// [`RecError::Config`] for the first value outside its range.
    fn validate(&self) -> Result<()>;

    /// What is read, and what is asked in training.
    fn task(&self) -> Task;

    /// How the parameters follow their gradients. By default Adam.
    fn rule(&self, learning_rate: f32) -> Rule {
        Rule::adam(learning_rate)
    }

    /// How much a teacher says that reads what comes after a target. By default there is none.
    fn teaching(&self) -> Option<Teaching> {
        None
    }

    /// All parameters, [`ITEMS`] among them, in a fixed order. Vectors are matrices of one row.
    fn parameters(&self, n_items: usize) -> Vec<Parameter>;

    /// A vector for each position, as wide as those of the items.
    ///
    /// # Shapes
    /// - returns `[input.items.len(), dim]`
    fn encode<B: OpBackend>(&self, weights: &Weights<B>, input: &Input<'_>, noise: &mut Noise) -> Tensor<B, 2>;

    /// Numbers that a step has for each position of a batch: in its widest array, and in all of them. For the memory of a GPU, roughly.
    fn held(&self) -> [usize; 2];

    /// The parameter that adds to each item's score, `[1, n_items]`, where there is one.
    fn item_bias(&self) -> Option<&'static str> {
        None
    }

    /// What the model reads to say what follows a history: by default its last items.
    fn asked(&self, history: &[ItemId], n_items: usize) -> Vec<u32> {
        let _ = n_items;
        history[history.len().saturating_sub(self.task().max_len)..].iter().map(|item| item.0).collect()
    }
}

/// What a sequential model is trained on.
pub struct Setup {
    /// Each user's items, oldest first.
    pub histories: Arc<Vec<Vec<ItemId>>>,
    /// Number of items.
    pub n_items: usize,
    /// Sequences in a batch; none takes [`BATCH_SIZE`].
    pub batch_size: Option<usize>,
    /// Adam's step size; none takes [`LEARNING_RATE`].
    pub learning_rate: Option<f32>,
    /// The seed of the run.
    pub seed: Seed,
    /// Where training computes.
    pub device: Device,
}

impl Setup {
    /// The step size that was chosen, or the usual one.
    fn learning_rate(&self) -> f32 {
        self.learning_rate.unwrap_or(LEARNING_RATE)
    }
}

/// The learner of a sequential model; nothing for the models of other families.
///
/// # Errors
/// [`RecError::Config`] for a setting outside its range, [`RecError::Input`] when no history has two items, [`RecError::Kernel`] for FPMC on a GPU: it
/// has no kernels there.
pub fn learner(config: &Config, setup: Setup) -> Result<Option<Box<dyn Learner>>> {
    let device = setup.device.clone();
    on_tape_of(&device, Training { config, setup })
}

/// A training, on whichever tape.
struct Training<'a> {
    config: &'a Config,
    setup: Setup,
}

impl OnAnyTape for Training<'_> {
    type Answer = Result<Option<Box<dyn Learner>>>;

    fn run<T: Tape>(self) -> Self::Answer {
        fn of<T: Tape, M: Encoder>(model: &M, setup: Setup) -> Result<Option<Box<dyn Learner>>> {
            Ok(Some(Box::new(SequenceLearner::<M, T>::new(model.clone(), setup)?)))
        }
        let setup = self.setup;
        match self.config {
            Config::Sasrec(model) => of::<T, _>(model, setup),
            Config::Bert4rec(model) => of::<T, _>(model, setup),
            Config::Fmlp(model) => of::<T, _>(model, setup),
            Config::Gru4rec(model) if model.batches == gru4rec::Batches::SessionsInParallel => {
                Ok(Some(Box::new(lanes::LaneLearner::<T>::new(model.clone(), setup)?)))
            }
            Config::Gru4rec(model) => of::<T, _>(model, setup),
            Config::Narm(model) => of::<T, _>(model, setup),
            Config::Fpmc(model) => Ok(Some(Box::new(fpmc::FpmcLearner::new(model.clone(), setup)?))),
            _ => Ok(None),
        }
    }
}

/// A scorer from its checkpointed state; nothing for the names of other families.
///
/// # Errors
/// [`RecError::Checkpoint`] when the state belongs to another model.
pub fn load(model: &str, state: &State) -> Result<Option<Box<dyn Scorer>>> {
    Ok(match model {
        sasrec::Config::NAME => Some(Box::new(SequenceScorer::<sasrec::Config>::load(state)?)),
        bert4rec::Config::NAME => Some(Box::new(SequenceScorer::<bert4rec::Config>::load(state)?)),
        fmlp::Config::NAME => Some(Box::new(SequenceScorer::<fmlp::Config>::load(state)?)),
        gru4rec::Config::NAME => Some(Box::new(SequenceScorer::<gru4rec::Config>::load(state)?)),
        narm::Config::NAME => Some(Box::new(SequenceScorer::<narm::Config>::load(state)?)),
        fpmc::NAME => Some(Box::new(fpmc::Fpmc::load(state)?)),
        _ => None,
    })
}

/// Bytes that a training has on a GPU: in its largest array, and in all. Nothing for models that have no kernels there.
pub(super) fn room(config: &Config, n_items: usize, batch_size: Option<usize>) -> Option<[u128; 2]> {
    fn of<M: Encoder>(model: &M, n_items: usize, n_positions: usize) -> [u128; 2] {
        let sizes = || model.parameters(n_items).into_iter().map(|parameter| parameter.shape.map(|n| n as u128));
        let numbers: u128 = sizes().map(|[rows, columns]| rows * columns).sum();
        let table = sizes().map(|[rows, columns]| rows * columns).max().unwrap_or(0);
        let [widest, all] = model.held().map(|held| held as u128 * n_positions as u128);
        // Parameters, their moments and gradients, and those of a teacher; what the tape keeps, and its gradients.
        let networks = if model.teaching().is_some() { 2 } else { 1 };
        [4 * table.max(widest), 4 * networks * (4 * numbers + 2 * all)]
    }
    let n = batch_size.unwrap_or(BATCH_SIZE);
    Some(match config {
        Config::Sasrec(model) => of(model, n_items, n * model.max_len),
        Config::Bert4rec(model) => of(model, n_items, n * model.max_len),
        Config::Fmlp(model) => of(model, n_items, n * model.max_len),
        Config::Gru4rec(model) if model.batches == gru4rec::Batches::SessionsInParallel => of(model, n_items, n),
        Config::Gru4rec(model) => of(model, n_items, n * model.max_len),
        Config::Narm(model) => of(model, n_items, n * model.max_len),
        _ => return None,
    })
}

/// Bytes that training takes: parameters, their moments, gradients and what a checkpoint copies (8 tables), and the scores that a step keeps.
pub(super) fn needed_bytes(n_items: usize, dim: usize) -> u128 {
    8 * 4 * n_items as u128 * dim as u128 + (256 << 20)
}

/// A range that a setting must be in.
fn expect(ok: bool, key: String, found: impl std::fmt::Display, expected: &str) -> Result<()> {
    if ok { Ok(()) } else { Err(RecError::range(key, found, expected)) }
}

#[cfg(test)]
mod tests;
