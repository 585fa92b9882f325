//! What a debiasing method has made of the training pairs, and its own parameters in a state.

use gcnrec_kernels::Buffer;

use super::{GraphLearner, LEARNED};
use crate::error::Result;
use crate::models::state::State;
use crate::objectives::{Examples, Parameters};
use crate::samplers::Batch;

impl GraphLearner {
    /// The weight of every training pair, where a pair has one of its own: 1 is the weight without
    /// debiasing. None for a method that weighs each batch anew.
    ///
    /// # Errors
    /// Those of the method.
    pub fn pair_weights(&mut self) -> Result<Option<Vec<f32>>> {
        if !self.learning.weights.weighs_pairs() {
            return Ok(None);
        }
        let train = &self.setup.train;
        let batch = Batch {
            users: train.pairs().map(|(user, _)| user.0).collect(),
            positives: train.item_ids().to_vec(),
            edges: (0..train.n_edges() as u32).collect(),
            ..Batch::default()
        };
        let (device, mut weights, no_losses) = (&self.setup.device, Buffer::default(), Buffer::default());
        let examples = Examples { batch: &batch, n: train.n_edges(), losses: &no_losses };
        self.learning.weights.weigh(device, &examples, &mut weights)?;
        let mut weights = device.read(&weights);
        let scale = self.learning.reduction.scale(train.n_edges());
        weights.iter_mut().for_each(|weight| *weight /= scale);
        Ok(Some(weights))
    }

    /// The values that stand in for the labels of observed -1, unobserved and observed +1 pairs,
    /// where a method imputes them.
    pub fn imputed_values(&self) -> Option<[f64; 3]> {
        self.learning.auxiliary.as_ref().and_then(|term| term.imputed_values())
    }

    /// The parameters of the example weights and of the auxiliary term, by their names in a state.
    pub(super) fn learned(&self) -> [Vec<(String, Vec<f32>)>; 2] {
        let named = |owner: &str, parameters: Parameters| {
            parameters.into_iter().map(|(name, values)| (format!("{LEARNED}{owner}.{name}"), values)).collect()
        };
        let of_term = self.learning.auxiliary.as_ref().map(|term| named("auxiliary", term.parameters()));
        [named("weights", self.learning.weights.parameters()), of_term.unwrap_or_default()]
    }

    /// Puts back what a debiasing method had learned when a state was taken, of a learner or of the
    /// model that it froze.
    ///
    /// # Errors
    /// [`RecError::Checkpoint`](crate::RecError::Checkpoint) when the state belongs to another
    /// method.
    pub fn restore_learned(&mut self, state: &State) -> Result<()> {
        let short = [self.learning.weights.parameters(), self.auxiliary_parameters()];
        let mut found: [Parameters; 2] = Default::default();
        for ((parameters, named), found) in short.into_iter().zip(self.learned()).zip(&mut found) {
            for ((short, values), (name, _)) in parameters.into_iter().zip(named) {
                found.push((short, state.f32(&name, &[values.len()])?.to_vec()));
            }
        }
        let [weights, term] = found;
        self.learning.weights.restore(weights);
        if let Some(auxiliary) = &mut self.learning.auxiliary {
            auxiliary.restore(term);
        }
        Ok(())
    }

    fn auxiliary_parameters(&self) -> Parameters {
        self.learning.auxiliary.as_ref().map(|term| term.parameters()).unwrap_or_default()
    }
}
