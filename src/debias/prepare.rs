//! From a method and the data to what a learner needs: pairs with labels, weights, a further term.

use std::sync::Arc;

use gcnrec_graphs::{Interactions, Seed};

use super::inputs::{MethodInputs, TrainingRows};
use super::{Config, UniformLog, uniform_log};
use crate::data::Split;
use crate::error::{RecError, Result};
use crate::models::graph::Learning;
use crate::objectives::{self, Reduction, UniformLoss};
use crate::samplers::Batch;

/// What a learner is to be trained on.
pub struct Training<'a> {
    /// The data.
    pub split: &'a Split,
    /// The pairs that it would be trained on without a method.
    pub pairs: Arc<Interactions>,
    /// The loss.
    pub objective: &'a objectives::Config,
    /// How losses become one.
    pub reduction: Reduction,
    /// Width of the embeddings, with bias columns.
    pub dim: usize,
    /// True when the last two columns are biases.
    pub biases: bool,
    /// The seed of the run.
    pub seed: Seed,
}

/// What a method makes of it.
pub struct Prepared {
    /// The pairs to train on.
    pub pairs: Arc<Interactions>,
    /// Weights, further term, labels, and what they learn from.
    pub learning: Learning,
}

/// Refuses what [`prepare`] would refuse, without its work.
///
/// # Errors
/// As [`prepare`].
pub(crate) fn check(config: &Config, training: &Training<'_>) -> Result<()> {
    check_loss(config, training)?;
    let uniform = UniformLog::unfitted(config, training.split)?;
    config.check(&MethodInputs::new(config, training, &uniform)?)
}

/// Prepares the training of a learner under a method.
///
/// # Errors
/// [`RecError::Missing`] where a method needs a uniform log and there is none, [`RecError::Input`]
/// for one that has a single class, [`RecError::Config`] where the loss cannot use labels that are
/// there, [`RecError::Usage`] for a loss that does not fit the method.
pub fn prepare(config: &Config, training: &Training<'_>) -> Result<Prepared> {
    check_loss(config, training)?;
    prepare_on(config, &UniformLog::fitted(config, training.split, training.seed)?, training)
}

/// Prepares one of several trainings that share a uniform log.
///
/// # Errors
/// As [`prepare`].
pub(crate) fn prepare_on(config: &Config, uniform: &UniformLog, training: &Training<'_>) -> Result<Prepared> {
    check_loss(config, training)?;
    let inputs = MethodInputs::new(config, training, uniform)?;
    let mut learning = inputs.learning();
    config.prepare(&inputs, &mut learning)?;
    Ok(Prepared { pairs: inputs.pairs, learning })
}

/// Refuses a loss that cannot use the labels that are there, or that the method does not fit.
fn check_loss(config: &Config, training: &Training<'_>) -> Result<()> {
    let loss = training.objective;
    if training.split.explicit && !loss.is_of_labels() && config.training_rows() != TrainingRows::Uniform {
        return Err(RecError::range(
            "objective",
            format!("the loss {}, which takes every training row for a liked one", loss.name()),
            "a loss of labels, because data.feedback is explicit",
        )
        .with_todo("use --loss mse or --loss logistic, or set data.feedback = \"implicit\""));
    }
    config.fits(&**loss).map_err(|which| {
        RecError::usage(
            format!("the debiasing method {} does not fit the loss {}", config.name(), loss.name()),
            format!("it fits {which}"),
        )
    })
}

/// What layer weights are fitted on with `attention.fit = "uniform"`: the loss of the uniform log,
/// and all of its rows as one batch.
///
/// # Errors
/// As [`prepare`].
pub fn uniform_batch(objective: &objectives::Config, split: &Split) -> Result<(UniformLoss, Batch)> {
    let uniform = uniform_log::rows(split, || "for layer weights that it teaches".to_string())?;
    let loss = objective.uniform_loss();
    Ok((loss, uniform_log::batch(loss, &uniform)?))
}
