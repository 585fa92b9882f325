//! A model before training: its settings, what fits it, its memory, and how it is fitted or
//! trained.

use gcnrec_graphs::{Interactions, ItemId};
use gcnrec_kernels::Device;

use super::memory::{Memory, TrainingSize};
use super::sequential::SequentialModel;
use super::state::State;
use super::{Config, Scorer, fusion, graph};
use crate::error::Result;
use crate::objectives::{self, Nodes};
use crate::settings::{Row, Settings, Unread};

/// A model with its settings, which are `self`: what `[model.NAME]` holds.
pub trait Model: Settings {
    /// Its row in the list of models.
    fn row(&self) -> &'static Row<dyn Model>;

    /// Refuses settings outside their ranges, or that do not fit each other.
    ///
    /// # Errors
    /// [`crate::RecError::Config`] for the first one.
    fn validate(&self) -> Result<()>;

    /// Settings that the others leave unread. `at` is the dotted key of the table.
    fn unread(&self, at: &str) -> Vec<Unread> {
        let _ = at;
        Vec::new()
    }

    /// Defaults that depend on the loss or the data; `loss` is given for models that are trained on
    /// one.
    fn settled(&self, loss: Option<&objectives::Config>, n_users: usize) -> Settled {
        let _ = (loss, n_users);
        Settled::default()
    }

    /// Refuses a device that has no kernels for the model; by default every device but the
    /// processor.
    ///
    /// # Errors
    /// [`gcnrec_kernels::KernelError::Device`], exit code 5, with the name of what is missing.
    fn check_device(&self, device: &Device) -> Result<()> {
        Ok(device.expect_cpu(&format!("the model {}", self.row().name))?)
    }

    /// What a training holds in memory at the same time; by default too little to count.
    ///
    /// # Errors
    /// [`crate::RecError::Resources`] when the data exceed a limit that the settings name.
    fn memory(&self, size: &TrainingSize<'_>) -> Result<Memory> {
        let _ = size;
        Ok(Memory::nothing(self.row().name))
    }

    /// A scorer from its checkpointed state, which holds the settings that it was trained with:
    /// those of `self` are not read. Graph models answer on `device`, others on the processor.
    ///
    /// The state may be anybody's: every shape must follow from `nodes` and the stored settings,
    /// and is checked before anything of that size is made. Call [`super::load_scorer`], which has
    /// looked at the numbers.
    ///
    /// # Errors
    /// [`crate::RecError::Checkpoint`] when the state belongs to another model or its parts do not
    /// fit together.
    fn load(&self, device: &Device, state: &State, nodes: Nodes) -> Result<Box<dyn Scorer>>;

    /// How the model comes to its numbers.
    fn procedure(&self) -> Procedure<'_>;
}

/// The four families: how a model comes to its numbers.
pub enum Procedure<'a> {
    /// Trained by steps on a loss of pairs, over the graph of interactions.
    Graph(graph::Config),
    /// Trained by steps on sequences.
    Sequential(&'a dyn SequentialModel),
    /// Computed at once: no epoch is picked, and the validation pairs are learned from too.
    ClosedForm(&'a dyn ClosedForm),
    /// Several models, and a weight for each.
    Fusion(&'a fusion::Config),
}

/// What a model that is computed at once can do.
pub trait ClosedForm {
    /// Computes it.
    ///
    /// # Errors
    /// [`crate::RecError::Config`] for a setting outside its range, [`crate::RecError::Resources`]
    /// for too little memory, and those of the model.
    fn fit(&self, data: &Fit<'_>) -> Result<Box<dyn Scorer>>;

    /// True for a model whose training pairs can count more or less.
    fn weighs_pairs(&self) -> bool {
        false
    }

    /// True for a model that asks for [`Fit::histories`]: the order of the items means something.
    fn reads_order(&self) -> bool {
        false
    }
}

/// What a closed form is computed from.
pub struct Fit<'a> {
    /// The training pairs.
    pub train: &'a Interactions,
    /// What each pair counts, `[n_edges]`, for models that weigh pairs; none means that all count
    /// 1.
    pub weights: Option<&'a [f32]>,
    /// Gives each user's training items, oldest first: asked by models that read an order.
    pub histories: &'a dyn Fn() -> Vec<Vec<ItemId>>,
}

/// Defaults that depend on the loss or the data.
#[derive(Debug, Default)]
pub struct Settled {
    /// The model with nothing left to fill in; `None` where it is complete.
    pub model: Option<Config>,
    /// `train.learning_rate` where it is not set.
    pub learning_rate: Option<f32>,
    /// `train.batch_size` where it is not set.
    pub batch_size: Option<usize>,
    /// `train.validate_every` where it is not set.
    pub validate_every: Option<u64>,
}

impl Settled {
    /// Step size and batch size as the loss wants them.
    pub(super) fn by_loss(loss: &objectives::Config, n_users: usize) -> Settled {
        Settled {
            learning_rate: Some(loss.default_learning_rate()),
            batch_size: Some(loss.default_batch_size(n_users)),
            ..Settled::default()
        }
    }
}

impl dyn Model {
    /// The settings of the graph family, for models that are trained on a loss of pairs.
    pub fn graph(&self) -> Option<graph::Config> {
        match self.procedure() {
            Procedure::Graph(config) => Some(config),
            _ => None,
        }
    }

    /// The model as one that is trained by steps on sequences, if it is one.
    pub fn sequential(&self) -> Option<&dyn SequentialModel> {
        match self.procedure() {
            Procedure::Sequential(model) => Some(model),
            _ => None,
        }
    }

    /// The model as one that is computed at once, if it is one.
    pub fn closed_form(&self) -> Option<&dyn ClosedForm> {
        match self.procedure() {
            Procedure::ClosedForm(model) => Some(model),
            _ => None,
        }
    }

    /// True for a model that is trained by steps on sequences.
    pub fn is_sequential(&self) -> bool {
        self.sequential().is_some()
    }

    /// True for a model that is computed at once: no epoch is picked, and it learns from the
    /// training and the validation pairs.
    pub fn is_closed_form(&self) -> bool {
        self.closed_form().is_some()
    }

    /// The width of the item vectors, for models that read a history with one vector for each item.
    pub fn item_dim(&self) -> Option<usize> {
        self.sequential()?.item_dim()
    }

    /// True for a model whose training can go on from where another one ended, on other rows.
    pub fn can_be_finetuned(&self) -> bool {
        self.sequential().is_some_and(|model| model.can_be_finetuned())
    }

    /// True for a model to which the order of a user's items means something.
    pub fn reads_order(&self) -> bool {
        match self.procedure() {
            Procedure::Graph(_) => false,
            Procedure::Sequential(_) => true,
            Procedure::ClosedForm(model) => model.reads_order(),
            Procedure::Fusion(fusion) => fusion.members().iter().any(|member| member.model.reads_order()),
        }
    }

    /// True for a model whose training pairs can count more or less.
    pub fn weighs_pairs(&self) -> bool {
        match self.procedure() {
            Procedure::Graph(_) | Procedure::Sequential(_) => true,
            Procedure::ClosedForm(model) => model.weighs_pairs(),
            Procedure::Fusion(fusion) => fusion.members().iter().all(|member| member.model.weighs_pairs()),
        }
    }
}
