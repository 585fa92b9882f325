//! What makes a sequential model with one vector for each item: the layout of its parameters, and a
//! function from the items of sequences to a vector for each position. Everything else is the same
//! for all: an item scores the inner product of its vector with that of the last position.

use burn_tensor::Tensor;
use gcnrec_graphs::ItemId;
use gcnrec_kernels::Device;
use gcnrec_kernels::burn_bridge::{OnAnyTape, OpBackend, Sequences, Tape, on_tape_of};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::training::{settled, table_bytes};
use super::{
    BATCH_SIZE, Distillation, Noise, Objective, Parameter, Rule, SequenceLearner, SequenceScorer, SequentialModel,
    Setup, Weights,
};
use crate::error::Result;
use crate::models::state::State;
use crate::models::{Learner, Memory, Model, Procedure, Room, Scorer, Settled, TrainingSize};
use crate::objectives::{self, Nodes};
use crate::samplers::{Examples, Windows};
use crate::settings::{Row, Settings, Unread};

/// The name of the parameter that holds a vector for each item, `[n_items, dim]`. A mask has a
/// parameter of its own.
pub(crate) const ITEMS: &str = "items";

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

/// A sequential model with one vector for each item, its settings being `self`. It is a [`Model`]
/// by that.
pub trait Encoder: Settings + Serialize + DeserializeOwned + Clone {
    /// Its row in the list of models.
    const ROW: &'static Row<dyn Model>;

    /// Refuses settings outside their ranges, or that do not fit each other.
    ///
    /// # Errors
    /// [`crate::RecError::Config`] for the first one.
    fn check(&self) -> Result<()>;

    /// Settings beside those of the loss that are left unread. `at` is the dotted key of the table.
    fn unread_beside_loss(&self, at: &str) -> Vec<Unread> {
        let _ = at;
        Vec::new()
    }

    /// What is read, and what is asked in training.
    fn task(&self) -> Task;

    /// How the parameters follow their gradients. By default Adam.
    fn rule(&self, learning_rate: f32) -> Rule {
        Rule::adam(learning_rate)
    }

    /// How the targets are mixed with what a second network predicts that reads what comes after
    /// them. By default there is none.
    fn distillation(&self) -> Option<Distillation> {
        None
    }

    /// A learner on the tape of its device. By default one of whole sequences.
    ///
    /// # Errors
    /// As [`SequentialModel::learner`].
    fn on_tape<T: Tape>(&self, setup: Setup) -> Result<Box<dyn Learner>> {
        Ok(Box::new(SequenceLearner::<Self, T>::new(self.clone(), setup)?))
    }

    /// Positions that a step of so many sequences has at most.
    fn positions(&self, batch_size: usize) -> usize {
        batch_size * self.task().max_len
    }

    /// All parameters, [`ITEMS`] among them, in a fixed order. Vectors are matrices of one row.
    fn parameters(&self, n_items: usize) -> Vec<Parameter>;

    /// A vector for each position, as wide as those of the items.
    ///
    /// # Shapes
    /// - returns `[input.items.len(), dim]`
    fn encode<B: OpBackend>(&self, weights: &Weights<B>, input: &Input<'_>, noise: &mut Noise) -> Tensor<B, 2>;

    /// Numbers that a step has for each position of a batch: in its widest array, and in all of
    /// them. For the memory of a GPU, roughly.
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

impl<M: Encoder> Model for M {
    fn row(&self) -> &'static Row<dyn Model> {
        M::ROW
    }

    fn validate(&self) -> Result<()> {
        self.check()
    }

    fn unread(&self, at: &str) -> Vec<Unread> {
        let mut found = self.task().objective.unread(at);
        found.extend(self.unread_beside_loss(at));
        found
    }

    fn settled(&self, _loss: Option<&objectives::Config>, _n_users: usize) -> Settled {
        settled(BATCH_SIZE)
    }

    fn check_device(&self, _device: &Device) -> Result<()> {
        Ok(())
    }

    fn memory(&self, size: &TrainingSize<'_>) -> Result<Memory> {
        let (name, n_items, dim) = (M::ROW.name, size.n_items, item_table(self, 1).shape[1]);
        let batch_size = size.batch_size.unwrap_or(BATCH_SIZE);
        let room = Some(room(self, n_items, self.positions(batch_size)));
        if self.distillation().is_none() {
            let keys = format!("model.{name}.dim");
            return Ok(Memory { room, ..Memory::of_tables(name, table_bytes(n_items, dim), size, &keys) });
        }
        // The second network has tables of its own, and its scores, their softmax and that in the
        // order of the batch are kept for every position and item.
        let scores = 3 * 4 * self.positions(batch_size) as u128 * n_items as u128;
        let keys = format!("train.batch_size or model.{name}.max_len");
        Ok(Memory { room, ..Memory::of_tables(name, table_bytes(2 * n_items, dim) + scores, size, &keys) })
    }

    fn load(&self, _device: &Device, state: &State, nodes: Nodes) -> Result<Box<dyn Scorer>> {
        Ok(Box::new(SequenceScorer::<M>::load(state, nodes)?))
    }

    fn procedure(&self) -> Procedure<'_> {
        Procedure::Sequential(self)
    }
}

impl<M: Encoder> SequentialModel for M {
    fn learner(&self, setup: Setup) -> Result<Box<dyn Learner>> {
        struct Training<'a, M>(&'a M, Setup);
        impl<M: Encoder> OnAnyTape for Training<'_, M> {
            type Answer = Result<Box<dyn Learner>>;

            fn run<T: Tape>(self) -> Self::Answer {
                self.0.on_tape::<T>(self.1)
            }
        }
        let device = setup.device.clone();
        on_tape_of(&device, Training(self, setup))
    }

    fn item_dim(&self) -> Option<usize> {
        Some(item_table(self, 1).shape[1])
    }

    fn can_be_finetuned(&self) -> bool {
        true
    }
}

/// The parameter with a vector for each item.
pub(super) fn item_table<M: Encoder>(model: &M, n_items: usize) -> Parameter {
    let table = model.parameters(n_items).into_iter().find(|parameter| parameter.name == ITEMS);
    table.expect("every encoder should have a vector for each item")
}

/// Bytes that a training has on a GPU.
fn room<M: Encoder>(model: &M, n_items: usize, n_positions: usize) -> Room {
    let sizes = || model.parameters(n_items).into_iter().map(|parameter| parameter.shape.map(|n| n as u128));
    let numbers: u128 = sizes().map(|[rows, columns]| rows * columns).sum();
    let table = sizes().map(|[rows, columns]| rows * columns).max().unwrap_or(0);
    let [widest, all] = model.held().map(|held| held as u128 * n_positions as u128);
    // Parameters, their moments and gradients, and those of a second network; what the tape keeps,
    // and its gradients.
    let networks = if model.distillation().is_some() { 2 } else { 1 };
    Room {
        largest: 4 * table.max(widest),
        total: 4 * networks * (4 * numbers + 2 * all),
        of: format!("the model {} and {n_items} items", M::ROW.name),
    }
}
