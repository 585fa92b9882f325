//! `[model.NAME]`: exactly one model with its settings.

use serde::{Deserialize, Serialize};

use super::linear::{ease, gf_cf, item_knn, markov, popularity, rp3beta};
use super::sequential::{Encoder, bert4rec, fmlp, fpmc, gru4rec, narm, sasrec};
use super::{fusion, graph};
use crate::error::{RecError, Result};

/// A model with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Config {
    /// LightGCN with a choice of layer combinations.
    Lightgcn(graph::Config),
    /// Matrix factorisation: LightGCN without layers.
    Mf(Mf),
    /// The most popular items, the same for everybody.
    Popularity(popularity::Config),
    /// The nearest items by shrunk cosine.
    ItemKnn(item_knn::Config),
    /// A linear item-item model in closed form.
    Ease(ease::Config),
    /// Two low-pass filters of the item-item graph.
    GfCf(gf_cf::Config),
    /// Random walks of three steps, popular ends discounted.
    Rp3beta(rp3beta::Config),
    /// What usually follows the last item.
    Markov(markov::Config),
    /// Attention over the items so far.
    Sasrec(sasrec::Config),
    /// Attention in both directions over a history with holes.
    Bert4rec(bert4rec::Config),
    /// Filters over the frequencies of a history.
    Fmlp(fmlp::Config),
    /// A recurrent network over the items so far.
    Gru4rec(gru4rec::Config),
    /// A recurrent network with attention over its states.
    Narm(narm::Config),
    /// Who the user is and what the last item was, each as a factorisation.
    Fpmc(fpmc::Config),
    /// Several models together, with fitted weights.
    Fusion(fusion::Config),
}

/// `[model.mf]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mf {
    /// Width of the embeddings, 1..=4096. Default 64.
    pub dim: usize,
    /// A learned bias per user and item, for losses on inner products. Default false.
    pub biases: bool,
    /// True when weight decay acts on biases too. Default true.
    pub decay_biases: bool,
    /// Standard deviation of the initial embeddings, above 0. Default: the loss's, as in `[model.lightgcn]`.
    pub init_std: Option<f32>,
    /// Power of the norms in the score, as in `[model.lightgcn]`. Default: the loss's.
    pub norm_power: Option<f32>,
}

impl Default for Mf {
    fn default() -> Self {
        Mf { dim: 64, biases: false, decay_biases: true, init_std: None, norm_power: None }
    }
}

impl Mf {
    /// The same model as a LightGCN without layers.
    pub fn as_graph(&self) -> graph::Config {
        graph::Config {
            layers: 0,
            dim: self.dim,
            biases: self.biases,
            decay_biases: self.decay_biases,
            init_std: self.init_std,
            norm_power: self.norm_power,
            ..graph::Config::default()
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config::Lightgcn(graph::Config::default())
    }
}

impl Config {
    /// The names of the models.
    pub const NAMES: [&str; 15] = [
        "lightgcn",
        "mf",
        "popularity",
        "item_knn",
        "ease",
        "gf_cf",
        "rp3beta",
        "markov",
        "fpmc",
        "gru4rec",
        "narm",
        "sasrec",
        "bert4rec",
        "fmlp",
        "fusion",
    ];

    /// A model by name with its defaults.
    ///
    /// # Errors
    /// [`RecError::Unknown`] for a name that is not in [`Config::NAMES`].
    pub fn named(name: &str) -> Result<Config> {
        Ok(match name {
            "lightgcn" => Config::Lightgcn(graph::Config::default()),
            "mf" => Config::Mf(Mf::default()),
            "popularity" => Config::Popularity(popularity::Config::default()),
            "item_knn" => Config::ItemKnn(item_knn::Config::default()),
            "ease" => Config::Ease(ease::Config::default()),
            "gf_cf" => Config::GfCf(gf_cf::Config::default()),
            "rp3beta" => Config::Rp3beta(rp3beta::Config::default()),
            "markov" => Config::Markov(markov::Config::default()),
            "sasrec" => Config::Sasrec(sasrec::Config::default()),
            "bert4rec" => Config::Bert4rec(bert4rec::Config::default()),
            "fmlp" => Config::Fmlp(fmlp::Config::default()),
            "gru4rec" => Config::Gru4rec(gru4rec::Config::default()),
            "narm" => Config::Narm(narm::Config::default()),
            "fpmc" => Config::Fpmc(fpmc::Config::default()),
            "fusion" => Config::Fusion(fusion::Config::default()),
            _ => {
                return Err(RecError::Unknown {
                    what: "model",
                    origin: String::new(),
                    name: name.into(),
                    known: Self::NAMES.map(String::from).to_vec(),
                });
            }
        })
    }

    /// The model's name.
    pub fn name(&self) -> &'static str {
        match self {
            Config::Lightgcn(_) => "lightgcn",
            Config::Mf(_) => "mf",
            Config::Popularity(_) => "popularity",
            Config::ItemKnn(_) => "item_knn",
            Config::Ease(_) => "ease",
            Config::GfCf(_) => "gf_cf",
            Config::Rp3beta(_) => "rp3beta",
            Config::Markov(_) => "markov",
            Config::Sasrec(_) => "sasrec",
            Config::Bert4rec(_) => "bert4rec",
            Config::Fmlp(_) => "fmlp",
            Config::Gru4rec(_) => "gru4rec",
            Config::Narm(_) => "narm",
            Config::Fpmc(_) => "fpmc",
            Config::Fusion(_) => "fusion",
        }
    }

    /// The graph family's settings, for models of that family: those that are trained by steps on a loss of pairs.
    pub fn graph(&self) -> Option<graph::Config> {
        match self {
            Config::Lightgcn(config) => Some(config.clone()),
            Config::Mf(config) => Some(config.as_graph()),
            _ => None,
        }
    }

    /// True for a model that is trained by steps on sequences.
    pub fn is_sequential(&self) -> bool {
        let recurrent = matches!(self, Config::Gru4rec(_) | Config::Narm(_));
        recurrent || matches!(self, Config::Fpmc(_) | Config::Sasrec(_) | Config::Bert4rec(_) | Config::Fmlp(_))
    }

    /// The width of the item vectors, for models that read a history with one vector for each item.
    pub fn item_dim(&self) -> Option<usize> {
        match self {
            Config::Sasrec(config) => Some(config.dim),
            Config::Bert4rec(config) => Some(config.dim),
            Config::Fmlp(config) => Some(config.dim),
            Config::Gru4rec(config) => Some(config.dim),
            Config::Narm(config) => Some(config.dim),
            _ => None,
        }
    }

    /// True for a model whose training can go on from where another one ended, on other rows.
    pub fn can_be_finetuned(&self) -> bool {
        self.is_sequential() && !matches!(self, Config::Fpmc(_))
    }

    /// True for a model that is computed at once: no epoch is picked, and it learns from the training and the validation pairs.
    pub fn is_closed_form(&self) -> bool {
        self.graph().is_none() && !self.is_sequential() && !matches!(self, Config::Fusion(_))
    }

    /// True for a model whose training pairs can count more or less.
    pub fn weighs_pairs(&self) -> bool {
        match self {
            Config::ItemKnn(_) | Config::Ease(_) | Config::GfCf(_) | Config::Rp3beta(_) => false,
            Config::Fusion(fusion) => fusion.members().iter().all(|member| member.model.weighs_pairs()),
            Config::Lightgcn(_) | Config::Mf(_) | Config::Popularity(_) | Config::Markov(_) => true,
            Config::Fpmc(_) | Config::Gru4rec(_) | Config::Narm(_) => true,
            Config::Sasrec(_) | Config::Bert4rec(_) | Config::Fmlp(_) => true,
        }
    }

    /// Refuses values outside their ranges.
    ///
    /// # Errors
    /// [`RecError::Config`] for the first value outside its range.
    pub fn validate(&self) -> Result<()> {
        match self {
            Config::Lightgcn(config) => config.validate("model.lightgcn"),
            Config::Mf(config) => config.as_graph().validate("model.mf"),
            Config::Popularity(config) => config.validate(),
            Config::ItemKnn(config) => config.validate(),
            Config::Ease(config) => config.validate(),
            Config::GfCf(config) => config.validate(),
            Config::Rp3beta(config) => config.validate(),
            Config::Markov(config) => config.validate(),
            Config::Sasrec(config) => config.validate(),
            Config::Bert4rec(config) => config.validate(),
            Config::Fmlp(config) => config.validate(),
            Config::Gru4rec(config) => config.validate(),
            Config::Narm(config) => config.validate(),
            Config::Fpmc(config) => config.validate(),
            Config::Fusion(config) => config.validate(),
        }
    }
}
