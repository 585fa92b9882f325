//! LightGCN: embeddings of users and items, propagated over the graph of interactions; what comes
//! out of each layer is combined with equal, global, or per-node weights.
//!
//! # Source
//! He et al., *LightGCN*, SIGIR 2020. The learned combinations are described in
//! [`super::combination`].

use gcnrec_kernels::Device;
use gcnrec_kernels::ops::half_table::Precision;
use serde::{Deserialize, Serialize};

pub use super::combination::Combination;
use super::{GraphScorer, memory};
use crate::error::{RecError, Result};
use crate::models::state::State;
use crate::models::{Memory, Model, Procedure, Scorer, Settled, TrainingSize};
use crate::objectives::{self, Nodes};
use crate::settings::{
    Row, Unread, above, at_least, between, from_to_below, name_setting, row, settings, strictly_between,
};

/// LightGCN in the list of models.
pub(crate) static ROW: Row<dyn Model> =
    row!(dyn Model, Config, "lightgcn", "LightGCN with a choice of layer combinations");

settings! {
    /// `[model.lightgcn]`, and `[model.mf]` with `layers = 0`.
    pub struct Config {
        /// Propagation layers.
        layers: usize = 3, in between(0.0, 8.0), flag "--layers";
        /// Width of the embeddings.
        dim: usize = 64, in between(1.0, 4096.0), flag "--dim";
        /// How the layers become one embedding; `--attn-layers` means `additive`.
        combination: Combination = Combination::UNIFORM, flag "--attn-layers";
        /// Standard deviation of the initial embeddings.
        init_std: Option<f32> = None,
            or "that of the loss: 0.01 for `ssm` and `bsl` within the batch, else 0.1", in above(0.0);
        /// Share of edges dropped anew in each epoch.
        edge_dropout: f64 = 0.0, in from_to_below(0.0, 1.0);
        /// How the layers lie in memory while training; with 16 bits an epoch is shorter and the
        /// numbers are coarser.
        storage: Storage = Storage::F32;
        /// A bias per user and item, only with `layers = 0`.
        biases: bool = false;
        /// Weight decay acts on biases too.
        decay_biases: bool = true;
        /// Ranked by `cos * norm^p`: 1 inner product, 0 cosine.
        norm_power: Option<f32> = None,
            or "that of the loss: 0 for losses over all items, else 1", in between(-2.0, 2.0);
        /// The learned layer combinations.
        attention: Attention = Attention::default();
    }
}

settings! {
    /// `[model.lightgcn.attention]`: read by the learned combinations.
    pub struct Attention {
        /// Width of the attention network, or of queries and keys.
        hidden: usize = 64, in between(1.0, 1024.0);
        /// Softmax temperature of `additive`.
        temperature: f32 = 1.0, in above(0.0);
        /// How far a node may leave the global weights, 0 for no bound.
        bound: Option<f32> = None, or "0.2 where global weights are fitted first, else 0", in at_least(0.0);
        /// Step size of the attention.
        learning_rate: f32 = 1e-2, in above(0.0);
        /// What teaches the weights: the training loss, a softmax lesson after every step, the
        /// lesson on pairs that the embeddings never see, or the labelled rows of the uniform log;
        /// `auto` is `training` for losses on cosines, else `lesson`.
        fit: Fit = Fit::Auto;
        /// Share of training pairs held out to fit the weights.
        held_out_fraction: f64 = 0.1, in strictly_between(0.0, 0.5);
    }
}

/// How layers lie in memory while a model is trained. With 16 bits the layers are off by 2^-12
/// (`f16`) or 2^-9 (`bf16`) of themselves; base embeddings, sums and the frozen model keep 32 bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// 32 bits.
    #[default]
    F32,
    /// Layers in half precision; their gradients, which may be smaller than half precision can
    /// hold, in bf16.
    F16,
    /// Layers and gradients in bf16.
    Bf16,
}

name_setting!(Storage, "storage");

/// What the layer weights are fitted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// `training` for losses on cosines, `lesson` for losses on inner products.
    Auto,
    /// The training loss, together with the embeddings.
    Training,
    /// A softmax over all items on cosines, over the training pairs, after every step. It moves the
    /// layer weights and nothing else.
    Lesson,
    /// The same on a third part of the data, which the embeddings never see: global weights are
    /// fitted on it and frozen, and everything else is trained on all pairs.
    HeldOut,
    /// The labelled rows of the uniform log, after every step: liked ones should score above
    /// disliked ones.
    Uniform,
}

name_setting!(Fit, "way to fit");

impl Config {
    /// Refuses settings outside their ranges, and biases beside layers. `at` is the dotted key of
    /// the table.
    pub(super) fn check(&self, at: &str) -> Result<()> {
        self.check_ranges(at)?;
        if self.biases && self.layers > 0 {
            let expected = "false, or layers = 0 (biases belong to MF)";
            return Err(RecError::range(format!("{at}.biases"), true, expected));
        }
        Ok(())
    }
}

impl Model for Config {
    fn row(&self) -> &'static Row<dyn Model> {
        &ROW
    }

    fn validate(&self) -> Result<()> {
        self.check("model.lightgcn")
    }

    fn unread(&self, at: &str) -> Vec<Unread> {
        let mut found = unread_biases(at, self.biases, self.decay_biases);
        if self.combination.is_learned() {
            return found;
        }
        let (own, usual) = (&self.attention, Attention::default());
        let set = [
            ("hidden", own.hidden != usual.hidden),
            ("temperature", own.temperature != usual.temperature),
            ("bound", own.bound != usual.bound),
            ("learning_rate", own.learning_rate != usual.learning_rate),
            ("fit", own.fit != usual.fit),
            ("held_out_fraction", own.held_out_fraction != usual.held_out_fraction),
        ];
        let todo = "choose how layers are weighed with --attn-layers, or remove the setting";
        let (beside, because_of) = ("layers that are weighed alike", format!("{at}.combination"));
        let unread = |name| Unread::new(format!("{at}.attention.{name}"), beside, todo, &because_of);
        found.extend(set.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| unread(name)));
        found
    }

    fn settled(&self, loss: Option<&objectives::Config>, n_users: usize) -> Settled {
        let Some(loss) = loss else { return Settled::default() };
        let norm_power = self.norm_power.or(Some(loss.default_norm_power()));
        let init_std = self.init_std.or(Some(loss.default_init_std()));
        let model = Config { norm_power, init_std, ..self.clone() };
        Settled { model: Some(model.into()), ..Settled::by_loss(loss, n_users) }
    }

    fn check_device(&self, device: &Device) -> Result<()> {
        let precision = match self.storage {
            Storage::F32 => Precision::F32,
            // Gradients of layers in f16 are kept in bf16.
            Storage::F16 | Storage::Bf16 => Precision::Bf16,
        };
        if self.storage == Storage::F16 {
            device.expect_precision(Precision::F16)?;
        }
        Ok(device.expect_precision(precision)?)
    }

    fn memory(&self, size: &TrainingSize<'_>) -> Result<Memory> {
        Ok(memory::of(ROW.name, self, size))
    }

    fn load(&self, device: &Device, state: &State, nodes: Nodes) -> Result<Box<dyn Scorer>> {
        Ok(Box::new(GraphScorer::load(device.clone(), ROW.name, state, nodes)?))
    }

    fn procedure(&self) -> Procedure<'_> {
        Procedure::Graph(self.clone())
    }
}

/// What decay of biases is without any.
pub(super) fn unread_biases(at: &str, biases: bool, decay_biases: bool) -> Vec<Unread> {
    if biases || decay_biases {
        return Vec::new();
    }
    let todo = "set biases = true, or remove the setting";
    vec![Unread::new(format!("{at}.decay_biases"), "a model without biases", todo, format!("{at}.biases"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_in_range_and_nine_layers_are_not() {
        assert!(Config::default().validate().is_ok());
        let error = Config { layers: 9, ..Config::default() }.validate().unwrap_err();
        assert_eq!(error.to_string(), "model.lightgcn.layers: found 9, expected a whole number from 0 to 8");
        assert_eq!(error.exit_code(), 4);
        let error = Config { biases: true, ..Config::default() }.validate().unwrap_err();
        assert!(error.to_string().starts_with("model.lightgcn.biases: found true, expected false, or layers = 0"));
    }

    #[test]
    fn nan_is_outside_every_range() {
        let config = Config { init_std: Some(f32::NAN), ..Config::default() };
        assert!(config.validate().is_err());
        let config = Config { edge_dropout: f64::NAN, ..Config::default() };
        assert!(config.validate().is_err());
    }
}
