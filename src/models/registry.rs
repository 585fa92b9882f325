//! From a model's name to its code: fitting closed forms, and loading any scorer from a checkpoint.

use gcnrec_graphs::Interactions;
use gcnrec_kernels::Device;

use super::fusion;
use super::graph::GraphScorer;
use super::linear::{ease, popularity};
use super::state::State;
use super::{Config, Scorer};
use crate::error::{RecError, Result};

/// Fits a model that needs no steps; `None` for models that are trained by a [`super::Learner`], and for a fusion of models.
///
/// # Errors
/// Those of the model.
pub fn fit_closed_form(config: &Config, train: &Interactions) -> Result<Option<Box<dyn Scorer>>> {
    Ok(match config {
        Config::Popularity(config) => Some(Box::new(popularity::fit(train, config)?)),
        Config::Ease(config) => Some(Box::new(ease::fit(train, config)?)),
        Config::Lightgcn(_) | Config::Mf(_) | Config::Fusion(_) => None,
    })
}

/// A scorer from its checkpointed state.
///
/// # Errors
/// [`RecError::Checkpoint`] when the name is unknown or the state belongs to another model.
pub fn load_scorer(model: &str, state: &State) -> Result<Box<dyn Scorer>> {
    match model {
        "lightgcn" => Ok(Box::new(GraphScorer::load(Device::Cpu, "lightgcn", state)?)),
        "mf" => Ok(Box::new(GraphScorer::load(Device::Cpu, "mf", state)?)),
        "popularity" => popularity::load(state),
        "ease" => ease::load(state),
        "fusion" => fusion::load(state),
        _ => Err(RecError::Checkpoint {
            path: "manifest.json".into(),
            problem: format!("model \"{model}\" is unknown to this version"),
            todo: "use the version of gcnrec that wrote it".into(),
        }),
    }
}
