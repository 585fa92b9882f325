//! Learners: models in training, which take steps and become scorers.

use std::ops::Range;

use super::state::State;
use super::{PairWeights, Scorer, StartItems};
use crate::error::{RecError, Result};

/// What some steps of training did.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StepReport {
    /// Sum of the examples' losses, without the weight decay; 0 where only [`Learner::late_loss`]
    /// can tell.
    pub loss: f64,
    /// Number of examples seen.
    pub n_examples: u64,
}

impl StepReport {
    /// Takes steps one after the other, each of which answers the sum of its examples' losses and
    /// their number.
    pub(crate) fn of(steps: Range<usize>, mut step: impl FnMut(usize) -> Result<(f64, u64)>) -> Result<Self> {
        let mut report = StepReport::default();
        for number in steps {
            let (loss, n_examples) = step(number)?;
            report.loss += loss;
            report.n_examples += n_examples;
        }
        Ok(report)
    }
}

/// A model in training. The trainer owns epochs and checkpoints; a learner owns parameters and
/// steps.
pub trait Learner {
    /// Number of steps in an epoch.
    fn steps_per_epoch(&self) -> usize;

    /// Takes the given steps of an epoch. Every random number is a function of (seed, epoch, step),
    /// so any division of an epoch into ranges gives the same bits.
    ///
    /// # Errors
    /// [`RecError::NotFinite`] when the loss is NaN or infinite.
    fn steps(&mut self, epoch: u64, steps: Range<usize>) -> Result<StepReport>;

    /// The losses of steps that [`Learner::steps`] could not report, because a device still had
    /// them: waits for them, and answers their sum since the last call.
    ///
    /// # Errors
    /// [`RecError::NotFinite`] when one of them is NaN or infinite.
    fn late_loss(&mut self) -> Result<f64> {
        Ok(0.0)
    }

    /// The model as it is now, ready to answer queries.
    ///
    /// # Errors
    /// Those of the ops that compute the final embeddings.
    fn freeze(&mut self) -> Result<Box<dyn Scorer>>;

    /// Everything that the next step depends on: parameters, optimiser moments, step counter.
    fn state(&self) -> State;

    /// Puts back what [`Learner::state`] gave.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when the state belongs to another model.
    fn restore(&mut self, state: &State) -> Result<()>;

    /// Takes the parameters of a frozen model of the same kind; everything else is as at step 0.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`] when the state belongs to another model, [`RecError::Unsupported`]
    /// where a model always starts anew.
    fn start_from(&mut self, frozen: &State) -> Result<()> {
        let _ = frozen;
        Err(RecError::unsupported("this model", "it always starts anew").with_todo("remove train.finetune_epochs"))
    }

    /// Lets some training pairs count more than others, before the first step.
    ///
    /// # Errors
    /// [`RecError::Usage`] for a model that was not told to weigh its pairs when it was made, and
    /// cannot be told later.
    fn weigh_pairs(&mut self, weights: PairWeights) -> Result<()> {
        let _ = weights;
        Err(RecError::usage(
            "data.half_life_days does not fit this way to train",
            "its examples cannot count more or less; use data.recent_days or data.recent_fraction",
        ))
    }

    /// Starts from the item vectors of another model, before the first step.
    ///
    /// # Errors
    /// [`RecError::Config`] when their width is another one; [`RecError::Usage`] for a model that
    /// does not have one vector for each item.
    fn start_with_items(&mut self, items: &StartItems) -> Result<()> {
        let _ = items;
        Err(StartItems::nowhere("this model"))
    }

    /// Number of trained scalars.
    fn n_parameters(&self) -> usize;

    /// The global logits of the layer weights, for models that learn them: what a later stage
    /// starts from.
    fn layer_logits(&self) -> Option<Vec<f32>> {
        None
    }
}
