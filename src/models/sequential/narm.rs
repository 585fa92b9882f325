//! NARM: a recurrent network over the items so far, whose last state is joined with attention over
//! all its states.
//!
//! With `h_j` the states, position `t` is `B [sum_{j <= t} a_tj h_j ; h_t]`,
//! `a_tj = v . s(A_1 h_j + A_2 h_t)`; the score of an item is the inner product of its vector with
//! that.
//!
//! # Source
//! Li et al., *Neural Attentive Session-based Recommendation*, CIKM 2017, eq. 4-10; sizes, rates
//! and initial weights are those of RecBole 1.2.1 (`model/sequential_recommender/narm.py`), which
//! takes the logits for the weights, as the paper's formula does; `normalised` divides them as the
//! authors' code does. Deliberate difference: since a position reads only what comes before it, all
//! positions of a sequence are trained in one pass, with the gradients that their prefixes would
//! give.

use burn_tensor::Tensor;
use gcnrec_kernels::burn_bridge::{OpBackend, dropout, gather, local_attention};

use super::gru4rec::{gru_parameters, run_gru, without_bias};
use super::{Encoder, ITEMS, Init, Input, Loss, Noise, Objective, Parameter, Task, Weights};
use crate::error::Result;
use crate::models::Model;
use crate::samplers::{Examples, Windows};
use crate::settings::{Row, between, from_to_below, row, settings};

/// NARM in the list of models.
pub(crate) static ROW: Row<dyn Model> =
    row!(dyn Model, Config, "narm", "A recurrent network with attention over its states");

settings! {
    /// `[model.narm]`.
    pub(crate) struct Config {
        /// Width of the item vectors.
        dim: usize = 64, in between(1.0, 4096.0), flag "--dim";
        /// Units of a recurrent layer.
        hidden: usize = 128, in between(1.0, 4096.0);
        /// Recurrent layers.
        layers: usize = 1, in between(1.0, 8.0), flag "--layers";
        /// Share of the numbers of the item vectors that are dropped.
        dropout: f32 = 0.25, in from_to_below(0.0, 1.0);
        /// Share of what attention and last state say that is dropped.
        context_dropout: f32 = 0.5, in from_to_below(0.0, 1.0);
        /// The weights of the attention are a softmax, as in the authors' code.
        normalised: bool = false;
        /// Items of a history that are read: the last ones.
        max_len: usize = 50, in between(1.0, 10_000.0);
        /// As for GRU4Rec.
        windows: Windows = Windows::All;
        /// Softmax over all items; softmax with logQ, BPR-max or gBCE over items that a batch
        /// draws; logistic or pairwise against one drawn item.
        loss: Loss = Loss::CrossEntropy;
        /// Items that a batch draws for `sampled_softmax`, `bpr_max` and `gbce`.
        n_negatives: usize = 256, in between(1.0, 1e6);
        /// They are drawn in proportion to the counts of the items to this power; 0: all alike.
        sample_alpha: f32 = 0.0, in between(0.0, 4.0);
        /// Weight of the squared scores in `bpr_max`.
        bpreg: f32 = 1.0, in between(0.0, 1000.0);
        /// How far `gbce` corrects the probability of the target.
        gbce_t: f32 = 0.75, in between(0.0, 1.0);
    }
}

impl Encoder for Config {
    const ROW: &'static Row<dyn Model> = &ROW;

    fn check(&self) -> Result<()> {
        self.check_ranges("model.narm")
    }

    fn task(&self) -> Task {
        let Config { loss, n_negatives, sample_alpha, bpreg, gbce_t, .. } = *self;
        let objective = Objective { loss, n_negatives, gbce_t, sample_alpha, bpreg };
        Task { max_len: self.max_len, windows: self.windows, examples: Examples::Positions, objective }
    }

    fn parameters(&self, n_items: usize) -> Vec<Parameter> {
        let (dim, hidden) = (self.dim, self.hidden);
        let mut all = vec![Parameter::xavier_normal(ITEMS, [n_items, dim])];
        for layer in 0..self.layers {
            let start = Init::Uniform((hidden as f32).sqrt().recip());
            all.extend(gru_parameters(layer, if layer == 0 { dim } else { hidden }, hidden, [start; 2]));
        }
        all.push(Parameter::xavier_normal("attention.earlier", [hidden, hidden]));
        all.push(Parameter::xavier_normal("attention.last", [hidden, hidden]));
        all.push(Parameter::xavier_normal("attention.vector", [1, hidden]));
        all.push(Parameter::xavier_normal("decoder", [2 * hidden, dim]));
        all
    }

    fn held(&self) -> [usize; 2] {
        let (states, weights) = (4 * self.hidden, self.max_len);
        [states.max(self.dim).max(weights), 6 * self.dim + (self.layers + 1) * 4 * states + 2 * weights]
    }

    fn encode<B: OpBackend>(&self, weights: &Weights<B>, input: &Input<'_>, noise: &mut Noise) -> Tensor<B, 2> {
        let x = gather(weights.get(ITEMS), input.items.iter().map(|&item| Some(item)));
        let states = run_gru(weights, dropout(x, noise.drop(self.dropout)), input, self.layers);
        let earlier = without_bias(states.clone(), weights.get("attention.earlier"));
        let last = without_bias(states.clone(), weights.get("attention.last"));
        let vector = weights.get("attention.vector");
        let local = local_attention(earlier, last, vector, states.clone(), input.sequences, self.normalised);
        let context = dropout(Tensor::cat(vec![local, states], 1), noise.drop(self.context_dropout));
        without_bias(context, weights.get("decoder"))
    }
}
