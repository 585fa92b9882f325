//! Matrix factorisation: users and items have vectors, and perhaps biases; trained and served as a
//! LightGCN without layers.

use gcnrec_kernels::Device;

use super::lightgcn::{self, unread_biases};
use super::{GraphScorer, memory};
use crate::error::Result;
use crate::models::state::State;
use crate::models::{Memory, Model, Procedure, Scorer, Settled, TrainingSize};
use crate::objectives::{self, Nodes};
use crate::settings::{Row, Unread, above, between, row, settings};

/// Matrix factorisation in the list of models.
pub(crate) static ROW: Row<dyn Model> = row!(dyn Model, Config, "mf", "Matrix factorisation: LightGCN without layers");

settings! {
    /// `[model.mf]`.
    pub(crate) struct Config {
        /// Width of the embeddings.
        dim: usize = 64, in between(1.0, 4096.0), flag "--dim";
        /// A bias per user and item.
        biases: bool = false;
        /// Weight decay acts on biases too.
        decay_biases: bool = true;
        /// Standard deviation of the initial embeddings.
        init_std: Option<f32> = None, or "that of the loss", in above(0.0);
        /// As for LightGCN.
        norm_power: Option<f32> = None, or "that of the loss", in between(-2.0, 2.0);
    }
}

impl Config {
    /// The same model as a LightGCN without layers.
    pub(crate) fn as_lightgcn(&self) -> lightgcn::Config {
        lightgcn::Config {
            layers: 0,
            dim: self.dim,
            biases: self.biases,
            decay_biases: self.decay_biases,
            init_std: self.init_std,
            norm_power: self.norm_power,
            ..lightgcn::Config::default()
        }
    }
}

impl Model for Config {
    fn row(&self) -> &'static Row<dyn Model> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check_ranges("model.mf")
    }

    fn unread(&self, at: &str) -> Vec<Unread> {
        unread_biases(at, self.biases, self.decay_biases)
    }

    fn settled(&self, loss: Option<&objectives::Config>, n_users: usize) -> Settled {
        let Some(loss) = loss else { return Settled::default() };
        let norm_power = self.norm_power.or(Some(loss.default_norm_power()));
        let init_std = self.init_std.or(Some(loss.default_init_std()));
        let model = Config { norm_power, init_std, ..self.clone() };
        let validate_every = loss.default_validate_every();
        Settled { model: Some(model.into()), validate_every, ..Settled::by_loss(loss, n_users) }
    }

    fn check_device(&self, device: &Device) -> Result<()> {
        self.as_lightgcn().check_device(device)
    }

    fn memory(&self, size: &TrainingSize<'_>) -> Result<Memory> {
        Ok(memory::of(ROW.name, &self.as_lightgcn(), size))
    }

    fn load(&self, device: &Device, state: &State, nodes: Nodes) -> Result<Box<dyn Scorer>> {
        Ok(Box::new(GraphScorer::load(device.clone(), ROW.name, state, nodes)?))
    }

    fn procedure(&self) -> Procedure<'_> {
        Procedure::Graph(self.as_lightgcn())
    }
}
