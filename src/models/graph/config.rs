//! What a user can choose about LightGCN and MF.

use serde::{Deserialize, Serialize};

use crate::error::{RecError, Result};

/// `[model.lightgcn]`, and `[model.mf]` with `layers = 0`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Propagation layers K, 0..=8. Default 3. With 0 the model is matrix factorisation.
    pub layers: usize,
    /// Width of the embeddings, 1..=4096. Default 64.
    pub dim: usize,
    /// How the K+1 layers become one embedding. Default `uniform`.
    pub combination: Combination,
    /// Standard deviation of the initial embeddings, above 0. Default: 0.01 for losses on cosines within a batch (`ssm`, `bsl` with candidates of the
    /// batch), otherwise 0.1. A loss on cosines does not feel the length of a vector, so its steps turn short vectors faster.
    pub init_std: Option<f32>,
    /// Share of edges dropped anew in each epoch, 0..1. Default 0.
    pub edge_dropout: f64,
    /// How the layers 1..K and their gradients lie in memory while the model is trained. Default `f32`. With 16 bits an epoch is shorter and the
    /// layers are off by 2^-12 (`f16`) or 2^-9 (`bf16`) of themselves; base embeddings, sums and the frozen model keep 32 bits.
    pub storage: Storage,
    /// A learned bias per user and item, only with `layers = 0` and an inner-product score. Default false.
    pub biases: bool,
    /// True when weight decay acts on biases too. Default true.
    pub decay_biases: bool,
    /// Items are ranked by `cos(user, item) * |item|^p`: 1 is the inner product, 0 the cosine. Default: what the loss was published with
    /// (1 for `bpr`, `ssm`, `mse`, `logistic`; 0 for `softmax` and `bsl`).
    pub norm_power: Option<f32>,
    /// The learned layer combinations.
    pub attention: Attention,
}

/// How layers lie in memory while a model is trained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// 32 bits.
    #[default]
    F32,
    /// Layers in half precision. Their gradients, which may be smaller than half precision can hold, in bf16.
    F16,
    /// Layers and gradients in bf16.
    Bf16,
}

/// How the layers are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combination {
    /// The mean of the layers: plain LightGCN.
    Uniform,
    /// One weight per layer for everybody: a softmax over K+1 numbers.
    Global,
    /// A small network looks at each node's layers and weighs them: additive attention.
    Additive,
    /// The layers of each node attend to each other by scaled dot products.
    Dot,
}

impl Combination {
    /// Every name that `--attn-layers` and `combination` accept.
    pub const NAMES: [&str; 4] = ["uniform", "global", "additive", "dot"];
}

/// `[model.lightgcn.attention]`: read by the learned combinations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attention {
    /// Width of the attention network (`additive`) or of queries and keys (`dot`), 1..=1024. Default 64.
    pub hidden: usize,
    /// Softmax temperature of `additive`, above 0. Default 1.
    pub temperature: f32,
    /// How far a node's logits may leave the global ones: `bound * tanh(logit / bound)`; 0 means unbounded. Default: 0 where the weights learn on
    /// the training loss, 0.2 where global weights are fitted first.
    pub bound: Option<f32>,
    /// Step size of the attention parameters, above 0. Default 1e-2.
    pub learning_rate: f32,
    /// What teaches the weights. Default `auto`: `training` for losses on cosines, `lesson` for losses on inner products.
    pub fit: Fit,
    /// Share of the training pairs that `held_out` keeps from the embeddings while the weights are fitted, within 0..0.5. Default 0.1.
    pub held_out_fraction: f64,
}

/// What teaches the layer weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// `training` for losses on cosines, `lesson` for losses on inner products.
    Auto,
    /// The training loss, together with the embeddings.
    Training,
    /// A softmax over all items on cosines, over the training pairs, after every step. It moves the layer weights and nothing else.
    Lesson,
    /// The same lesson on a third part of the data, which the embeddings never see: global weights are fitted on it and frozen, and everything else
    /// is trained on all pairs.
    HeldOut,
    /// The labelled rows of the uniform log, after every step: liked ones should score above disliked ones.
    Uniform,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            layers: 3,
            dim: 64,
            combination: Combination::Uniform,
            init_std: None,
            edge_dropout: 0.0,
            storage: Storage::F32,
            biases: false,
            decay_biases: true,
            norm_power: None,
            attention: Attention::default(),
        }
    }
}

impl Default for Attention {
    fn default() -> Self {
        Attention {
            hidden: 64,
            temperature: 1.0,
            bound: None,
            learning_rate: 1e-2,
            fit: Fit::Auto,
            held_out_fraction: 0.1,
        }
    }
}

impl Config {
    /// Refuses values outside their ranges. `key` is the table's name, for the message.
    ///
    /// # Errors
    /// [`RecError::Config`] for the first value outside its range.
    pub fn validate(&self, key: &str) -> Result<()> {
        let check = |ok: bool, name: &str, found: String, expected: &str| {
            if ok { Ok(()) } else { Err(RecError::range(format!("{key}.{name}"), found, expected)) }
        };
        let attention = &self.attention;
        check(self.layers <= 8, "layers", self.layers.to_string(), "a whole number from 0 to 8")?;
        check((1..=4096).contains(&self.dim), "dim", self.dim.to_string(), "a whole number from 1 to 4096")?;
        let init_std = self.init_std.unwrap_or(0.1);
        check(positive(init_std), "init_std", init_std.to_string(), "a number above 0")?;
        let dropout = self.edge_dropout;
        check((0.0..1.0).contains(&dropout), "edge_dropout", dropout.to_string(), "a number from 0 to below 1")?;
        check(!self.biases || self.layers == 0, "biases", "true".into(), "false, or layers = 0 (biases belong to MF)")?;
        if let Some(power) = self.norm_power {
            check((-2.0..=2.0).contains(&power), "norm_power", power.to_string(), "a number from -2 to 2")?;
        }
        let hidden = attention.hidden;
        check((1..=1024).contains(&hidden), "attention.hidden", hidden.to_string(), "a whole number from 1 to 1024")?;
        let temperature = attention.temperature;
        check(positive(temperature), "attention.temperature", temperature.to_string(), "a number above 0")?;
        let bound = attention.bound.unwrap_or(0.0);
        check(bound >= 0.0 && bound.is_finite(), "attention.bound", bound.to_string(), "a number of 0 or more")?;
        let rate = attention.learning_rate;
        check(positive(rate), "attention.learning_rate", rate.to_string(), "a number above 0")?;
        let fraction = attention.held_out_fraction;
        check(
            fraction > 0.0 && fraction < 0.5,
            "attention.held_out_fraction",
            fraction.to_string(),
            "a number above 0 and below 0.5",
        )
    }
}

fn positive(value: f32) -> bool {
    value > 0.0 && value.is_finite()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_in_range_and_nine_layers_are_not() {
        assert!(Config::default().validate("model.lightgcn").is_ok());
        let error = Config { layers: 9, ..Config::default() }.validate("model.lightgcn").unwrap_err();
        assert_eq!(error.to_string(), "model.lightgcn.layers: found 9, expected a whole number from 0 to 8");
        assert_eq!(error.exit_code(), 4);
    }

    #[test]
    fn nan_is_outside_every_range() {
        let config = Config { init_std: Some(f32::NAN), ..Config::default() };
        assert!(config.validate("m").is_err());
        let config = Config { edge_dropout: f64::NAN, ..Config::default() };
        assert!(config.validate("m").is_err());
    }
}
