//! From a model's name to its code: fitting closed forms, and loading any scorer from a checkpoint.

use gcnrec_graphs::{Interactions, ItemId};
use gcnrec_kernels::Device;

use super::fusion;
use super::graph::GraphScorer;
use super::linear::{ease, gf_cf, item_knn, markov, popularity, rp3beta};
use super::state::State;
use super::{Config, Scorer, sequential};
use crate::error::{RecError, Result};

/// Fits a model that needs no steps; `None` for models that are trained by a [`super::Learner`], and for a fusion of models. `histories` gives each
/// user's training items, oldest first, and is asked by models that read an order alone. `weights` says how much every training pair counts, for models
/// that can use it ([`Config::weighs_pairs`]); the others take no notice.
///
/// # Errors
/// Those of the model.
pub fn fit_closed_form(
    config: &Config,
    train: &Interactions,
    weights: Option<&[f32]>,
    histories: &dyn Fn() -> Vec<Vec<ItemId>>,
) -> Result<Option<Box<dyn Scorer>>> {
    Ok(match config {
        Config::Popularity(config) => Some(Box::new(match weights {
            Some(weights) => popularity::fit_weighted(train, weights, config)?,
            None => popularity::fit(train, config)?,
        })),
        Config::ItemKnn(config) => Some(Box::new(item_knn::fit(train, config)?)),
        Config::Ease(config) => Some(Box::new(ease::fit(train, config)?)),
        Config::GfCf(config) => Some(Box::new(gf_cf::fit(train, config)?)),
        Config::Rp3beta(config) => Some(Box::new(rp3beta::fit(train, config)?)),
        Config::Markov(config) => Some(Box::new(markov::fit_weighted(train, weights, &histories(), config)?)),
        Config::Lightgcn(_) | Config::Mf(_) | Config::Fusion(_) => None,
        Config::Fpmc(_) | Config::Gru4rec(_) | Config::Narm(_) => None,
        Config::Sasrec(_) | Config::Bert4rec(_) | Config::Fmlp(_) => None,
    })
}

/// A scorer from its checkpointed state. Graph models answer on `device`, closed forms on the CPU.
///
/// # Errors
/// [`RecError::Checkpoint`] when the name is unknown or the state belongs to another model.
pub fn load_scorer(device: &Device, model: &str, state: &State) -> Result<Box<dyn Scorer>> {
    match model {
        "lightgcn" => Ok(Box::new(GraphScorer::load(device.clone(), "lightgcn", state)?)),
        "mf" => Ok(Box::new(GraphScorer::load(device.clone(), "mf", state)?)),
        "popularity" => popularity::load(state),
        "item_knn" => item_knn::load(state),
        "ease" => ease::load(state),
        "gf_cf" => gf_cf::load(state),
        "rp3beta" => rp3beta::load(state),
        "markov" => markov::load(state),
        "fusion" => fusion::load(device, state),
        _ => sequential::load(model, state)?.ok_or_else(|| RecError::Checkpoint {
            path: "manifest.json".into(),
            problem: format!("model \"{model}\" is unknown to this version"),
            todo: "use the version of gcnrec that wrote it".into(),
        }),
    }
}
